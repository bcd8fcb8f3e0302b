"""One release as gathered for a decision, and what of it our own writes replace."""

from dataclasses import dataclass, field, replace
from typing import Any

from modelrelease.controller.kube import Resource
from modelrelease.domain.gate import Gate
from modelrelease.domain.release import IN_TRAFFIC, Observed, Progress, Release, State
from modelrelease.domain.traffic import Target
from modelrelease.routing.protocol import Router

JUDGED = IN_TRAFFIC | {State.WATCHING, State.REVERTING, State.STOPPED}
"""The states in which something can have to be taken back: no read may keep a release from being looked at."""


def resource_of(router: Router) -> Resource:
    """Where a router's routes live in the API."""
    return Resource(router.group, router.version, router.resource)


@dataclass(slots=True)
class Gathered:
    """One release as gathered. `obj` and `route_objects` are replaced by what our own writes gave back."""

    key: str
    obj: Any
    release: Release
    progress: Progress
    observed: Observed
    router: Router
    requests: Gate | None
    route_objects: dict[str, Any] = field(default_factory=dict)
    stale_head: bool = False

    @property
    def route_names(self) -> tuple[str, ...]:
        """The routes that the release steers."""
        return self.router.names(self.release)

    def with_holder(self, target: Target, process: str) -> Target:
        """The target with this process as holder, which the admission policy compares with the Lease."""
        return replace(target, holder=process)

    def replace_object(self, written: Any) -> None:
        """The release object as our write left it."""
        self.obj = written

    def head_is_stale(self) -> None:
        """Somebody else wrote the next record: the chain's head must be read again."""
        self.stale_head = True
