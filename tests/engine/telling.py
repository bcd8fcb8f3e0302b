"""What the status says to people and tools, and what it must say (L6): the generation that it is about, what is broken.

The status writer's contract (`controller.status`): written when anything but a running number changed, else rarely.
"""

from dataclasses import dataclass, replace

from modelrelease.domain.release import Observed, Progress, Release
from modelrelease.engine import conditions
from modelrelease.engine.actions import Step

Said = tuple[str, str]
"""Type and status of a condition."""


@dataclass(frozen=True, slots=True)
class Told:
    """The generation that a status is about, and its conditions: type, status and reason."""

    generation: int = -1
    conditions: tuple[tuple[str, str, str], ...] = ()

    @property
    def said(self) -> frozenset[Said]:
        """The conditions without their reasons."""
        return frozenset((kind, status) for kind, status, _ in self.conditions)


def told(release: Release, step: Step, observed: Observed) -> Told:
    """What a status says after a step."""
    found = conditions.conditions(release, step, observed)
    return Told(release.generation, tuple(sorted((each.type, each.status, each.reason) for each in found)))


def only_running(new: Progress, old: Progress) -> bool:
    """Whether nothing but running numbers differs."""
    return replace(new, no_data_since=()) == replace(old, no_data_since=())
