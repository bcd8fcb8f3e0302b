"""Where traffic goes: routes and segments as declared, the target that the engine wants, and the view that was read.

Shares are parts per thousand; each router converts them. A target names arms by revision and not by backend, because
a release of prompt, tools or policy alone has the same backend on both arms (R3).
"""

from dataclasses import dataclass
from enum import StrEnum

from modelrelease.domain.exposure import NOTHING, Exposure
from modelrelease.domain.unit import Backend, UnitRef


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """One exact request header match."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A named share of the requests: all header, query and method conditions must hold. Tried in the declared order."""

    name: str
    headers: tuple[HeaderMatch, ...] = ()
    query: tuple[HeaderMatch, ...] = ()
    method: str | None = None


@dataclass(frozen=True, slots=True)
class RouteRef:
    """An existing route that the release adopts, and its rules that may be steered (empty: the only one)."""

    name: str
    kind: str = "HTTPRoute"
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GatewayRef:
    """A Gateway to which the operator attaches a route of its own."""

    name: str
    namespace: str | None = None
    section: str | None = None


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the release may steer. Exactly one of `routes` (adopted) and `gateways` (owned) is not empty."""

    routes: tuple[RouteRef, ...] = ()
    gateways: tuple[GatewayRef, ...] = ()
    hostnames: tuple[str, ...] = ()
    path_prefix: str = "/"
    segments: tuple[Segment, ...] = ()
    release_header: str = "x-model-release"
    safe_backend: Backend | None = None
    delete_owned_route: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """What a route shall look like: the base arm, the other arm with its share per segment, and our marks.

    `other` None: the base arm gets everything and no segment rules are needed (tidy form). `stopped` is the digest
    written into the stopped mark ("" removes it, None leaves it).
    """

    base: UnitRef
    other: UnitRef | None = None
    exposure: Exposure = NOTHING
    stopped: str | None = None
    record: str | None = None
    holder: str = ""


class Acceptance(StrEnum):
    """What the route's relevant parents say about the current generation."""

    ACCEPTED = "Accepted"
    PENDING = "Pending"
    REFUSED = "Refused"


@dataclass(frozen=True, slots=True)
class Arm:
    """One backendRef of an owned rule as read: revision from its release header, weight share in parts per thousand."""

    revision: str | None
    backend: Backend
    permille: int


@dataclass(frozen=True, slots=True)
class RuleView:
    """One owned rule as read: the segment it serves (REST for the rule itself) and its arms in order."""

    rule: str
    segment: str
    arms: tuple[Arm, ...]
    explicit: bool = True


@dataclass(frozen=True, slots=True)
class RouteView:
    """One route as read, in terms of arms. `problem` says why it cannot be steered (missing rule, unknown form).

    `declared` False: gateways, host names or path of an owned route are not what its release says.
    """

    name: str
    exists: bool
    uid: str | None = None
    resource_version: str | None = None
    generation: int = 0
    rules: tuple[RuleView, ...] = ()
    acceptance: Acceptance = Acceptance.PENDING
    acceptance_message: str = ""
    release: str | None = None
    stopped: str | None = None
    record: str | None = None
    problem: str | None = None
    declared: bool = True

    def share_of(self, revision: str) -> Exposure:
        """The share per segment that this route gives to the arm of `revision`, the highest of its rules' shares."""
        shares: dict[str, int] = {}
        for rule in self.rules:
            got = sum(arm.permille for arm in rule.arms if arm.revision == revision)
            shares[rule.segment] = max(shares.get(rule.segment, 0), got)
        return Exposure(tuple(shares.items()))
