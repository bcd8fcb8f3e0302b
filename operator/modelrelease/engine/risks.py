"""Accepted risks: a person lets one gate that is still undecided count as passed before one stage, for a time (R38).

A gate that fails is never accepted, nor one without data. An acceptance is not used up: it shows until it ends, is
revoked, or the unit is gone; and what was raised on it waits for proof, or for another acceptance, once it has ended.
"""

from modelrelease.domain.decision import Action, Decision, in_order
from modelrelease.domain.plan import Require
from modelrelease.domain.verdict import Outcome, Verdict
from modelrelease.engine.case import Case


def accepted(case: Case, verdict: Verdict, stage: str) -> Decision | None:
    """The acceptance of an undecided verdict before a stage, None where there is none that counts now."""
    if verdict.outcome is not Outcome.UNDECIDED:
        return None
    fitting = [said for said in open_risks(case) if said.gate == verdict.gate and said.stage == stage]
    return fitting[-1] if fitting else None


def open_risks(case: Case) -> tuple[Decision, ...]:
    """The risks of the unit on its way and of the stable one that are accepted and have not ended."""
    return tuple(said for said in _of_unit(case) if said.expires_at is not None and case.now < said.expires_at)


def ended(case: Case, verdict: Verdict) -> Decision | None:
    """The acceptance on which an earlier stage was entered, that has ended while the gate is still undecided."""
    plan = case.plan
    if plan is None or verdict.outcome is not Outcome.UNDECIDED:
        return None
    entered = [stage.name for stage in plan.stages[: case.progress.stage + 1] if stage.require is Require.PROVEN]
    mine = [said for said in _of_unit(case) if said.gate == verdict.gate and said.stage in entered]
    over = [said for said in mine if said.expires_at is not None and said.expires_at <= case.now]
    return over[-1] if over and len(over) == len(mine) else None


def used_risks(case: Case, verdicts: tuple[Verdict, ...]) -> tuple[Decision, ...]:
    """The acceptances that a raise to the next stage stands on, so that its record names them.

    Where that stage asks for no proof, those that were said again for it after an earlier stage's had ended.
    """
    upcoming = case.next_stage
    if upcoming is None or case.stage is None:
        return ()
    proof = upcoming.require is Require.PROVEN
    found = (accepted(case, verdict, upcoming.name) for verdict in verdicts if proof or ended(case, verdict))
    return tuple(dict.fromkeys(said for said in found if said is not None))


def _of_unit(case: Case) -> tuple[Decision, ...]:
    """Acceptances for this release object and unit from confirmed authors, also those that a record names."""
    digests = {unit.digest for unit in (case.progress.candidate, case.progress.stable) if unit}
    return tuple(
        said
        for said in in_order(case.observed.decisions)
        if said.action is Action.ACCEPT_RISK
        and said.counts
        and said.release_uid == case.release.uid
        and said.digest in digests
    )
