"""The three tiers from beginning to end: low by itself in its window, medium by evidence, high by people too."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modelrelease.sandbox.load import LoadThread
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import Scene
from tests.api.objects import bind
from tests.e2e.lanes import stage_name
from tests.e2e.people import Person
from tests.e2e.test_entry import ENTRY, evidence, submit_when_allowed
from tests.e2e.test_people import approver

Json = dict[str, Any]

SHORT: Json = {"minDuration": "2s", "minSamples": 1}
PILOT = {"name": "pilot", "exposure": [{"segment": "low-criticality", "percent": "20"}], **SHORT}
FULL = {"name": "full", "exposure": [{"percent": "100"}], "require": "NoHarm"}
PATH = "/apis/modelrelease.dev/v1alpha1/releasepolicies"


def digest(letter: str) -> str:
    return f"sha256:{letter * 64}"


UNIT: Json = {
    "model": {"name": "support", "version": "1", "digest": digest("1")},
    "tools": {"version": "1", "digest": digest("2")},
    "prompt": {"version": "1", "digest": digest("3")},
}


@pytest.fixture
def policy(scene: Scene) -> Iterator[None]:
    """What each tier asks for in the test's namespace; closed for days."""
    put(scene, opens=datetime.now(UTC) + timedelta(days=3))
    yield
    scene.sandbox.client().delete(f"{PATH}/{scene.namespace}-tiers")


def put(scene: Scene, *, opens: datetime) -> None:
    """Write the policy, by which low may be released from a moment on: what begins then, not what waits already."""
    freeze = {
        "name": "change-board",
        "from": "2026-01-01T00:00:00Z",
        "until": opens.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "reason": "until the change board has met",
    }
    matrix = {"roles": [{"name": "risk"}, {"name": "owner", "accountable": True}]}
    scene.sandbox.apply(
        {
            "apiVersion": "modelrelease.dev/v1alpha1",
            "kind": "ReleasePolicy",
            "metadata": {"name": f"{scene.namespace}-tiers"},
            "spec": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": scene.namespace}},
                "tiers": {
                    "low": {"stages": [FULL], "train": {"freezes": [freeze]}},
                    "medium": {"stages": [PILOT, FULL], "entry": dict(ENTRY)},
                    "high": {"approvals": matrix},
                },
            },
        }
    )


def release(scene: Scene, version: str, backend: str, **parts: Json) -> None:
    """A unit, called low by its author; the stages are the tier's."""
    made = scene.manifest(version, backend=backend, unit={**UNIT, **parts})
    made["spec"]["risk"] = "Low"
    del made["spec"]["strategy"]["stages"]
    scene.sandbox.apply(made)


def tier_of(scene: Scene, version: str) -> str:
    def there(status: Json) -> bool:
        return bool(status.get("tier")) and (status.get("candidate") or {}).get("version") == version

    return str(scene.wait(f"{version} is a candidate", there)["tier"])


def waits(scene: Scene, kind: str, words: str) -> None:
    scene.wait(f"{kind}: {words}", lambda _: words in scene.condition(kind).get("message", ""))
    assert not (scene.status().get("weight") or "0 %").startswith("100")


def prove(scene: Scene) -> None:
    """Carol hands in what the evaluation gave, and the operator has read it."""
    submit_when_allowed(scene, evidence(scene, scene.status()["candidate"]["digest"]))
    scene.wait("the evidence is read", lambda _: scene.condition("EntryEvidence").get("reason") == "Met")


def completed(scene: Scene, version: str) -> list[str]:
    """The stages that a version went through, once it has all traffic."""
    scene.wait(f"{version} is stable", lambda s: s["state"] == "Settled" and s["stable"]["version"] == version)
    raised = [r["body"] for r in scene.records() if r["kind"] == "Raised"]
    return [body["stage"] for body in raised if body["candidate"]["version"] == version]


def someone(scene: Scene, user: str, role: str) -> Person:
    approver(scene.sandbox, role)
    bind(scene.sandbox, scene.namespace, user, f"approve-{role}")
    bind(scene.sandbox, scene.namespace, user, "modelrelease-view")
    return Person(scene.sandbox, user, scene.namespace)


def test_each_tier_asks_for_more_than_the_one_below(shared_operator: Part, scene: Scene, policy: None) -> None:
    bob, dave = someone(scene, "bob", "risk"), someone(scene, "dave", "owner")
    bind(scene.sandbox, scene.namespace, "carol", "modelrelease-submit-evidence")
    release(scene, "v1", "chat-v1")
    scene.wait_state("Settled")
    with LoadThread(scene.load(80, low=0.5)):
        release(scene, "p2", "chat-v1", prompt={"version": "2", "digest": digest("4")})
        assert tier_of(scene, "p2") == "Low"
        waits(scene, "ReleaseWindowOpen", "until the change board has met")
        put(scene, opens=datetime.now(UTC) + timedelta(seconds=5))
        release(scene, "p2b", "chat-v1", prompt={"version": "2", "digest": digest("4")})
        assert tier_of(scene, "p2b") == "Low"
        submit_when_allowed(scene, evidence(scene, scene.status()["candidate"]["digest"], english=96))
        assert completed(scene, "p2b") == ["full"]

        tools = {"version": "2", "digest": digest("5")}
        release(scene, "t3", "chat-v1", prompt={"version": "2", "digest": digest("4")}, tools=tools)
        assert tier_of(scene, "t3") == "Medium"
        waits(scene, "EntryEvidence", "there is no ReleaseEvidence")
        prove(scene)
        assert completed(scene, "t3") == ["pilot", "full"]

        unit: Json = {"prompt": {"version": "2", "digest": digest("4")}, "tools": tools}
        release(scene, "m4", "chat-v2", **unit, model={"name": "support", "version": "2", "digest": digest("6")})
        assert tier_of(scene, "m4") == "High"
        waits(scene, "EntryEvidence", "there is no ReleaseEvidence")
        early = bob.types("approve", "chat", "--role", "risk", "--yes", "--reason", "I trust them")
        assert early.code == 1
        assert "chat lacks entry evidence" in early.err and "there is no ReleaseEvidence for m4" in early.err
        prove(scene)
        waits(scene, "AwaitingApproval", "risk")
        bob.does("approve", "chat", "--role", "risk", "--yes", "--reason", "the red team found nothing")
        waits(scene, "AwaitingApproval", "owner")
        assert stage_name(scene.status()) == "pilot"
        dave.does("approve", "chat", "--role", "owner", "--yes", "--reason", "go")
        assert completed(scene, "m4") == ["pilot", "full"]

        release(scene, "m5", "chat-v1", **unit, model={"name": "support", "version": "3", "digest": digest("7")})
        waits(scene, "EntryEvidence", "there is no ReleaseEvidence")
        prove(scene)
        waits(scene, "AwaitingApproval", "risk")
        bob.does("reject", "chat", "--role", "risk", "--yes", "--reason", "the model card does not say who trained it")
        stopped = scene.wait_state("Stopped")
    assert stopped["stop"]["reason"] == "Rejected"
    assert "the model card does not say who trained it" in stopped["stop"]["message"]
    raised = [record["body"] for record in scene.records() if record["kind"] == "Raised"]
    assert [each["author"] for body in raised for each in body.get("decisions") or []] == ["bob", "dave"]
    assert "m5" not in {body["candidate"]["version"] for body in raised}
