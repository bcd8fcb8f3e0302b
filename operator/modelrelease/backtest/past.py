"""Stable's habit before each replayed release, from the same history: what the operator would have read and frozen."""

import numpy as np

from modelrelease.backtest.replay import Timetable, Track
from modelrelease.backtest.twin.past import known_habits, steps_per_tick, ticks_of
from modelrelease.backtest.twin.windows import Floats, Ints, Windows
from modelrelease.domain.gate import Absolute, Cost, Gate, Mean, Quantile, Ratio
from modelrelease.gates.quantile import stable_bound

LONGEST_S = 6 * 3600.0
MOST_TICKS = 1500
"""How far back is looked: so many seconds, but not more than so many scrapes."""

EVERY_S = 3600.0
"""Releases that begin within so many seconds of each other have one history: it hardly differs."""

AT_ONCE = 64


def habits(track: Track, timetable: Timetable) -> tuple[Floats, Floats]:
    """Window length in seconds and φ (NaN: unknown) for each release of the timetable."""
    starts = timetable.starts()
    nothing = np.zeros(len(starts)), np.full(len(starts), np.nan)
    if track.windows is None or track.problem:
        return nothing
    counted = _counted(track.gate, track.windows)
    if counted is None:
        return nothing
    n, y = (values[0].reshape(-1, track.lanes).T for values in counted)
    steps = steps_per_tick(n.sum(axis=0))
    tick_s = steps * timetable.grid.step_s
    n, y = ticks_of(n, steps), ticks_of(y, steps)
    first = timetable.grid.count % steps
    ends = np.maximum(0, (starts - first) // steps)
    apart = max(1, round(EVERY_S / tick_s))
    chosen, of = np.unique(ends // apart * apart, return_inverse=True)
    back = min(MOST_TICKS, round(LONGEST_S / tick_s))
    counts = not isinstance(track.gate.metric, Mean | Cost)
    found = [_before(n, y, chosen[at : at + AT_ONCE], back, tick_s, counts) for at in range(0, len(chosen), AT_ONCE)]
    window_s, phi = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return window_s[of], phi[of]


def _before(n: Floats, y: Floats, ends: Ints, back: int, tick_s: float, counts: bool) -> tuple[Floats, Floats]:
    """The habits of the ticks before each end; what lies before the history's beginning is empty."""
    columns = ends[:, None] - back + np.arange(back)
    there = columns >= 0

    def take(values: Floats) -> Floats:
        return np.where(there[:, None, :], values[:, np.maximum(columns, 0)].transpose(1, 0, 2), 0.0)

    return known_habits(take(n), take(y), tick_s=tick_s, counts=counts)


def _counted(gate: Gate, windows: Windows) -> tuple[Floats, Floats] | None:
    """Stable's events and bad events in the sense of the gate; None where it has none."""
    match gate.metric:
        case Ratio():
            inverted = isinstance(gate.rule, Absolute) and gate.rule.maximum is None
            return windows.n_s, np.maximum(0.0, windows.n_s - windows.y_s) if inverted else windows.y_s
        case Quantile() as metric:
            return _slow(gate, metric, windows)
        case Mean() | Cost():
            return windows.n_s, windows.y_s
        case _:
            return None


def _slow(gate: Gate, metric: Quantile, windows: Windows) -> tuple[Floats, Floats] | None:
    if windows.buckets_s is None:
        return None
    if isinstance(gate.rule, Absolute):
        bound: float | None = float(gate.rule.maximum or 0)
    else:
        sums = windows.buckets_s.sum(axis=(0, 1))
        bound = stable_bound([tuple(zip(windows.bounds, sums.tolist(), strict=True))], float(metric.q))
    index = next((at for at, end in enumerate(windows.bounds) if bound is not None and np.isclose(end, bound)), None)
    if index is None:
        return None
    total = windows.buckets_s[..., -1]
    return total, np.maximum(0.0, total - windows.buckets_s[..., index])
