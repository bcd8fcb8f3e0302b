"""What people decide: pause, resume, promote, abort, retry, approve, override; admission enforced who says it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Action(StrEnum):
    """What a ReleaseDecision can say."""

    PAUSE = "Pause"
    RESUME = "Resume"
    PROMOTE = "Promote"
    ABORT = "Abort"
    RETRY = "Retry"
    APPROVE = "Approve"
    REJECT = "Reject"
    OVERRIDE = "Override"


@dataclass(frozen=True, slots=True)
class Decision:
    """One ReleaseDecision. `digest` and `plan_digest` None: whatever the release is at (Pause, Resume).

    `incident` and `expires_at` belong to an Override: why the train is not waited for, and until when.
    """

    uid: str
    name: str
    action: Action
    author: str
    reason: str
    created_at: datetime
    release_uid: str | None = None
    digest: str | None = None
    plan_digest: str | None = None
    stage: str | None = None
    role: str | None = None
    incident: str | None = None
    expires_at: datetime | None = None

    @property
    def order(self) -> tuple[datetime, str]:
        """Creation time, then name: the order in which decisions apply."""
        return (self.created_at, self.name)


def in_order(decisions: Iterable[Decision]) -> tuple[Decision, ...]:
    """The decisions, oldest first."""
    return tuple(sorted(decisions, key=lambda decision: decision.order))
