"""ReleasePolicy objects to what governance judges by: which namespaces they select, and what each tier asks for.

Templates of required gates are looked up among those of the whole cluster only: a template that a release team wrote
under the same name never takes their place.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from pydantic import ValidationError

from modelrelease.api.convert_entry import to_entry
from modelrelease.api.convert_gates import Templates, gates_of
from modelrelease.api.convert_train import train_of
from modelrelease.api.faults import faults_of
from modelrelease.api.quantities import permille_of, seconds_of
from modelrelease.api.release_approvals import tier_approvals_of
from modelrelease.api.releasepolicy import (
    FloorsSpec,
    LabelExpression,
    NamespaceSelector,
    NoDataLimits,
    ReleasePolicySpec,
    SensitivityFloors,
    TierSpec,
    TierStageSpec,
)
from modelrelease.domain.canonical import digest
from modelrelease.domain.entry import Entry
from modelrelease.domain.exposure import FULL_PERMILLE, NOTHING, REST
from modelrelease.domain.policy import Demands, Floors, Policy, TierStage
from modelrelease.domain.release import Fault
from modelrelease.domain.tier import Tier, Touch
from modelrelease.domain.train import Train
from modelrelease.domain.unit import PartName
from modelrelease.governance.path import resolved
from modelrelease.governance.strictness import at_least_as_strict, shortfalls
from modelrelease.governance.tightening import contradictions

INVALID_POLICY = "PolicyInvalid"
"""Reason of the faults of releases whose policy cannot be read."""

BUILT_IN = "built-in"
"""The name that the built-in policy goes by in status, plans and records."""


@dataclass(frozen=True, slots=True)
class PolicyObject:
    """A ReleasePolicy as read. `digest` covers its spec with all defaults."""

    name: str
    spec: ReleasePolicySpec
    digest: str

    @property
    def priority(self) -> int:
        """The highest of those that select a namespace applies."""
        return self.spec.priority

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether it is for the releases of a namespace with these labels."""
        selector = self.spec.namespace_selector or NamespaceSelector()
        wanted = selector.match_labels or {}
        return all(labels.get(key) == value for key, value in wanted.items()) and all(
            _holds(each, labels) for each in selector.match_expressions or ()
        )

    @property
    def templates(self) -> tuple[str, ...]:
        """The names of the templates that its gates refer to, each once."""
        tiers = (self.spec.tiers.low, self.spec.tiers.medium, self.spec.tiers.high)
        return tuple(dict.fromkeys(gate.template for tier in tiers if tier for gate in tier.gates or ()))


def policy_object(obj: Mapping[str, Any]) -> PolicyObject | tuple[Fault, ...]:
    """Read a ReleasePolicy; faults with field paths where it is wrong."""
    name = str(obj["metadata"]["name"])
    try:
        spec = ReleasePolicySpec.model_validate(obj.get("spec"))
    except ValidationError as error:
        return tuple(replace(fault, reason=INVALID_POLICY) for fault in faults_of(error, f"ReleasePolicy {name}: spec"))
    if faults := tuple(_selector_faults(name, spec.namespace_selector or NamespaceSelector())):
        return faults
    return PolicyObject(name, spec, digest(spec.model_dump(mode="json", by_alias=True, exclude_none=True)))


def _selector_faults(policy: str, selector: NamespaceSelector) -> Iterator[Fault]:
    for index, condition in enumerate(selector.match_expressions or ()):
        if (condition.operator in ("In", "NotIn")) != bool(condition.values):
            path = f"spec.namespaceSelector.matchExpressions[{index}].values"
            message = "In and NotIn need values, Exists and DoesNotExist have none"
            yield Fault(INVALID_POLICY, f"ReleasePolicy {policy}: {path}: {message}")


@cache
def built_in_policy() -> PolicyObject:
    """The policy of releases that no ReleasePolicy is for."""
    text = files(__package__).joinpath("builtin_policy.yaml").read_text(encoding="utf-8")
    found = policy_object(yaml.safe_load(text))
    assert isinstance(found, PolicyObject), found
    return replace(found, name=BUILT_IN)


def policy_of(read: PolicyObject, templates: Templates) -> Policy | tuple[Fault, ...]:
    """What a policy asks for, its gates made from `templates` of the whole cluster; faults where one is wrong."""
    tiers = {Tier.LOW: read.spec.tiers.low, Tier.MEDIUM: read.spec.tiers.medium, Tier.HIGH: read.spec.tiers.high}
    demands: list[Demands] = []
    faults: list[Fault] = []
    for tier, spec in tiers.items():
        found = _demands(read.name, tier, spec or TierSpec.model_validate({}), templates)
        if isinstance(found, Demands):
            demands.append(found)
        else:
            where = f"ReleasePolicy {read.name}: spec.tiers.{tier.value.lower()}"
            faults += [replace(each, message=each.message.replace("spec.gates", f"{where}.gates", 1)) for each in found]
    faults += [fault for each in demands for fault in _order_faults(read.name, each)]
    faults += [*_gate_faults(read.name, demands), *_entry_faults(read.name, demands)]
    if faults:
        return tuple(faults)
    return Policy(
        name=read.name,
        digest=read.digest,
        enforcement=read.spec.enforcement,
        floors=_floors(read.spec.floors or FloorsSpec.model_validate({})),
        demands=tuple(demands),
        loosening=tuple(sorted(read.spec.loosening_approvals or ())),
        review_by=review_date(read.spec.review_by or ""),
    )


def review_date(text: str) -> date | None:
    """A date as `reviewBy` has it; None for a day that there is not."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _demands(name: str, tier: Tier, spec: TierSpec, templates: Templates) -> Demands | list[Fault]:
    gates, gate_faults = gates_of(spec.gates or [], templates)
    faults = [*gate_faults]
    train = _train(name, tier, spec)
    if isinstance(train, tuple):
        faults += train
    if faults or isinstance(train, tuple):
        return faults
    no_data = spec.no_data or NoDataLimits.model_validate({})
    return Demands(
        tier=tier,
        gates=gates,
        kinds=tuple(spec.kinds or ()),
        stages=tuple(map(_stage, spec.stages or ())),
        watch_s=_seconds(spec.watch),
        missing_s=_seconds(no_data.missing),
        broken_s=_seconds(no_data.broken),
        alpha_permille=_permille(spec.alpha),
        beta_permille=_permille(spec.beta),
        train=train,
        approvals=tier_approvals_of(spec.approvals),
        entry=to_entry(spec.entry) if spec.entry else Entry(),
    )


def _train(name: str, tier: Tier, spec: TierSpec) -> Train | tuple[Fault, ...]:
    section = spec.train.model_dump(by_alias=True, exclude_none=True) if spec.train else None
    path = f"ReleasePolicy {name}: spec.tiers.{tier.value.lower()}.train"
    return train_of(section, path, f"ReleasePolicy {name}, tier {tier.value}")


def _order_faults(policy: str, demands: Demands) -> Iterator[Fault]:
    """Each stage of a tier gives more than the one before it: else it would have no exposures to speak for."""
    names = dict.fromkeys(name for stage in demands.stages for name, _ in stage.shares if name != REST)
    exposures = [resolved(stage, tuple(names)) for stage in demands.stages]
    for index, exposure in enumerate(exposures):
        before = exposures[index - 1] if index else NOTHING
        if exposure.within(before) or not before.within(exposure):
            yield Fault(
                INVALID_POLICY,
                f"ReleasePolicy {policy}: spec.tiers.{demands.tier.value.lower()}.stages[{index}].exposure: stage "
                f"{demands.stages[index].name} must give more than what is before it, and to no segment less",
            )
    if exposures and any(share != FULL_PERMILLE for _, share in exposures[-1].shares):
        path = f"spec.tiers.{demands.tier.value.lower()}.stages[{len(exposures) - 1}].exposure"
        message = 'the last stage must give everything; write [{percent: "100"}]'
        yield Fault(INVALID_POLICY, f"ReleasePolicy {policy}: {path}: {message}")


def _entry_faults(policy: str, demands: list[Demands]) -> Iterator[Fault]:
    """What a higher tier says of an entry gate of a lower tier's name is no looser, and is about the same metric."""
    for higher, lower in ((higher, lower) for higher in demands for lower in demands):
        if higher.tier.rank > lower.tier.rank:
            where = f"ReleasePolicy {policy}: spec.tiers.{higher.tier.value.lower()}.entry"
            for said in contradictions(higher.entry, lower.entry):
                yield Fault(INVALID_POLICY, f"{where}.{said}, as tier {lower.tier.value} says")


def _gate_faults(policy: str, demands: list[Demands]) -> Iterator[Fault]:
    """A gate of a lower tier's name asks for at least as much as that one: a tier includes those below it."""
    for higher, lower in ((higher, lower) for higher in demands for lower in demands):
        if higher.tier.rank <= lower.tier.rank:
            continue
        for gate, asked in ((gate, asked) for gate in higher.gates for asked in lower.gates):
            if gate.name == asked.name and not at_least_as_strict(gate, asked):
                short = next(shortfalls(gate, asked))
                yield Fault(
                    INVALID_POLICY,
                    f"ReleasePolicy {policy}: spec.tiers.{higher.tier.value.lower()}.gates ({gate.name}).{short.field}:"
                    f" {short.message}, as tier {lower.tier.value} asks, or give it another name",
                )


def _stage(spec: TierStageSpec) -> TierStage:
    return TierStage(
        name=spec.name,
        shares=tuple((entry.segment or REST, permille_of(entry.percent)) for entry in spec.exposure),
        min_duration_s=_seconds(spec.min_duration),
        min_samples=spec.min_samples,
        require=spec.require,
        approvals=tuple(spec.approvals or ()),
    )


def _floors(spec: FloorsSpec) -> Floors:
    sensitivity = spec.sensitivity or SensitivityFloors.model_validate({})
    return Floors(
        parts=tuple((part, getattr(spec, part.value)) for part in PartName),
        touches=(
            (Touch.SENSITIVE_DOMAIN, sensitivity.sensitive_domain),
            (Touch.PERSONAL_DATA, sensitivity.personal_data),
        ),
    )


def _seconds(text: str | None) -> int | None:
    return None if text is None else seconds_of(text)


def _permille(text: str | None) -> int | None:
    return None if text is None else int(Decimal(text) * 1000)


def _holds(condition: LabelExpression, labels: Mapping[str, str]) -> bool:
    values = condition.values or []
    match condition.operator:
        case "In":
            return labels.get(condition.key) in values
        case "NotIn":
            return labels.get(condition.key) not in values
        case "Exists":
            return condition.key in labels
        case "DoesNotExist":
            return condition.key not in labels


def applying(
    policies: Mapping[str, PolicyObject | tuple[Fault, ...]], labels: Mapping[str, str], namespace: str
) -> PolicyObject | Fault:
    """The policy for the releases of a namespace: of those that select it the one with the highest priority.

    A Fault where two have the same priority, or where one cannot be read: it could be the one that applies.
    """
    unreadable = [faults[0] for faults in policies.values() if not isinstance(faults, PolicyObject)]
    if unreadable:
        return Fault(INVALID_POLICY, f"{unreadable[0].message}; until then nothing rises")
    chosen = sorted(_selecting(policies, labels), key=lambda policy: (-policy.priority, policy.name))
    if len(chosen) > 1 and chosen[0].priority == chosen[1].priority:
        one, other = chosen[0].name, chosen[1].name
        return Fault(
            "PolicyAmbiguous",
            f"ReleasePolicies {one} and {other} both select namespace {namespace} with priority "
            f"{chosen[0].priority}: give one of them a higher spec.priority, or narrow its spec.namespaceSelector",
        )
    return chosen[0] if chosen else built_in_policy()


def _selecting(
    policies: Mapping[str, PolicyObject | tuple[Fault, ...]], labels: Mapping[str, str]
) -> Iterator[PolicyObject]:
    for policy in policies.values():
        if isinstance(policy, PolicyObject) and policy.selects(labels):
            yield policy
