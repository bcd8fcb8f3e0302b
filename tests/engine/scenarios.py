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

ACTIVE_S = 420.0
TICK_S = 6.0
UNIT_D = gen_unit("4")
UNITS = {"A": UNIT_A, "B": UNIT_B, "C": UNIT_C, "D": UNIT_D}

FAULTS: Mapping[str, float] = {
    "stale": 0.2,
    "request lost": 0.06,
    "reply lost": 0.06,
    "crash before": 0.03,
    "crash after": 0.04,
    "pause": 0.02,
    "records down": 0.5,
    "meanwhile": 0.15,
}
"""How likely each fault is at each opportunity, in a history that has it."""

EVENTS = (
    "candidate raised",
    "candidate lowered",
    "weight dropped",
    "stranger on the route",
    "route touched",
    "status wiped",
    "evidence missing",
    "evidence broken",
    "source down",
    "no traffic",
    "stable down",
    "candidate down",
    "gateway refuses",
    "gateway slow",
    "split wrong",
    "spec broken",
    "edit unit",
    "edit plan",
    "tighten",
    "loosen",
    "git revert",
    "pause",
    "abort",
    "promote",
    "retry",
    "reject",
    "wrong approval",
    "route deleted",
    "delete",
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens at a time, for a while where it lasts."""

    at: float
    what: str
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """One history before it happens."""

    seed: int
    spec: Spec
    adopted: bool
    route_names: tuple[str, ...]
    faults: Mapping[str, float]
    events: tuple[Event, ...]
    bad_from: Mapping[str, float]
    forgetful: bool
    approves_after: float


def scenario(seed: int) -> Scenario:
    """Draw the scenario of a seed. Every third one has no faults at all, so that L2 can be checked."""
    rng = Random(seed)
    quiet = seed % 4 == 0
    adopted = rng.random() < 0.8
    plan = draw_plan(rng)
    traffic = gen_traffic(owned=not adopted, safe_backend=SAFE if rng.random() < 0.5 else None)
    faults = {} if quiet else {name: chance for name, chance in FAULTS.items() if rng.random() < 0.4}
    wanted = UNIT_B if adopted or rng.random() < 0.5 else UNIT_A
    return Scenario(
        seed=seed,
        spec=Spec(wanted, plan, traffic),
        adopted=adopted,
        route_names=("chat",) if not adopted or rng.random() < 0.75 else ("chat", "chat-internal"),
        faults=faults,
        events=() if quiet else tuple(sorted(_events(rng, adopted), key=lambda event: event.at)),
        bad_from=_bad_from(rng),
        forgetful=not quiet and rng.random() < 0.4,
        approves_after=rng.choice((0.0, 10.0, 60.0)),
    )


def draw_plan(rng: Random) -> Plan:
    """Stages that differ in number, duration, samples, proof and approvals; gates in scope and rule; a watch or not."""
    roles = ("owner",) if rng.random() < 0.3 else ()
    last = gen_stage(
        "full",
        1000,
        min_duration_s=rng.choice((0, 12)),
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
        on_drift=rng.choice((OnDrift.RESTORE, OnDrift.RESTORE, OnDrift.HOLD)),
        on_no_safe_path=rng.choice(tuple(OnNoSafePath)),
    )


def _bad_from(rng: Random) -> dict[str, float]:
    """From when on each unit is bad (by version): never, always, or from some time on."""
    return {unit.version: rng.choice((1e9, 1e9, 0.0, rng.uniform(0, ACTIVE_S))) for unit in (UNIT_B, UNIT_C, UNIT_D)}


def _events(rng: Random, adopted: bool) -> list[Event]:
    possible = [what for what in EVENTS if what != "route deleted" or not adopted]
    chosen = rng.sample(possible, rng.randint(0, 5))
    if "delete" in chosen and rng.random() < 0.5:
        chosen.remove("delete")
    events = []
    for what in chosen:
        for _ in range(rng.choice((1, 1, 2, 3))):
            start = rng.uniform(0, ACTIVE_S)
            events.append(Event(start, what, start + rng.choice((5.0, 20.0, 60.0))))
    return events


CAUSES = {
    "evidence missing": Cause.MISSING,
    "evidence broken": Cause.BROKEN,
    "source down": Cause.SOURCE_DOWN,
    "no traffic": Cause.INSUFFICIENT,
}


def units_but(unit: Unit, rng: Random) -> Unit:
    """Another unit than this one."""
    return rng.choice([other for other in (UNIT_B, UNIT_C, UNIT_D) if other != unit])
