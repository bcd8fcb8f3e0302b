"""`spec.entry` of a ModelRelease (and of a policy's tier): what offline evidence must show before traffic."""

from typing import Annotated

from pydantic import ConfigDict, Field

from modelrelease.api.base import DecimalText, Duration, Name, SpecModel, map_by, rule, rules, unique
from modelrelease.api.evidence_results import ItemName, MetricName
from modelrelease.api.quantities import DECIMAL_PATTERN
from modelrelease.domain.gate import Kind
from modelrelease.domain.offline import Better, ReferenceType

MAX_ENTRY_GATES = 32

_CONFIDENT = rule(
    f"!has(self.confidence) || !self.confidence.matches('{DECIMAL_PATTERN}') || (double(self.confidence) >= 0.5 && "
    "double(self.confidence) < 1.0)",
    'confidence lies between 0.5 and 1, such as "0.95": correct it',
    field=".confidence",
)
_ORDERED = rule(
    f"!has(self.min) || !has(self.max) || !self.min.matches('{DECIMAL_PATTERN}') || "
    f"!self.max.matches('{DECIMAL_PATTERN}') || double(self.min) <= double(self.max)",
    "min is above max, so that nothing could ever pass: swap or correct them",
    field=".min",
)


class DisparitySpec(SpecModel):
    """How far the highest and the lowest group may be apart."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.difference) || has(self.ratio)",
                'write difference (such as "0.05"), ratio (such as "1.25") or both',
            ),
            rule(
                f"!has(self.ratio) || !self.ratio.matches('{DECIMAL_PATTERN}') || double(self.ratio) >= 1.0",
                'ratio is the highest group over the lowest and so 1 or more, such as "1.25"',
                field=".ratio",
            ),
        )
    )

    difference: DecimalText | None = Field(None, description="Highest minus lowest at most this.")
    ratio: DecimalText | None = Field(None, description="Highest over lowest at most this; 1 or more.")


class SubgroupRuleSpec(SpecModel):
    """What is demanded of the groups of one dimension."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.min) || has(self.max) || has(self.maxDisparity) || has(self.minSamples)",
                "write what is demanded of the groups: min, max, maxDisparity or minSamples",
            ),
            _CONFIDENT,
            _ORDERED,
        )
    )

    dimension: Name = Field(description="Dimension of the subgroups, as the evidence names it, such as language.")
    groups: (
        Annotated[list[ItemName], Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "set"})] | None
    ) = Field(
        None,
        description="Groups that must be in the evidence, at most 64. Other groups that are in it are judged too. Left "
        "out: any one group is enough, so that a bad one could be left out; name them.",
    )
    min: DecimalText | None = Field(None, description="The least that each group must have.")
    max: DecimalText | None = Field(None, description="The most that each group may have.")
    max_disparity: DisparitySpec | None = Field(None, description="How far groups may be apart.")
    min_samples: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = Field(
        None, description="On how many cases each group must have been measured."
    )
    confidence: DecimalText | None = Field(
        None,
        description='Such as "0.95": bounds must hold for the end of the confidence interval. Left out: for figures.',
    )


class EntryGateSpec(SpecModel):
    """One demand on one offline metric."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.min) || has(self.max) || has(self.maxDifference) || has(self.subgroups)",
                "write what is demanded: min, max, maxDifference (against stable) or subgroups",
            ),
            rule(
                f"!has(self.maxDifference) || !self.maxDifference.matches('{DECIMAL_PATTERN}') || "
                "double(self.maxDifference) >= 0.0",
                'maxDifference is how much worse than stable is allowed: "0" or more',
                field=".maxDifference",
            ),
            _CONFIDENT,
            _ORDERED,
        )
    )

    name: Name = Field(description="Name of the entry gate, unique in the release.")
    kind: Kind = Field(Kind.QUALITY, description="Kind of demand, for reports. Default Quality.")
    metric: MetricName = Field(
        description="Name of the metric in the evidence; scenario-pass-rate, red-team-pass-rate and data-quality are "
        "made from scenarios, redTeam and the checks of data."
    )
    suite: ItemName | None = Field(
        None, description="Only results of this suite count. Left out: those of each suite that has the metric."
    )
    better: Better | None = Field(
        None, description="Which way the metric is good. Default Lower where only max is written, else Higher."
    )
    min: DecimalText | None = Field(None, description="The least that it must be.")
    max: DecimalText | None = Field(None, description="The most that it may be.")
    max_difference: DecimalText | None = Field(
        None,
        description="How much worse than stable's own result on the same version of the same suite it may be. While "
        "stable has none, the release waits; where nothing is stable yet, nothing is compared.",
    )
    confidence: DecimalText | None = Field(
        None,
        description='Such as "0.95": min, max and maxDifference must hold for the end of the confidence interval '
        "(exact binomial for counts). A figure that keeps a bound that its interval does not waits for more cases. "
        "Left out: for the figure.",
    )
    subgroups: (
        Annotated[
            list[SubgroupRuleSpec],
            Field(max_length=8, json_schema_extra=map_by("dimension", checks=(unique("dimension", "subgroups"),))),
        ]
        | None
    ) = Field(None, description="What is demanded of subgroups, by dimension, at most 8.")


class EntrySpec(SpecModel):
    """What ReleaseEvidence must show before any traffic."""

    gates: (
        Annotated[
            list[EntryGateSpec],
            Field(
                max_length=MAX_ENTRY_GATES,
                json_schema_extra=map_by("name", checks=(unique("name", "entry gates"),)),
            ),
        ]
        | None
    ) = Field(None, description="Demands on offline metrics, at most 32. One that fails stops the release.")
    package: (
        Annotated[list[ReferenceType], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "set"})] | None
    ) = Field(None, description="Papers that must be there, by type.")
    max_age: Duration | None = Field(
        None, description="How old evidence may be, such as 720h. Left out: until its own expiresAt."
    )
    data_max_age: Duration | None = Field(
        None, description="How long ago the newest entry of each data set may have been collected."
    )
    data_lineage: bool = Field(False, description="Whether each data set must say where it comes from.")
