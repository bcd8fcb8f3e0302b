"""What other people and programs do to a release: one function for each event that acts once.

Events that last (Prometheus is down, a backend has no endpoints) are only noted by the world; `sight` shows them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from modelrelease.domain.decision import Action, Identity, Standing
from modelrelease.domain.exposure import REST
from modelrelease.domain.release import Fault, State
from modelrelease.domain.traffic import Arm
from modelrelease.domain.unit import Backend
from modelrelease.governance.approvals import evidence_digest
from tests.engine import scenarios
from tests.engine.builders import gen_gate
from tests.engine.log import Content
from tests.engine.scenarios import NEVER, UNITS, Event
from tests.engine.timetable import with_freeze

if TYPE_CHECKING:
    from tests.engine.world import World

UNTRUSTED = (Standing.UNCHECKED, Standing.REFUSED)
RESUMED_AFTER_S = (20.0, 60.0, 150.0)
PART_FAULT = Fault("SegmentEmpty", "spec.traffic.segments[0] has no condition: give it headers")
FAULT = Fault("InvalidSpec", "spec.gates[0].max is not a number: write a number")

Happening = Callable[["World"], bool]
"""Gives back whether there was anything that it could happen to."""

# ---- on the routes


def candidate_raised(world: "World") -> bool:
    """Somebody gives the candidate more."""
    return _shares(world, world.rng.choice((300, 1000)))


def candidate_lowered(world: "World") -> bool:
    """Somebody gives the candidate less."""
    return _shares(world, world.rng.choice((0, 5)))


def weight_dropped(world: "World") -> bool:
    """Somebody's tool leaves weights out."""
    return _shares(world, world.rng.choice((0, 500)), explicit=False)


def stranger_on_the_route(world: "World") -> bool:
    """Somebody adds a backend of his own."""
    return _shares(world, 0, foreign=300)


def route_touched(world: "World") -> bool:
    """Somebody changes what is not ours."""
    name = world.rng.choice(world.route_names)
    if name not in world.store.routes:
        return False
    world.store.touch(name)
    return True


def route_deleted(world: "World") -> bool:
    """Somebody deletes a route."""
    name = world.route_names[0]
    if name not in world.store.routes:
        return False
    world.store.delete_route("stranger", name)
    return True


def _shares(world: "World", candidate: int, *, foreign: int = 0, explicit: bool = True) -> bool:
    """Write weights for the candidate, or the watched unit, and for somebody else into a route."""
    progress = world.store.object.status
    stable, other = progress.stable, progress.candidate or progress.fallback
    name = world.rng.choice(world.route_names)
    if stable is None or name not in world.store.routes:
        return False
    if progress.state is State.WATCHING and progress.fallback:
        stable, other = progress.fallback, progress.stable
    arms = [Arm(stable.revision, stable.backend, 1000 - foreign - (candidate if other else 0))]
    if other:
        arms.append(Arm(other.revision, other.backend, candidate))
    if foreign:
        arms.append(Arm(None, Backend("strange", 80), foreign))
    segments = (*world.store.segments, REST) if len(world.store.routes[name].content.rules) > 1 else (REST,)
    world.store.foreign_route(name, Content(tuple((segment, tuple(arms)) for segment in segments), explicit))
    return True


# ---- on the object


def status_wiped(world: "World") -> bool:
    """Somebody restores a backup without status."""
    world.store.wipe()
    return True


def spec_broken(world: "World") -> bool:
    """An edit breaks the spec, or mends it."""
    world.store.edit(faults=() if world.store.object.spec.faults else (world.rng.choice((FAULT, PART_FAULT)),))
    return True


def edit_unit(world: "World") -> bool:
    """An edit names another unit."""
    world.store.edit(unit=scenarios.units_but(world.store.object.spec.unit, world.rng))
    return True


def edit_plan(world: "World") -> bool:
    """An edit changes stages and gates."""
    world.store.edit(plan=scenarios.draw_plan(world.rng))
    return True


def tighten(world: "World") -> bool:
    """An edit makes a bound stricter."""
    return _bounds(world, "0.02")


def loosen(world: "World") -> bool:
    """An edit makes a bound wider."""
    return _bounds(world, "0.20")


def _bounds(world: "World", maximum: str) -> bool:
    plan = world.store.object.spec.plan
    first, *rest = plan.gates
    edited = replace(plan, gates=(gen_gate(maximum=maximum, scope=first.scope), *rest))
    world.store.edit(plan=with_freeze(world, edited) if maximum == "0.02" else edited)
    return True


def git_revert(world: "World") -> bool:
    """An edit names the unit that served before."""
    progress = world.store.object.status
    known = {world.refs[unit.version].digest: unit for unit in UNITS}
    back = progress.fallback or progress.stable
    if back is None or back.digest not in known:
        return False
    world.store.edit(unit=known[back.digest])
    return True


def delete(world: "World") -> bool:
    """Somebody deletes the release."""
    world.store.delete()
    return True


def turns_bad(world: "World") -> bool:
    """The candidate, or the unit that is watched, is bad from now on, for a while or for good."""
    progress = world.store.object.status
    unit = progress.candidate or (progress.watch.unit if progress.watch else None)
    if unit is None:
        return False
    world.bad[unit.version] = (world.store.now, world.store.now + world.rng.choice((20.0, 60.0, NEVER)))
    return True


# ---- decisions


def pause(world: "World") -> bool:
    """A person says Pause, and later Resume."""
    world.say(Action.PAUSE)
    world.coming.append(Event(world.store.now + world.rng.choice(RESUMED_AFTER_S), "resume"))
    world.coming.sort(key=lambda event: event.at)
    return True


def resume(world: "World") -> bool:
    """A person says Resume."""
    world.say(Action.RESUME)
    return True


def abort(world: "World") -> bool:
    """A person says Abort."""
    return _about_candidate(world, Action.ABORT)


def reject(world: "World") -> bool:
    """An approver says no."""
    return _about_candidate(world, Action.REJECT, role="owner")


def promote(world: "World") -> bool:
    """A person says that the stage was long enough."""
    progress = world.store.object.status
    if not progress.plan or progress.stage < 0:
        return False
    return _about_candidate(world, Action.PROMOTE, stage=progress.plan.stages[progress.stage].name)


def retry(world: "World") -> bool:
    """A person says that a stopped unit (or one that was not) may be tried again."""
    stopped = world.store.object.status.stopped
    unit = world.refs[world.store.object.spec.unit.version]
    world.say(Action.RETRY, digest=world.rng.choice((*stopped, unit.digest)))
    return True


def wrong_approval(world: "World") -> bool:
    """Somebody approves another unit, plan, stage or evidence, none, and in another's name."""
    progress, spec = world.store.object.status, world.store.object.spec
    unit = progress.candidate or world.refs[spec.unit.version]
    bound = {"digest": unit.digest, "plan_digest": spec.plan.digest, "stage": "full", "role": "owner"}
    bound["evidence_digest"] = evidence_digest((), [gate.name for gate in spec.plan.gates])
    forged = [{"identity": Identity(standing, "nobody knows who said it")} for standing in UNTRUSTED]
    other = [{field: "sha256:other"} for field in ("digest", "plan_digest", "evidence_digest")]
    for wrong in (*other, {"stage": "pilot"}, {"stage": None}, *forged):
        world.say(Action.APPROVE, **{**bound, **wrong})
    return True


def _about_candidate(world: "World", action: Action, **bound: str) -> bool:
    candidate = world.store.object.status.candidate
    if candidate is None:
        return False
    world.say(action, digest=candidate.digest, **bound)
    return True


AT_ONCE: dict[str, Happening] = {
    do.__name__.replace("_", " "): do
    for do in (
        candidate_raised,
        candidate_lowered,
        weight_dropped,
        stranger_on_the_route,
        route_touched,
        route_deleted,
        status_wiped,
        spec_broken,
        edit_unit,
        edit_plan,
        tighten,
        loosen,
        git_revert,
        delete,
        turns_bad,
        pause,
        resume,
        abort,
        reject,
        promote,
        retry,
        wrong_approval,
    )
}
"""By the event's name; every other event lasts."""
