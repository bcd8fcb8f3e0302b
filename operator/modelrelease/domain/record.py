"""One decision as it is kept: numbered, hashed, linked to the one before (S15).

The object's name is its sequence number, so creating it is the compare and swap: a separate head object forked when
four writers tried at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from modelrelease.domain.canonical import digest

GENESIS = "sha256:" + "0" * 64
"""The `previous` of a chain's first record."""


class RecordKind(StrEnum):
    """What a record is about."""

    ADOPTED = "Adopted"
    STARTED = "Started"
    RAISED = "Raised"
    COMPLETED = "Completed"
    WATCH_COMPLETED = "WatchCompleted"
    REVERTED = "Reverted"
    ABORTED = "Aborted"
    WITHDRAWN = "Withdrawn"
    SUPERSEDED = "Superseded"
    RETRIED = "Retried"
    TIGHTENED = "Tightened"
    LOOSENED = "Loosened"
    PAUSED = "Paused"
    RESUMED = "Resumed"
    INTENT_VOID = "IntentVoid"


class NotRejudged(ValueError):
    """A record cannot be judged again from itself by this program; that says nothing against the record."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest record of a release: its number (0: none yet) and hash."""

    sequence: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, slots=True)
class Record:
    """One link of the chain. `body` holds only strings, integers, booleans, lists and mappings (floats as text)."""

    sequence: int
    previous: str
    kind: RecordKind
    body: Mapping[str, object]

    @property
    def hash(self) -> str:
        """The record's own hash, over number, link, kind and body."""
        return digest(
            {"sequence": self.sequence, "previous": self.previous, "kind": self.kind.value, "body": self.body}
        )

    @property
    def head(self) -> Head:
        """The chain's head once this record is written."""
        return Head(self.sequence, self.hash)


def record_name(release: str, sequence: int) -> str:
    """The object name of a record: `<release>-<eight digits>`."""
    return f"{release[:200]}-{sequence:08d}"
