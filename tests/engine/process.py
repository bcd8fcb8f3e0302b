"""One operator process: gathers (now and then from an old picture), asks the engine, carries the step out.

The executor does what `engine.actions` and RELIABILITY.md say: records by compare and swap on their name, the status on
the object's resourceVersion, raises and layouts on the route's, lowering on nothing but never with more for the
candidate than is there. Every single call can fail, before or after it took effect, and the process can die at it.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from modelrelease.domain.exposure import Exposure
from modelrelease.domain.record import Head
from modelrelease.domain.release import IN_TRAFFIC, Observed, Release, State
from modelrelease.domain.traffic import RouteView, Target
from modelrelease.domain.unit import unit_ref
from modelrelease.domain.verdict import Outcome, Verdict
from modelrelease.engine import live, planner
from modelrelease.engine.actions import (
    Action,
    AddFinalizer,
    DeleteOwnedRoutes,
    Emit,
    Intention,
    KeepUnit,
    RemoveFinalizer,
    Save,
    SetRoutes,
    Step,
    WriteRecord,
)
from tests.engine import sight
from tests.engine.builders import NAME, NAMESPACE, UID, at
from tests.engine.cache import Cache, Gathered
from tests.engine.log import Content, Decided, content_of
from tests.engine.store import ApiError, Conflict
from tests.engine.telling import only_running, told

if TYPE_CHECKING:
    from tests.engine.world import World

MAX_STEPS = 8
LOWER_TRIES = 25
REFRESH_S = 60.0


class Died(Exception):
    """The process was killed at a call."""


class Stalled(Died):
    """The process stands still at a call while another takes over; `go_on` is what it does when it wakes."""

    def __init__(self, what: str, do: Callable[[], Any]) -> None:
        super().__init__(f"stalled at {what}")
        self.do = do
        self.go_on: Callable[[], None] = do


class Refused(ApiError):
    """The router would not prepare the write."""


class Process:
    """One operator process, from its start to its death."""

    def __init__(self, world: "World", name: str) -> None:
        self.world, self.store, self.name = world, world.store, name
        self.no_data: tuple[tuple[str, object], ...] = ()
        self.head: Head | None = None
        self.cache = Cache(world)
        self.saved_at = -REFRESH_S
        self.started = self.store.now
        self.found_bad: set[str] = set()

    # ---- one look

    def tick(self) -> None:
        """Look at the release: gather, decide, act, until there is nothing more to do now."""
        self.found_bad = set()
        try:
            for _ in range(MAX_STEPS):
                if not self.store.object.exists:
                    return
                step, gathered = self._step()
                if step.progress.state is State.DELETED:
                    return
                if not step.actions:
                    break
            self._refresh(step, gathered)
        except ApiError as error:
            self.head = None
            if isinstance(error, Conflict):
                self.cache.read(self._read())
            self.store.happened(f"failed: {type(error).__name__} {error}", self.name)

    def _step(self) -> tuple[Step, Gathered]:
        gathered = self._gather(live=False)
        step = self._decide(gathered)
        self._note_bad(gathered, step)
        if live.needs_live(step):
            gathered = self._gather(live=True)
            step = self._decide(gathered)
        if step.actions:
            decided = Decided(self.store.now, self.name, gathered.progress, gathered.observed, step)
            self.store.log.append(decided)
            gathered.told = told(gathered.release, step, gathered.observed)
        self._carry_out_all(step.actions, gathered)
        self.no_data = step.progress.no_data_since
        self.head = step.progress.head if step.actions else self.head
        return step, gathered

    def _note_bad(self, gathered: Gathered, step: Step) -> None:
        """Whom the evidence of this look is against, unless there is no safe path."""
        if any(hold.reason == "NoSafePath" for hold in step.holds):
            self.found_bad = set()
            return
        progress, observed = gathered.progress, gathered.observed
        if progress.candidate and progress.state in IN_TRAFFIC and _bad(observed.verdicts):
            self.found_bad.add(progress.candidate.revision)
        if progress.watch and progress.state in IN_TRAFFIC | {State.WATCHING} and _bad(observed.watch_verdicts):
            self.found_bad.add(progress.watch.unit.revision)

    def _decide(self, gathered: Gathered) -> Step:
        return planner.plan(gathered.release, gathered.progress, gathered.observed, at(self.store.now))

    def _refresh(self, step: Step, gathered: Gathered) -> None:
        """Keep the status up to date; running numbers alone at most once a minute."""
        said = told(gathered.release, step, gathered.observed)
        lately = step.progress == gathered.progress or self.store.now - self.saved_at < REFRESH_S
        if lately and said == gathered.told and only_running(step.progress, gathered.progress):
            return
        gathered.told = said
        self.carry_out(Save(step.progress), gathered)

    # ---- gathering

    def _gather(self, *, live: bool) -> Gathered:
        gathered = self.cache.read(self._read()) if live else self.cache.look(self._read())
        gathered.observed = self._observed(gathered)
        return gathered

    def _read(self) -> Gathered:
        stored, spec = self.store.object, self.store.object.spec
        valid = not any(fault.reason == "InvalidSpec" for fault in spec.faults)
        release = Release(
            NAMESPACE,
            NAME,
            UID,
            stored.generation,
            spec.traffic,
            spec.unit if valid else None,
            spec.plan if valid else None,
            spec.faults,
            stored.deleting,
            stored.finalizer,
        )
        progress = stored.status
        if progress.state is State.OBSERVING and self.no_data:
            progress = replace(progress, no_data_since=self.no_data)
        names = self.world.route_names
        views = tuple(
            self.store.routes[name].view() if name in self.store.routes else RouteView(name, exists=False)
            for name in names
        )
        versions = {name: self.store.routes[name].version if name in self.store.routes else 0 for name in names}
        newest = None if self.head else next(reversed(self.store.records.values()), None)
        observed = Observed(self.name, views, head=self.head or self.store.head, newest=newest)
        return Gathered(release, progress, observed, stored.version, versions, stored.told)

    def _observed(self, gathered: Gathered) -> Observed:
        """The picture with the evidence of now: what is stale is the cache of objects, not Prometheus."""
        return replace(gathered.observed, **sight.facts(self.world, gathered.progress, self))

    # ---- carrying out

    def _carry_out_all(self, actions: tuple[Action, ...], gathered: Gathered) -> None:
        for number, action in enumerate(actions):
            try:
                self.carry_out(action, gathered)
            except Stalled as stall:
                stall.go_on = partial(self._go_on, stall.do, actions[number:], gathered)
                raise

    def _go_on(self, do: Callable[[], Any], actions: tuple[Action, ...], gathered: Gathered) -> None:
        """Send what was about to be sent, and do the rest of the step: nobody told the process that it was replaced."""
        result = do()
        match actions[0]:
            case Save() | AddFinalizer() | RemoveFinalizer():
                gathered.version = result
            case SetRoutes():
                self.carry_out(actions[0], gathered)
        self._carry_out_all(actions[1:], gathered)

    def carry_out(self, action: Action, gathered: Gathered) -> None:
        """Do one action; raises ApiError when it fails, Died when the process is killed at it."""
        match action:
            case SetRoutes(target, Intention.LOWER):
                self._lower_all(target)
            case SetRoutes(target, intention):
                for name in self.world.route_names:
                    self._set_route(name, target, intention, gathered)
            case WriteRecord(record):
                self.call("record", lambda: self.store.create_record(self.name, record))
            case Save(progress):
                gathered.version = self.call(
                    "status", lambda: self.store.write_status(self.name, progress, gathered.told, gathered.version)
                )
                self.saved_at = self.store.now
            case KeepUnit(unit):
                ref = unit_ref(NAME, unit)
                self.call("unit", lambda: self.store.units.setdefault(ref.digest, ref))
            case AddFinalizer() | RemoveFinalizer():
                present = isinstance(action, AddFinalizer)
                gathered.version = self.call(
                    "finalizer", lambda: self.store.write_finalizer(self.name, present, gathered.version)
                )
            case DeleteOwnedRoutes():
                for name in self.world.route_names:
                    self.call("delete", lambda name=name: self.store.delete_route(self.name, name))
            case Emit():
                pass

    def _set_route(self, name: str, target: Target, intention: Intention, gathered: Gathered) -> None:
        route, wanted = self.store.routes.get(name), content_of(target, self.store.segments)
        if route is None and not self.world.owned:
            raise Refused("RouteMissing")
        if intention is Intention.LAYOUT and self._would_raise(name, target, wanted):
            raise Refused("WouldRaise")
        if route is not None and route.content == wanted and _marked_as(route, target):
            return
        self.write_raise(name, wanted, target, intention, gathered.routes[name])

    def write_raise(self, name: str, wanted: Content, target: Target, intention: Intention, version: int) -> None:
        """A raise or a layout: only on the very route that was read (S9)."""
        self.call(
            "route",
            lambda: self.store.write_route(self.name, name, wanted, target, intention=intention, version=version),
        )

    def _would_raise(self, name: str, target: Target, wanted: Content) -> bool:
        route, segments = self.store.routes.get(name), self.store.segments
        if target.other is None:
            return False
        now = route.content.share(target.other.revision, segments) if route else Exposure()
        return not wanted.share(target.other.revision, segments).within(now)

    def _lower_all(self, target: Target) -> None:
        """Side by side: a route that cannot be written keeps none of the others."""
        failed: list[ApiError] = []
        for name in self.world.route_names:
            try:
                self.lower(name, target)
            except ApiError as error:
                failed.append(error)
        if failed:
            raise failed[0]

    def lower(self, name: str, target: Target) -> None:
        """A revert: on the content that is there now, again and again, and never with more for the candidate."""
        for _ in range(LOWER_TRIES):
            route = self.store.routes.get(name)
            if route is None:
                return
            read = route.content
            wanted = content_of(self._at_most(read, target), self.store.segments)
            if read == wanted and _marked_as(route, target):
                return
            try:
                self.call("route", partial(self._replace, name, read, wanted, target))
                return
            except Conflict:
                continue
        raise ApiError("contended")

    def _replace(self, name: str, read: Content, wanted: Content, target: Target) -> int:
        """Where the candidate keeps a share, the write tests the content that it replaces."""
        route = self.store.routes.get(name)
        if route is None:
            return 0
        if target.other is not None and not target.exposure.is_zero and route.content != read:
            raise Conflict("content")
        return self.store.write_route(self.name, name, wanted, target, intention=Intention.LOWER, version=None)

    def _at_most(self, read: Content, target: Target) -> Target:
        if target.other is None:
            return target
        now = read.share(target.other.revision, self.store.segments)
        return replace(target, exposure=now.lowered_to(target.exposure))

    def call(self, what: str, do: Callable[[], Any]) -> Any:
        """One request: others may come first, it may be lost, its answer may be lost, the process may die at it."""
        world = self.world
        world.meanwhile(what)
        if world.strikes("crash before"):
            raise Died(f"before {what}")
        if world.strikes("request lost") or (what == "record" and world.strikes("records down")):
            raise ApiError(f"{what}: request lost")
        if world.strikes("stall", self):
            raise Stalled(what, do)
        result = do()
        if world.strikes("crash after"):
            raise Died(f"after {what}")
        if world.strikes("reply lost"):
            if what != "record" or world.rng.random() < 0.5:
                raise ApiError(f"{what}: reply lost")
            do()
        self.cache.answered(what)
        return result


def _bad(verdicts: tuple[Verdict, ...]) -> bool:
    return any(verdict.outcome is Outcome.REVERT for verdict in verdicts)


def _marked_as(route: object, target: Target) -> bool:
    return target.stopped is None or (target.stopped or None) == route.stopped  # type: ignore[attr-defined]
