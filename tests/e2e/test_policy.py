"""Policies on the cluster: a tier cannot be talked down, a policy tightens at once and loosens by approval only."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from modelrelease.sandbox.errors import ApiError
from modelrelease.sandbox.load import LoadThread
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import Scene
from tests.api.objects import bind
from tests.e2e.lanes import UNTIL_PROMOTED, promote, stage, stage_name
from tests.e2e.people import Person
from tests.e2e.test_people import approver

Json = dict[str, Any]
SHORT: Json = {"minDuration": "2s", "minSamples": 1}
SOME = stage("some", 20)
Put = Callable[..., str]
PATH = "/apis/modelrelease.dev/v1alpha1/releasepolicies"
MODELS = {version: {"name": "support", "version": version, "digest": f"sha256:{version[1] * 64}"} for version in
          ("v1", "v2")}  # fmt: skip


@pytest.fixture
def put(scene: Scene) -> Iterator[Put]:
    """Apply a ReleasePolicy for the test's namespace alone; gone afterwards."""
    made: set[str] = set()

    def policy(name: str = "strict", **spec: Any) -> str:
        full_name = f"{scene.namespace}-{name}"
        selector = {"matchLabels": {"kubernetes.io/metadata.name": scene.namespace}}
        scene.sandbox.apply(
            {
                "apiVersion": "modelrelease.dev/v1alpha1",
                "kind": "ReleasePolicy",
                "metadata": {"name": full_name},
                "spec": {"namespaceSelector": selector, **spec},
            }
        )
        made.add(full_name)
        return full_name

    yield policy
    for name in made:
        scene.sandbox.client().delete(f"{PATH}/{name}")


def tiers(**last: Any) -> Json:
    """High: a pilot in low-criticality traffic, half of all, everything; `last` says more of that last stage."""
    stages = [
        {"name": "pilot", "exposure": [{"segment": "low-criticality", "percent": "2"}], **SHORT},
        {"name": "half", "exposure": [{"percent": "50"}], **SHORT},
        {"name": "full", "exposure": [{"percent": "100"}], "require": "NoHarm", **last},
    ]
    return {"low": {}, "high": {"stages": stages, "watch": "1h"}}


def release(scene: Scene, version: str, *, some: Mapping[str, Any] = MappingProxyType({}), **spec: Any) -> None:
    """A unit that names its model; its author calls it low, and steps are two seconds long.

    `some` says more of the stage of that name.
    """
    stages = [{**SOME, **some}, {"name": "all", "exposure": [{"percent": "100"}], "require": "NoHarm"}]
    made = scene.manifest(version, stages=stages, unit={"model": MODELS[version]})
    made["spec"] |= {"risk": "Low", **spec}
    scene.sandbox.apply(made)


def test_a_new_model_that_is_called_low_goes_the_path_of_high(shared_operator: Part, scene: Scene, put: Put) -> None:
    name = put(tiers=tiers())
    release(scene, "v1")
    scene.wait_state("Settled")
    with LoadThread(scene.load(100)):
        release(scene, "v2")
        status = scene.wait_state("Watching")
    assert status["tier"] == "High"
    assert status["policy"]["name"] == name
    assert status["policy"]["reasons"] == [
        "unit.model changed (support v1 to support v2): at least High",
        "spec.risk says Low: at least Low",
    ]
    records = scene.records()
    assert [each["body"]["stage"] for each in records if each["kind"] == "Raised"] == ["pilot", "some", "all"]
    (started,) = [each["body"] for each in records if each["kind"] == "Started"]
    assert started["tier"] == "High" and started["policy"] == {"name": name, "digest": status["policy"]["digest"]}
    assert scene.condition("PolicySatisfied")["status"] == "True"


def test_a_prompt_that_changes_under_the_same_policy_goes_the_short_path(
    shared_operator: Part, scene: Scene, put: Put
) -> None:
    put(tiers=tiers())
    unit = {"model": MODELS["v1"]}
    for number in ("1", "2"):
        made = scene.manifest(f"p{number}", backend="chat-v1", unit={**unit, "prompt": _prompt(number)},
                              stages=[stage("some", 20), stage("all", 100, require="NoHarm")])  # fmt: skip
        scene.sandbox.apply(made)
        if number == "1":
            scene.wait_state("Settled")
    status = scene.wait("tier", lambda s: bool(s.get("candidate")))
    assert status["tier"] == "Low"
    assert [each["name"] for each in status["plan"]["stages"]] == ["some", "all"]


def test_a_policy_tightens_in_mid_rollout_and_loosens_by_approval_only(
    shared_operator: Part, scene: Scene, put: Put
) -> None:
    put(tiers=tiers(), looseningApprovals=["risk"])
    release(scene, "v1")
    scene.wait_state("Settled")
    with LoadThread(scene.load(100)):
        release(scene, "v2", some={"minDuration": UNTIL_PROMOTED})
        scene.wait("some", lambda s: stage_name(s) == "some")
        put(tiers=tiers(approvals=["owner"]), looseningApprovals=["risk"])
        scene.wait("tightened", lambda _: "Tightened" in [record["kind"] for record in scene.records()])
        promote(scene)
        held = scene.wait("approval", lambda s: bool(scene.condition("AwaitingApproval")))
        put(tiers=tiers(), looseningApprovals=["risk"])
        waiting = scene.wait("pending", lambda s: "pending" in (s.get("policy") or {}))
        told = scene.condition("PolicyPending")
        still = scene.status()
        refused = _person(scene, "mallory", "canteen").types(
            "approve", "chat", "--yes", "--role", "risk", "--policy-change", "--reason", "hurry"
        )
        _person(scene, "bob", "risk").does(
            "approve",
            "chat",
            "--yes",
            "--role",
            "risk",
            "--policy-change",
            "--reason",
            "the owner is away; risk agrees",
        )
        scene.wait_state("Watching")
    assert held["plan"]["stages"][-1]["approvals"] == ["owner"]
    assert waiting["policy"]["pending"]["approvals"] == ["risk"]
    assert waiting["policy"]["pending"]["differences"] == ["stage all: approvals none instead of owner"]
    assert "modelrelease approve chat --role risk --policy-change" in told["message"]
    assert stage_name(still) == "some" and still["planDigest"] == waiting["planDigest"]
    assert refused.code != 0 and "risk" in refused.err
    kinds = [record["kind"] for record in scene.records()]
    assert kinds[kinds.index("Tightened") :] == ["Tightened", "Loosened", "Raised", "Completed"]
    loosened = next(record["body"] for record in scene.records() if record["kind"] == "Loosened")
    assert [each["author"] for each in loosened["decisions"]] == ["bob"]


def test_two_policies_of_equal_priority_are_told_and_nothing_starts(
    shared_operator: Part, scene: Scene, put: Put
) -> None:
    release(scene, "v1")
    scene.wait_state("Settled")
    one, other = put("one", tiers={}), put("other", tiers={})
    release(scene, "v2")
    scene.wait("ambiguous", lambda s: scene.condition("Ready").get("reason") == "PolicyAmbiguous")
    said, state = scene.condition("Ready"), scene.status()["state"]
    put("other", tiers=tiers(), priority=1)
    status = scene.wait("a candidate", lambda s: bool(s.get("candidate")))
    assert said["status"] == "False" and state == "Settled"
    assert (
        f"ReleasePolicies {one} and {other} both select namespace {scene.namespace} with priority 0" in said["message"]
    )
    assert "give one of them a higher spec.priority" in said["message"]
    assert status["policy"]["name"] == other


def test_a_release_below_its_tier_is_told_at_rest_and_held_when_it_changes(
    shared_operator: Part, scene: Scene, put: Put
) -> None:
    release(scene, "v1")
    scene.wait_state("Settled")
    gate = {"name": "errors-absolute", "template": "gateway-error-rate", "max": "0.01"}
    name = put(tiers={"low": {"gates": [gate]}})
    scene.wait("told", lambda s: bool(scene.condition("PolicySatisfied")))
    told, ready = scene.condition("PolicySatisfied"), scene.condition("Ready")
    release(scene, "v2")
    scene.wait("held", lambda s: scene.condition("Ready").get("reason") == "BelowTier")
    message = scene.condition("Ready")["message"]
    assert (told["status"], ready["status"]) == ("False", "True"), "what serves already goes on"
    assert message == told["message"]
    by = f"gate errors-absolute of tier Low of ReleasePolicy {name}"
    assert message == f"spec.gates[1].max (errors-absolute): 0.05 is looser; write at most 0.01, as {by} asks"


def test_who_writes_releases_cannot_write_policies(scene: Scene) -> None:
    bind(scene.sandbox, scene.namespace, "alice", "modelrelease-edit")
    policy = {"apiVersion": "modelrelease.dev/v1alpha1", "kind": "ReleasePolicy", "metadata": {"name": "mine"},
              "spec": {"tiers": {}}}  # fmt: skip
    with pytest.raises(ApiError) as refused:
        scene.sandbox.client("alice").create(PATH, policy)
    assert refused.value.status == 403


def _prompt(version: str) -> Json:
    return {"version": version, "digest": f"sha256:{version * 64}"}


def _person(scene: Scene, user: str, role: str) -> Person:
    approver(scene.sandbox, role)
    bind(scene.sandbox, scene.namespace, user, f"approve-{role}")
    return Person(scene.sandbox, user, scene.namespace)
