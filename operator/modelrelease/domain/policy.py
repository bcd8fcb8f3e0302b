"""What a ReleasePolicy says: which tier a change is in, and what a tier asks for. Values only."""

from dataclasses import dataclass, field
from datetime import date

from modelrelease.domain.approval import ApprovalRules
from modelrelease.domain.entry import Entry
from modelrelease.domain.gate import Gate, Kind
from modelrelease.domain.plan import Require
from modelrelease.domain.tier import Enforcement, Tier, Touch
from modelrelease.domain.train import Train
from modelrelease.domain.unit import PartName


@dataclass(frozen=True, slots=True)
class Floors:
    """The lowest tier of a release by the parts that it changes and by what it touches."""

    parts: tuple[tuple[PartName, Tier], ...] = ()
    touches: tuple[tuple[Touch, Tier], ...] = ()

    def of_part(self, part: PartName) -> Tier:
        """The floor of a changed part; High where the policy does not know the part."""
        return dict(self.parts).get(part, Tier.HIGH)

    def of_touch(self, touch: Touch) -> Tier:
        """The floor of what is touched; High where the policy does not know it."""
        return dict(self.touches).get(touch, Tier.HIGH)


@dataclass(frozen=True, slots=True)
class TierStage:
    """A stage that a tier asks for. It speaks for its band: each exposure above the stage before it, up to its own.

    `shares` are parts per thousand by segment name; the name REST is for all that no other entry names. None: the
    tier asks for nothing in this respect.
    """

    name: str
    shares: tuple[tuple[str, int], ...]
    min_duration_s: int | None = None
    min_samples: int | None = None
    require: Require | None = None
    approvals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Demands:
    """What one tier of a policy asks for. None: nothing in this respect. Error probabilities in parts per thousand."""

    tier: Tier
    gates: tuple[Gate, ...] = ()
    kinds: tuple[Kind, ...] = ()
    stages: tuple[TierStage, ...] = ()
    watch_s: int | None = None
    missing_s: int | None = None
    broken_s: int | None = None
    alpha_permille: int | None = None
    beta_permille: int | None = None
    train: Train = field(default_factory=Train)
    approvals: ApprovalRules | None = None
    entry: Entry = field(default_factory=Entry)


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy as it applies to one release: `demands` by tier, the lowest first. `digest` covers its whole spec.

    `review_by`: the last day on which it need not be looked at again; None: nobody said one.
    """

    name: str
    digest: str
    enforcement: Enforcement = Enforcement.ENFORCE
    floors: Floors = Floors()
    demands: tuple[Demands, ...] = ()
    loosening: tuple[str, ...] = ()
    review_by: date | None = None

    def of(self, tier: Tier) -> Demands:
        """What one tier asks for by itself."""
        return next((each for each in self.demands if each.tier is tier), Demands(tier))
