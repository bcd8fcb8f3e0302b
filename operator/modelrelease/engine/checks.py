"""Why exposure is not raised now: checks of one shape in one ordered chain. Every check must let a raise through.

Each check looks at the case and gives a Hold or None. The first Hold is what people see; none of them ever delays a
revert, because stop conditions are looked at before this chain is asked.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from modelrelease.domain.decision import Action, Decision
from modelrelease.domain.evidence import Cause
from modelrelease.domain.exposure import FULL_PERMILLE
from modelrelease.domain.gate import Gate, Phase, Scope
from modelrelease.domain.plan import Require
from modelrelease.domain.traffic import Acceptance
from modelrelease.domain.verdict import Outcome, Verdict
from modelrelease.engine.actions import Hold
from modelrelease.engine.approving import approved
from modelrelease.engine.case import Case, later
from modelrelease.engine.entry import entry_is_met
from modelrelease.engine.images import images_are_intact
from modelrelease.engine.risks import accepted, ended
from modelrelease.engine.split import misfit
from modelrelease.engine.train import within_train

MISFIT = "SplitMismatch"

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


def bundle_is_there(case: Case) -> Hold | None:
    """The candidate's application can read prompt and policies before anybody is sent to it."""
    candidate = case.progress.candidate
    found = next((each for each in case.observed.bundles if candidate and each.digest == candidate.digest), None)
    return Hold(found.reason, found.message) if found else None


def route_is_accepted(case: Case) -> Hold | None:
    """No step is taken from a route that was not read, or that its gateway has not accepted."""
    if not case.observed.routes:
        return Hold("RouteUnread", "no route of this release has been read")
    for view in case.observed.routes:
        if view.acceptance is not Acceptance.ACCEPTED:
            detail = f": {view.acceptance_message}" if view.acceptance_message else ""
            return Hold("RouteNotAccepted", f"HTTPRoute {view.name} is not accepted by its gateway{detail}")
    return None


def something_is_measured(case: Case) -> Hold | None:
    """A release without any gate for its stages is never advanced: a run with no measurement is not a success."""
    if not _stage_gates(case):
        return Hold("NoGates", "spec.gates is empty: name at least one gate, or nothing can be judged")
    return None


def evidence_is_there(case: Case) -> Hold | None:
    """Every gate has a verdict with fresh data behind it. Ignorance never advances (S7)."""
    if case.plan is None:
        return None
    verdicts = relevant(case)
    judged = {(verdict.gate, verdict.segment) for verdict in verdicts}
    for gate, segment in _to_be_judged(case):
        if (gate.name, segment) not in judged and (gate.name, None) not in judged:
            where = f" in segment {segment}" if segment else ""
            return Hold("EvidenceMissing", f"gate {gate.name} has not been judged{where} yet")
    for verdict in verdicts:
        if verdict.outcome is Outcome.NO_DATA:
            reason = f"Evidence{verdict.cause.value}" if verdict.cause else "EvidenceMissing"
            return Hold(reason, f"gate {verdict.sentence}")
        if verdict.newest is None or not current(case, verdict.newest):
            return Hold("EvidenceStale", f"gate {verdict.key}: the newest sample is too old to act on")
    return None


def source_answers(case: Case) -> Hold | None:
    """Before the first stage there is no candidate traffic to judge, but the sources must answer."""
    judged = {verdict.gate for verdict in case.observed.verdicts}
    for gate in _stage_gates(case):
        if gate.name not in judged:
            return Hold("EvidenceMissing", f"gate {gate.name} has not been measured yet")
    for verdict in case.observed.verdicts:
        if verdict.cause in (Cause.SOURCE_DOWN, Cause.BROKEN):
            return Hold(f"Evidence{verdict.cause.value}", f"gate {verdict.sentence}")
        if not current(case, verdict.at):
            return Hold("EvidenceStale", f"gate {verdict.key} was last asked at {verdict.at:%H:%M:%S}")
    return None


def history_is_read(case: Case) -> Hold | None:
    """How stable's bad events come is found before the first stage, or it could not be told from the evidence."""
    if case.observed.habits is None:
        return Hold("ReadingHistory", "stable's history is being read: how its bad events come decides how to judge")
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
    return Hold(MISFIT, message) if message else None


def counted_as_long_again(case: Case) -> Hold | None:
    """A split that is counted anew is counted as long as before: a misfit that took long to see is seen again."""
    stage, since = case.stage, case.progress.stage_since
    if stage is None or since is None or case.since(since) >= counted_before(case) or promote_decision(case):
        return None
    return Hold(
        "MinimumDuration", f"the split of stage {stage.name} is counted anew", later(since, counted_before(case))
    )


def counted_before(case: Case) -> float:
    """For how many seconds the split was counted before it was counted anew, 0 where it was not (`raising.advance`)."""
    entered, since = case.progress.since, case.progress.stage_since
    return max(0.0, (since - entered).total_seconds()) if since and entered else 0.0


def proven_if_required(case: Case) -> Hold | None:
    """Where the next stage asks for Proven, every gate must pass."""
    upcoming = case.next_stage
    if upcoming is None or upcoming.require is not Require.PROVEN or case.stage is None:
        return None
    for verdict in relevant(case):
        if verdict.outcome is not Outcome.PASS and accepted(case, verdict, upcoming.name) is None:
            return Hold("NotProven", f"stage {upcoming.name} needs proof; gate {verdict.sentence}")
    return None


def risks_are_still_accepted(case: Case) -> Hold | None:
    """What was raised on an accepted risk goes no further once the acceptance has ended without proof (R38)."""
    for verdict in relevant(case):
        over = ended(case, verdict)
        if over is not None and case.next_stage is not None:
            if accepted(case, verdict, case.next_stage.name):
                continue
            return Hold(
                "RiskAcceptanceEnded",
                f"gate {verdict.gate} was accepted undecided by {over.author} until "
                f"{over.expires_at:%Y-%m-%d %H:%M:%SZ}: wait for proof, or accept it again: modelrelease accept-risk "
                f"{case.release.name} --gate {verdict.gate} --reason …",
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
    images_are_intact,
    bundle_is_there,
    entry_is_met,
    something_is_measured,
    candidate_is_ready,
    stable_can_take_it_back,
    route_is_accepted,
    source_answers,
    history_is_read,
    within_train,
    approved,
)
"""What the first stage needs, before any user sees the candidate."""

BETWEEN: tuple[Check, ...] = (
    spec_is_valid,
    route_is_ours,
    not_paused,
    unit_is_intact,
    images_are_intact,
    bundle_is_there,
    entry_is_met,
    something_is_measured,
    route_is_accepted,
    stayed_long_enough,
    enough_samples,
    evidence_is_there,
    split_is_real,
    counted_as_long_again,
    proven_if_required,
    risks_are_still_accepted,
    candidate_is_ready,
    stable_can_take_it_back,
    within_train,
    approved,
)
"""What every later stage needs."""

TO_COMPLETE: tuple[Check, ...] = (
    spec_is_valid,
    route_is_ours,
    not_paused,
    unit_is_intact,
    images_are_intact,
    bundle_is_there,
    something_is_measured,
    route_is_accepted,
    stayed_long_enough,
    enough_samples,
    evidence_is_there,
    split_is_real,
    counted_as_long_again,
)
"""What the candidate needs to become stable after its time at 100 %."""

STILL: tuple[Check, ...] = (
    spec_is_valid,
    route_is_ours,
    not_paused,
    unit_is_intact,
    images_are_intact,
    bundle_is_there,
    entry_is_met,
    candidate_is_ready,
    stable_can_take_it_back,
    within_train,
)
"""What must still be so when a raise that was decided is written again. Approvals and waiting are used up by then."""

EVIDENCE: tuple[Check, ...] = (enough_samples, evidence_is_there, split_is_real, proven_if_required)
"""The checks that evidence alone answers: while one of them holds, the stage is undecided."""


def relevant(case: Case) -> tuple[Verdict, ...]:
    """The verdicts that count now.

    Not those of segments in which the candidate has no share yet, and not those that compare with a stable arm that
    has no traffic because the candidate has it all.
    """
    return tuple(
        verdict
        for verdict in case.observed.verdicts
        if not (verdict.comparative and _alone(case, verdict.segment))
        and (verdict.segment is None or case.progress.exposure.of(verdict.segment) > 0)
    )


def promote_decision(case: Case) -> Decision | None:
    """A person's Promote for this candidate and the stage that it is in now."""
    candidate, stage = case.progress.candidate, case.stage
    if candidate is None or stage is None:
        return None
    fitting = [
        decision
        for decision in case.decisions(Action.PROMOTE)
        if decision.digest == candidate.digest and decision.stage == stage.name
    ]
    return fitting[-1] if fitting else None


def _stage_gates(case: Case) -> tuple[Gate, ...]:
    return tuple(gate for gate in case.plan.gates if Phase.STAGE in gate.phases) if case.plan else ()


def _to_be_judged(case: Case) -> Iterator[tuple[Gate, str | None]]:
    """Each gate of the stages, in each segment that sees the candidate where the gate is judged per segment."""
    shown = tuple(segment for segment, share in case.progress.exposure.shares if share)
    for gate in _stage_gates(case):
        for segment in shown if gate.scope is Scope.SEGMENT else (None,):
            if not (gate.comparative and _alone(case, segment)):
                yield gate, segment


def _alone(case: Case, segment: str | None) -> bool:
    """Whether the candidate has all traffic (of one segment), so that stable has none to compare with."""
    shares = case.progress.exposure.shares
    if segment is not None:
        return case.progress.exposure.of(segment) == FULL_PERMILLE
    return bool(shares) and all(share == FULL_PERMILLE for _, share in shares)


def current(case: Case, moment: datetime) -> bool:
    """Whether `moment` is at most the freshness limit away; a time in the future says that clocks disagree."""
    limit = case.plan.limits.fresh_s if case.plan else 0
    return abs((case.now - moment).total_seconds()) <= limit
