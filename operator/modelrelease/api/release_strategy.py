"""`spec.strategy` and `spec.gates` of a ModelRelease: how exposure rises and what is demanded on the way.

What is left out gets its default in `convert_plan` and not in the CRD, because a policy may later say otherwise.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from modelrelease.api.base import (
    DecimalText,
    Duration,
    Name,
    ObjectName,
    Percent,
    SpecModel,
    atomic,
    map_by,
    rule,
    rules,
    unique,
)
from modelrelease.api.quantities import DECIMAL_PATTERN, DURATION_PATTERN, PERCENT_PATTERN
from modelrelease.domain.gate import Kind, Phase, Scope
from modelrelease.domain.plan import AtMaxDuration, Require, StageType

MAX_STAGES = 16
MAX_GATES = 32


def _not(pattern: str, field: str) -> str:
    """CEL: the text in `field` is malformed, which its own rule reports already."""
    return f"!self.{field}.matches('{pattern}')"


class ExposureSpec(SpecModel):
    """The candidate's share of one segment, or of all that no other entry names."""

    segment: Name | None = Field(
        None,
        description="Name of a segment in spec.traffic.segments. Left out: all segments that this stage does not name, "
        "and the rest of the traffic.",
    )
    percent: Percent = Field(
        description='The candidate\'s share in percent, as text with at most one decimal: "0" to "100", such as "0.5".'
    )


Exposures = Annotated[
    list[ExposureSpec],
    Field(
        min_length=1,
        max_length=16,
        json_schema_extra=atomic(
            rule(
                "self.all(x, self.exists_one(y, (has(y.segment) ? y.segment : '*') == (has(x.segment) ? x.segment "
                ": '*')))",
                "a stage names each segment once, and has one entry without segment at most: remove the other",
            )
        ),
    ),
]
"""The exposure of a stage."""

Roles = Annotated[list[Name], Field(max_length=8, json_schema_extra={"x-kubernetes-list-type": "set"})]
"""Roles that must approve."""


def shadow(stage: str) -> str:
    """CEL: whether a stage is a Shadow stage; Canary is not written into objects."""
    return f"(has({stage}.type) && {stage}.type == 'Shadow')"


class StageSpec(SpecModel):
    """One step of exposure."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.minDuration) || !has(self.maxDuration) || "
                + _not(DURATION_PATTERN, "minDuration")
                + " || "
                + _not(DURATION_PATTERN, "maxDuration")
                + " || duration(self.minDuration) <= duration(self.maxDuration)",
                "maxDuration is shorter than minDuration: raise maxDuration or lower minDuration",
                field=".maxDuration",
            ),
            rule(
                "!has(self.atMaxDuration) || has(self.maxDuration)",
                "atMaxDuration says what happens when maxDuration is over: add maxDuration, or remove atMaxDuration",
                field=".atMaxDuration",
            ),
        )
    )

    name: Name = Field(description="Name of the stage, unique in the release; status and approvals refer to it.")
    type: StageType = Field(
        StageType.CANARY,
        description="Canary: users see the candidate's answers. Shadow: requests are mirrored and its answers are "
        "discarded; refused while the data plane cannot do that.",
    )
    exposure: Exposures = Field(
        description="The candidate's share per segment. A segment that no entry names, and the rest of the traffic, "
        "get the entry without segment, or nothing when there is none. From one stage to the next no share may fall, "
        "and one at least must rise."
    )
    min_duration: Duration | None = Field(
        None,
        description="How long the stage lasts at least. Default what the tier of an enforced policy asks for, else 5m, "
        "and 0s for the last stage. A restart never shortens it.",
    )
    max_duration: Duration | None = Field(
        None, description="How long the stage may stay undecided before atMaxDuration applies. No limit when left out."
    )
    at_max_duration: AtMaxDuration | None = Field(
        None,
        description="What happens when maxDuration is over and the gates are still undecided: Hold (default) waits and "
        "says so in Ready; Revert takes the traffic back.",
    )
    min_samples: Annotated[int, Field(ge=0, le=1_000_000_000)] | None = Field(
        None,
        description="How many requests the candidate must have answered in this stage before the next. Default 100 "
        "when the release has gates, else 0; always 0 for the last stage unless written.",
    )
    require: Require | None = Field(
        None,
        description="What the gates must show before this stage is entered. NoHarm: no gate says revert and all "
        "evidence is fresh. Proven: every gate passes. Default Proven for the first stage with 100 % of everything, "
        "else NoHarm.",
    )
    approvals: Roles | None = Field(
        None,
        description="Roles that must approve, with a ReleaseDecision each, before this stage is entered; condition "
        "AwaitingApproval says which are missing. A role is granted by RBAC: verb approve on modelreleases/<role>.",
    )


class WatchSpec(SpecModel):
    """The time after 100 % in which the release can still be taken back."""

    duration: Duration = Field(
        description="How long gates go on being judged after 100 %; 24h to 72h is usual. Ready is True meanwhile and "
        "WatchComplete False. 0s: no watch."
    )


class NoDataSpec(SpecModel):
    """How long ignorance is borne before the traffic is taken back. It never counts as good (R13)."""

    missing: Duration = Field("2m", description="How long the series of a gate may be missing in a stage. Default 2m.")
    broken: Duration = Field(
        "2m", description="How long they may be broken (NaN, several series for one, too old) in a stage. Default 2m."
    )


_LAST_IS_FULL = (
    "self[size(self) - 1].exposure.all(e, double(e.percent) == 100.0) && "
    "self[size(self) - 1].exposure.exists(e, !has(e.segment))"
)
ALL_PERCENTS = f"self.all(s, s.exposure.all(e, e.percent.matches('{PERCENT_PATTERN}')))"
LATER = "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]"
"""CEL: the indices that a stage other than the first can have."""

WHOLE_PATH = (
    unique("name", "stages"),
    rule(
        f"size(self) == 0 || !({ALL_PERCENTS}) || self[0].exposure.exists(e, double(e.percent) > 0.0)",
        "the first stage gives nothing to the candidate, so that nothing could be judged: raise its percent, or remove "
        "the stage",
    ),
    rule(
        f"size(self) == 0 || !({ALL_PERCENTS}) || ({_LAST_IS_FULL})",
        'the last stage must give everything to the candidate: end with a stage whose exposure is [{percent: "100"}]',
    ),
)
"""The checks of any list of stages: each has its own name, and the last gives everything."""


class StrategySpec(SpecModel):
    """The path to 100 % and what comes after."""

    stages: (
        Annotated[
            list[StageSpec],
            Field(
                min_length=1,
                max_length=MAX_STAGES,
                json_schema_extra=atomic(
                    *WHOLE_PATH,
                    rule(
                        f"size(self) == 0 || !{shadow('self[size(self) - 1]')}",
                        "the last stage cannot be a Shadow stage: end with a stage that serves users 100 percent",
                    ),
                    rule(
                        f"{LATER}.all(i, i >= size(self) || {shadow('self[i]')} != {shadow('self[i - 1]')} || "
                        "self[i].exposure != self[i - 1].exposure)",
                        "a stage gives the same as the stage before it: raise its percent, or make one stage of the "
                        "two",
                    ),
                    rule(
                        f"{LATER}.all(i, i >= size(self) || !{shadow('self[i]')} || {shadow('self[i - 1]')})",
                        "a Shadow stage follows a stage that serves users: put Shadow stages first",
                    ),
                ),
            ),
        ]
        | None
    ) = Field(
        None,
        description="The steps of exposure in order, at most 16; the last gives everything to the candidate. Left out: "
        "the path of the release's risk tier; with the built-in policy 1 percent (only of the segment low-criticality, "
        "where there is one), 5, 20 and 100 percent.",
    )
    watch: WatchSpec | None = Field(
        None, description="The watch after 100 percent; when left out that of the release's risk tier."
    )
    no_data: NoDataSpec | None = Field(
        None, description="How long missing or broken evidence is borne in a stage before a revert; first it holds."
    )


class GateSpec(SpecModel):
    """One demand on one metric."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "(has(self.max) || has(self.min)) != (has(self.maxRatio) || has(self.maxDifference))",
                "write either an absolute bound (max, min) or a margin against stable (maxRatio, maxDifference with "
                "against: Stable): one of the two, not both and not neither",
            ),
            rule(
                "!has(self.against) || has(self.maxRatio) || has(self.maxDifference)",
                'against: Stable needs a margin: add maxRatio (such as "1.5") or maxDifference (such as "0.02")',
                field=".against",
            ),
            rule(
                "has(self.against) || (!has(self.maxRatio) && !has(self.maxDifference))",
                "maxRatio and maxDifference are margins against the stable release: add against: Stable",
                field=".against",
            ),
            rule(
                "!has(self.floor) || has(self.against)",
                "floor belongs to a margin against stable: add against: Stable with maxRatio or maxDifference, or "
                "remove floor",
                field=".floor",
            ),
            rule(
                "!has(self.maxRatio) || " + _not(DECIMAL_PATTERN, "maxRatio") + " || double(self.maxRatio) > 0.0",
                'maxRatio is a factor of what stable shows and must be above 0, such as "1.5" for half as much again',
                field=".maxRatio",
            ),
            rule(
                "!has(self.min) || !has(self.max) || "
                + _not(DECIMAL_PATTERN, "min")
                + " || "
                + _not(DECIMAL_PATTERN, "max")
                + " || double(self.min) <= double(self.max)",
                "min is above max, so that nothing could ever pass: swap or correct them",
                field=".min",
            ),
        )
    )

    name: Name = Field(description="Name of the gate, unique in the release; verdicts and records refer to it.")
    template: ObjectName = Field(
        description="Name of the GateTemplate in the release's namespace, or else of the ClusterGateTemplate, that "
        "says what is measured. While there is none, Stalled is True with reason TemplateNotFound."
    )
    source: ObjectName = Field(
        "default",
        description="Name of the MetricsSource to ask. It must allow the release's namespace, else EvidenceFresh is "
        "False.",
    )
    against: Literal["Stable"] | None = Field(
        None,
        description="Stable: the candidate is compared with the stable release over the same time, by maxRatio or "
        "maxDifference. Left out: max and min are absolute bounds.",
    )
    max: DecimalText | None = Field(
        None, description='The most that the candidate\'s figure may be, in the unit of the template, such as "0.40".'
    )
    min: DecimalText | None = Field(
        None, description="The least that the candidate's figure may be, in the unit of the template."
    )
    max_ratio: DecimalText | None = Field(
        None, description='With against: Stable. Candidate at most this factor of stable, such as "1.5".'
    )
    max_difference: DecimalText | None = Field(
        None,
        description="With against: Stable. How much worse than stable the candidate may be, in the unit of the "
        "template.",
    )
    floor: DecimalText | None = Field(
        None,
        description="With against: Stable. A figure of the candidate at or under this is never worse, however good "
        "stable is. It makes passing possible while stable has no bad events at all.",
    )
    kind: Kind | None = Field(
        None, description="Kind of demand, for reports and runbooks; the template's when left out."
    )
    scope: Scope = Field(
        Scope.WHOLE,
        description="Whole: all traffic together. Segment: each segment by itself, and one bad one stops the release.",
    )
    phases: Annotated[
        list[Phase], Field(min_length=1, max_length=2, json_schema_extra={"x-kubernetes-list-type": "set"})
    ] = Field(
        [Phase.STAGE, Phase.WATCH], description="When the gate is judged: in the stages, in the watch; both by default."
    )
    warm_up: Duration | None = Field(
        None,
        description="How much of the candidate's first minutes is left out of this gate (cold caches). Default 0s.",
    )


Gates = Annotated[
    list[GateSpec],
    Field(max_length=MAX_GATES, json_schema_extra=map_by("name", checks=(unique("name", "gates"),))),
]
"""The gates of a release."""
