"""What offline evidence must show before any user sees a unit: entry gates, the release package, how old it may be."""

from dataclasses import dataclass
from enum import StrEnum

from modelrelease.domain.gate import Kind
from modelrelease.domain.offline import Better, ReferenceType


@dataclass(frozen=True, slots=True)
class SubgroupRule:
    """What is demanded of the groups of one dimension.

    `groups` must all be there; others that were measured are judged too. `min_samples`: how many cases each needs.
    `minimum` and `maximum` are for each group. `max_difference` and `max_ratio`: how far the highest and the lowest
    group may be apart. `confidence` as for a gate.
    """

    dimension: str
    groups: tuple[str, ...] = ()
    minimum: str | None = None
    maximum: str | None = None
    max_difference: str | None = None
    max_ratio: str | None = None
    min_samples: int = 0
    confidence: str | None = None


@dataclass(frozen=True, slots=True)
class EntryGate:
    """One demand on one offline metric.

    `suite` None: the results of each suite that measured it count. `better`: which way is good; evidence that says
    otherwise is not believed. `max_difference`: how much worse than stable's own result on the same suite.
    `confidence` (0…1): bounds must hold for the end of the confidence interval and not for the figure alone.
    """

    name: str
    metric: str
    kind: Kind = Kind.QUALITY
    better: Better = Better.HIGHER
    suite: str | None = None
    minimum: str | None = None
    maximum: str | None = None
    max_difference: str | None = None
    confidence: str | None = None
    subgroups: tuple[SubgroupRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """Everything that offline evidence must show. Nothing at all is demanded by default."""

    gates: tuple[EntryGate, ...] = ()
    package: tuple[ReferenceType, ...] = ()
    max_age_s: int | None = None
    data_max_age_s: int | None = None
    data_lineage: bool = False

    @property
    def demands(self) -> bool:
        """Whether anything is demanded."""
        return self != NO_ENTRY


NO_ENTRY = Entry()
"""Nothing is demanded."""


class EntryOutcome(StrEnum):
    """What evidence says about one demand. Only Pass lets a release in; Fail stops it; the others wait."""

    PASS = "Pass"
    FAIL = "Fail"
    UNDECIDED = "Undecided"
    MISSING = "Missing"


class Lack(StrEnum):
    """Why there is nothing to judge by."""

    MISSING = "EntryEvidenceMissing"
    EXPIRED = "EntryEvidenceExpired"
    INCOMPLETE = "EntryEvidenceIncomplete"
    UNCONFIRMED = "EntryEvidenceUnconfirmed"
    UNDECIDED = "EntryGateUndecided"


@dataclass(frozen=True, slots=True)
class EntryVerdict:
    """The judgement of one demand, in a sentence with its numbers. `evidence`: the UIDs of what it was judged by."""

    name: str
    outcome: EntryOutcome
    sentence: str
    lack: Lack | None = None
    evidence: tuple[str, ...] = ()
