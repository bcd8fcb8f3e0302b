"""Release trains in the simulated world: which histories have one, who overrides it, and what a raise must respect.

The checks here do not ask `governance`: windows of the world are minutes of an hour and freezes are seconds since the
beginning, so that anybody can count.
"""

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from modelrelease.domain.decision import Action, Decision
from modelrelease.domain.plan import Plan
from modelrelease.domain.record import Record
from modelrelease.domain.release import Observed, State
from modelrelease.domain.train import Cron, Freeze, Schedule, Train
from tests.engine.builders import NOW, UID, at
from tests.engine.seen import Found

if TYPE_CHECKING:
    from tests.engine.world import World

SELDOM, FIRST = 7, 2
EVERY_MIN, LONGEST_FREEZE_S = 6, 240.0


def timetable(seed: int, plan: Plan, *, quiet: bool) -> Plan:
    """The plan of a seed, in one of seven histories with windows, a freeze or both; drawn apart from all else."""
    if quiet or seed % SELDOM != FIRST:
        return plan
    rng = Random(seed * 104_729 + 7)
    kind = rng.choice(("windows", "freeze", "both"))
    windows = Schedule((Cron(f"*/{EVERY_MIN} * * * *", rng.choice((60, 120, 240))),))
    return replace(
        plan,
        train=Train(
            (windows,) if kind != "freeze" else (),
            (drawn_freeze(rng, rng.uniform(0, 300)),) if kind != "windows" else (),
        ),
    )


def drawn_freeze(rng: Random, start: float) -> Freeze:
    """A freeze that begins at a time of the history."""
    end = start + rng.uniform(30, LONGEST_FREEZE_S)
    return Freeze(*(at(round(moment)).isoformat().replace("+00:00", "Z") for moment in (start, end)), "peak")


def with_freeze(world: "World", plan: Plan) -> Plan:
    """A plan that has a train, with one more freeze: that is tighter."""
    if plan.train.unlimited:
        return plan
    more = drawn_freeze(world.rng, world.store.now)
    return replace(plan, train=replace(plan.train, freezes=(*plan.train.freezes, more)))


def is_open(train: Train, now: float) -> bool:
    """Whether the train is open, counted by hand."""
    for schedule in train.schedules:
        (window,) = schedule.windows
        assert isinstance(window, Cron) and NOW.minute == 0
        if now % (EVERY_MIN * 60) >= window.duration_s:
            return False
    stamp = at(now).isoformat(timespec="microseconds")
    return not any(freeze.since[:-1] <= stamp[:-6] and stamp[:19] < freeze.until[:-1] for freeze in train.freezes)


def is_tighter(new: Train, old: Train) -> bool:
    """Whether nothing of a train was taken away."""
    return set(old.schedules) <= set(new.schedules) and set(old.freezes) <= set(new.freezes)


def override(world: "World") -> None:
    """In some histories somebody overrides a train that a candidate waits for; wrongly, where people are hasty."""
    progress, seed = world.store.object.status, world.scenario.seed
    plan, candidate = progress.plan, progress.candidate
    if plan is None or candidate is None or progress.state not in (State.PREPARING, State.OBSERVING):
        return
    if not world.faulty or seed % 2 or is_open(plan.train, world.store.now):
        return
    said = [each for each in world.store.decisions if each.action is Action.OVERRIDE]
    if any(each.digest == candidate.digest and each.plan_digest == plan.digest for each in said):
        return
    bound = {"digest": candidate.digest, "plan_digest": plan.digest, "incident": "INC-1"}
    later = at(world.store.now + 45)
    if world.scenario.hasty:
        for wrong in ({"digest": "sha256:other"}, {"plan_digest": "sha256:other"}, {"incident": None}):
            world.say(Action.OVERRIDE, **{**bound, **wrong}, expires_at=later)
        world.say(Action.OVERRIDE, **bound, expires_at=at(world.store.now))
    else:
        world.say(Action.OVERRIDE, **bound, expires_at=later)


def respected(observed: Observed, plan: Plan, record: Record, now: float) -> Found:
    """A raise was decided while the train was open, or with somebody's override, which its record names (R6)."""
    if is_open(plan.train, now):
        return
    fitting = [said.uid for said in observed.decisions if _fits(said, plan, record, now)]
    if not fitting:
        yield "R6", "a raise was decided while the release train was closed"
    elif record.body.get("override", {}).get("uid") not in fitting:  # type: ignore[attr-defined]
        yield "R6", "the record of a raise does not name the override that let it go on"


def _fits(said: Decision, plan: Plan, record: Record, now: float) -> bool:
    return (
        said.action is Action.OVERRIDE
        and said.counts
        and said.release_uid == UID
        and (said.digest, said.plan_digest) == (record.body["candidate"]["digest"], plan.digest)  # type: ignore[index]
        and bool(said.incident)
        and said.expires_at is not None
        and said.expires_at > at(now)
    )
