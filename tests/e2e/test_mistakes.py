"""What people get wrong on the way: objects in the wrong order, and decisions about another unit than they meant."""

import pytest

from modelrelease.sandbox.gateway import GATEWAY_NAME, GATEWAY_NAMESPACE
from modelrelease.sandbox.load import LoadThread
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import Scene
from tests.api.objects import bind
from tests.e2e.lanes import full, stage
from tests.e2e.people import Person


@pytest.fixture
def alice(scene: Scene) -> Person:
    """On call: may pause, resume, promote, abort and retry."""
    for role in ("modelrelease-decide", "modelrelease-view"):
        bind(scene.sandbox, scene.namespace, "alice", role)
    return Person(scene.sandbox, "alice", scene.namespace)


def test_a_config_map_that_is_applied_after_the_release_is_soon_found(shared_operator: Part, scene: Scene) -> None:
    prompt = {"prompt": {"version": "1", "configMapRef": {"name": "prompt-1"}}}
    scene.release("v1", unit=prompt)
    scene.wait("a fault", lambda s: scene.condition("Ready").get("reason") == "ConfigMapNotFound")
    assert "there is no ConfigMap prompt-1" in scene.condition("Ready")["message"]
    metadata = {"name": "prompt-1", "namespace": scene.namespace}
    scene.sandbox.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"system.txt": "hi"}})
    adopted = scene.wait("adopted", lambda s: s.get("state") == "Settled")
    assert adopted["stable"]["version"] == "v1"


def test_abort_does_not_mean_the_unit_that_serves_and_retry_means_the_one_in_the_spec(
    shared_operator: Part, scene: Scene, alice: Person
) -> None:
    scene.settle()
    scene.serve("v3")
    with LoadThread(scene.load(40)):
        scene.release("v2", stages=[full(minDuration="1s")], watch="1h")
        scene.wait_state("Watching")
        assert "weight" not in scene.status()
        scene.release("v3", stages=[stage("some", 50, minDuration="600s"), full()], watch="1h")
        scene.wait_state("Observing")
        assert "Abort chat v3, because: odd answers" in alice.does("abort", "chat", "--reason", "odd answers")
        scene.wait_state("Stopped")
        again = alice.types("abort", "chat", "--reason", "is it gone?")
        assert (again.code, "modelrelease abort chat --watched" in again.err) == (1, True), again
        assert scene.status()["stable"]["version"] == "v2"

        alice.does("abort", "chat", "--watched", "--reason", "v2 is odd, too")
        scene.wait("back on v1", lambda s: s["state"] == "Stopped" and s["stable"]["version"] == "v1")
        alice.does("retry", "chat", "--reason", "it was the load")
        retried = scene.wait_state("Preparing", "Raising", "Observing")
        assert retried["candidate"]["version"] == "v3"
        alice.does("abort", "chat", "--reason", "enough")
        scene.wait_state("Stopped")
    missing = alice.types("history", "chit")
    assert (missing.code, "there is no ModelRelease chit" in missing.err) == (3, True), missing


def test_a_segment_that_comes_to_mean_other_requests_in_mid_rollout_starts_over(
    shared_operator: Part, scene: Scene
) -> None:
    scene.settle()
    stages = [
        {"name": "pilot", "exposure": [{"segment": "low-criticality", "percent": "100"}], "minDuration": "600s"},
        full(),
    ]
    scene.release("v2", stages=stages)
    scene.wait_state("Observing")
    before = scene.status()["planDigest"]
    everybody = {"segments": [{"name": "low-criticality", "method": "POST"}]}
    scene.release("v2", stages=stages, traffic=everybody)

    def begun(status: dict[str, object]) -> bool:
        return status["state"] == "Observing" and status["planDigest"] != before

    scene.wait("a rollout of the new plan", begun)
    given_up, raised = scene.records()[-2:]
    assert given_up["kind"] == "Superseded"
    assert "it is about other requests" in given_up["body"]["message"]
    assert (raised["kind"], raised["body"]["plan"]) == ("Raised", scene.status()["planDigest"])
    rules = {rule["name"]: rule["matches"][0].get("method") for rule in scene.read_route()["spec"]["rules"]}
    assert rules == {"chat": None, "chat--low-criticality": "POST"}


def test_an_owned_route_follows_an_edit_of_its_hosts_and_path(shared_operator: Part, scene: Scene) -> None:
    owned = Scene(scene.sandbox, scene.namespace, name="owned")
    manifest = owned.manifest("v1", backend="chat-v1")
    gateway = {"name": GATEWAY_NAME, "namespace": GATEWAY_NAMESPACE}
    manifest["spec"]["traffic"] = {"gatewayRefs": [gateway], "hostnames": ["before.local"]}
    del manifest["spec"]["strategy"]["stages"]
    scene.sandbox.apply(manifest)
    owned.wait_state("Settled")
    manifest["spec"]["traffic"] |= {"hostnames": ["after.local"], "pathPrefix": "/v1"}
    scene.sandbox.apply(manifest)

    def followed(_: object) -> bool:
        spec = owned.read_route()["spec"]
        return (spec["hostnames"], spec["rules"][0]["matches"][0]["path"]["value"]) == (["after.local"], "/v1")

    owned.wait("the route as declared", followed)
