"""What a gate says: pass, revert, undecided, or no data with its cause. Always with the numbers and one sentence."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from modelrelease.domain.evidence import Cause


class Outcome(StrEnum):
    """The three verdicts and the absence of one (GATES.md). NoData and Undecided never advance a Proven stage."""

    PASS = "Pass"
    REVERT = "Revert"
    UNDECIDED = "Undecided"
    NO_DATA = "NoData"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of one gate (in one segment, where it has one) at one time.

    `numbers` holds what the sentence says and what recomputing needs. `newest` is the newest sample behind it.
    """

    gate: str
    outcome: Outcome
    sentence: str
    at: datetime
    cause: Cause | None = None
    segment: str | None = None
    numbers: tuple[tuple[str, float], ...] = ()
    newest: datetime | None = None
    comparative: bool = False

    @property
    def key(self) -> str:
        """The gate's name, with the segment where the gate is judged per segment."""
        return f"{self.gate}/{self.segment}" if self.segment else self.gate
