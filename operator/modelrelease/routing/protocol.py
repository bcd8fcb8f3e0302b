"""What a data plane must offer so that a release can be steered on it: prepare a write as a value, interpret a read.

A router never talks to the network and keeps nothing between calls. It turns a route as read and a wanted target into
one `Change` (which the controller sends), and a route as read into a `RouteView` (which the engine judges). Routers
that send for themselves were rejected: retries, deadlines, the Lease and the order of writes belong in one place, and a
write that is a value can be tested as data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from modelrelease.domain.exposure import Exposure
from modelrelease.domain.release import Fault, Release
from modelrelease.domain.traffic import RouteView, Target, Traffic
from modelrelease.domain.unit import Backend, UnitRef

FIELD_MANAGER = "modelrelease"
"""The field manager under which every route is written."""

JSON_PATCH = "application/json-patch+json"

Object = Mapping[str, Any]
"""A Kubernetes object as read, exactly as the API server returned it."""


class Guard(StrEnum):
    """What a write is conditioned on, which follows from what it may do to the candidate's share.

    RAISE may raise it, so it holds only for the very object that was judged: its resourceVersion (S9). A conflict is
    409, or 422 when an owned backendRef itself has changed; either way the raise is void and is decided anew.
    LAYOUT prepares or tidies rules under the same condition and is refused where it would raise any share.
    LOWER is a revert: conditioned on the names of the rules that it replaces and on whose route it is, not on the
    resourceVersion and not on weights, so that it wins against a writer who changes weights all the time. On 422 the
    caller reads again and prepares again.
    """

    RAISE = "Raise"
    LAYOUT = "Layout"
    LOWER = "Lower"


class ChangeKind(StrEnum):
    """The verb that the controller sends."""

    PATCH = "Patch"
    CREATE = "Create"
    DELETE = "Delete"


@dataclass(frozen=True, slots=True)
class Change:
    """One write to one route.

    `body` is a list of JSON patch operations (Patch), a manifest (Create) or delete options with preconditions
    (Delete).
    """

    kind: ChangeKind
    group: str
    version: str
    resource: str
    namespace: str
    name: str
    body: list[dict[str, Any]] | dict[str, Any]
    guard: Guard
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The route already is as the target wants it, as far as the guard may change it: nothing to write (L3)."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no write was prepared: a reason in CamelCase for a condition, and a message that says what to do instead."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where the arms of one segment are found in the telemetry of the gateway: placeholder → value, per arm.

    None means that this arm is not in the rule. The keys are `PLACEHOLDERS`; all values are text.
    """

    rule: str
    segment: str
    candidate: Mapping[str, str] | None
    stable: Mapping[str, str] | None


PLACEHOLDERS = (
    "namespace",
    "release",
    "route",
    "rule",
    "ruleIndex",
    "segment",
    "service",
    "serviceNamespace",
    "port",
    "backendIndex",
    "revision",
    "version",
    "digest",
)
"""What a place fills in. `namespace` is the release's and the route's; `port` is empty where a backend has none."""


class Router(Protocol):
    """One data plane. Every method is pure; `obj` is the route as read, None when it does not exist."""

    @property
    def kind(self) -> str:
        """The kind of route, as in `spec.traffic.routes[].kind`."""
        ...

    @property
    def group(self) -> str:
        """The API group of the route."""
        ...

    @property
    def version(self) -> str:
        """The API version that is read and written."""
        ...

    @property
    def resource(self) -> str:
        """The plural resource name of the route."""
        ...

    def names(self, release: Release) -> tuple[str, ...]:
        """The routes of this kind that the release steers, in its own namespace."""
        ...

    def view(self, release: Release, name: str, obj: Object | None, *, arms: tuple[UnitRef, ...] = ()) -> RouteView:
        """Say what the route does now, in terms of arms. `arms` are the units known to the release; they let an arm
        that lost its header be recognised by its backend, and unmask one whose backend was exchanged."""
        ...

    def change(
        self, release: Release, name: str, obj: Object | None, *, target: Target, guard: Guard
    ) -> Change | Unchanged | Refusal:
        """Prepare the one write that brings the route to `target`, within what `guard` allows."""
        ...

    def delete(self, release: Release, name: str, obj: Object | None) -> Change | Unchanged | Refusal:
        """Prepare the deletion of a route that the operator owns; an adopted one is refused."""
        ...

    def baseline(self, release: Release, name: str, obj: Object | None) -> Backend | Refusal | None:
        """The one backend that the owned rules serve now; None when nothing is served yet."""
        ...

    def places(
        self, release: Release, name: str, obj: Object | None, *, candidate: UnitRef | None, stable: UnitRef | None
    ) -> tuple[Place, ...]:
        """Where each arm of each owned rule is found in the gateway's metrics, by the indices as read."""
        ...

    def steerable(self, traffic: Traffic) -> Fault | None:
        """Whether the data plane can tell the declared segments apart, before any route was read."""
        ...

    def expressible(self, exposure: Exposure) -> Fault | None:
        """Whether the data plane can split traffic like this."""
        ...
