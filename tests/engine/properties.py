"""The promises of RELIABILITY.md, checked on the log of one history: every write, in order, by whomever.

The checks know nothing of the engine's moves. They follow who may be trusted with all traffic (what was adopted, and
what went through all its stages), and ask of every write that gives anybody else more whether it was allowed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from modelrelease.domain.decision import Action, Decision
from modelrelease.domain.evidence import Cause
from modelrelease.domain.exposure import FULL_PERMILLE, REST, Exposure, percent, uniform
from modelrelease.domain.gate import Phase, Scope
from modelrelease.domain.plan import Plan, Require, Stage
from modelrelease.domain.record import GENESIS, Record, RecordKind, record_name
from modelrelease.domain.release import IN_TRAFFIC, Observed, Progress, State
from modelrelease.domain.traffic import Target
from modelrelease.domain.unit import revision_name
from modelrelease.domain.verdict import Outcome
from modelrelease.engine.actions import Intention, SetRoutes, WriteRecord
from tests.engine.builders import NAME, NOW, UID
from tests.engine.store import (
    Accepted,
    Content,
    Decided,
    Edited,
    Entry,
    FinalizerWrite,
    Happened,
    Looked,
    RecordWrite,
    RouteWrite,
    Said,
    StatusWrite,
    content_of,
)

if TYPE_CHECKING:
    from tests.engine.world import World

SAFE_REVISION = f"{NAME}-safe"
WRITES = (RouteWrite, RecordWrite, StatusWrite, FinalizerWrite)
SLACK_S = 6.0


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that did not hold, and where in the log."""

    promise: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.promise} at line {self.line}: {self.message}"


@dataclass(slots=True)
class Position:
    """How far a unit has come: the stage raised last, by which record, and since when each route had it accepted."""

    stage: int = -1
    record: str | None = None
    written: float = 0.0
    accepted: dict[str, float] = field(default_factory=dict)
    before: "Position | None" = None


def violations(world: "World") -> list[Violation]:
    """Everything that did not hold in a history."""
    return [*Replay(world).run(), *_chain(world), *_liveness(world)]


class Replay:
    """Goes through the log once, entry by entry."""

    def __init__(self, world: "World") -> None:
        self.world, self.log = world, world.store.log
        self.segments = world.store.segments
        self.routes: dict[str, Content] = world.first_contents()
        self.trusted: set[str] = {SAFE_REVISION}
        self.stops: dict[str, float] = {}
        self.positions: dict[str, Position] = {}
        self.records: dict[str, tuple[Record, RecordWrite]] = {}
        self.decided: dict[str, Decided] = {}
        self.raised_at: dict[str | None, Decided] = {}
        self.disturbed = False
        self.said: dict[str, Decision] = {}
        self.backed: dict[str, str] = {}
        self.retried: dict[str, float] = {}
        first = world.scenario.spec
        self.spec = Edited(0.0, "git", first.unit, first.plan, first.faults)
        self.plans: dict[str, Plan] = {first.plan.digest: first.plan}

    def run(self) -> Iterator[Violation]:
        """All violations."""
        for line, entry in enumerate(self.log):
            for promise, message in self._see(entry):
                yield Violation(promise, line, message)

    def _see(self, entry: Entry) -> Iterator[tuple[str, str]]:
        match entry:
            case RouteWrite():
                yield from self._route(entry)
            case RecordWrite():
                yield from self._record(entry)
            case StatusWrite(progress=progress):
                self._entered(entry, progress)
            case Accepted(route=name):
                for position in self.positions.values():
                    position.accepted.setdefault(name, entry.at)
            case Said(decision=decision):
                self.said[decision.uid] = decision
                if decision.action is Action.RETRY and decision.digest:
                    self.retried[decision.digest] = entry.at
            case Edited():
                self.spec = entry
                self.plans[entry.plan.digest] = entry.plan
            case Decided():
                self.disturbed = False
                self.decided[entry.actor] = entry
                yield from self._decision(entry)
            case Looked():
                yield from self._looked(entry)
            case FinalizerWrite(present=False) if not self.disturbed:
                for revision, share in self._untrusted():
                    yield "S12", f"the finalizer went while {revision} had {share}"
            case Happened(what="route deleted"):
                self.routes.pop(self.world.route_names[0], None)

    def _entered(self, entry: Entry, progress: Progress) -> None:
        """A raise that was decided and that somebody else carried out to the letter counts as carried out."""
        candidate = progress.candidate
        if progress.state is not State.OBSERVING or candidate is None:
            return
        position = self.positions.get(candidate.revision, Position())
        wanted = intended(progress, self.segments)
        if position.stage == progress.stage - 1 and all(content == wanted for content in self.routes.values()):
            accepted = dict.fromkeys(self.routes, entry.at)
            self.positions[candidate.revision] = Position(progress.stage, None, entry.at, accepted)

    # ---- routes

    def _route(self, entry: RouteWrite) -> Iterator[tuple[str, str]]:
        before = self.routes.get(entry.route, Content(((REST, ()),)))
        self.routes[entry.route] = entry.after
        if entry.intention is None:
            self.disturbed = True
            return
        yield from self._form(entry)
        for revision in entry.after.revisions | before.revisions:
            if revision is None:
                continue
            was, now = before.share(revision, self.segments), entry.after.share(revision, self.segments)
            if not now.within(was):
                yield from self._rose(entry, revision, before)
            elif now != was and now.is_zero:
                self.positions.pop(revision, None)
        if entry.stopped:
            self._stop(entry.stopped, entry.at)

    def _form(self, entry: RouteWrite) -> Iterator[tuple[str, str]]:
        known = {*(ref.revision for ref in self.world.store.units.values()), SAFE_REVISION}
        for segment, arms in entry.after.rules:
            if sum(arm.permille for arm in arms) != FULL_PERMILLE or not entry.after.explicit:
                yield "S1", f"weights of {segment} are not explicit or do not add up"
            if len(arms) > 2 or {arm.revision for arm in arms} - known:
                yield "S1", f"{segment} has arms that are neither stable nor candidate: {arms}"

    def _rose(self, entry: RouteWrite, revision: str, before: Content) -> Iterator[tuple[str, str]]:
        digest = self._digest(revision)
        if digest in self.stops:
            yield (
                "S3",
                f"{revision} was stopped at {self.stops[digest]} and rose",
            )
        if revision not in self.trusted:
            yield from self._raise(entry, revision, before)

    def _raise(self, entry: RouteWrite, revision: str, before: Content) -> Iterator[tuple[str, str]]:
        named = self.records.get(entry.record or "")
        if entry.intention is not Intention.RAISE or named is None or named[0].kind is not RecordKind.RAISED:
            yield "S6", f"{revision} rose by a {entry.intention} write whose record is {entry.record}"
            return
        record, written = named
        decided = self.decided[entry.actor]
        if not entry.conditioned or _content(decided.observed, entry.route) != before:
            yield "S9", f"{revision} rose from a state that nobody decided on"
        if before != intended(self.raised_at[entry.record].progress, self.segments):
            yield "S8", f"{revision} rose over somebody else's change"
        plan = self.plans.get(str(record.body["plan"]))
        if record.body["candidate"]["revision"] != revision or plan is None:  # type: ignore[index]
            yield "S6", f"{entry.record} is about another unit or an unknown plan"
            return
        index = next(i for i, stage in enumerate(plan.stages) if stage.name == record.body["stage"])
        stage = plan.stages[index]
        shares = {segment: percent(share) for segment, share in stage.exposure.shares}
        if shares != record.body["after"] or entry.after.share(revision, self.segments) != stage.exposure:
            yield (
                "S6",
                f"{entry.record} says {record.body['after']}, the route {entry.after.share(revision, self.segments)}",
            )
        if written.actor != entry.actor or entry.at - written.at > plan.limits.fresh_s + SLACK_S:
            yield "S5", f"the intent of {entry.record} by {written.actor} at {written.at} was void"
        again = self.positions.get(revision, Position())
        if again.record == entry.record:
            return
        yield from self._approved(record, plan, stage)
        yield from self._in_turn(entry, revision, index, record, plan)
        self.positions[revision] = Position(index, entry.record, entry.at, before=again)

    def _in_turn(
        self, entry: RouteWrite, revision: str, index: int, record: Record, plan: Plan
    ) -> Iterator[tuple[str, str]]:
        position = self.positions.get(revision, Position())
        if index != position.stage + 1:
            yield "S5", f"{revision} went from stage {position.stage} to {index}"
        if position.stage < 0 or index != position.stage + 1:
            return
        stage, decided_at = plan.stages[position.stage], self._time(record)
        promoted = any(
            said.action is Action.PROMOTE and said.digest == record.body["candidate"]["digest"]  # type: ignore[index]
            for said in self._named(record)
        )
        began = max(position.accepted.values(), default=decided_at)
        if decided_at - began < stage.min_duration_s and not promoted:
            yield "S5", f"stage {stage.name} lasted {decided_at - began} s of {stage.min_duration_s}"
        served = self.world.requests(revision, position.written, decided_at)
        if served < stage.min_samples:
            yield "S5", f"stage {stage.name} had {served:.0f} samples of {stage.min_samples}"

    def _approved(self, record: Record, plan: Plan, stage: Stage) -> Iterator[tuple[str, str]]:
        name = record_name(NAME, record.sequence)
        for role in stage.approvals:
            fitting = [
                said
                for said in self._named(record)
                if said.action is Action.APPROVE
                and (said.role, said.stage, said.plan_digest, said.release_uid) == (role, stage.name, plan.digest, UID)
                and said.digest == record.body["candidate"]["digest"]  # type: ignore[index]
                and self.backed.get(said.uid, name) == name
            ]
            if not fitting:
                yield "S2", f"{name} raises to {stage.name} without a valid approval by {role}"
            self.backed |= {said.uid: name for said in fitting}

    # ---- records

    def _record(self, entry: RecordWrite) -> Iterator[tuple[str, str]]:
        record = entry.record
        self.records[record_name(NAME, record.sequence)] = (record, entry)
        if entry.actor in self.decided:
            self.raised_at[record_name(NAME, record.sequence)] = self.decided[entry.actor]
        body, kind = record.body, record.kind
        match kind:
            case RecordKind.ADOPTED:
                yield from self._adopted(body)
            case RecordKind.STARTED | RecordKind.RETRIED:
                yield from self._started(entry, str(body["candidate"]["digest"]))  # type: ignore[index]
            case RecordKind.SUPERSEDED:
                for key in ("given_up", "candidate"):
                    if key in body:
                        self.positions.pop(str(body[key]["revision"]), None)  # type: ignore[index]
            case RecordKind.INTENT_VOID:
                for revision, position in list(self.positions.items()):
                    if position.record == body["intent"]:
                        self.positions[revision] = position.before or Position()
            case RecordKind.COMPLETED:
                yield from self._completed(body)
            case RecordKind.REVERTED | RecordKind.ABORTED:
                yield from self._reverted(entry)

    def _adopted(self, body: Any) -> Iterator[tuple[str, str]]:
        revision = body["stable"]["revision"]
        serving = self.trusted - {SAFE_REVISION}
        if serving and revision not in serving and "instead_of" not in body:
            yield "S2", f"{revision} was adopted as stable, but {serving} served"
        if self._digest(revision) in self.stops:
            yield "S14", f"{revision} was stopped and is adopted as stable"
        self.trusted.add(revision)

    def _started(self, entry: RecordWrite, digest: str) -> Iterator[tuple[str, str]]:
        self.positions.pop(revision_name(NAME, digest), None)
        stopped = self.stops.get(digest)
        if stopped is None:
            return
        retry = self.retried.get(digest, -1.0)
        if entry.record.kind is not RecordKind.RETRIED or retry < stopped:
            yield "S14", f"{digest[:17]} was stopped at {stopped} and started again without a Retry since"
            return
        if not any(said.action is Action.RETRY and said.digest == digest for said in self._named(entry.record)):
            yield "S14", "the record of a retry names nobody who said so"
        del self.stops[digest]

    def _completed(self, body: Any) -> Iterator[tuple[str, str]]:
        revision, plan = body["stable"]["revision"], self.plans[body["plan"]]
        position = self.positions.get(revision, Position())
        if revision not in self.trusted and position.stage != len(plan.stages) - 1:
            yield "S5", f"{revision} was completed in stage {position.stage} of {len(plan.stages)}"
        self.trusted.add(revision)
        self.positions.pop(revision, None)

    def _reverted(self, entry: RecordWrite) -> Iterator[tuple[str, str]]:
        body = entry.record.body
        revision = str(body["stopped"]["revision"])  # type: ignore[index]
        decided = self.decided[entry.actor]
        for view in decided.observed.routes:
            if not view.share_of(revision).is_zero:
                yield "S6", f"the revert of {revision} was recorded before it was done"
        self._stop(str(body["stopped"]["digest"]), self._time(entry.record))  # type: ignore[index]
        for digest in body.get("alsoStopped", ()):  # type: ignore[union-attr]
            self._stop(digest, self._time(entry.record))

    def _stop(self, digest: str, when: float) -> None:
        self.stops.setdefault(digest, when)
        self.trusted.discard(revision_name(NAME, digest))

    # ---- decisions

    def _decision(self, entry: Decided) -> Iterator[tuple[str, str]]:
        actions = entry.step.actions
        if entry.step.progress.state is State.REVERTING and entry.progress.state is not State.REVERTING:
            first = actions[0] if actions else None
            if not (isinstance(first, SetRoutes) and first.intention is Intention.LOWER):
                yield "S6", f"a revert begins with {first} and not with the route"
            if any(isinstance(action, WriteRecord) for action in actions):
                yield "S6", "a revert waits for a record"
        for action in actions:
            if isinstance(action, WriteRecord) and action.record.kind is RecordKind.RAISED:
                yield from self._evidence(entry, action.record)

    def _evidence(self, entry: Decided, record: Record) -> Iterator[tuple[str, str]]:
        observed, progress = entry.observed, entry.progress
        plan = self.plans.get(str(record.body["plan"]))
        candidate = record.body["candidate"]["digest"]  # type: ignore[index]
        if plan is None or self.spec.faults or candidate != self.spec.unit.digest or plan != self.spec.plan:
            yield "S13", "a raise was decided for another unit or plan than the spec's"
            return
        stage = next(stage for stage in plan.stages if stage.name == record.body["stage"])
        newest = max(
            (said for said in observed.decisions if said.action in (Action.PAUSE, Action.RESUME)),
            key=lambda said: said.order,
            default=None,
        )
        if newest is not None and newest.action is Action.PAUSE:
            yield "R17", "a raise was decided although a person said Pause"
        for unit, least in ((progress.candidate, 1), (progress.stable, 1)):
            ready = observed.ready.get(unit.backend) if unit else 0
            if ready is not None and ready < least:
                yield "S11", f"a raise was decided although {unit} has {ready} ready endpoints"
        for message in _ignorance(observed, progress.exposure, entry.at, plan, stage, first=progress.stage < 0):
            yield "S7", message

    def _looked(self, entry: Looked) -> Iterator[tuple[str, str]]:
        """A look at bad evidence that nothing disturbed leaves the unit without traffic (S4)."""
        for name, content in self.routes.items():
            share = content.share(entry.bad, self.segments)
            if name in self.world.route_names and not share.is_zero:
                yield "S4", f"{entry.bad} still has {share} on {name} after a look at evidence against it"

    # ---- helpers

    def _untrusted(self) -> Iterator[tuple[str, Exposure]]:
        for content in self.routes.values():
            for revision in content.revisions - self.trusted - {None}:
                share = content.share(str(revision), self.segments)
                if not share.is_zero:
                    yield str(revision), share

    def _named(self, record: Record) -> list[Decision]:
        named = record.body.get("decisions") or ()
        return [self.said[item["uid"]] for item in named if item["uid"] in self.said]  # type: ignore[union-attr]

    def _digest(self, revision: str) -> str:
        return next((digest for digest in self.stops if revision_name(NAME, digest) == revision), "")

    def _time(self, record: Record) -> float:
        return _seconds(str(record.body["at"]))


def intended(progress: Progress, segments: tuple[str, ...]) -> Content | None:
    """The content that a person would restore: what the status says."""
    base = progress.diverted or progress.stable
    if base is None:
        return None
    if progress.state is State.WATCHING and progress.fallback and progress.stable and not progress.diverted:
        return content_of(Target(progress.fallback, progress.stable, uniform(segments, FULL_PERMILLE)), segments)
    if progress.state is State.SETTLED or progress.diverted or progress.candidate is None:
        return content_of(Target(base), segments)
    exposure = progress.exposure if progress.state in IN_TRAFFIC else uniform(segments, 0)
    return content_of(Target(base, progress.candidate, exposure), segments)


def _ignorance(
    observed: Observed, exposure: Exposure, now: float, plan: Plan, stage: Stage, *, first: bool
) -> Iterator[str]:
    """What a raise must not have been decided on. `stage` is the one that is entered."""
    gates = {gate.name: gate for gate in plan.gates if Phase.STAGE in gate.phases}
    shown = {segment for segment, share in exposure.shares if share}
    heard = set()
    for verdict in observed.verdicts:
        full = {segment for segment, share in exposure.shares if share == FULL_PERMILLE}
        idle = verdict.comparative and (
            verdict.segment in full if verdict.segment else len(full) == len(exposure.shares)
        )
        if verdict.outcome is Outcome.REVERT:
            yield f"{verdict.key} says revert"
        heard.add((verdict.gate, verdict.segment))
        if first:
            if verdict.cause in (Cause.BROKEN, Cause.SOURCE_DOWN):
                yield f"{verdict.key} is blind: {verdict.cause}"
            continue
        if idle or (verdict.segment and verdict.segment not in shown):
            continue
        age = now - (verdict.newest - NOW).total_seconds() if verdict.newest else None
        if verdict.outcome is Outcome.NO_DATA or age is None or age > plan.limits.fresh_s:
            yield f"{verdict.key} has no fresh data: {verdict.cause}, {age} s old"
        if stage.require is Require.PROVEN and verdict.outcome is not Outcome.PASS:
            yield f"{verdict.key} proves nothing"
    for gate in gates.values():
        wanted = shown if gate.scope is Scope.SEGMENT and not first else {None}
        if not first and any((gate.name, segment) not in heard for segment in wanted):
            yield f"{gate.name} was not judged"
        if first and gate.name not in {name for name, _ in heard}:
            yield f"{gate.name} was not measured"
    if not gates:
        yield "there is no gate"


def _content(observed: Observed, route: str) -> Content | None:
    view = next((view for view in observed.routes if view.name == route and view.exists), None)
    if view is None:
        return None
    return Content(tuple((rule.segment, rule.arms) for rule in view.rules), all(rule.explicit for rule in view.rules))


def _chain(world: "World") -> Iterator[Violation]:
    """S15: numbered without gaps, each linked to the one before, none ever changed."""
    previous, end = GENESIS, len(world.store.log)
    for number, record in enumerate(world.store.records.values(), 1):
        if (record.sequence, record.previous) != (number, previous):
            yield Violation("S15", end, f"record {record.sequence} does not follow record {number - 1}")
        previous = record.hash
    written = {entry.record.sequence: entry.record for entry in world.store.log if isinstance(entry, RecordWrite)}
    if written != {record.sequence: record for record in world.store.records.values()}:
        yield Violation("S15", end, "a record is not what was written")


def _liveness(world: "World") -> Iterator[Violation]:
    """L1–L4: it comes to rest where the spec wants it, in time; a restart then writes nothing; deletion ends."""
    store, end = world.store, len(world.store.log)
    if store.object.deleting:
        if store.object.exists:
            yield Violation("L4", end, "the deletion did not end")
        return
    if not world.calm:
        yield Violation("L1", end, f"still writing at {store.now} s in state {store.object.status.state}")
        return
    yield from _at_rest(world, end)
    for line, entry in enumerate(store.log[world.restarted :], world.restarted):
        if isinstance(entry, WRITES):
            yield Violation("L3", line, f"a restart wrote {type(entry).__name__}")
    completed = next(
        (e.at for e in store.log if isinstance(e, RecordWrite) and e.record.kind is RecordKind.COMPLETED), None
    )
    patient = all(stage.max_duration_s is None for stage in world.scenario.spec.plan.stages)
    if world.undisturbed and world.always_good and world.scenario.adopted and patient:
        bound = _duration(world)
        if completed is None or completed > bound:
            yield Violation("L2", end, f"good evidence, completed at {completed}, bound {bound} s")


def _at_rest(world: "World", end: int) -> Iterator[Violation]:
    progress, store = world.store.object.status, world.store
    wanted = world.refs[store.object.spec.unit.version]
    if progress.state not in (State.SETTLED, State.STOPPED):
        yield Violation("L1", end, f"rests in state {progress.state}: {progress.paused_by}")
    if progress.stable is None or (progress.stable != wanted and wanted.digest not in progress.stopped):
        yield Violation(
            "L1", end, f"{progress.stable} is stable, the spec wants {wanted.version}, which was not stopped"
        )
    for name in world.route_names:
        route = store.routes.get(name)
        served = route.content.share(progress.stable.revision, store.segments) if route and progress.stable else None
        if served is None or any(share != FULL_PERMILLE for _, share in served.shares):
            yield Violation("L1", end, f"route {name} does not send everything to stable")


def _duration(world: "World") -> float:
    plan, rate = world.scenario.spec.plan, 6.0
    needed = 0.0
    for stage in plan.stages:
        share = max(stage.exposure.of(REST) * 14.0, stage.exposure.highest * rate) / FULL_PERMILLE
        needed += max(float(stage.min_duration_s), stage.min_samples / share, 40 / share) + 4 * SLACK_S
    return needed + world.scenario.approves_after + 10 * SLACK_S


def _seconds(stamp: str) -> float:
    return (datetime.fromisoformat(stamp.replace("Z", "+00:00")) - NOW).total_seconds()


def fired(world: "World") -> set[str]:
    """Which faults and events really happened."""
    return {entry.what.removeprefix("fault: ") for entry in world.store.log if isinstance(entry, Happened)}
