"""What was measured, before anyone judges it: strata of counts per arm, and what was wrong with the measuring.

Counts are kept per stratum (one window of time in one segment) and never pooled over time, because pooling arms while
the weight or the base rate moves gives the wrong answer (Simpson's paradox; GATES.md, Counting).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Cause(StrEnum):
    """Why there is no data (R13)."""

    MISSING = "Missing"
    BROKEN = "Broken"
    INSUFFICIENT = "InsufficientTraffic"
    SOURCE_DOWN = "SourceDown"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with the evidence of one gate, in words for people."""

    cause: Cause
    message: str


@dataclass(frozen=True, slots=True)
class Tally:
    """What one arm did in one stratum.

    `total`: events (requests, tokens …). `bad`: bad events, or the summed value or cost, by the metric's type.
    `buckets`: for histograms, (upper bound, events at or under it) in rising order, the last bound being +Inf.
    """

    total: float = 0.0
    bad: float = 0.0
    buckets: tuple[tuple[float, float], ...] = ()

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.total + other.total, self.bad + other.bad, _add_buckets(self.buckets, other.buckets))


@dataclass(frozen=True, slots=True)
class Stratum:
    """Both arms over the same window [start, end) in the same segment (None: all segments together)."""

    start: datetime
    end: datetime
    candidate: Tally
    stable: Tally
    segment: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one tick adds for one gate: new strata, or a problem, or the one sample of a Value metric.

    `newest` is the time of the newest sample behind it (the scrape's, not the query's), None when there was none.
    """

    gate: str
    at: datetime
    strata: tuple[Stratum, ...] = ()
    value: float | None = None
    newest: datetime | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class SplitCount:
    """Requests that each arm really got in one segment since the stage began; the realised split."""

    segment: str
    candidate: float
    stable: float


def _add_buckets(
    left: tuple[tuple[float, float], ...], right: tuple[tuple[float, float], ...]
) -> tuple[tuple[float, float], ...]:
    if not left or not right:
        return left or right
    if [bound for bound, _ in left] != [bound for bound, _ in right]:
        raise ValueError("histograms with different bucket bounds cannot be added")
    return tuple((bound, a + b) for (bound, a), (_, b) in zip(left, right, strict=True))
