"""Bundles of units that nobody serves any more go; what a route, the status or the application may ask for stays."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import Scene, operator_part
from tests.sandbox.routes import backend, http_route, rule

Json = dict[str, Any]

KEPT = 2


@pytest.fixture
def tidy_operator(installed: Sandbox) -> Iterator[Part]:
    """An operator that lists every second and keeps few old bundles."""
    part = operator_part(installed, name="operator-tidy")
    part.argv += ["--resync", "1", "--bundle-history", str(KEPT)]
    part.start()
    yield part
    part.stop()
    print(part.log_tail())


def config_maps(scene: Scene) -> str:
    return f"/api/v1/namespaces/{scene.namespace}/configmaps"


def bundle(scene: Scene, revision: str, *, release: str = "") -> str:
    """A bundle of an earlier unit, as the operator wrote it once; a second older than the next one."""
    labels = {"modelrelease.dev/release": release or scene.name, "modelrelease.dev/bundle": revision}
    metadata = {"name": f"{revision}-bundle", "namespace": scene.namespace, "labels": labels}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "immutable": True, "data": {"unit.json": ""}}
    made = scene.sandbox.client("operator").create(config_maps(scene), body)
    eventually(lambda: time.time() > written(made) + 1.0)
    return revision


def written(made: Json) -> float:
    return time.mktime(time.strptime(made["metadata"]["creationTimestamp"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone


def bundles(scene: Scene) -> set[str]:
    """The revisions whose bundles are there."""
    found = scene.sandbox.client().get(f"{config_maps(scene)}?labelSelector=modelrelease.dev%2Fbundle")["items"]
    return {item["metadata"]["labels"]["modelrelease.dev/bundle"] for item in found}


def eventually(check: Callable[[], bool], timeout_s: float = 120.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def prompt(scene: Scene, name: str) -> Json:
    metadata = {"name": name, "namespace": scene.namespace}
    scene.sandbox.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"system.txt": name}})
    return {"prompt": {"version": name, "configMapRef": {"name": name}}}


def test_old_bundles_go_but_for_the_newest_and_those_that_somebody_may_ask_for(
    scene: Scene, installed: Sandbox, request: pytest.FixtureRequest
) -> None:
    routed, *old = [bundle(scene, f"{scene.name}-old{number}") for number in range(5)]
    others = {bundle(scene, f"gone-old{number}", release="gone") for number in range(KEPT + 1)}
    route = http_route(scene.namespace, "elsewhere", rule("main", backend(f"{scene.name}-v1", 1, release=routed)))
    installed.apply({**route, "spec": {**route["spec"], "hostnames": ["elsewhere.local"]}})
    request.getfixturevalue("tidy_operator")

    scene.settle(unit=prompt(scene, "p1"))
    stable = scene.status()["stable"]["revision"]
    eventually(lambda: bundles(scene) == {stable, routed, *old[-KEPT:], *others})

    path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{scene.namespace}/httproutes/elsewhere"
    installed.client().delete(path)
    eventually(lambda: bundles(scene) == {stable, *old[-KEPT:], *others})
