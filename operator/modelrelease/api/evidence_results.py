"""What a ReleaseEvidence reports: measurements, subgroups, scenarios, data, references, projected impact."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from modelrelease.api.base import (
    DecimalText,
    Digest,
    Matches,
    Name,
    SpecModel,
    Time,
    VersionText,
    atomic,
    rule,
    rules,
    unique,
)
from modelrelease.api.quantities import DECIMAL_PATTERN
from modelrelease.domain.offline import DATA_QUALITY, RED_TEAM, SCENARIOS, Better, ReferenceType

MAX_METRICS, MAX_GROUPS, MAX_CASES = 64, 256, 1_000_000_000_000

MetricName = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Matches(
        "^[A-Za-z0-9]([A-Za-z0-9_.@-]{0,61}[A-Za-z0-9])?$",
        "the name of a metric has letters, digits, '_', '.', '@' and '-', such as accuracy or pass@1",
    ),
]
"""The name of an offline metric, such as accuracy or f1_macro."""

ItemName = Annotated[str, Field(min_length=1, max_length=128)]
"""The name of a group, scenario or data set, as its producer writes it."""

Uri = Annotated[str, Field(min_length=1, max_length=2048)]
Cases = Annotated[int, Field(ge=0, le=MAX_CASES)]

_MADE = f"'{SCENARIOS}', '{RED_TEAM}', '{DATA_QUALITY}'"
_IN_NUMBERS = " && ".join(
    f"self.{name}.matches('{DECIMAL_PATTERN}')" for name in ("value", "interval.lower", "interval.upper")
)
_NUMBERS = " && ".join(f"self.{name}.matches('{DECIMAL_PATTERN}')" for name in ("lower", "upper", "confidence"))


class IntervalSpec(SpecModel):
    """A confidence interval."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                f"!({_NUMBERS}) || (double(self.lower) <= double(self.upper) && double(self.confidence) > 0.0 && "
                "double(self.confidence) < 1.0)",
                'lower is at most upper, and confidence lies between 0 and 1, such as "0.95": correct them',
            )
        )
    )

    lower: DecimalText = Field(description="The lower end.")
    upper: DecimalText = Field(description="The upper end.")
    confidence: DecimalText = Field(description='How sure it is, between 0 and 1, such as "0.95".')


class MeasurementSpec(SpecModel):
    """One figure: count of total cases, or a value."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.value) != has(self.count)",
                "write either count and total, from which the figure is made, or value: one of the two",
            ),
            rule(
                "!has(self.count) || (has(self.total) && self.count <= self.total)",
                "count is how many of total cases: add total, and make count at most that",
                field=".count",
            ),
            rule(
                "!has(self.interval) || has(self.value)",
                "interval belongs to a value; for count and total the exact interval is computed: remove it",
                field=".interval",
            ),
            rule(
                f"!has(self.interval) || !has(self.value) || !({_IN_NUMBERS}) || "
                "(double(self.interval.lower) <= double(self.value) && "
                "double(self.value) <= double(self.interval.upper))",
                "value lies outside its interval: correct them",
                field=".interval",
            ),
        )
    )

    name: MetricName = Field(
        description="Name of the metric, such as accuracy, auc, calibration-error, psi-drift, label-leakage or "
        "robust-accuracy; entry gates name it."
    )
    better: Better = Field(Better.HIGHER, description="Higher or Lower: which way is good. Default Higher.")
    value: DecimalText | None = Field(None, description="The figure, as decimal text.")
    count: Cases | None = Field(None, description="How many of total cases had what the metric counts.")
    total: Cases | None = Field(None, description="On how many cases it was measured.")
    interval: IntervalSpec | None = Field(None, description="Confidence interval of value, where the producer has one.")
    unit: Annotated[str, Field(max_length=32)] = Field("", description="Unit of the figure, for people.")


def measurements_of(most: int) -> Any:
    """The schema of a list of at most `most` measurements."""
    return Field(
        max_length=most,
        json_schema_extra=atomic(
            unique("name", "metrics"),
            rule(
                f"self.all(m, !(m.name in [{_MADE}]))",
                f"{SCENARIOS}, {RED_TEAM} and {DATA_QUALITY} are made from scenarios, redTeam and data: write those",
            ),
        ),
    )


class SubgroupSpec(SpecModel):
    """The same metrics for one group of a dimension."""

    dimension: Name = Field(description="What groups are told apart by, such as language or age-band.")
    group: ItemName = Field(description="The group, such as de or 65-plus.")
    metrics: Annotated[list[MeasurementSpec], measurements_of(16)] = Field(description="Its results, at most 16.")


class CasesSpec(SpecModel):
    """How many cases of one scenario went well."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("self.passed <= self.total", "passed is at most total: correct them", field=".passed")
        )
    )

    name: ItemName = Field(description="Name of the scenario.")
    passed: Cases = Field(description="How many cases went as they should.")
    total: Cases = Field(description="How many cases there were; those that were skipped count here and not as passed.")


class ChecksSpec(SpecModel):
    """How many checks of a data set held."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("self.passed <= self.total", "passed is at most total: correct them", field=".passed")
        )
    )

    passed: Cases = Field(description="How many checks held.")
    total: Cases = Field(description="How many checks there were.")


class DatasetSpec(SpecModel):
    """Data that the unit was made or measured with."""

    name: ItemName = Field(description="Name of the data set.")
    version: VersionText | None = Field(None, description="Its version.")
    digest: Digest | None = Field(None, description="Digest of its content.")
    lineage: Uri | None = Field(None, description="Where it is written where the data comes from.")
    collected_until: Time | None = Field(None, description="When its newest entry was collected.")
    checks: ChecksSpec | None = Field(
        None, description=f"Checks of data and feature quality; they make the metric {DATA_QUALITY}."
    )


class ReferenceSpec(SpecModel):
    """A paper of the release package."""

    type: ReferenceType = Field(description="Which paper.")
    uri: Uri = Field(description="Where it is.")
    digest: Digest | None = Field(None, description="Digest of its content, so that what was read stays what is meant.")
    review_by: Time | None = Field(None, description="When somebody has to look at it again; a ReadinessPlan needs it.")


class ImpactSpec(SpecModel):
    """What a live figure should become."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.expected) != has(self.change)",
                "write either expected (the figure) or change (the difference to stable): one of the two",
            )
        )
    )

    gate: Name = Field(description="Name of the gate in spec.gates of the ModelRelease whose figure is meant.")
    expected: DecimalText | None = Field(None, description="What the figure should be.")
    change: DecimalText | None = Field(None, description="By how much it should differ from stable's; may be negative.")
    unit: Annotated[str, Field(max_length=32)] = Field("", description="Unit of the figure, for people.")
