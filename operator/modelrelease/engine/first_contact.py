"""What happens when nothing is remembered: adopt what a route serves, install where nothing is served, or recover.

A status can be lost (a backup without status, `kubectl replace`). What was decided then stands on the route (arms by
revision, the stopped mark) and in the records, and a candidate or a watch that was on its way starts over: restarting
may lengthen a rollout, never shorten it, and what was stopped stays stopped (S5, S14).
"""

from dataclasses import replace
from typing import Any

from modelrelease.domain.decision import Action as Said
from modelrelease.domain.exposure import uniform
from modelrelease.domain.record import RecordKind, record_name
from modelrelease.domain.release import PastOutcome, Progress, State, Watch
from modelrelease.domain.traffic import Target
from modelrelease.domain.unit import Unit, UnitRef, unit_ref
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
from modelrelease.engine.approving import used_approvals
from modelrelease.engine.case import Case, all_accepted, fits, later, safe_unit, share_of, target_of
from modelrelease.engine.chain import STOPPING, proven_units, recovered_arms, stopped_digests
from modelrelease.engine.checks import unit_is_intact
from modelrelease.engine.entry import entry_body, installable
from modelrelease.engine.installing import consent, stopped
from modelrelease.engine.lowering import KEPT_STOPPED
from modelrelease.engine.records import decision_body, governed_body, record, unit_body
from modelrelease.engine.states import Trigger, transition
from modelrelease.engine.upkeep import newest_pause_or_resume
from modelrelease.governance.approvals import asked_roles


def first_contact(case: Case) -> Step | None:
    """The step for a release of which nothing is remembered; None for every other."""
    if case.progress.state is not State.NEW:
        return None
    if not case.observed.routes:
        return Step(case.progress, holds=(Hold("RouteUnread", "no route of this release has been read"),))
    if case.observed.conflict:
        return Step(case.progress, holds=(Hold("RouteConflict", case.observed.conflict),))
    recovered = _recover(case)
    if recovered is not None:
        return recovered
    if case.release.unit is None or case.release.plan is None or case.release.faults:
        return Step(case.progress)
    broken = next((view for view in case.observed.routes if view.problem), None)
    if broken is not None:
        reason = "RouteUnusable" if broken.exists else "RouteMissing"
        return Step(case.progress, holds=(Hold(reason, f"HTTPRoute {broken.name}: {broken.problem}"),))
    if any(view.exists for view in case.observed.routes):
        return _adopt(case)
    if case.release.traffic.gateways:
        return _install(case)
    names = ", ".join(view.name for view in case.observed.routes)
    message = f"spec.traffic.routes names an HTTPRoute that does not exist: {names}"
    return Step(case.progress, holds=(Hold("RouteMissing", message),))


def install(case: Case) -> Step | None:
    """First install: create the owned route and wait until its gateway accepts it.

    An edit of the spec in the meantime takes its place: a unit that cannot be served would wait for ever.
    """
    progress = case.progress
    if progress.state is not State.INSTALLING:
        return None
    target = target_of(case, progress)
    assert target is not None and progress.stable is not None
    fitting = all(fits(view, target, case.segments) for view in case.observed.routes)
    if not (fitting and all_accepted(case)) and _other_unit_wanted(case):
        return _install_other(case)
    if not fitting:
        return Step(progress, (SetRoutes(target, Intention.LAYOUT),))
    if not all_accepted(case):
        return Step(progress, holds=(Hold("RouteNotAccepted", "waiting for the gateway to accept the new route"),))
    settled = replace(progress, state=transition(State.INSTALLING, Trigger.INSTALLED, State.SETTLED), since=case.now)
    return Step(settled, (Save(settled), Emit("Installed", f"{progress.stable.version} gets all traffic")))


def _recover(case: Case) -> Step | None:
    """Continue where a route that carries our arms says that there was a release; None where there was none."""
    stable, other = recovered_arms(case)
    safe = safe_unit(case)
    diverted = safe if stable is None and safe and not share_of(case, safe).is_zero else None
    if diverted:
        stable = next(iter(proven_units(case)), None)
    if stable is None:
        return None
    watch, fallback = _watch_again(case, stable)
    progress = replace(
        _remembered(case),
        state=transition(State.NEW, Trigger.ADOPT, State.WATCHING if watch else State.SETTLED),
        stable=stable,
        fallback=fallback,
        watch=watch,
        plan=case.release.plan if watch else None,
        diverted=diverted,
        outcomes=(PastOutcome(stable.version, stable.digest, "Recovered", "the status was lost", case.now),),
    )
    message = f"the status was lost: the records say that {stable.version} is stable; anything under way starts over"
    actions: list[Action] = []
    if other is not None and other != fallback:
        target = Target(base=stable, other=other, exposure=uniform(case.segments, 0))
        actions.append(SetRoutes(target, Intention.LOWER))
    chained = record(case, RecordKind.ADOPTED, message, stable=unit_body(stable), recovered=True)
    progress = replace(progress, head=chained.head)
    actions += [AddFinalizer(), WriteRecord(chained), Save(progress), Emit("Recovered", message, warning=True)]
    return Step(progress, tuple(actions))


def _watch_again(case: Case, stable: UnitRef) -> tuple[Watch | None, UnitRef | None]:
    """The watch of a unit that had not finished it, from its beginning, with the unit that was stable before."""
    plan = case.release.plan
    if plan is None or not plan.watch_s or case.observed.history.get(stable.digest) is not RecordKind.COMPLETED:
        return None, None
    fallback = next((unit for unit in proven_units(case) if unit != stable), None)
    if fallback is None:
        return None, None
    return Watch(stable, case.now, later(case.now, plan.watch_s)), fallback


def _remembered(case: Case) -> Progress:
    """What records, marks and decisions still say about a release whose status is empty."""
    believed = (each for each in case.observed.decisions if each.counts or each.uid in case.observed.used)
    said = newest_pause_or_resume(believed, case.release.uid)
    return Progress(
        since=case.now,
        stopped=stopped_digests(case)[-KEPT_STOPPED:],
        handled=_used(case),
        paused_by=said.uid if said and said.action is Said.PAUSE and said.uid in case.observed.used else None,
        head=case.observed.head,
    )


def _used(case: Case) -> tuple[str, ...]:
    """The decisions that records name, and those that a stop used up of which only the mark on the route is left.

    A Retry said before that stop must not undo it. One said after it, before the status was lost, has to be said again.
    """
    marked = dict.fromkeys(view.stopped for view in case.observed.routes if view.stopped)
    unrecorded = [digest for digest in marked if case.observed.history.get(digest) not in STOPPING]
    spent = (
        decision.uid
        for digest in unrecorded
        for action in (Said.ABORT, Said.REJECT, Said.RETRY)
        for decision in case.decisions(action, digest=digest, anybody=True)
    )
    return tuple(dict.fromkeys((*case.observed.used, *spent)))


def _adopt(case: Case) -> Step:
    unit, baseline = case.release.unit, case.observed.baseline
    assert unit is not None
    if baseline is None:
        return Step(case.progress, holds=(Hold("BaselineUnclear", "what the route serves now cannot be read"),))
    if baseline != unit.backend or unit.digest in stopped_digests(case):
        unit = Unit("baseline", baseline)
    stable = unit_ref(case.release.name, unit)
    message = f"{stable.version} on {stable.backend} serves already: adopted as stable, without gates"
    chained = record(case, RecordKind.ADOPTED, message, stable=unit_body(stable), gated=False)
    progress = replace(
        _remembered(case),
        state=transition(State.NEW, Trigger.ADOPT, State.SETTLED),
        stable=stable,
        head=chained.head,
    )
    name = record_name(case.release.name, chained.sequence)
    return Step(
        progress,
        (
            AddFinalizer(),
            KeepUnit(unit),
            WriteRecord(chained),
            Save(progress),
            SetRoutes(Target(base=stable, record=name), Intention.LAYOUT),
            Emit("Adopted", message),
        ),
    )


def _install(case: Case) -> Step:
    """Serve the unit that records say was stable last, else the one that the spec names."""
    unit, wanted = case.release.unit, case.wanted
    assert unit is not None and wanted is not None
    proven = next(iter(proven_units(case)), None)
    served = proven or wanted
    if served == wanted and wanted.digest in stopped_digests(case):
        return stopped(case, wanted)
    if case.ready(served) == 0:
        return Step(case.progress, holds=(Hold("CandidateNotReady", f"{served.backend} has no ready endpoint"),))
    hold = unit_is_intact(case) or (installable(case, wanted, case.release.plan) if served == wanted else None)
    waiting = consent(case, hold) if proven is None else Step(case.progress, holds=(hold,)) if hold else None
    if waiting is not None:
        return waiting
    said = used_approvals(case) if proven is None else ()
    message = f"first install: nothing is served yet, so {served.version} gets all traffic at once"
    entry = entry_body(case, wanted, case.release.plan) if served == wanted else None
    chained = record(
        case,
        RecordKind.ADOPTED,
        message,
        stable=unit_body(served),
        gated=False,
        entry=entry,
        **_plan_body(case, served),
        decisions=decision_body(said) or None,
    )
    remembered = _remembered(case)
    progress = replace(
        remembered,
        state=transition(State.NEW, Trigger.INSTALL, State.INSTALLING),
        stable=served,
        head=chained.head,
        handled=(*remembered.handled, *(decision.uid for decision in said)),
    )
    target = target_of(case, progress)
    assert target is not None
    keep: tuple[Action, ...] = (KeepUnit(unit),) if served == wanted else ()
    return Step(
        progress,
        (
            AddFinalizer(),
            *keep,
            WriteRecord(chained),
            Save(progress),
            SetRoutes(target, Intention.LAYOUT),
            Emit("Installing", message),
        ),
    )


def _plan_body(case: Case, served: UnitRef) -> dict[str, Any]:
    """The plan and the policy by which the unit that the spec names was let in; nothing for an older one."""
    plan = case.release.plan
    if plan is None or served != case.wanted:
        return {}
    return {"plan": plan.digest, **governed_body(plan, case.release.standing)}


def _other_unit_wanted(case: Case) -> bool:
    """Whether another unit may take the place; one that people are asked about comes as a release of its own."""
    wanted, stable, plan = case.wanted, case.progress.stable, case.release.plan
    return (
        wanted is not None
        and not (plan and asked_roles(plan))
        and wanted != stable
        and not case.release.faults
        and case.ready(wanted) != 0
        and installable(case, wanted, case.release.plan) is None
    )


def _install_other(case: Case) -> Step:
    """Nothing is served yet, and the spec names another unit by now: that one gets all traffic at once."""
    progress, wanted = case.progress, case.wanted
    assert wanted is not None and case.release.unit is not None
    message = f"{wanted.version} takes the place of a unit that was not served yet"
    given_up = unit_body(progress.stable)
    entry = entry_body(case, wanted, case.release.plan)
    chained = record(
        case,
        RecordKind.ADOPTED,
        message,
        stable=unit_body(wanted),
        instead_of=given_up,
        gated=False,
        entry=entry,
        **_plan_body(case, wanted),
    )
    begun = replace(
        progress,
        state=transition(State.INSTALLING, Trigger.RESTART, State.INSTALLING),
        since=case.now,
        stable=wanted,
        head=chained.head,
    )
    name = record_name(case.release.name, chained.sequence)
    target = Target(base=wanted, record=name)
    return Step(
        begun,
        (KeepUnit(case.release.unit), WriteRecord(chained), Save(begun), SetRoutes(target, Intention.RAISE)),
    )
