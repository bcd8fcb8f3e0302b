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
    ACCEPT_RISK = "AcceptRisk"


UNASKED = frozenset({Action.PAUSE, Action.ABORT, Action.REJECT})
"""What only ever lowers or holds exposure: obeyed at once, whoever said it. Everything else must be confirmed first."""

LASTING = frozenset({Action.OVERRIDE, Action.ACCEPT_RISK})
"""What is not used up by a raise: it counts until it ends or its object is deleted."""


class Standing(StrEnum):
    """What is known of who said it: admission enforced the author, and the right is still there."""

    UNCHECKED = "Unchecked"
    CONFIRMED = "Confirmed"
    REFUSED = "Refused"


@dataclass(frozen=True, slots=True)
class Identity:
    """Whether the author of a decision was confirmed; `message` says why not, and what to do."""

    standing: Standing = Standing.UNCHECKED
    message: str = ""


UNCHECKED = Identity()
CONFIRMED = Identity(Standing.CONFIRMED)


@dataclass(frozen=True, slots=True)
class Decision:
    """One ReleaseDecision. `digest` and `plan_digest` None: whatever the release is at (Pause, Resume).

    `incident` and `expires_at` belong to an Override: why the train is not waited for, and until when. An approval
    without `stage` is for the whole release, and may name an earlier end than its plan. `groups` are the author's, as
    admission saw them. `gate` is what an accepted risk is about. `identity` is found out by the controller and never
    read from the object.
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
    evidence_digest: str | None = None
    gate: str | None = None
    groups: tuple[str, ...] = ()
    identity: Identity = UNCHECKED

    @property
    def counts(self) -> bool:
        """Whether it may be acted on as far as its author goes: unknown never raises exposure."""
        return self.action in UNASKED or self.identity.standing is Standing.CONFIRMED

    @property
    def order(self) -> tuple[datetime, str]:
        """Creation time, then name: the order in which decisions apply."""
        return (self.created_at, self.name)


def in_order(decisions: Iterable[Decision]) -> tuple[Decision, ...]:
    """The decisions, oldest first."""
    return tuple(sorted(decisions, key=lambda decision: decision.order))
