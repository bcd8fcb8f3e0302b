"""Moves that take traffic away from a candidate or give it back to stable: they wait for nothing (S4, S6).

Their order of writes is route (with the stopped mark) → status → record → people. The record is written by the next
step, once the candidate is at zero, so that a revert never waits for the record's compare and swap.
"""

from dataclasses import replace

from modelrelease.domain.decision import Decision, in_order
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
from modelrelease.engine.case import (
    Case,
    candidate_share,
    entered_exposure,
    everything,
    fits,
    later,
    safe_unit,
    share_of,
    target_of,
)
from modelrelease.engine.chain import recovered_arms
from modelrelease.engine.entry import FAILED, entry_body
from modelrelease.engine.records import decision_body, judged_body, record, unit_body
from modelrelease.engine.states import Trigger, transition
from modelrelease.engine.stops import IN_STAGES, IN_WATCH, first_stop, used_decisions

KEPT_OUTCOMES = 5
KEPT_STOPPED = 256
CONFIRM_REVERT_S = 30
WATCHED_IN = IN_TRAFFIC | {State.WATCHING, State.STOPPED}
"""The states in which a watch can be open: alone, beside a newer candidate, and after that one was stopped."""


def delete(case: Case) -> Step | None:
    """The object is being deleted: candidate to zero, owned route away if asked, then let it go (S12, L4)."""
    if not case.release.deleting:
        return None
    if not case.release.finalizer:
        return Step(case.progress)
    progress = case.progress
    actions: list[Action] = []
    stable, candidate = (progress.stable, progress.candidate) if progress.stable else recovered_arms(case)
    if not case.observed.routes and _may_have_traffic(case):
        hold = Hold("RouteUnread", "no route has been read, so the candidate cannot be taken back: mend spec.traffic")
        return Step(progress, holds=(hold,))
    if stable and candidate and not share_of(case, candidate).is_zero:
        base = refuge(case, stable, candidate) or stable
        target = Target(base=base, other=candidate, exposure=uniform(case.segments, 0))
        actions.append(SetRoutes(target, Intention.LOWER))
    if case.release.traffic.delete_owned_route and case.release.traffic.gateways:
        actions.append(DeleteOwnedRoutes())
    return Step(
        replace(progress, state=transition(progress.state, Trigger.DELETE, State.DELETED)),
        (*actions, RemoveFinalizer()),
    )


def stop(case: Case) -> Step | None:
    """A stop condition holds: take everything back at once."""
    progress = case.progress
    if progress.watch and progress.fallback and progress.state in WATCHED_IN:
        found = first_stop(case, progress.watch.unit, IN_WATCH)
        if found:
            return _revert(case, _back_to_fallback(progress), progress.watch.unit, found)
    if progress.state in IN_TRAFFIC and progress.candidate:
        found = first_stop(case, progress.candidate, IN_STAGES)
        if found:
            return _revert(case, progress, progress.candidate, found)
    return None


def lower_what_rose(case: Case) -> Step | None:
    """Somebody else gave the candidate more than intended: take the excess back at once (S8).

    While a raise is only decided, back to the stage before it: lowering to what is intended would carry the raise out
    over somebody else's change. The stage begins anew, because its samples and its split were counted at another share.
    """
    progress = case.progress
    if progress.candidate is None or progress.stable is None or progress.state in (State.SETTLED, State.WATCHING):
        return None
    share = candidate_share(case)
    intended = progress.exposure if progress.state in IN_TRAFFIC else uniform(case.segments, 0)
    if progress.state is State.REVERTING or not share.shares or share.within(intended):
        return None
    target = target_of(case, progress)
    if target is None:
        return None
    message = f"somebody else raised {progress.candidate.version} to {share}; intended is {intended}"
    allowed = entered_exposure(case) if progress.state is State.RAISING else intended
    lowered = replace(target, exposure=share.lowered_to(allowed) if progress.state in IN_TRAFFIC else intended)
    again = replace(progress, since=case.now, stage_since=case.now) if progress.stage_since else progress
    save: tuple[Action, ...] = (Save(again),) if again != progress else ()
    return Step(
        again,
        (SetRoutes(lowered, Intention.LOWER), *save, Emit("Drifted", message, warning=True)),
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
        if progress.state is State.STOPPED and candidate_share(case).is_zero:
            settled = _settled(case, progress)
            return Step(settled, (Save(settled),))
    in_watch = progress.watch and progress.fallback and progress.state in WATCHED_IN
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
    if not case.observed.routes:
        hold = Hold("RouteUnread", "no route has been read, so the revert cannot be confirmed: mend spec.traffic")
        return Step(progress, holds=(hold,))
    target = target_of(case, progress)
    assert target is not None
    steerable = [view for view in case.observed.routes if view.exists and not view.problem]
    if any(not fits(view, target, case.segments) for view in steerable) or not candidate_share(case).is_zero:
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
    if progress.diverted is None or progress.stable is None or not case.ready(progress.stable):
        return None
    back = replace(progress, diverted=None, exposure=uniform(case.segments, 0))
    target = Target(base=progress.stable, other=progress.candidate, exposure=back.exposure)
    message = f"{progress.stable.backend} has ready endpoints again: traffic goes back to stable"
    return Step(back, (SetRoutes(target, Intention.LOWER), Save(back), Emit("BackToStable", message)))


def _revert(case: Case, progress: Progress, unit: UnitRef, stop_: Stop) -> Step:
    newer = case.progress.candidate if progress is not case.progress else None
    units = (unit, newer) if newer else (unit,)
    used = [decision for stopped in units for decision in used_decisions(case, stopped)]
    digests = [stopped.digest for stopped in units]
    reverting = replace(
        progress,
        state=transition(case.progress.state, Trigger.STOP, State.REVERTING),
        since=case.now,
        candidate=unit,
        intent=None,
        stop=replace(stop_, decisions=tuple(decision.uid for decision in used)),
        stopped=(*(digest for digest in progress.stopped if digest not in digests), *digests)[-KEPT_STOPPED:],
        handled=tuple(dict.fromkeys((*progress.handled, *(decision.uid for decision in used)))),
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
    stable, candidate = progress.stable, progress.candidate
    assert stable is not None and candidate is not None
    zero = uniform(case.segments, 0)
    taker = refuge(case, stable, candidate)
    if taker == stable:
        return Target(base=stable, other=candidate, exposure=zero, stopped=stop_.digest), None, None
    if taker is not None:
        return Target(base=taker, stopped=stop_.digest), taker, None
    watch = case.progress.watch
    intended = everything(case.segments) if watch and watch.unit == candidate else progress.exposure
    share = share_of(case, candidate).lowered_to(intended)
    hold = Hold("NoSafePath", f"{stable.backend} has no ready endpoint and no safe backend is ready: {stop_.message}")
    return Target(base=stable, other=candidate, exposure=share, stopped=stop_.digest), None, hold


def refuge(case: Case, stable: UnitRef, candidate: UnitRef) -> UnitRef | None:
    """Who can take everything from the candidate; None where the candidate is the less bad side (S11)."""
    if case.ready(stable) != 0:
        return stable
    safe = safe_unit(case)
    if safe is not None and case.ready(safe) != 0:
        return safe
    on_none = case.plan.on_no_safe_path if case.plan else OnNoSafePath.CANDIDATE
    return stable if on_none is OnNoSafePath.STABLE or case.ready(candidate) == 0 else None


def nobody_to_take_it(case: Case) -> Hold | None:
    """What is no revert waits while it would send the candidate's users to a stable without endpoints (S11)."""
    stable, candidate = case.progress.stable, case.progress.candidate
    assert stable is not None and candidate is not None
    if refuge(case, stable, candidate) == stable:
        return None
    return Hold("NoSafePath", f"{candidate.version} keeps its traffic: {stable.backend} has no ready endpoint")


def _may_have_traffic(case: Case) -> bool:
    """Whether a candidate may have a share on a route that could not be read."""
    progress = case.progress
    remembered = progress.candidate is not None and not progress.exposure.is_zero
    return remembered or bool(case.release.traffic.routes or case.release.traffic.gateways)


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
        alsoStopped=list(_stopped_with(progress, stop_)) or None,
        decisions=decision_body(_behind(case, stop_)) or None,
        entry=_entry_at(case, stop_) if stop_.reason == FAILED else None,
        **judged_body(case),
    )
    past = PastOutcome(stop_.version, stop_.digest, kind.value, stop_.message, stop_.at)
    stopped = replace(
        progress,
        state=transition(State.REVERTING, Trigger.REVERTED, State.STOPPED),
        since=case.now,
        exposure=uniform(case.segments, 0),
        head=chained.head,
        outcomes=(past, *progress.outcomes)[:KEPT_OUTCOMES],
    )
    base = progress.diverted or progress.stable
    message = f"{stop_.version} was taken back to {base.version if base else 'stable'}: {stop_.message}"
    return Step(stopped, (WriteRecord(chained), Save(stopped), Emit(kind.value, message, warning=True)))


def _entry_at(case: Case, stop_: Stop) -> object:
    """What offline evidence said at the time of the stop."""
    return entry_body(replace(case, now=stop_.at), case.progress.candidate, case.progress.plan)


def _stopped_with(progress: Progress, stop_: Stop) -> tuple[str, ...]:
    """The digests that were stopped together with the one that the stop is about: a newer candidate."""
    at = progress.stopped.index(stop_.digest) if stop_.digest in progress.stopped else len(progress.stopped)
    return progress.stopped[at + 1 :]


def _behind(case: Case, stop_: Stop) -> tuple[Decision, ...]:
    """The decisions that this stop used up, so that its record names them."""
    return tuple(decision for decision in in_order(case.observed.decisions) if decision.uid in stop_.decisions)


def _withdraw(case: Case, progress: Progress, unit: UnitRef) -> Step:
    assert progress.stable is not None
    if not share_of(case, unit).is_zero and refuge(case, progress.stable, unit) != progress.stable:
        message = f"the spec names {progress.stable.version} again, but {progress.stable.backend} has no ready endpoint"
        return Step(case.progress, holds=(Hold("NoSafePath", message),))
    message = f"the spec names {progress.stable.version} again: {unit.version} is withdrawn, no canary needed"
    chained = record(case, RecordKind.WITHDRAWN, message, withdrawn=unit_body(unit), stable=unit_body(progress.stable))
    past = PastOutcome(unit.version, unit.digest, "Withdrawn", message, case.now)
    settled = replace(_settled(case, progress), head=chained.head, outcomes=(past, *progress.outcomes)[:KEPT_OUTCOMES])
    target = Target(base=progress.diverted or progress.stable, other=unit, exposure=uniform(case.segments, 0))
    return Step(
        settled,
        (SetRoutes(target, Intention.LOWER), WriteRecord(chained), Save(settled), Emit("Withdrawn", message)),
    )


def _settled(case: Case, progress: Progress) -> Progress:
    to = State.WATCHING if progress.watch and progress.state in WATCHED_IN else State.SETTLED
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
