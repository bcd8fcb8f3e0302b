"""How long each stage needs, from the traffic that stable shows: for its samples, to see a worse candidate, to prove.

    forecast(plan, measured, settings).stages[0].sight.seconds      # "twice as bad" shows so long after the stage began
    shortfalls(forecast(…))                                         # stages that are too short, and what to write

Evidence adds up over the stages, so each is looked at with what the ones before it are expected to leave. All times are
those by which about three of four candidates are through: the expected evidence must reach RESERVE times what the
judge asks. Nothing here decides about traffic; asking Prometheus is the caller's.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from modelrelease.domain.exposure import FULL_PERMILLE, Exposure
from modelrelease.domain.gate import Phase, Scope, Value
from modelrelease.domain.plan import Plan, Require, Stage
from modelrelease.gates import expected
from modelrelease.gates.expected import Arms, Stay
from modelrelease.gates.judge import JudgeSettings, machine_of
from modelrelease.gates.regressions import Worse, regressions_of, worse_figure
from modelrelease.gates.traffic import SILENT, GateTraffic, Measured, pieces, share_of_all, unsplit
from modelrelease.gates.value import BREACHES

RESERVE = 1.5
"""Expected evidence is asked for this much more than the judge asks: the mean path reaches the threshold when about
half of the candidates are through, and one and a half times the threshold when 7 to 8 of 10 are (simulated)."""

HORIZON_S = 90 * 86400.0
"""What takes longer counts as never."""


@dataclass(frozen=True, slots=True)
class Need:
    """A time in seconds: infinite for never, None when there is none to say, and then `note` says why."""

    seconds: float | None
    note: str = ""
    gate: str = ""

    @property
    def known(self) -> bool:
        """Whether there is a time to compare with."""
        return self.seconds is not None


ALLOWED = Need(None, "allowed")
"""The gate lets such a candidate pass: it is within the margin."""

ALONE = Need(None, "no stable arm")
"""The candidate has all traffic, so there is nothing to compare it with."""


class Sufficiency(StrEnum):
    """Whether a stage is long enough.

    TooShort: it ends, or waits for ever, before it can have what it is for. Early: it may be left before a candidate
    that is worse shows; a later stage sees it. Unknown: traffic or base rate is.
    """

    ENOUGH = "Enough"
    EARLY = "Early"
    TOO_SHORT = "TooShort"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class GateForecast:
    """One gate in one stage: when it sees what, and when it passes a candidate that equals stable."""

    gate: str
    sees: Mapping[Worse, Need]
    proves: Need

    @property
    def sight(self) -> Need:
        """When it sees the least regression that it does not allow."""
        return next((need for need in self.sees.values() if need != ALLOWED), ALLOWED)


@dataclass(frozen=True, slots=True)
class StageForecast:
    """One stage. `sight` and `proof` are those of the slowest gate that is known; `leaves_s`: when it is expected to
    go on; `problems`: what is not known."""

    index: int
    stage: Stage
    candidate_per_s: float | None
    samples: Need
    gates: tuple[GateForecast, ...]
    sight: Need
    proof: Need
    proof_needed: bool
    leaves_s: float
    sufficiency: Sufficiency
    problems: tuple[Need, ...] = ()


@dataclass(frozen=True, slots=True)
class Forecast:
    """All stages in order."""

    stages: tuple[StageForecast, ...]
    measured: Measured


def forecast(plan: Plan, measured: Measured, settings: JudgeSettings) -> Forecast:
    """What to expect of each stage. `settings` are those that the judge will have (α, β, tests, window)."""
    window_s = max(measured.window_s, float(settings.window_s), 0.1)
    gates = [one for one in measured.gates if Phase.STAGE in one.gate.phases]
    course = _Course(measured, window_s, settings)
    found: list[StageForecast] = []
    for index, stage in enumerate(plan.stages):
        upcoming = plan.stages[index + 1] if index + 1 < len(plan.stages) else None
        found.append(course.enter(index, stage, upcoming, gates))
    return Forecast(tuple(found), measured)


class _Course:
    """The stages gone through so far, with how long each is expected to take."""

    def __init__(self, measured: Measured, window_s: float, settings: JudgeSettings) -> None:
        self._measured, self._window_s, self._bars = measured, window_s, settings.bars
        self._before: list[tuple[Stage, float]] = []

    def enter(self, index: int, stage: Stage, upcoming: Stage | None, gates: Sequence[GateTraffic]) -> StageForecast:
        """The next stage."""
        rate = self._candidate_per_s(stage.exposure)
        samples = _samples(stage, rate, self._measured.problem or unsplit(stage.exposure))
        each = tuple(self._gate(stage, traffic) for traffic in gates)
        needed = upcoming is not None and upcoming.require is Require.PROVEN
        sights, proofs = [one.sight for one in each], [one.proves for one in each]
        sight, proof = _slowest_known(sights), _slowest_known(proofs)
        waits = [samples, proof] if needed else [samples]
        problems = _problems([samples, *(proofs if needed else ()), *sights])
        leaves_s = max([float(stage.min_duration_s), *(need.seconds or 0.0 for need in waits)])
        if stage.max_duration_s is not None:
            leaves_s = min(leaves_s, stage.max_duration_s)
        usual_s = leaves_s if math.isfinite(leaves_s) else float(stage.min_duration_s)
        self._before.append((stage, usual_s))
        return StageForecast(
            index,
            stage,
            rate,
            samples,
            each,
            sight,
            proof,
            needed,
            leaves_s,
            _sufficiency(stage, waits, sight, leaves_s, guarded=needed or upcoming is None, known=not problems),
            problems,
        )

    def _candidate_per_s(self, exposure: Exposure) -> float | None:
        share = share_of_all(exposure, self._measured.requests)
        total = self._measured.total
        return None if share is None or total is None else share * total

    def _gate(self, stage: Stage, traffic: GateTraffic) -> GateForecast:
        gate = traffic.gate
        if isinstance(gate.metric, Value) and not traffic.problem:
            breached = Need(BREACHES * self._window_s, gate=gate.name)
            return GateForecast(gate.name, {Worse.TWICE: breached}, Need(self._window_s, gate=gate.name))
        sees = {worse: self._need(stage, traffic, worse) for worse in regressions_of(gate)}
        return GateForecast(gate.name, sees, self._need(stage, traffic, None))

    def _need(self, stage: Stage, traffic: GateTraffic, worse: Worse | None) -> Need:
        """How long after the stage's start the gate sees `worse`, or passes an equal candidate (None)."""
        gate = traffic.gate
        if traffic.problem:
            return Need(None, traffic.problem, gate.name)
        shown = [name for name, share in stage.exposure.shares if share]
        if gate.comparative and shown and all(stage.exposure.of(name) == FULL_PERMILLE for name in _names(stage)):
            return ALONE
        needs = [
            self._track(stage, traffic, worse, segment)
            for segment in (shown if gate.scope is Scope.SEGMENT else [None])
        ]
        return _slowest(needs)

    def _track(self, stage: Stage, traffic: GateTraffic, worse: Worse | None, segment: str | None) -> Need:
        gate = traffic.gate
        if segment is not None and gate.comparative and stage.exposure.of(segment) == FULL_PERMILLE:
            return ALONE
        arms = _arms(stage.exposure, traffic, self._measured, worse, segment)
        if isinstance(arms, Need):
            return arms
        before = []
        for earlier, seconds in self._before:
            past = _arms(earlier.exposure, traffic, self._measured, worse, segment)
            if not isinstance(past, Need):
                before.append(Stay(past, seconds))
        bars = self._bars
        threshold = RESERVE * (bars.log_pass if worse is None else bars.log_revert)
        evidence = expected.log_pass if worse is None else expected.log_revert
        machine = machine_of(gate)
        machine = getattr(machine, "ratio", machine)

        bursts, window_s = traffic.bursts, self._window_s
        if bursts.habit is not None:
            window_s = max(window_s, float(bursts.habit.window_s))

        def after(seconds: float) -> float:
            stays = _warmed_up([*before, Stay(arms, seconds)], gate.warm_up_s)
            return evidence(machine, stays, window_s=window_s, bursts=bursts)

        return Need(_until(after, threshold, window_s), gate=gate.name)


def _arms(
    exposure: Exposure, traffic: GateTraffic, measured: Measured, worse: Worse | None, segment: str | None
) -> tuple[Arms, ...] | Need:
    """Both arms of each segment that the gate counts (of one, where `segment` says so), or why they are not known."""
    found = pieces(exposure, traffic, measured, segment)
    if isinstance(found, str):
        return Need(None, found)
    arms = []
    for flow, share in found:
        if flow.figure is None:
            return Need(None, flow.note or "stable's figure is not known", traffic.gate.name)
        candidate = flow.figure if worse is None else worse_figure(traffic.gate, worse, flow.figure)
        if candidate is None:
            return ALLOWED
        arms.append(Arms(flow.per_s * share, flow.per_s * (1 - share), flow.figure, candidate, flow.spread))
    if not any(one.candidate_per_s > 0 for one in arms):
        return Need(None, SILENT, traffic.gate.name)
    return tuple(arms)


def _names(stage: Stage) -> list[str]:
    return [name for name, _ in stage.exposure.shares]


def _samples(stage: Stage, rate: float | None, why: str) -> Need:
    if not stage.min_samples:
        return Need(0.0)
    if rate is None:
        return Need(None, why)
    return Need(stage.min_samples / rate) if rate > 0 else Need(None, SILENT)


_FINE = frozenset({ALLOWED.note, ALONE.note})


def _slowest(needs: Sequence[Need]) -> Need:
    """The longest; an unknown one counts before all, and one that says nothing only when there is no other."""
    told = [need for need in needs if need.known or need.note not in _FINE]
    if not told:
        return needs[0] if needs else ALLOWED
    unknown = next((need for need in told if not need.known), None)
    return unknown or max(told, key=lambda need: need.seconds or 0.0)


def _slowest_known(needs: Sequence[Need]) -> Need:
    """The longest of those that are known."""
    return _slowest([need for need in needs if need.known or need.note in _FINE] or needs)


def _problems(needs: Sequence[Need]) -> tuple[Need, ...]:
    """What is not known, each reason once."""
    return tuple(dict.fromkeys(need for need in needs if not need.known and need.note not in _FINE))


def _sufficiency(
    stage: Stage, waits: Sequence[Need], sight: Need, leaves_s: float, *, guarded: bool, known: bool
) -> Sufficiency:
    """`guarded`: the stage is the last, or is left on proof only, so that no worse candidate goes on from it unseen."""
    most_s = math.inf if stage.max_duration_s is None else stage.max_duration_s
    if any(need.seconds is not None and (need.seconds > most_s or math.isinf(need.seconds)) for need in waits):
        return Sufficiency.TOO_SHORT
    if sight.seconds is not None and stage.max_duration_s is not None and sight.seconds > most_s:
        return Sufficiency.TOO_SHORT
    if not known:
        return Sufficiency.UNKNOWN
    if sight.seconds is not None and sight.seconds > leaves_s and not guarded:
        return Sufficiency.EARLY
    return Sufficiency.ENOUGH


def _warmed_up(stays: Sequence[Stay], warm_up_s: float) -> list[Stay]:
    """Without the candidate's first seconds, which the gate leaves out."""
    found = []
    for stay in stays:
        if any(arms.candidate_per_s > 0 for arms in stay.arms):
            skipped = min(warm_up_s, stay.seconds)
            warm_up_s -= skipped
            stay = Stay(stay.arms, stay.seconds - skipped)
        found.append(stay)
    return found


def _until(evidence: Callable[[float], float], threshold: float, window_s: float) -> float:
    """After how many seconds the evidence is there, in whole windows; infinite beyond HORIZON_S."""
    if evidence(0.0) >= threshold:
        return 0.0
    low, high = 0.0, window_s
    while evidence(high) < threshold:
        low, high = high, 4 * high
        if low > HORIZON_S:
            return math.inf
    while high - low > max(0.01 * high, window_s / 2):
        middle = (low + high) / 2
        low, high = (low, middle) if evidence(middle) >= threshold else (middle, high)
    return window_s * math.ceil(high / window_s - 1e-9)
