"""Approvals of the candidate on its way: what is asked now, what was answered, and what that holds or stops.

The rules are in `governance.approvals`; here they meet one release at one time. Nothing in here delays a revert: a
missing approval holds a raise, a Reject or a window that ran out stops the candidate.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from modelrelease.domain.approval import Asking, AtWindowEnd
from modelrelease.domain.decision import Action, Decision, Standing
from modelrelease.domain.plan import Plan
from modelrelease.domain.release import IN_TRAFFIC, Release, State, Stop
from modelrelease.domain.unit import UnitRef
from modelrelease.engine.actions import Emit, Hold, Save, Step
from modelrelease.engine.case import Case, later
from modelrelease.engine.entry import entry_is_met
from modelrelease.engine.misdirected import misdirected
from modelrelease.engine.repolicy import pending
from modelrelease.governance.approvals import (
    UNKNOWN,
    Answer,
    Demand,
    Refusal,
    Subject,
    answers,
    asked_roles,
    command,
    demands,
    evidence_digest,
    first_full,
    install_demands,
    missing,
    refusals,
    second_person,
)

AWAITING = "AwaitingApproval"
PATIENT = frozenset({AWAITING, "OutsideWindow", "Frozen"})
"""Holds that leave people time to decide: what is missing is their yes, or the hour."""

PROPOSED_IN = IN_TRAFFIC | {State.NEW}
"""The states in which a candidate can wait for people: a first install is asked about while nothing is served yet."""

MACHINES = "system:"
"""Accounts whose names begin so belong to programs: they apply what somebody else wrote."""


@dataclass(frozen=True, slots=True)
class Request:
    """What people are asked now. `second`: one more person is needed, because who changed the unit is not known."""

    stage: str
    evidence_digest: str
    answers: tuple[Answer, ...]
    second: bool
    used: tuple[Decision, ...]
    since: datetime | None = None
    until: datetime | None = None

    @property
    def complete(self) -> bool:
        """Whether everybody who is asked has approved."""
        return not self.second and not missing(self.answers)


def approved(case: Case) -> Hold | None:
    """Each role that the next stage needs has approved this unit, this plan, this evidence and this stage (S2)."""
    request = request_of(case)
    if request is None or request.complete:
        return None
    until = request.until if case.plan and case.plan.approvals.at_window_end is AtWindowEnd.REJECT else None
    return Hold(AWAITING, _sentence(case, request), until)


def used_approvals(case: Case) -> tuple[Decision, ...]:
    """The approvals that a raise to the next stage stands on: its record names them, and they are used up by it."""
    request = request_of(case)
    return request.used if request else ()


def request_of(case: Case) -> Request | None:
    """What is asked before the next stage; None where nobody is."""
    subject, plan, index = subject_of(case), case.plan, case.progress.stage + 1
    if subject is None or plan is None or index >= len(plan.stages):
        return None
    wanted, name = _asked_now(case, plan, index)
    if not wanted:
        return None
    said = case.decisions(Action.APPROVE, anybody=True)
    found = answers(wanted, said, subject)
    extra, lacking = second_person(wanted, said, subject, found)
    used = [answer.approval for answer in found if answer.approval] + ([extra] if extra else [])
    asking = open_asking(case)
    since = asking.since if asking else None
    window = plan.approvals.window_s
    until = later(since, window) if since and window is not None else None
    return Request(name, subject.evidence_digest, found, lacking, tuple(dict.fromkeys(used)), since, until)


def subject_of(case: Case) -> Subject | None:
    """What approvals must be about; None without a candidate."""
    candidate, plan = case.progress.candidate, case.plan
    if candidate is None or plan is None or case.progress.state not in PROPOSED_IN:
        return None
    return Subject(
        release=case.release.name,
        release_uid=case.release.uid,
        digest=candidate.digest,
        plan_digest=plan.digest,
        evidence_digest=shown_digest(case, plan),
        rules=plan.approvals,
        now=case.now,
        proposed_at=case.progress.proposed_at,
        changed_by=_known_changers(case) if plan.approvals.four_eyes else (),
    )


def shown_digest(case: Case, plan: Plan) -> str:
    """The digest of the evidence that approvers are shown."""
    candidate = case.progress.candidate
    known = [found for found in case.observed.offline if candidate and found.unit_digest == candidate.digest]
    return evidence_digest(((found.uid, found.digest) for found in known), (gate.name for gate in plan.gates))


def ask(case: Case, found: tuple[Hold, ...]) -> Step | None:
    """Nothing but approvals is missing: open the request, once, so that its window runs from now."""
    request = request_of(case)
    if request is None or request.complete or open_asking(case) or any(hold.reason not in PATIENT for hold in found):
        return None
    asking = replace(case.progress, asking=Asking(case.progress.stage + 1, case.now))
    asked = request_of(replace(case, progress=asking)) or request
    message = _sentence(case, asked)
    return Step(asking, (Save(asking), Emit("ApprovalRequested", message)), holds=found, wake_at=asked.until)


def open_asking(case: Case) -> Asking | None:
    """The request that is open for the next stage."""
    asking = case.progress.asking
    return asking if asking and asking.stage == case.progress.stage + 1 else None


def rejected(case: Case, unit: UnitRef) -> Stop | None:
    """Somebody rejected the candidate in a role that its plan asks (R21)."""
    plan = case.plan
    roles = asked_roles(plan) if plan else ()
    for decision in case.decisions(Action.REJECT, digest=unit.digest):
        if decision.role in roles:
            sentence = f"rejected by {decision.author} as {decision.role}: {decision.reason}"
            return Stop(unit.digest, unit.version, "Rejected", sentence, case.now)
    return None


def window_ran_out(case: Case, unit: UnitRef) -> Stop | None:
    """Nobody answered within the approval window, and the plan says Reject for that."""
    plan, candidate = case.plan, case.progress.candidate
    if plan is None or candidate != unit or plan.approvals.at_window_end is not AtWindowEnd.REJECT:
        return None
    request = request_of(case)
    if request is None or request.complete or request.until is None or case.now < request.until:
        return None
    if any(said.identity.standing is Standing.UNCHECKED for said in case.decisions(Action.APPROVE, anybody=True)):
        return None
    asked = f"asked at {request.since:%Y-%m-%d %H:%M:%SZ}, waited until {request.until:%Y-%m-%d %H:%M:%SZ}"
    sentence = f"not approved in time by {_names(missing(request.answers)) or 'a second person'}: {asked}"
    return Stop(unit.digest, unit.version, "Rejected", sentence, case.now)


def refused(case: Case) -> tuple[Refusal, ...]:
    """The decisions that have no effect though they were meant to, with what their authors can do."""
    return (*_refused_people(case), *misdirected(case))


def _refused_people(case: Case) -> tuple[Refusal, ...]:
    subject, plan = subject_of(case), case.plan
    said = [decision for decision in case.observed.decisions if decision.uid not in case.progress.handled]
    if subject is None or plan is None:
        return tuple(
            Refusal(decision, decision.identity.message)
            for decision in said
            if decision.identity.standing is Standing.REFUSED
        )
    waiting = pending(case.release, case.progress)
    if waiting is not None:
        changes = [one for one in said if one.action is Action.APPROVE and one.plan_digest == waiting.plan.digest]
        said = [one for one in said if one not in changes or one.identity.standing is Standing.REFUSED]
    index = min(case.progress.stage + 1, len(plan.stages) - 1)
    return tuple(refusals(plan, index, said, subject, install=case.progress.state is State.NEW))


def changers(release: Release, plan: Plan | None) -> tuple[str, ...]:
    """Who changed the spec, by name; "" for somebody who is not known, such as a GitOps account without an author."""
    accounts = {account.username: account for account in plan.approvals.git_ops} if plan else {}

    def name(account: str) -> str:
        if account in accounts:
            annotation = accounts[account].author_annotation
            return release.annotations.get(annotation, UNKNOWN) if annotation else UNKNOWN
        return UNKNOWN if account.startswith(MACHINES) else account

    return tuple(dict.fromkeys(name(account) for account in release.changed_by)) or (UNKNOWN,)


def joined(before: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    """Everybody who changed what is on its way; the newest eight."""
    return tuple(dict.fromkeys((*before, *more)))[-8:]


def _asked_now(case: Case, plan: Plan, index: int) -> tuple[tuple[Demand, ...], str]:
    """Who is asked now, and the stage that waits."""
    if case.progress.state is State.NEW:
        return install_demands(plan), first_full(plan)
    return demands(plan, index), plan.stages[index].name


def _known_changers(case: Case) -> tuple[str, ...]:
    """Who changed the candidate. Where admission may not have stamped it, somebody unknown is among them."""
    progress, stamped = case.progress, case.observed.stamped_since
    certain = stamped is not None and progress.proposed_at is not None and stamped <= progress.proposed_at
    return progress.changed_by if certain and progress.changed_by else joined(progress.changed_by, (UNKNOWN,))


def _sentence(case: Case, request: Request) -> str:
    waiting, plan = missing(request.answers), case.plan
    first = waiting[0] if waiting else request.answers[0].demand
    what = "the first install" if case.progress.state is State.NEW else f"stage {request.stage}"
    if waiting:
        text = f"{what} waits for approval by {_names(waiting)}"
    else:
        text = f"{what} waits for approval by a second person, because who changed it is not known"
    if request.until is not None and plan is not None:
        end = "rejected" if plan.approvals.at_window_end is AtWindowEnd.REJECT else "still held"
        text += f" until {request.until:%Y-%m-%d %H:%M:%SZ} (then {end})"
    if plan is not None and plan.approvals.notify:
        text += f"; ask {', '.join(plan.approvals.notify)}"
    if entry_is_met(case):
        return f"{text}, once the entry evidence is complete: an approval counts for the evidence that was shown"
    return f"{text}: {command(case.release.name, first)}"


def _names(waiting: Iterable[Demand]) -> str:
    return ", ".join(f"{demand.role} (last)" if demand.accountable else demand.role for demand in waiting)
