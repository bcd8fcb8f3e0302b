"""A backtest against a real Prometheus whose past was written into it: the same result as from what was written."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks import synthetic
from typer.testing import CliRunner

from modelrelease.backtest.arms import Arms, Named
from modelrelease.backtest.client import range_client
from modelrelease.backtest.history import History, Span
from modelrelease.cli.main import app
from modelrelease.domain.gate import Absolute, Gate, Matcher, MatchOp, Ratio, Series
from modelrelease.metrics.source import SourceSettings
from modelrelease.metrics.subscription import Place
from tests.backtest.backfill import Written, prometheus, write

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux"),
]

HOURS = 14
STEP_S = 15.0
START_S = (time.time() - (HOURS + 1) * 3600) // 60 * 60


def utc(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat()


@pytest.fixture(scope="module")
def made() -> synthetic.History:
    return synthetic.History(START_S, HOURS / 24, STEP_S)


@pytest.fixture(scope="module")
def address(made: synthetic.History, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with prometheus(tmp_path_factory.mktemp("prometheus")) as url:
        times = (START_S + STEP_S * np.arange(made.count)).tolist()
        for first in range(0, made.count, 480):
            part = slice(first, first + 480)
            write(
                url, [(one.labels, [*zip(times[part], one.values[part].tolist(), strict=True)]) for one in made.series]
            )
        yield url


def backtest(tmp_path: Path, address: str, *options: str) -> Any:
    file = tmp_path / "release.yaml"
    file.write_text(synthetic.MANIFEST)
    range_ = ["--from", utc(START_S + 1800), "--to", utc(START_S + HOURS * 3600)]
    arguments = ["backtest", "-f", str(file), "--prometheus", address, *range_, "-o", "json", *options]
    result = CliRunner().invoke(app, arguments, env={"KUBECONFIG": ""})
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    "options",
    [
        ["--candidate", "version=v2", "--stable", "version=v1"],
        ["--stable", "version=v1"],
        ["--stable", "version=v1", "--split", "request", "--step", "1m"],
    ],
)
def test_the_result_is_that_of_what_was_written(
    made: synthetic.History, address: str, tmp_path: Path, options: list[str]
) -> None:
    incidents = [
        text for each in synthetic.incidents(START_S, HOURS / 24) for text in ("--incident", "/".join(map(utc, each)))
    ]
    real = backtest(tmp_path, address, *options, *incidents)
    with synthetic.served(made) as url:
        assert backtest(tmp_path, url, *options, *incidents) == real
    gates = real["phases"][0]["gates"]
    assert all(gate["problem"] is None for gate in gates)
    if "--candidate" in options:
        assert any(stop for gate in gates for stop in gate["stops"])


GATE = Gate(
    "errors",
    Ratio(Series("births_bad_total"), Series("births_total")),
    Absolute(maximum="0.5"),
    (Matcher("version", MatchOp.EQUAL, "${version}"),),
)


def test_births_restarts_and_gaps_are_counted_as_they_were(address: str) -> None:
    steps, rng, since_s = 220, np.random.default_rng(1), START_S + HOURS * 3600 + 60
    amounts = rng.poisson(5, (3, steps)).astype(float)
    lives = {"old": (0, steps), "new": (100, steps), "gone": (0, 150)}
    series: list[Written] = []
    for row, (pod, (begin, end)) in enumerate(lives.items()):
        amounts[row, :begin] = amounts[row, end:] = 0.0
        level = np.cumsum(amounts[row])
        if pod == "old":
            level[160:] -= level[159]
        samples = [(since_s + step * STEP_S, float(level[step])) for step in range(begin, end)]
        if pod == "old":
            samples = [sample for index, sample in enumerate(samples) if not 60 <= index < 100]
        series.append(({"__name__": "births_total", "version": "v1", "job": "j", "pod": pod}, samples))
    write(address, series)
    span = Span(since_s, since_s + (steps - 1) * STEP_S, STEP_S)
    history = History(
        span, interval_s=STEP_S, arms=Arms(Named({"version": "v1"}), Named({"version": "v0"})), divide=True
    )
    client = range_client(SourceSettings("default", address), timeout_s=30.0, max_answer_bytes=1 << 24)
    history.add(GATE, [Place("*", {}, {"version": "v1"})], client, value_namespace=("namespace", "x"))
    history.read(threads=2, done=lambda number: None)
    ((_, _, found),) = history.rounds(GATE)
    # The first samples are no births: from the second on everything that happened is counted, wherever it was hidden.
    assert found.total[0].sum() == amounts[:, 1:].sum()
    assert found.closed[: 60 - 1].all()
    assert (found.total[0, :59] == amounts[:, 1:60].sum(axis=0)).all()
    assert math.isclose(found.total[0, 159:].sum(), amounts[:, 160:].sum())
