"""Offline evidence on the real cluster: nothing enters without it, nobody makes it up, and with it it goes on."""

import itertools
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from modelrelease.cli.main import app
from modelrelease.sandbox.errors import ApiError
from modelrelease.sandbox.load import LoadThread
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import Scene
from tests.api.objects import bind
from tests.e2e.lanes import full, stage
from tests.faults.history import route_states

Json = dict[str, Any]

_numbers = itertools.count()

ENTRY: Mapping[str, Any] = {
    "package": ["ModelCard"],
    "gates": [
        {
            "name": "accuracy",
            "metric": "accuracy",
            "min": "0.90",
            "maxDifference": "0",
            "subgroups": [{"dimension": "language", "groups": ["en", "tr"], "min": "0.85", "minSamples": 50}],
        }
    ],
}


def evidence(scene: Scene, unit: str, *, english: int = 98, turkish: int = 55, **spec: Any) -> Json:
    """Results of a unit by carol: a thousand cases in English and sixty in Turkish.

    Produced later than all before: of two that were produced in the same second either may count.
    """
    produced = datetime.now(UTC) - timedelta(minutes=10) + timedelta(seconds=next(_numbers))
    groups = {"en": (english * 10, 1000), "tr": (turkish, 60)}
    content = {
        "releaseRef": {"name": scene.name},
        "unitDigest": unit,
        "producer": "carol",
        "suite": {"name": "golden", "version": "12"},
        "producedAt": produced.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "metrics": [{"name": "accuracy", "count": sum(each[0] for each in groups.values()), "total": 1060}],
        "subgroups": [
            {"dimension": "language", "group": name, "metrics": [{"name": "accuracy", "count": good, "total": total}]}
            for name, (good, total) in groups.items()
        ],
        "references": [{"type": "ModelCard", "uri": "https://cards.example/2"}],
        "impact": [{"gate": "errors-absolute", "expected": "0.01"}],
    }
    merged = {name: value for name, value in {**content, **spec}.items() if value is not None}
    return {
        "apiVersion": "modelrelease.dev/v1alpha1",
        "kind": "ReleaseEvidence",
        "metadata": {"generateName": "golden-", "namespace": scene.namespace},
        "spec": merged,
    }


def submit(scene: Scene, doc: Json, user: str = "carol") -> Json:
    path = f"/apis/modelrelease.dev/v1alpha1/namespaces/{scene.namespace}/releaseevidences"
    return scene.sandbox.client(user).create(path, doc)


@pytest.fixture
def candidate(scene: Scene) -> Json:
    """v2 on its way behind entry demands, with stable's own results there; carol may attest. Its status."""
    bind(scene.sandbox, scene.namespace, "carol", "modelrelease-submit-evidence")
    scene.settle()
    stable = scene.status()["stable"]["digest"]
    submit_when_allowed(scene, evidence(scene, stable, english=96, turkish=57))
    doc = scene.manifest("v2", stages=[stage("some", 20), full()])
    doc["spec"]["entry"] = dict(ENTRY)
    scene.sandbox.apply(doc)
    return scene.wait("prepared", lambda s: s.get("state") == "Preparing" and bool(s.get("entry")))


def typed(scene: Scene, user: str, *words: str) -> Result:
    """What a user's command says; in this process, because starting a new one costs more than what it does."""
    where = ["--namespace", scene.namespace, "--kubeconfig", str(scene.sandbox.kubeconfig(user))]
    return CliRunner().invoke(app, [*words, *where])


def submit_when_allowed(scene: Scene, doc: Json, user: str = "carol") -> Json:
    """Rights come into force a moment after they are written, and policies go a moment after they are deleted."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return submit(scene, doc, user)
        except ApiError as error:
            if error.status != 403 or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def holds(scene: Scene, reason: str, says: str) -> None:
    """The condition has a reason, and its message says what to do."""

    def there(_: Json) -> bool:
        found = scene.condition("EntryEvidence")
        return found.get("reason") == reason and says in found.get("message", "")

    scene.wait(f"EntryEvidence {reason}: {says}", there)
    assert scene.condition("EntryEvidence")["status"] == "False"


def shares(scene: Scene, revision: str) -> list[int]:
    """Every share that a unit ever had on the route."""
    states = route_states(scene.sandbox.audit_events(), scene.namespace, scene.name)
    return [max(state.share(revision).values(), default=0) for state in states]


def test_nothing_enters_before_its_evidence_is_complete_and_then_it_goes_on_by_itself(
    shared_operator: Part, scene: Scene, candidate: Json, tmp_path: Path
) -> None:
    unit = candidate["candidate"]["digest"]
    holds(scene, "EntryEvidenceMissing", "there is no ReleaseEvidence for v2")
    scene.wait("Ready says so", lambda s: scene.condition("Ready")["reason"] == "EntryEvidenceMissing")
    assert "modelrelease evidence submit --release chat" in scene.condition("Ready")["message"]
    with pytest.raises(ApiError) as refused:
        submit(scene, evidence(scene, unit, producer="dave"), user="dave")
    assert refused.value.status == 403
    with pytest.raises(ApiError) as forged:
        submit(scene, evidence(scene, unit, producer="dave"))
    assert 'you are logged in as "carol" and not as "dave"' in forged.value.message
    submit(scene, evidence(scene, "sha256:" + "0" * 64))
    holds(scene, "EntryEvidenceMissing", "is about other units")
    past = datetime.now(UTC) - timedelta(seconds=5)
    submit(scene, evidence(scene, unit, expiresAt=past.isoformat(timespec="seconds").replace("+00:00", "Z")))
    holds(scene, "EntryEvidenceExpired", "expired at")
    submit(scene, evidence(scene, unit, references=None))
    holds(scene, "EntryEvidenceIncomplete", "the package lacks ModelCard")
    assert set(shares(scene, candidate["candidate"]["revision"])) == {0}
    (tmp_path / "golden.yaml").write_text(yaml.safe_dump(evidence(scene, unit)))
    submitting = ("evidence", "submit", "--release", "chat", "-f", str(tmp_path / "golden.yaml"))
    checked = typed(scene, "carol", *submitting, "--dry-run").stdout
    assert f"unit sha256:{unit[7:17]}" in checked
    assert "group    language tr: accuracy 0.9167 (55 of 60)" in checked
    assert "not kept (dry run)" in checked
    of_stable = typed(scene, "carol", *submitting, "--stable", "--dry-run", "-o", "json")
    assert json.loads(of_stable.stdout)["spec"]["unitDigest"] == scene.status()["stable"]["digest"]
    stranger = typed(scene, "dave", *submitting)
    assert (stranger.exit_code, '"dave"' in stranger.stderr) == (4, True)
    assert "the package lacks ModelCard" in typed(scene, "carol", "evidence", "show", "chat").stdout
    with LoadThread(scene.load(60)):
        assert "submitted" in typed(scene, "carol", *submitting).stdout
        scene.wait_state("Settled")
    assert scene.status()["stable"]["version"] == "v2"
    raised = next(record["body"] for record in scene.records() if record["kind"] == "Raised")
    said = {each["name"]: each for each in raised["entry"]["verdicts"]}
    assert said["accuracy"]["outcome"] == "Pass"
    assert said["package"]["outcome"] == "Pass"
    assert {each["producer"] for each in raised["entry"]["evidence"]} == {"carol"}
    completed = next(record["body"] for record in scene.records() if record["kind"] == "Completed")
    assert completed["impact"][0].startswith("errors-absolute: 0.01 was expected, 0 on the candidate")
    assert "stable v2" in typed(scene, "carol", "evidence", "list", "chat").stdout
    bind(scene.sandbox, scene.namespace, "carol", "modelrelease-view")
    assert "wrong" not in typed(scene, "carol", "explain", "chat", "--verify").stdout


def test_a_small_group_that_is_served_badly_stops_a_release_that_is_better_on_average(
    shared_operator: Part, scene: Scene, candidate: Json
) -> None:
    unit = candidate["candidate"]
    submit(scene, evidence(scene, unit["digest"], english=99, turkish=42))
    stopped = scene.wait_state("Stopped")
    assert (stopped["stop"]["reason"], stopped["stop"]["gate"]) == ("EntryGateFailed", "accuracy")
    assert "language tr has 0.7 (42 of 60); at least 0.85 is needed" in stopped["stop"]["message"]
    ready = scene.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "EntryGateFailed")
    assert set(shares(scene, unit["revision"])) == {0}
    submit(scene, evidence(scene, unit["digest"]))
    time.sleep(2)
    assert scene.status()["state"] == "Stopped"
    record = next(record["body"] for record in scene.records() if record["kind"] == "Reverted")
    assert record["entry"]["verdicts"][0]["outcome"] == "Fail"


def test_a_tier_demands_evidence_of_a_release_that_asks_for_none(shared_operator: Part, scene: Scene) -> None:
    scene.settle()
    policy = {
        "apiVersion": "modelrelease.dev/v1alpha1",
        "kind": "ReleasePolicy",
        "metadata": {"name": f"{scene.namespace}-evidence"},
        "spec": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": scene.namespace}},
            "tiers": {"low": {"entry": {"package": ["ModelCard"]}}},
        },
    }
    scene.sandbox.apply(policy)
    try:
        scene.release("v2", stages=[stage("some", 20), full()])
        holds(scene, "EntryEvidenceMissing", "there is no ReleaseEvidence for v2")
        assert scene.status()["plan"]["entry"]["package"] == ["ModelCard"]
        assert set(shares(scene, scene.status()["candidate"]["revision"])) == {0}
    finally:
        scene.sandbox.client().delete(scene.sandbox.client().path_of(policy))


def test_evidence_that_turns_up_later_takes_the_traffic_back(
    shared_operator: Part, scene: Scene, candidate: Json
) -> None:
    unit = candidate["candidate"]
    path = scene.manifest("v2", stages=[stage("some", 20, minDuration="600s"), full()])
    path["spec"]["entry"] = dict(ENTRY)
    scene.sandbox.apply(path)
    submit(scene, evidence(scene, unit["digest"]))
    scene.wait("some", lambda s: s.get("state") == "Observing")
    submit(scene, evidence(scene, unit["digest"], turkish=30))
    stopped = scene.wait_state("Stopped")
    assert stopped["stop"]["reason"] == "EntryGateFailed"
    assert shares(scene, unit["revision"])[-1] == 0
