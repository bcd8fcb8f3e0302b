"""What each record says: composed here once, as strings and integers only (floats have no one spelling)."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from modelrelease.domain.decision import Decision
from modelrelease.domain.exposure import Exposure, percent
from modelrelease.domain.plan import Plan
from modelrelease.domain.record import Record, RecordKind
from modelrelease.domain.tier import Standing
from modelrelease.domain.unit import UnitRef
from modelrelease.domain.verdict import Verdict
from modelrelease.engine.case import Case


def record(case: Case, kind: RecordKind, message: str, *, at: datetime | None = None, **body: object) -> Record:
    """The next record of the release's chain.

    `at` is the time that the record speaks of; for a record that is written after the deed (a revert) it is the
    remembered time of the deed, so that writing it again after a crash gives the same bytes.
    """
    return Record(
        sequence=case.observed.head.sequence + 1,
        previous=case.observed.head.hash,
        kind=kind,
        body={
            "release": {
                "namespace": case.release.namespace,
                "name": case.release.name,
                "uid": case.release.uid,
                "generation": case.release.generation,
            },
            "at": stamp(at or case.now),
            "message": message,
            **{key: value for key, value in body.items() if value is not None},
        },
    )


def unit_body(unit: UnitRef | None) -> Mapping[str, object] | None:
    """A unit in a record: version, digest, the revision that keeps it, its backend."""
    if unit is None:
        return None
    return {
        "version": unit.version,
        "digest": unit.digest,
        "revision": unit.revision,
        "backend": str(unit.backend),
    }


def governed_body(plan: Plan, standing: Standing | None = None) -> dict[str, Any]:
    """Under which policy a plan was made, in which tier, and why it is this one."""
    if plan.governed is None:
        return {}
    return {
        "tier": plan.governed.tier.value,
        "tierReasons": list(standing.reasons) if standing else None,
        "policy": {"name": plan.governed.policy, "digest": plan.governed.policy_digest},
    }


def exposure_body(exposure: Exposure) -> Mapping[str, object]:
    """Shares per segment as people write them."""
    return {segment: percent(share) for segment, share in exposure.shares}


def verdict_body(verdicts: Iterable[Verdict]) -> list[Mapping[str, object]]:
    """Verdicts with their numbers as text that reads back to the same float."""
    return [
        {
            "gate": verdict.gate,
            "segment": verdict.segment or "",
            "outcome": verdict.outcome.value,
            "cause": verdict.cause.value if verdict.cause else "",
            "sentence": verdict.sentence,
            "newestSample": stamp(verdict.newest) if verdict.newest else "",
            "numbers": {name: repr(number) for name, number in verdict.numbers},
        }
        for verdict in verdicts
    ]


def judged_body(case: Case) -> dict[str, Any]:
    """The verdicts of the stages and of the watch, and what they can be recomputed from (`gates.workings`)."""
    watched = verdict_body(case.observed.watch_verdicts) if case.progress.watch else None
    return {
        "verdicts": verdict_body(case.observed.verdicts),
        "watchVerdicts": watched,
        "workings": case.observed.workings or None,
    }


def decision_body(decisions: Iterable[Decision]) -> list[Mapping[str, object]]:
    """People's decisions that a record used: a record that names an approval's UID makes it used."""
    return [
        {
            "uid": decision.uid,
            "name": decision.name,
            "action": decision.action.value,
            "author": decision.author,
            "role": decision.role or "",
            "reason": decision.reason,
        }
        for decision in decisions
    ]


def stamp(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
