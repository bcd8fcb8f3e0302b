"""What is measured and what is demanded of it: metric × rule × phase × scope (GATES.md).

A metric names its series by role, so that the operator composes the PromQL; bounds are decimal strings, because a
digest is taken over them and a float has no one spelling.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Kind(StrEnum):
    """The four kinds of gate of R8."""

    QUALITY = "Quality"
    SAFETY = "Safety"
    OPERATIONAL = "Operational"
    BUSINESS = "Business"


class Phase(StrEnum):
    """When a gate is judged: in the stages, in the watch after 100 %."""

    STAGE = "Stage"
    WATCH = "Watch"


class Scope(StrEnum):
    """Over what a gate is judged: all traffic together, or each segment by itself (one bad one stops all)."""

    WHOLE = "Whole"
    SEGMENT = "Segment"


class MatchOp(StrEnum):
    """The operators of a PromQL label matcher."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One label matcher. `value` may hold placeholders such as `${service}`; they are filled with quoted text."""

    label: str
    op: MatchOp
    value: str


@dataclass(frozen=True, slots=True)
class Series:
    """A metric name and the matchers that pick its series, without the arm."""

    name: str
    matchers: tuple[Matcher, ...] = ()


@dataclass(frozen=True, slots=True)
class Ratio:
    """Bad events over all events, both counters.

    `apart`: the bad events are not in `total`, which counts the good ones only; all events are both together.
    `sparse`: the server shows the bad counter from the first bad event on, so its absence is zero and no fault.
    """

    bad: Series
    total: Series
    apart: bool = False
    sparse: bool = False


@dataclass(frozen=True, slots=True)
class Quantile:
    """A classic histogram's buckets (cumulative `le`), the quantile in 0…1 as a decimal string, the unit for people."""

    buckets: Series
    q: str
    unit: str = "s"


@dataclass(frozen=True, slots=True)
class Mean:
    """A sum counter over a count counter; `low` and `high` bound one observation where they are known."""

    total: Series
    count: Series
    low: str | None = None
    high: str | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """A cost counter over a counter of units (tokens, requests), reported per `per` units."""

    cost: Series
    units: Series
    per: int = 1000
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class Value:
    """One PromQL expression that returns exactly one sample; absolute bounds only."""

    query: str


Metric = Ratio | Quantile | Mean | Cost | Value


@dataclass(frozen=True, slots=True)
class Absolute:
    """The candidate's figure must stay at or under `maximum`, and at or over `minimum` (decimal strings)."""

    maximum: str | None = None
    minimum: str | None = None


@dataclass(frozen=True, slots=True)
class AgainstStable:
    """The candidate's figure compared with stable's over the same time.

    `max_ratio`: candidate ≤ ratio × stable. `max_difference`: candidate ≤ stable + difference. `floor`: a candidate
    figure at or under it is never worse, however good stable is (it makes passing possible when stable has no errors).
    """

    max_ratio: str | None = None
    max_difference: str | None = None
    floor: str | None = None


Rule = Absolute | AgainstStable


@dataclass(frozen=True, slots=True)
class Gate:
    """One demand on one metric."""

    name: str
    metric: Metric
    rule: Rule
    arm: tuple[Matcher, ...] = ()
    source: str = "default"
    template: str = ""
    kind: Kind = Kind.OPERATIONAL
    phases: tuple[Phase, ...] = (Phase.STAGE, Phase.WATCH)
    scope: Scope = Scope.WHOLE
    warm_up_s: int = 0

    @property
    def comparative(self) -> bool:
        """Whether the gate needs the stable arm beside the candidate (so it cannot run when stable has no traffic)."""
        return isinstance(self.rule, AgainstStable)


def tightens(new: Rule, old: Rule) -> bool:
    """Whether `new` demands at least as much as `old` in each bound and is of the same kind (R7)."""
    match new, old:
        case Absolute(), Absolute():
            return _at_most(new.maximum, old.maximum) and _at_least(new.minimum, old.minimum)
        case AgainstStable(), AgainstStable():
            return (
                _at_most(new.max_ratio, old.max_ratio)
                and _at_most(new.max_difference, old.max_difference)
                and (old.floor is None) <= (new.floor is None)
                and (new.floor is None or old.floor is None or Decimal(new.floor) <= Decimal(old.floor))
            )
        case _:
            return False


def _at_most(new: str | None, old: str | None) -> bool:
    return old is None or (new is not None and Decimal(new) <= Decimal(old))


def _at_least(new: str | None, old: str | None) -> bool:
    return old is None or (new is not None and Decimal(new) >= Decimal(old))
