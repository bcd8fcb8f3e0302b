"""The effective plan: what a release asked for, with what its tier asks for in it. A release can tighten, never loosen.

A tier includes those below it, so that a higher tier never asks for less. A new respect in which a tier can ask for
something is one more function in `RESPECTS`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from modelrelease.domain.entry import Entry
from modelrelease.domain.exposure import REST
from modelrelease.domain.gate import Gate, Phase
from modelrelease.domain.plan import Plan
from modelrelease.domain.policy import Demands, Policy
from modelrelease.domain.release import Fault
from modelrelease.domain.tier import Enforcement, Governed, Tier
from modelrelease.governance.approval_merge import merged as merged_approvals
from modelrelease.governance.approvals import first_full
from modelrelease.governance.path import Written, banded, undeclared, unordered
from modelrelease.governance.strictness import at_least_as_strict, same_measure, shortfalls
from modelrelease.governance.tightening import combined, contradictions
from modelrelease.governance.train import merged

BELOW_TIER = "BelowTier"
"""Reason of the faults of a release that asks for less than its tier."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What a release asked for. `stages` are those that it wrote, none where it leaves the path to others.

    `plan` has every default filled in, also for what was not written.
    """

    plan: Plan
    segments: tuple[str, ...] = ()
    stages: tuple[Written, ...] = ()
    own_watch: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """By whom something is asked: a policy's demands for a tier, those of the lower tiers included, highest first."""

    policy: Policy
    tier: Tier
    demands: tuple[Demands, ...]

    def __str__(self) -> str:
        return f"tier {self.tier.value} of ReleasePolicy {self.policy.name}"


Merged = tuple[Plan, tuple[Fault, ...]]
Respect = Callable[[Plan, Declared, Asked], Merged]


def effective(declared: Declared, policy: Policy, tier: Tier) -> Merged:
    """The plan in force for `tier`, and the faults where the release asks for less than it.

    With faults the plan is still at least as strict as the tier, but it is not what the release says.
    """
    asked = Asked(policy, tier, tuple(policy.of(each) for each in tier.included))
    enforced = policy.enforcement is Enforcement.ENFORCE
    plan, faults = declared.plan, tuple[Fault, ...]()
    for respect in RESPECTS if enforced else ADVISED:
        plan, found = respect(plan, declared, asked)
        faults += found
    governed = Governed(tier, policy.name, policy.digest, declared.plan.digest, policy.loosening)
    return replace(plan, governed=governed), faults


def gates(plan: Plan, declared: Declared, asked: Asked) -> Merged:
    """Required gates are added where nothing stands for them; a gate of the release that is looser is a fault.

    Until it is mended, the policy's own gate is judged by: in the place of one of its name, else beside it.
    """
    found = list(plan.gates)
    faults: list[Fault] = []
    own = {gate.name: index for index, gate in enumerate(plan.gates)}
    for tier, required in sorted(_required(asked), key=lambda each: each[1].name not in own):
        index = own.get(required.name, _alike(found, required, own=len(plan.gates)))
        if index is None:
            found.append(required)
            continue
        for short in shortfalls(found[index], required):
            by = f"gate {required.name} of tier {tier.value} of ReleasePolicy {asked.policy.name}"
            message = f"spec.gates[{index}].{short.field} ({found[index].name}): {short.message}, as {by} asks"
            faults.append(Fault(BELOW_TIER, message))
        if not at_least_as_strict(found[index], required):
            if required.name in own:
                found[index] = required
            else:
                found.append(required)
    kinds = {gate.kind for gate in found if Phase.STAGE in gate.phases}
    for kind in dict.fromkeys(kind for each in asked.demands for kind in each.kinds):
        if kind not in kinds:
            message = f"spec.gates: {asked} asks for a gate of kind {kind.value} in the stages; add one"
            faults.append(Fault(BELOW_TIER, message))
    return replace(plan, gates=tuple(found)), tuple(faults)


def stages(plan: Plan, declared: Declared, asked: Asked) -> Merged:
    """The release's stages with the tier's demands, and the tier's stages where the release has none."""
    paths = [each.stages for each in asked.demands if each.stages]
    if not paths:
        return plan, ()
    path, faults = banded(declared.stages, paths, declared.segments, gated=bool(plan.gates)), list[Fault]()
    for name in dict.fromkeys(name for each in paths for name in undeclared(each, declared.segments)):
        message = f"{asked} has a stage for segment {name}; declare it, such as by a header that your callers send"
        faults.append(Fault(BELOW_TIER, f"spec.traffic.segments: {message}"))
    found = tuple(written.stage for written in path)
    for clash in unordered(found):
        segment = "the rest" if clash.segment == REST else f"segment {clash.segment}"
        message = (
            f"stage {clash.later.name} gives less of {segment} than stage {clash.before.name}, which {asked} puts "
            f"before it; give {segment} at least {clash.before.exposure.of(clash.segment) / 10:g} % there"
        )
        faults.append(Fault(BELOW_TIER, f"spec.strategy.stages: {message}"))
    for index, stage in enumerate(found):
        if stage.max_duration_s is not None and stage.max_duration_s < stage.min_duration_s:
            message = f"{stage.max_duration_s} s is shorter than the {stage.min_duration_s} s that {asked} asks for"
            faults.append(Fault(BELOW_TIER, f"spec.strategy.stages ({stage.name}).maxDuration: {message}; raise it"))
            found = (*found[:index], replace(stage, max_duration_s=stage.min_duration_s), *found[index + 1 :])
    return replace(plan, stages=found), tuple(faults)


def watch(plan: Plan, declared: Declared, asked: Asked) -> Merged:
    """The longest watch; a release that does not write one gets the tier's."""
    durations = [each.watch_s for each in asked.demands if each.watch_s is not None]
    if not durations:
        return plan, ()
    own = (plan.watch_s,) if declared.own_watch else ()
    return replace(plan, watch_s=max((*durations, *own))), ()


def limits(plan: Plan, _: Declared, asked: Asked) -> Merged:
    """The shortest patience with missing data; the error probabilities are the policy's, the highest tier's first."""
    chosen = plan.limits
    missing = [each.missing_s for each in asked.demands if each.missing_s is not None]
    broken = [each.broken_s for each in asked.demands if each.broken_s is not None]
    alpha = [each.alpha_permille for each in asked.demands if each.alpha_permille is not None]
    beta = [each.beta_permille for each in asked.demands if each.beta_permille is not None]
    chosen = replace(
        chosen,
        missing_s=min((chosen.missing_s, *missing)),
        broken_s=min((chosen.broken_s, *broken)),
        alpha_permille=alpha[0] if alpha else chosen.alpha_permille,
        beta_permille=min(beta) if beta else chosen.beta_permille,
    )
    return replace(plan, limits=chosen), ()


def train(plan: Plan, _: Declared, asked: Asked) -> Merged:
    """The windows and freezes of the tiers beside the release's own: exposure rises while all are open."""
    return replace(plan, train=merged(plan.train, *(each.train for each in asked.demands))), ()


def entry(plan: Plan, _: Declared, asked: Asked) -> Merged:
    """The tiers' entry demands and the release's own, the strictest of each; one that is looser is a fault."""
    demanded = Entry()
    for each in asked.demands:
        demanded = combined(demanded, each.entry)
    faults = tuple(
        Fault(BELOW_TIER, f"spec.entry.{said}, as {asked} asks") for said in contradictions(plan.entry, demanded)
    )
    return replace(plan, entry=combined(demanded, plan.entry)), faults


def approvals(plan: Plan, _: Declared, asked: Asked) -> Merged:
    """Everybody whom the tiers or the release ask, and the shorter times. The last word is the highest tier's."""
    theirs = [each.approvals for each in asked.demands if each.approvals]
    if not theirs:
        return plan, ()
    found, clash = merged_approvals(plan.approvals, *theirs, full=first_full(plan))
    faults = (Fault(BELOW_TIER, f"spec.approvals.roles: {asked}: {clash}"),) if clash else ()
    return replace(plan, approvals=found), faults


def asked_stages(plan: Plan, _: Declared, asked: Asked) -> Merged:
    """A role that is asked before a stage which the path in force does not have would never be asked: a fault."""
    names = [stage.name for stage in plan.stages]
    gone = [(role.name, stage) for role in plan.approvals.roles for stage in role.stages if stage not in names]
    return plan, tuple(
        Fault(
            BELOW_TIER,
            f"spec.approvals.roles ({role}): there is no stage {stage} on the path that {asked} gives; the stages are "
            f"{', '.join(names)}",
        )
        for role, stage in gone
    )


def advised_stages(plan: Plan, declared: Declared, asked: Asked) -> Merged:
    """The tier's path for a release that writes none."""
    if declared.stages:
        return plan, ()
    return stages(plan, declared, asked)[0], ()


def advised_watch(plan: Plan, declared: Declared, asked: Asked) -> Merged:
    """The tier's watch for a release that writes none."""
    return (plan, ()) if declared.own_watch else watch(plan, declared, asked)


RESPECTS: tuple[Respect, ...] = (gates, stages, watch, limits, train, entry, approvals, asked_stages)
"""In what a tier asks for something, where the policy is enforced."""

ADVISED: tuple[Respect, ...] = (advised_stages, advised_watch, asked_stages)
"""What a tier fills in where its policy only advises."""


def _required(asked: Asked) -> Iterator[tuple[Tier, Gate]]:
    """Each required gate once by name, from the highest tier that asks for it."""
    seen: set[str] = set()
    for demands in asked.demands:
        for gate in demands.gates:
            if gate.name not in seen:
                seen.add(gate.name)
                yield demands.tier, gate


def _alike(found: list[Gate], required: Gate, *, own: int) -> int | None:
    """Which gate of another name stands for `required`: one that is strict enough, else one of the release's that
    measures the same. The first `own` gates are the release's. None: there is none."""
    alike = [index for index, gate in enumerate(found) if same_measure(gate, required)]
    strict = [index for index in alike if at_least_as_strict(found[index], required)]
    return next(iter((*strict, *(index for index in alike if index < own))), None)
