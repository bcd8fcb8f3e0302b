"""Which bounds fit which metric: what a gate may ask of what is measured."""

from collections.abc import Iterator
from decimal import Decimal
from typing import assert_never

from modelrelease.api.faults import fault
from modelrelease.domain.gate import (
    Absolute,
    AgainstStable,
    Cost,
    Gate,
    Mean,
    Metric,
    Quantile,
    Ratio,
    Rule,
    Scope,
    Value,
)
from modelrelease.domain.release import Fault

INVALID_GATE = "InvalidGate"
_TELLS_SEGMENTS_APART = ("${segment}", "${rule}", "${ruleIndex}")


def rule_faults(gate: Gate, path: str) -> Iterator[Fault]:
    """What is wrong with the gate at `path` as a pair of metric and rule."""
    for field, message in (*_bounds(gate.metric, gate.rule), *_scope(gate), *_warm_up(gate)):
        yield fault(f"{path}.{field}", message, INVALID_GATE)


def _bounds(metric: Metric, rule: Rule) -> Iterator[tuple[str, str]]:
    match metric:
        case Ratio():
            yield from _ratio(rule)
        case Quantile():
            if isinstance(rule, Absolute) and rule.minimum is not None:
                yield "min", "a quantile has no lower bound; write max"
            if isinstance(rule, AgainstStable):
                yield from _share_difference(rule, "a quantile is compared by the share of slow requests")
        case Cost():
            if isinstance(rule, Absolute) and rule.minimum is not None:
                yield "min", "a cost has no lower bound; write max"
        case Value():
            if isinstance(rule, AgainstStable):
                yield "against", "a value metric is one figure for all and has no stable side; write max or min instead"
        case Mean():
            return
        case _:
            assert_never(metric)


def _ratio(rule: Rule) -> Iterator[tuple[str, str]]:
    match rule:
        case Absolute(maximum, minimum):
            for field, bound in (("max", maximum), ("min", minimum)):
                if bound is not None and not 0 <= Decimal(bound) <= 1:
                    yield field, f'a ratio lies between 0 and 1; write 1 % as "0.01", not {bound}'
        case AgainstStable():
            yield from _share_difference(rule, "a ratio lies between 0 and 1")


def _share_difference(rule: AgainstStable, why: str) -> Iterator[tuple[str, str]]:
    for field, bound in (("maxDifference", rule.max_difference), ("floor", rule.floor)):
        if bound is not None and not 0 <= Decimal(bound) <= 1:
            yield field, f'{why}; write a number from 0 to 1, such as "0.01" for one percent point, not {bound}'


def _scope(gate: Gate) -> Iterator[tuple[str, str]]:
    if gate.scope is not Scope.SEGMENT:
        return
    if isinstance(gate.metric, Value):
        yield (
            "scope",
            "a value metric is one figure for all traffic, so it cannot be judged per segment; write scope: Whole, or "
            "use a template with a ratio, quantile, mean or cost",
        )
    elif not any(placeholder in matcher.value for matcher in gate.arm for placeholder in _TELLS_SEGMENTS_APART):
        yield (
            "scope",
            f"nothing in the arm of template {gate.template} tells segments apart, so there is no verdict for any of "
            f"them; write scope: Whole, or use a template whose arm has one of {', '.join(_TELLS_SEGMENTS_APART)}",
        )


def _warm_up(gate: Gate) -> Iterator[tuple[str, str]]:
    if isinstance(gate.metric, Value) and gate.warm_up_s:
        yield "warmUp", "a value metric is judged sample by sample, from the first on; remove warmUp"
