"""Abort, Promote and Retry that are about a unit or a stage which they cannot move now: they wait, and somebody should
know. Told only of what was said since the release came to where it is: the rest is history."""

from collections.abc import Iterator

from modelrelease.domain.canonical import short
from modelrelease.domain.decision import Action, Decision, Standing
from modelrelease.domain.release import IN_TRAFFIC, State
from modelrelease.domain.unit import UnitRef
from modelrelease.engine.case import Case
from modelrelease.engine.chain import stopped_digests
from modelrelease.governance.approvals import Refusal


def misdirected(case: Case) -> Iterator[Refusal]:
    """The decisions that are without effect as long as nothing else changes, each with why."""
    for action, fault in ((Action.ABORT, _abort), (Action.PROMOTE, _promote), (Action.RETRY, _retry)):
        for decision in case.decisions(action, anybody=True):
            why = fault(case, decision) if _is_told(case, decision) else None
            if why:
                yield Refusal(decision, why)


def _is_told(case: Case, decision: Decision) -> bool:
    """It is new (creation times are whole seconds), and nothing else is told about it."""
    since = case.progress.since
    new = since is not None and decision.created_at >= since.replace(microsecond=0)
    return new and decision.identity.standing is not Standing.REFUSED


def _abort(case: Case, decision: Decision) -> str | None:
    progress = case.progress
    moving = (State.NEW, State.REVERTING, *IN_TRAFFIC)
    candidate, watched = progress.candidate if progress.state in moving else None, progress.watch and progress.stable
    can = [unit for unit in (candidate, watched) if unit]
    if decision.digest is None or any(unit.digest == decision.digest for unit in can):
        return None
    if not can:
        return f"{_about(decision)}, and there is nothing to take back"
    return f"{_about(decision)}, and what can be taken back now is {' or '.join(map(_unit, can))}"


def _promote(case: Case, decision: Decision) -> str | None:
    candidate, stage = case.progress.candidate, case.stage
    if candidate is None or case.progress.state not in IN_TRAFFIC:
        return "nothing is on its way"
    if decision.digest != candidate.digest:
        return f"{_about(decision)}, and on its way is {_unit(candidate)}"
    if stage is not None and decision.stage != stage.name:
        return f"it is about stage {decision.stage or 'none'}, and the release is at stage {stage.name}"
    return None


def _retry(case: Case, decision: Decision) -> str | None:
    wanted = case.wanted
    if wanted is None:
        return None
    if decision.digest != wanted.digest:
        return f"{_about(decision)}, and the spec names {_unit(wanted)}: only that can be tried again"
    stopped = wanted.digest in (*case.progress.stopped, *stopped_digests(case))
    return None if stopped else f"{_unit(wanted)} is not stopped"


def _about(decision: Decision) -> str:
    return f"it is about unit {short(decision.digest or 'none')}"


def _unit(unit: UnitRef) -> str:
    return f"{unit.version}, unit {short(unit.digest)}"
