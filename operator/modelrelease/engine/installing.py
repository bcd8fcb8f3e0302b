"""What people must say before a first install: nobody sees a unit that its plan wants approved (S2).

With nothing served yet there are no stages to go through and the unit gets all traffic at once. So every role of the
plan is asked beforehand, each for the whole release, the accountable one last. Rejected: asking only the roles of the
first stage; what they would let through is everything.
"""

from dataclasses import replace

from modelrelease.domain.decision import Action as Said
from modelrelease.domain.decision import Decision
from modelrelease.domain.plan import Plan
from modelrelease.domain.record import RecordKind
from modelrelease.domain.release import PastOutcome, Progress, Stop
from modelrelease.domain.unit import UnitRef
from modelrelease.engine.actions import Emit, Hold, KeepUnit, Save, Step, WriteRecord
from modelrelease.engine.approving import approved, ask, changers, joined, rejected, window_ran_out
from modelrelease.engine.case import Case
from modelrelease.engine.lowering import KEPT_OUTCOMES, KEPT_STOPPED
from modelrelease.engine.records import decision_body, record, unit_body
from modelrelease.engine.stops import aborted, used_decisions
from modelrelease.governance.approvals import asked_roles


def consent(case: Case, hold: Hold | None) -> Step | None:
    """What a first install of the unit that the spec names still waits for; None once it may be served.

    `hold` is what else keeps it: people are asked when that is over.
    """
    unit, plan = case.wanted, case.release.plan
    waits = (hold,) if hold else ()
    if unit is None or plan is None or not asked_roles(plan):
        return Step(case.progress, holds=waits) if waits else None
    proposed = _proposed(case, unit, plan)
    if proposed != case.progress:
        assert case.release.unit is not None
        return Step(proposed, (KeepUnit(case.release.unit), Save(proposed)), holds=waits)
    stop = aborted(case, unit) or rejected(case, unit) or window_ran_out(case, unit)
    if stop is not None:
        return _end(case, stop, plan)
    missing = approved(case)
    found = (*waits, *((missing,) if missing else ()))
    if not found:
        return None
    return ask(case, found) or Step(proposed, holds=found, wake_at=missing.until if missing else None)


def stopped(case: Case, unit: UnitRef) -> Step:
    """The unit was stopped, and there is no other one to serve: wait for an edit or a person's Retry."""
    retries = [
        said for said in case.decisions(Said.RETRY) if said.digest == unit.digest and said.uid not in case.observed.used
    ]
    if retries:
        return _again(case, unit, retries[0])
    past = next((each for each in case.progress.outcomes if each.digest == unit.digest), None)
    why = f" ({past.message})" if past else ""
    message = f"{unit.version} was stopped before{why}, and nothing else of this release is known: "
    message += f"name another unit, or start it again: modelrelease retry {case.release.name} --reason …"
    progress = _given_up(case.progress)
    actions = (Save(progress),) if progress != case.progress else ()
    return Step(progress, actions, holds=(Hold("Stopped", message),))


def _proposed(case: Case, unit: UnitRef, plan: Plan) -> Progress:
    """The progress while people are asked about this unit and this plan; another one is asked about anew."""
    progress = case.progress
    changed_by = joined(progress.changed_by, changers(case.release, plan))
    same = progress.candidate is not None and progress.candidate.digest == unit.digest and progress.plan == plan
    if same:
        return replace(progress, changed_by=changed_by)
    return replace(
        progress,
        since=case.now,
        candidate=unit,
        plan=plan,
        proposed_at=case.now,
        changed_by=changed_by,
        asking=None,
    )


def _end(case: Case, stop: Stop, plan: Plan) -> Step:
    """Aborted, rejected, or nobody answered in time: final until a Retry for this unit, which no user has seen."""
    candidate = case.progress.candidate
    assert candidate is not None
    said = used_decisions(case, candidate)
    chained = record(
        case,
        RecordKind.ABORTED,
        stop.message,
        reason=stop.reason,
        stopped=unit_body(candidate),
        plan=plan.digest,
        decisions=decision_body(said) or None,
    )
    past = PastOutcome(stop.version, stop.digest, RecordKind.ABORTED.value, stop.message, stop.at)
    progress = replace(
        _given_up(case.progress),
        since=case.now,
        stop=stop,
        stopped=(*case.progress.stopped, candidate.digest)[-KEPT_STOPPED:],
        handled=(*case.progress.handled, *(decision.uid for decision in said)),
        head=chained.head,
        outcomes=(past, *case.progress.outcomes)[:KEPT_OUTCOMES],
    )
    message = f"{stop.version} is not installed: {stop.message}"
    return Step(progress, (WriteRecord(chained), Save(progress), Emit(past.outcome, message, warning=True)))


def _again(case: Case, unit: UnitRef, said: Decision) -> Step:
    message = f"{unit.version} is asked about again, by {said.author}: {said.reason}"
    chained = record(case, RecordKind.RETRIED, message, candidate=unit_body(unit), decisions=decision_body([said]))
    progress = replace(
        _given_up(case.progress),
        stop=None,
        stopped=tuple(digest for digest in case.progress.stopped if digest != unit.digest),
        handled=(*case.progress.handled, said.uid),
        head=chained.head,
    )
    return Step(progress, (WriteRecord(chained), Save(progress), Emit("Started", message)))


def _given_up(progress: Progress) -> Progress:
    return replace(progress, candidate=None, plan=None, proposed_at=None, changed_by=(), asking=None)
