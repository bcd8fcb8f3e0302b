"""What the log of one history has shown so far: who may have all traffic, who was stopped, who came how far."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from modelrelease.domain.decision import Action, Decision
from modelrelease.domain.exposure import FULL_PERMILLE, Exposure, uniform
from modelrelease.domain.plan import Plan
from modelrelease.domain.record import Record
from modelrelease.domain.release import IN_TRAFFIC, Progress, State
from modelrelease.domain.traffic import Target
from modelrelease.domain.unit import revision_name
from tests.engine.builders import NAME, NOW
from tests.engine.log import Content, Decided, Edited, RecordWrite, content_of

if TYPE_CHECKING:
    from tests.engine.world import World

SAFE_REVISION = f"{NAME}-safe"

Found = Iterator[tuple[str, str]]
"""Promises that did not hold, each with a message."""


@dataclass(slots=True)
class Position:
    """How far a unit has come: the stage raised last, by which record, and since when each route had it accepted."""

    stage: int = -1
    plan: Plan | None = None
    record: str | None = None
    written: float = 0.0
    accepted: dict[str, float] = field(default_factory=dict)
    before: "Position | None" = None


class Seen:
    """The state of a replay."""

    def __init__(self, world: "World") -> None:
        self.world, self.segments = world, world.store.segments
        self.routes: dict[str, Content] = world.first_contents()
        self.leader = ""
        self.trusted: set[str] = {SAFE_REVISION}
        self.stops: dict[str, float] = {}
        self.positions: dict[str, Position] = {}
        self.records: dict[str, tuple[Record, RecordWrite]] = {}
        self.decided: dict[str, Decided] = {}
        self.raised_at: dict[str | None, Decided] = {}
        self.voided: set[str] = set()
        self.disturbed = False
        self.said: dict[str, Decision] = {}
        self.backed: dict[str, str] = {}
        self.retried: dict[str, float] = {}
        first = world.scenario.spec
        self.spec = Edited(0.0, "git", first.unit, first.plan, first.faults)
        self.edited = False
        self.plans: dict[str, Plan] = {first.plan.digest: first.plan}

    def position(self, revision: str) -> Position:
        """How far a unit has come."""
        return self.positions.get(revision, Position())

    def stop(self, digest: str, when: float) -> None:
        """From here on a unit is stopped."""
        self.stops.setdefault(digest, when)
        self.trusted.discard(revision_name(NAME, digest))

    def untrusted(self) -> Iterator[tuple[str, Exposure]]:
        """Every unit that is on its way and has a share now."""
        for content in self.routes.values():
            for revision in sorted(name for name in content.revisions - self.trusted if name):
                share = content.share(revision, self.segments)
                if not share.is_zero:
                    yield revision, share

    def named(self, record: Record) -> list[Decision]:
        """The decisions that a record names, as they were said."""
        named = record.body.get("decisions") or ()
        return [self.said[item["uid"]] for item in named if item["uid"] in self.said]  # type: ignore[union-attr]

    def promoted(self, record: Record) -> bool:
        """Whether a record names a Promote of the unit that it is about."""
        unit = record.body.get("candidate") or record.body["stable"]
        return any(said.action is Action.PROMOTE and said.digest == unit["digest"] for said in self.named(record))  # type: ignore[index]

    def stopped_digest(self, revision: str) -> str:
        """The digest of a stopped unit by its revision, empty where that was not stopped."""
        return next((digest for digest in self.stops if revision_name(NAME, digest) == revision), "")


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


def time_of(record: Record) -> float:
    """The time that a record speaks of, in seconds from the beginning."""
    stamp = str(record.body["at"]).replace("Z", "+00:00")
    return (datetime.fromisoformat(stamp) - NOW).total_seconds()
