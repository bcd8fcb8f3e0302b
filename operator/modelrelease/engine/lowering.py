"""Moves that take traffic away from a candidate or give it back to stable: they wait for nothing (S4, S6).

Their order of writes is route (with the stopped mark) → status → record → people. The record is written by the next
step, once the candidate is at zero, so that a revert never waits for the record's compare and swap.
"""

from dataclasses import replace

from modelrelease.domain.exposure import uniform
from modelrelease.domain.plan import OnNoSafePath
from modelrelease.domain.record import RecordKind
from modelrelease.domain.release import IN_TRAFFIC, PastOutcome, Progress, State, Stop
from modelrelease.domain.traffic import Acceptance, Target
from modelrelease.domain.unit import UnitRef
from modelrelease.engine.actions import (
    Action,
    DeleteOwnedRoutes,
    Emit,
    Hold,
    Intention,
    RemoveFinalizer,
    Save,
    SetRoutes,
    Step,
    WriteRecord,
)
from modelrelease.engine.case import Case, candidate_share, fits, later, target_of
from modelrelease.engine.records import record, unit_body, verdict_body
from modelrelease.engine.states import Trigger, transition
from modelrelease.engine.stops import IN_STAGES, IN_WATCH, first_stop, used_decisions

KEPT_OUTCOMES = 5
CONFIRM_REVERT_S = 30


def delete(case: Case) -> Step | None:
    """The object is being deleted: candidate to zero, owned route away if asked, then let it go (S12, L4)."""
    if not case.release.deleting:
        return None
    if not case.release.finalizer:
        return Step(case.progress)
    progress = case.progress
    actions: list[Action] = []
    reachable = any(view.exists and not view.problem for view in case.observed.routes)
    if reachable and progress.stable and progress.candidate and not candidate_share(case).is_zero:
        actions.append(SetRoutes(_at_zero(case, progress), Intention.LOWER))
    if case.release.traffic.delete_owned_route and case.release.traffic.gateways:
        actions.append(DeleteOwnedRoutes())
    return Step(
        replace(progress, state=transition(progress.state, Trigger.DELETE, State.DELETED)),
        (*actions, RemoveFinalizer()),
    )


def stop(case: Case) -> Step | None:
    """A stop condition holds: take everything back at once."""
    progress = case.progress
    if progress.state in IN_TRAFFIC and progress.candidate:
        found = first_stop(case, progress.candidate, IN_STAGES)
        if found:
            return _revert(case, progress, progress.candidate, found)
    if progress.watch and progress.fallback and progress.state in IN_TRAFFIC | {State.WATCHING}:
        found = first_stop(case, progress.watch.unit, IN_WATCH)
        if found:
            return _revert(case, _back_to_fallback(progress), progress.watch.unit, found)
    return None


def lower_what_rose(case: Case) -> Step | None:
    """Somebody else gave the candidate more than intended: take the excess back at once (S8)."""
    progress = case.progress
    if progress.candidate is None or progress.stable is None or progress.state in (State.SETTLED, State.WATCHING):
        return None
    share = candidate_share(case)
    intended = progress.exposure if progress.state in IN_TRAFFIC else uniform(case.segments, 0)
    if progress.state is State.REVERTING or not share.shares or share.within(intended):
        return None
    target = target_of(case, progress)
    if target is None or progress.diverted:
        return None
    message = f"somebody else raised {progress.candidate.version} to {share}; intended is {intended}"
    lowered = replace(target, exposure=share.lowered_to(intended) if progress.state in IN_TRAFFIC else intended)
    return Step(
        progress,
        (SetRoutes(lowered, Intention.LOWER), Emit("Drifted", message, warning=True)),
        holds=(Hold("Drifted", message),),
        drifted=message,
    )


def go_back_to_stable(case: Case) -> Step | None:
    """The spec names the unit that is stable (a git revert): back at once, no canary (R34)."""
    progress, wanted = case.progress, case.wanted
    if wanted is None or progress.stable is None:
        return None
    if wanted.digest == progress.stable.digest and progress.candidate:
        if progress.state in IN_TRAFFIC:
            return _withdraw(case, progress, progress.candidate)
        if progress.state is State.STOPPED:
            settled = _settled(case, progress)
            return Step(settled, (Save(settled),))
    in_watch = progress.watch and progress.fallback and progress.state in IN_TRAFFIC | {State.WATCHING}
    if in_watch and progress.watch and progress.fallback and wanted.digest == progress.fallback.digest:
        return _withdraw(case, _back_to_fallback(progress), progress.watch.unit)
    return None


def finish_revert(case: Case) -> Step | None:
    """Reverting: make sure that the candidate is at zero, then record and tell."""
    progress = case.progress
    if progress.state is not State.REVERTING or progress.stop is None or progress.candidate is None:
        return None
    if not progress.exposure.is_zero and progress.diverted is None:
        return _retry_revert(case, progress)
    target = target_of(case, progress)
    assert target is not None
    steerable = [view for view in case.observed.routes if view.exists and not view.problem]
    if any(not fits(view, target, case.segments) for view in steerable):
        mark = replace(target, stopped=progress.stop.digest)
        return Step(progress, (SetRoutes(mark, Intention.LOWER),), holds=(Hold("Reverting", progress.stop.message),))
    confirmed = all(view.acceptance is Acceptance.ACCEPTED for view in steerable)
    if not confirmed and case.since(progress.stop.at) < CONFIRM_REVERT_S:
        wake = later(progress.stop.at, CONFIRM_REVERT_S)
        return Step(progress, holds=(Hold("Reverting", "waiting for the gateway to confirm", wake),), wake_at=wake)
    return _stopped(case, progress, progress.stop)


def undivert(case: Case) -> Step | None:
    """Traffic went to the safe backend because stable could not take it: give it back once stable can."""
    progress = case.progress
    if progress.diverted is None or progress.stable is None or case.ready(progress.stable) == 0:
        return None
    if progress.state not in (State.STOPPED, State.REVERTING):
        return None
    back = replace(progress, diverted=None, exposure=uniform(case.segments, 0))
    target = target_of(case, back)
    assert target is not None
    message = f"{progress.stable.backend} has ready endpoints again: traffic goes back to stable"
    return Step(back, (SetRoutes(target, Intention.LOWER), Save(back), Emit("BackToStable", message)))


def _revert(case: Case, progress: Progress, unit: UnitRef, stop_: Stop) -> Step:
    used = used_decisions(case, unit)
    newer = case.progress.candidate if progress is not case.progress else None
    digests = [unit.digest, *([newer.digest] if newer else [])]
    reverting = replace(
        progress,
        state=transition(case.progress.state, Trigger.STOP, State.REVERTING),
        since=case.now,
        candidate=unit,
        intent=None,
        stop=stop_,
        stopped=tuple(dict.fromkeys((*progress.stopped, *digests)))[-64:],
        handled=(*progress.handled, *(decision.uid for decision in used)),
        no_data_since=(),
    )
    target, diverted, hold = _safe_path(case, reverting, stop_)
    reverting = replace(
        reverting,
        diverted=diverted,
        exposure=target.exposure if target.other else uniform(case.segments, 0),
    )
    emit = Emit("Reverting", f"taking {unit.version} back: {stop_.message}", warning=True)
    return Step(
        reverting,
        (SetRoutes(target, Intention.LOWER), Save(reverting), emit),
        holds=(hold,) if hold else (),
    )


def _retry_revert(case: Case, progress: Progress) -> Step:
    assert progress.stop is not None
    target, diverted, hold = _safe_path(case, progress, progress.stop)
    if hold is not None:
        return Step(progress, holds=(hold,))
    lowered = replace(progress, diverted=diverted, exposure=uniform(case.segments, 0))
    return Step(lowered, (SetRoutes(target, Intention.LOWER), Save(lowered)))


def _safe_path(case: Case, progress: Progress, stop_: Stop) -> tuple[Target, UnitRef | None, Hold | None]:
    """Where the traffic goes: stable, else the safe backend, else what the policy calls the less bad side (S11)."""
    stable, candidate, plan = progress.stable, progress.candidate, case.plan
    assert stable is not None and candidate is not None
    to_stable = Target(base=stable, other=candidate, exposure=uniform(case.segments, 0), stopped=stop_.digest)
    if case.ready(stable) != 0:
        return to_stable, None, None
    safe = case.release.traffic.safe_backend
    if safe is not None and case.observed.ready.get(safe) != 0:
        unit = UnitRef("", f"{case.release.name[:50]}-safe", "safe backend", safe)
        return Target(base=unit, stopped=stop_.digest), unit, None
    on_none = plan.on_no_safe_path if plan else OnNoSafePath.CANDIDATE
    if on_none is OnNoSafePath.STABLE or case.ready(candidate) == 0:
        return to_stable, None, None
    share = candidate_share(case).lowered_to(progress.exposure)
    hold = Hold("NoSafePath", f"{stable.backend} has no ready endpoint and no safe backend is ready: {stop_.message}")
    return Target(base=stable, other=candidate, exposure=share, stopped=stop_.digest), None, hold


def _stopped(case: Case, progress: Progress, stop_: Stop) -> Step:
    kind = RecordKind.ABORTED if stop_.reason in ("Aborted", "Rejected") else RecordKind.REVERTED
    chained = record(
        case,
        kind,
        stop_.message,
        at=stop_.at,
        reason=stop_.reason,
        gate=stop_.gate,
        stopped=unit_body(progress.candidate),
        stable=unit_body(progress.diverted or progress.stable),
        plan=progress.plan.digest if progress.plan else None,
        stage=progress.stage,
        decisions=list(progress.handled[-4:]) if kind is RecordKind.ABORTED else None,
        verdicts=verdict_body(case.observed.verdicts) if case.observed.verdicts else None,
    )
    past = PastOutcome(stop_.version, stop_.digest, kind.value, stop_.message, stop_.at)
    stopped = replace(
        progress,
        state=transition(State.REVERTING, Trigger.REVERTED, State.STOPPED),
        since=case.now,
        exposure=uniform(case.segments, 0),
        watch=None,
        head=chained.head,
        outcomes=(past, *progress.outcomes)[:KEPT_OUTCOMES],
    )
    base = progress.diverted or progress.stable
    message = f"{stop_.version} was taken back to {base.version if base else 'stable'}: {stop_.message}"
    return Step(stopped, (WriteRecord(chained), Save(stopped), Emit(kind.value, message, warning=True)))


def _withdraw(case: Case, progress: Progress, unit: UnitRef) -> Step:
    assert progress.stable is not None
    message = f"the spec names {progress.stable.version} again: {unit.version} is withdrawn, no canary needed"
    chained = record(case, RecordKind.WITHDRAWN, message, withdrawn=unit_body(unit), stable=unit_body(progress.stable))
    past = PastOutcome(unit.version, unit.digest, "Withdrawn", message, case.now)
    settled = replace(_settled(case, progress), head=chained.head, outcomes=(past, *progress.outcomes)[:KEPT_OUTCOMES])
    target = Target(base=progress.stable, other=unit, exposure=uniform(case.segments, 0))
    return Step(
        settled,
        (SetRoutes(target, Intention.LOWER), WriteRecord(chained), Save(settled), Emit("Withdrawn", message)),
    )


def _settled(case: Case, progress: Progress) -> Progress:
    to = State.WATCHING if progress.watch and progress.state in IN_TRAFFIC else State.SETTLED
    return replace(
        progress,
        state=transition(case.progress.state, Trigger.WITHDRAW, to),
        since=case.now,
        candidate=None,
        plan=progress.plan if to is State.WATCHING else None,
        stage=-1,
        stage_since=None,
        rollout_since=None,
        exposure=uniform(case.segments, 0),
        intent=None,
        stop=None,
        no_data_since=(),
    )


def _back_to_fallback(progress: Progress) -> Progress:
    return replace(progress, stable=progress.fallback, fallback=None, watch=None)


def _at_zero(case: Case, progress: Progress) -> Target:
    assert progress.stable is not None
    return Target(base=progress.stable, other=progress.candidate, exposure=uniform(case.segments, 0))
