"""Releases of prompts alone, over one model server: it reads each release's bundle and answers with its prompt."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.errors import ApiError
from modelrelease.sandbox.load import LoadThread
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import Scene
from tests.api.objects import bind
from tests.e2e.conftest import _wait_served
from tests.e2e.lanes import events, stage, stage_name

Json = dict[str, Any]

STAGES = [stage("some", 50, minDuration="6s", minSamples=20), stage("full", 100, require="NoHarm")]
GATES = [
    {"name": "answers", "template": "wrong-answers", "max": "0.2"},
    {"name": "failures", "template": "model-failures", "max": "0.05"},
]


@pytest.fixture
def scene(installed: Sandbox, namespace: str) -> Iterator[Scene]:
    """One model server, which may read ConfigMaps as dave, and a release p1 with a kind prompt at rest."""
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "read-bundles"}}
    installed.apply({**role, "rules": [rule]})
    bind(installed, namespace, "dave", "read-bundles")
    made = Scene(installed, namespace)
    reads = ["--bundles-kubeconfig", str(installed.kubeconfig("dave")), "--bundles-namespace", namespace]
    made.serve("model", arguments=reads)
    made.source()
    made.answers_template()
    failed = {"name": "model_requests_total", "matchers": [{"label": "code", "op": "Regex", "value": "5.."}]}
    ratio = {"bad": failed, "total": {"name": "model_requests_total"}, "absentBad": "Zero"}
    arm = [{"label": "release", "value": "${revision}"}]
    made.template("model-failures", {"metric": {"ratio": ratio}, "arm": arm, "kind": "Operational"})
    made.route("model")
    _wait_served(made)
    prompt(made, "p1", "Be kind.")
    release(made, "p1")
    made.wait_state("Settled")
    yield made
    for model in made.models.values():
        installed.remove_scrape_target("models", model.service.address)
        model.part.kill()


def prompt(scene: Scene, name: str, text: str, **behaviour: float) -> None:
    data = {"system.txt": text, "behaviour.json": json.dumps(behaviour)}
    metadata = {"name": name, "namespace": scene.namespace}
    scene.sandbox.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def release(scene: Scene, name: str) -> Json:
    """The same model with another prompt."""
    how = {"traffic": {"requestsTemplate": "model-failures"}, "stages": STAGES, "gates": GATES}
    unit = {"prompt": {"version": name, "configMapRef": {"name": name}}}
    return scene.release(name, backend=f"{scene.name}-model", unit=unit, **how)


def bundle_path(scene: Scene, revision: str) -> str:
    return f"/api/v1/namespaces/{scene.namespace}/configmaps/{revision}-bundle"


def test_a_prompt_is_released_over_one_model_and_a_bad_one_is_taken_back(shared_operator: Part, scene: Scene) -> None:
    prompt(scene, "p2", "Be brief.")
    release(scene, "p2")
    inside = scene.wait("in a stage, without requests", lambda s: stage_name(s) == "some")
    first, second = inside["stable"], inside["candidate"]
    assert first["backend"] == second["backend"]
    bundle = scene.sandbox.client().get(bundle_path(scene, second["revision"]))
    assert bundle["immutable"] is True and bundle["data"]["prompt.system.txt"] == "Be brief."
    assert json.loads(bundle["data"]["unit.json"])["digest"] == second["digest"]
    with LoadThread(scene.load(60)) as load:
        scene.wait("an answer", lambda _: any(sample.answer == "Be brief." for sample in load.samples))
        scene.sandbox.client().delete(bundle_path(scene, second["revision"]))
        scene.wait("written anew", lambda _: "BundleWritten" in {reason for reason, _ in events(scene)})
        settled = scene.wait_state("Settled", "Watching")
        assert settled["stable"]["version"] == "p2"
        written = scene.sandbox.client().get(bundle_path(scene, second["revision"]))
        assert written["data"] == bundle["data"]
        assert written["metadata"]["uid"] != bundle["metadata"]["uid"]

        prompt(scene, "p3", "Make things up.", wrong_fraction=0.8)
        release(scene, "p3")
        stopped = scene.wait_state("Stopped")
    assert stopped["stop"]["gate"] == "answers"
    answers = {(sample.release, sample.answer) for sample in load.samples if sample.status == 200}
    third = stopped["candidate"]["revision"]
    said = {(first["revision"], "Be kind."), (second["revision"], "Be brief."), (third, "Make things up.")}
    assert said <= answers
    assert {answer for answer in answers if answer[0] != "none"} == said
    assert Counter(sample.status for sample in load.samples)[500] == 0


def test_at_rest_a_bundle_that_is_gone_is_written_anew_or_the_condition_says_what_is_missing(
    shared_operator: Part, scene: Scene
) -> None:
    path = bundle_path(scene, scene.status()["stable"]["revision"])
    before = scene.sandbox.client().get(path)
    scene.sandbox.client().delete(path)
    scene.wait("written anew", lambda _: "BundleWritten" in {reason for reason, _ in events(scene)})
    after = scene.sandbox.client().get(path)
    assert after["data"] == before["data"] and after["metadata"]["uid"] != before["metadata"]["uid"]

    prompt(scene, "p1", "Be rude.")
    scene.sandbox.client().delete(path)
    scene.wait("told", lambda _: scene.condition("BundleIntact").get("status") == "False")
    assert "restore ConfigMap p1" in scene.condition("BundleIntact")["message"]
    prompt(scene, "p1", "Be kind.")
    scene.wait("mended", lambda _: not scene.condition("BundleIntact"))
    assert scene.sandbox.client().get(path)["data"] == before["data"]


def test_bundles_are_the_operators_and_what_is_no_bundle_is_not(shared_operator: Part, scene: Scene) -> None:
    revision = scene.status()["stable"]["revision"]
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "update", "patch", "delete", "get"]}
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "edit-config-maps"},
    }
    scene.sandbox.apply({**role, "rules": [rule]})
    bind(scene.sandbox, scene.namespace, "alice", "edit-config-maps")
    alice, operator = scene.sandbox.client("alice"), scene.sandbox.client("operator")

    def refused(act: Any) -> str:
        with pytest.raises(ApiError) as error:
            act()
        assert error.value.status == 403, error.value.message
        return error.value.message

    assert "written by the operator only" in refused(lambda: alice.delete(bundle_path(scene, revision)))
    forged = {"name": "x-bundle", "namespace": scene.namespace, "labels": {"modelrelease.dev/bundle": "x"}}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": forged, "data": {}}
    path = f"/api/v1/namespaces/{scene.namespace}/configmaps"
    assert "written by the operator only" in refused(lambda: alice.request("POST", path, body))
    plain = {**body, "metadata": {"name": "settings", "namespace": scene.namespace}}
    alice.request("POST", path, plain)
    assert "no other ConfigMap" in refused(lambda: operator.delete(f"{path}/settings"))
    assert "no other ConfigMap" in refused(
        lambda: operator.request("POST", path, {**plain, "metadata": {"name": "mine", "namespace": scene.namespace}})
    )
