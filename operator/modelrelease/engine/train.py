"""May exposure rise at this time: the release train's windows and freezes, and the override of a person (R6).

Asked before the first stage and before each raise, never before anything that lowers exposure or completes a release.
An override is for one unit and one plan until it expires, however many stages that takes; it is no approval.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from modelrelease.domain.decision import Action, Decision, in_order
from modelrelease.domain.release import IN_TRAFFIC, Progress
from modelrelease.domain.train import Train
from modelrelease.engine.actions import Hold
from modelrelease.engine.case import Case
from modelrelease.governance.train import FROZEN, Closed, closed, closes, words

LONGEST_OVERRIDE = timedelta(hours=72)
"""An override that would count for longer does not count at all."""


def within_train(case: Case) -> Hold | None:
    """A release window is open and no freeze holds, or a person overrides both for an incident."""
    shut = _shut(case)
    if shut is None or override(case) is not None:
        return None
    urgent = f"urgent: modelrelease override {case.release.name} --incident … --reason …"
    return Hold(shut.reason, f"{shut.message}; {urgent}", shut.opens_at)


def override(case: Case) -> Decision | None:
    """The newest valid Override: bound to release, candidate and plan (and the next stage, where it names one).

    By an author who was confirmed: unknown never raises exposure.
    It is not used up by a raise, and it counts no longer once its object is deleted.
    """
    candidate, plan, upcoming = case.progress.candidate, case.plan, case.next_stage
    if candidate is None or plan is None:
        return None
    plan_digest = plan.digest
    fitting = [
        decision
        for decision in in_order(case.observed.decisions)
        if decision.action is Action.OVERRIDE
        and decision.counts
        and decision.release_uid == case.release.uid
        and decision.digest == candidate.digest
        and decision.plan_digest == plan_digest
        and (decision.stage is None or (upcoming is not None and decision.stage == upcoming.name))
        and bool(decision.incident)
        and _in_time(decision, case.now)
    ]
    return fitting[-1] if fitting else None


@dataclass(frozen=True, slots=True)
class TrainView:
    """How the train of a rollout under way stands: open or not, when that changes (None: not soon), in words."""

    open: bool
    changes_at: datetime | None
    message: str


def train_view(progress: Progress, now: datetime) -> TrainView | None:
    """How the train stands for a candidate on its way; None without one, or without windows and freezes."""
    plan = progress.plan
    if plan is None or plan.train.unlimited or progress.candidate is None or progress.state not in IN_TRAFFIC:
        return None
    shut = closed(plan.train, now)
    if shut is not None:
        until = f"until {_short(shut.opens_at)}" if shut.opens_at else "for good"
        return TrainView(False, shut.opens_at, f"{'frozen' if shut.reason == FROZEN else 'closed'} {until}")
    end = closes(plan.train, now)
    return TrainView(True, end, f"open until {_short(end)}" if end else "open")


def train_body(case: Case) -> dict[str, Any]:
    """What the record of a raise says about the train; nothing for a plan without windows and freezes."""
    plan = case.plan
    if plan is None or plan.train.unlimited:
        return {}
    shut, said = _shut(case), override(case)
    if shut is None:
        return {"train": {"open": True, "until": _when(plan.train, case.now)}}
    if said is None or said.expires_at is None:
        return {"train": {"open": False, "reason": shut.reason}}
    return {
        "train": {"open": False, "reason": shut.reason, "message": shut.message},
        "override": {
            "uid": said.uid,
            "name": said.name,
            "author": said.author,
            "incident": said.incident,
            "reason": said.reason,
            "expiresAt": said.expires_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        },
    }


def _shut(case: Case) -> Closed | None:
    return closed(case.plan.train, case.now) if case.plan else None


def _in_time(decision: Decision, now: datetime) -> bool:
    expires = decision.expires_at
    return expires is not None and now < expires <= decision.created_at + LONGEST_OVERRIDE


def _short(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="minutes").replace("+00:00", "Z")


def _when(train: Train, now: datetime) -> str:
    end = closes(train, now)
    return words(train, end) if end else ""
