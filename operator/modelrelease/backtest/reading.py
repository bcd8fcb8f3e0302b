"""What is kept of the answers: the counters of one gate in one segment, a value's samples, and whose each series is."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from modelrelease.backtest.arms import Instances, Wanted
from modelrelease.backtest.client import RangeClient
from modelrelease.backtest.counting import Histogram, Meter, Tallies
from modelrelease.backtest.parsing import Grid, Line
from modelrelease.backtest.twin.windows import Floats
from modelrelease.metrics.answers import RawSeries
from modelrelease.metrics.batch import Feed, Shape
from modelrelease.metrics.compose import Part, Selector
from modelrelease.metrics.ledger import MAX_SERIES, SeriesKey, Side
from modelrelease.metrics.tracker import BLIND_INTERVALS

Key = tuple[Side, Part, SeriesKey]


class HistoryError(Exception):
    """History that cannot be read or counted, in one sentence with the mend."""


@dataclass(eq=False)
class Reading:
    """The counters of one gate in one segment, or of several gates that read the same."""

    name: str
    wanted: tuple[Wanted, ...]
    client: RangeClient
    tallies: Tallies
    instances: Instances
    interval: float
    meters: dict[Key, Meter] = field(default_factory=dict)
    problem: str = ""

    def take(self, found: Mapping[tuple[int, Selector], list[Line]], at: int, count: int) -> None:
        """Count the next chunk of `count` steps from step `at` on; `found`: by source and selector."""
        source = id(self.client)
        lines = [(wanted, line) for wanted in self.wanted for line in found.get((source, wanted.selector), ())]
        if math.isinf(self.tallies.births_from):
            self._watch([line for _, line in lines], at)
        read: set[Key] = set()
        for key, part, rows, bounds in self._rows(lines):
            meter = self._meter(key, part)
            meter.bounds = bounds
            self.tallies.count(meter, rows, at)
            read.add(key)
        for key, meter in self.meters.items():
            if key not in read:
                self.tallies.count(meter, np.full((count, max(1, len(meter.bounds))), np.nan), at)

    def missing(self, part: Part, side: Side | None = None) -> Selector | None:
        """A selector of a part of which no series was found, on any arm or on one of them."""
        for known_side, known, _ in self.meters:
            if known is part and side in (None, known_side):
                return None
        mine = (one for one in self.wanted if one.part is part and side in (None, one.side))
        return next((wanted.selector for wanted in mine), None)

    def _watch(self, lines: Sequence[Line], at: int) -> None:
        """From the first sample on Prometheus was watching; a series that shows up later is a new one."""
        firsts = [int(np.isfinite(line.values).argmax()) for line in lines if np.isfinite(line.values).any()]
        if firsts:
            self.tallies.births_from = at + min(firsts) + BLIND_INTERVALS * self.interval

    def _meter(self, key: Key, part: Part) -> Meter:
        meter = self.meters.get(key)
        if meter is None:
            side, _, labels = key
            if len(self.meters) >= MAX_SERIES:
                raise HistoryError(f"{self.name}: more than {MAX_SERIES} series match; narrow the matchers")
            if (Side(1 - side), part, labels) in self.meters:
                shown = ", ".join(f'{label}="{value}"' for label, value in sorted(labels))
                raise HistoryError(
                    f"{self.name}: the same series is on both arms, {{{shown}}}; name what differs with --candidate "
                    "and --stable"
                )
            meter = self.meters[key] = Meter(side, part)
        return meter

    def _rows(self, lines: Iterable[tuple[Wanted, Line]]) -> Iterator[tuple[Key, Part, Floats, tuple[float, ...]]]:
        histograms: dict[Key, Histogram] = {}
        for wanted, line in lines:
            side = self.instances.side(line.labels) if wanted.side is None else wanted.side
            if wanted.part is not Part.BUCKETS:
                yield (side, wanted.part, frozenset(line.labels.items())), wanted.part, line.values[:, None], ()
                continue
            labels = frozenset(pair for pair in line.labels.items() if pair[0] != "le")
            histogram = histograms.setdefault((side, Part.BUCKETS, labels), Histogram())
            histogram.buckets[_bound(line.labels.get("le", ""))] = line.values
        for key, histogram in histograms.items():
            rows = histogram.rows()
            if rows is None:
                self.problem = "a histogram has no +Inf bucket"
            else:
                yield key, Part.BUCKETS, rows[1], rows[0]


@dataclass(eq=False)
class Samples:
    """A value gate's sample at each step of the grid, NaN where there is none that is usable, and when it was taken."""

    client: RangeClient
    query: str
    newest: str
    values: Floats
    taken_s: Floats

    def take(self, found: Mapping[tuple[int, str], list[Line]], at: int) -> None:
        """Take the next chunk; `found`: by source and text."""
        for text, into in ((self.query, self.values), (self.newest, self.taken_s)):
            lines = found.get((id(self.client), text), [])
            if not lines:
                continue
            table = np.stack([line.values for line in lines])
            one = np.isfinite(table).sum(axis=0) == 1
            into[at : at + table.shape[1]] = np.where(one, np.nansum(table, axis=0), np.nan)

    def usable(self, grid: Grid, fresh_s: float) -> tuple[Floats, Floats]:
        """Samples and their times where they are fresh enough."""
        fresh = grid.times() - self.taken_s <= fresh_s
        return np.where(fresh, self.values, np.nan), self.taken_s


@dataclass(eq=False)
class Query:
    """One text to ask, and the selectors that its answer is for (none: a value's expression)."""

    client: RangeClient
    text: str
    selectors: tuple[Selector, ...] = ()
    batch: int = 1

    def __post_init__(self) -> None:
        self._shape, self._feeds = Shape(), []
        for selector in self.selectors if len(self.selectors) > 1 else ():
            self._feeds.append(Feed(selector, self, 0, Side.STABLE, Part.TOTAL))
            self._shape.add(self._feeds[-1])

    def sorted(self, lines: list[Line]) -> dict[Selector, list[Line]]:
        """Which lines are for which selector."""
        if len(self.selectors) < 2:
            return dict.fromkeys(self.selectors, lines)
        by_key = {frozenset(line.labels.items()): line for line in lines}
        self._shape.deliver([RawSeries(line.labels, ()) for line in lines], self.batch)
        found: dict[Selector, list[Line]] = {}
        for feed in self._feeds:
            inbox, feed.inbox = feed.inbox, []
            found[feed.selector] = [by_key[key] for key, _ in inbox]
        return found


def _bound(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
