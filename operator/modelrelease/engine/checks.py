"""Why exposure is not raised now: checks of one shape in one ordered chain. Every check must let a raise through.

Each check looks at the case and gives a Hold or None. The first Hold is what people see; none of them ever delays a
revert, because stop conditions are looked at before this chain is asked.
"""

from collections.abc import Callable, Iterable, Iterator

from modelrelease.domain.decision import Action, Decision
from modelrelease.domain.evidence import Cause
from modelrelease.domain.exposure import REST
from modelrelease.domain.plan import Require, Stage
from modelrelease.domain.traffic import Acceptance
from modelrelease.domain.verdict import Outcome, Verdict
from modelrelease.engine.actions import Hold
from modelrelease.engine.case import Case, later
from modelrelease.engine.split import misfit

Check = Callable[[Case], Hold | None]


def holds(case: Case, checks: Iterable[Check]) -> Iterator[Hold]:
    """All holds of a chain, in order."""
    for check in checks:
        hold = check(case)
        if hold is not None:
            yield hold


def spec_is_valid(case: Case) -> Hold | None:
    """A spec with faults raises nothing; the candidate in flight is still judged by the plan it started with."""
    if case.release.faults:
        fault = case.release.faults[0]
        return Hold(fault.reason, fault.message)
    return None


def route_is_ours(case: Case) -> Hold | None:
    """Two releases on one rule: the older wins."""
    if case.observed.conflict:
        return Hold("RouteConflict", case.observed.conflict)
    return None


def not_paused(case: Case) -> Hold | None:
    """A person said Pause and nobody said Resume since."""
    if case.progress.paused_by:
        by = next((d for d in case.observed.decisions if d.uid == case.progress.paused_by), None)
        return Hold("Paused", f"paused by {by.author}: {by.reason}" if by else "paused by a person")
    return None


def unit_is_intact(case: Case) -> Hold | None:
    """A ConfigMap edited in place no longer is the unit that was started (R2)."""
    if case.observed.violations:
        violation = case.observed.violations[0]
        return Hold(violation.reason, violation.message)
    return None


def route_is_accepted(case: Case) -> Hold | None:
    """No step is taken from a route that its gateway has not accepted."""
    for view in case.observed.routes:
        if view.acceptance is not Acceptance.ACCEPTED:
            detail = f": {view.acceptance_message}" if view.acceptance_message else ""
            return Hold("RouteNotAccepted", f"HTTPRoute {view.name} is not accepted by its gateway{detail}")
    return None


def something_is_measured(case: Case) -> Hold | None:
    """A release without any gate is never advanced: a run with no measurement is not a success."""
    if case.plan is None or not case.plan.gates:
        return Hold("NoGates", "spec.gates is empty: name at least one gate, or nothing can be judged")
    return None


def evidence_is_there(case: Case) -> Hold | None:
    """Every gate has a verdict with fresh data behind it. Ignorance never advances (S7)."""
    if case.plan is None:
        return None
    verdicts = relevant(case)
    judged = {verdict.gate for verdict in verdicts}
    for gate in case.plan.gates:
        if gate.name not in judged and not _idle_at_full(case, gate.comparative):
            return Hold("EvidenceMissing", f"gate {gate.name} has not been judged yet")
    for verdict in verdicts:
        if verdict.outcome is Outcome.NO_DATA:
            reason = f"Evidence{verdict.cause.value}" if verdict.cause else "EvidenceMissing"
            return Hold(reason, f"gate {verdict.key}: {verdict.sentence}")
        if verdict.newest is None or case.since(verdict.newest) > case.plan.limits.fresh_s:
            return Hold("EvidenceStale", f"gate {verdict.key}: the newest sample is too old to act on")
    return None


def source_answers(case: Case) -> Hold | None:
    """Before the first stage there is no candidate traffic to judge, but the sources must answer."""
    if case.plan is None:
        return None
    judged = {verdict.gate for verdict in case.observed.verdicts}
    for gate in case.plan.gates:
        if gate.name not in judged:
            return Hold("EvidenceMissing", f"gate {gate.name} has not been measured yet")
    for verdict in case.observed.verdicts:
        if verdict.cause in (Cause.SOURCE_DOWN, Cause.BROKEN):
            return Hold(f"Evidence{verdict.cause.value}", f"gate {verdict.key}: {verdict.sentence}")
    return None


def stayed_long_enough(case: Case) -> Hold | None:
    """The stage's minimum duration, which only a person's Promote shortens (R17)."""
    stage, since = case.stage, case.progress.stage_since
    if stage is None or promote_decision(case):
        return None
    if since is None or case.since(since) < stage.min_duration_s:
        until = later(since or case.now, stage.min_duration_s)
        return Hold("MinimumDuration", f"stage {stage.name} lasts at least {stage.min_duration_s} s", until)
    return None


def enough_samples(case: Case) -> Hold | None:
    """The stage's minimum of candidate requests. An unknown count is not enough."""
    stage = case.stage
    if stage is None or not stage.min_samples:
        return None
    got = case.observed.samples
    if got is None or got < stage.min_samples:
        return Hold(
            "InsufficientTraffic",
            f"stage {stage.name} needs {stage.min_samples:,} requests on the candidate"
            + (f", {got:,} so far" if got is not None else ", and their number cannot be read"),
        )
    return None


def split_is_real(case: Case) -> Hold | None:
    """A route that says 1 % and sends something else must not pass (sample-ratio test)."""
    message = misfit(case.progress.exposure, case.observed.split)
    return Hold("SplitMismatch", message) if message else None


def proven_if_required(case: Case) -> Hold | None:
    """Where the next stage asks for Proven, every gate must pass."""
    upcoming = case.next_stage
    if upcoming is None or upcoming.require is not Require.PROVEN or case.stage is None:
        return None
    for verdict in relevant(case):
        if verdict.outcome is not Outcome.PASS:
            return Hold("NotProven", f"stage {upcoming.name} needs proof; gate {verdict.key}: {verdict.sentence}")
    return None


def approved(case: Case) -> Hold | None:
    """Each role that the next stage names has approved this digest, this plan and this stage (S2)."""
    upcoming, candidate = case.next_stage, case.progress.candidate
    if upcoming is None or candidate is None:
        return None
    missing = [role for role in upcoming.approvals if approval(case, role, upcoming) is None]
    if missing:
        return Hold(
            "AwaitingApproval",
            f"stage {upcoming.name} waits for approval by {', '.join(missing)}: "
            f"modelrelease approve {case.release.name} --role {missing[0]} --stage {upcoming.name} --reason …",
        )
    return None


def candidate_is_ready(case: Case) -> Hold | None:
    """No traffic to a backend without ready endpoints, where the cluster can tell (S11)."""
    candidate = case.progress.candidate
    if candidate and case.ready(candidate) == 0:
        return Hold("CandidateNotReady", f"{candidate.backend} has no ready endpoint")
    return None


def stable_can_take_it_back(case: Case) -> Hold | None:
    """Stable keeps the capacity that it had when the rollout began (condition RevertCapacity)."""
    stable, plan = case.progress.stable, case.plan
    if stable is None or plan is None:
        return None
    ready, at_start = case.ready(stable), case.progress.stable_ready
    if ready is None:
        return None
    floor = max(1, -(-(at_start or 1) * plan.limits.revert_capacity_percent // 100))
    if ready < floor:
        return Hold(
            "RevertCapacity", f"{stable.backend} has {ready} ready endpoints; taking everything back needs {floor}"
        )
    return None


BEFORE_FIRST: tuple[Check, ...] = (
    spec_is_valid,
    route_is_ours,
    not_paused,
    unit_is_intact,
    something_is_measured,
    candidate_is_ready,
    stable_can_take_it_back,
    route_is_accepted,
    source_answers,
    approved,
)
"""What the first stage needs, before any user sees the candidate."""

BETWEEN: tuple[Check, ...] = (
    spec_is_valid,
    route_is_ours,
    not_paused,
    unit_is_intact,
    something_is_measured,
    route_is_accepted,
    stayed_long_enough,
    enough_samples,
    evidence_is_there,
    split_is_real,
    proven_if_required,
    candidate_is_ready,
    stable_can_take_it_back,
    approved,
)
"""What every later stage needs."""

TO_COMPLETE: tuple[Check, ...] = (
    spec_is_valid,
    not_paused,
    something_is_measured,
    route_is_accepted,
    stayed_long_enough,
    enough_samples,
    evidence_is_there,
)
"""What the candidate needs to become stable after its time at 100 %."""


def relevant(case: Case) -> tuple[Verdict, ...]:
    """The verdicts that count now.

    Not those of segments in which the candidate has no share yet, and not those that compare with a stable arm that
    has no traffic at 100 %.
    """
    return tuple(
        verdict
        for verdict in case.observed.verdicts
        if not _idle_at_full(case, verdict.comparative)
        and (verdict.segment is None or case.progress.exposure.of(verdict.segment) > 0)
    )


def approval(case: Case, role: str, stage: Stage) -> Decision | None:
    """The newest valid approval of a role for a stage of the present candidate and plan."""
    candidate, plan = case.progress.candidate, case.plan
    if candidate is None or plan is None:
        return None
    fitting = [
        decision
        for decision in case.decisions(Action.APPROVE)
        if decision.role == role
        and decision.digest == candidate.digest
        and decision.plan_digest == plan.digest
        and decision.stage in (None, stage.name)
    ]
    return fitting[-1] if fitting else None


def promote_decision(case: Case) -> Decision | None:
    """A person's Promote for the stage that the candidate is in now."""
    candidate, stage = case.progress.candidate, case.stage
    if candidate is None or stage is None:
        return None
    fitting = [
        decision
        for decision in case.decisions(Action.PROMOTE, digest=candidate.digest)
        if decision.stage in (None, stage.name)
    ]
    return fitting[-1] if fitting else None


def _idle_at_full(case: Case, comparative: bool) -> bool:
    return comparative and case.progress.exposure.of(REST) == 1000
