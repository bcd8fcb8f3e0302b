"""`plan` before a release, the condition during it, and `explain` after it, against the sandbox's Prometheus."""

import json
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from modelrelease.cli.main import app
from modelrelease.sandbox.load import LoadThread
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import Scene

RATE = 80
STAGES = [
    {"name": "few", "exposure": [{"percent": "5"}], "minDuration": "5m", "maxDuration": "5m", "minSamples": 5},
    {"name": "full", "exposure": [{"percent": "100"}]},
]
GATES = [
    {"name": "errors", "template": "gateway-error-rate", "against": "Stable", "maxRatio": "1.5", "floor": "0.001"},
    {"name": "absolute", "template": "gateway-error-rate", "max": "0.2"},
]


def test_a_release_is_planned_told_and_explained(shared_operator: Part, scene: Scene, tmp_path: Path) -> None:
    for version in ("v1", "v2"):
        scene.models[version].set_behaviour(failure_fraction=0.02)
    file = tmp_path / "release.yaml"
    file.write_text(yaml.safe_dump(scene.manifest("v2", stages=STAGES, gates=GATES)))
    with LoadThread(scene.load(RATE)):
        scene.settle(stages=STAGES, gates=GATES)
        _assert_planned(_planned_with_traffic(scene, file))
        assert _run(scene, "plan", "-f", file, "--strict").exit_code == 1
        scene.release("v2", stages=STAGES, gates=GATES)
        scene.wait("a look at the stages", lambda _: _sufficient(scene)[0] == "False")
        assert "stage few needs about" in _sufficient(scene)[1]
        _assert_counted_apart(scene, file)
        scene.models["v2"].set_behaviour(failure_fraction=0.6)
        scene.wait_state("Stopped")
    explained = _run(scene, "explain", "chat", "-n", scene.namespace, "--verify", "--chart", tmp_path / "c.svg")
    assert explained.exit_code == 0, explained.output
    assert "Reverted: gate " in explained.output
    assert "recomputed from the record: the same" in explained.output
    assert "evidence for a revert, log10 E" in explained.output
    assert (tmp_path / "c.svg").stat().st_size > 1000
    _assert_refused(scene, file)


def _planned_with_traffic(scene: Scene, file: Path) -> dict:
    """The plan, asked again until Prometheus has seen the route for a while, and its rate is the one that is sent: what
    was before the route's last change is not counted."""
    deadline = time.monotonic() + 120
    while True:
        planned = _run(scene, "plan", "-f", file, "--window", "5m", "-o", "json")
        assert planned.exit_code == 0, planned.output
        found = json.loads(planned.output)
        known = [gate["segments"].get("all", {}).get("stable") for gate in found["gates"]]
        if found["requestsPerSecond"].get("all") == pytest.approx(RATE, rel=0.3) and all(known):
            return found
        assert time.monotonic() < deadline, planned.output
        time.sleep(2)


def _assert_counted_apart(scene: Scene, file: Path) -> None:
    """Each segment has its own requests, once Prometheus has seen the new rules for a while."""

    def rates(_: dict) -> bool:
        answer = _run(scene, "plan", "-f", file, "--window", "5m", "-o", "json").output
        return json.loads(answer)["requestsPerSecond"] == pytest.approx(parts, rel=0.3)

    parts = {"low-criticality": RATE * 0.3, "*": RATE * 0.7}
    scene.wait(f"{parts} a second", rates)


def _assert_planned(found: dict) -> None:
    """The segment has no rule of its own yet; an even share needs none."""
    for gate in found["gates"]:
        assert gate["segments"]["all"]["stable"] == pytest.approx(0.02, abs=0.03)
    few = found["stages"][0]
    assert few["candidatePerSecond"] == pytest.approx(RATE * 0.05, rel=0.3)
    assert few["sufficiency"] == "TooShort"
    assert [warning["field"] for warning in found["warnings"]] == ["spec.strategy.stages[0].maxDuration"] * 2


def _sufficient(scene: Scene) -> tuple[str, str]:
    condition = scene.condition("StagesSufficient")
    return condition.get("status", ""), condition.get("message", "")


def _assert_refused(scene: Scene, file: Path) -> None:
    """One sentence that names the object, and the exit code of its kind."""
    nowhere = _run(scene, "plan", "-f", file, "--prometheus", "http://127.0.0.1:9")
    assert (nowhere.exit_code, "cannot reach Prometheus" in nowhere.output) == (1, True), nowhere.output
    for words in (("plan", "-f", file), ("explain", "chat", "-n", scene.namespace)):
        denied = _run(scene, *words, user="mallory")
        assert (denied.exit_code, "ask for the ClusterRole modelrelease-view" in denied.output) == (4, True)
    missing = _run(scene, "explain", "other", "-n", scene.namespace)
    assert (missing.exit_code, "there is no ModelRelease other" in missing.output) == (3, True)


def _run(scene: Scene, *words: object, user: str = "admin") -> Result:
    kubeconfig = str(scene.sandbox.kubeconfig(user))
    return CliRunner().invoke(app, [*map(str, words), "--kubeconfig", kubeconfig], env={"COLUMNS": "100"})
