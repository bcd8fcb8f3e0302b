"""Offline evidence in the life of a release: nothing enters without it, and what refutes it is a reason to stop.

What evidence says is judged in `governance.entry`; here stands when it is asked: before the first stage, at each later
raise, before a first install. A revert never asks.
"""

from collections.abc import Mapping

from modelrelease.domain.canonical import plain
from modelrelease.domain.entry import EntryOutcome, EntryVerdict, Lack
from modelrelease.domain.offline import Suite
from modelrelease.domain.plan import Plan
from modelrelease.domain.release import IN_TRAFFIC, State, Stop
from modelrelease.domain.unit import PartName, UnitRef
from modelrelease.engine.actions import Hold
from modelrelease.engine.case import Case
from modelrelease.governance.entry import assess, failed, open_demand
from modelrelease.governance.impact import Numbers, projections, seen
from modelrelease.governance.standing import Subject

FAILED = "EntryGateFailed"
HOLDING = frozenset({*(lack.value for lack in Lack), FAILED})
"""The reasons of a hold that offline evidence can give."""

MAX_RECORDED = 256 * 1024
"""How many characters of evidence a record holds at most; beyond that, its digests only."""

MAX_PIECES = 100
"""How many pieces of evidence a record names at most, the newest: no flood of them keeps it from being written."""


def entry_is_met(case: Case) -> Hold | None:
    """Every demand on offline evidence is met by evidence that counts now; unknown never counts as good."""
    candidate, plan = case.progress.candidate, case.plan
    if candidate is None or plan is None:
        return None
    return _hold(case, entry_verdicts(case, candidate, plan))


def installable(case: Case, unit: UnitRef, plan: Plan | None) -> Hold | None:
    """The same for a first install, where nothing is stable yet and so nothing is compared."""
    return _hold(case, entry_verdicts(case, unit, plan)) if plan else None


def entry_fails(case: Case, unit: UnitRef) -> Stop | None:
    """Offline evidence refutes a demand: final for the unit until somebody retries it."""
    if case.plan is None or case.progress.state not in IN_TRAFFIC:
        return None
    found = failed(entry_verdicts(case, unit, case.plan))
    if found is None:
        return None
    return Stop(unit.digest, unit.version, FAILED, f"entry gate {found.sentence}", case.now, found.name)


def entry_verdicts(case: Case, unit: UnitRef, plan: Plan) -> tuple[EntryVerdict, ...]:
    """What offline evidence says about a unit now; empty where nothing is demanded."""
    return assess(
        plan.entry,
        case.observed.offline,
        subject=Subject(unit.digest, unit.version, _named_suite(case, unit)),
        stable=_stable(case, unit),
        now=case.now,
        doubts=case.observed.doubts,
    )


def shown_verdicts(case: Case) -> tuple[EntryVerdict, ...]:
    """What the status shows: of the candidate, also after it was stopped, and of a first install that waits."""
    match case.progress.state:
        case State.NEW if case.wanted and case.release.plan:
            return entry_verdicts(case, case.wanted, case.release.plan)
        case State.PREPARING | State.RAISING | State.OBSERVING | State.STOPPED if case.progress.candidate and case.plan:
            return entry_verdicts(case, case.progress.candidate, case.plan)
        case _:
            return ()


def entry_said(verdicts: tuple[EntryVerdict, ...]) -> tuple[EntryOutcome, str, str]:
    """All verdicts in one: its outcome, a reason in one word, a sentence."""
    found = failed(verdicts) or open_demand(verdicts)
    if found is None:
        met = "1 demand is" if len(verdicts) == 1 else f"{len(verdicts)} demands are"
        return EntryOutcome.PASS, "Met", f"{met} met"
    return found.outcome, found.lack.value if found.lack else FAILED, found.sentence


def entry_body(case: Case, unit: UnitRef | None, plan: Plan | None) -> Mapping[str, object] | None:
    """What a record keeps: each verdict, which evidence was there, and its content, so that it can be judged again."""
    if unit is None or plan is None or not plan.entry.demands:
        return None
    other = _stable(case, unit)
    about = {unit.digest, other.digest if other else unit.digest}
    there = [found for found in case.observed.offline if found.unit_digest in about]
    known = sorted(there, key=lambda found: found.produced_at, reverse=True)[:MAX_PIECES]
    contents = [plain(found) for found in known]
    fits = len(known) == len(there) and sum(len(repr(content)) for content in contents) <= MAX_RECORDED
    suite = _named_suite(case, unit)
    return {
        "unit": unit.digest,
        "version": unit.version,
        **({"suite": [suite.name, suite.version, suite.digest]} if suite else {}),
        **({"stable": {"digest": other.digest, "version": other.version}} if other else {}),
        "demands": plain(plan.entry),
        "verdicts": [
            {
                "name": verdict.name,
                "outcome": verdict.outcome.value,
                "sentence": verdict.sentence,
                "evidence": list(verdict.evidence[:MAX_PIECES]),
            }
            for verdict in entry_verdicts(case, unit, plan)
        ],
        "evidence": [
            {
                "uid": found.uid,
                "name": found.name,
                "digest": found.digest,
                "unit": found.unit_digest,
                "producer": found.producer,
                **({"doubt": case.observed.doubts[found.uid]} if found.uid in case.observed.doubts else {}),
                **({"content": content} if fits else {}),
            }
            for found, content in zip(known, contents, strict=True)
        ],
        **({"leftOut": len(there) - len(known)} if len(known) < len(there) else {}),
    }


def impact_body(case: Case, unit: UnitRef | None, plan: Plan | None) -> list[str] | None:
    """What the unit's evidence projects, beside what the stages' gates observed; None where it projects nothing."""
    projected = projections(case.observed.offline, unit.digest) if unit else ()
    if plan is None or not projected:
        return None
    numbers: dict[str, list[Numbers]] = {}
    for verdict in case.observed.verdicts:
        numbers.setdefault(verdict.gate, []).append(dict(verdict.numbers))
    return [each.sentence for each in seen(projected, plan.gates, numbers)]


def _hold(case: Case, verdicts: tuple[EntryVerdict, ...]) -> Hold | None:
    found = failed(verdicts) or open_demand(verdicts)
    if found is None:
        return None
    name = case.release.name
    how = f"modelrelease evidence show {name} says what there is; modelrelease evidence submit --release {name} -f FILE"
    return Hold(found.lack.value if found.lack else FAILED, f"entry evidence: {found.sentence} ({how})")


def _stable(case: Case, unit: UnitRef) -> Subject | None:
    """What the unit is compared with."""
    stable = case.progress.stable
    return Subject(stable.digest, stable.version) if stable and stable.digest != unit.digest else None


def _named_suite(case: Case, unit: UnitRef) -> Suite | None:
    """The evaluation set that the unit itself names: it authorises entry, in that version (R1)."""
    wanted = case.release.unit
    if wanted is None or case.wanted is None or case.wanted.digest != unit.digest:
        return None
    fields = next((dict(part.fields) for name, part in wanted.parts if name is PartName.EVALUATION), {})
    if "suite" not in fields:
        return None
    return Suite(fields["suite"], fields.get("version", ""), fields.get("digest", ""))
