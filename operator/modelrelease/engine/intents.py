"""A raise that was decided: carried out again, confirmed by the gateway, or called void (S5).

Only the process that decided it may carry it out, while its evidence is fresh and nothing holds: in any other case
the decision is made anew. Trusting an intent because the status says so was rejected: a process that stood still for
an hour would raise on the evidence of an hour ago.
"""

from dataclasses import replace

from modelrelease.domain.record import RecordKind
from modelrelease.domain.release import Intent, Progress, State
from modelrelease.domain.traffic import Target
from modelrelease.engine.actions import (
    Action,
    Emit,
    Hold,
    Intention,
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
    target_of,
)
from modelrelease.engine.checks import (
    STILL,
    evidence_is_there,
    holds,
    source_answers,
)
from modelrelease.engine.lowering import nobody_to_take_it
from modelrelease.engine.records import record
from modelrelease.engine.states import Trigger, transition


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
    A record that the status does not know of may say that this raise is void: then it is decided anew as well.
    """
    plan = case.plan
    if case.observed.head.sequence > case.progress.head.sequence:
        return False
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
    """Back to before the raise. Where nothing rose, what people said for it counts for the very same raise again."""
    back = replace(_before_intent(case), since=case.now)
    lowers = not candidate_share(case).within(back.exposure)
    if lowers and (hold := nobody_to_take_it(case)):
        return Step(case.progress, holds=(hold,))
    if lowers and back.stage_since:
        back = replace(back, stage_since=case.now)
    returned = () if lowers else intent.decisions
    message = f"the raise decided in {intent.record} was not carried out in time: it is decided anew"
    chained = record(case, RecordKind.INTENT_VOID, message, intent=intent.record, returned=list(returned) or None)
    handled = tuple(uid for uid in back.handled if uid not in returned)
    back = replace(back, head=chained.head, handled=handled)
    actions: tuple[Action, ...] = (WriteRecord(chained), Save(back), Emit("IntentVoid", message))
    target = target_of(case, back)
    if target is not None and lowers:
        actions = (SetRoutes(target, Intention.LOWER), *actions)
    return Step(back, actions)
