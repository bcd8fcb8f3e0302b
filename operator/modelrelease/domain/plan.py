"""How a unit is released: stages, gates, watch and limits, as one value with a digest (the effective plan).

Approvals and records refer to the plan's digest, so that nobody approves one plan and gets another (S2, R7).
"""

from dataclasses import asdict, dataclass, field
from enum import StrEnum

from modelrelease.domain.approval import ApprovalRules
from modelrelease.domain.canonical import digest
from modelrelease.domain.entry import Entry
from modelrelease.domain.exposure import Exposure
from modelrelease.domain.gate import Gate
from modelrelease.domain.tier import Governed
from modelrelease.domain.train import Train


class StageType(StrEnum):
    """Canary: users see the candidate's answers. Shadow: requests are mirrored, answers discarded (R16)."""

    CANARY = "Canary"
    SHADOW = "Shadow"


class Require(StrEnum):
    """What the evidence so far must show before a stage may be entered (GATES.md)."""

    NO_HARM = "NoHarm"
    PROVEN = "Proven"


class AtMaxDuration(StrEnum):
    """What happens when a stage is still undecided at its maximum duration."""

    HOLD = "Hold"
    REVERT = "Revert"


class OnDrift(StrEnum):
    """What happens when somebody else changed the owned weights."""

    RESTORE = "Restore"
    HOLD = "Hold"


class OnNoSafePath(StrEnum):
    """Where traffic goes on a revert when neither stable nor the safe backend has a ready endpoint (S11)."""

    CANDIDATE = "Candidate"
    STABLE = "Stable"


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of exposure. `require` and `approvals` are what it takes to enter; durations are spent inside."""

    name: str
    exposure: Exposure
    type: StageType = StageType.CANARY
    min_duration_s: int = 0
    max_duration_s: int | None = None
    at_max_duration: AtMaxDuration = AtMaxDuration.HOLD
    min_samples: int = 0
    require: Require = Require.NO_HARM
    approvals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """How long ignorance is borne before it counts as a reason to revert, in seconds."""

    missing_s: int = 120
    broken_s: int = 120
    route_confirm_s: int = 60
    fresh_s: int = 30
    revert_capacity_percent: int = 100
    alpha_permille: int = 10
    beta_permille: int = 50


@dataclass(frozen=True, slots=True)
class StageLengths:
    """What the traffic says of a plan's stages, in sentences with numbers: which are too short, what is not known."""

    too_short: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides how one candidate is released. `governed` None: no policy had a say in it.

    `requests` is a digest over what says which requests are meant (segments, host names, path), "" without any: stages
    speak of segments by name, and whoever approves one approves those requests and no others.
    """

    stages: tuple[Stage, ...]
    gates: tuple[Gate, ...] = ()
    watch_s: int = 0
    limits: Limits = field(default_factory=Limits)
    on_drift: OnDrift = OnDrift.RESTORE
    on_no_safe_path: OnNoSafePath = OnNoSafePath.CANDIDATE
    governed: Governed | None = None
    entry: Entry = field(default_factory=Entry)
    train: Train = field(default_factory=Train)
    approvals: ApprovalRules = field(default_factory=ApprovalRules)
    requests: str = ""

    @property
    def digest(self) -> str:
        """The plan digest, `sha256:…`."""
        return digest(asdict(self))
