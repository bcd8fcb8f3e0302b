"""What a process has been shown of the object and of its routes: each by a watch of its own, which may lag or hang.

A process always knows the answers to its own writes. What others wrote it may not have been shown yet; what raises a
share, ends a rollout or lets go of the object is therefore read live (`process`). A cache that is merely old at one
look was not enough: a watch that hangs shows nothing for many looks, and that is when two others' deeds are missed.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from modelrelease.domain.release import Observed, Progress, Release
from tests.engine.telling import Told

if TYPE_CHECKING:
    from tests.engine.world import World

HANGS_S = (0.0, 0.0, 12.0, 45.0)
"""How long a watch shows nothing new. One that hangs for longer ends the process."""


class Kind(StrEnum):
    """What has a watch of its own."""

    OBJECT = "object"
    ROUTES = "routes"


WRITES = {"status": Kind.OBJECT, "finalizer": Kind.OBJECT, "route": Kind.ROUTES, "delete": Kind.ROUTES}
"""What the answer to a write of each sort shows."""


@dataclass(slots=True)
class Gathered:
    """What one decision is made on, and the versions that its writes are conditioned on."""

    release: Release
    progress: Progress
    observed: Observed
    version: int
    routes: dict[str, int]
    told: Told


@dataclass(slots=True)
class Cache:
    """The newest picture that each watch has shown, and until when each of them hangs."""

    world: "World"
    shown: dict[Kind, Gathered] = field(default_factory=dict)
    until: dict[Kind, float] = field(default_factory=dict)

    def answered(self, what: str) -> None:
        """A write of our own was answered: that object is known as it is."""
        kind = WRITES.get(what)
        if kind is not None:
            self.shown.pop(kind, None)

    def read(self, now: Gathered) -> Gathered:
        """Everything was read live."""
        self.shown = dict.fromkeys(Kind, now)
        return now

    def look(self, now: Gathered) -> Gathered:
        """`now`, but with what the watches hide of it."""
        if self.shown and self.world.strikes("stale"):
            hangs_until = self.world.store.now + self.world.rng.choice(HANGS_S)
            for kind in self.world.rng.choice((list(Kind), [Kind.OBJECT], [Kind.ROUTES])):
                self.until[kind] = max(self.until.get(kind, 0.0), hangs_until)
        seen = {kind: self.shown[kind] if self._hidden(kind) else now for kind in Kind}
        self.shown = dict(seen)
        of, routes = seen[Kind.OBJECT], seen[Kind.ROUTES]
        views = replace(now.observed, routes=routes.observed.routes)
        return Gathered(of.release, of.progress, views, of.version, dict(routes.routes), of.told)

    @property
    def hangs(self) -> bool:
        """Whether a watch may hide something now."""
        return any(self._hidden(kind) for kind in Kind)

    def _hidden(self, kind: Kind) -> bool:
        return self.world.faulty and kind in self.shown and self.world.store.now <= self.until.get(kind, -1.0)
