"""Whose word counts on the real API server: a risk accepted for a time, what a GitOps account applies for others."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from modelrelease.sandbox.kube import KubeClient
from modelrelease.sandbox.load import LoadThread
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import Scene
from tests.api.objects import bind
from tests.api.test_admission import allowed
from tests.e2e.lanes import observing, stage, stage_name
from tests.e2e.test_entry import typed
from tests.e2e.test_people import approver
from tests.faults.history import route_states, top

Json = dict[str, Any]

AUTHOR = "example.com/author"
TINY = {"name": "tiny", "template": "gateway-error-rate", "max": "0.0005"}
"""Holds on perfect traffic, too: thousands of requests are needed to prove so little."""


def allow(scene: Scene, user: str, *roles: str) -> None:
    for role in roles:
        bind(scene.sandbox, scene.namespace, user, role)


def does(scene: Scene, user: str, *words: str) -> str:
    """What a command says that has to succeed."""
    answer = typed(scene, user, *words)
    assert answer.exit_code == 0, answer.stderr
    return answer.stdout


def highest(scene: Scene, revision: str) -> int:
    """The largest share that a unit ever had, in tenths of a percent."""
    states = route_states(scene.sandbox.audit_events(), scene.namespace, scene.name)
    return max(top(state, revision) for state in states)


def held(scene: Scene, reason: str, says: str) -> None:
    def there(_: Json) -> bool:
        ready = scene.condition("Ready")
        return ready["reason"] == reason and says in ready["message"]

    scene.wait(f"{reason}: {says}", there)


def test_an_accepted_risk_lets_one_stage_begin_and_counts_no_longer_than_it_says(
    shared_operator: Part, scene: Scene
) -> None:
    allow(scene, "carol", "modelrelease-accept-risk", "modelrelease-view")
    allow(scene, "alice", "modelrelease-decide", "modelrelease-view")
    scene.settle()
    path = [
        stage("some", 20),
        stage("half", 50, require="Proven", minDuration="21s"),
        stage("full", 100, require="NoHarm"),
    ]
    accept = ("accept-risk", "chat", "--yes", "--gate", "tiny", "--reason", "so rare that we answer by hand")
    with LoadThread(scene.load(40)):
        scene.release("v2", stages=path, gates=[TINY])
        observing(scene, "some")
        held(scene, "NotProven", "tiny")
        without_the_right = typed(scene, "alice", *accept)
        assert without_the_right.exit_code == 4
        assert "verb acceptrisk on modelreleases" in without_the_right.stderr
        revision = scene.status()["candidate"]["revision"]
        assert highest(scene, revision) == 200

        said = does(scene, "carol", *accept, "--until", "20s")
        observing(scene, "half")
        shown = scene.condition("RiskAccepted")
        assert "gate tiny undecided before stage half, accepted by carol" in shown["message"]
        held(scene, "RiskAcceptanceEnded", "wait for proof, or accept it again: modelrelease accept-risk chat")
        assert not scene.condition("RiskAccepted")
        assert (stage_name(scene.status()), highest(scene, revision)) == ("half", 500)
        again = does(scene, "carol", *accept, "--until", "10m")
        scene.wait_state("Settled")
    by_stage = {r["body"]["stage"]: r["body"] for r in scene.records() if r["kind"] == "Raised"}
    assert not by_stage["some"]["decisions"]
    for name, words in (("half", said), ("full", again)):
        [decision] = by_stage[name]["decisions"]
        assert (decision["action"], decision["author"]) == ("AcceptRisk", "carol")
        assert decision["name"] in words


@pytest.fixture
def gitops(scene: Scene) -> KubeClient:
    """A service account that applies releases in the test's namespace, with a token of its own."""
    admin, where = scene.sandbox.client(), {"name": "syncer", "namespace": scene.namespace}
    admin.apply([{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": where}])
    bind(scene.sandbox, scene.namespace, account(scene), "modelrelease-edit")
    path = f"/api/v1/namespaces/{scene.namespace}/serviceaccounts/syncer/token"
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    token = admin.create(path, asked)["status"]["token"]
    return KubeClient(scene.sandbox.api_url, ca_file=scene.sandbox.ca_file, token=token)


def account(scene: Scene) -> str:
    return f"system:serviceaccount:{scene.namespace}:syncer"


@pytest.fixture
def policy(scene: Scene) -> Iterator[None]:
    """Four eyes in each tier, and an annotation in which the GitOps account says who wrote what it applies."""
    matrix = {
        "roles": [{"name": "risk", "accountable": True}],
        "fourEyes": True,
        "gitOps": [{"username": account(scene), "authorAnnotation": AUTHOR}],
    }
    doc = {
        "apiVersion": "modelrelease.dev/v1alpha1",
        "kind": "ReleasePolicy",
        "metadata": {"name": f"{scene.namespace}-eyes"},
        "spec": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": scene.namespace}},
            "tiers": {"low": {"approvals": matrix}},
        },
    }
    scene.sandbox.apply(doc)
    yield
    scene.sandbox.client().delete(scene.sandbox.client().path_of(doc))


def synced(scene: Scene, client: KubeClient, version: str, backend: str, annotations: Mapping[str, str]) -> Json:
    """The account applies what git says; the status when nothing but people is missing."""
    made = scene.manifest(version, backend=backend, stages=[stage("some", 20), stage("full", 100, require="NoHarm")])
    made["metadata"]["annotations"] = dict(annotations)
    allowed(lambda: client.apply([made]))

    def asked(status: Json) -> bool:
        return (status.get("candidate") or {}).get("version") == version and bool(
            (status.get("approval") or {}).get("since")
        )

    return scene.wait(f"people are asked about {version}", asked)


def says(scene: Scene, condition: str, words: str) -> Callable[[Json], bool]:
    return lambda _: words in scene.condition(condition).get("message", "")


def test_four_eyes_know_who_wrote_what_a_gitops_account_applied_or_ask_two_people(
    shared_operator: Part, scene: Scene, gitops: KubeClient, policy: None
) -> None:
    approver(scene.sandbox, "risk")
    for name in ("carol", "bob", "dave"):
        allow(scene, name, "approve-risk", "modelrelease-view")
    yes = ("approve", "chat", "--yes", "--role", "risk", "--reason", "I have read it")
    scene.settle()
    with LoadThread(scene.load(40)):
        status = synced(scene, gitops, "v2", "chat-v2", {AUTHOR: "dave"})
        assert status["changedBy"] == ["dave"]
        assert scene.read()["metadata"]["annotations"]["modelrelease.dev/changed-by"] == account(scene)
        does(scene, "dave", *yes)
        scene.wait("dave is told", says(scene, "DecisionRefused", "dave changed this release"))
        assert highest(scene, status["candidate"]["revision"]) == 200
        does(scene, "carol", *yes)
        scene.wait_state("Settled")

        status = synced(scene, gitops, "v3", "chat-v1", {})
        assert status["changedBy"] == [""]
        does(scene, "carol", *yes)
        second = "by a second person, because who changed it is not known"
        scene.wait("two are asked", says(scene, "AwaitingApproval", second))
        assert scene.status()["approval"]["secondPerson"] is True
        time.sleep(2)
        assert highest(scene, status["candidate"]["revision"]) == 200
        does(scene, "bob", *yes)
        assert scene.wait_state("Settled")["stable"]["version"] == "v3"
    raised = [r["body"] for r in scene.records() if r["kind"] == "Raised" and r["body"]["stage"] == "full"]
    assert [sorted(said["author"] for said in body["decisions"]) for body in raised] == [["carol"], ["bob", "carol"]]
