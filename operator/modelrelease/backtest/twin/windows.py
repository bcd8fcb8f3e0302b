"""Windows as arrays, and what is done to them before a test sees them: warm-up, longer windows, left-packing.

A window in which nothing happened changes no state of any judge. So windows that do not count are emptied where they
stand instead of being taken out, and all arrays keep their shape.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

BLOCK = 1 << 17
"""Numbers per array that are worked on at once: about what stays in the processor's cache."""

MOST_COLUMNS = 512
"""Windows that are summed up before the sums start anew, so that large sums do not cost digits."""


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """R releases of K windows each, in the order in which they are judged: arrays of shape (R, K).

    n: events, y: bad events (or the summed value or cost) of the candidate (c) and of stable (s). `buckets_*`: shape
    (R, K, B), events at or under each of `bounds`, for quantile gates. `start_s`, `end_s`: when each window begins and
    ends, Unix seconds, shape (R, K) or (K,); needed for a warm-up and for longer windows. `segment`: which segment each
    column belongs to, shape (K,); None: all belong to one.
    """

    n_c: Floats
    y_c: Floats
    n_s: Floats
    y_s: Floats
    buckets_c: Floats | None = None
    buckets_s: Floats | None = None
    bounds: tuple[float, ...] = ()
    start_s: Floats | None = None
    end_s: Floats | None = None
    segment: Ints | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Releases and windows."""
        rows, columns = self.n_c.shape
        return rows, columns

    def segments(self) -> Iterator[Bools]:
        """For each segment, which columns are its."""
        if self.segment is None:
            yield np.ones(self.shape[1], bool)
            return
        for code in np.unique(self.segment):
            yield self.segment == code

    def where(self, kept: Bools) -> "Windows":
        """The same windows, those that are not kept emptied."""
        if kept.all():
            return self

        def only(values: Floats) -> Floats:
            return np.where(kept if values.ndim == 2 else kept[..., None], values, 0.0)

        return self.changed(COUNTS, only)

    def part(self, rows: slice | Ints) -> "Windows":
        """Some of the releases."""

        return self.changed((*COUNTS, "start_s", "end_s"), lambda values: values[rows] if values.ndim > 1 else values)

    def changed(self, names: Iterable[str], change: Callable[[Floats], Floats]) -> "Windows":
        """With some of the arrays changed, those that are there."""
        present = ((name, getattr(self, name)) for name in names)
        fields: dict[str, Any] = {name: change(values) for name, values in present if values is not None}
        return replace(self, **fields)


COUNTS = ("n_c", "y_c", "n_s", "y_s", "buckets_c", "buckets_s")
"""The fields that hold counts; a window that does not count holds zeros in them."""


def warmed_up(windows: Windows, warm_up_s: float) -> Windows:
    """Without the windows that begin before the warm-up after the candidate's first event is over."""
    if not warm_up_s:
        return windows
    start_s = _times(windows.start_s, windows)
    events = events_of_candidate(windows) > 0
    seen = events.any(axis=1)
    first = np.where(seen, start_s[np.arange(windows.shape[0]), events.argmax(axis=1)], np.inf)
    return windows.where(start_s >= first[:, None] + warm_up_s)


def joined(windows: Windows, window_s: Floats) -> Windows:
    """With neighbours of one segment added up until each window is `window_s` long; the last, too short one is empty.

    `window_s`: shape (R,), 0 where each window is one. The sum stands where the last of its parts stood.
    """
    if not window_s.any():
        return windows
    start_s, end_s = (_times(times, windows).copy() for times in (windows.start_s, windows.end_s))
    result = windows.changed(COUNTS, np.copy)
    counts = [values for name in COUNTS if (values := getattr(result, name)) is not None]
    for columns in windows.segments():
        index = np.flatnonzero(columns)
        for row in np.flatnonzero(window_s).tolist():
            firsts, lasts = _groups(start_s[row, index], end_s[row, index], float(window_s[row]))
            _join(counts, row, index, firsts, lasts)
            start_s[row, index[lasts]] = start_s[row, index[firsts]]
    return replace(result, start_s=start_s, end_s=end_s)


def events_of_candidate(windows: Windows) -> Floats:
    """The candidate's events in each window, from its buckets where it has no total."""
    if windows.buckets_c is None:
        return windows.n_c
    return np.maximum(windows.n_c, windows.buckets_c[..., -1])


class Packed:
    """The windows of each row that a mask selects, moved to the left, and the way back.

    A test that skips some windows is the same test on the others. `rank`: how many were selected up to each window.
    """

    def __init__(self, mask: Bools) -> None:
        self.whole = bool(mask.all())
        self.rank: Ints = np.cumsum(mask, axis=1)
        self.counts: Ints = self.rank[:, -1] if mask.shape[1] else np.zeros(len(mask), np.int64)
        self.width = int(self.counts.max(initial=0))
        self._from = None if self.whole else np.nonzero(mask)

    def pack(self, values: Floats, fill: float = 0.0) -> Floats:
        """Shape (R, width); `fill` stands behind each row's last."""
        if self._from is None:
            return values
        rows, columns = self._from
        found = np.full((len(self.counts), self.width), fill)
        found[rows, self.rank[rows, columns] - 1] = values[rows, columns]
        return found

    def spread(self, values: Floats, before: float) -> Floats:
        """What was known after each window: packed figures at their windows and on; `before` ahead of the first."""
        if self.whole:
            return values
        first = np.full((len(values), 1), before)
        return np.take_along_axis(np.concatenate([first, values], axis=1), self.rank, axis=1)

    def columns(self) -> Ints:
        """The column that each packed window came from, shape (R, width); 0 behind each row's last."""
        if self._from is None:
            return np.broadcast_to(np.arange(self.rank.shape[1]), self.rank.shape)
        rows, columns = self._from
        found = np.zeros((len(self.counts), self.width), np.int64)
        found[rows, self.rank[rows, columns] - 1] = columns
        return found

    def valid(self) -> Bools:
        """Which packed windows are some, and not only behind a row's last."""
        return np.arange(self.width) < self.counts[:, None]


def blocks(rows: int, columns: int, depth: int) -> Iterator[tuple[slice, slice]]:
    """Pieces of (rows, columns) such that `depth` numbers for each fit a block; each row's pieces follow each other.

    A piece that begins with column 0 begins new rows.
    """
    wide = min(max(1, columns), MOST_COLUMNS, max(1, BLOCK // depth))
    high = max(1, BLOCK // (depth * wide))
    for top in range(0, rows, high):
        for left in range(0, columns, wide):
            yield slice(top, min(rows, top + high)), slice(left, min(columns, left + wide))


def before_each(values: Floats, first: float) -> Floats:
    """What was known before each window: the row shifted to the right by one."""
    return np.concatenate([np.full((*values.shape[:-1], 1), first), values[..., :-1]], axis=-1)


def _times(times: Floats | None, windows: Windows) -> Floats:
    if times is None:
        raise ValueError("a warm-up or a window length needs start_s and end_s")
    return np.broadcast_to(times, windows.shape)


def _groups(start_s: Floats, end_s: Floats, window_s: float) -> tuple[Ints, Ints]:
    """First and last window of each group that is long enough."""
    firsts, lasts = [], []
    first = 0
    while first < len(end_s):
        last = first + int(np.searchsorted(end_s[first:], start_s[first] + window_s))
        if last >= len(end_s):
            break
        firsts.append(first)
        lasts.append(last)
        first = last + 1
    return np.array(firsts, np.int64), np.array(lasts, np.int64)


def _join(counts: Sequence[Floats], row: int, index: Ints, firsts: Ints, lasts: Ints) -> None:
    for values in counts:
        sums = np.add.reduceat(values[row, index], firsts, axis=0) if len(firsts) else values[row, :0]
        if len(firsts) and lasts[-1] + 1 < len(index):
            sums[-1] = values[row, index[firsts[-1] : lasts[-1] + 1]].sum(axis=0)
        values[row, index] = 0.0
        values[row, index[lasts]] = sums
