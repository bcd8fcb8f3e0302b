"""Evidence in, verdicts out: the one door to this package.

    state = start(gate, settings)
    state = fold(gate, state, evidence)                        # each tick
    verdicts(gate, state, at=now, settings=settings)           # whenever somebody asks

A revert, once reached, stays: an E-process crosses its threshold under a true null with probability at most alpha over
all time, so the crossing counts whatever comes later, missing data included. A pass is judged at the moment, from
fresh evidence. Deciding what follows from a verdict is the engine's; asking Prometheus is the collector's.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, assert_never

from modelrelease.domain.canonical import digest
from modelrelease.domain.evidence import Cause, Evidence, Problem, Stratum, Tally
from modelrelease.domain.gate import Absolute, AgainstStable, Cost, Gate, Mean, Quantile, Ratio, Scope, Value
from modelrelease.domain.verdict import Outcome, Verdict
from modelrelease.gates.cost import cost_machine
from modelrelease.gates.machine import Bars, Machine
from modelrelease.gates.mean import mean_machine
from modelrelease.gates.quantile import quantile_machine
from modelrelease.gates.ratio import ratio_machine
from modelrelease.gates.state import GateState, Track
from modelrelease.gates.value import ValueMachine, value_machine
from modelrelease.gates.words import count

_NOT_COMPARED = "needs stable traffic to compare with, and there has not been enough"


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """Error probabilities of the whole release and what counts as data."""

    alpha: float = 0.01
    """Probability of a false revert over the whole release, all gates and all looks together."""
    beta: float = 0.05
    """Probability that one gate ever passes a candidate which is at its margin."""
    gates: int = 1
    """Tests that may revert this release (a gate per segment counts once per segment); each needs E ≥ gates/alpha."""
    fresh_s: int = 30
    """Oldest age of the newest sample, in seconds, at which evidence still counts as current."""
    min_events: int = 1
    """Candidate events below which nothing but a revert is said."""
    window_s: int = 0
    """Least length of a compared window in seconds; 0: each stratum is one. As long as stable's bad events stay
    correlated: chosen from its history before the start and frozen there (`windows.habit_of`). Shorter windows find a
    bad candidate sooner, but bursts that outlast them revert good ones. Plain bounds on ratios and quantiles do not
    wait for it."""
    phi: float | None = None
    """How much noisier than independent events stable's bad events were before the start, found and frozen likewise;
    None: unknown, learnt on the way, which takes longer to find the same and knows less of bursts."""

    @property
    def bars(self) -> Bars:
        """The thresholds that follow."""
        return Bars(self.alpha, self.beta, self.gates)


def start(gate: Gate, settings: JudgeSettings) -> GateState:
    """The state of a gate before any evidence. Thresholds are no part of it: they apply when a verdict is asked."""
    return _blank(gate, settings.window_s, settings.phi)


def fold(gate: Gate, state: GateState, evidence: Evidence) -> GateState:
    """The state with one tick's evidence in it.

    Strata are counted in order of time and each moment of a segment once: a stratum that begins before the end of one
    already counted is left out, so that reading the same range again after a restart changes nothing. A state that was
    started for another rule starts anew, because a likelihood ratio against one margin says nothing about another.
    """
    if state.demand != _demand(gate):
        state = _blank(gate, state.window_s, state.phi)
    state = replace(state, problem=evidence.problem, newest=evidence.newest or state.newest)
    if _refusal(gate) is not None:
        return state
    if isinstance(gate.metric, Value):
        return _take_sample(gate, state, evidence)
    for stratum in in_order(evidence.strata):
        state = _count(gate, state, stratum)
    return state


def in_order(strata: Iterable[Stratum]) -> list[Stratum]:
    """The order in which strata are judged: by time, then by segment."""
    return sorted(strata, key=lambda item: (item.start, item.end, item.segment or ""))


def verdicts(gate: Gate, state: GateState, *, at: datetime, settings: JudgeSettings) -> tuple[Verdict, ...]:
    """What the gate says at `at`: one verdict for scope Whole, else one per segment seen, and at least one."""
    if state.demand != _demand(gate):
        return (_no_data(gate, state, at, Problem(Cause.MISSING, "nothing has been measured under this rule yet")),)
    if not state.tracks:
        problem = _blindness(gate, state, at, settings) or Problem(
            Cause.INSUFFICIENT, "no segment has had any traffic yet"
        )
        return (_no_data(gate, state, at, problem),)
    return tuple(_judge(gate, state, track, at, settings) for track in state.tracks)


@lru_cache(maxsize=4096)
def machine_of(gate: Gate) -> Machine[Any]:
    """The machine for a gate's metric and rule. Raises ValueError when the rule does not fit the metric."""
    match gate.rule:
        case Absolute(maximum=None, minimum=None):
            raise ValueError("the rule has neither a maximum nor a minimum")
        case AgainstStable(max_ratio=None, max_difference=None):
            raise ValueError("the rule has neither a maxRatio nor a maxDifference")
    match gate.metric:
        case Ratio():
            return ratio_machine(gate.rule)
        case Quantile() as metric:
            return quantile_machine(metric, gate.rule)
        case Mean():
            return mean_machine(gate)
        case Cost() as metric:
            return cost_machine(metric, gate.rule)
        case Value():
            return value_machine(gate.rule)
        case _:
            assert_never(gate.metric)


@lru_cache(maxsize=4096)
def _refusal(gate: Gate) -> str | None:
    """Why the gate cannot be judged at all; None when it can."""
    try:
        machine_of(gate)
    except (ValueError, ArithmeticError) as error:
        return f"gate {gate.name} cannot be judged: {error}"
    return None


@lru_cache(maxsize=4096)
def _demand(gate: Gate) -> str:
    """The digest of all that decides how evidence is judged."""
    body = asdict(gate)
    return digest({name: body[name] for name in ("metric", "rule", "kind", "scope", "warm_up_s")})


def _blank(gate: Gate, window_s: int, phi: float | None) -> GateState:
    whole = gate.scope is Scope.WHOLE or isinstance(gate.metric, Value)
    waits = gate.comparative or isinstance(gate.metric, Mean | Cost)
    state = GateState(gate.name, _demand(gate), window_s if waits else 0, phi=phi)
    return replace(state, tracks=(_new_track(gate, state, None),)) if whole and _refusal(gate) is None else state


def _new_track(gate: Gate, state: GateState, segment: str | None) -> Track:
    return Track(segment, machine_of(gate).start(state.habit))


def _take_sample(gate: Gate, state: GateState, evidence: Evidence) -> GateState:
    machine, (track,) = machine_of(gate), state.tracks
    if evidence.value is None or not isinstance(machine, ValueMachine):
        return state
    sample = machine.sample(track.machine, evidence.value, evidence.newest)  # type: ignore[arg-type]
    peak = max(track.peak, machine.log_revert(sample))
    return replace(state, tracks=(replace(track, machine=sample, peak=peak, seen=track.seen + 1),))


def _count(gate: Gate, state: GateState, stratum: Stratum) -> GateState:
    """Count one stratum in its track, unless it is broken or was counted before."""
    if not _sound(stratum):
        message = f"the counts from {stratum.start:%H:%M:%S} to {stratum.end:%H:%M:%S} are not all finite and ≥ 0"
        return replace(state, problem=Problem(Cause.BROKEN, message))
    segment = stratum.segment or ""
    counted = dict(state.counted_until)
    if segment in counted and stratum.start < counted[segment]:
        return state
    counted[segment] = stratum.end
    state = replace(state, counted_until=tuple(sorted(counted.items())))
    return _enter(gate, state, stratum) if not state.window_s else _collect(gate, state, stratum)


def _collect(gate: Gate, state: GateState, stratum: Stratum) -> GateState:
    """Add one stratum to its segment's open window, and count the window once it is long enough."""
    others = tuple(item for item in state.open if item.segment != stratum.segment)
    for item in state.open:
        if item.segment == stratum.segment:
            stratum = _joined(item, stratum) or stratum
    if (stratum.end - stratum.start).total_seconds() >= state.window_s:
        return _enter(gate, replace(state, open=others), stratum)
    return replace(state, open=tuple(sorted((*others, stratum), key=lambda item: item.segment or "")))


def _joined(first: Stratum, then: Stratum) -> Stratum | None:
    """Both strata as one window; None, and the first is dropped, when their histograms do not fit together."""
    try:
        candidate, stable = first.candidate + then.candidate, first.stable + then.stable
    except ValueError:
        return None
    return Stratum(first.start, then.end, candidate, stable, then.segment)


def _enter(gate: Gate, state: GateState, stratum: Stratum) -> GateState:
    """Count one whole window in its track."""
    name = stratum.segment if gate.scope is Scope.SEGMENT else None
    tracks = {track.segment: track for track in state.tracks}
    tracks[name] = _advance(gate, tracks.get(name) or _new_track(gate, state, name), stratum)
    ordered = sorted(tracks.values(), key=lambda track: track.segment or "")
    return replace(state, tracks=tuple(ordered))


def _advance(gate: Gate, track: Track, stratum: Stratum) -> Track:
    events = _events(stratum.candidate)
    first_at = track.first_at or (stratum.start if events > 0 else None)
    warm_up = timedelta(seconds=gate.warm_up_s)
    if warm_up and (first_at is None or stratum.start < first_at + warm_up):
        return replace(track, first_at=first_at, warming=track.warming + events)
    machine = machine_of(gate)
    state = machine.update(track.machine, stratum)
    peak = max(track.peak, machine.log_revert(state))
    return replace(track, machine=state, peak=peak, first_at=first_at, seen=track.seen + events)


def _judge(gate: Gate, state: GateState, track: Track, at: datetime, settings: JudgeSettings) -> Verdict:
    machine, bars = machine_of(gate), settings.bars
    log_pass = machine.log_pass(track.machine)
    if track.peak >= bars.log_revert:
        outcome = Outcome.REVERT
    elif (
        problem := _blindness(gate, state, at, settings)
        or machine.problem(track.machine)
        or _thin(gate, track, settings)
    ):
        return _no_data(gate, state, at, problem, track)
    elif not machine.compared(track.machine):
        return _verdict(gate, state, at, Outcome.UNDECIDED, _NOT_COMPARED, track)
    else:
        outcome = Outcome.PASS if log_pass >= bars.log_pass else Outcome.UNDECIDED
    evidence = (
        ("log_e", track.peak),
        ("threshold", bars.log_revert),
        ("log_e_pass", log_pass),
        ("threshold_pass", bars.log_pass),
    )
    numbers = tuple((name, value) for name, value in evidence if math.isfinite(value))
    verdict = _verdict(gate, state, at, outcome, machine.sentence(track.machine, outcome, bars), track)
    return replace(verdict, numbers=(*machine.numbers(track.machine), *numbers))


def _blindness(gate: Gate, state: GateState, at: datetime, settings: JudgeSettings) -> Problem | None:
    """What keeps the whole gate from being judged now: a bad rule, a reported problem, no or old samples."""
    if (refusal := _refusal(gate)) is not None:
        return Problem(Cause.BROKEN, refusal)
    if state.problem is not None:
        return state.problem
    if state.newest is None:
        return Problem(Cause.MISSING, "no sample has been seen yet")
    age_s = (at - state.newest).total_seconds()
    if age_s > settings.fresh_s:
        return Problem(Cause.MISSING, f"the newest sample is {age_s:.0f} s old, {settings.fresh_s} s allowed")
    return None


def _thin(gate: Gate, track: Track, settings: JudgeSettings) -> Problem | None:
    needed = 1 if isinstance(gate.metric, Value) else max(1, settings.min_events)
    if track.seen >= needed:
        return None
    warming = f", and {count(track.warming)} in its warm-up that do not count" if track.warming else ""
    return Problem(
        Cause.INSUFFICIENT, f"the candidate has had {count(track.seen)} events of {count(needed)} needed{warming}"
    )


def _no_data(gate: Gate, state: GateState, at: datetime, problem: Problem, track: Track | None = None) -> Verdict:
    verdict = _verdict(gate, state, at, Outcome.NO_DATA, problem.message, track)
    numbers = machine_of(gate).numbers(track.machine) if track else ()
    return replace(verdict, cause=problem.cause, numbers=numbers)


def _verdict(gate: Gate, state: GateState, at: datetime, outcome: Outcome, said: str, track: Track | None) -> Verdict:
    segment = track.segment if track else None
    place = f" in {segment}" if segment else ""
    return Verdict(
        gate.name,
        outcome,
        f"{gate.name}{place}: {said}",
        at,
        segment=segment,
        newest=state.newest,
        comparative=gate.comparative,
    )


def _sound(stratum: Stratum) -> bool:
    return all(math.isfinite(x) and x >= 0 for x in (*_counts(stratum.candidate), *_counts(stratum.stable)))


def _counts(tally: Tally) -> Iterable[float]:
    return (tally.total, tally.bad, *(events for _, events in tally.buckets))


def _events(tally: Tally) -> float:
    return max(tally.total, tally.buckets[-1][1] if tally.buckets else 0.0)
