"""Ready endpoints are remembered as long as a release asks for them, and no longer."""

import asyncio
from typing import Any

from modelrelease.controller.endpoints import Endpoints
from modelrelease.domain.unit import Backend

V1, V2 = Backend("chat-v1", 8080), Backend("chat-v2", 8080)
SHARED = ("assistants", "chat-v1")


class Cluster:
    """Every Service has one ready endpoint. `held`: what is asked now is answered only when that is set."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.held: asyncio.Event | None = None

    async def list(self, _resource: Any, _namespace: str, *, labelSelector: str, **_: Any) -> list[Any]:  # noqa: N803
        self.asked.append(labelSelector.partition("=")[2])
        if self.held is not None:
            await self.held.wait()
        return [{"endpoints": [{"targetRef": {"kind": "Pod", "name": "one"}}]}]


def known(endpoints: Endpoints) -> set[str]:
    return {name for _, name in endpoints._known} | {name for _, name in endpoints._targets}


async def test_what_no_release_asks_for_any_more_is_forgotten() -> None:
    endpoints = Endpoints(Cluster())  # type: ignore[arg-type]
    assert await endpoints.ready("assistants/chat", [V1, V2], live=False) == {V1: 1, V2: 1}
    await endpoints.ready("assistants/search", [V1], live=False)
    await endpoints.ready("assistants/chat", [], live=False)
    assert known(endpoints) == {"chat-v1"}
    assert endpoints.targets(SHARED) is not None
    endpoints.forget("assistants/search")
    assert known(endpoints) == set() and endpoints.targets(SHARED) is None
    assert (endpoints._asked, endpoints._askers) == ({"assistants/chat": frozenset()}, {})
    endpoints.forget("assistants/chat")
    endpoints.forget("assistants/never-seen")
    assert endpoints._asked == {}


async def test_a_thousand_releases_that_come_and_go_leave_nothing_behind() -> None:
    endpoints = Endpoints(Cluster())  # type: ignore[arg-type]
    for number in range(1000):
        await endpoints.ready(f"assistants/r{number}", [Backend(f"r{number}", 80)], live=False)
        endpoints.forget(f"assistants/r{number}")
    assert (endpoints._known, endpoints._targets, endpoints._asked, endpoints._askers) == ({}, {}, {}, {})


async def test_an_answer_that_comes_when_nobody_asks_any_more_is_not_kept() -> None:
    cluster = Cluster()
    endpoints = Endpoints(cluster, fresh_s=0.0)  # type: ignore[arg-type]
    await endpoints.ready("assistants/chat", [V1], live=False)
    cluster.held = asyncio.Event()
    assert await endpoints.ready("assistants/chat", [V1], live=False) == {V1: 1}
    [behind] = endpoints._reading.values()
    endpoints.forget("assistants/chat")
    cluster.held.set()
    await behind
    assert known(endpoints) == set()
    assert cluster.asked == ["chat-v1", "chat-v1"]


async def test_what_is_asked_for_again_is_read_again() -> None:
    cluster = Cluster()
    endpoints = Endpoints(cluster, fresh_s=600.0)  # type: ignore[arg-type]
    for backends in ([V1], [V1], [], [V1]):
        await endpoints.ready("assistants/chat", backends, live=False)
    assert cluster.asked == ["chat-v1", "chat-v1"]
