"""Approvals on the real API server: what does not count, who is told what to do, and what lets traffic rise."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.errors import ApiError
from modelrelease.sandbox.gateway import GATEWAY_NAME, GATEWAY_NAMESPACE
from modelrelease.sandbox.load import LoadThread
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import Scene, _load, project_folder
from tests.api.objects import ZEROS, bind, create, unbind
from tests.e2e.lanes import events, stage, stage_name
from tests.e2e.people import Person
from tests.e2e.test_people import approver
from tests.faults.history import route_states, top

Json = dict[str, Any]

POLICY_PATH = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/modelrelease-decisions"
ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes"
SECOND_S = 1.1
"""Objects know the second in which they were made: later than one in the same second is nobody."""
MARGIN_S = 4.0
"""More than a decision must be newer than the policy, in whole seconds."""


@pytest.fixture
def people(scene: Scene) -> dict[str, Person]:
    """Carol approves for risk through her group, bob as product owner, dave develops, alice is on call."""
    sandbox, namespace = scene.sandbox, scene.namespace
    for role in ("risk", "product-owner"):
        approver(sandbox, role)
    sandbox.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "risk-team", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "approve-risk"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "risk"}],
        }
    )
    bind(sandbox, namespace, "bob", "approve-product-owner")
    bind(sandbox, namespace, "dave", "approve-risk")
    for role in ("modelrelease-edit", "modelrelease-view"):
        bind(sandbox, namespace, "dave", role)
    for role in ("modelrelease-decide", "modelrelease-view", "modelrelease-revoke"):
        bind(sandbox, namespace, "alice", role)
    return {name: Person(sandbox, name, namespace) for name in ("alice", "bob", "carol", "dave", "mallory")}


@pytest.fixture
def policy(installed: Sandbox) -> Iterator[Callable[[bool], None]]:
    """Takes the policy of decisions away, and puts it back again; it is there in the end."""
    manifest = _load(project_folder("manifests") / "admission" / "decisions.yaml")

    def put(there: bool) -> None:
        if there:
            installed.apply(manifest)
        else:
            installed.client().delete(POLICY_PATH)

    yield put
    put(True)


def approval(scene: Scene, user: str, role: str, **more: Any) -> Json:
    """An approval of what is asked now, with `more` in other words."""
    status = scene.read()["status"]
    spec = {
        "releaseRef": {"name": scene.name, "uid": scene.read()["metadata"]["uid"]},
        "action": "Approve",
        "author": user,
        "reason": "I looked at it",
        "role": role,
        "stage": "full",
        "digest": status["candidate"]["digest"],
        "planDigest": status["planDigest"],
        "evidenceDigest": status["evidenceDigest"],
    }
    metadata = {"name": f"{role}-{time.monotonic_ns()}", "namespace": scene.namespace}
    doc = {"apiVersion": "modelrelease.dev/v1alpha1", "kind": "ReleaseDecision", "metadata": metadata}
    return {**doc, "spec": {field: value for field, value in {**spec, **more}.items() if value is not None}}


def say(scene: Scene, user: str, role: str, **more: Any) -> Json:
    return create(scene.sandbox.client(user), approval(scene, user, role, **more))


def refused_by_the_api_server(scene: Scene, user: str, role: str, **more: Any) -> str:
    with pytest.raises(ApiError) as refused:
        say(scene, user, role, **more)
    assert refused.value.status == 403
    return refused.value.message


def told(scene: Scene, said: Json, *words: str) -> str:
    """What the condition tells about a decision that does not count."""

    def there(_: Json) -> bool:
        message = scene.condition("DecisionRefused").get("message", "")
        return said["metadata"]["name"] in message and all(word in message for word in words)

    scene.wait(f"{words} about {said['metadata']['name']}", there)
    return str(scene.condition("DecisionRefused")["message"])


def waits_for(scene: Scene, role: str) -> None:
    """The stage is as it was, and that role is asked."""
    status = scene.wait(role, lambda s: f"approval by {role}" in scene.condition("AwaitingApproval").get("message", ""))
    assert stage_name(status) == "some"


def propose(scene: Scene) -> str:
    """Dave releases v2; gives back its revision when nothing but approvals is missing."""
    matrix = {
        "roles": [{"name": "risk", "stages": ["full"]}, {"name": "product-owner", "accountable": True}],
        "fourEyes": True,
        "notify": ["risk-team"],
        "lookAt": ["the red-team report"],
    }
    manifest = scene.manifest("v2", stages=[stage("some", 20), stage("full", 100, require="NoHarm")])
    manifest["spec"]["approvals"] = matrix
    scene.sandbox.apply(manifest, user="dave")
    status = scene.wait("the request", lambda s: bool((s.get("approval") or {}).get("since")))
    assert stage_name(status) == "some"
    return str(status["candidate"]["revision"])


def test_nothing_counts_but_what_the_right_people_say_about_this_very_thing(
    shared_operator: Part, scene: Scene, people: dict[str, Person], policy: Callable[[bool], None]
) -> None:
    scene.settle()
    with LoadThread(scene.load(40)):
        revision = propose(scene)
        request = scene.status()["approval"]
        assert [(one["role"], one.get("accountable", False)) for one in request["asked"]] == [
            ("risk", False),
            ("product-owner", True),
        ]
        assert request["notify"] == ["risk-team"]
        assert request["lookAt"] == ["the red-team report"]
        shown = people["carol"].does("status", "chat")
        assert "the red-team report" in shown and "risk (stage full): missing" in shown
        assert "product-owner (last)" in people["bob"].does("approvals")

        # At admission: another's name, no right, the operator's own account.
        assert 'you are logged in as "carol"' in refused_by_the_api_server(scene, "carol", "risk", author="bob")
        assert "modelreleases/product-owner" in refused_by_the_api_server(scene, "carol", "product-owner")
        operator = "system:serviceaccount:modelrelease-system:modelrelease-operator"
        assert "the operator decides nothing" in refused_by_the_api_server(scene, operator, "risk")
        stranger = people["mallory"].types("approve", "chat", "--yes", "--role", "risk", "--reason", "trust me")
        assert stranger.code == 4

        # Said by the right person about something else, or too late, or about what they changed themselves.
        for more, words in (
            ({"releaseRef": {"name": "chat", "uid": "another"}}, "another ModelRelease object"),
            ({"digest": ZEROS}, "about unit 0000000000"),
            ({"planDigest": ZEROS}, "about plan 0000000000"),
            ({"evidenceDigest": ZEROS}, "evidence that was shown"),
            ({"stage": "some"}, "it is for stage some and stage full is waited for"),
            ({"expiresAt": "2020-01-01T00:00:00Z"}, "it ran out at 2020-01-01"),
        ):
            told(
                scene, say(scene, "carol", "risk", **more), words, "modelrelease approve chat --role risk --stage full"
            )
        own = say(scene, "dave", "risk")
        told(scene, own, "dave changed this release", "somebody else must approve")
        time.sleep(SECOND_S)
        early = say(scene, "bob", "product-owner")
        told(scene, early, "product-owner decides last: approve again once the others have")
        with pytest.raises(ApiError, match="immutable"):
            scene.sandbox.client().patch(scene.sandbox.client().path_of(own), {"spec": {"author": "carol"}})
        waits_for(scene, "risk")

        # Taken back before it was used.
        good = say(scene, "carol", "risk")
        waits_for(scene, "product-owner")
        scene.sandbox.client("alice").delete(scene.sandbox.client().path_of(good))
        waits_for(scene, "risk")
        assert max(top(state, revision) for state in states(scene)) == 200

        # The policy is taken away in between: nobody can tell any more who said what.
        before = say(scene, "carol", "risk")
        waits_for(scene, "product-owner")
        policy(False)
        time.sleep(MARGIN_S / 2)
        blind = say(scene, "bob", "product-owner")
        told(scene, blind, "admission policy modelrelease-decisions", "say it again")
        policy(True)
        time.sleep(MARGIN_S)
        say(scene, "bob", "product-owner")
        told(scene, before, "was changed at", "say it again")
        waits_for(scene, "risk")
        assert max(top(state, revision) for state in states(scene)) == 200

        people["carol"].does("approve", "chat", "--yes", "--role", "risk", "--reason", "the report is fine")
        waits_for(scene, "product-owner")
        time.sleep(SECOND_S)
        people["bob"].does("approve", "chat", "--yes", "--role", "product-owner", "--reason", "go")
        scene.wait_state("Settled")
    raised = [record["body"] for record in scene.records() if record["kind"] == "Raised"][-1]
    assert [(said["author"], said["role"]) for said in raised["decisions"]] == [
        ("carol", "risk"),
        ("bob", "product-owner"),
    ]
    assert any(reason == "DecisionRefused" and own["metadata"]["name"] in note for reason, note in events(scene))


def test_a_right_that_was_withdrawn_does_not_count_any_more_and_a_rejection_ends_it(
    shared_operator: Part, scene: Scene, people: dict[str, Person]
) -> None:
    scene.settle()
    with LoadThread(scene.load(40)):
        revision = propose(scene)
        said = say(scene, "carol", "risk")
        waits_for(scene, "product-owner")
        right = ("carol", "approve", "modelrelease.dev", "modelreleases/risk")
        unbind(scene.sandbox, scene.namespace, "risk-team", *right)
        time.sleep(MARGIN_S)
        say(scene, "bob", "product-owner")
        message = told(scene, said, "carol may not (or no longer) approve in this role")
        assert "ask for verb approve on modelreleases/risk" in message
        assert max(top(state, revision) for state in states(scene)) == 200
        no_terminal = people["bob"].types("reject", "chat", "--role", "product-owner", "--reason", "no")
        people["bob"].does("reject", "chat", "--yes", "--role", "product-owner", "--reason", "the tone is wrong")
        stopped = scene.wait_state("Stopped")
    assert no_terminal.code == 2
    assert "there is no terminal to ask on" in no_terminal.err
    assert (stopped["stop"]["reason"], stopped["stop"]["message"]) == (
        "Rejected",
        "rejected by bob as product-owner: the tone is wrong",
    )
    assert top(states(scene)[-1], revision) == 0
    assert stopped["candidate"]["digest"] in stopped["stopped"]


def test_the_whole_release_waits_at_its_door_and_a_window_that_runs_out_rejects_it(
    shared_operator: Part, scene: Scene, people: dict[str, Person]
) -> None:
    scene.settle()
    manifest = scene.manifest("v2", stages=[stage("some", 20), stage("full", 100, require="NoHarm")])
    manifest["spec"]["approvals"] = {
        "roles": [{"name": "risk"}, {"name": "product-owner", "accountable": True}],
        "window": {"length": "20s", "atEnd": "Reject"},
    }
    with LoadThread(scene.load(40)):
        scene.sandbox.apply(manifest)
        status = scene.wait("the request", lambda s: bool((s.get("approval") or {}).get("until")))
        assert (status["state"], status["approval"]["asked"]) == ("Preparing", [{"role": "risk"}])
        say(scene, "carol", "risk", stage=None)
        scene.wait("some", lambda s: stage_name(s) == "some")
        stopped = scene.wait_state("Stopped")
    assert stopped["stop"]["reason"] == "Rejected"
    assert "not approved in time by product-owner" in stopped["stop"]["message"]


def states(scene: Scene) -> list[Any]:
    return route_states(scene.sandbox.audit_events(), scene.namespace, scene.name)


def test_nobody_sees_a_first_install_before_everybody_who_is_asked_said_yes(
    shared_operator: Part, scene: Scene, people: dict[str, Person]
) -> None:
    fresh = Scene(scene.sandbox, scene.namespace, name="fresh")
    owned = {"gatewayRefs": [{"name": GATEWAY_NAME, "namespace": GATEWAY_NAMESPACE}], "hostnames": ["fresh.local"]}
    manifest = fresh.manifest("v1", backend="chat-v1")
    manifest["spec"]["traffic"] = {**owned, "segments": manifest["spec"]["traffic"]["segments"]}
    manifest["spec"]["approvals"] = {"roles": [{"name": "risk"}, {"name": "product-owner", "accountable": True}]}
    scene.sandbox.apply(manifest, user="dave")

    def asked(role: str) -> None:
        fresh.wait(role, lambda s: f"approval by {role}" in fresh.condition("AwaitingApproval").get("message", ""))
        routes = scene.sandbox.client().get(ROUTES.format(scene.namespace))["items"]
        assert [route["metadata"]["name"] for route in routes] == ["chat"]

    asked("risk, product-owner (last)")
    people["carol"].does("approve", "fresh", "--yes", "--role", "risk", "--reason", "the red team found nothing")
    asked("product-owner (last)")
    people["bob"].does("reject", "fresh", "--yes", "--role", "product-owner", "--reason", "not before the fair")
    fresh.wait("Stopped", lambda s: "not before the fair" in fresh.condition("Stalled").get("message", ""))

    manifest["spec"]["unit"]["version"] = "v1.1"
    scene.sandbox.apply(manifest, user="dave")
    asked("risk, product-owner (last)")
    people["carol"].does("approve", "fresh", "--yes", "--role", "risk", "--reason", "the same but for its name")
    time.sleep(SECOND_S)
    people["bob"].does("approve", "fresh", "--yes", "--role", "product-owner", "--reason", "the fair is over")
    fresh.wait_state("Settled")
    rejected, installed = fresh.records()
    assert (rejected["kind"], rejected["body"]["stopped"]["version"]) == ("Aborted", "v1")
    assert [(one["author"], one["role"]) for one in installed["body"]["decisions"]] == [
        ("carol", "risk"),
        ("bob", "product-owner"),
    ]
