"""The whole demo on a real cluster, as `make demo` runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

LONGEST_S = 300
FIELDS = {"version", "outcome", "weights_percent", "evidence_to_revert_s", "errors_served", "reason"}
SOURCE_ROOT = Path(__file__).resolve().parents[2] / "operator"


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "modelrelease.demo", "--plain", *options]


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(SOURCE_ROOT), "TMPDIR": str(folder)}


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The releases of one run, by version."""
    out = tmp_path_factory.mktemp("demo")
    ran = subprocess.run(
        command("--out", str(out)), env=environment(out), capture_output=True, text=True, timeout=LONGEST_S, check=False
    )
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-3000:]
    releases = json.loads((out / "summary.json").read_text())["releases"]
    assert all(set(release) >= FIELDS for release in releases)
    assert not list(out.glob("modelrelease-sandbox-*")), "the demo left its cluster's files behind"
    return {release["version"]: release for release in releases}


def test_the_good_release_goes_all_the_way_on_the_wire(summary: dict[str, dict[str, Any]]) -> None:
    good = summary["v2"]
    assert good["outcome"] == "Completed"
    assert good["weights_percent"] == [1, 5, 20, 100]
    assert good["evidence_to_revert_s"] is None
    assert good["errors_served"] == 0


def test_the_worse_release_is_taken_back_for_its_answers(summary: dict[str, dict[str, Any]]) -> None:
    worse = summary["v3"]
    assert worse["outcome"] == "Reverted"
    assert "wrong-answers" in worse["reason"]
    assert worse["weights_percent"][:1] == [1]
    assert max(worse["weights_percent"]) <= 20
    assert worse["errors_served"] == 0
    assert 0 < worse["evidence_to_revert_s"] < 10


def test_the_failing_release_is_taken_back_for_its_errors(summary: dict[str, dict[str, Any]]) -> None:
    failing = summary["v4"]
    assert failing["outcome"] == "Reverted"
    assert "errors" in failing["reason"]
    assert failing["weights_percent"] == [1, 5, 20]
    assert failing["errors_served"] > 0
    assert 0 < failing["evidence_to_revert_s"] < 10


def test_at_one_percent_only_requests_of_low_criticality_reach_the_candidates(
    summary: dict[str, dict[str, Any]],
) -> None:
    for release in summary.values():
        assert release["pilot_requests"]["low_criticality"] > 0
        assert release["pilot_requests"]["others"] == 0


def test_an_interrupted_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        command("--out", str(tmp_path)), env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("modelrelease-sandbox-demo-*/operator.log")) and time.monotonic() < deadline:
        time.sleep(0.2)
    demo.send_signal(signal.SIGINT)
    said, _ = demo.communicate(timeout=60)
    assert demo.returncode == 130, said.decode()[-3000:]
    assert not list(tmp_path.glob("modelrelease-sandbox-*"))
