"""From counters as read to results: arms at the stages' shares, one track per gate and segment, replayed. No reading.

Gates of the stages are replayed over releases as long as the stages take, with the share that each stage has. Gates of
the watch alone are replayed over releases as long as the watch, at 100 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from modelrelease.backtest.arms import BY_REQUEST, divided
from modelrelease.backtest.counting import Rounds
from modelrelease.backtest.history import History, bad_is_zero
from modelrelease.backtest.past import habits
from modelrelease.backtest.reading import Reading
from modelrelease.backtest.replay import Incident, Releases, Result, Timetable, Track, releases, replay
from modelrelease.backtest.twin import Windows
from modelrelease.backtest.twin.windows import Bools, Floats
from modelrelease.domain.exposure import FULL_PERMILLE
from modelrelease.domain.gate import Gate, Phase, Scope, Value
from modelrelease.domain.plan import Plan
from modelrelease.gates.judge import machine_of
from modelrelease.gates.machine import Bars
from modelrelease.metrics.compose import Part
from modelrelease.metrics.ledger import Side

QUIET_S = 300.0
"""An arm without events for longer than this is not there: nothing is judged then."""

SHORTEST_S = 300.0
"""A stage without a minimum duration counts as this long."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to replay. `release_s` None: as long as the plan's stages take. `rules`: tests that a gate per segment is.

    `fresh_s`: the oldest age of a value's sample. `by_instance`: what cannot be split by instance is not judged.
    """

    plan: Plan
    rules: int
    release_s: float | None = None
    incidents: tuple[Incident, ...] = ()
    seed: int = 1
    fresh_s: float = 60.0
    by_instance: bool = False

    @property
    def stages(self) -> tuple[tuple[float, float], ...]:
        """Length in seconds and the candidate's share (0…1) of each stage before 100 %."""
        parts = [stage for stage in self.plan.stages if 0 < stage.exposure.highest < FULL_PERMILLE]
        found = [
            (max(stage.min_duration_s, 0) or SHORTEST_S, stage.exposure.highest / FULL_PERMILLE) for stage in parts
        ]
        found = found or [(3600.0, 0.5)]
        stretch = 1.0 if self.release_s is None else self.release_s / sum(length for length, _ in found)
        return tuple((length * stretch, share) for length, share in found)

    @property
    def release_length_s(self) -> float:
        """How long one release takes."""
        return sum(length for length, _ in self.stages)

    def bars(self, gates: Sequence[Gate]) -> Bars:
        """The thresholds of gates that are judged together, corrected for their number as the operator does."""
        tests = sum(self.rules if gate.scope is Scope.SEGMENT else 1 for gate in gates)
        return Bars(self.plan.limits.alpha_permille / 1000, self.plan.limits.beta_permille / 1000, max(1, tests))


@dataclass(frozen=True, slots=True, eq=False)
class Phases:
    """What came of one phase: its gates' results, how its releases fared together, and on what timetable."""

    phase: Phase
    timetable: Timetable
    bars: Bars
    results: tuple[Result, ...]
    releases: Releases
    shares: tuple[float, ...]


def study(history: History, settings: Settings, *, itself: bool) -> tuple[Phases, ...]:
    """Replay all gates that were read. `itself`: stable is compared with itself."""
    known = [gate for gate in settings.plan.gates if gate.name in history.readings or gate.name in history.samples]
    staged = [gate for gate in known if Phase.STAGE in gate.phases]
    watched = [gate for gate in known if Phase.STAGE not in gate.phases and not gate.comparative]
    found = []
    if staged:
        shares = settings.stages if itself else ()
        found.append(_phase(history, settings, staged, Phase.STAGE, settings.release_length_s, shares))
    if watched:
        length_s = settings.release_s or max(settings.plan.watch_s, SHORTEST_S)
        found.append(_phase(history, settings, watched, Phase.WATCH, length_s, ((length_s, 1.0),) if itself else ()))
    return tuple(found)


def _phase(
    history: History,
    settings: Settings,
    gates: Sequence[Gate],
    phase: Phase,
    length_s: float,
    shares: tuple[tuple[float, float], ...],
) -> Phases:
    grid = history.span.grid
    timetable = Timetable(grid, max(1, round(length_s / grid.step_s)), settings.incidents)
    share = _share_at(timetable, shares)
    bars = settings.bars(gates)
    tracks = [track for gate in gates for track in _tracks(history, gate, settings, share)]
    tracks = [_knowing(track, timetable) for track in tracks]
    results = tuple(_replayed(track, timetable, bars) for track in tracks)
    return Phases(phase, timetable, bars, results, releases(results, timetable), tuple(part for _, part in shares))


def _knowing(track: Track, timetable: Timetable) -> Track:
    """The track with stable's habit before each release, as the operator would have found it."""
    window_s, phi = habits(track, timetable)
    return replace(track, window_s=window_s, phi=phi)


def _replayed(track: Track, timetable: Timetable, bars: Bars) -> Result:
    try:
        return replay(track, timetable, bars)
    except ValueError as error:
        return replay(replace(track, problem=str(error)), timetable, bars)


def _share_at(timetable: Timetable, shares: tuple[tuple[float, float], ...]) -> Floats | None:
    """The candidate's share at each step, release after release; None: the arms are what they were."""
    if not shares:
        return None
    ends = np.cumsum([length for length, _ in shares]) / timetable.grid.step_s
    offset = np.arange(timetable.grid.count) % timetable.release_steps
    stage = np.minimum(np.searchsorted(ends, offset, side="right"), len(shares) - 1)
    return np.array([share for _, share in shares])[stage]


def _tracks(history: History, gate: Gate, settings: Settings, share: Floats | None) -> list[Track]:
    count = history.span.grid.count
    nothing = np.zeros(count, bool)
    try:
        machine_of(gate)
    except (ValueError, ArithmeticError) as error:
        return [Track(gate, nothing, problem=f"cannot be judged: {error}")]
    if isinstance(gate.metric, Value):
        return [_value_track(history, gate, settings)]
    found = sorted(history.rounds(gate), key=lambda item: item[0] or "")
    problem = next((said for _, reading, _ in found if (said := _problem(gate, reading, share is not None))), "")
    if problem:
        return [Track(gate, nothing, problem=problem)]
    notes = dict.fromkeys(note for _, reading, _ in found if (note := _note(gate, reading)))
    parts: list[tuple[str | None, Rounds]] = []
    for segment, reading, rounds in found:
        if share is not None:
            name = f"{reading.name}/{segment or ''}"
            rounds, how = divided(gate, rounds, share, seed=settings.seed, name=name)
            notes |= {how: None}
            if settings.by_instance and how == BY_REQUEST:
                return [Track(gate, nothing, problem="it has one instance, which cannot be split by instance")]
        parts.append((segment, rounds))
    if gate.scope is Scope.SEGMENT:
        return [_track(gate, [rounds], history, segment=segment, notes=tuple(notes)) for segment, rounds in parts]
    return [_track(gate, [rounds for _, rounds in parts], history, notes=tuple(notes))]


def _track(
    gate: Gate, rounds: Sequence[Rounds], history: History, *, segment: str | None = None, notes: tuple[str, ...] = ()
) -> Track:
    """One track of a gate; several segments stand side by side within each step."""
    end_s = history.span.grid.times()
    covered = np.zeros(len(end_s), bool)
    for each in rounds:
        covered |= _covered(gate, each, history.span.step_s)

    bounds = {each.bounds for each in rounds}
    if len(bounds) > 1:
        return Track(gate, covered & False, segment, problem="the segments have different buckets")
    buckets = [each.buckets for each in rounds if each.buckets is not None]
    windows = Windows(
        n_c=_beside([each.total[0] for each in rounds]),
        y_c=_beside([each.bad[0] for each in rounds]),
        n_s=_beside([each.total[1] for each in rounds]),
        y_s=_beside([each.bad[1] for each in rounds]),
        buckets_c=_beside([each[0] for each in buckets]) if buckets else None,
        buckets_s=_beside([each[1] for each in buckets]) if buckets else None,
        bounds=rounds[0].bounds,
        start_s=_beside([each.start_s for each in rounds]),
        end_s=_beside([end_s for _ in rounds]),
        segment=np.tile(np.arange(len(rounds)), len(end_s)) if len(rounds) > 1 else None,
    )
    return Track(gate, covered, segment, windows, len(rounds), notes=notes)


def _beside(values: Sequence[Floats]) -> Floats:
    """Arrays over steps as one row, those of one step side by side."""
    return np.stack(values, axis=1).reshape(1, -1, *values[0].shape[1:])


def _covered(gate: Gate, rounds: Rounds, step_s: float) -> Bools:
    """The steps with a window while the arms that the gate needs have had events within QUIET_S."""
    reach = max(1, round(QUIET_S / step_s))
    found = rounds.closed
    for events in rounds.total if gate.comparative else rounds.total[:1]:
        seen = np.concatenate([[0], np.cumsum(events > 0)])
        index = np.arange(len(events))
        first, last = np.maximum(index - reach, 0), np.minimum(index + reach + 1, len(events))
        found = found & (seen[last] > seen[first])
    return found


def _value_track(history: History, gate: Gate, settings: Settings) -> Track:
    grid, before = history.span.grid, history.span.before
    samples, taken_s = (
        values[before:] for values in history.samples[gate.name].usable(history.span.asked, settings.fresh_s)
    )
    covered = np.isfinite(samples)
    problem = "" if covered.any() else f"{history.samples[gate.name].query} gave no single fresh sample"
    assert len(samples) == grid.count
    return Track(gate, covered, samples=samples, taken_s=taken_s, problem=problem)


def _problem(gate: Gate, reading: Reading, itself: bool) -> str:
    """Why a gate cannot be judged at all."""
    part = Part.BUCKETS if any(one.part is Part.BUCKETS for one in reading.wanted) else Part.TOTAL
    sides: tuple[Side | None, ...] = (None,) if itself else (tuple(Side) if gate.comparative else (Side.CANDIDATE,))
    for side in sides:
        missing = reading.missing(part, side)
        if missing is not None:
            return f"no series matches {missing}" + (f"; {reading.problem}" if reading.problem else "")
    return ""


def _note(gate: Gate, reading: Reading) -> str:
    missing = reading.missing(Part.BAD)
    return "" if missing is None or bad_is_zero(gate) else f"no series matches {missing}, counted as 0"
