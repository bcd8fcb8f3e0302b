"""Moves that keep order and raise nothing: pauses noted, foreign changes answered, the watch ended, routes tidied."""

from dataclasses import replace

from modelrelease.domain.decision import Action as Said
from modelrelease.domain.decision import Decision, in_order
from modelrelease.domain.evidence import Cause
from modelrelease.domain.exposure import uniform
from modelrelease.domain.plan import OnDrift
from modelrelease.domain.record import RecordKind
from modelrelease.domain.release import IN_TRAFFIC, PastOutcome, State
from modelrelease.domain.traffic import RouteView, Target
from modelrelease.domain.verdict import Outcome
from modelrelease.engine.actions import Action, Emit, Hold, Intention, Save, SetRoutes, Step, WriteRecord
from modelrelease.engine.case import Case, fits, later, target_of
from modelrelease.engine.lowering import KEPT_OUTCOMES
from modelrelease.engine.records import decision_body, record, unit_body
from modelrelease.engine.states import Trigger, transition


def note_pause(case: Case) -> Step | None:
    """Record a Pause or a Resume by a person, with who and why (R17)."""
    newest = _newest_pause_or_resume(case)
    paused_by = newest.uid if newest and newest.action is Said.PAUSE else None
    if paused_by == case.progress.paused_by:
        return None
    if newest is None:
        progress = replace(case.progress, paused_by=None)
        return Step(progress, (Save(progress),))
    word = "paused" if paused_by else "resumed"
    message = f"{word} by {newest.author}: {newest.reason}"
    kind = RecordKind.PAUSED if paused_by else RecordKind.RESUMED
    chained = record(case, kind, message, decisions=decision_body([newest]))
    progress = replace(case.progress, paused_by=paused_by, head=chained.head)
    return Step(progress, (WriteRecord(chained), Save(progress), Emit(kind.value, message)))


def reject_foreign_change(case: Case) -> Step | None:
    """Somebody else changed the owned weights or the form of the route: show it, and restore or hold as configured.

    Restoring never gives the candidate more than it has now (S3); a candidate whose share was lowered by somebody
    else starts over at the first stage. What rose was already taken back by `lowering.lower_what_rose`.
    """
    progress = case.progress
    target = target_of(case, progress)
    if target is None or progress.state not in (State.OBSERVING, State.WATCHING, State.SETTLED, State.STOPPED):
        return None
    strays = [view for view in case.observed.routes if not fits(view, target, case.segments)]
    if not strays or all(_only_untidy(view, target, case) for view in strays):
        return None
    view = strays[0]
    if not view.exists or view.problem:
        what = f"HTTPRoute {view.name} is gone" if not view.exists else f"HTTPRoute {view.name}: {view.problem}"
        return Step(progress, holds=(Hold("Drifted", what),), drifted=what)
    message = f"HTTPRoute {view.name} was changed by somebody else: it says {_arms(view)}"
    plan = case.plan
    if (plan and plan.on_drift is OnDrift.HOLD) or progress.state is State.WATCHING:
        return Step(progress, holds=(Hold("Drifted", message),), drifted=message)
    actions: tuple[Action, ...]
    if progress.state is State.OBSERVING:
        zero = replace(target, exposure=uniform(case.segments, 0))
        begun = replace(
            progress,
            state=transition(State.OBSERVING, Trigger.RESTART, State.PREPARING),
            since=case.now,
            stage=-1,
            stage_since=None,
            rollout_since=None,
            exposure=uniform(case.segments, 0),
            no_data_since=(),
        )
        chained = record(case, RecordKind.SUPERSEDED, f"{message}; starting over", candidate=unit_body(target.other))
        begun = replace(begun, head=chained.head)
        actions = (SetRoutes(zero, Intention.LOWER), WriteRecord(chained), Save(begun))
        return Step(begun, (*actions, Emit("Drifted", message, warning=True)), drifted=message)
    actions = (SetRoutes(target, Intention.LOWER if target.other else Intention.LAYOUT),)
    return Step(progress, (*actions, Emit("Drifted", message, warning=True)), drifted=message)


def finish_watch(case: Case) -> Step | None:
    """The watch is over: the unit has proven itself, the fallback is let go. Missing evidence keeps it open."""
    progress, watch = case.progress, case.progress.watch
    if watch is None or progress.state not in IN_TRAFFIC | {State.WATCHING}:
        return None
    if case.now < watch.until:
        return None if progress.state in IN_TRAFFIC or _starts(case) else Step(progress, wake_at=watch.until)
    blind = next((v for v in case.observed.watch_verdicts if _blind(v.outcome, v.cause)), None)
    if blind is not None and progress.state is State.WATCHING and not _starts(case):
        hold = Hold("EvidenceMissing", f"the watch stays open: gate {blind.key}: {blind.sentence}")
        return Step(progress, holds=(hold,), wake_at=later(case.now, 60))
    message = f"{watch.unit.version} came through its watch"
    chained = record(case, RecordKind.WATCH_COMPLETED, message, stable=unit_body(watch.unit))
    past = PastOutcome(watch.unit.version, watch.unit.digest, "WatchCompleted", message, case.now)
    over = replace(
        progress,
        watch=None,
        fallback=None,
        head=chained.head,
        outcomes=(past, *progress.outcomes)[:KEPT_OUTCOMES],
    )
    if progress.state is State.WATCHING:
        settled = transition(State.WATCHING, Trigger.WATCHED, State.SETTLED)
        over = replace(over, state=settled, since=case.now, plan=None)
    return Step(over, (WriteRecord(chained), Save(over), Emit("WatchCompleted", message)))


def tidy(case: Case) -> Step | None:
    """At rest the route has one arm and no segment rules. A layout write; nobody's share changes."""
    progress = case.progress
    target = target_of(case, progress)
    if target is None or progress.state is not State.SETTLED or case.observed.conflict:
        return None
    steerable = [view for view in case.observed.routes if view.exists and not view.problem]
    if all(fits(view, target, case.segments) for view in steerable):
        return None
    return Step(progress, (SetRoutes(target, Intention.LAYOUT),))


def _starts(case: Case) -> bool:
    wanted, progress = case.wanted, case.progress
    return bool(
        wanted and progress.stable and wanted.digest != progress.stable.digest and wanted.digest not in progress.stopped
    )


def _blind(outcome: Outcome, cause: Cause | None) -> bool:
    return outcome is Outcome.NO_DATA and cause in (Cause.MISSING, Cause.BROKEN, Cause.SOURCE_DOWN)


def _only_untidy(view: RouteView, target: Target, case: Case) -> bool:
    """At rest: the stable arm has everything, only segment rules or an arm at zero are left over."""
    if not view.exists or view.problem or case.progress.state is not State.SETTLED:
        return False
    return all(
        rule.explicit and sum(arm.permille for arm in rule.arms if arm.revision == target.base.revision) == 1000
        for rule in view.rules
    )


def _newest_pause_or_resume(case: Case) -> Decision | None:
    said = [
        decision
        for decision in in_order(case.observed.decisions)
        if decision.action in (Said.PAUSE, Said.RESUME) and decision.release_uid in (None, case.release.uid)
    ]
    return said[-1] if said else None


def _arms(view: RouteView) -> str:
    rules = [
        f"{rule.rule}: " + ", ".join(f"{arm.revision or arm.backend} {arm.permille / 10:g} %" for arm in rule.arms)
        for rule in view.rules
    ]
    return "; ".join(rules) or "nothing that is ours"
