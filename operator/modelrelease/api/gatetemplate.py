"""The kinds GateTemplate and ClusterGateTemplate: what is measured, with the label that tells the arms apart.

A template names series by role and the operator composes the PromQL, so that label values are always quoted and the
queries of many releases can become one. Rejected: PromQL with text substitution; a release name could then end a
matcher and start another.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, ValidationError

from modelrelease.api.base import DecimalText, Matches, SpecModel, StatusModel, atomic, rule, rules
from modelrelease.api.faults import fault, faults_of
from modelrelease.api.quantities import DECIMAL_PATTERN
from modelrelease.api.query_faults import query_faults
from modelrelease.api.template_sense import sense_faults
from modelrelease.domain.gate import Cost, Kind, Matcher, MatchOp, Mean, Metric, Quantile, Ratio, Series, Value
from modelrelease.domain.release import Fault

ARM_PLACEHOLDERS = (
    "service",
    "serviceNamespace",
    "port",
    "backendIndex",
    "canary",
    "revision",
    "version",
    "digest",
    "model",
)
"""What differs between candidate and stable."""

PLACEHOLDERS = ("namespace", "release", "route", "rule", "ruleIndex", "segment", *ARM_PLACEHOLDERS)
"""All that a template may write as `${name}`."""

_LISTED = ", ".join(f"${{{name}}}" for name in PLACEHOLDERS)
_LISTED_ARM = ", ".join(f"${{{name}}}" for name in ARM_PLACEHOLDERS)
PER_RULE = ("rule", "ruleIndex", "segment", "backendIndex")
"""What differs between the rules of a route, so that a value, which is one figure for all, cannot have it."""

_FOR_VALUES = tuple(name for name in PLACEHOLDERS if name not in PER_RULE)
_LISTED_FOR_VALUES = ", ".join(f"${{{name}}}" for name in _FOR_VALUES)


def _known(subject: str, names: tuple[str, ...]) -> str:
    """CEL: no `${` is left in `subject` once the known placeholders are taken out."""
    stripped = subject + "".join(f".replace('${{{name}}}', '')" for name in names)
    return f"!{stripped}.contains('${{')"


def _tells_arms_apart(subject: str) -> str:
    return " || ".join(f"{subject}.contains('${{{name}}}')" for name in ARM_PLACEHOLDERS)


class Op(StrEnum):
    """The operators of a label matcher, in words: `=` and `!=` mean something else to YAML when they are not quoted."""

    EQUAL = "Equal"
    NOT_EQUAL = "NotEqual"
    REGEX = "Regex"
    NOT_REGEX = "NotRegex"


_OPS = {
    Op.EQUAL: MatchOp.EQUAL,
    Op.NOT_EQUAL: MatchOp.NOT_EQUAL,
    Op.REGEX: MatchOp.REGEX,
    Op.NOT_REGEX: MatchOp.NOT_REGEX,
}

MetricName = Annotated[
    str,
    Field(min_length=1, max_length=256),
    Matches(
        "^[a-zA-Z_:][a-zA-Z0-9_:]*$",
        "write the name of one metric, without '{' and labels; labels go into matchers",
    ),
]
LabelName = Annotated[
    str,
    Field(min_length=1, max_length=128),
    Matches("^[a-zA-Z_][a-zA-Z0-9_]*$", "a label name has letters, digits and '_', and starts with no digit"),
]


class MatcherSpec(SpecModel):
    """One label matcher."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                _known("self.value", PLACEHOLDERS),
                f"there is no such placeholder; the known ones are {_LISTED}",
                field=".value",
            )
        )
    )

    label: LabelName = Field(description="Name of the label.")
    op: Op = Field(Op.EQUAL, description="Equal (=), NotEqual (!=), Regex (=~) or NotRegex (!~), as in PromQL.")
    value: Annotated[str, Field(max_length=1024)] = Field(
        description=f"Value or regular expression. Placeholders: {_LISTED}; their text is quoted, also in expressions."
    )


Matchers = Annotated[list[MatcherSpec], Field(max_length=16, json_schema_extra=atomic())]


class SeriesSpec(SpecModel):
    """A metric and the matchers that pick its series, without the arm."""

    name: MetricName = Field(description="Name of the metric, such as traefik_service_requests_total.")
    matchers: Matchers = Field([], description="Matchers that pick the series, such as code Regex 5.. for errors.")


class Absent(StrEnum):
    """What it means that a server shows no series of bad events."""

    MISSING = "Missing"
    ZERO = "Zero"


class RatioSpec(SpecModel):
    """Bad events over all events, both counters."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.total) != has(self.good)",
                "write either total, a counter of all events, or good, a counter of those that are not bad; one of "
                "the two",
            )
        )
    )

    bad: SeriesSpec = Field(description="Counter of bad events.")
    total: SeriesSpec | None = Field(None, description="Counter of all events, the bad ones included.")
    good: SeriesSpec | None = Field(
        None, description="Instead of total, where a server counts good and bad events apart: all events are both."
    )
    absent_bad: Absent = Field(
        Absent.MISSING,
        description="What no series of bad at all means. Missing (the default): a fault, because a misspelled name "
        "must not look like no errors. Zero: none yet, for servers that show the counter from its first event on.",
    )


class QuantileSpec(SpecModel):
    """A quantile of a classic histogram."""

    buckets: SeriesSpec = Field(description="The histogram's _bucket series, with the label le.")
    q: Annotated[
        str,
        Field(max_length=32),
        Matches("^0[.][0-9]{1,6}$", 'write the quantile as text between 0 and 1, such as "0.95"'),
    ] = Field(description='The quantile, as text between 0 and 1, such as "0.95".')


class MeanSpec(SpecModel):
    """The mean of observations: a sum over a count, both counters."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                f"!has(self.low) || !has(self.high) || !self.low.matches('{DECIMAL_PATTERN}') || "
                f"!self.high.matches('{DECIMAL_PATTERN}') || double(self.low) < double(self.high)",
                "low is not below high: they say between what one observation lies",
                field=".low",
            )
        )
    )

    sum: SeriesSpec = Field(description="Counter of the summed observations, often called _sum.")
    count: SeriesSpec = Field(description="Counter of the observations, often called _count.")
    low: DecimalText | None = Field(None, description="The least that one observation can be, where it is known.")
    high: DecimalText | None = Field(None, description="The most that one observation can be, where it is known.")


class CostSpec(SpecModel):
    """Cost per unit: a counter of cost over a counter of units."""

    cost: SeriesSpec = Field(description="Counter of cost, in currency.")
    units: SeriesSpec = Field(description="Counter of units, such as tokens or requests.")
    per: Annotated[int, Field(ge=1, le=1_000_000_000)] = Field(
        1000, description="Per how many units the cost is reported and bounded, such as 1000 tokens."
    )
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$", max_length=3)] = Field(
        "USD", description="Currency of the cost, three letters; for people."
    )


class ValueSpec(SpecModel):
    """One PromQL expression, for what has no type of its own."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                _known("self.query", _FOR_VALUES),
                f"there is no such placeholder in a value; the known ones are {_LISTED_FOR_VALUES}",
                field=".query",
            )
        )
    )

    query: Annotated[str, Field(min_length=1, max_length=4096)] = Field(
        description="PromQL that returns exactly one sample. It is parsed, and the namespace of the release is forced "
        "into "
        f"each selector. Only gates with max or min may use it. Placeholders inside label values: {_LISTED_FOR_VALUES}."
    )


_ONE_METRIC = rule(
    "[has(self.ratio), has(self.quantile), has(self.mean), has(self.cost), has(self.value)].filter(x, x).size() == 1",
    "write exactly one of ratio, quantile, mean, cost and value",
)


class MetricSpec(SpecModel):
    """What is measured: exactly one type."""

    model_config = ConfigDict(json_schema_extra=rules(_ONE_METRIC))

    ratio: RatioSpec | None = Field(None, description="Bad events over all events: errors, refusals, wrong answers.")
    quantile: QuantileSpec | None = Field(None, description="A quantile of a histogram: latency, time to first token.")
    mean: MeanSpec | None = Field(None, description="A mean: quality score, handling time.")
    cost: CostSpec | None = Field(None, description="Cost per unit: per 1000 tokens, per request.")
    value: ValueSpec | None = Field(None, description="One PromQL expression: drift index, anything else.")


class GateTemplateSpec(SpecModel):
    """What is measured and how the arms are told apart."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.metric.value) || (has(self.arm) && self.arm.exists(m, " + _tells_arms_apart("m.value") + "))",
                "nothing tells candidate and stable apart, so that both would read the same series: add a matcher to "
                "arm "
                f"whose value has one of {_LISTED_ARM}",
                field=".arm",
            ),
            rule(
                "!has(self.metric.value) || !has(self.arm) || size(self.arm) == 0",
                "arm is for typed metrics; write the placeholders into the query of value, and remove arm",
                field=".arm",
            ),
        )
    )

    description: Annotated[str, Field(max_length=1024)] | None = Field(
        None, description="What this measures, for the people who choose it."
    )
    kind: Kind = Field(
        Kind.OPERATIONAL,
        description="Kind of gate, unless the gate says otherwise: Quality, Safety, Operational, Business.",
    )
    unit: Annotated[str, Field(max_length=63)] | None = Field(
        None, description="Unit of the figure, for people, such as s, ms or points. Default s for a quantile."
    )
    metric: MetricSpec = Field(description="What is measured: exactly one of ratio, quantile, mean, cost and value.")
    arm: Matchers | None = Field(
        None,
        description="Matchers that pick one arm of the release, added to each series, such as label service Regex "
        "${service}.*. At least one value must have a placeholder that differs between the arms.",
    )


class GateTemplate(StatusModel):
    """A reusable measurement for the gates of one namespace."""

    spec: GateTemplateSpec = Field(description="What is measured and how the arms are told apart.")


class ClusterGateTemplate(StatusModel):
    """A reusable measurement for gates in every namespace. A GateTemplate of the same name goes before it."""

    spec: GateTemplateSpec = Field(description="What is measured and how the arms are told apart.")


@dataclass(frozen=True, slots=True)
class Template:
    """A template as gates use it."""

    metric: Metric
    arm: tuple[Matcher, ...]
    kind: Kind


def template_of(spec: object, name: str) -> Template | tuple[Fault, ...]:
    """Read the spec of a (Cluster)GateTemplate called `name`; faults where no query could be made from it."""
    try:
        parsed = GateTemplateSpec.model_validate(spec)
    except ValidationError as error:
        return faults_of(error, f"GateTemplate {name}: spec")
    where = f"GateTemplate {name}: spec"
    if (unclear := _unclear(parsed, where)) is not None:
        return (unclear,)
    template = Template(_metric(parsed), tuple(map(_matcher, parsed.arm or ())), parsed.kind)
    broken = (*_arm_faults(parsed, where), *query_faults(template.metric, template.arm, where))
    return broken or sense_faults(template.metric, template.arm, parsed.unit, where) or template


def _unclear(spec: GateTemplateSpec, where: str) -> Fault | None:
    """Why it cannot be told what is measured. The API server refuses it too, but not in a preset."""
    given = [kind for kind in MetricSpec.model_fields if getattr(spec.metric, kind) is not None]
    if len(given) != 1:
        return fault(f"{where}.metric", "write exactly one of ratio, quantile, mean, cost and value")
    ratio = spec.metric.ratio
    if ratio is not None and (ratio.total is None) == (ratio.good is None):
        return fault(f"{where}.metric.ratio", "write either total or good; one of the two")
    return None


def _arm_faults(spec: GateTemplateSpec, where: str) -> list[Fault]:
    faults = []
    texts = [matcher.value for matcher in spec.arm or ()]
    if spec.metric.value is None and not any(f"${{{name}}}" in text for text in texts for name in ARM_PLACEHOLDERS):
        faults.append(fault(f"{where}.arm", f"add a matcher whose value has one of {_LISTED_ARM}"))
    elif spec.arm and not any(
        f"${{{name}}}" in each.value
        for each in spec.arm
        for name in ARM_PLACEHOLDERS
        if each.op in (Op.EQUAL, Op.REGEX)
    ):
        message = "NotEqual and NotRegex select everybody else; add a matcher with Equal or Regex that picks one arm"
        faults.append(fault(f"{where}.arm", message))
    if spec.metric.value is not None and spec.arm:
        faults.append(fault(f"{where}.arm", "arm is for typed metrics; write the matchers into the query instead"))
    return faults


def _metric(spec: GateTemplateSpec) -> Metric:
    metric = spec.metric
    if metric.ratio:
        ratio, total = metric.ratio, metric.ratio.total or metric.ratio.good
        assert total is not None
        sparse = ratio.absent_bad is Absent.ZERO
        return Ratio(_series(ratio.bad), _series(total), apart=ratio.good is not None, sparse=sparse)
    if metric.quantile:
        return Quantile(_series(metric.quantile.buckets), metric.quantile.q, spec.unit or "s")
    if metric.mean:
        return Mean(_series(metric.mean.sum), _series(metric.mean.count), metric.mean.low, metric.mean.high)
    if metric.cost:
        cost = metric.cost
        return Cost(_series(cost.cost), _series(cost.units), cost.per, cost.currency)
    assert metric.value is not None
    return Value(metric.value.query)


def _series(spec: SeriesSpec) -> Series:
    return Series(spec.name, tuple(map(_matcher, spec.matchers)))


def _matcher(spec: MatcherSpec) -> Matcher:
    return Matcher(spec.label, _OPS[spec.op], spec.value)
