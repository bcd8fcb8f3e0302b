"""What is read to tell the images behind a Service, when, and what is said where it cannot be read."""

import asyncio
from typing import Any

import pytest

from modelrelease.api.convert import release_of
from modelrelease.controller import kube
from modelrelease.controller.endpoints import Endpoints
from modelrelease.controller.images import BY_NAME, Images
from modelrelease.controller.kube import ApiError, Denied, Unavailable
from modelrelease.domain.images import ImagesSeen
from modelrelease.domain.release import Progress, State
from modelrelease.domain.unit import Backend, UnitRef
from tests.builders import model_release

DIGEST = f"sha256:{'1' * 64}"
UNIT = UnitRef("sha256:unit", "chat-0001", "v2", Backend("chat-v2", 8080))
PREPARING = Progress(State.PREPARING, candidate=UNIT)
RELEASE = release_of(model_release(), templates={}, config_maps={})


class Cluster:
    """One Service with pods; what is read is counted, and may fail."""

    def __init__(self, pods: int = 2, *, selector: bool = True, bare: int = 0) -> None:
        self.names, self.bare, self.selector = [f"chat-{number}" for number in range(pods)], bare, selector
        self.seen: list[str] = []
        self.fails: dict[str, ApiError] = {}
        self.hangs = False

    async def find(self, resource: Any, namespace: str | None, name: str) -> Any:
        await self._read(f"get {resource.plural}", resource)
        if resource is kube.SERVICES:
            return {"spec": {"selector": {"app": "chat"} if self.selector else None}}
        return self._pod(name)

    async def list(self, resource: Any, namespace: str, **selectors: Any) -> list[Any]:
        await self._read(f"list {resource.plural}", resource)
        if resource is kube.PODS:
            assert selectors["labelSelector"] == "app=chat"
            return [self._pod(name) for name in (*self.names, "somebody-elses")]
        targets: list[Any] = [{"targetRef": {"kind": "Pod", "name": name}} for name in self.names]
        return [{"endpoints": [*targets, *({} for _ in range(self.bare))]}]

    async def _read(self, what: str, resource: Any) -> None:
        self.seen.append(what)
        if resource is kube.PODS and self.hangs:
            await asyncio.Event().wait()
        if resource.plural in self.fails:
            raise self.fails[resource.plural]

    def _pod(self, name: str) -> Any:
        containers = [{"name": "server", "imageID": f"chat@{DIGEST}"}]
        return {"metadata": {"name": name}, "status": {"containerStatuses": containers}}


class Reader:
    """Endpoints and images of one process."""

    def __init__(self, cluster: Cluster) -> None:
        self.endpoints = Endpoints(cluster)  # type: ignore[arg-type]
        self.images = Images(cluster, self.endpoints, check_s=60)  # type: ignore[arg-type]

    async def look(self, progress: Progress = PREPARING, *, live: bool = True) -> ImagesSeen:
        await self.endpoints.ready("assistants/chat", [UNIT.backend], live=live)
        (seen,) = await self.images.seen(RELEASE, progress, live=live)
        return seen


async def test_few_pods_are_read_by_name() -> None:
    cluster = Cluster(2)
    seen = await Reader(cluster).look()
    assert [pod.pod for pod in seen.pods] == ["chat-0", "chat-1"]
    assert seen.pods[0].images == (("server", DIGEST),)
    assert cluster.seen == ["list endpointslices", "get pods", "get pods"]


async def test_many_pods_are_read_by_one_list_and_only_those_that_serve_count() -> None:
    cluster = Cluster(BY_NAME + 1)
    seen = await Reader(cluster).look()
    assert len(seen.pods) == BY_NAME + 1 and not seen.partial
    assert cluster.seen == ["list endpointslices", "get services", "list pods"]


async def test_of_many_pods_without_a_selector_some_are_read_and_it_says_so() -> None:
    seen = await Reader(Cluster(BY_NAME + 5, selector=False)).look()
    assert len(seen.pods) == BY_NAME and seen.partial == f"{BY_NAME} of {BY_NAME + 5} ready pods could be read"


async def test_what_was_read_a_moment_ago_is_not_read_again_unless_pods_came() -> None:
    cluster = Cluster(1)
    reader = Reader(cluster)
    await reader.look()
    await reader.look()
    assert cluster.seen.count("get pods") == 1
    cluster.names.append("chat-new")
    assert [pod.pod for pod in (await reader.look()).pods] == ["chat-0", "chat-new"]


async def test_at_rest_nothing_is_read() -> None:
    cluster = Cluster()
    assert await Reader(cluster).images.seen(RELEASE, Progress(State.SETTLED, stable=UNIT), live=True) == ()
    assert cluster.seen == []


async def test_without_pods_nothing_is_read_and_that_is_said() -> None:
    cluster = Cluster(0, bare=2)
    assert (await Reader(cluster).look()).unknown == "none of its ready endpoints is a pod"
    assert cluster.seen == ["list endpointslices"]
    assert (await Reader(Cluster(1, bare=1)).look()).partial == "1 of its ready endpoints are no pods"


@pytest.mark.parametrize("plural", ["pods", "endpointslices"])
async def test_what_may_not_be_read_is_unknown(plural: str) -> None:
    cluster = Cluster()
    cluster.fails[plural] = Denied(403, "Forbidden", "no")
    seen = await Reader(cluster).look()
    assert "may not be read" in seen.unknown and not seen.unread


@pytest.mark.parametrize("plural", ["pods", "endpointslices"])
async def test_a_read_that_fails_is_unread_and_not_unknown(plural: str) -> None:
    cluster = Cluster()
    cluster.fails[plural] = Unavailable(503, "", "no")
    seen = await Reader(cluster).look()
    assert seen.unread and not seen.unknown


async def test_nothing_waits_long_for_pods_that_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelrelease.controller.images.LIVE_S", 0.05)
    cluster = Cluster()
    cluster.hangs = True
    reader = Reader(cluster)
    observing = Progress(State.OBSERVING, candidate=UNIT)
    async with asyncio.timeout(60):
        assert (await reader.look(observing, live=False)).unread
        assert (await reader.look(observing)).unread


async def test_another_kind_of_backend_has_no_pods_to_be_found_by() -> None:
    pool = UnitRef(
        "sha256:unit", "chat-0001", "v2", Backend("pool", None, "InferencePool", "inference.networking.k8s.io")
    )
    (seen,) = await Reader(Cluster()).images.seen(RELEASE, Progress(State.PREPARING, candidate=pool), live=True)
    assert "of kind InferencePool" in seen.unknown
