"""The whole demo on a real cluster, as `make demo` runs it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

LONGEST_S = 900
SOON_S = 60
"""Also on a machine with much else to do; how soon it is on a quiet one is measured by `make bench-revert`."""
FIELDS = {"version", "outcome", "weights_percent", "evidence_to_revert_s", "errors_served", "reason"}
SOURCE_ROOT = Path(__file__).resolve().parents[2] / "operator"


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "modelrelease.demo", "--plain", *options]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(SOURCE_ROOT)}


def state_folders() -> set[Path]:
    """Those of all demos that run on this machine."""
    return set(Path(tempfile.gettempdir()).glob("modelrelease-sandbox-demo-*"))


def processes_of(folder: Path) -> list[str]:
    """Command lines that name a folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in found if str(folder) in line]


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The releases of one run, by version."""
    out = tmp_path_factory.mktemp("demo")
    ran = subprocess.run(
        command("--out", str(out)), env=environment(), capture_output=True, text=True, timeout=LONGEST_S, check=False
    )
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-3000:]
    releases = json.loads((out / "summary.json").read_text())["releases"]
    assert all(set(release) >= FIELDS for release in releases)
    return {release["version"]: release for release in releases}


def test_the_good_release_goes_all_the_way_on_the_wire(summary: dict[str, dict[str, Any]]) -> None:
    good = summary["v2"]
    assert good["outcome"] == "Completed"
    assert good["weights_percent"] == [1, 5, 20, 100]
    assert good["evidence_to_revert_s"] is None
    assert good["errors_served"] == 0


def test_a_prompt_alone_is_rolled_out_over_the_model_of_stable_and_taken_back(
    summary: dict[str, dict[str, Any]],
) -> None:
    prompt = summary["v2.1"]
    assert prompt["outcome"] == "Reverted"
    assert "wrong-answers" in prompt["reason"]
    assert prompt["weights_percent"][:1] == [1]
    assert max(prompt["weights_percent"]) <= 20
    assert prompt["errors_served"] == 0
    assert 0 < prompt["evidence_to_revert_s"] < SOON_S
    assert prompt["wrong_percent"]["candidate"] > 3 * prompt["wrong_percent"]["stable"]


def test_the_worse_release_is_taken_back_for_its_answers(summary: dict[str, dict[str, Any]]) -> None:
    worse = summary["v3"]
    assert worse["outcome"] == "Reverted"
    assert "wrong-answers" in worse["reason"]
    assert worse["weights_percent"][:1] == [1]
    assert max(worse["weights_percent"]) <= 20
    assert worse["errors_served"] == 0
    assert 0 < worse["evidence_to_revert_s"] < SOON_S


def test_the_failing_release_is_taken_back_for_its_errors(summary: dict[str, dict[str, Any]]) -> None:
    failing = summary["v4"]
    assert failing["outcome"] == "Reverted"
    assert "errors" in failing["reason"]
    assert failing["weights_percent"] == [1, 5, 20]
    assert failing["errors_served"] > 0
    assert 0 < failing["evidence_to_revert_s"] < SOON_S


def test_at_one_percent_only_requests_of_low_criticality_reach_the_candidates(
    summary: dict[str, dict[str, Any]],
) -> None:
    for release in summary.values():
        assert release["pilot_requests"]["low_criticality"] > 0
        assert release["pilot_requests"]["others"] == 0


def test_an_interrupted_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    before = state_folders()
    demo = subprocess.Popen(
        command("--out", str(tmp_path)), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    folder = wait_for_operator(before)
    assert processes_of(folder)
    demo.send_signal(signal.SIGINT)
    said, _ = demo.communicate(timeout=300)
    assert demo.returncode == 130, said.decode()[-3000:]
    assert not folder.exists()
    assert not processes_of(folder)


def wait_for_operator(before: set[Path]) -> Path:
    """The new demo's state folder, once its operator has been started."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        for folder in state_folders() - before:
            if (folder / "operator.log").exists():
                return folder
        time.sleep(0.2)
    raise TimeoutError("the demo started no operator within five minutes")
