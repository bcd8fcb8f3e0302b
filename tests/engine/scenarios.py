"""What happens in one history, drawn from its seed: the plan, how good the units are, what people and others do.

Each history has only some of the faults (swarm testing): a history in which everything fails at once shows little.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

from modelrelease.domain.evidence import Cause
from modelrelease.domain.gate import Scope
from modelrelease.domain.plan import AtMaxDuration, Limits, OnDrift, OnNoSafePath, Plan, Require
from modelrelease.domain.unit import Unit
from tests.engine.builders import SAFE, UNIT_A, UNIT_B, UNIT_C, gen_gate, gen_plan, gen_stage, gen_traffic, gen_unit
from tests.engine.store import Spec
from tests.engine.timetable import timetable

ACTIVE_S = 420.0
TICK_S = 6.0
NEVER = 1e9
BURST_S = 60.0
EARLY = 1.5
"""More happens early, because most rollouts are over after a few minutes."""
UNIT_D = gen_unit("4")
BASELINE = Unit("baseline", UNIT_A.backend)
UNITS = (BASELINE, UNIT_A, UNIT_B, UNIT_C, UNIT_D)
"""What the spec may name. The baseline is what a route served before it was adopted, if the spec names another unit."""


FAULTS: Mapping[str, float] = {
    "stale": 0.2,
    "request lost": 0.06,
    "reply lost": 0.06,
    "crash before": 0.03,
    "crash after": 0.07,
    "stall": 0.02,
    "records down": 0.5,
    "meanwhile": 0.15,
}
"""How likely each fault is at each opportunity, in a history that has it."""

EVENTS: Mapping[str, int] = {
    "busy stranger": 4,
    "candidate raised": 2,
    "candidate lowered": 4,
    "weight dropped": 2,
    "stranger on the route": 1,
    "route touched": 1,
    "status wiped": 4,
    "evidence missing": 1,
    "evidence broken": 1,
    "evidence frozen": 2,
    "source down": 1,
    "no traffic": 1,
    "stable down": 5,
    "stable shrunk": 1,
    "safe down": 1,
    "candidate down": 2,
    "gateway refuses": 1,
    "gateway slow": 1,
    "split wrong": 3,
    "route conflict": 2,
    "unit tampered": 1,
    "spec broken": 2,
    "edit unit": 4,
    "edit plan": 4,
    "tighten": 3,
    "loosen": 1,
    "git revert": 2,
    "pause": 4,
    "abort": 2,
    "promote": 4,
    "retry": 4,
    "reject": 2,
    "wrong approval": 1,
    "route deleted": 5,
    "delete": 2,
    "turns bad": 12,
}
"""What may happen, and how often in relation: more often what must meet something else to show anything."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens at a time, for a while where it lasts."""

    at: float
    what: str
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """One history before it happens. An adopted route serves UNIT_A; otherwise nothing is served yet.

    `bad`: from when until when each unit is bad, by version. `forgetful`: a new process has no evidence at first.
    `hasty`: somebody approves the wrong things as soon as an approval is waited for, and the right one comes later.
    `timely`: what happens waits until the candidate has a share, because most rollouts are over after a few minutes.
    """

    seed: int
    spec: Spec
    adopted: bool
    route_names: tuple[str, ...]
    faults: Mapping[str, float]
    events: tuple[Event, ...]
    bad: Mapping[str, tuple[float, float]]
    forgetful: bool
    hasty: bool
    timely: bool
    approves_after: float


def scenario(seed: int) -> Scenario:
    """Draw the scenario of a seed. Every sixth one has no faults and no events, so that L2 can be checked."""
    rng = Random(seed)
    quiet = seed % 6 == 0
    adopted = rng.random() < 0.8
    plan = timetable(seed, draw_plan(rng), quiet=quiet)
    traffic = gen_traffic(
        owned=not adopted,
        safe_backend=SAFE if rng.random() < 0.5 else None,
        delete_owned_route=not adopted and rng.random() < 0.5,
    )
    faults = {} if quiet else {name: chance for name, chance in FAULTS.items() if rng.random() < 0.4}
    wanted = UNIT_B if rng.random() < (0.85 if adopted else 0.5) else UNIT_A
    return Scenario(
        seed=seed,
        spec=Spec(wanted, plan, traffic),
        adopted=adopted,
        route_names=("chat",) if not adopted or rng.random() < 0.75 else ("chat", "chat-internal"),
        faults=faults,
        events=() if quiet else tuple(sorted((*_events(rng, adopted), *_pods(seed)), key=lambda event: event.at)),
        bad=_bad(rng),
        forgetful=not quiet and rng.random() < 0.4,
        hasty=not quiet and rng.random() < 0.5,
        timely=not quiet and rng.random() < 0.5,
        approves_after=rng.choice((0.0, 10.0, 60.0)),
    )


def draw_plan(rng: Random) -> Plan:
    """Stages that differ in number, duration, samples, proof and approvals; gates in scope and rule; a watch or not."""
    roles = ("owner",) if rng.random() < 0.4 else ()
    last = gen_stage(
        "full",
        1000,
        min_duration_s=rng.choice((0, 12, 30)),
        min_samples=0,
        require=rng.choice(tuple(Require)),
        approvals=roles,
    )
    middle = [
        gen_stage("pilot", 20, segment_only=True, min_duration_s=rng.choice((12, 24)), min_samples=rng.choice((0, 3))),
        gen_stage("mixed", 50, min_duration_s=rng.choice((0, 12, 30)), min_samples=rng.choice((0, 20))),
        gen_stage("broad", 200, min_duration_s=rng.choice((6, 24)), min_samples=rng.choice((0, 60))),
    ]
    stages = [stage for stage in middle if rng.random() < 0.8] or [middle[1]]
    if rng.random() < 0.25:
        stages[-1] = replace(stages[-1], max_duration_s=90, at_max_duration=rng.choice(tuple(AtMaxDuration)))
    scope = Scope.SEGMENT if rng.random() < 0.2 else Scope.WHOLE
    gates = [gen_gate(scope=scope)]
    if rng.random() < 0.5:
        gates.append(gen_gate("slow", against_stable="1.5"))
    return gen_plan(
        *stages,
        last,
        gates=tuple(gates),
        watch_s=rng.choice((0, 60, 120)),
        limits=Limits(missing_s=40, broken_s=40, route_confirm_s=30, fresh_s=20),
        on_drift=rng.choice(tuple(OnDrift)),
        on_no_safe_path=rng.choice(tuple(OnNoSafePath)),
    )


def _bad(rng: Random) -> dict[str, tuple[float, float]]:
    """When each unit is bad (by version): never, always, from some time on, or only for a while."""
    found = {}
    for unit in (UNIT_B, UNIT_C, UNIT_D):
        start = rng.choice((NEVER, NEVER, 0.0, ACTIVE_S * rng.random() ** EARLY))
        found[unit.version] = (start, start + rng.choice((20.0, 60.0, NEVER, NEVER)))
    return found


def _events(rng: Random, adopted: bool) -> list[Event]:
    """A few events, in some histories all close together: what one of them alone does not break, two may."""
    possible = {what: weight for what, weight in EVENTS.items() if what != "route deleted" or not adopted}
    chosen = list(dict.fromkeys(rng.choices(list(possible), list(possible.values()), k=rng.randint(1, 7))))
    burst = rng.uniform(0, ACTIVE_S / 2) if rng.random() < 0.4 else None
    events = []
    for what in chosen:
        for _ in range(rng.choice((1, 1, 2, 3))):
            start = ACTIVE_S * rng.random() ** EARLY if burst is None else burst + rng.uniform(0, BURST_S)
            events.append(Event(start, what, start + rng.choice((5.0, 20.0, 60.0, 120.0))))
    return events


def shows_pods(seed: int) -> bool:
    """Whether the cluster of a seed has pods; elsewhere nobody can tell what runs behind a backend."""
    return seed % 12 == 9


def _pods(seed: int) -> list[Event]:
    """What happens to images, drawn apart so that histories without pods are what they were."""
    rng = Random(seed * 31 + 5)
    if not shows_pods(seed) or rng.random() < 0.1:
        return []
    start = ACTIVE_S * rng.random() ** EARLY
    return [
        Event(start, rng.choice(("image moved", "image moved", "pods unread")), start + rng.choice((20.0, 60.0, 120.0)))
    ]


CAUSES = {
    "evidence missing": Cause.MISSING,
    "evidence broken": Cause.BROKEN,
    "source down": Cause.SOURCE_DOWN,
    "no traffic": Cause.INSUFFICIENT,
}


def units_but(unit: Unit, rng: Random) -> Unit:
    """Another unit than this one."""
    return rng.choice([other for other in (UNIT_B, UNIT_C, UNIT_D) if other != unit])
