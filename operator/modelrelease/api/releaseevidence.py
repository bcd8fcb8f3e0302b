"""The kind ReleaseEvidence: offline results and papers of one unit. An admission policy enforces who its producer is.

Objects and not fields of the ModelRelease: results come from other people and at other times than the release, and
nobody can write them in another's name.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError

from modelrelease.api.base import (
    IMMUTABLE,
    Digest,
    Group,
    ReleaseRef,
    SpecModel,
    StatusModel,
    Time,
    VersionText,
    atomic,
    rule,
    rules,
    unique,
)
from modelrelease.api.evidence_results import (
    MAX_GROUPS,
    MAX_METRICS,
    CasesSpec,
    DatasetSpec,
    ImpactSpec,
    ItemName,
    MeasurementSpec,
    ReferenceSpec,
    SubgroupSpec,
    measurements_of,
)
from modelrelease.api.faults import faults_of
from modelrelease.api.quantities import time_of
from modelrelease.domain.canonical import digest
from modelrelease.domain.offline import (
    DATA_QUALITY,
    DIMENSIONS,
    RED_TEAM,
    SCENARIOS,
    Dataset,
    Impact,
    Interval,
    Measurement,
    OfflineEvidence,
    Reference,
    Subgroup,
    Suite,
)
from modelrelease.domain.release import Fault

_UNIQUE_GROUPS = rule(
    "self.all(x, self.exists_one(y, y.dimension == x.dimension && y.group == x.group))",
    "two subgroups have the same dimension and group: put their metrics into one",
)


class SuiteSpec(SpecModel):
    """What it was measured with."""

    name: ItemName = Field(description="Name of the evaluation suite, such as support-golden.")
    version: VersionText = Field(description="Its version; results of two versions are not compared.")
    digest: Digest | None = Field(None, description="Digest of its content.")


class ReleaseEvidenceSpec(SpecModel):
    """What was measured, of which unit, by whom and when."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            IMMUTABLE,
            rule(
                "!has(self.expiresAt) || timestamp(self.producedAt) < timestamp(self.expiresAt)",
                "expiresAt is not after producedAt, so that this would never count: correct them",
                field=".expiresAt",
            ),
            rule(
                "has(self.metrics) || has(self.subgroups) || has(self.scenarios) || has(self.redTeam) || "
                "has(self.data) || has(self.references) || has(self.impact)",
                "there is no result in it: write metrics, subgroups, scenarios, redTeam, data, references or impact",
            ),
        )
    )

    release_ref: ReleaseRef = Field(description="The release that this is about.")
    unit_digest: Digest = Field(
        description="Digest of the unit that was measured (modelrelease digest -f prints it; the modelrelease command "
        "fills it in). It counts for that unit only."
    )
    producer: Annotated[str, Field(min_length=1, max_length=1024)] = Field(
        description="Who vouches for it: your user name as the API server knows it (kubectl auth whoami). Another name "
        "is refused."
    )
    producer_groups: Annotated[list[Group], Field(max_length=256, json_schema_extra=atomic())] | None = Field(
        None,
        description="The groups that the producer is in (kubectl auth whoami), so that the right can be checked again "
        "before the evidence is used; needed where the right was given to a group. Filled in at admission or by the "
        "modelrelease command; others are refused.",
    )
    suite: SuiteSpec = Field(description="What it was measured with.")
    produced_at: Time = Field(description="When it was measured.")
    expires_at: Time | None = Field(None, description="From when on it does not count any more.")
    metrics: Annotated[list[MeasurementSpec], measurements_of(MAX_METRICS)] | None = Field(
        None, description="Results over all cases, at most 64."
    )
    subgroups: (
        Annotated[list[SubgroupSpec], Field(max_length=MAX_GROUPS, json_schema_extra=atomic(_UNIQUE_GROUPS))] | None
    ) = Field(None, description="Results of subgroups, at most 256.")
    scenarios: (
        Annotated[list[CasesSpec], Field(max_length=MAX_GROUPS, json_schema_extra=atomic(unique("name", "scenarios")))]
        | None
    ) = Field(
        None,
        description=f"Scenario results, at most 256. They make the metric {SCENARIOS}, with dimension "
        f"{DIMENSIONS[SCENARIOS]}.",
    )
    red_team: (
        Annotated[list[CasesSpec], Field(max_length=MAX_GROUPS, json_schema_extra=atomic(unique("name", "attacks")))]
        | None
    ) = Field(
        None,
        description=f"Red-team results, at most 256: passed are attacks that failed. They make the metric {RED_TEAM}, "
        f"with dimension {DIMENSIONS[RED_TEAM]}.",
    )
    data: Annotated[list[DatasetSpec], Field(max_length=32, json_schema_extra=atomic())] | None = Field(
        None, description="Data that the unit was made or measured with, at most 32 sets."
    )
    references: Annotated[list[ReferenceSpec], Field(max_length=32, json_schema_extra=atomic())] | None = Field(
        None, description="Papers of the release package, at most 32."
    )
    impact: (
        Annotated[list[ImpactSpec], Field(max_length=16, json_schema_extra=atomic(unique("gate", "projections")))]
        | None
    ) = Field(None, description="What live figures should become, at most 16; shown beside what is observed.")


class ReleaseEvidence(StatusModel):
    """Offline results and papers of one unit, by somebody who may attest for its release. Immutable."""

    spec: ReleaseEvidenceSpec = Field(description="What was measured, of which unit, by whom and when.")


def evidence_of(obj: Mapping[str, Any]) -> OfflineEvidence | Fault:
    """Read a ReleaseEvidence; a Fault where it is unreadable, so that it is reported and never half believed."""
    metadata = obj["metadata"]
    try:
        spec = ReleaseEvidenceSpec.model_validate(obj.get("spec"))
        return OfflineEvidence(
            uid=metadata["uid"],
            name=metadata["name"],
            unit_digest=spec.unit_digest,
            producer=spec.producer,
            suite=Suite(spec.suite.name, spec.suite.version, spec.suite.digest or ""),
            produced_at=time_of(spec.produced_at),
            created_at=time_of(metadata["creationTimestamp"]),
            digest=digest(obj["spec"]),
            expires_at=time_of(spec.expires_at) if spec.expires_at else None,
            release_uid=spec.release_ref.uid,
            metrics=(*map(_measurement, spec.metrics or ()), *_wholes(spec)),
            subgroups=(*map(_subgroup, spec.subgroups or ()), *_parts(spec)),
            data=tuple(map(_dataset, spec.data or ())),
            references=tuple(
                Reference(each.type, each.uri, each.digest or "", time_of(each.review_by) if each.review_by else None)
                for each in spec.references or ()
            ),
            impact=tuple(Impact(each.gate, each.expected, each.change, each.unit) for each in spec.impact or ()),
        )
    except ValidationError as error:
        why = faults_of(error, "spec")[0].message
    except (ValueError, KeyError, TypeError, ArithmeticError) as error:
        why = str(error)
    return Fault("EvidenceUnreadable", f"ReleaseEvidence {metadata['name']} does not count: {why}")


def _measurement(spec: MeasurementSpec) -> Measurement:
    interval = spec.interval
    if (spec.count is None) == (spec.value is None) or (spec.count or 0) > (spec.total or 0):
        raise ValueError(f"{spec.name} needs either count and total, count being at most total, or value")
    if interval and spec.value and not Decimal(interval.lower) <= Decimal(spec.value) <= Decimal(interval.upper):
        raise ValueError(f"{spec.name}: its value lies outside its interval")
    return Measurement(
        spec.name,
        spec.better,
        spec.value,
        spec.count,
        spec.total,
        Interval(interval.lower, interval.upper, interval.confidence) if interval else None,
        spec.unit,
    )


def _subgroup(spec: SubgroupSpec) -> Subgroup:
    return Subgroup(spec.dimension, spec.group, tuple(map(_measurement, spec.metrics)))


def _dataset(spec: DatasetSpec) -> Dataset:
    until = time_of(spec.collected_until) if spec.collected_until else None
    return Dataset(spec.name, spec.version or "", spec.digest or "", spec.lineage or "", until)


def _counted(spec: ReleaseEvidenceSpec) -> Iterator[tuple[str, list[tuple[str, int, int]]]]:
    """The metrics that are made from counts, with name, passed and total of each part."""
    yield SCENARIOS, [(each.name, each.passed, each.total) for each in spec.scenarios or ()]
    yield RED_TEAM, [(each.name, each.passed, each.total) for each in spec.red_team or ()]
    yield DATA_QUALITY, list(_checked(spec.data or ()))


def _checked(sets: Sequence[DatasetSpec]) -> Iterator[tuple[str, int, int]]:
    """Each checked data set once, so that no good one hides a bad one of the same name: then with its version."""
    names = [each.name for each in sets if each.checks]
    said: set[str] = set()
    for each in sets:
        if each.checks is None:
            continue
        name = each.name if names.count(each.name) == 1 else f"{each.name} {each.version or ''}".rstrip()
        if name in said:
            raise ValueError(f"two data sets are called {name}: give each its own name or version")
        said.add(name)
        yield name, each.checks.passed, each.checks.total


def _wholes(spec: ReleaseEvidenceSpec) -> Iterator[Measurement]:
    for metric, parts in _counted(spec):
        if parts:
            passed, total = sum(part[1] for part in parts), sum(part[2] for part in parts)
            yield Measurement(metric, count=passed, total=total)


def _parts(spec: ReleaseEvidenceSpec) -> Iterator[Subgroup]:
    for metric, parts in _counted(spec):
        for name, passed, total in parts:
            yield Subgroup(DIMENSIONS[metric], name, (Measurement(metric, count=passed, total=total),))
