"""Gates on cost per unit: an absolute bound per `per` units, or the ratio to stable by window log-ratios.

Y = ln(K_c/T_c) − ln(K_s/T_s) per window with cost K and units T, tested against ln(max_ratio) as any contrast
(contrast.py). The logarithm makes "twice as dear" and "half as dear" the same distance and drops shared price changes
out. Allocated cost (idle GPU hours) always condemns a small canary: what to feed in is the metric's choice, not ours.
"""

import math

from modelrelease.domain.gate import Absolute, AgainstStable, Cost, Rule
from modelrelease.gates.contrast import Contrast, ContrastMachine
from modelrelease.gates.mean import demands_of
from modelrelease.gates.words import number


def cost_machine(metric: Cost, rule: Rule) -> ContrastMachine:
    """The machine for cost per unit; raises ValueError for a ratio of zero."""
    unit = f"{metric.currency} per {metric.per:,}"
    match rule:
        case Absolute():
            return ContrastMachine(demands_of(rule, rising=False), per=metric.per, figure="cost", unit=unit)
        case AgainstStable():
            demands = list(demands_of(AgainstStable(max_difference=rule.max_difference), rising=False))
            if rule.max_ratio is not None:
                demands.insert(0, _within_ratio(float(rule.max_ratio)))
            floor = None
            if rule.floor is not None:
                (floor,) = demands_of(Absolute(maximum=rule.floor), rising=False)
            return ContrastMachine(tuple(demands), floor, True, metric.per, "cost", unit, wait=True)


def _within_ratio(ratio: float) -> Contrast:
    if ratio <= 0:
        raise ValueError("a maxRatio of 0 allows no cost at all; write a maximum instead")
    allowed = number(ratio)
    proven, refuted = f"under {allowed} times stable's", f"at least {{}} times stable's {{}}, {allowed} allowed"
    return Contrast(1.0, -1.0, math.log(ratio), proven, refuted, log=True)
