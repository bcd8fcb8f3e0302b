"""What happens when nothing is remembered: adopt what a route serves, install where nothing is served, or recover.

A status can be lost (a backup without status, `kubectl replace`). What was decided then stands on the route (arms by
revision, the stopped mark) and in the records, and a candidate that was on its way starts over: restarting may
lengthen a rollout, never shorten it, and what was stopped stays stopped (S5, S14).
"""

from dataclasses import replace

from modelrelease.domain.exposure import uniform
from modelrelease.domain.record import RecordKind
from modelrelease.domain.release import PastOutcome, Progress, State
from modelrelease.domain.traffic import RouteView, Target
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
from modelrelease.engine.case import Case, target_of
from modelrelease.engine.records import record, unit_body
from modelrelease.engine.states import Trigger, transition

STOPPING = frozenset({RecordKind.REVERTED, RecordKind.ABORTED})


def first_contact(case: Case) -> Step | None:
    """The step for a release of which nothing is remembered; None for every other."""
    if case.progress.state is not State.NEW:
        return None
    if case.release.unit is None or case.release.plan is None:
        return Step(case.progress)
    if case.observed.conflict:
        return Step(case.progress, holds=(Hold("RouteConflict", case.observed.conflict),))
    broken = next((view for view in case.observed.routes if view.problem), None)
    if broken is not None:
        return Step(case.progress, holds=(Hold("RouteUnusable", f"HTTPRoute {broken.name}: {broken.problem}"),))
    if any(arm.revision for view in case.observed.routes for rule in view.rules for arm in rule.arms):
        recovered = _recover(case)
        if recovered is not None:
            return recovered
    if any(view.exists for view in case.observed.routes):
        return _adopt(case)
    if case.release.traffic.gateways:
        return _install(case)
    names = ", ".join(view.name for view in case.observed.routes) or "none"
    return Step(
        case.progress,
        holds=(Hold("RouteMissing", f"spec.traffic.routes names an HTTPRoute that does not exist: {names}"),),
    )


def _recover(case: Case) -> Step | None:
    known = {unit.revision: unit for unit in case.observed.revisions}
    base, other = _arms(case.observed.routes[0], known)
    if base is None:
        return None
    closed = case.observed.history
    stopped = tuple(digest for digest, kind in closed.items() if kind in STOPPING)
    stopped += tuple(v.stopped for v in case.observed.routes if v.stopped and v.stopped not in stopped)
    stable = base
    if other is not None and closed.get(other.digest) in (RecordKind.COMPLETED, RecordKind.WATCH_COMPLETED):
        stable, other = other, base
    progress = Progress(
        state=transition(State.NEW, Trigger.ADOPT, State.SETTLED),
        since=case.now,
        stable=stable,
        stopped=stopped[-64:],
        head=case.observed.head,
        outcomes=(PastOutcome(stable.version, stable.digest, "Recovered", "the status was lost", case.now),),
    )
    message = f"the status was lost: the route says that {stable.version} is stable; anything under way starts over"
    actions: list[Action] = []
    if other is not None and stable is base:
        target = Target(base=stable, other=other, exposure=uniform(case.segments, 0))
        actions.append(SetRoutes(target, Intention.LOWER))
    chained = record(case, RecordKind.ADOPTED, message, stable=unit_body(stable))
    progress = replace(progress, head=chained.head)
    actions += [AddFinalizer(), WriteRecord(chained), Save(progress), Emit("Recovered", message, warning=True)]
    return Step(progress, tuple(actions))


def _arms(view: RouteView, known: dict[str, UnitRef]) -> tuple[UnitRef | None, UnitRef | None]:
    arms = [arm for rule in view.rules for arm in rule.arms if arm.revision in known]
    names = list(dict.fromkeys(arm.revision for arm in arms if arm.revision))
    units = [known[name] for name in names]
    if not units:
        return None, None
    return units[0], units[1] if len(units) > 1 else None


def _adopt(case: Case) -> Step:
    unit, baseline = case.release.unit, case.observed.baseline
    assert unit is not None
    if baseline is None:
        return Step(case.progress, holds=(Hold("BaselineUnclear", "what the route serves now cannot be read"),))
    if baseline != unit.backend:
        unit = Unit("baseline", baseline)
    stable = unit_ref(case.release.name, unit)
    message = f"{stable.version} on {stable.backend} serves already: adopted as stable, without gates"
    chained = record(case, RecordKind.ADOPTED, message, stable=unit_body(stable), gated=False)
    progress = Progress(
        state=transition(State.NEW, Trigger.ADOPT, State.SETTLED),
        since=case.now,
        stable=stable,
        head=chained.head,
        stopped=tuple(digest for digest, kind in case.observed.history.items() if kind in STOPPING),
    )
    return Step(
        progress,
        (
            AddFinalizer(),
            KeepUnit(unit),
            WriteRecord(chained),
            Save(progress),
            SetRoutes(Target(base=stable, record=str(chained.sequence)), Intention.LAYOUT),
            Emit("Adopted", message),
        ),
    )


def _install(case: Case) -> Step:
    unit, wanted = case.release.unit, case.wanted
    assert unit is not None and wanted is not None
    if case.ready(wanted) == 0:
        return Step(case.progress, holds=(Hold("CandidateNotReady", f"{wanted.backend} has no ready endpoint"),))
    message = f"first install: nothing is served yet, so {wanted.version} gets all traffic at once"
    chained = record(case, RecordKind.ADOPTED, message, stable=unit_body(wanted), gated=False)
    progress = Progress(
        state=transition(State.NEW, Trigger.INSTALL, State.INSTALLING),
        since=case.now,
        stable=wanted,
        head=chained.head,
    )
    target = target_of(case, progress)
    assert target is not None
    return Step(
        progress,
        (
            AddFinalizer(),
            KeepUnit(unit),
            WriteRecord(chained),
            Save(progress),
            SetRoutes(target, Intention.LAYOUT),
            Emit("Installing", message),
        ),
    )
