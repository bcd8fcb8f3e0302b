"""Gates on a mean: a score, a handling time, minutes of rework; under bounds or against stable.

Whether more is better is not in the metric, so the rule says it where it can (`minimum`), and against stable it goes
by the gate's kind: a mean of kind Quality or Safety is a score, more is better, and `max_difference: 0.02` lets it
fall by 0.02; every other mean is a load, less is better.
"""

from modelrelease.domain.gate import Absolute, AgainstStable, Gate, Kind, Mean, Rule
from modelrelease.gates.contrast import Contrast, ContrastMachine
from modelrelease.gates.words import number


def higher_is_better(gate: Gate) -> bool:
    """Whether the gate guards against the mean falling instead of rising."""
    return isinstance(gate.metric, Mean) and gate.kind in (Kind.QUALITY, Kind.SAFETY)


def mean_machine(gate: Gate) -> ContrastMachine:
    """The machine for a mean; raises ValueError for a ratio of zero, which no score can keep."""
    demands = demands_of(gate.rule, rising=higher_is_better(gate))
    match gate.rule:
        case Absolute():
            return ContrastMachine(demands)
        case AgainstStable(floor=None):
            return ContrastMachine(demands, comparative=True)
        case AgainstStable(floor=floor):
            bound = float(floor or 0)
            return ContrastMachine(
                demands, _at_least(bound) if higher_is_better(gate) else _at_most(bound), comparative=True
            )


def demands_of(rule: Rule, *, rising: bool) -> tuple[Contrast, ...]:
    """The contrasts that the rule demands, one for each bound that it gives; `rising`: more is better."""
    found: list[Contrast] = []
    match rule:
        case Absolute():
            if rule.maximum is not None:
                found.append(_at_most(float(rule.maximum)))
            if rule.minimum is not None:
                found.append(_at_least(float(rule.minimum)))
        case AgainstStable():
            if rule.max_ratio is not None:
                found.append(_within_ratio(float(rule.max_ratio), rising))
            if rule.max_difference is not None:
                found.append(_within_difference(float(rule.max_difference), rising))
    return tuple(found)


def _at_most(bound: float) -> Contrast:
    return Contrast(1.0, 0.0, bound, f"under {number(bound)}", f"at least {{}} {{}}, {number(bound)} allowed")


def _at_least(bound: float) -> Contrast:
    return Contrast(-1.0, 0.0, -bound, f"over {number(bound)}", f"at most {{}} {{}}, {number(bound)} demanded")


def _within_ratio(ratio: float, rising: bool) -> Contrast:
    if not rising:
        return Contrast(1.0, -ratio, 0.0, f"under {number(ratio)} times stable's")
    if ratio <= 0:
        raise ValueError("a maxRatio of 0 demands an infinite score")
    return Contrast(-1.0, 1 / ratio, 0.0, f"over {number(1 / ratio)} times stable's")


def _within_difference(difference: float, rising: bool) -> Contrast:
    sign, side = (-1.0, "below") if rising else (1.0, "above")
    allowed = number(difference)
    proven = f"less than {allowed} {side} stable's"
    return Contrast(sign, -sign, difference, proven, f"at least {{}} {side} stable's {{}}, {allowed} allowed")
