"""The evidence that a gate may be expected to have after so long in traffic of known size: what planning stands on.

A test's log E-value rises by some mean amount per window; where that mean path meets the threshold is about the median
of the time that the test needs (Wald 1945, ch. 3: ln(m/α) over the mean gain). Likelihoods are linear in the counts,
so the judge's own classes are given mean counts. Bets are not, so the judge's own bets are played on a grid of counts,
weighted by their law: Poisson, or for bursts the negative binomial with variance φ·mean. What comes out is the least
need, n_c = ln(m/α)/[p(r ln r − r + 1)] (Lindon and Malek, NeurIPS 2022, for a small share), times the overhead of not
knowing r (`tests/gates/test_planning.py` compares it with both that and simulated releases).

It must not know stages or plans. Rejected: simulating each release some hundred times; that takes minutes for stages of
days, and another answer each time.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from modelrelease.domain.habit import HIGHEST_KNOWN, Habit
from modelrelease.gates.betting import Bets, Betting, Null
from modelrelease.gates.binomial import Binomial, Trials
from modelrelease.gates.contrast import BURN_IN_EVENTS, BURN_IN_WINDOWS, Contrast, ContrastMachine
from modelrelease.gates.counts import Counts
from modelrelease.gates.demands import AnyDemand, AtLeast, AtMost, WithinDifference, WithinRatio
from modelrelease.gates.dispersion import CAUTION, SPANS, UNSEEN
from modelrelease.gates.laws import grid
from modelrelease.gates.ratio import RatioMachine
from modelrelease.gates.runs import worth_after
from modelrelease.gates.sequences import all_of, log_mean_exp, student_log_e
from modelrelease.gates.surplus import STAKES, clipped, stakes
from modelrelease.gates.tilting import share_of, size_of
from modelrelease.gates.wandering import by_itself

RUNS_BY_CHANCE = 2.5
"""How much chance adds to the runs that are seen in one window; less with the root of their number (simulated)."""

CHANCE = 0.35
"""By how many standard errors the largest of the estimates of φ is usually above the truth (simulated)."""


@dataclass(frozen=True, slots=True)
class Arms:
    """Events per second of both arms in one segment, stable's figure (share of bad events, mean, cost per unit), the
    candidate's figure, and the standard deviation of one event's value (means and costs only)."""

    candidate_per_s: float
    stable_per_s: float
    stable: float
    candidate: float
    spread: float = 0.0

    @property
    def both(self) -> bool:
        """Whether both arms have events, so that they can be compared."""
        return self.candidate_per_s > 0 and self.stable_per_s > 0


@dataclass(frozen=True, slots=True)
class Stay:
    """So many seconds with the same traffic in each segment."""

    arms: tuple[Arms, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Bursts:
    """How much noisier than independent events stable's bad events are (1: not at all).

    `stakes`: from window to window; `spans`: in windows of 1, 4 and 16 ticks, as `dispersion.SPANS`. `habit`: what the
    judge will know of it from stable's history; None: it learns on the way.
    """

    stakes: float = 1.0
    spans: tuple[float, ...] = (1.0,) * len(SPANS)
    habit: Habit | None = None

    @property
    def sized(self) -> float:
        """The φ that stakes are sized with."""
        return round(self.habit.together if self.habit else self.stakes, 2)

    @property
    def lasting(self) -> float:
        """For how many windows' worth bad events come in runs, as the judge learns it where it knows no habit."""
        return max(1.0, 1 + CAUTION * (max(self.spans) / max(1.0, self.spans[0]) - 1))

    def quiet(self, windows: float) -> float:
        """The φ that a pass under an absolute bound is tempered with after so many windows."""
        if self.habit is not None:
            return self.habit.together
        found = max(1.0, *self.spans)
        return 1 + CAUTION * (found * (1 + RUNS_BY_CHANCE / math.sqrt(max(1.0, windows))) - 1)

    def passing(self, windows: float) -> float:
        """The φ that a pass is tempered with after so many windows: longer spans count as UNSEEN at first."""
        found = 1.0 if self.habit is None else CAUTION * self.habit.together
        for (ticks, apart), phi in zip(SPANS, self.spans, strict=True):
            looks = max(0.0, windows / ticks - 2 * apart)
            if self.habit is not None:
                phi *= 1 + CHANCE * math.sqrt(2 / (looks + 1)) if looks else 0.0
            elif ticks > 1:
                phi = (phi * looks + UNSEEN) / (looks + 1)
            found = max(found, CAUTION * phi)
        return found


INDEPENDENT = Bursts()
"""Events that know nothing of each other."""


def log_revert(machine: object, stays: Sequence[Stay], *, window_s: float, bursts: Bursts = INDEPENDENT) -> float:
    """The expected log E-value against keeping the rule, after all `stays`."""
    match machine:
        case RatioMachine():
            evidence = log_mean_exp([_refuted(demand, stays, window_s, bursts) for demand in machine.demands])
            if machine.floor is None:
                return evidence
            return min(evidence, _above(machine.floor.bound, stays, window_s, bursts, comparative=machine.comparative))
        case ContrastMachine():
            found = [_contrast(demand, machine, stays, window_s, 1.0) for demand in machine.demands]
            evidence = log_mean_exp(found)
            if machine.floor is None:
                return evidence
            return min(evidence, _contrast(machine.floor, machine, stays, window_s, 1.0))
        case _:
            raise TypeError(f"{type(machine).__name__} has no evidence that could be expected")


def log_pass(machine: object, stays: Sequence[Stay], *, window_s: float, bursts: Bursts = INDEPENDENT) -> float:
    """The expected log E-value against breaking the rule, after all `stays`."""
    match machine:
        case RatioMachine():
            windows = sum(stay.seconds for stay in stays) / window_s
            phi, quiet = bursts.passing(windows), bursts.quiet(windows)
            found = [_proven(demand, stays, phi, quiet) for demand in machine.demands]
            floor = None if machine.floor is None else _under(machine.floor.bound, stays, quiet)
        case ContrastMachine():
            found = [_contrast(demand, machine, stays, window_s, -1.0) for demand in machine.demands]
            floor = None if machine.floor is None else _contrast(machine.floor, machine, stays, window_s, -1.0)
        case _:
            raise TypeError(f"{type(machine).__name__} has no evidence that could be expected")
    return all_of(found) if floor is None else all_of(log_mean_exp([log_e, floor]) for log_e in found)


def _refuted(demand: AnyDemand, stays: Sequence[Stay], window_s: float, bursts: Bursts) -> float:
    match demand:
        case AtMost(bound):
            return _above(bound, stays, window_s, bursts)
        case AtLeast(bound):
            return _above(1 - bound, _inverted(stays), window_s, bursts)
        case WithinRatio() | WithinDifference():
            return _bets(demand.revert.null, stays, window_s, bursts)
        case _:
            raise TypeError(f"nothing is known of how fast {type(demand).__name__} is refuted")


def _proven(demand: AnyDemand, stays: Sequence[Stay], phi: float, quiet: float) -> float:
    match demand:
        case AtMost(bound):
            return _under(bound, stays, quiet)
        case AtLeast(bound):
            return _under(1 - bound, _inverted(stays), quiet)
        case WithinRatio() | WithinDifference():
            state = demand.passing.start()
            for counts in _counts(stays):
                state = demand.passing.update(state, counts)  # type: ignore[arg-type]
            return float(demand.passing.log_e(state, phi))  # type: ignore[arg-type]
        case _:
            raise TypeError(f"nothing is known of how fast {type(demand).__name__} is proven")


def _above(bound: float, stays: Sequence[Stay], window_s: float, bursts: Bursts, *, comparative: bool = False) -> float:
    """Half of the judge's stake is on failures from the start, the other half on later ones; where no habit is known,
    half of both is on the windows' surplus."""
    phi = bursts.habit.together if bursts.habit else HIGHEST_KNOWN
    evidence = Binomial(bound, above=True, phi=phi).log_e(_trials(stays))
    if bursts.habit is None:
        surplus = _surplus(bound, stays, window_s, bursts, comparative=comparative)
        evidence = log_mean_exp([evidence, surplus, 0.0])
    return evidence - math.log(2)


def _surplus(bound: float, stays: Sequence[Stay], window_s: float, bursts: Bursts, *, comparative: bool) -> float:
    """The mean over the stakes on the windows' surplus of what their capital is expected to be."""
    played, logs = 0.0, [0.0] * STAKES
    for stay in stays:
        for arms in stay.arms:
            if arms.candidate_per_s > 0 and stay.seconds > 0:
                before, played = played, played + stay.seconds / window_s
                counted = worth_after(before, played, bursts.lasting, comparative=comparative)
                gains = _gains_of_surplus(bound, arms, window_s, bursts.sized)
                logs = [log + counted * gain for log, gain in zip(logs, gains, strict=True)]
    return log_mean_exp(logs)


@lru_cache(maxsize=1024)
def _gains_of_surplus(bound: float, arms: Arms, window_s: float, phi: float) -> tuple[float, ...]:
    """What each stake is expected to gain in one window without drag."""
    n, allowed = arms.candidate_per_s * window_s, clipped(bound)
    gains = [0.0] * STAKES
    for bad, weight in grid(n * arms.candidate, phi):
        gains = [
            gain + weight * (math.log1p(stake * bad) - math.log1p(stake * max(n, bad) * allowed))
            for gain, stake in zip(gains, stakes(bound), strict=True)
        ]
    return tuple(gains)


def _under(bound: float, stays: Sequence[Stay], phi: float) -> float:
    return Binomial(bound, above=False, phi=phi).log_e(_trials(stays))


def _trials(stays: Sequence[Stay]) -> Trials:
    requests = [(stay.seconds * arms.candidate_per_s, arms.candidate) for stay in stays for arms in stay.arms]
    return Trials(sum(n for n, _ in requests), sum(n * share for n, share in requests))


def _inverted(stays: Sequence[Stay]) -> list[Stay]:
    return [
        Stay(
            tuple(Arms(a.candidate_per_s, a.stable_per_s, 1 - a.stable, 1 - a.candidate) for a in stay.arms),
            stay.seconds,
        )
        for stay in stays
    ]


def _counts(stays: Sequence[Stay]) -> Iterable[Counts]:
    for stay in stays:
        for arms in stay.arms:
            n_c, n_s = stay.seconds * arms.candidate_per_s, stay.seconds * arms.stable_per_s
            yield Counts(n_c, n_c * arms.candidate, n_s, n_s * arms.stable)


def _bets(null: Null, stays: Sequence[Stay], window_s: float, bursts: Bursts) -> float:
    """The judge's mean over the stakes of what their capital is expected to be."""
    betting, habit, played = Betting(null), bursts.habit, 0.0
    state = start = betting.start() if habit is None else betting.start(known=True, tilts=share_of(habit))
    for stay in stays:
        for arms in stay.arms:
            if arms.both and stay.seconds > 0:
                gains = _gains(betting, start, arms, (window_s, bursts.sized, habit))
                before, played = played, played + stay.seconds / window_s
                windows = played - before
                if habit is None:
                    windows = worth_after(before, played, bursts.lasting, comparative=True)
                bets, logs = len(state.capital), zip((*state.capital, *state.tilted), gains, strict=True)
                after = tuple(log + windows * gain for log, gain in logs)
                state = replace(state, capital=after[:bets], tilted=after[bets:])
    return betting.log_e(state)


@lru_cache(maxsize=4096)
def _gains(betting: Betting, before: Bets, arms: Arms, looks: tuple[float, float, Habit | None]) -> tuple[float, ...]:
    """What each stake, and then each tilt, is expected to gain in log capital in one window. `looks`: seconds of a
    window, φ that stakes are sized by, and the habit."""
    window_s, phi, habit = looks
    n_c, n_s = arms.candidate_per_s * window_s, arms.stable_per_s * window_s
    share = arms.candidate_per_s / (arms.candidate_per_s + arms.stable_per_s)
    size = 1.0 if habit is None else size_of(habit, (), share)
    own = min(phi, round(by_itself(habit, share), 2)) if habit is not None and habit.wanders else phi
    gains = [0.0] * (len(before.capital) + len(before.tilted))
    for bad_c, weight_c in grid(n_c * arms.candidate, own):
        for bad_s, weight_s in grid(n_s * arms.stable, phi):
            window = Counts(max(n_c, bad_c), bad_c, max(n_s, bad_s), bad_s, phi, size=size)
            after = betting.update(before, window)
            logs = zip(gains, (*after.capital, *after.tilted), strict=True)
            gains = [gain + weight_c * weight_s * log for gain, log in logs]
    return tuple(gains)


def _contrast(
    contrast: Contrast, machine: ContrastMachine, stays: Sequence[Stay], window_s: float, sign: float
) -> float:
    """The Student mixture at the expected mean and the expected spread; `sign` −1: evidence for the demand."""
    windows = weight = distance = squares = candidate = stable = 0.0
    burn_in: float | None = None
    for stay in stays:
        for arms in stay.arms:
            if arms.candidate_per_s <= 0 or (contrast.b and arms.stable_per_s <= 0):
                continue
            number = stay.seconds / window_s
            n_c, n_s = arms.candidate_per_s * window_s, arms.stable_per_s * window_s
            h = 1 / (contrast.a**2 / n_c + (contrast.b**2 / n_s if contrast.b else 0.0))
            mean = contrast.a * _figure(contrast, arms.candidate)
            mean += contrast.b * _figure(contrast, arms.stable) if contrast.b else 0.0
            burn_in = burn_in or h * BURN_IN_WINDOWS
            windows, weight = windows + number, weight + number * h
            distance += number * h * (mean - contrast.limit)
            squares += number * (arms.spread / (arms.stable if contrast.log else 1.0)) ** 2
            candidate, stable = candidate + number * n_c, stable + number * n_s
    enough = candidate >= BURN_IN_EVENTS and (not machine.comparative or stable >= BURN_IN_EVENTS)
    if windows < BURN_IN_WINDOWS or not enough or burn_in is None:
        return 0.0
    far = sign * distance / weight
    if far <= 0:
        return student_log_e(0.0, int(windows), weight * BURN_IN_WINDOWS / burn_in)
    r = weight * far**2 / squares * windows / (windows - 1) if squares > 0 else math.inf
    return student_log_e(r, int(windows), weight * BURN_IN_WINDOWS / burn_in)


def _figure(contrast: Contrast, figure: float) -> float:
    return math.log(figure) if contrast.log else figure
