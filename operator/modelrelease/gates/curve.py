"""How the evidence of a gate moved: the log E-values after each stratum of its workings, judged again one by one."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from modelrelease.domain.evidence import Evidence
from modelrelease.domain.gate import Value
from modelrelease.gates import judge
from modelrelease.gates.workings import read


@dataclass(frozen=True, slots=True)
class Point:
    """What was known at `at`: the log E-values for a revert and for a pass, and the candidate's events so far."""

    at: datetime
    log_revert: float
    log_pass: float
    events: float


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of judgement (segment None: all traffic) and the thresholds that its log E-values must reach."""

    gate: str
    segment: str | None
    points: tuple[Point, ...]
    threshold: float
    threshold_pass: float

    @property
    def key(self) -> str:
        """The gate's name, with the segment where it is judged per segment."""
        return f"{self.gate}/{self.segment}" if self.segment else self.gate


def curves_of(written: Mapping[str, Any]) -> tuple[Curve, ...]:
    """The curves that one gate's workings give, oldest point first; none for single values, which have no E-value.

    Raises ValueError or KeyError for what are no workings.
    """
    of = read(written)
    if isinstance(of.gate.metric, Value):
        return ()
    machine, bars, state = judge.machine_of(of.gate), of.settings.bars, of.base
    found: dict[str | None, list[Point]] = {}

    def note(at: datetime) -> None:
        for track in state.tracks:
            log_revert, log_pass = machine.log_revert(track.machine), machine.log_pass(track.machine)
            if not (math.isfinite(log_revert) and math.isfinite(log_pass)):
                continue
            points = found.setdefault(track.segment, [])
            if points and points[-1].at == at:
                points.pop()
            points.append(Point(at, log_revert, log_pass, track.seen))

    if of.strata:
        note(min(stratum.start for stratum in of.strata))
    for stratum in of.strata:
        state = judge.fold(of.gate, state, Evidence(of.gate.name, stratum.end, (stratum,)))
        note(stratum.end)
    return tuple(
        Curve(of.gate.name, segment, tuple(points), bars.log_revert, bars.log_pass) for segment, points in found.items()
    )
