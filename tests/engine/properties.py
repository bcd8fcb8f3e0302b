"""The promises of RELIABILITY.md, checked on the log of one history: every write, in order, by whomever.

The checks know nothing of the engine's moves. They follow who may be trusted with all traffic (what was adopted, and
what went through all its stages), and ask of every write that gives anybody else more whether it was allowed: `rises`
of the write, `grounds` of what it was decided on, and here of the records; `liveness` looks at how it ends.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelrelease.domain.decision import Action
from modelrelease.domain.exposure import uniform
from modelrelease.domain.record import GENESIS, Record, RecordKind, record_name
from modelrelease.domain.release import Progress, State
from modelrelease.domain.unit import revision_name
from tests.engine import grounds, liveness, rises
from tests.engine.builders import NAME
from tests.engine.log import (
    Accepted,
    Decided,
    Edited,
    Entry,
    FinalizerWrite,
    Happened,
    Leads,
    Looked,
    RecordWrite,
    RouteGone,
    RouteWrite,
    Said,
    Shown,
    StatusWrite,
)
from tests.engine.seen import SAFE_REVISION, Found, Position, Seen, intended, time_of

if TYPE_CHECKING:
    from tests.engine.world import World


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that did not hold, and where in the log."""

    promise: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.promise} at line {self.line}: {self.message}"


def violations(world: "World") -> list[Violation]:
    """Everything that did not hold in a history, in the order of the log."""
    return [*_replay(world), *_at_end(world)]


def fired(world: "World") -> set[str]:
    """Which faults and events really happened."""
    return {entry.what.removeprefix("fault: ") for entry in world.store.log if isinstance(entry, Happened)}


def _replay(world: "World") -> Iterator[Violation]:
    seen = Seen(world)
    for line, entry in enumerate(world.store.log):
        for promise, message in _see(seen, entry):
            yield Violation(promise, line, message)


def _at_end(world: "World") -> Iterator[Violation]:
    end = len(world.store.log)
    for promise, message in (*_chain(world), *liveness.broken(world)):
        yield Violation(promise, end, message)


def _see(seen: Seen, entry: Entry) -> Found:
    match entry:
        case RouteWrite():
            yield from rises.written(seen, entry)
        case Decided():
            seen.disturbed = False
            seen.decided[entry.actor] = entry
            yield from grounds.decided(seen, entry)
        case Looked():
            yield from grounds.looked(seen, entry)
        case Shown():
            yield from liveness.shown(entry)
        case RecordWrite():
            yield from _record(seen, entry)
        case FinalizerWrite(present=False) if not seen.disturbed:
            for revision, share in seen.untrusted():
                yield "S12", f"the finalizer went while {revision} had {share}"
        case _:
            _note(seen, entry)


def _note(seen: Seen, entry: Entry) -> None:
    """What others did."""
    match entry:
        case StatusWrite(progress=progress):
            _entered(seen, entry, progress)
        case Accepted(route=name):
            for position in seen.positions.values():
                position.accepted.setdefault(name, entry.at)
        case Said(decision=decision):
            seen.said[decision.uid] = decision
            if decision.action is Action.RETRY and decision.digest:
                seen.retried[decision.digest] = entry.at
        case Edited():
            seen.edited |= (entry.unit, entry.plan) != (seen.spec.unit, seen.spec.plan)
            seen.spec = entry
            seen.plans[entry.plan.digest] = entry.plan
        case Leads():
            seen.leader = entry.actor
        case RouteGone(route=name):
            seen.routes.pop(name, None)


def _entered(seen: Seen, entry: StatusWrite, progress: Progress) -> None:
    """A raise that was decided and that somebody else carried out to the letter counts as carried out."""
    candidate = progress.candidate
    if progress.state is not State.OBSERVING or candidate is None:
        return
    position, wanted = seen.position(candidate.revision), intended(progress, seen.segments)
    if position.stage == progress.stage - 1 and all(content == wanted for content in seen.routes.values()):
        accepted = dict.fromkeys(seen.routes, entry.at)
        seen.positions[candidate.revision] = Position(progress.stage, progress.plan, None, entry.at, accepted)


# ---- records


def _record(seen: Seen, entry: RecordWrite) -> Found:
    record, body = entry.record, entry.record.body
    name = record_name(NAME, record.sequence)
    if name in seen.records:
        yield "S15", f"{name} was written again"
    seen.records[name] = (record, entry)
    if entry.actor in seen.decided:
        seen.raised_at[name] = seen.decided[entry.actor]
    match record.kind:
        case RecordKind.ADOPTED:
            yield from _adopted(seen, entry.record)
        case RecordKind.STARTED | RecordKind.RETRIED:
            yield from _started(seen, entry, str(body["candidate"]["digest"]))  # type: ignore[index]
        case RecordKind.SUPERSEDED:
            for key in ("given_up", "candidate"):
                if key in body:
                    seen.positions.pop(str(body[key]["revision"]), None)  # type: ignore[index]
        case RecordKind.INTENT_VOID:
            yield from _void(seen, str(body["intent"]))
        case RecordKind.COMPLETED:
            yield from _completed(seen, body)
        case RecordKind.REVERTED | RecordKind.ABORTED:
            yield from _reverted(seen, entry)


def _void(seen: Seen, intent: str) -> Found:
    """What is called void is on no route: whoever has it had it before, or from somebody else."""
    seen.voided.add(intent)
    for revision, position in list(seen.positions.items()):
        if position.record != intent:
            continue
        before = position.before or Position()
        stood = before.plan.stages[before.stage].exposure if before.plan else uniform(seen.segments, 0)
        shares = [content.share(revision, seen.segments) for content in seen.routes.values()]
        if not seen.disturbed and not all(share.within(stood) for share in shares):
            yield "S6", f"{intent} was called void while {revision} had what it gave"
        seen.positions[revision] = before


def _adopted(seen: Seen, record: Record) -> Found:
    body: Any = record.body
    revision = body["stable"]["revision"]
    if "plan" in body and revision not in seen.trusted:
        yield from rises.install_approved(seen, record, seen.plans[body["plan"]])
    serving = sorted(seen.trusted - {SAFE_REVISION})
    ours = any(arm for content in seen.routes.values() for arm in content.revisions)
    if ours and serving and revision not in serving and "instead_of" not in body:
        yield "S2", f"{revision} was adopted as stable, but {serving} served"
    if seen.stopped_digest(revision):
        yield "S14", f"{revision} was stopped and is adopted as stable"
    seen.trusted.add(revision)


def _started(seen: Seen, entry: RecordWrite, digest: str) -> Found:
    seen.positions.pop(revision_name(NAME, digest), None)
    stopped = seen.stops.get(digest)
    if stopped is None:
        return
    if entry.record.kind is not RecordKind.RETRIED or seen.retried.get(digest, -1.0) < stopped:
        yield "S14", f"{digest[:17]} was stopped at {stopped} and started again without a Retry since"
        return
    if not any(said.action is Action.RETRY and said.digest == digest for said in seen.named(entry.record)):
        yield "S14", "the record of a retry names nobody who said so"
    del seen.stops[digest]


def _completed(seen: Seen, body: Any) -> Found:
    revision, plan = body["stable"]["revision"], seen.plans[body["plan"]]
    stage = seen.position(revision).stage
    if revision not in seen.trusted and stage != len(plan.stages) - 1:
        yield "S5", f"{revision} was completed in stage {stage} of {len(plan.stages)}"
    seen.trusted.add(revision)
    seen.positions.pop(revision, None)


def _reverted(seen: Seen, entry: RecordWrite) -> Found:
    body: Any = entry.record.body
    revision = str(body["stopped"]["revision"])
    for view in seen.decided[entry.actor].observed.routes:
        if not view.share_of(revision).is_zero:
            yield "S6", f"the revert of {revision} was recorded before it was done"
    for digest in (body["stopped"]["digest"], *body.get("alsoStopped", ())):
        seen.stop(digest, time_of(entry.record))


def _chain(world: "World") -> Found:
    """S15: numbered without gaps, each linked to the one before, none ever changed."""
    previous, kept = GENESIS, world.store.records
    for number, record in enumerate(kept.values(), 1):
        if (record.sequence, record.previous) != (number, previous):
            yield "S15", f"record {record.sequence} does not follow record {number - 1}"
        previous = record.hash
    written = {entry.record.sequence: entry.record for entry in world.store.log if isinstance(entry, RecordWrite)}
    if written != {record.sequence: record for record in kept.values()}:
        yield "S15", "a record is not what was written"
