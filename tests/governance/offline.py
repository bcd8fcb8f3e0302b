"""Builders for offline evidence and entry demands, so that a test says only what it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from modelrelease.domain.entry import Entry, EntryGate, EntryVerdict, SubgroupRule
from modelrelease.domain.offline import Measurement, OfflineEvidence, Subgroup, Suite
from modelrelease.governance.entry import assess
from modelrelease.governance.standing import Subject

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
CANDIDATE, STABLE = "sha256:" + "c" * 64, "sha256:" + "5" * 64
GOLDEN = Suite("golden", "12")


def counts(count: int, total: int, name: str = "accuracy", **fields: Any) -> Measurement:
    return Measurement(name, count=count, total=total, **fields)


def value(text: str, name: str = "accuracy", **fields: Any) -> Measurement:
    return Measurement(name, value=text, **fields)


def languages(name: str = "accuracy", **groups: tuple[int, int]) -> tuple[Subgroup, ...]:
    return tuple(Subgroup("language", group, (counts(*pair, name),)) for group, pair in groups.items())


def gen_evidence(*metrics: Measurement, unit: str = CANDIDATE, number: int = 1, age_h: float = 1, **fields: Any):
    """Evidence of the candidate by suite golden 12, an hour old."""
    made = NOW - timedelta(hours=age_h)
    whole = {"suite": GOLDEN, "produced_at": made, "created_at": made, "digest": f"sha256:{number:064x}", **fields}
    return OfflineEvidence(f"uid-{number}", f"e{number}", unit, "carol", metrics=metrics, **whole)


def gate(**fields: Any) -> EntryGate:
    """A gate on accuracy."""
    return EntryGate(**{"name": "quality", "metric": "accuracy", **fields})


def by_language(**fields: Any) -> EntryGate:
    """A gate on accuracy by language; the fields are the rule's."""
    return gate(subgroups=(SubgroupRule("language", **fields),))


def judge(entry: Entry | EntryGate, *evidence: OfflineEvidence, **how: Any) -> tuple[EntryVerdict, ...]:
    """All verdicts, with v1 stable unless `stable=None`."""
    demands = Entry(gates=(entry,)) if isinstance(entry, EntryGate) else entry
    subject = Subject(CANDIDATE, "v2", how.get("suite"))
    stable = how.get("stable", Subject(STABLE, "v1"))
    return assess(
        demands, evidence, subject=subject, stable=stable, now=how.get("now", NOW), doubts=how.get("doubts", {})
    )


def verdict(entry: Entry | EntryGate, *evidence: OfflineEvidence, **how: Any) -> EntryVerdict:
    """The one verdict."""
    (found,) = judge(entry, *evidence, **how)
    return found
