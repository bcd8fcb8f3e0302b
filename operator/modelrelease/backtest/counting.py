"""Counters on a grid of steps to windows: the rules of `metrics.counters` and `metrics.ledger`, a chunk at a time.

A drop is a reset, a new series counts from zero, an old one seen for the first time does not; a window closes when
every live counter has reported once, and a counter that does not come back is waited for only so long. What differs
from a live release is the time of a sample: here it is the step at which Prometheus was asked, not the scrape.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from modelrelease.backtest.parsing import Grid
from modelrelease.backtest.twin.windows import Bools, Floats, Ints
from modelrelease.metrics.compose import Part
from modelrelease.metrics.counters import LONG, SLIGHTLY, Base, base_of
from modelrelease.metrics.ledger import MAX_GAP_S, PATIENCE, Side

Bounds = tuple[float, ...]


@dataclass(slots=True, eq=False)
class Meter:
    """One counter, or one histogram, of one arm.

    `last`: its newest usable row, `last_at` its step; `aside`: one after it that fell slightly; `begun`: the step from
    which on it has not been reset. `reported`: step of its newest increment, -1 before; `seen`: the
    same, and before it that of the first row. `gap`: steps between its last two rows.
    """

    side: Side
    part: Part
    bounds: Bounds = ()
    last: Floats | None = None
    last_at: int = -1
    aside: Floats | None = None
    aside_at: int = -1
    begun: int = -1
    seen: int = -1
    reported: int = -1
    gap: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Rounds:
    """Both arms' counts per window: where a window closes, zeros elsewhere. Arrays over the grid's steps.

    total, bad: shape (2, T), candidate first. `buckets`: shape (2, T, B). `start_s`: when the window that closes at a
    step began.
    """

    total: Floats
    bad: Floats
    closed: Bools
    start_s: Floats
    buckets: Floats | None = None
    bounds: Bounds = ()


class Tallies:
    """What the counters of one gate in one segment add up to, step by step of `grid`; `start` is the first that counts.

    `interval_s`: the usual scrape interval. Up to step `births_from` a first row is no birth.
    """

    def __init__(self, grid: Grid, *, start: int, interval_s: float) -> None:
        self.grid, self.start = grid, start
        self.births_from = -math.inf
        self.layouts: dict[Bounds, Floats] = {}
        self._interval = max(1.0, interval_s / grid.step_s)
        self._total, self._bad = np.zeros((2, grid.count)), np.zeros((2, grid.count))
        self._event = np.zeros(grid.count, bool)
        self._late = np.full((2, grid.count), np.inf)
        self._layout_at = np.zeros((0, grid.count), bool)

    def count(self, meter: Meter, rows: Floats, at: int) -> None:
        """Count the next rows of one meter: shape (steps, values), NaN where there is none, from step `at` on."""
        usable = np.flatnonzero(np.logical_and.reduce(np.isfinite(rows) & (rows >= 0), axis=1))
        counted, since = self._add_up(meter, rows[usable], usable + at)
        if meter.seen < 0 and len(usable):
            meter.seen = int(usable[0]) + at
        if len(counted) < len(rows):
            self._note_late(meter, counted, since, at, len(rows))
        if len(counted):
            meter.seen = meter.reported = int(counted[-1])
            meter.gap = int(self._gaps(counted[-1:], since[-1:])[0])

    def rounds(self, waited: Iterable[Side]) -> Rounds:
        """The windows that close when the arms in `waited` have reported."""
        late = self._late[list(waited)].min(axis=0)
        closed = self._closings(late)
        bounds, buckets = self._layout()
        ends = np.flatnonzero(closed)
        begins = np.concatenate([[0], ends + 1])[: len(ends)]
        start_s = np.full(self.grid.count, self.grid.start_s)
        start_s[ends[1:]] = self.grid.times()[ends[:-1]]
        start_s[ends[:1]] = self.grid.start_s + (self.start - 1) * self.grid.step_s
        if buckets is not None:
            others = [index for index, one in enumerate(self.layouts) if one != bounds]
            mixed = self._layout_at[others].sum(axis=0, keepdims=True).astype(float)
            unequal = _grouped(mixed, begins, ends)[0] > 0
            buckets = np.where(unequal[None, :, None], 0.0, _grouped(buckets, begins, ends))
        total, bad_events = (_grouped(values, begins, ends) for values in (self._total, self._bad))
        if buckets is not None:
            total = buckets[..., -1]
        part = slice(self.start, None)
        cut = None if buckets is None else buckets[:, part]
        return Rounds(total[:, part], bad_events[:, part], closed[part], start_s[part], cut, bounds)

    def _add_up(self, meter: Meter, values: Floats, steps: Ints) -> tuple[Ints, Ints]:
        """Add the increments of usable rows; the steps of those that count, and of the row before each (-1: birth)."""
        if not len(steps):
            return steps, steps
        born = meter.last is None
        values, steps, base, before = _bases(meter, values, steps)
        amounts = values - base
        if len(steps):
            meter.last, meter.last_at = values[-1], int(steps[-1])
        first = int(np.searchsorted(steps, self.start))
        if born and first == 0 and steps[0] <= self.births_from:
            first = 1
        amounts, steps, before = amounts[first:], steps[first:], before[first:]
        self._event[steps] = True
        match meter.part:
            case Part.TOTAL:
                self._total[meter.side, steps] += amounts[:, 0]
            case Part.BAD:
                self._bad[meter.side, steps] += amounts[:, 0]
            case Part.BUCKETS:
                self._add_buckets(meter, amounts, steps)
        return steps, before

    def _add_buckets(self, meter: Meter, amounts: Floats, steps: Ints) -> None:
        if meter.bounds not in self.layouts:
            self.layouts[meter.bounds] = np.zeros((2, self.grid.count, len(meter.bounds)))
            self._layout_at = np.concatenate([self._layout_at, np.zeros((1, self.grid.count), bool)])
        self.layouts[meter.bounds][meter.side, steps] += amounts
        self._layout_at[list(self.layouts).index(meter.bounds), steps] = True

    def _note_late(self, meter: Meter, counted: Ints, since: Ints, at: int, count: int) -> None:
        """For each step without an increment at which the meter is still waited for: when it last reported."""
        steps = np.arange(at, at + count)
        reported, gap = np.full(count, meter.reported), np.full(count, meter.gap)
        if len(counted):
            index = np.searchsorted(counted, steps, side="right")
            gaps = self._gaps(counted, since)
            reported = np.where(index > 0, counted[np.maximum(index - 1, 0)], reported)
            gap = np.where(index > 0, gaps[np.maximum(index - 1, 0)], gap)
        seen = np.where(reported >= 0, reported, meter.seen)
        patience = PATIENCE * np.maximum(self._interval, gap)
        late = (steps != reported) & (steps >= max(meter.seen, self.start)) & (steps - seen <= patience)
        self._late[meter.side, steps[late]] = np.minimum(self._late[meter.side, steps[late]], reported[late])

    def _gaps(self, steps: Ints, since: Ints) -> Ints:
        """Steps between each increment's row and the one before, no more than MAX_GAP_S; for a birth 1."""
        longest = max(1, math.floor(MAX_GAP_S / self.grid.step_s))
        return np.where(since < 0, 1, np.minimum(steps - since, longest))

    def _closings(self, late: Floats) -> Bools:
        """A window closes at a step with an increment, unless a counter is waited for that has not reported in it."""
        closed = self._event & np.isinf(late)
        latest = np.maximum.accumulate(np.where(closed, np.arange(len(closed)), -1))
        kept = self.start - 1
        for step in np.flatnonzero(self._event & np.isfinite(late)).tolist():
            cut = max(kept, int(latest[step - 1]) if step else -1)
            if late[step] > cut:
                closed[step] = True
                kept = step
        return closed

    def _layout(self) -> tuple[Bounds, Floats | None]:
        """The bucket layout that most windows have; rounds with another are left out, as they cannot be compared."""
        if not self.layouts:
            return (), None
        index = int(self._layout_at.sum(axis=1).argmax())
        bounds = list(self.layouts)[index]
        return bounds, self.layouts[bounds]


def _bases(meter: Meter, values: Floats, steps: Ints) -> tuple[Floats, Ints, Floats, Ints]:
    """Rows that count with their steps, what each is counted from, and the step of that; `counters.difference`."""
    before = np.concatenate([[meter.last_at], steps[:-1]])
    known = meter.last is not None and len(meter.last) == values.shape[1]
    last = meter.last if known and meter.last is not None else np.zeros(values.shape[1])
    base = np.concatenate([last[None, :], values[:-1]])
    fell: Bools = np.any(values < base, axis=1)
    whole, lowest = values[:, -1], np.minimum(SLIGHTLY * base[:, -1], base[:, -1] - 1)
    doubtful = fell & np.all(values <= base, axis=1) & (whole > 0) & (whole >= lowest)
    if meter.aside is not None or doubtful.any():
        return _bases_by_row(meter, values, steps)
    if fell.any():
        meter.begun = int(steps[fell][-1])
    elif not known:
        meter.begun = int(steps[0])
    return values, steps, np.where(fell[:, None], 0.0, base), before


def _bases_by_row(meter: Meter, values: Floats, steps: Ints) -> tuple[Floats, Ints, Floats, Ints]:
    """The same where a row may have to be put aside."""
    base, before, kept = np.zeros_like(values), np.full(len(steps), -1), np.zeros(len(steps), bool)
    last, last_at = meter.last, meter.last_at
    for index, (row, step) in enumerate(zip(values, steps.tolist(), strict=True)):
        found = Base.ZERO
        if last is not None:
            long, aside = step - meter.begun >= LONG * (step - last_at), meter.aside
            found = base_of(row.tolist(), last.tolist(), None if aside is None else aside.tolist(), long=long)
        if found is Base.UNKNOWN:
            meter.aside, meter.aside_at = row, step
            continue
        if found is Base.ASIDE and meter.aside is not None:
            last, last_at = meter.aside, meter.aside_at
        if found is Base.ZERO:
            meter.begun = step
        elif last is not None:
            base[index] = last
        before[index], kept[index] = last_at, True
        meter.aside, last, last_at = None, row, step
    return values[kept], steps[kept], base[kept], before[kept]


def _grouped(values: Floats, begins: Ints, ends: Ints) -> Floats:
    """Sums over each group of steps along the second axis, standing at the group's last step; zeros elsewhere."""
    found = np.zeros_like(values)
    if len(ends):
        sums = np.add.reduceat(values[:, : ends[-1] + 1], begins, axis=1)
        found[:, ends] = sums
    return found


@dataclass(slots=True)
class Histogram:
    """The buckets of one series without `le`: each bound's values over the same steps."""

    buckets: dict[float, Floats] = field(default_factory=dict)

    def rows(self) -> tuple[Bounds, Floats] | None:
        """Bounds in rising order and rows of all buckets; a row that lacks one is NaN. None without a +Inf bucket."""
        bounds = tuple(sorted(self.buckets))
        if not bounds or not math.isinf(bounds[-1]) or any(math.isnan(bound) for bound in bounds):
            return None
        return bounds, np.stack([self.buckets[bound] for bound in bounds], axis=1)
