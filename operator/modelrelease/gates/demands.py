"""What a rule can demand of a rate: each demand with the test that refutes it and the test that proves it.

The margin is one and the same: revert tests "the rate keeps the demand", pass tests "the rate breaks it". A further
statistic (or another pair of tests for a demand) is one class here and one line in `ratio.demands_of`.
"""

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from modelrelease.domain.habit import HIGHEST_KNOWN, Habit
from modelrelease.gates.betting import Bets, Betting, against_difference, against_ratio
from modelrelease.gates.binomial import NO_TRIALS, Binomial, Trials, lower_bound
from modelrelease.gates.counts import Counts
from modelrelease.gates.difference import Difference, Gap
from modelrelease.gates.mirrored import Likelihood, Mirrored, mirrored
from modelrelease.gates.onset import NO_STAKES, Onset, Stakes
from modelrelease.gates.sequences import log_mean_exp
from modelrelease.gates.surplus import Capital, Surplus
from modelrelease.gates.tilting import share_of
from modelrelease.gates.words import above, at_least, at_most, below, number, percent

S = TypeVar("S")


class Demand(Protocol[S]):
    """One demand on a rate. `rate` is what sentences call it."""

    def start(self, habit: Habit | None = None) -> S:
        """The state of both tests before any window; `habit`: stable's, None where it is unknown."""

    def update(self, state: S, window: Counts) -> S:
        """Both tests one window on."""

    def log_revert(self, state: S) -> float:
        """Log E-value against keeping the demand."""

    def log_pass(self, state: S, phi: float) -> float:
        """Log E-value against breaking it; `phi` tempers the tests that bursts would deceive."""

    def refuted(self, state: S, rate: str, threshold: float, sure: str) -> str:
        """What is known once the demand is refuted: "rate ratio at least 4.9 with 99 % confidence, 1.5 allowed"."""

    def clause(self, rate: str) -> str:
        """What a pass proves: "rate ratio under 1.5"."""


AnyDemand = Demand[Any]
"""A demand whose state only it understands."""


@dataclass(frozen=True, slots=True)
class BoundSides:
    """All requests so far, the stakes on a late onset, and stable's φ; where that is unknown it is the largest, and
    `capital` is what was bet on the windows' surplus, and `clean` the stakes put in while stable was without fault."""

    trials: Trials = NO_TRIALS
    stakes: Stakes = NO_STAKES
    phi: float = 1.0
    capital: Capital | None = None
    clean: Stakes = NO_STAKES


@dataclass(frozen=True, slots=True)
class AtMost:
    """The candidate's rate stays at or under `bound` (0…1)."""

    bound: float

    def start(self, habit: Habit | None = None) -> BoundSides:
        return _start_of_bound(habit)

    def update(self, state: BoundSides, window: Counts) -> BoundSides:
        return _bound_sides(state, self.bound, window)

    def log_revert(self, state: BoundSides) -> float:
        return _either(self.bound, state)

    def log_pass(self, state: BoundSides, phi: float) -> float:
        return _under(self.bound, state, phi)

    def refuted(self, state: BoundSides, rate: str, threshold: float, sure: str) -> str:
        shown = max(self.bound, lower_bound(state.trials.n, state.trials.y, threshold, state.phi))
        return f"{rate} " + above(f"{at_least(100 * shown)} %", percent(self.bound), sure)

    def clause(self, rate: str) -> str:
        return f"{rate} under {percent(self.bound)}"


@dataclass(frozen=True, slots=True)
class AtLeast:
    """The candidate's rate stays at or over `bound` (0…1): the events that are not counted stay at most 1 − bound."""

    bound: float

    def start(self, habit: Habit | None = None) -> BoundSides:
        return _start_of_bound(habit)

    def update(self, state: BoundSides, window: Counts) -> BoundSides:
        return _bound_sides(state, 1 - self.bound, window.inverted)

    def log_revert(self, state: BoundSides) -> float:
        return _either(1 - self.bound, state)

    def log_pass(self, state: BoundSides, phi: float) -> float:
        return _under(1 - self.bound, state, phi)

    def refuted(self, state: BoundSides, rate: str, threshold: float, sure: str) -> str:
        shown = min(self.bound, 1 - lower_bound(state.trials.n, state.trials.y, threshold, state.phi))
        return f"{rate} " + below(f"{at_most(100 * shown)} %", percent(self.bound), sure)

    def clause(self, rate: str) -> str:
        return f"{rate} over {percent(self.bound)}"


@dataclass(frozen=True, slots=True)
class RatioSides:
    """Bets against the margin, and the mirrored likelihood for a pass."""

    bets: Bets
    likelihood: Likelihood


@dataclass(frozen=True, slots=True)
class WithinRatio:
    """The candidate's rate stays at or under a multiple of stable's."""

    revert: Betting
    passing: Mirrored

    def start(self, habit: Habit | None = None) -> RatioSides:
        return RatioSides(_bets(self.revert, habit), self.passing.start())

    def update(self, state: RatioSides, window: Counts) -> RatioSides:
        return RatioSides(self.revert.update(state.bets, window), self.passing.update(state.likelihood, window))

    def log_revert(self, state: RatioSides) -> float:
        return self.revert.log_e(state.bets)

    def log_pass(self, state: RatioSides, phi: float) -> float:
        return self.passing.log_e(state.likelihood, phi)

    def refuted(self, state: RatioSides, rate: str, threshold: float, sure: str) -> str:
        null = self.revert.highest_refuted(state.bets, threshold) or self.revert.null
        return f"{rate} ratio " + above(at_least(null.ratio), number(self.revert.null.ratio), sure)

    def clause(self, rate: str) -> str:
        return f"{rate} ratio under {number(self.passing.margin)}"


@dataclass(frozen=True, slots=True)
class DifferenceSides:
    """Bets against the margin, and the stratified difference for a pass."""

    bets: Bets
    gap: Gap


@dataclass(frozen=True, slots=True)
class WithinDifference:
    """The candidate's rate stays at or under stable's plus a difference (both in 0…1)."""

    revert: Betting
    passing: Difference

    def start(self, habit: Habit | None = None) -> DifferenceSides:
        return DifferenceSides(_bets(self.revert, habit), self.passing.start())

    def update(self, state: DifferenceSides, window: Counts) -> DifferenceSides:
        return DifferenceSides(self.revert.update(state.bets, window), self.passing.update(state.gap, window))

    def log_revert(self, state: DifferenceSides) -> float:
        return self.revert.log_e(state.bets)

    def log_pass(self, state: DifferenceSides, phi: float) -> float:
        return self.passing.log_e(state.gap, phi)

    def refuted(self, state: DifferenceSides, rate: str, threshold: float, sure: str) -> str:
        null = self.revert.highest_refuted(state.bets, threshold) or self.revert.null
        bound, allowed = at_least(100 * null.difference), number(100 * self.revert.null.difference)
        if bound == allowed:
            return f"{rate} more than {allowed} points above stable's {sure}"
        return f"{rate} at least {bound} points above stable's {sure}, {allowed} allowed"

    def clause(self, rate: str) -> str:
        return f"{rate} less than {number(100 * self.passing.margin)} points above stable's"


def _start_of_bound(habit: Habit | None) -> BoundSides:
    return BoundSides(phi=habit.together) if habit else BoundSides(phi=HIGHEST_KNOWN, capital=Capital())


def _bound_sides(state: BoundSides, bound: float, window: Counts) -> BoundSides:
    trials = Trials(state.trials.n + window.n_c, state.trials.y + window.y_c)
    stakes = Onset(bound, state.phi).update(state.stakes, window)
    if state.capital is None:
        return BoundSides(trials, stakes, state.phi)
    clean = Onset(bound).update(state.clean, window) if window.spotless[0] else state.clean
    return BoundSides(trials, stakes, state.phi, Surplus(bound).update(state.capital, window), clean)


def _either(bound: float, state: BoundSides) -> float:
    """The mean of two E-values against the same null: bad from the start, and bad from some window on; and where
    stable's habit is unknown, the mean of that, of the bets on the surplus and of those beside a clean stable."""
    from_start = Binomial(bound, above=True, phi=state.phi).log_e(state.trials)
    from_later = Onset(bound, state.phi).log_e(state.stakes)
    evidence = log_mean_exp([from_start, from_later])
    if state.capital is None:
        return evidence
    return log_mean_exp([evidence, Surplus(bound).log_e(state.capital), Onset(bound).log_e(state.clean)])


def _under(bound: float, state: BoundSides, phi: float) -> float:
    return Binomial(bound, above=False, phi=state.phi if state.capital is None else phi).log_e(state.trials)


RateState = BoundSides | RatioSides | DifferenceSides
"""The state of one demand, whichever it is."""


def within_ratio(max_ratio: float) -> WithinRatio:
    """The demand "at most `max_ratio` times stable's rate"."""
    return WithinRatio(against_ratio(max_ratio), mirrored(max_ratio))


def within_difference(max_difference: float) -> WithinDifference:
    """The demand "at most `max_difference` above stable's rate"."""
    return WithinDifference(against_difference(max_difference), Difference(max_difference))


def _bets(test: Betting, habit: Habit | None) -> Bets:
    """The bets' start: with tilts of bursts where stable's history shows that they last."""
    return test.start() if habit is None else test.start(known=True, tilts=share_of(habit))
