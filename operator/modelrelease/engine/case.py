"""Everything one decision looks at, gathered into one value, with the questions that several checks ask of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from modelrelease.domain.decision import Action, Decision, in_order
from modelrelease.domain.exposure import FULL_PERMILLE, NOTHING, REST, Exposure, uniform
from modelrelease.domain.plan import Plan, Stage
from modelrelease.domain.release import Observed, Progress, Release, State
from modelrelease.domain.traffic import Acceptance, Arm, RouteView, Target
from modelrelease.domain.unit import Unit, UnitRef, unit_ref


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
        return _reference(self.release.name, self.release.unit) if self.release.unit else None

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

    def decisions(self, action: Action, *, digest: str | None = None, anybody: bool = False) -> tuple[Decision, ...]:
        """The people's decisions of one kind that are for this release and not used yet, oldest first.

        With `digest`, only those bound to that unit (a decision without digest is for whatever the release is at).
        With `anybody`, also those whose author is not confirmed, which must not raise exposure.
        """
        return tuple(
            decision
            for decision in in_order(self.observed.decisions)
            if decision.action is action
            and (anybody or decision.counts)
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


@lru_cache(maxsize=4096)
def _reference(release: str, unit: Unit) -> UnitRef:
    """Kept, because a digest is asked for many times at each look and a unit never changes."""
    return unit_ref(release, unit)


def later(moment: datetime, seconds: float) -> datetime:
    """`moment` plus seconds."""
    return moment + timedelta(seconds=seconds)


def entered_exposure(case: Case) -> Exposure:
    """The exposure of the stage entered last, zero before the first: what stands while a raise is only decided."""
    stage = case.stage
    return stage.exposure if stage else uniform(case.segments, 0)


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
        case State.WATCHING if progress.fallback and progress.stable and progress.diverted is None:
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


def share_of(case: Case, unit: UnitRef) -> Exposure:
    """The highest share per segment that any route gives to a unit."""
    shares: dict[str, int] = {}
    for view in case.observed.routes:
        for segment, share in view.share_of(unit.revision).shares:
            shares[segment] = max(shares.get(segment, 0), share)
    return Exposure(tuple(shares.items()))


def candidate_share(case: Case) -> Exposure:
    """The highest share per segment that any route gives to the candidate."""
    candidate = case.progress.candidate
    return share_of(case, candidate) if candidate else NOTHING


def serves_all(view: RouteView, unit: UnitRef) -> bool:
    """Whether every rule of a route sends everything to `unit`, in whatever form.

    An arm without our header counts by its backend: that is how a route looks before it is adopted.
    """
    return view.exists and all(
        sum(arm.permille for arm in rule.arms if _is(arm, unit)) == FULL_PERMILLE for rule in view.rules
    )


def _is(arm: Arm, unit: UnitRef) -> bool:
    return arm.revision == unit.revision or (arm.revision is None and arm.backend == unit.backend)


def safe_unit(case: Case) -> UnitRef | None:
    """The declared safe backend as an arm; it is no unit of the release and has no digest."""
    safe = case.release.traffic.safe_backend
    return UnitRef("", f"{case.release.name[:50].rstrip('-.')}-safe", "safe backend", safe) if safe else None


def all_accepted(case: Case) -> bool:
    """Whether every route's parents accepted its current generation."""
    return bool(case.observed.routes) and all(view.acceptance is Acceptance.ACCEPTED for view in case.observed.routes)
