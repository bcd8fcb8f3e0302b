"""What a record says of its evidence can be judged again from the record alone, and gives the same."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from modelrelease.cli.main import app
from modelrelease.gates.workings import recompute, unpacked
from modelrelease.governance.chain import verify
from modelrelease.sandbox.load import LoadThread
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import Scene
from tests.e2e.people import Person

Json = dict[str, Any]


def judged_again(record: Json) -> dict[tuple[str, str], Any]:
    bodies = unpacked(record["body"]["workings"])["Stage"]
    return {(verdict.gate, verdict.segment or ""): verdict for body in bodies for verdict in recompute(body)}


def test_every_raise_and_the_revert_can_be_judged_again_from_their_records(
    shared_operator: Part, scene: Scene, tmp_path: Path
) -> None:
    latency = {"name": "latency", "template": "gateway-latency", "against": "Stable", "maxRatio": "1.5"}
    low = {"name": "errors-each", "template": "gateway-error-rate", "scope": "Segment", "max": "0.2"}
    errors = {"name": "errors", "template": "gateway-error-rate", "against": "Stable", "maxRatio": "1.5"}
    stages = [
        {"name": "few", "exposure": [{"percent": "5"}], "minDuration": "4s", "minSamples": 5},
        {"name": "broad", "exposure": [{"percent": "20"}], "minDuration": "600s"},
        {"name": "full", "exposure": [{"percent": "100"}], "require": "NoHarm"},
    ]
    scene.settle()
    with LoadThread(scene.load(80)):
        scene.release("v2", stages=stages, gates=[errors, low, latency])
        scene.wait("broad", lambda s: (s.get("stage") or {}).get("name") == "broad")
        scene.models["v2"].set_behaviour(failure_fraction=0.6)
        status = scene.wait_state("Stopped")
    assert status["stop"]["reason"] == "GateFailed"
    records = [record for record in scene.records() if record["body"].get("workings")]
    assert [record["kind"] for record in records][-2:] == ["Raised", "Reverted"]
    for record in records:
        again = judged_again(record)
        for said in record["body"]["verdicts"]:
            verdict = again[said["gate"], said["segment"]]
            assert verdict.outcome == said["outcome"]
            assert verdict.sentence == said["sentence"]
            numbers = {name: float(number) for name, number in said["numbers"].items()}
            assert dict(verdict.numbers) == pytest.approx(numbers, rel=1e-9, abs=1e-9)
    assert {said["outcome"] for said in records[-1]["body"]["verdicts"]} >= {"Revert"}

    export = tmp_path / "records.jsonl"
    Person(scene.sandbox, "admin", scene.namespace).does("audit", "export", "chat", "--out", str(export))
    report = verify(export.read_bytes().splitlines(keepends=True))
    assert (report.findings, report.records) == ([], len(scene.records()))
    checked = CliRunner().invoke(app, ["audit", "verify", str(export), "--recompute"])
    assert checked.exit_code == 0, checked.output
    assert f"judged again from their own numbers: {len(records)}" in checked.output
