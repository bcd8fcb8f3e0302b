"""The log of a history: every write by whomever, what people said and did, and what each decision was made on.

Its entries are what `properties` are checked on. They know nothing of the store that writes them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from modelrelease.domain.decision import Decision
from modelrelease.domain.exposure import FULL_PERMILLE, REST, Exposure
from modelrelease.domain.plan import Plan
from modelrelease.domain.record import Record
from modelrelease.domain.release import Fault, Observed, Progress
from modelrelease.domain.traffic import Arm, Target
from modelrelease.domain.unit import Unit
from modelrelease.engine.actions import Intention, Step


@dataclass(frozen=True, slots=True)
class Content:
    """What a route sends where: the arms of each rule by segment, in order, and whether all weights are written."""

    rules: tuple[tuple[str, tuple[Arm, ...]], ...]
    explicit: bool = True

    def share(self, revision: str, segments: tuple[str, ...]) -> Exposure:
        """The share of a revision in each declared segment (served by the rest's rule where it has none of its own)."""
        rules = dict(self.rules)
        return Exposure(
            tuple(
                (segment, sum(arm.permille for arm in rules.get(segment, rules[REST]) if arm.revision == revision))
                for segment in (*segments, REST)
            )
        )

    @property
    def revisions(self) -> set[str | None]:
        """Who is named."""
        return {arm.revision for _, arms in self.rules for arm in arms}


def content_of(target: Target, segments: tuple[str, ...]) -> Content:
    """The content that a target asks for."""
    base = target.base
    if target.other is None:
        return Content(((REST, (Arm(base.revision, base.backend, FULL_PERMILLE),)),))
    return Content(tuple((segment, tuple(_arms(target, segment))) for segment in (*segments, REST)))


def _arms(target: Target, segment: str) -> Iterator[Arm]:
    assert target.other is not None
    share = target.exposure.of(segment)
    yield Arm(target.base.revision, target.base.backend, FULL_PERMILLE - share)
    yield Arm(target.other.revision, target.other.backend, share)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log: when, who."""

    at: float
    actor: str


@dataclass(frozen=True, slots=True)
class RouteWrite(Entry):
    """A route was written, by the operator (with its intention) or by somebody else (without).

    `framed`: what is not ours on the route was left as it was.
    """

    route: str
    before: Content | None
    after: Content
    intention: Intention | None = None
    conditioned: bool = False
    stopped: str | None = None
    record: str | None = None
    framed: bool = True


@dataclass(frozen=True, slots=True)
class RouteGone(Entry):
    """A route was deleted."""

    route: str


@dataclass(frozen=True, slots=True)
class Leads(Entry):
    """From here on this process holds the Lease."""


@dataclass(frozen=True, slots=True)
class RecordWrite(Entry):
    """A record was created."""

    record: Record


@dataclass(frozen=True, slots=True)
class StatusWrite(Entry):
    """The status was written (by the operator) or wiped (by somebody else)."""

    progress: Progress


@dataclass(frozen=True, slots=True)
class FinalizerWrite(Entry):
    """The finalizer was added or removed."""

    present: bool


@dataclass(frozen=True, slots=True)
class Accepted(Entry):
    """The gateway accepted a route's generation, with this content."""

    route: str
    content: Content


@dataclass(frozen=True, slots=True)
class Said(Entry):
    """A person made a decision."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class Edited(Entry):
    """The spec was changed."""

    unit: Unit
    plan: Plan
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Happened(Entry):
    """A fault fired, or something else happened in the world."""

    what: str


@dataclass(frozen=True, slots=True)
class Decided(Entry):
    """The engine gave a step with actions; what it was given is kept, so that a raise can be judged by it."""

    progress: Progress
    observed: Observed
    step: Step


@dataclass(frozen=True, slots=True)
class Shown(Entry):
    """A look that nothing disturbed, while something was broken: what the status says after it, of which generation."""

    generation: int
    newest: int
    said: frozenset[tuple[str, str]]
    broken: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Looked(Entry):
    """A look that no fault disturbed (at most a busy stranger did), with evidence against a unit in traffic."""

    bad: str
    busy: bool = False
