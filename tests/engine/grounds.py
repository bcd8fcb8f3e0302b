"""What a decision must and must not have been made on (S4, S6, S7, S8, S11, S13), told by what the engine was given."""

from collections.abc import Mapping

from modelrelease.domain.decision import Action
from modelrelease.domain.evidence import Cause
from modelrelease.domain.exposure import FULL_PERMILLE, Exposure
from modelrelease.domain.gate import Phase, Scope
from modelrelease.domain.plan import OnNoSafePath, Plan, Require, Stage
from modelrelease.domain.record import Record, RecordKind
from modelrelease.domain.release import Observed, Progress, State
from modelrelease.domain.traffic import Target
from modelrelease.domain.unit import Backend
from modelrelease.domain.verdict import Outcome, Verdict
from modelrelease.engine.actions import Intention, SetRoutes, WriteRecord
from tests.engine.builders import NOW
from tests.engine.log import Decided, Looked
from tests.engine.rises import stayed
from tests.engine.seen import Found, Seen
from tests.engine.sight import MOVED
from tests.engine.timetable import respected

WRONG, WRONG_AFTER = 0.3, 400.0
"""A share that is so far from what the route says, after so many requests, is no noise (the world has none)."""


def decided(seen: Seen, entry: Decided) -> Found:
    """The engine gave a step with actions."""
    if entry.step.progress.state is State.REVERTING and entry.progress.state is not State.REVERTING:
        yield from _revert(seen, entry)
    for action in entry.step.actions:
        if isinstance(action, WriteRecord) and action.record.kind is RecordKind.RAISED:
            yield from _raise(seen, entry, action.record)
        if isinstance(action, WriteRecord) and action.record.kind is RecordKind.COMPLETED:
            yield from _complete(seen, entry, action.record)
    if entry.step.progress.state is State.DELETED:
        yield from _refuge(seen, entry, entry.progress)
    elif entry.step.progress.state is not State.REVERTING and not entry.step.drifted:
        yield from _to_nobody(seen, entry)


def _revert(seen: Seen, entry: Decided) -> Found:
    first = entry.step.actions[0] if entry.step.actions else None
    if not (isinstance(first, SetRoutes) and first.intention is Intention.LOWER):
        yield "S6", f"a revert begins with {first} and not with the route"
    if any(isinstance(action, WriteRecord) for action in entry.step.actions):
        yield "S6", "a revert waits for a record"
    yield from _refuge(seen, entry, entry.step.progress)


def _refuge(seen: Seen, entry: Decided, progress: Progress) -> Found:
    """To stable if it has any endpoint, else to the safe backend, else as the policy says (deletion: to stable)."""
    lowered = [action.target for action in entry.step.actions if isinstance(action, SetRoutes)]
    if not lowered or progress.stable is None:
        return
    target, ready = lowered[0], entry.observed.ready
    able = [
        backend
        for backend in (progress.stable.backend, seen.world.scenario.spec.traffic.safe_backend)
        if backend and ready.get(backend) != 0
    ]
    if able and target.base.backend != able[0]:
        yield "S11", f"traffic goes to {target.base.backend}, but {able[0]} has ready endpoints"
    keeps = progress.plan and progress.plan.on_no_safe_path is OnNoSafePath.CANDIDATE
    if not able and keeps and progress.state is State.REVERTING:
        yield from _from_the_living(entry.observed, target)


def _to_nobody(seen: Seen, entry: Decided) -> Found:
    """Only a revert, deletion, somebody else's change or the policy takes from who answers for who cannot."""
    ready, plan = entry.observed.ready, entry.progress.plan or seen.spec.plan
    if plan.on_no_safe_path is OnNoSafePath.STABLE:
        return
    for target in [action.target for action in entry.step.actions if isinstance(action, SetRoutes)]:
        if ready.get(target.base.backend) == 0:
            yield from _from_the_living(entry.observed, target)


def _from_the_living(observed: Observed, target: Target) -> Found:
    """`target.base` cannot answer: who can keeps its share."""
    for rule in [rule for view in observed.routes for rule in view.rules]:
        for arm in rule.arms:
            ours = arm.revision not in (None, target.base.revision) and observed.ready.get(arm.backend) != 0
            stays = target.exposure.of(rule.segment) if target.other and target.other.revision == arm.revision else 0
            if ours and stays < arm.permille:
                yield "S11", f"traffic goes from {arm.backend} to {target.base.backend}, which cannot answer"


def _raise(seen: Seen, entry: Decided, record: Record) -> Found:
    observed, progress = entry.observed, entry.progress
    plan = seen.plans.get(str(record.body["plan"]))
    if plan is None or plan != seen.spec.plan or not _wanted(seen, record.body["candidate"]):
        yield "S13", "a raise was decided for another unit or plan than the spec's"
        return
    stage = next(stage for stage in plan.stages if stage.name == record.body["stage"])
    yield from _allowed(observed, progress)
    yield from respected(observed, plan, record, entry.at)
    yield from _endpoints(progress, observed.ready)
    yield from _ignorance(observed, progress.exposure, entry.at, plan, stage, first=progress.stage < 0)
    said = [(verdict["gate"], verdict["outcome"]) for verdict in record.body["verdicts"]]  # type: ignore[attr-defined]
    if said != [(verdict.gate, verdict.outcome.value) for verdict in observed.verdicts]:
        yield "S6", "the record of a raise does not say what its gates said"


def _complete(seen: Seen, entry: Decided, record: Record) -> Found:
    """A unit is called stable after its time with all traffic."""
    progress, plan = entry.progress, seen.plans[str(record.body["plan"])]
    revision = str(record.body["stable"]["revision"])  # type: ignore[index]
    if plan != seen.spec.plan or not _wanted(seen, record.body["stable"]):
        yield "S13", "a unit was called stable that the spec does not name any more"
    yield from _allowed(entry.observed, progress)
    yield from _ignorance(entry.observed, progress.exposure, entry.at, plan, None, first=False)
    if seen.position(revision).stage == len(plan.stages) - 1:
        yield from stayed(seen, revision, plan.stages[-1], record)


def _wanted(seen: Seen, unit: object) -> bool:
    return not seen.spec.faults and unit["digest"] == seen.spec.unit.digest  # type: ignore[index]


def _allowed(observed: Observed, progress: Progress) -> Found:
    """Nobody said Pause, no other release holds the route, the unit is what its digest says."""
    newest = max(
        (said for said in observed.decisions if said.action in (Action.PAUSE, Action.RESUME)),
        key=lambda said: said.order,
        default=None,
    )
    if newest is not None and newest.action is Action.PAUSE:
        yield "R17", "the release went on although a person said Pause"
    if observed.conflict:
        yield "S8", f"the release went on although the route belongs to {observed.conflict}"
    if observed.violations:
        yield "R2", f"the release went on although {observed.violations[0].message}"
    runs = [images for images in observed.images if progress.candidate and images.digest == progress.candidate.digest]
    if any(images.unread or any(("server", MOVED) in pod.images for pod in images.pods) for images in runs):
        yield "R2", "the release went on although the candidate's image moved, or could not be read"


def _endpoints(progress: Progress, ready: Mapping[Backend, int | None]) -> Found:
    for unit, least in ((progress.candidate, 1), (progress.stable, progress.stable_ready or 1)):
        count = ready.get(unit.backend) if unit else 0
        if count is not None and count < least:
            yield "S11", f"a raise was decided although {unit} has {count} ready endpoints"


def _ignorance(
    observed: Observed, exposure: Exposure, now: float, plan: Plan, stage: Stage | None, *, first: bool
) -> Found:
    """What a raise must not have been decided on. `stage` is the one that is entered, None after the last."""
    for verdict in observed.verdicts:
        if verdict.outcome is Outcome.REVERT:
            yield "S7", f"{verdict.key} says revert"
        if first and verdict.cause in (Cause.BROKEN, Cause.SOURCE_DOWN):
            yield "S7", f"{verdict.key} is blind: {verdict.cause}"
        if not first and _counts(verdict, exposure):
            yield from _weak(verdict, now, plan, stage)
    heard = {(verdict.gate, verdict.segment) for verdict in observed.verdicts}
    shown = [segment for segment, share in exposure.shares if share]
    gates = [gate for gate in plan.gates if Phase.STAGE in gate.phases]
    for gate in gates:
        wanted = shown if gate.scope is Scope.SEGMENT and not first else [None]
        if not first and any((gate.name, segment) not in heard for segment in wanted):
            yield "S7", f"{gate.name} was not judged"
        if first and gate.name not in {name for name, _ in heard}:
            yield "S7", f"{gate.name} was not measured"
    if not gates:
        yield "S7", "there is no gate"
    for count in () if first else observed.split:
        total = count.candidate + count.stable
        if total > WRONG_AFTER and abs(count.candidate / total - exposure.of(count.segment) / FULL_PERMILLE) > WRONG:
            yield "S7", f"{count.segment} got {count.candidate:.0f} of {total:.0f} requests at {exposure}"


def _counts(verdict: Verdict, exposure: Exposure) -> bool:
    """Not where the candidate has no share, and not in comparison with a stable that has none."""
    shares = dict(exposure.shares)
    if verdict.segment:
        share = shares.get(verdict.segment, 0)
        return share > 0 and not (verdict.comparative and share == FULL_PERMILLE)
    return not (verdict.comparative and all(share == FULL_PERMILLE for share in shares.values()))


def _weak(verdict: Verdict, now: float, plan: Plan, stage: Stage | None) -> Found:
    age = now - (verdict.newest - NOW).total_seconds() if verdict.newest else None
    if verdict.outcome is Outcome.NO_DATA or age is None or age > plan.limits.fresh_s:
        yield "S7", f"{verdict.key} has no fresh data: {verdict.cause}, {age} s old"
    if stage is not None and stage.require is Require.PROVEN and verdict.outcome is not Outcome.PASS:
        yield "S7", f"{verdict.key} proves nothing"


def looked(seen: Seen, entry: Looked) -> Found:
    """A look at bad evidence that nothing disturbed leaves the unit without traffic, whoever else writes (S4, L5)."""
    for name, content in seen.routes.items():
        share = content.share(entry.bad, seen.segments)
        if name in seen.world.route_names and not share.is_zero:
            promise = "L5" if entry.busy else "S4"
            yield promise, f"{entry.bad} still has {share} on {name} after a look at evidence against it"
