"""How much is at stake with a release: its risk tier, what it touches, and by whose policy it is governed."""

from dataclasses import dataclass
from enum import StrEnum


class Tier(StrEnum):
    """The three risk tiers (R5)."""

    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"

    @property
    def rank(self) -> int:
        """0 for Low, 2 for High: a higher tier asks for more."""
        return list(Tier).index(self)

    @property
    def included(self) -> tuple["Tier", ...]:
        """This tier and those below it, the highest first: a tier asks for what the lower ones ask, too."""
        return tuple(Tier)[self.rank :: -1]


class Touch(StrEnum):
    """What a release touches besides its parts."""

    SENSITIVE_DOMAIN = "SensitiveDomain"
    PERSONAL_DATA = "PersonalData"


class Enforcement(StrEnum):
    """Enforce: a release cannot ask for less than its tier. Advise: the tier fills in what a release does not write."""

    ENFORCE = "Enforce"
    ADVISE = "Advise"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a release stands to its policy: its tier and why (in sentences), the policy, and in what it falls short.

    `shortfalls` are told and hold nothing: of a policy that only advises, or of a release that is at rest.
    `overdue`: the day by which the policy had to be looked at again, once it is over. It holds nothing, either.
    """

    tier: Tier
    reasons: tuple[str, ...]
    policy: str
    policy_digest: str
    shortfalls: tuple[str, ...] = ()
    built_in: bool = False
    overdue: str = ""


@dataclass(frozen=True, slots=True)
class Governed:
    """What a plan was made under, as part of its digest.

    `declared` is the digest of what the release itself asked for, which tells an edit of the policy from one of the
    release. `loosening` are the roles that must approve before a looser policy applies to a rollout under way.
    """

    tier: Tier
    policy: str
    policy_digest: str
    declared: str
    loosening: tuple[str, ...] = ()
