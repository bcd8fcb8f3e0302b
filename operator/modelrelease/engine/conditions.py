"""What the status says to people and tools: conditions after the Kubernetes conventions and kstatus.

Ready is always there; Reconciling and Stalled only when true. Messages hold no running numbers, so that a status is
written on transitions and not at each tick.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from modelrelease.domain.canonical import short
from modelrelease.domain.decision import Decision
from modelrelease.domain.entry import EntryOutcome, EntryVerdict
from modelrelease.domain.release import IN_TRAFFIC, Observed, Progress, Release, State
from modelrelease.domain.traffic import Acceptance
from modelrelease.domain.verdict import Outcome
from modelrelease.engine.actions import Hold, Step
from modelrelease.engine.entry import FAILED, entry_said
from modelrelease.engine.images import intactness
from modelrelease.engine.repolicy import SHOWN, pending
from modelrelease.governance.approvals import Refusal
from modelrelease.governance.effective import BELOW_TIER

KEPT_REFUSALS = 4
"""How many decisions without effect the condition names: the newest, which comes first."""

Truth = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition without its times: those are set where the status is written."""

    type: str
    status: Truth
    reason: str
    message: str


def conditions(
    release: Release,
    step: Step,
    observed: Observed,
    *,
    entry: tuple[EntryVerdict, ...] = (),
    refused: Iterable[Refusal] = (),
    risks: Iterable[Decision] = (),
) -> tuple[Condition, ...]:
    """All conditions that hold for a release after a step.

    `entry` is what its offline evidence says, `refused` what people said without effect, `risks` what they accepted.
    """
    progress = step.progress
    found = [
        *_health(release, step),
        _route_accepted(observed),
        *_evidence(progress, observed),
        *_lengths(progress, observed),
        *_entry(entry),
        *_from_holds(step.holds),
        *_refused(refused),
        *_risks(risks),
        *_drift(step),
        *_watch(progress),
        *_superseded(release, progress),
        *_policy(release, progress),
        *_bundles(observed),
        *_units(release, progress, observed),
    ]
    return tuple({condition.type: condition for condition in found}.values())


def _health(release: Release, step: Step) -> Iterable[Condition]:
    progress = step.progress
    if release.faults:
        fault = release.faults[0]
        yield Condition("Ready", "False", fault.reason, fault.message)
        yield Condition("Stalled", "True", fault.reason, fault.message)
        return
    stopped = _stopped_unit(release, progress)
    if stopped is not None:
        reason, message = stopped
        yield Condition("Ready", "False", reason, message)
        yield Condition("Stalled", "True", reason, message)
        return
    blocking = next((h for h in step.holds if h.reason in STALLING), None)
    if blocking is not None and progress.state is State.NEW:
        yield Condition("Ready", "False", blocking.reason, blocking.message)
        yield Condition("Stalled", "True", blocking.reason, blocking.message)
        return
    match progress.state:
        case State.SETTLED | State.WATCHING if progress.stable and not step.holds:
            reason = "Watching" if progress.state is State.WATCHING else "Released"
            yield Condition("Ready", "True", reason, f"{progress.stable.version} serves all traffic")
        case State.SETTLED | State.WATCHING:
            hold = step.holds[0] if step.holds else Hold("Progressing", "under way")
            yield Condition("Ready", "True", hold.reason, hold.message)
        case _:
            hold = step.holds[0] if step.holds else Hold("Progressing", _progressing(progress))
            yield Condition("Ready", "Unknown", hold.reason, hold.message)
            yield Condition("Reconciling", "True", hold.reason, hold.message)


STALLING = frozenset({"RouteConflict", "RouteUnusable", "RouteMissing", "BaselineUnclear", "Stopped", FAILED})
"""Holds at first contact that need a person: without an edit nothing will move."""


def _stopped_unit(release: Release, progress: Progress) -> tuple[str, str] | None:
    if release.unit is None or progress.state not in (State.STOPPED, State.SETTLED, State.WATCHING):
        return None
    wanted = release.unit.digest
    if progress.stable and progress.stable.digest == wanted:
        return None
    if progress.stop and progress.stop.digest == wanted:
        return progress.stop.reason, f"{progress.stop.version} was taken back: {progress.stop.message}"
    if wanted in progress.stopped:
        past = next((outcome for outcome in progress.outcomes if outcome.digest == wanted), None)
        detail = past.message if past else "it was stopped before"
        return "Stopped", f"{release.unit.version}: {detail}; modelrelease retry {release.name} starts it again"
    return None


def _progressing(progress: Progress) -> str:
    version = progress.candidate.version if progress.candidate else "the release"
    match progress.state:
        case State.PREPARING:
            return f"{version} is being prepared"
        case State.RAISING:
            return f"{version} goes to {progress.exposure}"
        case State.REVERTING:
            return f"{version} is being taken back"
        case State.OBSERVING:
            return f"{version} is judged at {progress.exposure}"
        case _:
            return "under way"


def _route_accepted(observed: Observed) -> Condition:
    """Of several routes the one that was refused is told first: that mends itself least."""
    for view in observed.routes:
        if view.acceptance is Acceptance.REFUSED:
            return Condition("RouteAccepted", "False", "Refused", f"HTTPRoute {view.name}: {view.acceptance_message}")
    for view in observed.routes:
        if view.acceptance is Acceptance.PENDING:
            return Condition("RouteAccepted", "Unknown", "Pending", f"HTTPRoute {view.name}: waiting for its gateway")
    if not observed.routes:
        return Condition("RouteAccepted", "Unknown", "NoRoute", "no route has been read yet")
    return Condition("RouteAccepted", "True", "Accepted", "every gateway accepted the route")


def _evidence(progress: Progress, observed: Observed) -> Iterable[Condition]:
    if progress.state not in (State.OBSERVING, State.WATCHING):
        return
    verdicts = observed.verdicts if progress.state is State.OBSERVING else observed.watch_verdicts
    missing = [v for v in verdicts if v.outcome is Outcome.NO_DATA and v.cause]
    if missing:
        cause = missing[0].cause
        names = ", ".join(sorted({verdict.gate for verdict in missing}))
        yield Condition("EvidenceFresh", "False", str(cause), f"no usable data for: {names}")
    elif verdicts:
        yield Condition("EvidenceFresh", "True", "Fresh", "every gate has fresh data")


def _lengths(progress: Progress, observed: Observed) -> Iterable[Condition]:
    """Whether the stages are long enough to see what the gates are for. It holds nothing up and reverts nothing."""
    if progress.state not in (State.RAISING, State.OBSERVING):
        return
    lengths = observed.lengths
    if lengths is None:
        yield Condition("StagesSufficient", "Unknown", "NotMeasured", "there has not been enough traffic yet to say")
    elif lengths.too_short:
        yield Condition("StagesSufficient", "False", "StagesTooShort", "; ".join(lengths.too_short))
    elif lengths.unknown:
        yield Condition("StagesSufficient", "Unknown", "TrafficUnknown", "; ".join(lengths.unknown))
    else:
        message = "each stage can see in its time what the gates are for"
        yield Condition("StagesSufficient", "True", "LongEnough", message)


def _entry(verdicts: tuple[EntryVerdict, ...]) -> Iterable[Condition]:
    """Whether offline evidence meets every entry demand; nothing where there is no demand."""
    if verdicts:
        outcome, reason, message = entry_said(verdicts)
        yield Condition("EntryEvidence", "True" if outcome is EntryOutcome.PASS else "False", reason, message)


def _from_holds(holds: Iterable[Hold]) -> Iterable[Condition]:
    for hold in holds:
        match hold.reason:
            case "AwaitingApproval":
                yield Condition("AwaitingApproval", "True", hold.reason, hold.message)
            case "RevertCapacity":
                yield Condition("RevertCapacity", "False", "TooFewEndpoints", hold.message)
            case "RouteConflict":
                yield Condition("RouteConflict", "True", hold.reason, hold.message)
            case "OutsideWindow" | "Frozen":
                yield Condition("ReleaseWindowOpen", "False", hold.reason, hold.message)
            case "Paused":
                yield Condition("Paused", "True", hold.reason, hold.message)


def _bundles(observed: Observed) -> Iterable[Condition]:
    """An application of this release cannot read what it should answer with, or reads something else."""
    found = next((each for each in observed.bundles if each.reason != "BundleUnread"), None)
    if found:
        yield Condition("BundleIntact", "False", found.reason, found.message)


def _units(release: Release, progress: Progress, observed: Observed) -> Iterable[Condition]:
    """Whether what runs, and what the ConfigMaps hold, is what was released; Unknown where that cannot be told."""
    found = intactness(release, progress, observed)
    if found is not None:
        status: Truth = "Unknown" if found.intact is None else "True" if found.intact else "False"
        yield Condition("UnitIntact", status, found.reason, found.message)


def _refused(refused: Iterable[Refusal]) -> Iterable[Condition]:
    told = [refusal_text(refusal) for refusal in refused]
    if told:
        yield Condition("DecisionRefused", "True", "WithoutEffect", "; ".join(told[: -KEPT_REFUSALS - 1 : -1]))


def _risks(risks: Iterable[Decision]) -> Iterable[Condition]:
    told = [
        f"gate {risk.gate} undecided before stage {risk.stage}, accepted by {risk.author} until "
        f"{risk.expires_at:%Y-%m-%d %H:%M:%SZ}: {risk.reason}"
        for risk in risks
    ]
    if told:
        yield Condition("RiskAccepted", "True", "Accepted", "; ".join(told))


def refusal_text(refusal: Refusal) -> str:
    """What was said without effect, by whom, and why."""
    said = refusal.decision
    role = f" as {said.role}" if said.role else ""
    return f"{said.action} by {said.author}{role} ({said.name}) does not count: {refusal.why}"


def _drift(step: Step) -> Iterable[Condition]:
    if step.drifted:
        yield Condition("Drifted", "True", "ForeignChange", step.drifted)


def _watch(progress: Progress) -> Iterable[Condition]:
    if progress.watch:
        message = f"{progress.watch.unit.version} is watched until {progress.watch.until:%Y-%m-%d %H:%M:%SZ}"
        yield Condition("WatchComplete", "False", "Watching", message)
    elif progress.outcomes and progress.outcomes[0].outcome == "WatchCompleted":
        yield Condition("WatchComplete", "True", "WatchCompleted", progress.outcomes[0].message)


def _superseded(release: Release, progress: Progress) -> Iterable[Condition]:
    """Production differs from the spec: what git says was stopped, or is still on its way (R19)."""
    wanted = release.unit.digest if release.unit else None
    if wanted and progress.stable and wanted != progress.stable.digest and progress.state not in IN_TRAFFIC:
        version = release.unit.version  # type: ignore[union-attr]
        message = f"production runs {progress.stable.version}, the spec says {version}"
        if wanted in progress.stopped:
            message += f": write another unit into spec.unit, or start it again with modelrelease retry {release.name}"
        yield Condition("SpecSuperseded", "True", "ProductionDiffers", message)


def _policy(release: Release, progress: Progress) -> Iterable[Condition]:
    """Whether the release asks for what its tier asks for, and what of a changed policy waits."""
    standing = release.standing
    if standing is not None and standing.shortfalls:
        yield Condition("PolicySatisfied", "False", BELOW_TIER, _listed(standing.shortfalls))
    elif standing is not None and not standing.built_in:
        below = [fault for fault in release.faults if fault.reason == BELOW_TIER]
        if below:
            yield Condition("PolicySatisfied", "False", BELOW_TIER, _listed([fault.message for fault in below]))
        else:
            same = progress.stable and release.unit and progress.stable.digest == release.unit.digest
            tier = "" if same else f"tier {standing.tier.value} of "
            message = f"it asks for all that {tier}ReleasePolicy {standing.policy} asks for"
            yield Condition("PolicySatisfied", "True", "Satisfied", message)
    if standing is not None and standing.overdue:
        message = (
            f"ReleasePolicy {standing.policy} had to be looked at again by {standing.overdue}; it is in force. Whoever"
            " answers for it: review it and write a later spec.reviewBy"
        )
        yield Condition("PolicyReviewDue", "True", "ReviewDatePassed", message)
    waiting = pending(release, progress)
    if waiting is not None and waiting.plan.governed is not None:
        asks = (
            f"ReleasePolicy {waiting.plan.governed.policy} asks for something else now: {_listed(waiting.differences)}"
        )
        mend = "it applies to the next rollout"
        if waiting.roles:
            roles = ", ".join(waiting.roles)
            mend += f", or to this one when {roles} approved plan {short(waiting.plan.digest)}: modelrelease approve "
            mend += f"{release.name} --role {waiting.roles[0]} --policy-change --reason …"
        yield Condition("PolicyPending", "True", "PolicyLoosened", f"{asks}; {mend}")


def _listed(phrases: Sequence[str]) -> str:
    more = f"; and {len(phrases) - SHOWN} more" if len(phrases) > SHOWN else ""
    return "; ".join(phrases[:SHOWN]) + more
