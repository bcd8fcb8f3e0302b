"""Whether one gate demands at least as much as another, and if not, in which field it does not."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from modelrelease.domain.gate import Absolute, AgainstStable, Gate, tightens


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A field of a gate in which it demands less than is asked, or cannot be compared, and what to write instead."""

    field: str
    message: str


def at_least_as_strict(gate: Gate, asked: Gate) -> bool:
    """Whether whatever passes `gate` passes `asked`, too."""
    return not any(shortfalls(gate, asked))


def same_measure(gate: Gate, asked: Gate) -> bool:
    """Whether both judge the same figure by the same form of rule, so that their bounds can be compared."""
    return (
        (gate.metric, gate.arm, gate.source, gate.scope) == (asked.metric, asked.arm, asked.source, asked.scope)
        and type(gate.rule) is type(asked.rule)
        and _bounded(gate.rule) == _bounded(asked.rule)
    )


def shortfalls(gate: Gate, asked: Gate) -> Iterator[Shortfall]:
    """In what `gate` demands less than `asked`; nothing when it is at least as strict."""
    if (gate.metric, gate.arm) != (asked.metric, asked.arm):
        yield Shortfall("template", f"it measures something else; name template {asked.template}")
        return
    if gate.source != asked.source:
        yield Shortfall("source", f"it asks {gate.source}; name {asked.source}")
    if gate.scope is not asked.scope:
        yield Shortfall("scope", f"{gate.scope.value} cannot be compared; write {asked.scope.value}")
    missing = [phase.value for phase in asked.phases if phase not in gate.phases]
    if missing:
        yield Shortfall("phases", f"it is not judged in {' and '.join(missing)}; add it")
    if gate.warm_up_s > asked.warm_up_s:
        yield Shortfall("warmUp", f"{gate.warm_up_s}s leaves out more; write at most {asked.warm_up_s}s")
    if not tightens(gate.rule, asked.rule):
        yield from _bounds(gate.rule, asked.rule)


def _bounds(rule: Absolute | AgainstStable, asked: Absolute | AgainstStable) -> Iterator[Shortfall]:
    match rule, asked:
        case Absolute(), Absolute():
            yield from _at_most("max", rule.maximum, asked.maximum)
            if asked.minimum is not None and (rule.minimum is None or Decimal(rule.minimum) < Decimal(asked.minimum)):
                yield Shortfall("min", f"{rule.minimum or 'no min'} is looser; write at least {asked.minimum}")
        case AgainstStable(), AgainstStable():
            yield from _at_most("maxRatio", rule.max_ratio, asked.max_ratio)
            yield from _at_most("maxDifference", rule.max_difference, asked.max_difference)
            yield from _floor(rule.floor, asked.floor)
        case AgainstStable(), _:
            yield Shortfall("against", "a margin against stable cannot be compared with max or min; write those")
        case _:
            yield Shortfall("against", "max and min cannot be compared with a margin; write against: Stable and that")


def _at_most(field: str, said: str | None, asked: str | None) -> Iterator[Shortfall]:
    if asked is not None and (said is None or Decimal(said) > Decimal(asked)):
        yield Shortfall(field, f"{said or f'no {field}'} is looser; write at most {asked}")


def _floor(said: str | None, asked: str | None) -> Iterator[Shortfall]:
    if said is None or (asked is not None and Decimal(said) <= Decimal(asked)):
        return
    mend = "remove it" if asked is None else f"write at most {asked}, or remove it"
    yield Shortfall("floor", f"{said} is looser; {mend}")


def _bounded(rule: Absolute | AgainstStable) -> tuple[bool, bool]:
    """Which of the two bounds of a rule's form it has."""
    if isinstance(rule, Absolute):
        return rule.maximum is not None, rule.minimum is not None
    return rule.max_ratio is not None, rule.max_difference is not None
