"""Which windows to read for which trackers, and the queries for them: planning one pass of a collection, pure."""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from modelrelease.metrics.batch import Feed, ShapeKey
from modelrelease.metrics.compose import Selector
from modelrelease.metrics.tracker import GateTracker

FIRST_CHUNK_S = 600.0
MAX_CHUNK_S = 3600.0
MIN_CHUNK_S = 60.0
FEW_POINTS = 20_000
MANY_POINTS = 100_000

_NUMBERS = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Pace:
    """Lengths in seconds. A scrape is stored some time after its own time, so live windows overlap."""

    tick_s: float
    scrape_interval_s: float

    @property
    def overlap_s(self) -> float:
        """How late a scrape can be stored: its time-out is at most its interval."""
        return min(self.scrape_interval_s, 60.0)

    @property
    def shallow_s(self) -> float:
        """Overlap of most ticks; once in a scrape interval a tick reads the whole overlap."""
        return min(self.overlap_s, 2 * self.tick_s + 1)

    @property
    def lookback_s(self) -> float:
        """How far before its start a tracker reads, to tell old counters from new ones."""
        return min(max(20 * self.scrape_interval_s, 60.0), FIRST_CHUNK_S)


@dataclass(frozen=True, slots=True)
class Window:
    """Samples in (at_s - range_s, at_s]. `live`: it ends now, so the tracker has caught up. `deep`: nothing is late."""

    at_s: float
    range_s: int
    live: bool
    deep: bool = True


@dataclass(slots=True)
class Fetch:
    """One shape over one window: selectors with the feeds that want them."""

    shape: ShapeKey
    window: Window
    feeds: dict[Selector, list[Feed]] = field(default_factory=dict)


def window(cursor_s: float, deep_s: float, chunk_s: float, *, now_s: float, pace: Pace) -> Window:
    """What to read next for a tracker that has read up to `cursor_s`, and deeply up to `deep_s`.

    Live ranges are rounded up to few lengths, and all trackers read deeply in the same tick, the first of each scrape
    interval by the clock; so those that began at different times share a query.
    """
    if now_s - cursor_s + pace.overlap_s > max(chunk_s, 2 * pace.overlap_s + pace.tick_s):
        return Window(cursor_s + chunk_s - pace.overlap_s, math.ceil(chunk_s), live=False)
    interval_s = pace.scrape_interval_s
    if now_s // interval_s > deep_s // interval_s or pace.shallow_s >= pace.overlap_s:
        return Window(now_s, _rounded_up(now_s - deep_s + pace.overlap_s), live=True)
    return Window(now_s, _rounded_up(now_s - cursor_s + pace.shallow_s), live=True, deep=False)


def choose(windows: Sequence[tuple[GateTracker, Window]], room: int) -> list[tuple[GateTracker, Window]]:
    """All live windows, and of those that read history the `room` latest: a young release is judged sooner."""
    history = sorted((one for one in windows if not one[1].live), key=lambda one: one[1].at_s, reverse=True)
    return [one for one in windows if one[1].live] + history[:room]


def _rounded_up(seconds: float) -> int:
    """To 1, 2, 3, 4, 6, 8, 12, 16, 24 …"""
    step = 1 << max(0, math.floor(math.log2(max(seconds, 1))) - 1)
    return math.ceil(seconds / step) * step


def next_chunk_s(chunk_s: float, points: int, *, pace: Pace) -> float:
    """A longer chunk after a small answer, a shorter one after a large answer."""
    least_s = max(MIN_CHUNK_S, 4 * pace.overlap_s)
    if points < FEW_POINTS:
        return max(least_s, min(2 * chunk_s, MAX_CHUNK_S))
    return max(least_s, chunk_s / 2) if points > MANY_POINTS else chunk_s


def plan(windows: Iterable[tuple[GateTracker, Window]]) -> list[Fetch]:
    """Group the feeds of all trackers by shape and window, and number the trackers' part in it."""
    numbers: dict[Window, int] = {}
    fetches: dict[tuple[ShapeKey, Window], Fetch] = {}
    for tracker, wanted in windows:
        if wanted not in numbers:
            numbers[wanted] = next(_NUMBERS)
        tracker.batch = numbers[wanted]
        for feed in tracker.feeds:
            fetch = fetches.get((feed.shape, wanted))
            if fetch is None:
                fetch = fetches[feed.shape, wanted] = Fetch(feed.shape, wanted)
            fetch.feeds.setdefault(feed.selector, []).append(feed)
    return list(fetches.values())
