"""Who is asked before a stage, and whether what people said counts: rules over plain values, each no with its reason.

An approval counts for exactly one release object, unit, plan, stage and set of evidence, when it was said after the
candidate was proposed, has not run out, comes from a confirmed author and from nobody who changed the unit (R21, R22).
Rejected: one yes for everything that follows; the person who gave it saw something else.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from modelrelease.domain.approval import ApprovalRules
from modelrelease.domain.canonical import digest, short
from modelrelease.domain.decision import Action, Decision, Standing, in_order
from modelrelease.domain.exposure import FULL_PERMILLE
from modelrelease.domain.plan import Plan

UNKNOWN = ""
"""Stands for somebody who changed the release and is not known by name."""

WHOLE = "the whole release"
CONFIRMING = "its author is being confirmed"


@dataclass(frozen=True, slots=True)
class Demand:
    """One approval that is needed before a stage. `stage` None: it is for the whole release."""

    role: str
    stage: str | None
    accountable: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be approved, and what is known of who changed it. `changed_by` counts only with four eyes."""

    release: str
    release_uid: str
    digest: str
    plan_digest: str
    evidence_digest: str
    rules: ApprovalRules
    now: datetime
    proposed_at: datetime | None = None
    changed_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one demand: the approval that counts, None while there is none."""

    demand: Demand
    approval: Decision | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A decision that does not count, and why, with what its author can do."""

    decision: Decision
    why: str


def demands(plan: Plan, index: int) -> tuple[Demand, ...]:
    """The approvals that stage `index` of a plan needs, the accountable role's last."""
    stage, rules = plan.stages[index], plan.approvals
    final = next((role for role in rules.roles if role.accountable), None)
    found: list[Demand] = []
    for role in rules.roles:
        if role.accountable:
            continue
        if not role.stages and index == 0:
            found.append(Demand(role.name, None))
        elif stage.name in role.stages:
            found.append(Demand(role.name, stage.name))
    found += [Demand(role, stage.name) for role in stage.approvals]
    if final is not None and stage.name in (final.stages or (first_full(plan),)):
        found = [demand for demand in found if demand.role != final.name]
        found.append(Demand(final.name, stage.name, accountable=True))
    return tuple(dict.fromkeys(found))


def install_demands(plan: Plan) -> tuple[Demand, ...]:
    """The approvals that a first install needs: every role of the plan, for the whole release, the accountable last."""
    every = [demand for index in range(len(plan.stages)) for demand in demands(plan, index)]
    last = {demand.role for demand in every if demand.accountable}
    others = (Demand(demand.role, None) for demand in every if demand.role not in last)
    return tuple(dict.fromkeys((*others, *(Demand(role, None, accountable=True) for role in sorted(last)))))


def asked_roles(plan: Plan) -> tuple[str, ...]:
    """Every role that a plan asks at any time, in the order of its stages."""
    found = (demand.role for index in range(len(plan.stages)) for demand in demands(plan, index))
    return tuple(dict.fromkeys(found))


def evidence_digest(evidence: Iterable[tuple[str, str]], gates: Iterable[str]) -> str:
    """The digest of what approvers are shown: offline evidence (uid, hash) and which gates judge.

    Live verdicts are not in it: they change with each sample and are judged anew when the raise is decided.
    """
    shown = {"evidence": [[uid, content] for uid, content in sorted(set(evidence))], "gates": sorted(gates)}
    return digest(shown)


def answers(wanted: Sequence[Demand], said: Iterable[Decision], subject: Subject) -> tuple[Answer, ...]:
    """For each demand the newest approval that counts. The accountable role's counts once all others are there."""
    valid = [decision for decision in in_order(said) if decision.action is Action.APPROVE]
    found = [
        Answer(demand, next((one for one in reversed(valid) if fault(one, demand, subject) is None), None))
        for demand in wanted
    ]
    others = [answer.approval for answer in found if not answer.demand.accountable]
    return tuple(Answer(one.demand) if _too_early(one, others) else one for one in found)


def missing(found: Iterable[Answer]) -> tuple[Demand, ...]:
    """The demands without an approval that counts."""
    return tuple(answer.demand for answer in found if answer.approval is None)


def second_person(
    wanted: Sequence[Demand], said: Iterable[Decision], subject: Subject, found: Sequence[Answer]
) -> tuple[Decision | None, bool]:
    """Where who changed the unit is not known by name, two people must approve: one is never who made the change.

    Gives the approval of one more person, where that is needed and there, and whether it is needed and lacks.
    """
    used = [answer.approval for answer in found if answer.approval is not None]
    if not subject.rules.four_eyes or not wanted or UNKNOWN not in (subject.changed_by or (UNKNOWN,)):
        return None, False
    authors = {approval.author for approval in used}
    if len(authors) > 1:
        return None, False
    for decision in in_order(said):
        fits = any(fault(decision, demand, subject) is None for demand in wanted)
        if decision.action is Action.APPROVE and fits and decision.author not in authors:
            return decision, False
    return None, True


def fault(decision: Decision, demand: Demand, subject: Subject) -> str | None:
    """Why an approval does not count for a demand, as a sentence with what to do; None where it counts."""
    again = f"look at it and approve again: {command(subject.release, demand)}"
    if decision.role != demand.role:
        return f"it is in the role {decision.role} and {demand.role} is asked"
    if decision.release_uid != subject.release_uid:
        return f"it is about another ModelRelease object (uid {decision.release_uid}); {again}"
    if decision.digest != subject.digest:
        return f"it is about unit {_short(decision.digest)} and the candidate is {_short(subject.digest)}; {again}"
    if decision.plan_digest != subject.plan_digest:
        return f"it is about plan {_short(decision.plan_digest)}, in force is {_short(subject.plan_digest)}; {again}"
    if decision.stage != demand.stage:
        return f"it is for {_place(decision.stage)} and {_place(demand.stage)} is waited for; {again}"
    if decision.evidence_digest != subject.evidence_digest:
        return f"the evidence that was shown is not what there is now; {again}"
    return _out_of_time(decision, subject, again) or _not_theirs(decision, demand, subject)


def refusals(
    plan: Plan, index: int, said: Iterable[Decision], subject: Subject, *, install: bool = False
) -> Iterator[Refusal]:
    """The decisions about this release that have no effect though they were meant to, each with why.

    What was said about other units before this one was proposed is history and not refused. With `install` they are
    about a first install, which asks everybody at once.
    """
    wanted, roles = install_demands(plan) if install else demands(plan, index), asked_roles(plan)
    ahead = () if install else range(index + 1, len(plan.stages))
    later = [demand for number in ahead for demand in demands(plan, number)]
    ordered = in_order(said)
    found = answers(wanted, ordered, subject)
    for decision in ordered:
        if decision.identity.standing is Standing.REFUSED and decision.action is not Action.APPROVE:
            yield Refusal(decision, decision.identity.message)
        if decision.action not in (Action.APPROVE, Action.REJECT) or _is_history(decision, subject):
            continue
        if decision.role not in roles:
            asked = f"asked are {', '.join(roles)}" if roles else "it asks nobody"
            yield Refusal(decision, f"no stage asks for the role {decision.role}: {asked}")
        elif decision.action is Action.APPROVE:
            why = _refused(decision, wanted, later, subject) or _before_the_others(decision, found, subject)
            if why and why != CONFIRMING:
                yield Refusal(decision, why)


def command(release: str, demand: Demand) -> str:
    """What an approver types."""
    stage = f" --stage {demand.stage}" if demand.stage else ""
    return f"modelrelease approve {release} --role {demand.role}{stage} --reason …"


def tighter(new: ApprovalRules, old: ApprovalRules) -> bool:
    """Whether `new` asks at least as much as `old`: no role, stage or eye less, nothing that counts for longer."""
    same_final = new.accountable == old.accountable or old.accountable is None
    window = old.window_s is None or (new.window_s is not None and new.window_s <= old.window_s)
    return (
        set(_asked(old)) <= set(_asked(new))
        and same_final
        and new.four_eyes >= old.four_eyes
        and new.valid_for_s <= old.valid_for_s
        and window
        and (old.window_s is None or new.at_window_end >= old.at_window_end)
        and (not old.four_eyes or set(new.git_ops) <= set(old.git_ops))
    )


def _asked(rules: ApprovalRules) -> Iterator[tuple[str, str | None, bool]]:
    """Which role is asked when, as written; without stages for the whole release or, if accountable, at the end."""
    for role in rules.roles:
        yield from ((role.name, stage, False) for stage in role.stages)
        if not role.stages:
            yield role.name, None, role.accountable


def _refused(decision: Decision, wanted: Sequence[Demand], later: Sequence[Demand], subject: Subject) -> str | None:
    mine = [demand for demand in wanted if demand.role == decision.role]
    mine = [demand for demand in mine if demand.stage == decision.stage] or mine
    ahead = [demand for demand in later if (demand.role, demand.stage) == (decision.role, decision.stage)]
    for demand in ahead or mine:
        return fault(decision, demand, subject)
    return f"{_place(decision.stage)} does not wait for {decision.role}"


def _before_the_others(decision: Decision, found: Sequence[Answer], subject: Subject) -> str | None:
    """The accountable role's approval was said while another was missing."""
    for answer in found:
        demand = answer.demand
        if (
            demand.accountable
            and answer.approval is None
            and (demand.role, demand.stage)
            == (
                decision.role,
                decision.stage,
            )
        ):
            return f"{demand.role} decides last: approve again once the others have: {command(subject.release, demand)}"
    return None


def _too_early(answer: Answer, others: Sequence[Decision | None]) -> bool:
    """Whether the accountable role spoke before all others had, or in the same second: times have no finer grain."""
    if not answer.demand.accountable or answer.approval is None:
        return False
    said_at = answer.approval.created_at
    return any(other is None or other.created_at >= said_at for other in others)


def _out_of_time(decision: Decision, subject: Subject, again: str) -> str | None:
    proposed = subject.proposed_at
    if proposed is not None and decision.created_at < proposed.replace(microsecond=0):
        return f"it was said at {_clock(decision.created_at)}, before this was proposed at {_clock(proposed)}; {again}"
    over = decision.created_at + timedelta(seconds=subject.rules.valid_for_s)
    over = min(over, decision.expires_at) if decision.expires_at else over
    return f"it ran out at {_clock(over)}; {again}" if subject.now >= over else None


def _not_theirs(decision: Decision, demand: Demand, subject: Subject) -> str | None:
    if subject.rules.four_eyes and decision.author in subject.changed_by:
        return f"{decision.author} changed this release, and four eyes are asked: somebody else must approve"
    match decision.identity.standing:
        case Standing.CONFIRMED:
            return None
        case Standing.REFUSED:
            return decision.identity.message
        case Standing.UNCHECKED:
            return CONFIRMING


def _is_history(decision: Decision, subject: Subject) -> bool:
    proposed = subject.proposed_at
    old = proposed is not None and decision.created_at < proposed.replace(microsecond=0)
    return old and decision.digest != subject.digest


def first_full(plan: Plan) -> str:
    """The name of the first stage that gives everything to the candidate."""
    full = (stage for stage in plan.stages if all(share == FULL_PERMILLE for _, share in stage.exposure.shares))
    return next(full, plan.stages[-1]).name


def _place(stage: str | None) -> str:
    return f"stage {stage}" if stage else WHOLE


def _short(value: str | None) -> str:
    return short(value) if value else "none"


def _clock(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%SZ")
