"""Moves that keep order and raise nothing: pauses noted, foreign changes answered, the watch ended, routes tidied."""

from collections.abc import Iterable
from dataclasses import replace

from modelrelease.domain.decision import Action as Said
from modelrelease.domain.decision import Decision, in_order
from modelrelease.domain.evidence import Cause
from modelrelease.domain.exposure import uniform
from modelrelease.domain.gate import Phase
from modelrelease.domain.plan import OnDrift
from modelrelease.domain.record import RecordKind
from modelrelease.domain.release import IN_TRAFFIC, PastOutcome, Progress, State
from modelrelease.domain.traffic import RouteView, Target
from modelrelease.domain.verdict import Outcome
from modelrelease.engine.actions import Action, Emit, Hold, Intention, Save, SetRoutes, Step, WriteRecord
from modelrelease.engine.case import Case, fits, later, serves_all, target_of
from modelrelease.engine.checks import current
from modelrelease.engine.lowering import KEPT_OUTCOMES, WATCHED_IN
from modelrelease.engine.records import decision_body, judged_body, record, unit_body
from modelrelease.engine.states import Trigger, transition


def note_pause(case: Case) -> Step | None:
    """Record a Pause or a Resume by a person, with who and why (R17).

    Only a Resume ends a pause: that the Pause object was deleted says nothing about who wanted what. What was said
    before the newest that is used already says nothing any more, also where a lost status forgot that it was used.
    """
    new = [*case.decisions(Said.PAUSE), *case.decisions(Said.RESUME)]
    newest = newest_pause_or_resume(new, case.release.uid)
    believed = (said for said in case.observed.decisions if said.counts or said.uid in case.progress.handled)
    latest = newest_pause_or_resume(believed, case.release.uid)
    if newest is None or latest is None or newest.created_at < latest.created_at:
        return None
    if newest.action is Said.RESUME and case.progress.paused_by is None:
        return None
    paused_by = newest.uid if newest.action is Said.PAUSE else None
    word = "paused" if paused_by else "resumed"
    message = f"{word} by {newest.author}: {newest.reason}"
    kind = RecordKind.PAUSED if paused_by else RecordKind.RESUMED
    chained = record(case, kind, message, decisions=decision_body([newest]))
    handled = (*case.progress.handled, *(decision.uid for decision in new))
    progress = replace(case.progress, paused_by=paused_by, handled=handled, head=chained.head)
    return Step(progress, (WriteRecord(chained), Save(progress), Emit(kind.value, message)))


def reject_foreign_change(case: Case) -> Step | None:
    """Somebody else changed the owned weights or the form of the route: show it, and restore or hold as configured.

    Restoring never gives the candidate more than it has now (S3); a candidate whose share was lowered by somebody
    else starts over at the first stage. What rose was already taken back by `lowering.lower_what_rose`. An own route
    that was deleted is made again, with everything on stable.
    """
    progress = case.progress
    target = target_of(case, progress)
    if target is None or progress.state not in (State.OBSERVING, State.WATCHING, State.SETTLED, State.STOPPED):
        return None
    strays = [view for view in case.observed.routes if not fits(view, target, case.segments)]
    if not strays or all(_only_untidy(view, case) for view in strays):
        return None
    if case.observed.conflict:
        return _interrupted(progress, Hold("RouteConflict", case.observed.conflict))
    view = strays[0]
    remade = not view.exists and bool(case.release.traffic.gateways)
    if (not view.exists or view.problem) and not remade:
        what = f"HTTPRoute {view.name} is gone" if not view.exists else f"HTTPRoute {view.name}: {view.problem}"
        return _interrupted(progress, Hold("Drifted", what), drifted=what)
    what = f"was changed by somebody else: it says {_arms(view)}" if view.exists else "was deleted by somebody else"
    message = f"HTTPRoute {view.name} {what}"
    plan = case.plan
    if (plan and plan.on_drift is OnDrift.HOLD) or (progress.state is State.WATCHING and not remade):
        return _interrupted(progress, Hold("Drifted", message), drifted=message)
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
    whole = Target(base=progress.diverted or progress.stable or target.base)
    actions = (SetRoutes(whole, Intention.LAYOUT) if remade else SetRoutes(target, Intention.LOWER),)
    return Step(progress, (*actions, Emit("Drifted", message, warning=True)), drifted=message)


def _interrupted(progress: Progress, hold: Hold, drifted: str | None = None) -> Step:
    """Wait for a person. The stage begins anew when the route is as intended again (`raising.advance`).

    Its samples and its split would count what came at somebody else's share, and so hold the stage for ever.
    """
    over = replace(progress, stage_since=None)
    save: tuple[Action, ...] = (Save(over),) if over != progress else ()
    return Step(over, save, holds=(hold,), drifted=drifted)


def finish_watch(case: Case) -> Step | None:
    """The watch is over: the unit has proven itself, the fallback is let go. Missing evidence keeps it open."""
    progress, watch = case.progress, case.progress.watch
    if watch is None or progress.state not in WATCHED_IN:
        return None
    if case.now < watch.until:
        return None if progress.state in IN_TRAFFIC else _unless_untidy(case, Step(progress, wake_at=watch.until))
    blind = _blind(case)
    if blind is not None:
        hold = Hold("EvidenceMissing", f"the watch stays open: {blind}")
        step = Step(progress, holds=(hold,), wake_at=later(case.now, 60))
        return None if progress.state in IN_TRAFFIC else _unless_untidy(case, step)
    message = f"{watch.unit.version} came through its watch"
    chained = record(case, RecordKind.WATCH_COMPLETED, message, stable=unit_body(watch.unit), **judged_body(case))
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
    """At rest the route has one arm and no segment rules, in the watch the fallback's arm beside the watched unit's.

    An owned one has the gateways, hosts and path that the release declares. A layout write; nobody's share changes.
    """
    progress = case.progress
    target = target_of(case, progress)
    if target is None or progress.state not in (State.SETTLED, State.WATCHING) or case.observed.conflict:
        return None
    steerable = [view for view in case.observed.routes if view.exists and not view.problem]
    if all(fits(view, target, case.segments) and view.declared for view in steerable):
        return None
    return Step(progress, (SetRoutes(target, Intention.LAYOUT),))


def _unless_untidy(case: Case, step: Step) -> Step:
    """`step`, or the layout write that comes before it."""
    return tidy(case) or step


def _blind(case: Case) -> str | None:
    """Why the watch has nothing to judge by; None when each of its gates has data or too little traffic for any."""
    judged = {verdict.gate for verdict in case.observed.watch_verdicts}
    for gate in case.plan.gates if case.plan else ():
        if Phase.WATCH in gate.phases and not gate.comparative and gate.name not in judged:
            return f"gate {gate.name} has not been judged"
    for verdict in case.observed.watch_verdicts:
        if verdict.outcome is Outcome.NO_DATA and verdict.cause is not Cause.INSUFFICIENT:
            return f"gate {verdict.sentence}"
        if not current(case, verdict.at):
            return f"gate {verdict.key} was last asked at {verdict.at:%H:%M:%S}"
    return None


def _only_untidy(view: RouteView, case: Case) -> bool:
    """At rest: the stable arm has everything, only the form is wrong (segment rules, an arm at zero, our header)."""
    stable = case.progress.stable
    at_rest = case.progress.state in (State.SETTLED, State.WATCHING) and case.progress.diverted is None
    return bool(at_rest and stable and view.exists and not view.problem and serves_all(view, stable))


def newest_pause_or_resume(decisions: Iterable[Decision], release_uid: str) -> Decision | None:
    """What people said last about going on, None where nobody said anything."""
    said = [
        decision
        for decision in in_order(decisions)
        if decision.action in (Said.PAUSE, Said.RESUME) and decision.release_uid in (None, release_uid)
    ]
    return said[-1] if said else None


def _arms(view: RouteView) -> str:
    rules = [
        f"{rule.rule}: " + ", ".join(f"{arm.revision or arm.backend} {arm.permille / 10:g} %" for arm in rule.arms)
        for rule in view.rules
    ]
    return "; ".join(rules) or "nothing that is ours"
