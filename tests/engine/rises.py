"""What must hold of every write to a route: its form, and who may get more by it (S1, S2, S3, S5, S6, S8, S9, S10)."""

from dataclasses import replace

from modelrelease.domain.decision import Action, Standing
from modelrelease.domain.exposure import FULL_PERMILLE, REST, percent
from modelrelease.domain.gate import Absolute, Gate
from modelrelease.domain.plan import Plan, Stage
from modelrelease.domain.record import Record, RecordKind, record_name
from modelrelease.domain.release import Observed, State
from modelrelease.engine.actions import Intention
from modelrelease.governance.approvals import Demand, evidence_digest
from tests.engine.builders import NAME, UID
from tests.engine.log import Content, RouteWrite
from tests.engine.seen import SAFE_REVISION, Found, Position, Seen, intended, time_of
from tests.engine.timetable import is_tighter

SLACK_S = 6.0
NOTHING_SERVED = Content(((REST, ()),))


def written(seen: Seen, entry: RouteWrite) -> Found:
    """A route was written."""
    before = seen.routes.get(entry.route, NOTHING_SERVED)
    seen.routes[entry.route] = entry.after
    if entry.intention is None:
        seen.disturbed = True
        return
    if entry.actor != seen.leader:
        yield "S8", f"{entry.actor} wrote while {seen.leader} was leader"
    if not entry.framed:
        yield "S10", "the write undid somebody else's change to what is not ours"
    yield from _form(seen, entry)
    for revision in sorted(name for name in entry.after.revisions | before.revisions if name):
        was, now = before.share(revision, seen.segments), entry.after.share(revision, seen.segments)
        if not now.within(was):
            yield from _rose(seen, entry, revision, before)
        elif now != was and now.is_zero:
            seen.positions.pop(revision, None)
    _note_stop(seen, entry)


def _note_stop(seen: Seen, entry: RouteWrite) -> None:
    """A unit is stopped from the moment at which a revert was written, marked or not."""
    decided = seen.decided[entry.actor]
    stop = decided.step.progress.stop
    begun = decided.step.progress.state is State.REVERTING and decided.progress.state is not State.REVERTING
    if begun and stop is not None and entry.intention is Intention.LOWER:
        seen.stop(stop.digest, entry.at)
    if entry.stopped:
        seen.stop(entry.stopped, entry.at)


def _form(seen: Seen, entry: RouteWrite) -> Found:
    known = {*(ref.revision for ref in seen.world.store.units.values()), SAFE_REVISION}
    for segment, arms in entry.after.rules:
        if sum(arm.permille for arm in arms) != FULL_PERMILLE or not entry.after.explicit:
            yield "S1", f"weights of {segment} are not explicit or do not add up"
        if len(arms) > 2 or {arm.revision for arm in arms} - known:
            yield "S1", f"{segment} has arms that are neither stable nor candidate: {arms}"


def _rose(seen: Seen, entry: RouteWrite, revision: str, before: Content) -> Found:
    digest = seen.stopped_digest(revision)
    if digest:
        yield "S3", f"{revision} was stopped at {seen.stops[digest]} and rose"
    if revision not in seen.trusted:
        yield from _raised(seen, entry, revision, before)


def _raised(seen: Seen, entry: RouteWrite, revision: str, before: Content) -> Found:
    """A unit that is on its way got more: was it allowed, and as it was decided?"""
    if entry.intention is not Intention.RAISE:
        yield "S3", f"{revision} rose by a {entry.intention} write"
        return
    record, by = seen.records.get(entry.record or "", (None, None))
    if record is None or by is None or record.kind is not RecordKind.RAISED:
        yield "S6", f"{revision} rose by a write whose record is {entry.record}"
        return
    plan = seen.plans.get(str(record.body["plan"]))
    if record.body["candidate"]["revision"] != revision or plan is None:  # type: ignore[index]
        yield "S6", f"{entry.record} is about another unit or an unknown plan"
        return
    if not entry.conditioned or content_read(seen.decided[entry.actor].observed, entry.route) != before:
        yield "S9", f"{revision} rose from a state that nobody decided on"
    if before != intended(seen.raised_at[entry.record].progress, seen.segments):
        yield "S8", f"{revision} rose over somebody else's change"
    index = next(number for number, stage in enumerate(plan.stages) if stage.name == record.body["stage"])
    stage = plan.stages[index]
    yield from _as_recorded(seen, entry, revision, record, stage)
    if by.actor != entry.actor or entry.at - by.at > plan.limits.fresh_s + SLACK_S:
        yield "S5", f"the intent of {entry.record} by {by.actor} at {by.at} was void"
    if entry.record in seen.voided:
        yield "S5", f"{entry.record} was called void before it was carried out"
    again = seen.position(revision)
    if again.record == entry.record:
        return
    yield from _approved(seen, record, plan, stage)
    yield from _in_turn(seen, revision, index, record, plan)
    seen.positions[revision] = Position(index, plan, entry.record, entry.at, before=again)


def _as_recorded(seen: Seen, entry: RouteWrite, revision: str, record: Record, stage: Stage) -> Found:
    shares = {segment: percent(share) for segment, share in stage.exposure.shares}
    now = entry.after.share(revision, seen.segments)
    if shares != record.body["after"] or now != stage.exposure:
        yield "S6", f"{entry.record} says {record.body['after']}, the route {now}"


def _in_turn(seen: Seen, revision: str, index: int, record: Record, plan: Plan) -> Found:
    position = seen.position(revision)
    if index != position.stage + 1:
        promise = "S13" if position.stage < 0 and seen.edited else "S5"
        yield promise, f"{revision} went from stage {position.stage} to {index}"
        return
    if position.plan is not None and not _as_strict(plan, position.plan):
        yield "S13", f"{revision} went on although its plan was changed"
    if position.stage >= 0:
        yield from stayed(seen, revision, plan.stages[position.stage], record)


def _as_strict(new: Plan, old: Plan) -> bool:
    """Whether a plan is another one with bounds that are lower, if anything (those of the world are upper bounds)."""
    if replace(new, gates=(), train=old.train) != replace(old, gates=()) or len(new.gates) != len(old.gates):
        return False
    if not is_tighter(new.train, old.train):
        return False
    return all(_bound(ours) <= _bound(theirs) for ours, theirs in zip(new.gates, old.gates, strict=True))


def _bound(gate: Gate) -> float:
    return float(gate.rule.maximum or 0) if isinstance(gate.rule, Absolute) else 0.0


def stayed(seen: Seen, revision: str, stage: Stage, record: Record) -> Found:
    """Whether a unit had its time and its samples in the stage that it leaves by `record`."""
    position, decided_at = seen.position(revision), time_of(record)
    began = max(position.accepted.values(), default=decided_at)
    if decided_at - began < stage.min_duration_s and not seen.promoted(record):
        yield "S5", f"stage {stage.name} lasted {decided_at - began} s of {stage.min_duration_s}"
    served = seen.world.requests(revision, position.written, decided_at)
    if served < stage.min_samples:
        yield "S5", f"stage {stage.name} had {served:.0f} samples of {stage.min_samples}"


def _approved(seen: Seen, record: Record, plan: Plan, stage: Stage) -> Found:
    candidate = str(record.body["candidate"]["digest"])  # type: ignore[index]
    wanted = [Demand(role, stage.name) for role in stage.approvals]
    yield from _said_yes(seen, record, plan, candidate, wanted, f"raises to {stage.name}")


def install_approved(seen: Seen, record: Record, plan: Plan) -> Found:
    """A first install has everybody's yes."""
    unit = str(record.body["stable"]["digest"])  # type: ignore[index]
    wanted = [Demand(role, None) for stage in plan.stages for role in stage.approvals]
    yield from _said_yes(seen, record, plan, unit, wanted, "installs")


def _said_yes(seen: Seen, record: Record, plan: Plan, unit: str, wanted: list[Demand], what: str) -> Found:
    name = record_name(NAME, record.sequence)
    offline = seen.raised_at[name].observed.offline if name in seen.raised_at else ()
    known = [(each.uid, each.digest) for each in offline if each.unit_digest == unit]
    shown = evidence_digest(known, [gate.name for gate in plan.gates])
    for demand in wanted:
        fitting = [
            said
            for said in seen.named(record)
            if said.action is Action.APPROVE
            and (said.role, said.stage, said.plan_digest) == (demand.role, demand.stage, plan.digest)
            and (said.release_uid, said.digest, said.evidence_digest) == (UID, unit, shown)
            and said.identity.standing is Standing.CONFIRMED
            and seen.backed.get(said.uid, name) == name
        ]
        if not fitting:
            yield "S2", f"{name} {what} without a valid approval by {demand.role}"
        seen.backed |= {said.uid: name for said in fitting}


def content_read(observed: Observed, route: str) -> Content | None:
    """A route's content as a decision saw it."""
    view = next((view for view in observed.routes if view.name == route and view.exists), None)
    if view is None:
        return None
    return Content(tuple((rule.segment, rule.arms) for rule in view.rules), all(rule.explicit for rule in view.rules))
