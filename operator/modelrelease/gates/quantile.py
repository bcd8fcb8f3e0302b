"""Gates on a quantile of a histogram: the share of events above one frozen bucket bound is judged as a ratio.

"p95 ≤ L" is "at most 5 % lie above L", and L must be a bucket bound. Against stable, the bound nearest to stable's own
quantile is frozen once stable has had CALIBRATION events, and the share above it is compared from the next stratum on:
so margins of a comparative quantile gate speak of shares of slow events, not of seconds. What was used to choose the
bound is not judged, because the choice would lean on it.

Comparing interpolated quantiles was rejected: within a bucket they are invented, and no error law holds for them.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal

from modelrelease.domain.evidence import Cause, Problem, Stratum, Tally
from modelrelease.domain.gate import Absolute, AgainstStable, Quantile, Rule
from modelrelease.domain.habit import Habit
from modelrelease.domain.verdict import Outcome
from modelrelease.gates.machine import Bars, Numbers
from modelrelease.gates.ratio import Proportions, RatioMachine, ratio_machine
from modelrelease.gates.words import number

CALIBRATION = 100.0
"""Stable's events before the bound is frozen."""

Buckets = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Slow:
    """The frozen bound (None: not yet), stable's buckets until then, the counts, and what is wrong in which segment."""

    counts: Proportions
    bound: float | None = None
    calibration: Buckets = ()
    troubles: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class QuantileMachine:
    """The quantile `q` in 0…1 under one rule; `limit` is the absolute bound in the histogram's unit, if any."""

    q: float
    unit: str
    limit: float | None
    ratio: RatioMachine = field(repr=False)

    def start(self, habit: Habit | None = None) -> Slow:
        """Nothing counted; an absolute bound is frozen from the start."""
        return Slow(self.ratio.start(habit), self.limit)

    def update(self, state: Slow, stratum: Stratum) -> Slow:
        """Count one stratum above the bound, or learn the bound from it."""
        segment = stratum.segment or ""
        candidate, stable = stratum.candidate.buckets, stratum.stable.buckets if self.ratio.comparative else ()
        others = tuple(item for item in state.troubles if item[0] != segment)
        if (why := self._trouble(state, candidate, stable)) is not None:
            return replace(state, troubles=(*others, (segment, why)))
        if state.bound is None:
            return self._calibrate(replace(state, troubles=others), stable)
        tallies = slow_tally(candidate, state.bound), slow_tally(stratum.stable.buckets, state.bound)
        return Slow(self.ratio.count(state.counts, *tallies, segment), state.bound, troubles=others)

    def log_revert(self, state: Slow) -> float:
        """As for the share of slow events."""
        return self.ratio.log_revert(state.counts)

    def log_pass(self, state: Slow) -> float:
        """As for the share of slow events."""
        return self.ratio.log_pass(state.counts)

    def problem(self, state: Slow) -> Problem | None:
        """Buckets that differ between the arms or cannot resolve the bound."""
        if state.troubles:
            return Problem(Cause.BROKEN, state.troubles[0][1])
        if state.bound is None and _enough(state.calibration):
            q, bounds = number(100 * self.q), _bounds(state.calibration)
            return Problem(Cause.BROKEN, f"stable's p{q} lies above the largest bucket; bounds that exist: {bounds}")
        return None

    def compared(self, state: Slow) -> bool:
        """Whether stable had events since the bound was frozen, or need not have any."""
        return self.ratio.compared(state.counts)

    def numbers(self, state: Slow) -> Numbers:
        """The bound, then the counts above it."""
        bound = () if state.bound is None else (("bound", state.bound),)
        return (*bound, *self.ratio.numbers(state.counts))

    def sentence(self, state: Slow, outcome: Outcome, bars: Bars) -> str:
        """The counts above the bound, then what they prove."""
        if state.bound is None:
            return "stable's own quantile is not known yet"
        above = f" over {self._amount(state.bound)}"
        machine = RatioMachine(self.ratio.demands, self.ratio.floor, self.ratio.comparative, above, "slow share")
        return machine.sentence(state.counts, outcome, bars)

    def _amount(self, bound: float) -> str:
        return f"{number(bound)} {self.unit}".rstrip()

    def _trouble(self, state: Slow, candidate: Buckets, stable: Buckets) -> str | None:
        """Why this stratum cannot be counted."""
        if candidate and stable and not _same_bounds(candidate, stable):
            return f"the arms have different buckets: {_bounds(candidate)} and {_bounds(stable)}"
        if state.bound is None:
            return None
        for buckets in (candidate, stable):
            if buckets and _index(buckets, state.bound) is None:
                return f"no bucket ends at {self._amount(state.bound)}; bounds that exist: {_bounds(buckets)}"
        return None

    def _calibrate(self, state: Slow, stable: Buckets) -> Slow:
        """Learn stable's quantile; the bound stays unknown when no bucket resolves it."""
        seen = state.calibration
        if stable:
            same = not seen or _same_bounds(seen, stable)
            seen = (Tally(buckets=seen) + Tally(buckets=stable)).buckets if same else stable
        bound = _nearest(seen, self.q) if _enough(seen) else None
        return replace(state, calibration=() if bound is not None else seen, bound=bound)


def quantile_machine(metric: Quantile, rule: Rule) -> QuantileMachine:
    """The machine of a quantile gate. Raises ValueError for a `minimum`, which no quantile gate has."""
    q = float(metric.q)
    match rule:
        case Absolute(maximum=None) | Absolute(minimum=str()):
            raise ValueError("a quantile gate has a maximum and no minimum")
        case Absolute():
            share = Absolute(maximum=str(1 - Decimal(metric.q)))
            return QuantileMachine(q, metric.unit, float(rule.maximum or 0), ratio_machine(share))
        case AgainstStable():
            return QuantileMachine(q, metric.unit, None, ratio_machine(rule))


def stable_bound(histograms: Iterable[Buckets], q: float) -> float | None:
    """The bound nearest to the quantile `q` of all histograms together; None when there is too little, or none."""
    seen: Buckets = ()
    for buckets in histograms:
        if buckets and (not seen or _same_bounds(seen, buckets)):
            seen = (Tally(buckets=seen) + Tally(buckets=buckets)).buckets
    return _nearest(seen, q) if _enough(seen) else None


def _same_bounds(left: Buckets, right: Buckets) -> bool:
    return [bound for bound, _ in left] == [bound for bound, _ in right]


def _bounds(buckets: Buckets) -> str:
    return ", ".join("+Inf" if math.isinf(bound) else f"{bound:g}" for bound, _ in buckets)


def _enough(calibration: Buckets) -> bool:
    return bool(calibration) and calibration[-1][1] >= CALIBRATION


def _index(buckets: Buckets, bound: float) -> int | None:
    found = (index for index, (end, _) in enumerate(buckets) if math.isclose(end, bound, rel_tol=1e-9))
    return next(found, None)


def slow_tally(buckets: Buckets, bound: float) -> Tally:
    """Events, and those above the bound as bad."""
    index = _index(buckets, bound) if buckets else None
    if index is None:
        return Tally()
    total = buckets[-1][1]
    return Tally(total, max(0.0, total - buckets[index][1]))


def _nearest(buckets: Buckets, q: float) -> float | None:
    """The finite bound whose share of events at or under it is nearest to q; None if all lie under q."""
    total = buckets[-1][1]
    shares = [(bound, at_or_under / total) for bound, at_or_under in buckets if math.isfinite(bound)]
    if not shares or shares[-1][1] < q:
        return None
    return min(shares, key=lambda item: (abs(item[1] - q), item[0]))[0]
