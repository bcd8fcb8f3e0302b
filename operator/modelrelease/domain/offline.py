"""Offline evidence: what somebody measured of one unit before any user saw it, and the papers that go with it.

Values are decimal strings, because a digest is taken over them and a float has no one spelling. Scenario and red-team
results are measurements like any other: their share of passed cases has a name of its own, one subgroup per scenario.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

SCENARIOS, RED_TEAM, DATA_QUALITY = "scenario-pass-rate", "red-team-pass-rate", "data-quality"
"""Measurements made from `scenarios`, `redTeam` and the checks of `data`; nobody writes them by hand."""

DIMENSIONS = {SCENARIOS: "scenario", RED_TEAM: "attack", DATA_QUALITY: "dataset"}
"""The dimension under which each of their parts is a subgroup."""


class Better(StrEnum):
    """Which way a measurement is good."""

    HIGHER = "Higher"
    LOWER = "Lower"


class ReferenceType(StrEnum):
    """The papers of a release package (R4)."""

    MODEL_CARD = "ModelCard"
    DATA_LINEAGE = "DataLineage"
    DATA_QUALITY = "DataQuality"
    KNOWN_LIMITS = "KnownLimits"
    SUBGROUP_RESULTS = "SubgroupResults"
    SCENARIO_RESULTS = "ScenarioResults"
    RED_TEAM_RESULTS = "RedTeamResults"
    ROLLBACK_PLAN = "RollbackPlan"
    READINESS_PLAN = "ReadinessPlan"


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval as its producer states it; `confidence` in 0…1, such as 0.95."""

    lower: str
    upper: str
    confidence: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """One figure: either `count` of `total` cases, or a `value` (measured on `total` cases, where that is said)."""

    name: str
    better: Better = Better.HIGHER
    value: str | None = None
    count: int | None = None
    total: int | None = None
    interval: Interval | None = None
    unit: str = ""

    @property
    def figure(self) -> Decimal:
        """The value, or the share of cases that were counted; 0 cases have no share and give NaN."""
        if self.value is not None:
            return Decimal(self.value)
        if self.count is None or not self.total:
            return Decimal("NaN")
        return Decimal(self.count) / Decimal(self.total)


@dataclass(frozen=True, slots=True)
class Subgroup:
    """The measurements of one group of a dimension, such as language `de`."""

    dimension: str
    group: str
    metrics: tuple[Measurement, ...] = ()


@dataclass(frozen=True, slots=True)
class Suite:
    """What it was measured with; results of two versions of a suite are not compared."""

    name: str
    version: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Data that the unit was made or measured with: how new, where from."""

    name: str
    version: str = ""
    digest: str = ""
    lineage: str = ""
    collected_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """A paper by address and digest; `review_by` is when somebody has to look at it again."""

    type: ReferenceType
    uri: str
    digest: str = ""
    review_by: datetime | None = None


@dataclass(frozen=True, slots=True)
class Impact:
    """What a live gate's figure should become (`expected`), or by how much it should move against stable (`change`)."""

    gate: str
    expected: str | None = None
    change: str | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class OfflineEvidence:
    """One ReleaseEvidence. `digest` is that of its whole content; `created_at` is the API server's time."""

    uid: str
    name: str
    unit_digest: str
    producer: str
    suite: Suite
    produced_at: datetime
    created_at: datetime
    digest: str
    expires_at: datetime | None = None
    release_uid: str | None = None
    metrics: tuple[Measurement, ...] = ()
    subgroups: tuple[Subgroup, ...] = ()
    data: tuple[Dataset, ...] = ()
    references: tuple[Reference, ...] = ()
    impact: tuple[Impact, ...] = ()

    def measured(self, metric: str) -> Measurement | None:
        """The whole's measurement of a metric, None where there is none."""
        return next((found for found in self.metrics if found.name == metric), None)

    def by_group(self, metric: str, dimension: str) -> dict[str, Measurement]:
        """The measurements of a metric by group of a dimension."""
        return {
            part.group: found
            for part in self.subgroups
            if part.dimension == dimension
            for found in part.metrics
            if found.name == metric
        }
