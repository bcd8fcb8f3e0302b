"""A long range is read in pieces and counted as if it had been read at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from benchmarks.synthetic import History as Made

from modelrelease.backtest import client as asking
from modelrelease.backtest import history as module
from modelrelease.backtest.arms import Arms, Named
from modelrelease.backtest.client import Piece, RangeClient, Reply
from modelrelease.backtest.counting import Rounds
from modelrelease.backtest.history import History, Span
from modelrelease.backtest.parsing import Grid
from modelrelease.backtest.reading import HistoryError
from modelrelease.domain.gate import Absolute, AgainstStable, Gate, Matcher, MatchOp, Quantile, Ratio, Series, Value
from modelrelease.metrics.answers import Failed
from modelrelease.metrics.source import SourceSettings
from modelrelease.metrics.subscription import Place

START_S = 1_700_000_000.0 // 15 * 15
STEP_S = 15.0
PLACE = Place("*", {}, {"version": "v1"})
ARM = (Matcher("version", MatchOp.EQUAL, "${version}"),)
ERRORS = Gate(
    "errors",
    Ratio(Series("chat_requests_total", (Matcher("code", MatchOp.REGEX, "5.."),)), Series("chat_requests_total")),
    AgainstStable(max_ratio="1.5"),
    ARM,
)
ABSOLUTE = Gate("absolute", ERRORS.metric, Absolute(maximum="0.05"), ARM)
LATENCY = Gate("latency", Quantile(Series("chat_request_seconds_bucket"), "0.95"), Absolute(maximum="1.2"), ARM)
DRIFT = Gate("drift", Value('max(chat_drift_index{version="${version}"})'), Absolute(maximum="0.5"))
BOTH = Arms(Named({"version": "v2"}), Named())
DAYS = 0.5


@dataclass
class Client(RangeClient):
    """Answers from made-up history, in this thread."""

    made: Made
    asked: list[Piece] = field(default_factory=list)
    failed: Failed | None = None

    def __post_init__(self) -> None:
        super().__init__(SourceSettings("default", "http://made.up"))

    def ask(self, piece: Piece, grid: Grid, *, halvings: int = 0) -> Reply:
        self.asked.append(piece)
        if self.failed is not None:
            return Reply(piece, failed=self.failed)
        asked = grid.part(piece.first, piece.count)
        body = self.made.answer(piece.promql.replace(',namespace="apps"', ""), asked.start_s, asked.end_s, asked.step_s)
        return Reply(piece, ((piece, 200, body),))

    __hash__ = object.__hash__


@pytest.fixture(scope="module")
def made() -> Made:
    return Made(START_S, DAYS, STEP_S)


def read(made: Made, gates: Sequence[Gate], arms: Arms = BOTH, *, since: float = 0.05, divide: bool = True) -> History:
    span = Span(START_S + round(since * 86400 / STEP_S) * STEP_S, START_S + DAYS * 86400, STEP_S)
    history = History(span, interval_s=STEP_S, arms=arms, divide=divide)
    client = Client(made)
    for gate in gates:
        history.add(gate, [PLACE], client, value_namespace=("namespace", "apps"))
    history.read(threads=1, done=lambda number: None)
    return history


def rounds_of(history: History, gate: Gate) -> Rounds:
    ((_, _, found),) = history.rounds(gate)
    return found


def amounts(made: Made, version: str, history: History, *, bad: bool) -> np.ndarray:
    """What the made-up counters really counted at each step, resets undone."""
    total = 0
    for series in made.series:
        labels = series.labels
        chosen = labels["__name__"] == "chat_requests_total" and labels["version"] == version
        if chosen and (not bad or labels["code"] == "500"):
            total = total + np.diff(series.values, prepend=0)
    first = round((history.span.grid.start_s - START_S) / STEP_S)
    return np.asarray(total)[first : first + history.span.grid.count]


def test_counts_are_what_happened(made: Made) -> None:
    history = read(made, [ERRORS])
    found = rounds_of(history, ERRORS)
    assert found.closed.all()
    for side, version in enumerate(("v2", "v1")):
        assert (found.total[side] == amounts(made, version, history, bad=False)).all()
        assert (found.bad[side] == amounts(made, version, history, bad=True)).all()


@pytest.mark.parametrize("points", [50, 777, 100_000])
def test_pieces_make_no_difference(made: Made, points: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [rounds_of(read(made, [gate]), gate) for gate in (ERRORS, LATENCY)]
    monkeypatch.setattr(module, "MAX_POINTS", points)
    history = read(made, [ERRORS, LATENCY])
    for gate, wanted in zip((ERRORS, LATENCY), whole, strict=True):
        found = rounds_of(history, gate)
        for name in ("total", "bad", "closed", "start_s"):
            np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
        if wanted.buckets is not None:
            np.testing.assert_array_equal(found.buckets, wanted.buckets)


def test_gates_on_the_same_series_and_both_arms_share_a_query(made: Made) -> None:
    span = Span(START_S, START_S + 3600, STEP_S)
    history = History(span, interval_s=STEP_S, arms=BOTH, divide=True)
    client = Client(made)
    for gate in (ERRORS, ABSOLUTE, LATENCY):
        history.add(gate, [PLACE], client, value_namespace=("namespace", "apps"))
    told: list[int] = []
    assert history.pieces() == 3
    history.read(threads=1, done=told.append)
    assert [piece.promql for piece in client.asked] == [
        'chat_requests_total{version=~"v2|v1"}',
        'chat_requests_total{code=~"5..",version=~"v2|v1"}',
        'chat_request_seconds_bucket{version=~"v2|v1"}',
    ]
    assert told == [1, 2, 3]
    assert max(piece.count for piece in client.asked) <= asking.MAX_POINTS
    assert (rounds_of(history, ERRORS).total == rounds_of(history, ABSOLUTE).total).all()


def test_stable_against_itself_is_divided_by_instance_or_not_at_all(made: Made) -> None:
    apart = rounds_of(read(made, [ERRORS], Arms()), ERRORS)
    together = rounds_of(read(made, [ERRORS], Arms(), divide=False), ERRORS)
    assert (apart.total.sum(axis=1) > 0).all()
    assert not together.total[0].any()
    assert (apart.total.sum(axis=0) == together.total.sum(axis=0)).all()


def test_the_first_samples_of_history_are_no_births(made: Made) -> None:
    history = read(made, [ERRORS], since=0.0)
    found = rounds_of(history, ERRORS)
    assert (
        found.total[:, 0].tolist() == [amounts(made, version, history, bad=False)[0] for version in ("v2", "v1")]
        or not found.total[:, 0].any()
    )
    assert found.total[1].max() < 3 * np.median(found.total[1])


def test_values_are_read_with_their_times(made: Made) -> None:
    history = read(made, [Gate("drift", DRIFT.metric, DRIFT.rule)], Arms(stable=Named({"version": "v2"})))
    samples = history.samples["drift"]
    values, taken_s = samples.usable(history.span.asked, 60.0)
    part = slice(history.span.before, None)
    assert np.isfinite(values[part]).all()
    assert (taken_s[part] == history.span.grid.times()).all()
    stale, _ = samples.usable(history.span.asked, -1.0)
    assert np.isnan(stale).all()


def test_the_same_series_on_both_arms_is_an_error(made: Made) -> None:
    arms = Arms(Named.read(["version=v1", "pod=~.*"], ""), Named())
    with pytest.raises(HistoryError, match="the same series is on both arms"):
        read(made, [ERRORS], arms)


def test_a_prometheus_that_fails_ends_it_with_its_words(made: Made) -> None:
    history = History(Span(START_S, START_S + 3600, STEP_S), interval_s=STEP_S, arms=BOTH, divide=True)
    client = Client(made, failed=Failed("no answer within 60 s"))
    history.add(ERRORS, [PLACE], client, value_namespace=("namespace", "apps"))
    with pytest.raises(HistoryError, match=r"made\.up: no answer within 60 s; check the address"):
        history.read(threads=1, done=lambda number: None)


def test_an_arm_without_series_is_found_missing(made: Made) -> None:
    history = read(made, [ERRORS], Arms(Named({"version": "v9"}), Named()))
    ((_, reading, _),) = history.rounds(ERRORS)
    assert {part.name for _, part, _ in reading.meters} == {"TOTAL", "BAD"}
    assert all(side.name == "STABLE" for side, _, _ in reading.meters)


def test_a_span_ends_windows_after_its_start_and_reads_some_time_before() -> None:
    span = Span(1000.0, 1150.0, 15.0)
    assert (span.grid.start_s, span.grid.end_s, span.grid.count) == (1015.0, 1150.0, 10)
    assert span.asked.start_s == span.grid.start_s - span.before * 15.0
    assert span.before * 15.0 >= module.LOOKBACK_S
    assert math.isclose(span.asked.end_s, span.grid.end_s)
