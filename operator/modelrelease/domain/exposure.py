"""How much of the traffic sees the candidate: a share per segment, in parts per thousand.

A vector and not one number, because the first stage may send 1 % of one segment and nothing of the rest (R14, R15).
"""

from collections.abc import Iterable
from dataclasses import dataclass

REST = "*"
"""The traffic that no named segment claims. Not a valid Kubernetes name, so it cannot clash with a segment."""

FULL_PERMILLE = 1000


@dataclass(frozen=True, slots=True)
class Exposure:
    """The candidate's share of each segment in parts per thousand, 0…1000. A segment not named has share 0."""

    shares: tuple[tuple[str, int], ...] = ()

    def of(self, segment: str) -> int:
        """The share of one segment in parts per thousand."""
        return dict(self.shares).get(segment, 0)

    def within(self, other: "Exposure") -> bool:
        """Whether no segment's share is larger here than in `other`."""
        return all(share <= other.of(segment) for segment, share in self.shares)

    def lowered_to(self, other: "Exposure") -> "Exposure":
        """The smaller share of each segment: what restoring drift may at most write (S3)."""
        return Exposure(tuple((segment, min(share, other.of(segment))) for segment, share in self.shares))

    @property
    def highest(self) -> int:
        """The largest share of any segment, in parts per thousand."""
        return max((share for _, share in self.shares), default=0)

    @property
    def is_zero(self) -> bool:
        """Whether the candidate gets no traffic at all."""
        return self.highest == 0

    def __str__(self) -> str:
        if len({share for _, share in self.shares}) <= 1:
            return percent(self.highest)
        return ", ".join(
            f"{percent(share)} of {'the rest' if segment == REST else segment}"
            for segment, share in self.shares
            if share
        )


NOTHING = Exposure()
"""No traffic for the candidate."""


def uniform(segments: Iterable[str], permille: int) -> Exposure:
    """The same share for each of `segments` and for the rest."""
    return Exposure((*((segment, permille) for segment in segments), (REST, permille)))


def percent(permille: int) -> str:
    """Parts per thousand as people write it: 10 → `1 %`, 5 → `0.5 %`."""
    whole, tenth = divmod(permille, 10)
    return f"{whole}.{tenth} %" if tenth else f"{whole} %"
