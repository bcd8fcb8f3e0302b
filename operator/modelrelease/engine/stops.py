"""Stop conditions: the reasons to take the candidate's traffic away, each explaining itself in one sentence.

They are looked at before anything else, in every state in which a candidate or a watched unit has traffic, and none of
them asks whether the release is paused, frozen, outside its window or waiting for an approval (R17, S6).
"""

from collections.abc import Callable, Iterator

from modelrelease.domain.decision import Action, Decision
from modelrelease.domain.evidence import Cause
from modelrelease.domain.plan import AtMaxDuration, Limits
from modelrelease.domain.release import IN_TRAFFIC, State, Stop
from modelrelease.domain.traffic import Acceptance
from modelrelease.domain.unit import UnitRef
from modelrelease.domain.verdict import Outcome, Verdict
from modelrelease.engine.approving import rejected, window_ran_out
from modelrelease.engine.case import Case
from modelrelease.engine.checks import EVIDENCE, holds, relevant
from modelrelease.engine.entry import entry_fails

StopCheck = Callable[[Case, UnitRef], Stop | None]


def first_stop(case: Case, unit: UnitRef, checks: tuple[StopCheck, ...]) -> Stop | None:
    """The first stop condition that `unit` meets, None when it meets none."""
    return next(_stops(case, unit, checks), None)


def _stops(case: Case, unit: UnitRef, checks: tuple[StopCheck, ...]) -> Iterator[Stop]:
    for check in checks:
        found = check(case, unit)
        if found is not None:
            yield found


def marked_on_route(case: Case, unit: UnitRef) -> Stop | None:
    """The route already carries the stopped mark: a revert was written and the status was not (S3).

    A person's Retry lifts the mark of an earlier try before the status says that the unit is on its way again, so a
    mark that is seen here is never an old one.
    """
    if any(view.stopped == unit.digest for view in case.observed.routes):
        message = f"{unit.version} was stopped; the mark on the route outlived the status"
        return _stop(case, unit, "Stopped", message)
    return None


def aborted(case: Case, unit: UnitRef) -> Stop | None:
    """A person said Abort. Said without a digest it is for the candidate, where there is one."""
    candidate = case.progress.candidate if case.progress.state in IN_TRAFFIC else None
    for decision in case.decisions(Action.ABORT, digest=unit.digest):
        if decision.digest is None and candidate not in (None, unit):
            continue
        return _stop(case, unit, "Aborted", f"aborted by {decision.author}: {decision.reason}")
    return None


def gate_says_revert(case: Case, unit: UnitRef) -> Stop | None:
    """A gate of the stages found the candidate worse, with stated confidence."""
    return _worst(case, unit, case.observed.verdicts)


def watch_gate_says_revert(case: Case, unit: UnitRef) -> Stop | None:
    """A gate of the watch found the released unit worse."""
    return _worst(case, unit, case.observed.watch_verdicts)


def evidence_gone_too_long(case: Case, unit: UnitRef) -> Stop | None:
    """A gate has had no data for longer than the plan bears (Missing and Broken; other causes hold)."""
    if case.plan is None:
        return None
    for verdict in relevant(case):
        since = dict(case.progress.no_data_since).get(verdict.key)
        limit = no_data_limit(verdict, case.plan.limits)
        if since is None or limit is None:
            continue
        if case.since(since) >= limit:
            return _stop(
                case,
                unit,
                f"Evidence{verdict.cause or Cause.BROKEN}",
                f"no data for {limit} s: gate {verdict.sentence}",
            )
    return None


def undecided_too_long(case: Case, unit: UnitRef) -> Stop | None:
    """The stage's maximum duration is over without enough evidence, and the stage says Revert for that.

    A stage whose evidence is complete and that only waits for a person is not undecided.
    """
    stage = case.stage
    if stage is None or stage.max_duration_s is None or stage.at_max_duration is not AtMaxDuration.REVERT:
        return None
    if case.progress.state is not State.OBSERVING or case.since(case.progress.stage_since) < stage.max_duration_s:
        return None
    if any(holds(case, EVIDENCE)):
        return _stop(case, unit, "Undecided", f"stage {stage.name} was still undecided after {stage.max_duration_s} s")
    return None


def route_refused(case: Case, unit: UnitRef) -> Stop | None:
    """The gateway refused the route that carries the candidate, or did not confirm it in time."""
    plan = case.plan
    if plan is None or case.progress.state is not State.RAISING or case.progress.intent is None:
        return None
    if case.since(case.progress.intent.decided_at) < plan.limits.route_confirm_s:
        return None
    for view in case.observed.routes:
        if view.acceptance is not Acceptance.ACCEPTED:
            detail = view.acceptance_message or "no answer from the gateway"
            return _stop(
                case,
                unit,
                "RouteNotAccepted",
                f"HTTPRoute {view.name} was not accepted within {plan.limits.route_confirm_s} s: {detail}",
            )
    return None


IN_STAGES: tuple[StopCheck, ...] = (
    gate_says_revert,
    aborted,
    entry_fails,
    rejected,
    window_ran_out,
    evidence_gone_too_long,
    undecided_too_long,
    route_refused,
    marked_on_route,
)
"""What stops a candidate. The mark comes last, so that a revert begun anew after a crash still says its reason."""

IN_WATCH: tuple[StopCheck, ...] = (watch_gate_says_revert, aborted, rejected, marked_on_route)
"""What stops a unit after 100 %. Missing evidence alerts here and does not revert (R13)."""


def no_data_limit(verdict: Verdict, limits: Limits) -> int | None:
    """How many seconds of this verdict's kind of no data are borne; None: as long as it takes, or there is data."""
    if verdict.outcome is not Outcome.NO_DATA:
        return None
    match verdict.cause:
        case Cause.MISSING:
            return limits.missing_s
        case Cause.BROKEN | None:
            return limits.broken_s
        case _:
            return None


def used_decisions(case: Case, unit: UnitRef) -> tuple[Decision, ...]:
    """The decisions that stopping `unit` uses up: Abort and Reject, and each Retry that was said before the stop.

    Also those whose author is not confirmed: a Retry that is confirmed later was said before the stop all the same.
    """
    return tuple(
        decision
        for action in (Action.ABORT, Action.REJECT, Action.RETRY)
        for decision in case.decisions(action, digest=unit.digest, anybody=True)
    )


def _worst(case: Case, unit: UnitRef, verdicts: tuple[Verdict, ...]) -> Stop | None:
    for verdict in verdicts:
        if verdict.outcome is Outcome.REVERT:
            return _stop(case, unit, "GateFailed", f"gate {verdict.sentence}", gate=verdict.gate)
    return None


def _stop(case: Case, unit: UnitRef, reason: str, message: str, gate: str | None = None) -> Stop:
    return Stop(unit.digest, unit.version, reason, message, case.now, gate)
