"""Comparing and joining entry demands: a release may ask for more than its tier and never for less (R5, R7)."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal

from modelrelease.domain.entry import Entry, EntryGate, SubgroupRule

Pick = Callable[[Decimal, Decimal], Decimal]


def tightens(new: Entry, old: Entry) -> bool:
    """Whether `new` demands at least as much as `old` in each respect."""
    return next(looser(new, old), None) is None


def looser(own: Entry, demanded: Entry) -> Iterator[str]:
    """Where `own` asks for less than is demanded: the field below `entry`, what it says, what to write instead."""
    yield from contradictions(own, demanded)
    yield from omissions(own, demanded)


def contradictions(own: Entry, demanded: Entry) -> Iterator[str]:
    """Where `own` says something looser than is demanded; what it does not say is no contradiction."""
    gates = {gate.name: gate for gate in own.gates}
    for gate in demanded.gates:
        if gate.name in gates:
            yield from (f"gates ({gate.name}).{said}" for said in _contradicts_gate(gates[gate.name], gate))
    yield from _at_most("maxAge", own.max_age_s, demanded.max_age_s, unit=" s")
    yield from _at_most("dataMaxAge", own.data_max_age_s, demanded.data_max_age_s, unit=" s")


def omissions(own: Entry, demanded: Entry) -> Iterator[str]:
    """What is demanded and `own` does not say: the field below `entry` and what to add."""
    gates = {gate.name: gate for gate in own.gates}
    for gate in demanded.gates:
        if gate.name not in gates:
            yield f"gates: gate {gate.name} is missing; add it"
        else:
            yield from (f"gates ({gate.name}).{said}" for said in _lacks_gate(gates[gate.name], gate))
    yield from _lacks_items("package", own.package, demanded.package)
    yield from _lacks("maxAge", own.max_age_s, demanded.max_age_s)
    yield from _lacks("dataMaxAge", own.data_max_age_s, demanded.data_max_age_s)
    if demanded.data_lineage and not own.data_lineage:
        yield "dataLineage: lineage is demanded; write true"


def combined(demanded: Entry, own: Entry) -> Entry:
    """The strictest of both in each respect. A gate that is in both keeps what it measures as demanded."""
    gates = {gate.name: gate for gate in demanded.gates}
    for gate in own.gates:
        gates[gate.name] = _combined_gate(gates[gate.name], gate) if gate.name in gates else gate
    return Entry(
        gates=tuple(gates.values()),
        package=tuple(dict.fromkeys((*demanded.package, *own.package))),
        max_age_s=_least(demanded.max_age_s, own.max_age_s),
        data_max_age_s=_least(demanded.data_max_age_s, own.data_max_age_s),
        data_lineage=demanded.data_lineage or own.data_lineage,
    )


def _contradicts_gate(own: EntryGate, demanded: EntryGate) -> Iterator[str]:
    for name in ("metric", "better"):
        if getattr(own, name) != getattr(demanded, name):
            yield f"{name}: {getattr(demanded, name)} is demanded; write that"
    if own.suite != demanded.suite:
        mend = f"write {demanded.suite}" if demanded.suite else "remove it"
        yield f"suite: {demanded.suite or 'every suite'} is demanded; {mend}"
    yield from _at_least("min", own.minimum, demanded.minimum)
    yield from _at_most("max", own.maximum, demanded.maximum)
    yield from _at_most("maxDifference", own.max_difference, demanded.max_difference)
    yield from _at_least("confidence", own.confidence, demanded.confidence)
    rules = {rule.dimension: rule for rule in own.subgroups}
    for rule in demanded.subgroups:
        if rule.dimension in rules:
            found = _contradicts_rule(rules[rule.dimension], rule)
            yield from (f"subgroups ({rule.dimension}).{said}" for said in found)


def _contradicts_rule(own: SubgroupRule, demanded: SubgroupRule) -> Iterator[str]:
    yield from _at_least("min", own.minimum, demanded.minimum)
    yield from _at_most("max", own.maximum, demanded.maximum)
    yield from _at_most("maxDisparity.difference", own.max_difference, demanded.max_difference)
    yield from _at_most("maxDisparity.ratio", own.max_ratio, demanded.max_ratio)
    yield from _at_least("minSamples", own.min_samples or None, demanded.min_samples or None)
    yield from _at_least("confidence", own.confidence, demanded.confidence)


def _lacks_gate(own: EntryGate, demanded: EntryGate) -> Iterator[str]:
    yield from _lacks("min", own.minimum, demanded.minimum)
    yield from _lacks("max", own.maximum, demanded.maximum)
    yield from _lacks("maxDifference", own.max_difference, demanded.max_difference)
    yield from _lacks("confidence", own.confidence, demanded.confidence)
    rules = {rule.dimension: rule for rule in own.subgroups}
    for rule in demanded.subgroups:
        if rule.dimension not in rules:
            yield f"subgroups: dimension {rule.dimension} is missing; add it"
        else:
            yield from (f"subgroups ({rule.dimension}).{said}" for said in _lacks_rule(rules[rule.dimension], rule))


def _lacks_rule(own: SubgroupRule, demanded: SubgroupRule) -> Iterator[str]:
    yield from _lacks_items("groups", own.groups, demanded.groups)
    yield from _lacks("min", own.minimum, demanded.minimum)
    yield from _lacks("max", own.maximum, demanded.maximum)
    yield from _lacks("maxDisparity.difference", own.max_difference, demanded.max_difference)
    yield from _lacks("maxDisparity.ratio", own.max_ratio, demanded.max_ratio)
    yield from _lacks("minSamples", own.min_samples or None, demanded.min_samples or None)
    yield from _lacks("confidence", own.confidence, demanded.confidence)


def _combined_gate(demanded: EntryGate, own: EntryGate) -> EntryGate:
    rules = {rule.dimension: rule for rule in demanded.subgroups}
    for rule in own.subgroups:
        rules[rule.dimension] = _combined_rule(rules[rule.dimension], rule) if rule.dimension in rules else rule
    return replace(
        demanded,
        minimum=_strict(max, demanded.minimum, own.minimum),
        maximum=_strict(min, demanded.maximum, own.maximum),
        max_difference=_strict(min, demanded.max_difference, own.max_difference),
        confidence=_strict(max, demanded.confidence, own.confidence),
        subgroups=tuple(rules.values()),
    )


def _combined_rule(demanded: SubgroupRule, own: SubgroupRule) -> SubgroupRule:
    return SubgroupRule(
        dimension=demanded.dimension,
        groups=tuple(dict.fromkeys((*demanded.groups, *own.groups))),
        minimum=_strict(max, demanded.minimum, own.minimum),
        maximum=_strict(min, demanded.maximum, own.maximum),
        max_difference=_strict(min, demanded.max_difference, own.max_difference),
        max_ratio=_strict(min, demanded.max_ratio, own.max_ratio),
        min_samples=max(demanded.min_samples, own.min_samples),
        confidence=_strict(max, demanded.confidence, own.confidence),
    )


def _strict(pick: Pick, demanded: str | None, own: str | None) -> str | None:
    if demanded is None or own is None:
        return own if demanded is None else demanded
    return own if pick(Decimal(demanded), Decimal(own)) == Decimal(own) else demanded


def _least(one: int | None, other: int | None) -> int | None:
    return min((each for each in (one, other) if each is not None), default=None)


def _at_least(field: str, own: str | int | None, demanded: str | int | None) -> Iterator[str]:
    if own is not None and demanded is not None and Decimal(own) < Decimal(demanded):
        yield f"{field}: {own} is looser than is demanded; write {demanded} or more"


def _at_most(field: str, own: str | int | None, demanded: str | int | None, *, unit: str = "") -> Iterator[str]:
    if own is not None and demanded is not None and Decimal(own) > Decimal(demanded):
        yield f"{field}: {own}{unit} is looser than is demanded; write {demanded}{unit} or less"


def _lacks(field: str, own: str | int | None, demanded: str | int | None) -> Iterator[str]:
    if own is None and demanded is not None:
        yield f"{field}: it is not there; write {demanded}"


def _lacks_items(field: str, own: tuple[str, ...], demanded: tuple[str, ...]) -> Iterator[str]:
    absent = [item for item in demanded if item not in own]
    if absent:
        yield f"{field}: {', '.join(absent)} must be in it; add it"
