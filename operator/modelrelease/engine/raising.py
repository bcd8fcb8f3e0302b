"""Moves that bring a candidate on its way and raise its exposure, each only after its whole chain of checks.

Their order of writes is record → status (intent) → route → confirmed by the route's accepted status; what becomes of
an intent is in `intents`.
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
from modelrelease.engine.approving import ask, changers, joined, used_approvals
from modelrelease.engine.case import (
    Case,
    candidate_share,
    fits,
    later,
    serves_all,
    target_of,
)
from modelrelease.engine.checks import (
    BEFORE_FIRST,
    BETWEEN,
    MISFIT,
    TO_COMPLETE,
    counted_before,
    holds,
    promote_decision,
    relevant,
)
from modelrelease.engine.entry import entry_body, impact_body
from modelrelease.engine.images import images_body, kept, noted, noted_events
from modelrelease.engine.lowering import KEPT_OUTCOMES, nobody_to_take_it
from modelrelease.engine.records import decision_body, exposure_body, governed_body, judged_body, record, unit_body
from modelrelease.engine.repolicy import by_policy, in_short
from modelrelease.engine.risks import used_risks
from modelrelease.engine.states import Trigger, transition
from modelrelease.engine.train import train_body
from modelrelease.governance.approvals import tighter as more_approvals
from modelrelease.governance.tightening import tightens as entry_tightens
from modelrelease.governance.train import narrows

RECOUNT_S = 300.0


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
        if new == old or by_policy(new, old):
            return None
        if only_tighter(new, old, case.now):
            return _tighten(case, new)
        return _restart(case, wanted, new, f"the plan changed by more than tighter bounds{_changes(old, new)}")
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
        return ask(case, found) or Step(progress, holds=found, wake_at=_earliest(found))
    return _raise(case)


def advance(case: Case) -> Step | None:
    """In a stage: raise to the next one, or complete after the last, when nothing holds.

    A stage without a beginning was interrupted by somebody else's change: it begins anew. So does one whose split was
    spoiled by a change that nobody noted, because the process died or it was over between two looks.
    """
    progress = case.progress
    if progress.state is not State.OBSERVING:
        return None
    if progress.stage_since is None:
        again = replace(progress, since=case.now, stage_since=case.now)
        return Step(again, (Save(again),))
    last = case.next_stage is None
    found = tuple(holds(case, TO_COMPLETE if last else BETWEEN))
    if any(hold.reason == MISFIT for hold in found) and case.since(progress.stage_since) >= _counted_at_least(case):
        again = replace(progress, stage_since=case.now)
        return Step(again, (Save(again),), holds=found)
    if found:
        return ask(case, found) or Step(progress, holds=found, wake_at=_earliest(found))
    return _complete(case) if last else _raise(case)


def _counted_at_least(case: Case) -> float:
    """How long a split that does not fit is counted before it is counted anew: each time as long as all before.

    So a gateway that sends something else is found again each time, and the status is written ever more rarely.
    """
    return max(RECOUNT_S, counted_before(case))


def only_tighter(new: Plan, old: Plan, now: datetime) -> bool:
    """Whether `new` differs from `old` only by bounds and entry demands as strict and a train as narrow (R7).

    A lower tier is never tighter. How old evidence may be follows its source's scrapes, and is no demand of the plan.
    """
    rest = replace(new, gates=old.gates, entry=old.entry, train=old.train, governed=old.governed)
    rest = replace(rest, approvals=old.approvals, limits=replace(new.limits, fresh_s=old.limits.fresh_s))
    if rest != old or len(new.gates) != len(old.gates) or not entry_tightens(new.entry, old.entry):
        return False
    if new.governed and old.governed and new.governed.tier.rank < old.governed.tier.rank:
        return False
    if not narrows(new.train, old.train, now) or not more_approvals(new.approvals, old.approvals):
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
    promoted = promote_decision(case)
    used, images = [*used_approvals(case), *([promoted] if promoted else [])], noted(case)
    message = f"{progress.candidate.version} goes to stage {upcoming.name}: {upcoming.exposure}"
    chained = record(
        case,
        RecordKind.RAISED,
        message,
        candidate=unit_body(progress.candidate),
        stable=unit_body(progress.stable),
        plan=plan.digest,
        **governed_body(plan),
        stage=upcoming.name,
        before=exposure_body(progress.exposure),
        after=exposure_body(upcoming.exposure),
        samples=case.observed.samples,
        **judged_body(case),
        entry=entry_body(case, progress.candidate, plan),
        impact=impact_body(case, progress.candidate, plan),
        images=images_body(case, images),
        decisions=decision_body([*used, *used_risks(case, relevant(case))]),
        **train_body(case),
    )
    name, uids = record_name(case.release.name, chained.sequence), tuple(decision.uid for decision in used)
    raising = replace(
        progress,
        state=transition(progress.state, Trigger.RAISE, State.RAISING),
        since=case.now,
        exposure=upcoming.exposure,
        intent=Intent(progress.stage + 1, name, case.now, case.observed.process, uids),
        handled=(*progress.handled, *uids),
        head=chained.head,
        habits=progress.habits if case.stage else case.observed.habits or (),
        asking=None,
        images=images,
    )
    target = target_of(case, raising)
    assert target is not None
    return Step(
        raising,
        (
            WriteRecord(chained),
            Save(raising),
            SetRoutes(replace(target, record=name), Intention.RAISE),
            *noted_events(case, images),
        ),
    )


def _complete(case: Case) -> Step:
    progress, plan = case.progress, case.plan
    assert plan is not None and progress.candidate is not None and progress.stable is not None
    unit, promoted = progress.candidate, promote_decision(case)
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
        **judged_body(case),
        impact=impact_body(case, unit, plan),
        images=images_body(case, case.progress.images),
        decisions=decision_body([promoted]) if promoted else None,
    )
    past = PastOutcome(unit.version, unit.digest, "Completed", message, case.now)
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
        habits=(),
        head=chained.head,
        outcomes=(past, *progress.outcomes)[:KEPT_OUTCOMES],
    )
    return Step(done, (WriteRecord(chained), Save(done), Emit("Completed", message)))


def _begin(case: Case, progress: Progress, unit: UnitRef, plan: Plan) -> Progress:
    under_way = progress.changed_by if progress.state in IN_TRAFFIC else ()
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
        habits=(),
        stable_ready=case.ready(progress.stable) if progress.stable else None,
        stopped=tuple(digest for digest in progress.stopped if digest != unit.digest),
        proposed_at=case.now,
        changed_by=joined(under_way, changers(case.release, plan)),
        asking=None,
        images=kept(progress, unit),
    )


def _start(case: Case, wanted: UnitRef, plan: Plan, retries: list[Decision]) -> Step:
    """Begin at the first stage. A Retry first lifts the mark from the route: from then on a mark is a new stop (S3)."""
    assert case.release.unit is not None
    progress = _begin(case, case.progress, wanted, plan)
    if retries:
        again = tuple(held for held in progress.images if held.digest != wanted.digest)
        progress = replace(progress, proposed_at=retries[0].created_at, images=again)
    tier = f" in tier {plan.governed.tier.value}" if plan.governed else ""
    message = f"{wanted.version} starts{tier}: {len(plan.stages)} stages, {len(plan.gates)} gates"
    chained = record(
        case,
        RecordKind.RETRIED if retries else RecordKind.STARTED,
        f"{message} (again, by {retries[0].author}: {retries[0].reason})" if retries else message,
        candidate=unit_body(wanted),
        stable=unit_body(progress.stable),
        plan=plan.digest,
        **governed_body(plan, case.release.standing),
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
    if not candidate_share(case).is_zero and (hold := nobody_to_take_it(case)):
        return Step(progress, holds=(hold,))
    message = f"{old.version} starts over: {why}" if wanted == old else f"{old.version} is given up: {why}"
    governed = governed_body(plan, case.release.standing) if wanted is not None else {}
    bodies = {"given_up": unit_body(old), "candidate": unit_body(wanted), **governed}
    chained = record(case, RecordKind.SUPERSEDED, message, **bodies)
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


def _changes(old: Plan | None, new: Plan) -> str:
    said = in_short(old, new) if old else ""
    return f": {said}" if said else ""


def _tighten(case: Case, plan: Plan) -> Step:
    old = case.progress.plan
    message = f"tighter bounds apply in place{_changes(old, plan)}"
    chained = record(case, RecordKind.TIGHTENED, message, plan=plan.digest, previousPlan=old.digest if old else None)
    changed_by = joined(case.progress.changed_by, changers(case.release, plan))
    progress = replace(case.progress, plan=plan, head=chained.head, asking=None, changed_by=changed_by)
    return Step(progress, (WriteRecord(chained), Save(progress), Emit("PlanTightened", message)))


def _earliest(found: tuple[Hold, ...]) -> datetime | None:
    return min((hold.until for hold in found if hold.until), default=None)
