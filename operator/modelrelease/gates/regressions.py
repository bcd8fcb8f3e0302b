"""How much worse a candidate may be, for planning: twice, five times, and failing half of the time.

For shares "2x" is twice what stable shows (or the floor, where that is more), and twice the bound where the gate has
one. For means and costs it is twice the excess that the gate allows, because twice a score of 0.9 means nothing. What
the gate allows is no regression to it.
"""

from decimal import Decimal
from enum import StrEnum

from modelrelease.domain.gate import Absolute, AgainstStable, Cost, Gate, Mean, Quantile, Ratio, Value
from modelrelease.gates.mean import higher_is_better


class Worse(StrEnum):
    """What the candidate does, from the least to the worst."""

    TWICE = "2x"
    FIVE_TIMES = "5x"
    HALF = "half"

    @property
    def words(self) -> str:
        """As a sentence says it: "a candidate that is …"."""
        return {"2x": "twice as bad", "5x": "five times as bad", "half": "failing half of the time"}[self.value]


_FACTORS = {Worse.TWICE: 2.0, Worse.FIVE_TIMES: 5.0}


def regressions_of(gate: Gate) -> tuple[Worse, ...]:
    """What can be said of a gate: half of the time is a share, and a raw value has no scale at all."""
    match gate.metric:
        case Ratio() | Quantile():
            return tuple(Worse)
        case Mean() | Cost():
            return (Worse.TWICE, Worse.FIVE_TIMES)
        case Value():
            return (Worse.TWICE,)


def worse_figure(gate: Gate, worse: Worse, stable: float) -> float | None:
    """The candidate's figure when it is so much worse than stable's; None where the gate allows that."""
    match gate.metric:
        case Value():
            return None
        case Mean() | Cost():
            return _worse_mean(gate, worse, stable)
        case Quantile():
            return _worse_share(_shares(gate), worse, stable)
        case Ratio():
            return _worse_share(gate.rule, worse, stable)


def _shares(gate: Gate) -> Absolute | AgainstStable:
    """The rule of a quantile as one on the share of slow events."""
    if isinstance(gate.rule, AgainstStable) or not isinstance(gate.metric, Quantile):
        return gate.rule
    return Absolute(maximum=str(1 - Decimal(gate.metric.q)))


def _worse_share(rule: Absolute | AgainstStable, worse: Worse, stable: float) -> float | None:
    match rule:
        case Absolute(maximum=None, minimum=str() as minimum):
            bad = _worse_share(Absolute(maximum=str(1 - Decimal(minimum))), worse, 1 - stable)
            return None if bad is None else 1 - bad
        case Absolute(maximum=maximum):
            reference = allowed = float(maximum or 0)
        case AgainstStable(max_ratio=ratio, max_difference=difference, floor=floor):
            limits = [float(ratio) * stable] if ratio is not None else []
            limits += [stable + float(difference)] if difference is not None else []
            allowed = max(float(floor or 0), min(limits))
            reference = max(stable, float(floor or 0))
    found = 0.5 if worse is Worse.HALF else min(1.0, _FACTORS[worse] * reference)
    return found if found > allowed * (1 + 1e-9) else None


def _worse_mean(gate: Gate, worse: Worse, stable: float) -> float | None:
    """Stable's figure and so many times the excess that the margin, or the bound, leaves from there."""
    rising = higher_is_better(gate)
    match gate.rule:
        case Absolute(maximum=str() as maximum):
            excess = float(maximum) - stable
        case Absolute(minimum=str() as minimum):
            excess, rising = stable - float(minimum), True
        case AgainstStable(max_ratio=ratio, max_difference=difference):
            limits = [abs(float(difference))] if difference is not None else []
            if ratio is not None and float(ratio) > 0:
                limits.append(stable - stable / float(ratio) if rising else (float(ratio) - 1) * stable)
            excess = min(limits, default=0.0)
        case _:
            return None
    if excess <= 0:
        return None
    return stable - _FACTORS[worse] * excess if rising else stable + _FACTORS[worse] * excess
