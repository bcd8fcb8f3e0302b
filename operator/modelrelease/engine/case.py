"""Everything one decision looks at, gathered into one value, with the questions that several checks ask of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from modelrelease.domain.decision import Action, Decision, in_order
from modelrelease.domain.exposure import FULL_PERMILLE, NOTHING, REST, Exposure, uniform
from modelrelease.domain.plan import Plan, Stage
from modelrelease.domain.release import Observed, Progress, Release, State
from modelrelease.domain.traffic import Acceptance, RouteView, Target
from modelrelease.domain.unit import UnitRef, unit_ref


@dataclass(frozen=True, slots=True)
class Case:
    """One release at one time: wanted, remembered, observed."""

    release: Release
    progress: Progress
    observed: Observed
    now: datetime

    @property
    def segments(self) -> tuple[str, ...]:
        """The declared segments' names, in order."""
        return tuple(segment.name for segment in self.release.traffic.segments)

    @property
    def wanted(self) -> UnitRef | None:
        """The unit that the spec asks for, None while the spec cannot be read."""
        return unit_ref(self.release.name, self.release.unit) if self.release.unit else None

    @property
    def plan(self) -> Plan | None:
        """The plan in force: the one that the rollout began with (tightenings included), else the spec's."""
        return self.progress.plan or self.release.plan

    @property
    def stage(self) -> Stage | None:
        """The stage that the candidate is in, None before the first."""
        plan = self.plan
        return plan.stages[self.progress.stage] if plan and 0 <= self.progress.stage < len(plan.stages) else None

    @property
    def next_stage(self) -> Stage | None:
        """The stage after the present one, None after the last."""
        plan = self.plan
        index = self.progress.stage + 1
        return plan.stages[index] if plan and index < len(plan.stages) else None

    def decisions(self, action: Action, *, digest: str | None = None) -> tuple[Decision, ...]:
        """The people's decisions of one kind that are for this release and not used yet, oldest first.

        With `digest`, only those bound to that unit (a decision without digest is for whatever the release is at).
        """
        return tuple(
            decision
            for decision in in_order(self.observed.decisions)
            if decision.action is action
            and decision.uid not in self.progress.handled
            and decision.release_uid in (None, self.release.uid)
            and (digest is None or decision.digest in (None, digest))
        )

    def since(self, moment: datetime | None) -> float:
        """Seconds from `moment` to now; 0 where there is no moment."""
        return max(0.0, (self.now - moment).total_seconds()) if moment else 0.0

    def ready(self, unit: UnitRef) -> int | None:
        """Ready endpoints of a unit's backend, None where the cluster cannot tell."""
        return self.observed.ready.get(unit.backend)


def later(moment: datetime, seconds: float) -> datetime:
    """`moment` plus seconds."""
    return moment + timedelta(seconds=seconds)


def everything(segments: tuple[str, ...]) -> Exposure:
    """All traffic of every segment and of the rest."""
    return uniform(segments, FULL_PERMILLE)


def target_of(case: Case, progress: Progress) -> Target | None:
    """The form that the routes must have at `progress`; None while nothing is known to serve."""
    base = progress.diverted or progress.stable
    if base is None:
        return None
    zero = uniform(case.segments, 0)
    match progress.state:
        case State.PREPARING | State.RAISING | State.OBSERVING if progress.candidate:
            share = progress.exposure if progress.exposure.shares else zero
            return Target(base=base, other=progress.candidate, exposure=share)
        case State.REVERTING | State.STOPPED if progress.candidate and progress.diverted is None:
            return Target(base=base, other=progress.candidate, exposure=zero)
        case State.WATCHING if progress.fallback and progress.stable:
            return Target(base=progress.fallback, other=progress.stable, exposure=everything(case.segments))
        case _:
            return Target(base=base)


def fits(view: RouteView, target: Target, segments: tuple[str, ...]) -> bool:
    """Whether a route as read has the arms, shares and segment rules that `target` asks for."""
    if not view.exists or view.problem:
        return False
    wanted_segments = {REST, *segments} if target.other else {REST}
    if {rule.segment for rule in view.rules} != wanted_segments:
        return False
    for rule in view.rules:
        arms = [(arm.revision, arm.permille) for arm in rule.arms]
        if target.other is None:
            expected = [(target.base.revision, FULL_PERMILLE)]
        else:
            share = target.exposure.of(rule.segment)
            expected = [(target.base.revision, FULL_PERMILLE - share), (target.other.revision, share)]
        if not rule.explicit or arms != expected:
            return False
    return True


def candidate_share(case: Case) -> Exposure:
    """The highest share per segment that any route gives to the candidate."""
    candidate = case.progress.candidate
    if candidate is None:
        return NOTHING
    shares: dict[str, int] = {}
    for view in case.observed.routes:
        for segment, share in view.share_of(candidate.revision).shares:
            shares[segment] = max(shares.get(segment, 0), share)
    return Exposure(tuple(shares.items()))


def all_accepted(case: Case) -> bool:
    """Whether every route's parents accepted its current generation."""
    return bool(case.observed.routes) and all(view.acceptance is Acceptance.ACCEPTED for view in case.observed.routes)
