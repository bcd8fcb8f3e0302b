"""An image that moved behind an unchanged Service holds the release, says where, and lets it revert all the same.

There is no kubelet here: pods are made by hand, and their status says what a node would say.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from modelrelease.api.names import OPERATOR_ACCOUNT
from modelrelease.sandbox.errors import ApiError
from modelrelease.sandbox.load import LoadThread
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import Scene
from tests.api.objects import may
from tests.e2e.lanes import UNTIL_PROMOTED, events, full, observing, promote, stage, stage_name

Json = dict[str, Any]

FIRST, OTHER = (f"sha256:{digit * 64}" for digit in "12")
STAGES = [stage("some", 20), stage("more", 50), full()]
LONG = [stage("some", 20), stage("more", 50, minDuration=UNTIL_PROMOTED), full()]


class Pods:
    """The pods behind one version's Service."""

    def __init__(self, scene: Scene, version: str) -> None:
        self.scene, self.name = scene, f"{scene.name}-{version}"
        self.names: list[str] = []
        self.made = 0

    def run(self, image: str, count: int = 2) -> None:
        """New pods with this image take the place of the old ones, as a rolling restart does."""
        old, self.names = self.names, []
        for _ in range(count):
            self.made += 1
            self.names.append(f"{self.name}-{self.made}")
            self._make(self.names[-1], image)
        self._serve()
        for name in old:
            self.scene.sandbox.client().delete(self._path(name))

    def report(self, name: str, image: str) -> None:
        """The node says that a pod's container runs this image now: it was pulled again by its tag."""
        reported = {
            "name": "server",
            "image": "chat:latest",
            "imageID": f"registry.example.com/chat@{image}",
            "ready": True,
            "restartCount": 0,
            "state": {"running": {}},
        }
        status = {"status": {"phase": "Running", "containerStatuses": [reported]}}
        self.scene.sandbox.client().patch(f"{self._path(name)}/status", status)

    def _make(self, name: str, image: str) -> None:
        spec = {"containers": [{"name": "server", "image": "chat:latest"}], "automountServiceAccountToken": False}
        metadata = {"name": name, "namespace": self.scene.namespace, "labels": {"app": self.name}}
        self.scene.sandbox.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        self.report(name, image)

    def _serve(self) -> None:
        endpoints = [
            {
                "addresses": [f"10.0.1.{number + 1}"],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "name": name, "namespace": self.scene.namespace},
            }
            for number, name in enumerate(self.names)
        ]
        path = f"/apis/discovery.k8s.io/v1/namespaces/{self.scene.namespace}/endpointslices/{self.name}"
        self.scene.sandbox.client().patch(path, {"endpoints": endpoints})

    def _path(self, name: str) -> str:
        return f"/api/v1/namespaces/{self.scene.namespace}/pods/{name}"


@pytest.fixture
def candidate(scene: Scene) -> Iterator[Pods]:
    """Pods of v1 and v2; those of v2. The release is at rest on v1."""
    deadline = time.monotonic() + 20
    while True:  # A namespace gets its service account a moment after it was made.
        try:
            Pods(scene, "v1").run(FIRST)
            break
        except ApiError as error:
            if "serviceaccount" not in error.message or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    pods = Pods(scene, "v2")
    pods.run(FIRST)
    scene.settle(stages=STAGES)
    yield pods


def told(scene: Scene) -> list[str]:
    return [f"{reason}: {note}" for reason, note in events(scene)]


def test_a_moved_image_holds_the_release_until_it_is_put_back(
    shared_operator: Part, scene: Scene, candidate: Pods
) -> None:
    with LoadThread(scene.load(60)):
        scene.release("v2", stages=LONG)
        scene.wait("in a stage", lambda s: stage_name(s) in ("some", "more"))
        assert scene.condition("UnitIntact")["status"] == "True"
        candidate.run(FIRST)  # A restart with the same image.
        observing(scene, "more")

        pod = candidate.names[1]
        candidate.report(pod, OTHER)
        violated = scene.wait("violated", lambda _: scene.condition("UnitIntact").get("status") == "False")
        said = scene.condition("UnitIntact")
        assert said["reason"] == "UnitViolated"
        assert f"image of container server is now {OTHER}, was {FIRST}, on pod {pod}" in said["message"]
        assert violated["weight"] == "50 %"
        scene.wait("Ready says why", lambda _: scene.condition("Ready")["reason"] == "UnitViolated")
        scene.wait("an event", lambda _: any(t.startswith("UnitViolated") and pod in t for t in told(scene)))
        promote(scene)
        time.sleep(4)  # Without the violation the stage would be over.
        assert (stage_name(scene.status()), scene.status()["weight"]) == ("more", "50 %")

        candidate.report(pod, FIRST)
        settled = scene.wait_state("Settled")
    assert settled["stable"]["version"] == "v2"
    assert any(line.startswith("UnitIntact") for line in told(scene))
    raised = [record["body"]["images"]["candidate"] for record in scene.records() if record["kind"] == "Raised"]
    assert [each["heldTo"] for each in raised] == [{"server": [FIRST]}] * 3
    assert all(not each["moved"] and not each["untold"] for each in raised)


def test_a_release_whose_image_moved_still_reverts(shared_operator: Part, scene: Scene, candidate: Pods) -> None:
    with LoadThread(scene.load(60)):
        scene.release("v2", stages=[stage("some", 20, minDuration=UNTIL_PROMOTED), full()])
        scene.wait("in a stage", lambda s: stage_name(s) == "some")
        candidate.run(OTHER)  # Other pods, of which one look at the EndpointSlices tells.
        scene.wait("violated", lambda _: scene.condition("UnitIntact").get("status") == "False")
        scene.models["v2"].set_behaviour(failure_fraction=0.9)
        stopped = scene.wait_state("Stopped")
    assert stopped["stop"]["reason"] == "GateFailed"
    assert [record["kind"] for record in scene.records()].count("Raised") == 1


def may_list_pods(scene: Scene) -> bool:
    """The operator, as the API server sees it now."""
    return may(scene.sandbox, OPERATOR_ACCOUNT, scene.namespace, "list", "", "pods")


def test_without_the_right_to_read_pods_it_says_so_and_goes_on(
    shared_operator: Part, scene: Scene, candidate: Pods
) -> None:
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/modelrelease-operator"
    role = scene.sandbox.client().get(path)
    less = [rule for rule in role["rules"] if rule.get("resources") != ["pods"]]
    assert len(less) == len(role["rules"]) - 1
    scene.sandbox.client().patch(path, {"rules": less})
    try:
        scene.wait("not in force any more", lambda _: not may_list_pods(scene))
        scene.release("v2", stages=STAGES)
        scene.wait("told", lambda _: scene.condition("UnitIntact").get("status") == "Unknown")
        assert "let the operator get and list pods" in scene.condition("UnitIntact")["message"]
        with LoadThread(scene.load(60)):
            scene.wait_state("Settled")
    finally:
        scene.sandbox.client().patch(path, {"rules": role["rules"]})
    raised = [record["body"]["images"]["candidate"] for record in scene.records() if record["kind"] == "Raised"]
    assert len(raised) == 3 and all("may not be read" in each["untold"] for each in raised)
