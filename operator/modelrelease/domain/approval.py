"""Who must say yes before exposure rises, as a release's plan says it: roles, four eyes, how long a yes counts.

It knows nothing of decisions and of people; whether what somebody said counts is judged in `governance.approvals`.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

DEFAULT_VALID_FOR_S = 7 * 24 * 3600


class AtWindowEnd(StrEnum):
    """What happens when the approval window is over and somebody has not answered."""

    HOLD = "Hold"
    REJECT = "Reject"


@dataclass(frozen=True, slots=True)
class ApprovalRole:
    """One role that is asked. No `stages`: once for the whole release, before its first stage.

    The accountable role decides last; without `stages` it is asked before the first stage with all traffic.
    """

    name: str
    stages: tuple[str, ...] = ()
    accountable: bool = False


@dataclass(frozen=True, slots=True)
class GitOpsAccount:
    """An account that applies what others wrote. `author_annotation` names who, where the policy trusts it."""

    username: str
    author_annotation: str | None = None


@dataclass(frozen=True, slots=True)
class ApprovalRules:
    """The approval matrix of a plan. Times are in seconds; `window_s` None: asked for as long as it takes.

    `notify` and `look_at` are shown in the request (R23). `git_ops` comes from a policy only, never from a release.
    """

    roles: tuple[ApprovalRole, ...] = ()
    four_eyes: bool = False
    valid_for_s: int = DEFAULT_VALID_FOR_S
    window_s: int | None = None
    at_window_end: AtWindowEnd = AtWindowEnd.HOLD
    notify: tuple[str, ...] = ()
    look_at: tuple[str, ...] = ()
    git_ops: tuple[GitOpsAccount, ...] = ()

    @property
    def accountable(self) -> ApprovalRole | None:
        """The role that gives the final go or no-go, None where nobody was named."""
        return next((role for role in self.roles if role.accountable), None)


@dataclass(frozen=True, slots=True)
class Asking:
    """An open request: for which stage (its number) people were asked, and when that began."""

    stage: int
    since: datetime
