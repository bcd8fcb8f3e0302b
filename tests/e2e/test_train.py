"""The release train on a real cluster: a raise waits for it, a permitted person overrides it, a revert does neither."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modelrelease.sandbox.load import LoadThread
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import Scene
from tests.api.objects import bind
from tests.e2e.lanes import UNTIL_PROMOTED, promote, stage, stage_name
from tests.e2e.people import Person

Json = dict[str, Any]

STAGES = [stage("some", 50), stage("full", 100, require="NoHarm")]


@pytest.fixture
def alice(scene: Scene) -> Person:
    """On call, without the right to override the train."""
    for role in ("modelrelease-decide", "modelrelease-view"):
        bind(scene.sandbox, scene.namespace, "alice", role)
    return Person(scene.sandbox, "alice", scene.namespace)


@pytest.fixture
def carol(scene: Scene) -> Person:
    """Leads incidents: may override the train, and nothing else."""
    bind(scene.sandbox, scene.namespace, "carol", "modelrelease-override")
    return Person(scene.sandbox, "carol", scene.namespace)


def time_text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def freeze(until: datetime, reason: str) -> Json:
    return {"from": "2026-01-01T00:00:00Z", "until": time_text(until), "reason": reason}


def release(scene: Scene, *freezes: Json, stages: Sequence[Json] = STAGES) -> None:
    manifest = scene.manifest("v2", stages=stages)
    manifest["spec"]["train"] = {"freezes": list(freezes)}
    scene.sandbox.apply(manifest)


def raised(scene: Scene) -> list[Json]:
    return [record["body"] for record in scene.records() if record["kind"] == "Raised"]


def test_a_frozen_release_waits_until_somebody_who_may_overrides_the_freeze(
    shared_operator: Part, scene: Scene, alice: Person, carol: Person
) -> None:
    scene.settle()
    with LoadThread(scene.load(60)):
        release(scene, freeze(datetime.now(UTC) + timedelta(days=3), "the elections"))
        waiting = scene.wait("frozen", lambda s: scene.condition("Ready").get("reason") == "Frozen")
        assert waiting["state"] == "Preparing" and not raised(scene)
        shown = scene.condition("ReleaseWindowOpen")
        assert (shown["status"], shown["reason"]) == ("False", "Frozen")
        assert "the elections" in shown["message"] and "modelrelease override chat --incident" in shown["message"]
        assert waiting["train"]["open"] is False and waiting["train"]["message"].startswith("frozen until ")

        refused = alice.types("override", "chat", "--incident", "INC-7", "--reason", "I am in a hurry")
        assert refused.code == 4
        assert '"alice" may not override ModelRelease chat' in refused.err
        too_long = carol.types("override", "chat", "--incident", "INC-7", "--reason", "urgent", "--for", "100h")
        assert too_long.code == 2 and "at most 72h" in too_long.err
        assert not raised(scene)

        carol.does("override", "chat", "--incident", "INC-7", "--reason", "stable leaks addresses", "--for", "1h")
        settled = scene.wait_state("Settled")
    assert settled["stable"]["version"] == "v2"
    bodies = raised(scene)
    assert [body["stage"] for body in bodies] == ["some", "full"]
    for body in bodies:
        assert (body["train"]["open"], body["train"]["reason"]) == (False, "Frozen")
        said = body["override"]
        assert (said["author"], said["incident"], said["reason"]) == ("carol", "INC-7", "stable leaks addresses")


def test_a_tiers_freeze_holds_every_release_and_is_told_by_the_name_of_its_policy(
    shared_operator: Part, scene: Scene
) -> None:
    long = freeze(datetime.now(UTC) + timedelta(days=3), "the audit")
    policy = {
        "apiVersion": "modelrelease.dev/v1alpha1",
        "kind": "ReleasePolicy",
        "metadata": {"name": scene.namespace},
        "spec": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": scene.namespace}},
            "tiers": {"low": {"train": {"freezes": [long]}}},
        },
    }
    scene.settle()
    scene.sandbox.apply(policy)
    try:
        with LoadThread(scene.load(20)):
            release(scene)
            waiting = scene.wait("frozen", lambda s: scene.condition("ReleaseWindowOpen").get("reason") == "Frozen")
        assert waiting["state"] == "Preparing" and not raised(scene)
        said = scene.condition("ReleaseWindowOpen")["message"]
        assert f"ReleasePolicy {scene.namespace}, tier Low (the audit)" in said
    finally:
        scene.sandbox.client().delete(f"/apis/modelrelease.dev/v1alpha1/releasepolicies/{scene.namespace}")


def test_a_raise_waits_for_the_end_of_a_freeze_and_one_that_is_added_later_holds_no_revert(
    shared_operator: Part, scene: Scene
) -> None:
    stages = [stage("some", 50, minDuration=UNTIL_PROMOTED), STAGES[1]]
    scene.settle()
    with LoadThread(scene.load(80)):
        release(scene, freeze(datetime.now(UTC) + timedelta(days=3), "no end yet"), stages=stages)
        scene.wait("frozen", lambda s: scene.condition("Ready").get("reason") == "Frozen")
        end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=6)
        release(scene, freeze(end, "a short one"), stages=stages)
        scene.wait("in the first stage", lambda s: stage_name(s) == "some")
        [first] = raised(scene)
        assert datetime.fromisoformat(first["at"]) >= end
        assert first["train"]["open"] is True and "override" not in first

        release(scene, freeze(end + timedelta(days=3), "a long one"), stages=stages)
        held = scene.wait("frozen in its stage", lambda s: bool(scene.condition("ReleaseWindowOpen")))
        assert (held["state"], stage_name(held), held["weight"]) == ("Observing", "some", "50 %")
        promote(scene)
        scene.wait("due", lambda _: scene.condition("Ready")["reason"] == "Frozen")
        scene.models["v2"].set_behaviour(failure_fraction=0.8)
        stopped = scene.wait_state("Stopped")
    assert stopped["stop"]["reason"] == "GateFailed"
    assert len(raised(scene)) == 1
    kinds = [record["kind"] for record in scene.records()]
    assert kinds[-2:] == ["Tightened", "Reverted"]
