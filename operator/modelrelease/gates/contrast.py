"""Gates on means: one number per window, its weighted mean over time, and a confidence sequence for it.

Per window the contrast D = a·f(x_c) + b·f(x_s) of both arms' figures has variance about σ²/h with
h = 1/(a²/n_c + b²/n_s); so D̄ = Σh·D/Σh, and σ² is estimated from the windows themselves, which takes in bursts and
correlation inside a window. The E-value is the Student version of Robbins' normal mixture (sequences.py); it is
asymptotic in the sense of Waudby-Smith et al. (2024), so it starts after BURN_IN. Comparing within each window lets
shared drift cancel.

`mean.py` and `cost.py` say which contrasts their rules mean. A machine for each of them was rejected: they differ in
three numbers.
"""

import math
from dataclasses import dataclass, replace

from modelrelease.domain.evidence import Problem, Stratum, Tally
from modelrelease.domain.habit import Habit
from modelrelease.domain.verdict import Outcome
from modelrelease.gates.machine import Bars, Numbers
from modelrelease.gates.sequences import all_of, log_mean_exp, student_log_e, student_radius
from modelrelease.gates.words import at_least, at_most, confidence, count, number

_NOTHING = Tally()

BURN_IN_WINDOWS = 12
BURN_IN_EVENTS = 100.0
"""Windows, and events per arm that takes part, before a mean is judged."""

OWN_VARIANCE_CHANGES = 20
"""How often the candidate's figure must have moved before its variance is believed without stable's."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Variance per event as stable shows it: squared steps between neighbouring windows of a segment, and their number.

    `last` holds each segment's last figure and its events. Neighbours, so that a slow drift does not count.
    """

    squares: float = 0.0
    steps: int = 0
    last: tuple[tuple[str, float, float], ...] = ()

    def add(self, segment: str, figure: float, n: float) -> "Noise":
        """The noise with one more window of stable."""
        squares, steps = self.squares, self.steps
        for _, before, n_before in (item for item in self.last if item[0] == segment):
            squares += (figure - before) ** 2 / (1 / n + 1 / n_before)
            steps += 1
        return Noise(squares, steps, (*(item for item in self.last if item[0] != segment), (segment, figure, n)))


SILENT = Noise()
"""Stable has shown nothing yet."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Windows, Σh, the weighted mean of D, Σh(D − mean)², and Σh at the end of the burn-in, which sets the prior.

    `last`: the candidate's newest figure; `changes`: how often it differed from the one before.
    """

    windows: int = 0
    weight: float = 0.0
    mean: float = 0.0
    squares: float = 0.0
    burn_in_weight: float = 0.0
    noise: Noise = SILENT
    last: float | None = None
    changes: int = 0

    def add(self, value: float, h: float, figure: float | None = None) -> "Moments":
        """The moments with one more window (West 1979: stable where squares of large means would cancel)."""
        weight = self.weight + h
        delta = value - self.mean
        mean = self.mean + delta * h / weight
        windows = self.windows + 1
        squares = self.squares + h * delta * (value - mean)
        burn_in_weight = weight if windows <= BURN_IN_WINDOWS else self.burn_in_weight
        changes = self.changes + (self.last is not None and figure != self.last)
        return Moments(windows, weight, mean, squares, burn_in_weight, self.noise, figure, changes)

    @property
    def information(self) -> float:
        """Σh in units of an ordinary window: the prior expects effects of about one window's standard deviation."""
        return self.weight * BURN_IN_WINDOWS / self.burn_in_weight

    @property
    def spread(self) -> float:
        """Σh(D − mean)², and early on at least what stable's variance would make of it.

        A small canary that has not yet had its first rare event shows no variance at all, and would be judged on that.
        Stable's variance is an upper guess, because it holds shared drift too; so it serves only until the candidate
        has moved often enough by itself.
        """
        if not self.noise.steps or self.changes >= OWN_VARIANCE_CHANGES:
            return self.squares
        return max(self.squares, self.noise.squares / self.noise.steps * (self.windows - 1))

    def log_e_above(self, limit: float) -> float:
        """The log E-value against mean ≤ limit."""
        if self.windows < BURN_IN_WINDOWS:
            return 0.0
        distance, spread = self.mean - limit, self.spread
        if distance <= 0:
            return student_log_e(0.0, self.windows, self.information)
        r = self.weight * distance**2 / spread if spread > 0 else math.inf
        return student_log_e(r, self.windows, self.information)

    def log_e_below(self, limit: float) -> float:
        """The log E-value against mean ≥ limit."""
        return replace(self, mean=-self.mean).log_e_above(-limit)

    def lower_bound(self, threshold: float) -> float:
        """The largest limit that `log_e_above` refutes at `threshold`."""
        radius = student_radius(threshold, self.windows, self.information)
        return self.mean - math.sqrt(radius * self.spread / self.weight) if self.spread > 0 else self.mean


@dataclass(frozen=True, slots=True)
class Contrast:
    """The demand that a·f(x_c) + b·f(x_s) stays at or under `limit`; f is the logarithm where `log` is set.

    `proven` says the demand in words; `refuted` says what a lower bound of the contrast means, with the bound and
    the confidence for its two `{}`.
    """

    a: float
    b: float
    limit: float
    proven: str
    refuted: str = ""
    log: bool = False

    def update(self, seen: Moments, candidate: Tally, stable: Tally, per: float, segment: str) -> Moments:
        """The moments with one window more; unchanged when an arm that this contrast needs has nothing to say."""
        x_c, x_s = self._figure(candidate, per), self._figure(stable, per)
        if x_s is not None and not self.log:
            seen = replace(seen, noise=seen.noise.add(segment, x_s, stable.total))
        if x_c is None or (self.b and x_s is None):
            return seen
        value = self.a * x_c + (self.b * x_s if self.b and x_s is not None else 0.0)
        inverse = self.a**2 / candidate.total + (self.b**2 / stable.total if self.b else 0.0)
        return seen.add(value, 1 / inverse, x_c)

    def finding(self, moments: Moments, threshold: float, sure: str) -> str:
        """What is known once the demand is refuted."""
        if not self.refuted:
            return f"not {self.proven} {sure}"
        bound = max(self.limit, moments.lower_bound(threshold))
        if self.log:
            return self.refuted.format(at_least(math.exp(bound)), sure)
        return self.refuted.format(at_most(-bound) if self.a < 0 and not self.b else at_least(bound), sure)

    def _figure(self, arm: Tally, per: float) -> float | None:
        if arm.total <= 0 or (self.log and arm.bad <= 0):
            return None
        figure = per * arm.bad / arm.total
        return math.log(figure) if self.log else figure


@dataclass(frozen=True, slots=True)
class Averages:
    """Both arms' totals, the windows of each segment that still wait for their cost, and a Moments per contrast."""

    candidate: Tally = _NOTHING
    stable: Tally = _NOTHING
    waiting: tuple[tuple[str, Tally, Tally], ...] = ()
    moments: tuple[Moments, ...] = ()


@dataclass(frozen=True, slots=True)
class ContrastMachine:
    """The demands of one rule, and its floor if it has one.

    `per`: a figure is the sum over so many counted units. `unit` is said after figures. `wait`: a window whose sum is
    still zero on an arm is joined to the next one, because costs are booked late and have no logarithm at zero.
    """

    demands: tuple[Contrast, ...]
    floor: Contrast | None = None
    comparative: bool = False
    per: float = 1.0
    figure: str = "mean"
    unit: str = ""
    wait: bool = False

    def start(self, habit: Habit | None = None) -> Averages:
        """Nothing seen. The habit of stable says nothing more: the variance is found in the windows."""
        return Averages(moments=tuple(Moments() for _ in self._contrasts))

    def update(self, state: Averages, stratum: Stratum) -> Averages:
        """Read one stratum."""
        candidate, stable, segment = _sums(stratum.candidate), _sums(stratum.stable), stratum.segment or ""
        total_c, total_s = state.candidate + candidate, state.stable + stable
        others = tuple(item for item in state.waiting if item[0] != segment)
        if self.wait:
            for _, late_c, late_s in (item for item in state.waiting if item[0] == segment):
                candidate, stable = late_c + candidate, late_s + stable
            if candidate.total <= 0:
                return Averages(total_c, total_s, others, state.moments)
            if candidate.bad <= 0 or (self.comparative and stable.bad <= 0):
                return Averages(total_c, total_s, (*others, (segment, candidate, stable)), state.moments)
        moments = tuple(
            contrast.update(seen, candidate, stable, self.per, segment)
            for contrast, seen in zip(self._contrasts, state.moments, strict=True)
        )
        return Averages(total_c, total_s, others, moments)

    def log_revert(self, state: Averages) -> float:
        """The mean of the demands' evidence, and no more than the evidence against the floor."""
        if not self._burnt_in(state):
            return 0.0
        found = [seen.log_e_above(of.limit) for of, seen in zip(self._contrasts, state.moments, strict=True)]
        evidence = log_mean_exp(found[: len(self.demands)])
        return min(evidence, found[-1]) if self.floor else evidence

    def log_pass(self, state: Averages) -> float:
        """The weakest demand's evidence, each helped by the floor's."""
        if not self._burnt_in(state):
            return 0.0
        found = [seen.log_e_below(of.limit) for of, seen in zip(self._contrasts, state.moments, strict=True)]
        if not self.floor:
            return all_of(found)
        return all_of(log_mean_exp([log_e, found[-1]]) for log_e in found[:-1])

    def problem(self, state: Averages) -> Problem | None:
        """Sums can always be judged."""
        return None

    def compared(self, state: Averages) -> bool:
        """Whether stable had events, or need not have any."""
        return not self.comparative or state.stable.total > 0

    def numbers(self, state: Averages) -> Numbers:
        """Totals of both arms (y: summed values or cost) and the moments of the first demand's contrast."""
        c, s, first = state.candidate, state.stable, state.moments[0]
        arms = (("n_c", c.total), ("y_c", c.bad), ("n_s", s.total), ("y_s", s.bad))
        return (*arms, ("windows", float(first.windows)), ("contrast", first.mean))

    def sentence(self, state: Averages, outcome: Outcome, bars: Bars) -> str:
        """Both arms' figures, then what they prove."""
        facts = f"{self._figure(state.candidate)} on the candidate"
        if self.comparative:
            facts += f" against {self._figure(state.stable)} on stable"
        return f"{facts}; {self._finding(state, outcome, bars)}"

    @property
    def _contrasts(self) -> tuple[Contrast, ...]:
        return self.demands if self.floor is None else (*self.demands, self.floor)

    def _burnt_in(self, state: Averages) -> bool:
        enough = state.candidate.total >= BURN_IN_EVENTS
        return enough and (not self.comparative or state.stable.total >= BURN_IN_EVENTS)

    def _figure(self, arm: Tally) -> str:
        if arm.total <= 0:
            return "unknown"
        figure = number(self.per * arm.bad / arm.total)
        return (
            f"{figure} {self.unit} over {count(arm.total)}" if self.unit else f"mean {figure} over {count(arm.total)}"
        )

    def _finding(self, state: Averages, outcome: Outcome, bars: Bars) -> str:
        clauses = " and ".join(f"{self.figure} {demand.proven}" for demand in self.demands)
        match outcome:
            case Outcome.REVERT:
                pairs = zip(self.demands, state.moments, strict=False)
                demand, seen = max(pairs, key=lambda pair: pair[1].log_e_above(pair[0].limit))
                sure = f"with {confidence(bars.alpha)} confidence"
                return f"{self.figure} {demand.finding(seen, bars.log_revert, sure)}"
            case Outcome.PASS:
                floor = self.floor
                if floor and state.moments[-1].log_e_below(floor.limit) >= bars.log_pass:
                    clauses = f"{self.figure} {floor.proven}"
                return f"{clauses} with {confidence(bars.beta)} confidence"
            case _:
                return f"{clauses} is neither proven nor refuted yet"


def _sums(tally: Tally) -> Tally:
    return Tally(tally.total, tally.bad)
