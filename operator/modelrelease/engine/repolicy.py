"""A policy that changes while a rollout is under way: what is stricter applies at once, the rest waits (R7).

A looser policy applies to the next rollout, or to this one when the roles that the plan in force names have approved
the new plan. Starting over was rejected: a policy edit would then take traffic back in a hundred releases at once.
"""

from dataclasses import dataclass, replace

from modelrelease.domain.decision import Action as Said
from modelrelease.domain.decision import Decision
from modelrelease.domain.plan import Plan
from modelrelease.domain.record import RecordKind
from modelrelease.domain.release import Progress, Release, State
from modelrelease.engine.actions import Emit, Save, Step, WriteRecord
from modelrelease.engine.case import Case
from modelrelease.engine.records import decision_body, governed_body, record
from modelrelease.governance.differences import applies_as_a_whole, differences, same, tightened
from modelrelease.governance.effective import BELOW_TIER

SHOWN = 8
"""How many differences a message names."""


@dataclass(frozen=True, slots=True)
class Pending:
    """What of a changed policy does not apply to the rollout under way: the plan that it makes, and how it differs.

    `roles` must approve it; none: it applies to the next rollout only.
    """

    plan: Plan
    differences: tuple[str, ...]
    roles: tuple[str, ...]


def by_policy(new: Plan, old: Plan) -> bool:
    """Whether two plans differ by what their policies say alone: the release asked for the same."""
    return new.governed is not None and old.governed is not None and new.governed.declared == old.governed.declared


def pending(release: Release, progress: Progress) -> Pending | None:
    """What waits for approval or for the next rollout, None where nothing does."""
    new, old = release.plan, _in_force(release, progress)
    if new is None or old is None or not _telling(release):
        return None
    stays = tightened(old, new, entered=progress.stage)
    if same(stays, new):
        return None
    roles = old.governed.loosening if old.governed and _fits(old, new, progress) else ()
    return Pending(new, differences(stays, new), roles)


def follow_policy(case: Case) -> Step | None:
    """The policy changed: apply what is stricter, or all of it when it is approved.

    A raise that is being carried out was decided under the plan before and is confirmed or void first. A release that
    asks for less than its policy does now is judged by the policy, and nothing rises.
    """
    progress, new = case.progress, case.release.plan
    old = _in_force(case.release, progress)
    if new is None or old is None or not _telling(case.release):
        return None
    if progress.state not in (State.PREPARING, State.OBSERVING):
        return None
    waiting = pending(case.release, progress)
    if waiting is not None and (approvals := _approvals(case, waiting)):
        return _applied(case, old, new, approvals)
    stricter = tightened(old, new, entered=progress.stage)
    return None if same(stricter, old) else _applied(case, old, stricter, [])


def _in_force(release: Release, progress: Progress) -> Plan | None:
    """The plan of a rollout of the wanted unit, where only the policy can differ."""
    old, new = progress.plan, release.plan
    if old is None or new is None or release.unit is None or progress.candidate is None:
        return None
    if progress.state not in (State.PREPARING, State.RAISING, State.OBSERVING):
        return None
    return old if release.unit.digest == progress.candidate.digest and by_policy(new, old) else None


def _telling(release: Release) -> bool:
    """Whether the plan says what the policy wants: with faults it does only where the release asks for too little."""
    return all(fault.reason == BELOW_TIER for fault in release.faults)


def _fits(old: Plan, new: Plan, progress: Progress) -> bool:
    return applies_as_a_whole(old, new, entered=progress.stage)


def _approvals(case: Case, waiting: Pending) -> list[Decision]:
    """One valid approval of each role for exactly this plan; none where one is missing."""
    candidate, plan, found = case.progress.candidate, case.progress.plan or waiting.plan, []
    for role in waiting.roles:
        fitting = [
            decision
            for decision in case.decisions(Said.APPROVE)
            if decision.role == role
            and candidate is not None
            and decision.release_uid == case.release.uid
            and decision.digest == candidate.digest
            and decision.plan_digest == waiting.plan.digest
            and not (plan.approvals.four_eyes and decision.author in case.progress.changed_by)
        ]
        if not fitting:
            return []
        found.append(fitting[-1])
    return found


def in_short(old: Plan, new: Plan) -> str:
    """What `new` asks for other than `old`, in a few phrases."""
    said = differences(old, new)
    more = f" and {len(said) - SHOWN} more" if len(said) > SHOWN else ""
    return f"{'; '.join(said[:SHOWN])}{more}"


def _applied(case: Case, old: Plan, plan: Plan, approvals: list[Decision]) -> Step:
    name = plan.governed.policy if plan.governed else ""
    by = f", approved by {', '.join(said_by.author for said_by in approvals)}" if approvals else ""
    message = f"ReleasePolicy {name} changed{by}: {in_short(old, plan)}"
    kind = RecordKind.LOOSENED if approvals else RecordKind.TIGHTENED
    chained = record(
        case,
        kind,
        message,
        plan=plan.digest,
        previousPlan=old.digest,
        **governed_body(plan, case.release.standing),
        decisions=decision_body(approvals) or None,
    )
    handled = (*case.progress.handled, *(decision.uid for decision in approvals))
    progress = replace(case.progress, plan=plan, handled=handled, head=chained.head, asking=None)
    reason = "PlanLoosened" if approvals else "PlanTightened"
    return Step(progress, (WriteRecord(chained), Save(progress), Emit(reason, message)))
