"""What a gate has learnt so far: everything that later verdicts need, and nothing that could be asked again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from modelrelease.domain.evidence import Problem, Stratum
from modelrelease.domain.habit import Habit
from modelrelease.gates.codec import decode, encode
from modelrelease.gates.contrast import Averages
from modelrelease.gates.quantile import Slow
from modelrelease.gates.ratio import Proportions
from modelrelease.gates.value import Sample

MachineState = Proportions | Slow | Averages | Sample


@dataclass(frozen=True, slots=True)
class Track:
    """One line of judgement: all traffic (segment None) or one segment.

    `peak` is the highest log E-value for a revert so far: evidence once found stays found. `first_at` is when the
    window of the candidate's first event began; `seen` and `warming` count the candidate's events that are judged and
    those that fell into the warm-up.
    """

    segment: str | None
    machine: MachineState
    peak: float = 0.0
    first_at: datetime | None = None
    seen: float = 0.0
    warming: float = 0.0


@dataclass(frozen=True, slots=True)
class GateState:
    """The tracks of one gate, how far each segment has been counted, the newest sample, and what is wrong now.

    `demand` is the digest of what the gate demands: evidence about one rule says nothing about another. `open` holds
    each segment's window that is not yet `window_s` long. `phi`: as in JudgeSettings.
    """

    gate: str
    demand: str
    window_s: int = 0
    tracks: tuple[Track, ...] = ()
    open: tuple[Stratum, ...] = ()
    counted_until: tuple[tuple[str, datetime], ...] = ()
    newest: datetime | None = None
    problem: Problem | None = None
    phi: float | None = None

    @property
    def habit(self) -> Habit | None:
        """How stable's bad events come; None where it is unknown."""
        return None if self.phi is None else Habit(self.window_s, self.phi)

    def to_dict(self) -> dict[str, object]:
        """Write the state as strings, integers, lists and mappings, loss-free (floats in hexadecimal)."""
        return cast("dict[str, object]", encode(self))

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> "GateState":
        """Read a state back. Raises ValueError or KeyError when it is not one of ours."""
        return cast(GateState, decode(written, cls))
