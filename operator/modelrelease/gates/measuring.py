"""What stable's counts say of the traffic to come: events per second, stable's figure, and how its bad events cluster.

The counts go through the gate's own machine, so that the figure is the one that the judge will compare with: a
quantile's share above the bound that it would freeze, say.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from modelrelease.domain.evidence import Stratum, Tally
from modelrelease.domain.gate import AgainstStable, Gate, Quantile, Value
from modelrelease.domain.habit import Habit
from modelrelease.gates.contrast import ContrastMachine, Noise
from modelrelease.gates.dispersion import PRIOR, SPANS, Dispersion, phi_for_stakes
from modelrelease.gates.expected import INDEPENDENT, Bursts
from modelrelease.gates.judge import machine_of
from modelrelease.gates.quantile import QuantileMachine
from modelrelease.gates.ratio import Proportions, RatioMachine
from modelrelease.gates.traffic import ALL, SILENT, Flow, GateTraffic
from modelrelease.gates.words import count

FEW = 10.0
"""Bad events under which stable's rate is only a rough guess."""


def traffic_of(
    gate: Gate, strata: Sequence[Stratum], *, apart: bool, problem: str = "", habit: Habit | None = None
) -> GateTraffic:
    """What `strata` show: both arms count as traffic, stable's as the figure. `problem` is said where there are none.

    `apart`: the gate's series tell segments apart. Where they do not, a stratum names no segment. `habit`: what the
    judge will be told of stable's bad events.
    """
    if isinstance(gate.metric, Value):
        return GateTraffic(gate, {}, apart, problem=problem)
    counted, seconds = _steady(strata)
    if not seconds:
        return GateTraffic(gate, {}, apart, problem=problem or SILENT)
    by_segment: dict[str, list[Stratum]] = {}
    for stratum in counted:
        by_segment.setdefault(stratum.segment or ALL, []).append(stratum)
    try:
        machine = machine_of(gate)
    except (ValueError, ArithmeticError) as error:
        return GateTraffic(gate, {}, apart, problem=f"gate {gate.name} cannot be judged: {error}")
    if isinstance(machine, ContrastMachine):
        flows = {name: _mean_flow(machine, each, seconds) for name, each in by_segment.items()}
        return GateTraffic(gate, flows, apart, Bursts(habit=habit))
    states = {name: _folded(machine, gate, each) for name, each in by_segment.items()}
    flows = {name: _share_flow(gate, machine, states[name], by_segment[name], seconds) for name in by_segment}
    bursts = _bursts([_counted(machine, state) for state in states.values()])
    return GateTraffic(gate, flows, apart, replace(bursts, habit=habit))


def requests_per_s(strata: Sequence[Stratum]) -> Mapping[str, float]:
    """Requests per second of both arms by segment, ALL where the series do not tell segments apart."""
    counted, seconds = _steady(strata)
    found: dict[str, float] = {}
    for stratum in counted:
        name = stratum.segment or ALL
        found[name] = found.get(name, 0.0) + (_events(stratum.candidate) + _events(stratum.stable)) / seconds
    return found


def seen_for_s(strata: Sequence[Stratum]) -> float:
    """The seconds over which rates are taken: shorter than was asked for where traffic, or Prometheus, is younger."""
    return _steady(strata)[1]


def _steady(strata: Sequence[Stratum]) -> tuple[list[Stratum], float]:
    """The strata after the first, and their seconds: nobody knows how long the first waited for its events."""
    first = min((each.end for each in strata), default=None)
    if first is None:
        return [], 0.0
    counted = [each for each in strata if each.end > first]
    return counted, max(((each.end - first).total_seconds() for each in counted), default=0.0)


def rough(traffic: GateTraffic) -> str:
    """Why stable's rate is only a rough guess, "" when it is a good one."""
    flows = [flow for flow in traffic.flows.values() if flow.figure is not None and flow.counted]
    if not flows or isinstance(machine_of(traffic.gate), ContrastMachine):
        return ""
    bad = sum(min(flow.figure or 0.0, 1 - (flow.figure or 0.0)) * flow.counted for flow in flows)
    if bad >= FEW:
        return ""
    return f"stable showed {count(round(bad))} bad events in {count(round(sum(flow.counted for flow in flows)))}"


def _folded(machine: object, gate: Gate, strata: Iterable[Stratum]) -> object:
    """The machine's state when stable alone had been judged: as stable, or as the candidate of an absolute rule."""
    assert isinstance(machine, RatioMachine | QuantileMachine)
    state = machine.start()
    for each in strata:
        arms = (Tally(), each.stable) if gate.comparative else (each.stable, Tally())
        state = machine.update(state, Stratum(each.start, each.end, *arms, each.segment))  # type: ignore[arg-type]
    return state


def _counted(machine: object, state: object) -> Proportions:
    found = getattr(state, "counts", state)
    assert isinstance(found, Proportions)
    return found


def _share_flow(gate: Gate, machine: object, state: object, strata: Sequence[Stratum], seconds: float) -> Flow:
    per_s = sum(_events(each.candidate) + _events(each.stable) for each in strata) / seconds
    totals = _counted(machine, state).totals
    n, bad = (totals.n_s, totals.y_s) if gate.comparative else (totals.n_c, totals.y_c)
    trouble = machine.problem(state) if isinstance(machine, QuantileMachine) else None  # type: ignore[arg-type]
    if trouble is not None:
        return Flow(per_s, note=trouble.message)
    if n <= 0:
        return Flow(per_s, note="stable has shown too little to know its figure")
    rule = gate.rule
    if bad <= 0 and isinstance(rule, AgainstStable) and rule.floor is None and rule.max_difference is None:
        kind = "slow" if isinstance(gate.metric, Quantile) else "bad"
        note = f"stable showed no {kind} event in {count(round(n))}, and nothing is a multiple of none: "
        note += "give the gate a floor"
        return Flow(per_s, counted=n, note=note)
    return Flow(per_s, bad / n, counted=n)


def _mean_flow(machine: ContrastMachine, strata: Sequence[Stratum], seconds: float) -> Flow:
    per_s = sum(each.candidate.total + each.stable.total for each in strata) / seconds
    noise, total, amount = Noise(), 0.0, 0.0
    for each in strata:
        if each.stable.total > 0:
            figure = machine.per * each.stable.bad / each.stable.total
            noise = noise.add(each.segment or "", figure, each.stable.total)
            total, amount = total + each.stable.total, amount + each.stable.bad
    if total <= 0 or not noise.steps:
        return Flow(per_s, note="stable has shown too little to know its mean")
    if amount <= 0 and any(demand.log for demand in machine.demands):
        return Flow(per_s, counted=total, note="stable has cost nothing so far")
    return Flow(per_s, machine.per * amount / total, math.sqrt(noise.squares / noise.steps), total)


def _bursts(counted: Sequence[Proportions]) -> Bursts:
    dispersions = tuple(item for state in counted for item in state.dispersions)
    if not dispersions:
        return INDEPENDENT
    return Bursts(phi_for_stakes(dispersions), tuple(_phi(dispersions, index) for index in range(len(SPANS))))


def _phi(dispersions: Sequence[Dispersion], index: int) -> float:
    looks = [item.spans[index].over_time for item in dispersions]
    return max(1.0, (sum(look.found for look in looks) + PRIOR) / (sum(look.expected for look in looks) + PRIOR))


def _events(tally: Tally) -> float:
    return max(tally.total, tally.buckets[-1][1] if tally.buckets else 0.0)
