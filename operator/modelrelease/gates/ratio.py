"""Gates on a ratio of counters: bad events among all events, under a bound or against stable.

Also the engine of quantile gates, which count slow requests as bad. A rule with two margins demands both: the evidence
against keeping both is the mean of the two E-values, and a pass needs both. With a `floor`, a revert must refute "at
or under the floor" too (the smaller E-value counts), and a pass may prove either (their mean counts: when neither the
margin nor the floor is kept, both nulls are true together).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeVar

from modelrelease.domain.evidence import Problem, Stratum, Tally
from modelrelease.domain.gate import Absolute, AgainstStable, Rule
from modelrelease.domain.habit import Habit
from modelrelease.domain.verdict import Outcome
from modelrelease.gates.counts import NO_COUNTS, Counts, counts_of
from modelrelease.gates.demands import (
    AnyDemand,
    AtLeast,
    AtMost,
    BoundSides,
    RateState,
    within_difference,
    within_ratio,
)
from modelrelease.gates.dispersion import Dispersion, phi_for_passing, phi_for_stakes
from modelrelease.gates.echo import Echo, burst_noise, drag, fading
from modelrelease.gates.machine import Bars, Numbers
from modelrelease.gates.runs import Runs, noise, spotless
from modelrelease.gates.runs import drag as drag_of_runs
from modelrelease.gates.sequences import all_of, log_mean_exp
from modelrelease.gates.tilting import size_of
from modelrelease.gates.words import confidence, count

_S = TypeVar("_S", bound=Dispersion | Echo | Runs)


@dataclass(frozen=True, slots=True)
class Proportions:
    """Totals, stable's dispersion per segment (against stable only), and the state of each demand in turn.

    `habit`: stable's, where it is known; then `echoes` holds the echo of each segment, else `runs` stable's runs.
    """

    totals: Counts = NO_COUNTS
    dispersions: tuple[Dispersion, ...] = ()
    demands: tuple[RateState, ...] = ()
    floor: BoundSides | None = None
    habit: Habit | None = None
    echoes: tuple[Echo, ...] = ()
    runs: tuple[Runs, ...] = ()


@dataclass(frozen=True, slots=True)
class RatioMachine:
    """The demands of one rule. `bad` is said after "41 of 1,204"; `rate` is what sentences call the share."""

    demands: tuple[AnyDemand, ...]
    floor: AtMost | None = None
    comparative: bool = False
    bad: str = ""
    rate: str = "rate"

    def start(self, habit: Habit | None = None) -> Proportions:
        """Nothing counted, no evidence for or against any demand."""
        floor = self.floor.start(habit) if self.floor else None
        return Proportions(demands=tuple(demand.start(habit) for demand in self.demands), floor=floor, habit=habit)

    def update(self, state: Proportions, stratum: Stratum) -> Proportions:
        """Count one stratum."""
        return self.count(state, stratum.candidate, stratum.stable, stratum.segment or "")

    def count(self, state: Proportions, candidate: Tally, stable: Tally, segment: str) -> Proportions:
        """Count one window of one segment; its φ and its drag come from what was known before it."""
        habit = state.habit
        phi = burst_noise(habit, state.echoes) if habit else phi_for_stakes(state.dispersions)
        held = (
            drag(habit, state.echoes, candidate.bad + stable.bad)
            if habit
            else drag_of_runs(state.runs, comparative=self.comparative)
        )
        window = counts_of(candidate, stable, phi, drag=held)
        runs = () if habit else _heard(state.runs, Runs(segment), lambda each: each.update(window))
        events = window.n_c + window.n_s
        size = size_of(habit, state.echoes, window.n_c / events) if habit and self.comparative and events else 1.0
        window = replace(window, spotless=spotless(runs), size=size)
        return Proportions(
            totals=state.totals + window,
            dispersions=_heard(state.dispersions, Dispersion(segment), lambda each: each.update(window))
            if self.comparative
            else (),
            demands=tuple(
                demand.update(side, window) for demand, side in zip(self.demands, state.demands, strict=True)
            ),
            floor=self.floor.update(state.floor or self.floor.start(habit), window) if self.floor else None,
            habit=habit,
            echoes=_heard(state.echoes, Echo(segment), lambda each: each.update(window, fading(habit)))
            if self.comparative and habit
            else (),
            runs=runs,
        )

    def log_revert(self, state: Proportions) -> float:
        """The mean of the demands' evidence, and no more than the evidence against the floor."""
        evidence = log_mean_exp(
            [demand.log_revert(side) for demand, side in zip(self.demands, state.demands, strict=True)]
        )
        if self.floor is None or state.floor is None:
            return evidence
        return min(evidence, self.floor.log_revert(state.floor))

    def log_pass(self, state: Proportions) -> float:
        """The weakest demand's evidence, each helped by the floor's."""
        quiet = noise(state.runs)
        phi = self._phi_for_passing(state) if self.comparative else quiet
        found = [demand.log_pass(side, phi) for demand, side in zip(self.demands, state.demands, strict=True)]
        if self.floor is None or state.floor is None:
            return all_of(found)
        floor = self.floor.log_pass(state.floor, quiet)
        return all_of(log_mean_exp([log_e, floor]) for log_e in found)

    def problem(self, state: Proportions) -> Problem | None:
        """Counts can always be judged."""
        return None

    def compared(self, state: Proportions) -> bool:
        """Whether stable had events, or need not have any."""
        return not self.comparative or state.totals.n_s > 0

    def numbers(self, state: Proportions) -> Numbers:
        """Totals of both arms and, against stable, the dispersion that a pass is tempered with."""
        t = state.totals
        found = (("n_c", t.n_c), ("y_c", t.y_c), ("n_s", t.n_s), ("y_s", t.y_s))
        return (*found, ("phi", self._phi_for_passing(state))) if self.comparative else found

    def sentence(self, state: Proportions, outcome: Outcome, bars: Bars) -> str:
        """Both arms' counts, then what they prove."""
        t = state.totals
        facts = f"{count(t.y_c)} of {count(t.n_c)}{self.bad} on the candidate"
        if self.comparative:
            facts += f" against {count(t.y_s)} of {count(t.n_s)} on stable"
        return f"{facts}; {self._finding(state, outcome, bars)}"

    def _phi_for_passing(self, state: Proportions) -> float:
        return phi_for_passing(state.dispersions, state.habit, noise(state.runs))

    def _finding(self, state: Proportions, outcome: Outcome, bars: Bars) -> str:
        clauses = " and ".join(demand.clause(self.rate) for demand in self.demands)
        match outcome:
            case Outcome.REVERT:
                demand, side = max(
                    zip(self.demands, state.demands, strict=True), key=lambda pair: pair[0].log_revert(pair[1])
                )
                return demand.refuted(side, self.rate, bars.log_revert, f"with {confidence(bars.alpha)} confidence")
            case Outcome.PASS:
                sure = f"with {confidence(bars.beta)} confidence"
                by_floor = (
                    self.floor and state.floor and self.floor.log_pass(state.floor, noise(state.runs)) >= bars.log_pass
                )
                return f"{self.floor.clause(self.rate) if self.floor and by_floor else clauses} {sure}"
            case _:
                return f"{clauses} is neither proven nor refuted yet"


def ratio_machine(rule: Rule, *, bad: str = "", rate: str = "rate") -> RatioMachine:
    """The machine for a rule whose bounds are shares in 0…1 or ratios of them."""
    floor = None
    if isinstance(rule, AgainstStable) and rule.floor is not None and Decimal(rule.floor) > 0:
        floor = AtMost(float(rule.floor))
    return RatioMachine(demands_of(rule), floor, isinstance(rule, AgainstStable), bad, rate)


def demands_of(rule: Rule) -> tuple[AnyDemand, ...]:
    """What the rule demands of a rate: one demand per bound. Raises ValueError for senseless ones."""
    match rule:
        case Absolute():
            found: list[AnyDemand] = [] if rule.maximum is None else [AtMost(float(rule.maximum))]
            return tuple(found if rule.minimum is None else [*found, AtLeast(float(rule.minimum))])
        case AgainstStable():
            if rule.max_ratio is not None and Decimal(rule.max_ratio) <= 0:
                raise ValueError("a maxRatio of 0 allows nothing at all; write a maximum instead")
            if rule.max_difference is not None and Decimal(rule.max_difference) < 0:
                raise ValueError("a rate has no negative maxDifference; write a maxRatio under 1 instead")
            found = [] if rule.max_ratio is None else [within_ratio(float(rule.max_ratio))]
            if rule.max_difference is not None:
                found.append(within_difference(float(rule.max_difference)))
            return tuple(found)


def _heard(items: tuple[_S, ...], new: _S, hear: Callable[[_S], _S]) -> tuple[_S, ...]:
    """The items with that of `new`'s segment having heard more; `new` is added first where there is none."""
    if all(item.segment != new.segment for item in items):
        items = (*items, new)
    return tuple(hear(item) if item.segment == new.segment else item for item in items)
