"""`spec.entry` to the domain's Entry, for releases and for a policy's tiers."""

from pydantic import ValidationError

from modelrelease.api.entry_rules import entry_rule_faults
from modelrelease.api.faults import faults_of
from modelrelease.api.quantities import seconds_of
from modelrelease.api.release_entry import EntryGateSpec, EntrySpec, SubgroupRuleSpec
from modelrelease.domain.entry import Entry, EntryGate, SubgroupRule
from modelrelease.domain.offline import Better
from modelrelease.domain.release import Fault


def entry_of(data: object, path: str) -> Entry | tuple[Fault, ...]:
    """The demands that `data` (an EntrySpec as users write it; None: nothing) makes, or what is wrong with it."""
    try:
        spec = EntrySpec.model_validate(data or {})
    except ValidationError as error:
        return faults_of(error, path)
    return tuple(entry_rule_faults(spec, path)) or to_entry(spec)


def to_entry(spec: EntrySpec) -> Entry:
    """The demands that a spec makes."""
    return Entry(
        gates=tuple(_gate(gate) for gate in spec.gates or ()),
        package=tuple(spec.package or ()),
        max_age_s=seconds_of(spec.max_age) if spec.max_age else None,
        data_max_age_s=seconds_of(spec.data_max_age) if spec.data_max_age else None,
        data_lineage=spec.data_lineage,
    )


def _gate(spec: EntryGateSpec) -> EntryGate:
    only_max = spec.max is not None and spec.min is None
    return EntryGate(
        name=spec.name,
        metric=spec.metric,
        kind=spec.kind,
        better=spec.better or (Better.LOWER if only_max else Better.HIGHER),
        suite=spec.suite,
        minimum=spec.min,
        maximum=spec.max,
        max_difference=spec.max_difference,
        confidence=spec.confidence,
        subgroups=tuple(_rule(rule) for rule in spec.subgroups or ()),
    )


def _rule(spec: SubgroupRuleSpec) -> SubgroupRule:
    disparity = spec.max_disparity
    return SubgroupRule(
        dimension=spec.dimension,
        groups=tuple(spec.groups or ()),
        minimum=spec.min,
        maximum=spec.max,
        max_difference=disparity.difference if disparity else None,
        max_ratio=disparity.ratio if disparity else None,
        min_samples=spec.min_samples or 0,
        confidence=spec.confidence,
    )
