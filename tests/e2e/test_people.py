"""What people decide, through the command line and with their own accounts: it counts, it is recorded, it is theirs."""

import time
from typing import Any

import pytest

from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.load import LoadThread, servers_of
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import Scene
from tests.api.objects import bind
from tests.e2e.lanes import stage, stage_name
from tests.e2e.people import Person
from tests.faults.history import assert_order, assert_stays_down, route_states

Json = dict[str, Any]


@pytest.fixture
def alice(scene: Scene) -> Person:
    """On call: may pause, resume, promote, abort and retry."""
    for role in ("modelrelease-decide", "modelrelease-view"):
        bind(scene.sandbox, scene.namespace, "alice", role)
    return Person(scene.sandbox, "alice", scene.namespace)


@pytest.fixture
def bob(scene: Scene) -> Person:
    """May approve as product owner, and nothing else."""
    approver(scene.sandbox, "product-owner")
    bind(scene.sandbox, scene.namespace, "bob", "approve-product-owner")
    return Person(scene.sandbox, "bob", scene.namespace)


@pytest.fixture
def mallory(scene: Scene) -> Person:
    """May approve as `canteen`, a role that no stage asks for."""
    approver(scene.sandbox, "canteen")
    bind(scene.sandbox, scene.namespace, "mallory", "approve-canteen")
    return Person(scene.sandbox, "mallory", scene.namespace)


def approver(sandbox: Sandbox, role: str) -> None:
    """The ClusterRole of examples/approver-role.yaml for a role."""
    decisions = {"apiGroups": ["modelrelease.dev"], "resources": ["releasedecisions"], "verbs": ["create"]}
    reading = {"apiGroups": ["modelrelease.dev"], "resources": ["modelreleases"], "verbs": ["get", "list", "watch"]}
    approving = {"apiGroups": ["modelrelease.dev"], "resources": [f"modelreleases/{role}"], "verbs": ["approve"]}
    sandbox.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": f"approve-{role}"},
            "rules": [approving, decisions, reading],
        }
    )


def test_pause_holds_a_due_raise_and_resume_lets_it_go_on(shared_operator: Part, scene: Scene, alice: Person) -> None:
    scene.settle()
    scene.release("v2", stages=[stage("few", 5), stage("full", 100, require="NoHarm")])
    scene.wait("few, without the one request that it needs", lambda s: stage_name(s) == "few")
    said = alice.does("pause", "chat", "--reason", "the cache is cold")
    scene.wait("paused", lambda s: bool(s.get("pausedBy")))
    with LoadThread(scene.load(60)) as load:
        scene.wait("an answer of v2", lambda _: servers_of(load.samples)["v2"] > 0)
        time.sleep(6)
        assert stage_name(scene.status()) == "few"
        paused = scene.condition("Paused")
        shown = alice.does("status", "chat")
        alice.does("resume", "chat", "--reason", "it is warm now")
        status = scene.wait_state("Settled")
    assert "Pause" in said and "the cache is cold" in said
    assert paused["status"] == "True"
    assert paused["message"] == "paused by alice: the cache is cold"
    assert "paused by alice: the cache is cold" in shown
    assert status["stable"]["version"] == "v2"
    assert not scene.condition("Paused")
    by_kind = {record["kind"]: record["body"] for record in scene.records()}
    for kind, reason in (("Paused", "the cache is cold"), ("Resumed", "it is warm now")):
        [decision] = by_kind[kind]["decisions"]
        assert (decision["author"], decision["reason"]) == ("alice", reason)
    history = alice.does("history", "chat")
    assert "paused by alice: the cache is cold" in history


def test_a_paused_candidate_is_still_taken_back_and_a_retry_begins_at_the_first_stage_and_an_abort_is_final(
    shared_operator: Part, scene: Scene, alice: Person
) -> None:
    scene.settle()
    stages = [stage("some", 20), stage("most", 50, minDuration="600s"), stage("full", 100, require="NoHarm")]
    with LoadThread(scene.load(80)):
        scene.release("v2", stages=stages)
        scene.wait("most", lambda s: stage_name(s) == "most")
        alice.does("pause", "chat", "--reason", "lunch")
        scene.wait("paused", lambda s: bool(s.get("pausedBy")))
        scene.models["v2"].set_behaviour(failure_fraction=0.8)
        failed = scene.wait_state("Stopped")
        assert failed["stop"]["reason"] == "GateFailed"
        states = route_states(scene.sandbox.audit_events(), scene.namespace, scene.name)
        assert_stays_down(states, failed["candidate"]["revision"], failed["candidate"]["digest"])

        scene.models["v2"].set_behaviour(failure_fraction=0.0)
        alice.does("resume", "chat", "--reason", "lunch is over")
        alice.does("retry", "chat", "--reason", "a broken disk was replaced")
        scene.wait("in a stage again", lambda s: s.get("state") == "Observing")
        assert raised_since_retry(scene)[0] == "some"
        alice.does("abort", "chat", "--reason", "changed my mind")
        aborted = scene.wait_state("Stopped")
    assert aborted["stop"]["reason"] == "Aborted"
    assert aborted["stop"]["message"] == "aborted by alice: changed my mind"
    ready = scene.condition("Ready")
    assert ready["status"] == "False"
    assert "aborted by alice: changed my mind" in ready["message"]
    scene.release("v2", stages=stages)
    scene.sandbox.client().patch(
        f"/apis/modelrelease.dev/v1alpha1/namespaces/{scene.namespace}/modelreleases/chat",
        {"metadata": {"labels": {"touched": "yes"}}},
    )
    time.sleep(2)
    assert scene.status()["state"] == "Stopped"
    states = route_states(scene.sandbox.audit_events(), scene.namespace, scene.name)
    assert_order(states, aborted["candidate"]["revision"], [200, 500, 1000])
    assert max(states[-1].share(aborted["candidate"]["revision"]).values(), default=0) == 0
    records = {record["kind"]: record["body"] for record in scene.records()}
    assert records["Retried"]["decisions"][0]["author"] == "alice"
    assert records["Aborted"]["decisions"][0]["reason"] == "changed my mind"


def raised_since_retry(scene: Scene) -> list[str]:
    """The stages that were begun since somebody said Retry."""
    kinds = [record["kind"] for record in scene.records()]
    since = scene.records()[kinds.index("Retried") :]
    return [record["body"]["stage"] for record in since if record["kind"] == "Raised"]


def test_promote_shortens_waiting_only_and_the_last_stage_waits_for_its_approval(
    shared_operator: Part, scene: Scene, alice: Person, bob: Person, mallory: Person
) -> None:
    scene.settle()
    stages = [
        stage("some", 50, minDuration="600s", minSamples=200),
        stage("full", 100, require="NoHarm", approvals=["product-owner"]),
    ]
    scene.release("v2", stages=stages)
    scene.wait("some", lambda s: stage_name(s) == "some")
    alice.does("promote", "chat", "--reason", "the campaign starts at noon")
    waits = scene.wait("samples still count", lambda s: scene.condition("Ready")["reason"] == "InsufficientTraffic")
    assert stage_name(waits) == "some"
    with LoadThread(scene.load(40)):
        scene.wait("approval", lambda s: scene.condition("AwaitingApproval").get("status") == "True")
        asked = scene.condition("AwaitingApproval")["message"]
        assert "product-owner" in asked
        assert "modelrelease approve chat --role product-owner --stage full" in asked
        too_much = alice.types("approve", "chat", "--yes", "--role", "product-owner", "--reason", "I am in a hurry")
        forged = mallory.types("approve", "chat", "--yes", "--role", "product-owner", "--reason", "trust me")
        wrong_role = mallory.types("approve", "chat", "--yes", "--role", "canteen", "--reason", "tastes good")
        time.sleep(2)
        assert stage_name(scene.status()) == "some"
        bob.does("approve", "chat", "--yes", "--role", "product-owner", "--reason", "numbers look right")
        scene.wait_state("Settled")
    for answer in (too_much, forged):
        assert answer.code == 4
        assert "may not decide about ModelRelease chat" in answer.err
        assert "verb approve on modelreleases/product-owner" in answer.err
    assert wrong_role.code == 0
    raised = [record["body"] for record in scene.records() if record["kind"] == "Raised"][-1]
    said = {decision["action"]: decision for decision in raised["decisions"]}
    assert (said["Approve"]["author"], said["Approve"]["role"]) == ("bob", "product-owner")
    assert said["Promote"]["author"] == "alice"
    assert not scene.condition("AwaitingApproval")


def test_the_command_line_says_what_is_wrong_and_what_to_do(
    shared_operator: Part, scene: Scene, alice: Person, mallory: Person
) -> None:
    scene.settle()
    denied = mallory.types("pause", "chat", "--reason", "no reason")
    assert denied.code == 4
    assert '"mallory" may not pause ModelRelease chat' in denied.err
    assert "ClusterRole modelrelease-decide" in denied.err
    assert "Traceback" not in denied.err
    missing = alice.types("pause", "chit", "--reason", "typo")
    assert missing.code == 3
    assert "chit" in missing.err
    nothing = alice.types("abort", "chat", "--reason", "just in case")
    assert nothing.code == 1
    assert "no candidate under way" in nothing.err
    no_reason = alice.types("pause", "chat")
    assert no_reason.code == 2
    assert "--reason" in no_reason.err
    stranger = Person(scene.sandbox, "dave", scene.namespace).types("status", "chat")
    assert stranger.code == 4
    assert "dave" in stranger.err
    print(denied, missing, nothing, no_reason, stranger, sep="\n")
