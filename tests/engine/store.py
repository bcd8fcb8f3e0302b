"""An API server in memory: resourceVersions, conflicts, generations, a gateway that accepts later, and a log of writes.

It enforces what the real one does (compare and swap, immutable records, the fence of the Lease on routes) and nothing
more: what must hold beyond that is the operator's to keep and `properties` to check.
"""

from dataclasses import dataclass, field, replace

from modelrelease.domain.decision import Decision
from modelrelease.domain.exposure import REST
from modelrelease.domain.plan import Plan
from modelrelease.domain.record import Head, Record, record_name
from modelrelease.domain.release import Fault, Progress
from modelrelease.domain.traffic import Acceptance, RouteView, RuleView, Target, Traffic
from modelrelease.domain.unit import Unit, UnitRef
from modelrelease.engine.actions import Intention
from tests.engine.builders import NAME, NAMESPACE, UID
from tests.engine.log import (
    Accepted,
    Content,
    Edited,
    Entry,
    FinalizerWrite,
    Happened,
    RecordWrite,
    RouteGone,
    RouteWrite,
    Said,
    StatusWrite,
)
from tests.engine.telling import Told


class ApiError(Exception):
    """The API server did not do it, or its answer was lost."""


class Conflict(ApiError):
    """The object is not the one that the write was conditioned on, or the name is taken."""


class Denied(ApiError):
    """The writer does not hold the Lease."""


@dataclass(slots=True)
class Route:
    """One route as stored."""

    name: str
    content: Content
    version: int
    generation: int = 1
    accepted: int = 1
    refused: bool = False
    stopped: str | None = None
    record: str | None = None
    others: int = 0

    def view(self) -> RouteView:
        """The route as a router would show it to the engine."""
        acceptance = Acceptance.ACCEPTED if self.accepted == self.generation else Acceptance.PENDING
        return RouteView(
            self.name,
            exists=True,
            uid=f"uid-{self.name}",
            resource_version=str(self.version),
            generation=self.generation,
            rules=tuple(
                RuleView("main" if segment == REST else f"main--{segment}", segment, arms, self.content.explicit)
                for segment, arms in self.content.rules
            ),
            acceptance=Acceptance.REFUSED if self.refused else acceptance,
            release=f"{NAMESPACE}/{NAME}/{UID}",
            stopped=self.stopped,
            record=self.record,
        )


@dataclass(slots=True)
class Spec:
    """What git says."""

    unit: Unit
    plan: Plan
    traffic: Traffic
    faults: tuple[Fault, ...] = ()


@dataclass(slots=True)
class Stored:
    """The ModelRelease as stored."""

    spec: Spec
    version: int = 1
    generation: int = 1
    deleting: bool = False
    finalizer: bool = False
    status: Progress = field(default_factory=Progress)
    told: Told = field(default_factory=Told)
    exists: bool = True


class Store:
    """The objects, and the log of every write."""

    def __init__(self, spec: Spec) -> None:
        self.now = 0.0
        self.object = Stored(spec)
        self.routes: dict[str, Route] = {}
        self.records: dict[str, Record] = {}
        self.units: dict[str, UnitRef] = {}
        self.decisions: list[Decision] = []
        self.holder = ""
        self.log: list[Entry] = []
        self._version = 100
        self._hashed: tuple[Record | None, Head] = (None, Head())

    @property
    def segments(self) -> tuple[str, ...]:
        """The declared segments."""
        return tuple(segment.name for segment in self.object.spec.traffic.segments)

    @property
    def head(self) -> Head:
        """The newest record's number and hash."""
        newest = next(reversed(self.records.values()), None)
        if newest is not None and newest is not self._hashed[0]:
            self._hashed = (newest, newest.head)
        return self._hashed[1]

    def happened(self, what: str, actor: str = "world") -> None:
        """Note a fault or an event."""
        self.log.append(Happened(self.now, actor, what))

    def version(self) -> int:
        """The next resourceVersion."""
        self._version += 1
        return self._version

    # ---- the operator's writes

    def write_status(self, actor: str, progress: Progress, told: Told, version: int) -> int:
        """Replace the status if the object is at `version`."""
        if not self.object.exists or self.object.version != version:
            raise Conflict("status")
        self.object.status, self.object.told, self.object.version = progress, told, self.version()
        self.log.append(StatusWrite(self.now, actor, progress))
        return self.object.version

    def write_finalizer(self, actor: str, present: bool, version: int) -> int:
        """Add or remove the finalizer if the object is at `version`."""
        if self.object.finalizer is present:
            return self.object.version
        if not self.object.exists or self.object.version != version:
            raise Conflict("finalizer")
        self.object.finalizer, self.object.version = present, self.version()
        self.object.exists = not (self.object.deleting and not present)
        self.log.append(FinalizerWrite(self.now, actor, present))
        return self.object.version

    def create_record(self, actor: str, record: Record) -> None:
        """Create a record; the same bytes already there count as written."""
        name = record_name(NAME, record.sequence)
        if name in self.records:
            if self.records[name] == record:
                return
            raise Conflict("record")
        self.records[name] = record
        self.log.append(RecordWrite(self.now, actor, record))

    def write_route(
        self,
        actor: str,
        name: str,
        content: Content,
        target: Target,
        *,
        intention: Intention,
        version: int | None,
        others: int | None = None,
    ) -> int:
        """Write a route as holder of the Lease, with `version` only if the route is at it. Creates a missing one.

        `others` is for a writer that sends the whole route: what it says of the fields that are not ours.
        """
        self.fence(actor)
        route = self.routes.get(name)
        if version is not None and version != (route.version if route else 0):
            raise Conflict("route")
        before = route.content if route else None
        if route is None:
            route = self.routes[name] = Route(name, content, 0, generation=0, accepted=-1)
        route.record = target.record or route.record
        if target.stopped is not None:
            route.stopped = target.stopped or None
        framed = others in (None, route.others)
        route.others = route.others if others is None else others
        self._put(route, content)
        self.log.append(
            RouteWrite(
                self.now,
                actor,
                name,
                before,
                content,
                intention,
                version is not None,
                target.stopped,
                target.record,
                framed,
            )
        )
        return route.version

    def fence(self, actor: str) -> None:
        """Admission: routes are written by the holder of the Lease only."""
        if actor != self.holder:
            self.happened("fenced", actor)
            raise Denied(actor)

    def delete_route(self, actor: str, name: str) -> None:
        """Delete a route."""
        if self.routes.pop(name, None) is not None:
            self.log.append(RouteGone(self.now, actor, name))

    # ---- everybody else's

    def foreign_route(self, name: str, content: Content) -> None:
        """Somebody else changes a route's weights, or makes the route."""
        route = self.routes.get(name)
        if route is None:
            self.routes[name] = Route(name, content, self.version())
            self.log.append(RouteWrite(self.now, "stranger", name, None, content))
            return
        before = route.content
        self._put(route, content)
        self.log.append(RouteWrite(self.now, "stranger", name, before, content))

    def touch(self, name: str) -> None:
        """Somebody else changes what is not ours on a route."""
        route = self.routes[name]
        route.version, route.others = self.version(), route.others + 1

    def accept(self, name: str) -> None:
        """The gateway reports on a route's present generation."""
        route = self.routes.get(name)
        if route is None or route.refused or route.accepted == route.generation:
            return
        route.accepted, route.version = route.generation, self.version()
        self.log.append(Accepted(self.now, "gateway", name, route.content))

    def edit(self, **fields: object) -> None:
        """Somebody changes the spec."""
        self.object.spec = replace(self.object.spec, **fields)  # type: ignore[arg-type]
        self.object.generation += 1
        self.object.version = self.version()
        spec = self.object.spec
        self.log.append(Edited(self.now, "git", spec.unit, spec.plan, spec.faults))

    def say(self, decision: Decision) -> None:
        """A person decides."""
        self.decisions.append(decision)
        self.log.append(Said(self.now, decision.author, decision))

    def wipe(self) -> None:
        """Somebody loses the status."""
        self.object.status, self.object.told, self.object.version = Progress(), Told(), self.version()
        self.log.append(StatusWrite(self.now, "stranger", Progress()))

    def delete(self) -> None:
        """Somebody deletes the object."""
        if self.object.exists and not self.object.deleting:
            self.object.deleting, self.object.version = True, self.version()
            self.object.exists = self.object.finalizer
            self.happened("deleted", "git")

    def _put(self, route: Route, content: Content) -> None:
        if route.content != content or route.generation == 0:
            route.generation += 1
        route.content, route.version = content, self.version()
