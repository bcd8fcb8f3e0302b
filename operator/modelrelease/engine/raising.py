"""Moves that bring a candidate on its way and raise its exposure, each only after its whole chain of checks.

Their order of writes is record → status (intent) → route → confirmed by the route's accepted status. An intent that
was not carried out is void in another process, or once its evidence is stale: the decision is made anew.
"""

from dataclasses import replace
from datetime import datetime

from modelrelease.domain.decision import Action as Said
from modelrelease.domain.decision import Decision
from modelrelease.domain.exposure import uniform
from modelrelease.domain.gate import tightens
from modelrelease.domain.plan import OnDrift, Plan
from modelrelease.domain.record import RecordKind, record_name
from modelrelease.domain.release import IN_TRAFFIC, Intent, PastOutcome, Progress, State, Watch
from modelrelease.domain.traffic import Target
from modelrelease.domain.unit import UnitRef
from modelrelease.engine.actions import (
    Action,
    AddFinalizer,
    Emit,
    Hold,
    Intention,
    KeepUnit,
    Save,
    SetRoutes,
    Step,
    WriteRecord,
)
from modelrelease.engine.case import (
    Case,
    all_accepted,
    candidate_share,
    entered_exposure,
    fits,
    later,
    serves_all,
    target_of,
)
from modelrelease.engine.checks import (
    BEFORE_FIRST,
    BETWEEN,
    STILL,
    TO_COMPLETE,
    approval,
    evidence_is_there,
    holds,
    promote_decision,
    source_answers,
)
from modelrelease.engine.lowering import KEPT_OUTCOMES
from modelrelease.engine.records import decision_body, exposure_body, record, unit_body, verdict_body
from modelrelease.engine.states import Trigger, transition


def follow_spec(case: Case) -> Step | None:
    """The spec changed in mid-rollout: tighter bounds apply in place, anything else starts over (S13).

    A spec with faults changes nothing: the candidate in flight is judged on by the plan that it started with.
    """
    progress, wanted, new = case.progress, case.wanted, case.release.plan
    if progress.state not in IN_TRAFFIC or progress.candidate is None or wanted is None or new is None:
        return None
    if case.release.faults:
        return None
    old = progress.plan
    if wanted.digest == progress.candidate.digest and old is not None:
        if new == old:
            return None
        if only_tighter(new, old):
            return _tighten(case, new)
        return _restart(case, wanted, new, "the plan changed by more than tighter bounds")
    if wanted.digest in progress.stopped:
        return _restart(case, None, new, f"the spec names {wanted.version}, which was stopped before")
    return _restart(case, wanted, new, f"the spec names {wanted.version} now")


def start(case: Case) -> Step | None:
    """A unit that is not stable and was not stopped, or a person's Retry: begin a rollout at the first stage."""
    progress, wanted, plan = case.progress, case.wanted, case.release.plan
    if progress.state not in (State.SETTLED, State.WATCHING, State.STOPPED):
        return None
    if wanted is None or plan is None or progress.stable is None or wanted.digest == progress.stable.digest:
        return None
    if case.release.faults or case.observed.conflict:
        return None
    stopped = wanted.digest in progress.stopped
    retries = [said for said in case.decisions(Said.RETRY) if said.digest == wanted.digest] if stopped else []
    if stopped and not retries:
        return None
    if progress.diverted is not None:
        return Step(progress, holds=(Hold("NoSafePath", "stable has no ready endpoint: nothing new starts"),))
    return _start(case, wanted, plan, retries)


def prepare(case: Case) -> Step | None:
    """Bring the routes into the form for two arms, the candidate at zero, then enter the first stage."""
    progress = case.progress
    if progress.state is not State.PREPARING or progress.candidate is None:
        return None
    target = target_of(case, progress)
    assert target is not None
    if any(not fits(view, target, case.segments) for view in case.observed.routes):
        problem = next((view.problem for view in case.observed.routes if view.problem), None)
        if problem or case.observed.conflict:
            reason = "RouteConflict" if case.observed.conflict else "RouteUnusable"
            return Step(progress, holds=(Hold(reason, case.observed.conflict or problem or ""),))
        if any(view.exists and not serves_all(view, target.base) for view in case.observed.routes):
            return _prepare_drifted(case, target)
        return Step(progress, (SetRoutes(target, Intention.LAYOUT),))
    found = tuple(holds(case, BEFORE_FIRST))
    if found:
        return Step(progress, holds=found, wake_at=_earliest(found))
    return _raise(case)


def advance(case: Case) -> Step | None:
    """In a stage: raise to the next one, or complete after the last, when nothing holds."""
    progress = case.progress
    if progress.state is not State.OBSERVING:
        return None
    last = case.next_stage is None
    found = tuple(holds(case, TO_COMPLETE if last else BETWEEN))
    if found:
        return Step(progress, holds=found, wake_at=_earliest(found))
    return _complete(case) if last else _raise(case)


def confirm(case: Case) -> Step | None:
    """A raise was decided: carry it out, wait for the gateway, or call the intent void."""
    progress, intent, plan = case.progress, case.progress.intent, case.plan
    if progress.state is not State.RAISING or intent is None or plan is None:
        return None
    target = target_of(case, progress)
    assert target is not None and progress.candidate is not None
    if all(fits(view, target, case.segments) for view in case.observed.routes):
        if not all_accepted(case):
            wake = later(intent.decided_at, plan.limits.route_confirm_s)
            return Step(progress, holds=(Hold("RouteNotAccepted", "waiting for the gateway", wake),), wake_at=wake)
        return _confirmed(case, intent)
    if _may_still_happen(case, intent, target):
        return Step(progress, (SetRoutes(replace(target, record=intent.record), Intention.RAISE),))
    return _void(case, intent)


def _may_still_happen(case: Case, intent: Intent, target: Target) -> bool:
    """Whether a raise that was decided may be written again.

    Only by the process that decided it, while its evidence is fresh, while nothing holds, and while each route either
    is as it was then or has been raised already: anything else somebody else has written, and a raise would undo it.
    """
    plan = case.plan
    if plan is None or intent.process != case.observed.process or case.since(intent.decided_at) > plan.limits.fresh_s:
        return False
    before = _before_intent(case)
    earlier = replace(target, exposure=before.exposure)
    forms = (earlier, target)
    if not all(any(fits(view, form, case.segments) for form in forms) for view in case.observed.routes):
        return False
    evidence = evidence_is_there if before.stage >= 0 else source_answers
    return not any(holds(replace(case, progress=before), (*STILL, evidence)))


def _before_intent(case: Case) -> Progress:
    """The progress as it was before the raise was decided: in the stage entered last, or preparing."""
    to = State.OBSERVING if case.stage else State.PREPARING
    return replace(
        case.progress,
        state=transition(State.RAISING, Trigger.VOID, to),
        exposure=entered_exposure(case),
        intent=None,
    )


def only_tighter(new: Plan, old: Plan) -> bool:
    """Whether `new` differs from `old` only by gate bounds that demand at least as much (R7)."""
    if replace(new, gates=()) != replace(old, gates=()) or len(new.gates) != len(old.gates):
        return False
    return all(
        replace(theirs, rule=ours.rule) == ours and tightens(ours.rule, theirs.rule)
        for ours, theirs in zip(new.gates, old.gates, strict=True)
    )


def _prepare_drifted(case: Case, target: Target) -> Step:
    """Before the first stage somebody else moved traffic away from stable: give it back, or hold as configured."""
    message = "somebody else changed the route while the release was being prepared"
    hold = Hold("Drifted", message)
    if case.plan and case.plan.on_drift is OnDrift.HOLD:
        return Step(case.progress, holds=(hold,), drifted=message)
    actions = (SetRoutes(target, Intention.LOWER), Emit("Drifted", message, warning=True))
    return Step(case.progress, actions, holds=(hold,), drifted=message)


def _raise(case: Case) -> Step:
    progress, upcoming, plan = case.progress, case.next_stage, case.plan
    assert upcoming is not None and plan is not None and progress.candidate is not None
    approvals = [found for role in upcoming.approvals if (found := approval(case, role, upcoming))]
    promoted = promote_decision(case)
    used = [*approvals, *([promoted] if promoted else [])]
    message = f"{progress.candidate.version} goes to stage {upcoming.name}: {upcoming.exposure}"
    chained = record(
        case,
        RecordKind.RAISED,
        message,
        candidate=unit_body(progress.candidate),
        stable=unit_body(progress.stable),
        plan=plan.digest,
        stage=upcoming.name,
        before=exposure_body(progress.exposure),
        after=exposure_body(upcoming.exposure),
        samples=case.observed.samples,
        verdicts=verdict_body(case.observed.verdicts),
        decisions=decision_body(used),
    )
    name = record_name(case.release.name, chained.sequence)
    raising = replace(
        progress,
        state=transition(progress.state, Trigger.RAISE, State.RAISING),
        since=case.now,
        exposure=upcoming.exposure,
        intent=Intent(progress.stage + 1, name, case.now, case.observed.process),
        handled=(*progress.handled, *(decision.uid for decision in used)),
        head=chained.head,
    )
    target = target_of(case, raising)
    assert target is not None
    return Step(
        raising,
        (WriteRecord(chained), Save(raising), SetRoutes(replace(target, record=name), Intention.RAISE)),
    )


def _confirmed(case: Case, intent: Intent) -> Step:
    progress, plan = case.progress, case.plan
    assert plan is not None and progress.candidate is not None
    stage = plan.stages[intent.stage]
    observing = replace(
        progress,
        state=transition(State.RAISING, Trigger.CONFIRM, State.OBSERVING),
        since=case.now,
        stage=intent.stage,
        stage_since=case.now,
        rollout_since=progress.rollout_since or case.now,
        intent=None,
    )
    message = f"{progress.candidate.version} is in stage {stage.name}: {stage.exposure}"
    return Step(
        observing, (Save(observing), Emit("StageEntered", message)), wake_at=later(case.now, stage.min_duration_s)
    )


def _void(case: Case, intent: Intent) -> Step:
    back = replace(_before_intent(case), since=case.now)
    lowers = not candidate_share(case).within(back.exposure)
    if lowers and back.stage_since:
        back = replace(back, stage_since=case.now)
    message = f"the raise decided in {intent.record} was not carried out in time: it is decided anew"
    chained = record(case, RecordKind.INTENT_VOID, message, intent=intent.record)
    back = replace(back, head=chained.head)
    actions: tuple[Action, ...] = (WriteRecord(chained), Save(back), Emit("IntentVoid", message))
    target = target_of(case, back)
    if target is not None and lowers:
        actions = (SetRoutes(target, Intention.LOWER), *actions)
    return Step(back, actions)


def _complete(case: Case) -> Step:
    progress, plan = case.progress, case.plan
    assert plan is not None and progress.candidate is not None and progress.stable is not None
    unit = progress.candidate
    message = f"{unit.version} has all traffic and is stable now"
    if plan.watch_s:
        message += f"; it is watched for {plan.watch_s // 3600} h" if plan.watch_s >= 7200 else "; it is watched"
    chained = record(
        case,
        RecordKind.COMPLETED,
        message,
        stable=unit_body(unit),
        previous=unit_body(progress.stable),
        plan=plan.digest,
        verdicts=verdict_body(case.observed.verdicts),
    )
    past = PastOutcome(unit.version, unit.digest, "Completed", message, case.now)
    promoted = promote_decision(case)
    done = replace(
        progress,
        handled=(*progress.handled, promoted.uid) if promoted else progress.handled,
        state=transition(State.OBSERVING, Trigger.COMPLETE, State.WATCHING if plan.watch_s else State.SETTLED),
        since=case.now,
        stable=unit,
        candidate=None,
        fallback=(progress.fallback if progress.watch else progress.stable) if plan.watch_s else None,
        watch=Watch(unit, case.now, later(case.now, plan.watch_s)) if plan.watch_s else None,
        plan=plan if plan.watch_s else None,
        stage=-1,
        stage_since=None,
        rollout_since=None,
        exposure=uniform(case.segments, 0),
        stop=None,
        no_data_since=(),
        head=chained.head,
        outcomes=(past, *progress.outcomes)[:KEPT_OUTCOMES],
    )
    return Step(done, (WriteRecord(chained), Save(done), Emit("Completed", message)))


def _begin(case: Case, progress: Progress, unit: UnitRef, plan: Plan) -> Progress:
    return replace(
        progress,
        since=case.now,
        candidate=unit,
        plan=plan,
        stage=-1,
        stage_since=None,
        rollout_since=None,
        exposure=uniform(case.segments, 0),
        intent=None,
        stop=None,
        no_data_since=(),
        stable_ready=case.ready(progress.stable) if progress.stable else None,
        stopped=tuple(digest for digest in progress.stopped if digest != unit.digest),
    )


def _start(case: Case, wanted: UnitRef, plan: Plan, retries: list[Decision]) -> Step:
    """Begin at the first stage. A Retry first lifts the mark from the route: from then on a mark is a new stop (S3)."""
    assert case.release.unit is not None
    progress = _begin(case, case.progress, wanted, plan)
    message = f"{wanted.version} starts: {len(plan.stages)} stages, {len(plan.gates)} gates"
    chained = record(
        case,
        RecordKind.RETRIED if retries else RecordKind.STARTED,
        f"{message} (again, by {retries[0].author}: {retries[0].reason})" if retries else message,
        candidate=unit_body(wanted),
        stable=unit_body(progress.stable),
        plan=plan.digest,
        decisions=decision_body(retries),
    )
    progress = replace(
        progress,
        state=transition(case.progress.state, Trigger.START, State.PREPARING),
        handled=(*progress.handled, *(decision.uid for decision in retries)),
        head=chained.head,
    )
    target = target_of(case, progress)
    assert target is not None
    marked = any(view.stopped == wanted.digest for view in case.observed.routes)
    first: tuple[Action, ...] = (SetRoutes(replace(target, stopped=""), Intention.LAYOUT),) if marked else ()
    return Step(
        progress,
        (
            AddFinalizer(),
            KeepUnit(case.release.unit),
            *first,
            WriteRecord(chained),
            Save(progress),
            SetRoutes(target, Intention.LAYOUT),
            Emit("Started", message),
        ),
    )


def _restart(case: Case, wanted: UnitRef | None, plan: Plan, why: str) -> Step:
    progress, old = case.progress, case.progress.candidate
    assert old is not None and progress.stable is not None and case.release.unit is not None
    message = f"{old.version} starts over: {why}" if wanted == old else f"{old.version} is given up: {why}"
    chained = record(case, RecordKind.SUPERSEDED, message, given_up=unit_body(old), candidate=unit_body(wanted))
    begun = _begin(case, progress, wanted or old, plan)
    begun = replace(begun, state=transition(progress.state, Trigger.RESTART, State.PREPARING), head=chained.head)
    if wanted is None:
        to = State.WATCHING if progress.watch else State.SETTLED
        begun = replace(begun, state=transition(State.PREPARING, Trigger.WITHDRAW, to), candidate=None)
        begun = replace(begun, plan=progress.plan if progress.watch else None, stopped=progress.stopped)
    actions: list[Action] = []
    if not candidate_share(case).is_zero:
        zero = Target(base=progress.stable, other=old, exposure=uniform(case.segments, 0))
        actions.append(SetRoutes(zero, Intention.LOWER))
    if wanted is not None and wanted != old:
        actions.append(KeepUnit(case.release.unit))
    actions += [WriteRecord(chained), Save(begun), Emit("Superseded", message)]
    return Step(begun, tuple(actions))


def _tighten(case: Case, plan: Plan) -> Step:
    message = "tighter gate bounds apply in place"
    old = case.progress.plan
    chained = record(case, RecordKind.TIGHTENED, message, plan=plan.digest, previousPlan=old.digest if old else None)
    progress = replace(case.progress, plan=plan, head=chained.head)
    return Step(progress, (WriteRecord(chained), Save(progress), Emit("PlanTightened", message)))


def _earliest(found: tuple[Hold, ...]) -> datetime | None:
    return min((hold.until for hold in found if hold.until), default=None)
