"""How a history must end: at rest where the spec wants it (L1), in time (L2), for good (L3, L4), and known (L6)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelrelease.domain.exposure import FULL_PERMILLE, REST
from modelrelease.domain.record import RecordKind
from modelrelease.domain.release import State
from tests.engine.builders import SEGMENT, UNIT_B
from tests.engine.log import FinalizerWrite, RecordWrite, RouteGone, RouteWrite, Shown, StatusWrite
from tests.engine.seen import Found

if TYPE_CHECKING:
    from tests.engine.world import World

WRITES = (RouteWrite, RouteGone, RecordWrite, StatusWrite, FinalizerWrite)
SLACK_S = 6.0
RATE = {SEGMENT: 6.0, REST: 14.0}
"""Requests per second in the segment and in the rest."""


def broken(world: "World") -> Found:
    """What did not hold at the end."""
    store = world.store
    if store.object.deleting:
        if store.object.exists:
            yield "L4", "the deletion did not end"
        return
    if not world.calm:
        yield "L1", f"still writing at {store.now} s in state {store.object.status.state}"
        return
    yield from _at_rest(world)
    for entry in store.log[world.restarted :]:
        if isinstance(entry, WRITES):
            yield "L3", f"a restart wrote {type(entry).__name__}"
    yield from _in_time(world)


def shown(entry: Shown) -> Found:
    """Each look brings the status up to date, and shows there what is broken (L6)."""
    if entry.generation != entry.newest:
        yield "L6", f"the status is about generation {entry.generation}, the spec is at {entry.newest}"
    for kind, status in sorted(entry.broken - entry.said):
        yield "L6", f"{kind} is not {status}: {sorted(entry.said)}"


def _at_rest(world: "World") -> Found:
    progress, store = world.store.object.status, world.store
    wanted = world.refs[store.object.spec.unit.version]
    if progress.state is State.NEW and wanted.digest in progress.stopped and not store.routes:
        return
    if progress.state not in (State.SETTLED, State.STOPPED):
        yield "L1", f"rests in state {progress.state}: {progress.paused_by}"
    if progress.stable is None or (progress.stable != wanted and wanted.digest not in progress.stopped):
        yield "L1", f"{progress.stable} is stable, the spec wants {wanted.version}, which was not stopped"
    if store.object.told.generation != store.object.generation or ("Reconciling", "True") in store.object.told.said:
        yield "L6", f"at rest in generation {store.object.generation} the status says {store.object.told}"
    for name in world.route_names:
        route = store.routes.get(name)
        served = route.content.share(progress.stable.revision, store.segments) if route and progress.stable else None
        if served is None or any(share != FULL_PERMILLE for _, share in served.shares):
            yield "L1", f"route {name} does not send everything to stable"


def _in_time(world: "World") -> Found:
    """L2 is for good evidence and nothing in the way."""
    plan = world.scenario.spec.plan
    patient = all(stage.max_duration_s is None for stage in plan.stages)
    rollout = world.scenario.adopted and world.scenario.spec.unit == UNIT_B
    if not (world.undisturbed and world.always_good and rollout and patient):
        return
    completed, bound = next(_completions(world), None), _duration(world)
    if completed is None or completed > bound:
        yield "L2", f"good evidence, completed at {completed}, bound {bound} s"


def _completions(world: "World") -> Iterator[float]:
    for entry in world.store.log:
        if isinstance(entry, RecordWrite) and entry.record.kind is RecordKind.COMPLETED:
            yield entry.at


def _duration(world: "World") -> float:
    """The sum of the stages, each as long as its duration, its samples and its gates need."""
    needed = 0.0
    for stage in world.scenario.spec.plan.stages:
        share = max(stage.exposure.of(segment) * rate for segment, rate in RATE.items()) / FULL_PERMILLE
        needed += max(float(stage.min_duration_s), stage.min_samples / share, 40 / share) + 4 * SLACK_S
    return needed + world.scenario.approves_after + 10 * SLACK_S
