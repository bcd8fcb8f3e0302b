"""The kind ReleasePolicy: what each risk tier asks for, and which tier a change is in.

Platform and risk teams write it. Gates are required by templates that only they can write, so that nobody meets a
demand by redefining it. Rejected: one policy object per tier; what a tier adds to the one below it could then not be
read in one place.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from modelrelease.api.base import Duration, Matches, Name, SpecModel, StatusModel, atomic, map_by, rule, rules, unique
from modelrelease.api.release_approvals import TierApprovalsSpec
from modelrelease.api.release_entry import EntrySpec
from modelrelease.api.release_strategy import ALL_PERCENTS, WHOLE_PATH, Exposures, GateSpec, Roles
from modelrelease.api.release_train import TrainSpec
from modelrelease.domain.gate import Kind
from modelrelease.domain.plan import Require
from modelrelease.domain.tier import Enforcement, Tier

MAX_TIER_STAGES = 8
MAX_TIER_GATES = 16

LabelText = Annotated[str, Field(max_length=63)]
LabelKey = Annotated[str, Field(min_length=1, max_length=317)]
Probability = Annotated[
    str,
    Field(max_length=8),
    Matches("^0[.](0[0-9]{1,2}|[1-4][0-9]{0,2})$", 'write a probability from "0.001" to "0.499" in quotes'),
]


class LabelExpression(SpecModel):
    """One condition on the labels of a namespace."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                "In and NotIn need values, Exists and DoesNotExist have none: add or remove values",
                field=".values",
            )
        )
    )

    key: LabelKey = Field(description="Key of the label.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="In, NotIn, Exists or DoesNotExist, as in any Kubernetes label selector."
    )
    values: Annotated[list[LabelText], Field(max_length=32, json_schema_extra=atomic())] | None = Field(
        None, description="Values for In and NotIn."
    )


class NamespaceSelector(SpecModel):
    """A selection of namespaces by their labels; all conditions must hold, and none selects every namespace."""

    match_labels: dict[str, LabelText] | None = Field(
        None,
        description="Labels that a namespace must have. The name of a namespace is its label "
        "kubernetes.io/metadata.name.",
        json_schema_extra={"maxProperties": 16},
    )
    match_expressions: Annotated[list[LabelExpression], Field(max_length=16, json_schema_extra=atomic())] | None = (
        Field(None, description="Conditions on labels of a namespace.")
    )


class SensitivityFloors(SpecModel):
    """The lowest tier of a release by what it touches (`spec.touches` of the ModelRelease)."""

    sensitive_domain: Tier = Field(
        Tier.HIGH, description="For SensitiveDomain: health, credit, hiring, law and the like. Default High."
    )
    personal_data: Tier = Field(Tier.MEDIUM, description="For PersonalData. Default Medium.")


class FloorsSpec(SpecModel):
    """The lowest tier of a release by the parts in which it differs from stable."""

    model: Tier = Field(
        Tier.HIGH,
        description="For another model, and for another backend while the unit does not say which model it serves. "
        "Default High.",
    )
    safety: Tier = Field(Tier.HIGH, description="For safety rules, filters and escalation policies. Default High.")
    tools: Tier = Field(Tier.MEDIUM, description="For tools and invocation policies. Default Medium.")
    routing: Tier = Field(Tier.MEDIUM, description="For model routing. Default Medium.")
    inference: Tier = Field(
        Tier.MEDIUM,
        description="For inference settings, and for another backend that serves the same model. Default Medium: they "
        "change every answer, and no prompt review sees them.",
    )
    evaluation: Tier = Field(
        Tier.MEDIUM,
        description="For the evaluation that lets a release in. Default Medium: an easier exam lets worse releases "
        "pass.",
    )
    prompt: Tier = Field(Tier.LOW, description="For system prompt and context templates. Default Low.")
    sensitivity: SensitivityFloors | None = Field(
        None, description="The lowest tier by what a release touches; left out: the defaults."
    )


class TierStageSpec(SpecModel):
    """A stage that a tier asks for."""

    name: Name = Field(description="Name of the stage, where a release has no stage of its own in its place.")
    exposure: Exposures = Field(
        description="The candidate's share, as in a release. The stage speaks for all exposures above the stage before "
        "it, up to this. While the policy is enforced, a release must declare the segments that are named here."
    )
    min_duration: Duration | None = Field(None, description="How long a stage in its place lasts at least.")
    min_samples: Annotated[int, Field(ge=0, le=1_000_000_000)] | None = Field(
        None, description="How many requests the candidate must have answered in a stage in its place."
    )
    require: Require | None = Field(
        None, description="What the gates must show before a stage in its place is entered; Proven is more than NoHarm."
    )
    approvals: Roles | None = Field(None, description="Roles that must approve before its exposures are entered.")


class NoDataLimits(SpecModel):
    """The longest that ignorance may be borne in a stage before the traffic is taken back."""

    missing: Duration | None = Field(None, description="The most for missing series.")
    broken: Duration | None = Field(None, description="The most for broken series (NaN, several for one, too old).")


_SAME = "(has(e.segment) ? e.segment : '*') == (has(x.segment) ? x.segment : '*')"
_FALLS = f"self[i - 1].exposure.exists(e, self[i].exposure.exists(x, {_SAME} && double(e.percent) > double(x.percent)))"
_RISING = rule(
    f"!({ALL_PERCENTS}) || ![1,2,3,4,5,6,7].exists(i, i < size(self) && {_FALLS})",
    "the share of a segment, or of the rest, falls from one stage to the next: raise the later percent or lower the "
    "earlier one (a segment that a stage does not name gets its entry without segment, or 0)",
)


class TierSpec(SpecModel):
    """What one tier asks for, besides what the lower tiers ask. A release can ask for more, never for less."""

    gates: (
        Annotated[
            list[GateSpec],
            Field(max_length=MAX_TIER_GATES, json_schema_extra=map_by("name", checks=(unique("name", "gates"),))),
        ]
        | None
    ) = Field(
        None,
        description="Gates that each release has. Their templates are ClusterGateTemplates or built in. A release's "
        "own gate of the same name, or of the same template and rule, must be at least as strict; where it has none, "
        "the gate is added.",
    )
    kinds: Annotated[list[Kind], Field(max_length=4, json_schema_extra={"x-kubernetes-list-type": "set"})] | None = (
        Field(None, description="Kinds of which a release must have a gate in its stages.")
    )
    stages: (
        Annotated[
            list[TierStageSpec],
            Field(min_length=1, max_length=MAX_TIER_STAGES, json_schema_extra=atomic(*WHOLE_PATH, _RISING)),
        ]
        | None
    ) = Field(
        None,
        description="The path: what a release gets that writes no stages. One that does gets these demands for its "
        "stages in the same place, and the stages that it left out.",
    )
    watch: Duration | None = Field(None, description="The least duration of the watch after 100 percent.")
    no_data: NoDataLimits | None = Field(None, description="The longest that missing or broken evidence is borne.")
    alpha: Probability | None = Field(
        None, description='The chance of a false revert per release that gates are judged with. Default "0.01".'
    )
    beta: Probability | None = Field(
        None, description='The chance of a false pass per gate that gates are judged with. Default "0.05".'
    )
    entry: EntrySpec | None = Field(
        None,
        description="What offline evidence must show before any traffic. A release gets these demands beside its own; "
        "its own entry gate of the same name must not be looser, and what it leaves out is added.",
    )
    train: TrainSpec | None = Field(
        None,
        description="Release windows and freezes. Exposure rises only while these, those of the lower tiers and the "
        "release's own are open.",
    )
    approvals: TierApprovalsSpec | None = Field(
        None,
        description="Who must say yes, besides those whom the lower tiers and the release itself ask. The shorter time "
        "counts, and Reject before Hold.",
    )


class TiersSpec(SpecModel):
    """The three tiers."""

    low: TierSpec | None = Field(None, description="What each release asks for.")
    medium: TierSpec | None = Field(None, description="What tier Medium asks for besides low.")
    high: TierSpec | None = Field(None, description="What tier High asks for besides low and medium.")


class ReleasePolicySpec(SpecModel):
    """Which releases it is for, which tier they are in, and what the tier asks for."""

    description: Annotated[str, Field(max_length=1024)] | None = Field(
        None, description="What this policy is for and who answers for it, for the people whom it concerns."
    )
    enforcement: Enforcement = Field(
        Enforcement.ENFORCE,
        description="Enforce (default): a release cannot ask for less than its tier. Advise: the tier fills in the "
        "stages and the watch that a release does not write; what a release has less of is shown and changes nothing.",
    )
    namespace_selector: NamespaceSelector | None = Field(
        None, description="The namespaces whose releases it is for; all when left out."
    )
    priority: Annotated[int, Field(ge=-1000, le=1000)] = Field(
        0,
        description="Of the policies that select a namespace the one with the highest priority applies. Two with the "
        "same one are refused: releases there get Ready=False with reason PolicyAmbiguous and nothing rises.",
    )
    floors: FloorsSpec | None = Field(
        None, description="The lowest tier by what a release changes; left out: the defaults."
    )
    tiers: TiersSpec = Field(description="What the tiers ask for; a tier asks for what the lower ones ask, too.")
    loosening_approvals: Roles | None = Field(
        None,
        description="Roles that must approve before a looser policy applies to a rollout under way. Left out: it "
        "applies to the next rollout only.",
    )
    review_by: (
        Annotated[
            str,
            Field(max_length=10),
            Matches("^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$", "write a date such as 2027-03-31"),
        ]
        | None
    ) = Field(None, description="When this policy must be looked at again. Past it, releases say so; nothing stops.")


class ReleasePolicy(StatusModel):
    """What each risk tier asks of releases: gates, stages, watch and limits. Release teams cannot change it."""

    spec: ReleasePolicySpec = Field(
        description="Which releases it is for, which tier they are in, and what the tier asks for."
    )
