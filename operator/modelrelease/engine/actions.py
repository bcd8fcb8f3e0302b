"""What the engine wants done, in the order in which it must be done (RELIABILITY.md, Order of writes).

The executor carries them out one by one and stops at the first that fails; the next decision is then made anew from
what the cluster says. Actions name things of the domain, never API calls.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from modelrelease.domain.record import Record
from modelrelease.domain.release import Progress
from modelrelease.domain.traffic import Target
from modelrelease.domain.unit import Unit, UnitRef


class Intention(StrEnum):
    """Why a route is written: it decides on what the write is conditioned.

    Raise and Layout only on the exact state that was read (S9). Lower on the content that it replaces, so that it wins
    against a busy foreign writer (L5).
    """

    RAISE = "Raise"
    LAYOUT = "Layout"
    LOWER = "Lower"


@dataclass(frozen=True, slots=True)
class SetRoutes:
    """Bring every route of the release to `target`; creates the owned route where there is none."""

    target: Target
    intention: Intention


@dataclass(frozen=True, slots=True)
class WriteRecord:
    """Create the record; that its name is free is the compare and swap."""

    record: Record


@dataclass(frozen=True, slots=True)
class Save:
    """Write the status now, with the resourceVersion of the state that was decided on."""

    progress: Progress


@dataclass(frozen=True, slots=True)
class KeepUnit:
    """Make sure that an immutable ReleaseRevision keeps this unit."""

    unit: Unit


@dataclass(frozen=True, slots=True)
class KeepBundle:
    """Write the bundle of a unit that is kept: the ConfigMap from which its application reads prompt and policies."""

    unit: UnitRef


@dataclass(frozen=True, slots=True)
class Emit:
    """A Kubernetes event about the release, on transitions only."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class AddFinalizer:
    """Put our finalizer on the object before any route is touched."""


@dataclass(frozen=True, slots=True)
class RemoveFinalizer:
    """Let the object go: the candidate has no traffic, or the route is gone (S12)."""


@dataclass(frozen=True, slots=True)
class DeleteOwnedRoutes:
    """Delete the routes that the operator made, where the release says so."""


Action = (
    SetRoutes | WriteRecord | Save | KeepUnit | KeepBundle | Emit | AddFinalizer | RemoveFinalizer | DeleteOwnedRoutes
)


@dataclass(frozen=True, slots=True)
class Hold:
    """One reason why exposure is not raised now. `until` is when it may end by itself."""

    reason: str
    message: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One decision: what to do, what is remembered when all of it is done, why nothing more, when to look again."""

    progress: Progress
    actions: tuple[Action, ...] = ()
    holds: tuple[Hold, ...] = ()
    wake_at: datetime | None = None
    drifted: str | None = None
