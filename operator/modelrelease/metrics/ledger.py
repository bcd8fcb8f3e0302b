"""Increments of many counters to rounds: windows in which every live counter of both arms has reported once.

Pure; time is the scrapes' time, never the clock's, so that a rebuild from history gives the rounds that a live run
gave. Targets are scraped at different moments; a round closes when the last live one has reported, because a window
in which only one arm was scraped compares nothing. Rejected: windows of fixed width, which either split arms that are
scraped a second apart or hold back evidence that is already complete.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import repeat

from modelrelease.domain.evidence import Tally
from modelrelease.metrics.compose import Part
from modelrelease.metrics.counters import Increment, Row, Trail, difference

SeriesKey = frozenset[tuple[str, str]]
Target = tuple[str, str]
"""`job` and `instance` of the scrape target, empty where a series has none (a recording rule)."""

PATIENCE = 2.2
"""A counter is waited for during this many scrape intervals after its last sample."""

MAX_GAP_S = 300.0
MAX_SERIES = 5000


class Side(IntEnum):
    """The two arms."""

    CANDIDATE = 0
    STABLE = 1

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Round:
    """What both arms counted in (start_s, end_s]; `oldest_s`: how far back the increments in it reach."""

    start_s: float
    end_s: float
    oldest_s: float
    candidate: Tally
    stable: Tally


@dataclass(slots=True, eq=False)
class Meter:
    """One counter (or one histogram) of one arm.

    `last`: newest usable row; `trail`: what else is known of it. `born_s`: its first row that was read. `seen_s`:
    newest row that was counted. `newest_s`: newest sample of any kind.
    """

    side: Side
    part: Part
    target: Target
    bounds: tuple[float, ...] = ()
    last: Row | None = None
    trail: Trail = Trail()  # noqa: RUF009 (frozen)
    born_s: float = 0.0
    seen_s: float = 0.0
    gap_s: float = 0.0
    newest_s: float = 0.0
    problem: str | None = None


@dataclass(slots=True)
class _Sum:
    total: float = 0.0
    bad: float = 0.0
    buckets: list[float] = field(default_factory=list)

    def add(self, part: Part, amounts: tuple[float, ...]) -> None:
        if part is Part.TOTAL:
            self.total += amounts[0]
        elif part is Part.BAD:
            self.bad += amounts[0]
        else:
            self.buckets = [a + b for a, b in zip(self.buckets or repeat(0.0), amounts, strict=False)]

    def tally(self, bounds: tuple[float, ...]) -> Tally:
        if not self.buckets:
            return Tally(self.total, self.bad)
        return Tally(self.buckets[-1], 0.0, tuple(zip(bounds, self.buckets, strict=True)))


class Ledger:
    """The counters of one gate in one segment, from `start_s` on.

    `waited`: the arms that a round waits for. `interval_s`: the usual scrape interval; a counter that is observed to
    come slower is waited for longer. `births_from_s`: from then on a series seen for the first time is a new one.
    `paired`: parts without which the other part of a target says nothing; rounds in which one has ended are dropped,
    and `torn` is a counter of it.
    """

    def __init__(
        self, *, start_s: float, interval_s: float, waited: frozenset[Side], paired: frozenset[Part] = frozenset()
    ) -> None:
        self.meters: dict[tuple[Side, Part, SeriesKey], Meter] = {}
        self.problem: str | None = None
        self.births_from_s = -math.inf
        self.torn: Meter | None = None
        self._start_s = start_s
        self._interval_s = interval_s
        self._waited = waited
        self._paired = paired
        self._cut_s = start_s
        self._waiting: set[Meter] = set()
        self._same_from_s, self._same_until_s = math.inf, -math.inf
        self._oldest_s = math.inf
        self._events: list[tuple[float, Meter, Increment]] = []
        self._open()

    def add(
        self, side: Side, part: Part, key: SeriesKey, *, target: Target, rows: Sequence[Row], bounds: tuple[float, ...]
    ) -> Meter | None:
        """Take rows of one counter or histogram; rows seen before are skipped. None when there are too many series."""
        meter = self.meters.get((side, part, key))
        if meter is None:
            if len(self.meters) >= MAX_SERIES:
                self.problem = f"more than {MAX_SERIES} series match; narrow the matchers"
                return None
            if (Side(1 - side), part, key) in self.meters:
                self.problem = f"the same series match both arms, so they cannot be told apart: {_words(key)}"
            meter = self.meters[side, part, key] = Meter(side, part, target)
        known = meter.last
        result = difference(rows, known, start_s=self._start_s, births_from_s=self.births_from_s, trail=meter.trail)
        if result.last is not known or result.trail != meter.trail or result.problem is not None:
            meter.problem = result.problem
        meter.bounds = bounds
        meter.last, meter.trail = result.last, result.trail
        if known is None and result.last is not None and side in self._waited:
            meter.born_s = meter.seen_s = rows[0][0]
            self._waiting.add(meter)
            self._same_from_s, self._same_until_s = math.inf, -math.inf
        self._events.extend([(increment.at_s, meter, increment) for increment in result.increments])
        return meter

    def settle(self) -> list[Round]:
        """Close the rounds that the rows added so far complete; the rest stays open."""
        events, self._events = self._events, []
        events.sort(key=lambda event: event[0])
        rounds: list[Round] = []
        for index, (at_s, meter, increment) in enumerate(events):
            self._count(at_s, meter, increment)
            if index + 1 < len(events) and events[index + 1][0] == at_s:
                continue
            if self._waiting and not self._same_from_s <= at_s <= self._same_until_s:
                self._wait_for(self._waiting, at_s)
            if not self._waiting:
                rounds.extend(self._close(at_s))
        return rounds

    def _count(self, at_s: float, meter: Meter, increment: Increment) -> None:
        since_s = increment.since_s
        if since_s is not None:
            meter.gap_s = min(at_s - since_s, MAX_GAP_S)
        meter.seen_s = at_s
        self._waiting.discard(meter)
        self._oldest_s = min(self._oldest_s, self._cut_s if since_s is None else since_s)
        if meter.part is Part.BUCKETS:
            self._layouts.add(meter.bounds)
            if len(self._layouts) > 1:
                return
        self._sums[meter.side].add(meter.part, increment.amounts)

    def _close(self, at_s: float) -> list[Round]:
        sums, layouts, start_s, oldest_s = self._sums, self._layouts, self._cut_s, self._oldest_s
        self._cut_s = at_s
        self._open()
        self._wait_for([meter for meter in self.meters.values() if meter.side in self._waited], at_s)
        if len(layouts) > 1:
            self.problem = _unequal(sorted(layouts))
            return []
        if self.problem is not None and not self._overlaps():
            self.problem = None
        self.torn = self._find_torn(at_s) if self._paired else None
        if self.torn is not None:
            return []
        bounds = next(iter(layouts), ())
        candidate, stable = (each.tally(bounds) for each in sums)
        if not (candidate.total or candidate.bad or stable.total or stable.bad):
            return []
        return [Round(start_s, at_s, oldest_s, candidate, stable)]

    def _open(self) -> None:
        self._sums = (_Sum(), _Sum())
        self._layouts: set[tuple[float, ...]] = set()
        self._oldest_s = math.inf

    def _wait_for(self, meters: Iterable[Meter], at_s: float) -> None:
        """Wait for those that should report, and note between which times that stays the same for all of them.

        So that a round of a thousand counters, each with a time of its own, is no million looks.
        """
        self._waiting = {meter for meter in meters if self._waits_for(meter, at_s)}
        self._same_from_s = max((meter.born_s for meter in self._waiting), default=math.inf)
        self._same_until_s = min((meter.seen_s + self._patience(meter) for meter in self._waiting), default=-math.inf)

    def _waits_for(self, meter: Meter, at_s: float) -> bool:
        """Whether a meter should report before a round closes: not once it is silent for long, nor before its birth."""
        return meter.born_s <= at_s <= meter.seen_s + self._patience(meter)

    def _find_torn(self, at_s: float) -> Meter | None:
        """A counter of a paired part that its target shows no more, though it goes on showing the other part."""
        live: set[tuple[Side, Target, Part]] = set()
        ended: dict[tuple[Side, Target, Part], Meter] = {}
        for meter in self.meters.values():
            place = (meter.side, meter.target, meter.part)
            if self._waits_for(meter, at_s):
                live.add(place)
            elif meter.side in self._waited and meter.part in self._paired and 0 < meter.seen_s <= at_s:
                ended[place] = meter
        for (side, target, part), meter in ended.items():
            if (side, target, part) not in live and any(
                (side, target, other) in live for other in Part if other != part
            ):
                return meter
        return None

    def _patience(self, meter: Meter) -> float:
        return PATIENCE * max(self._interval_s, meter.gap_s)

    def _overlaps(self) -> bool:
        return len(self.meters) >= MAX_SERIES or any(
            (Side.STABLE, part, key) in self.meters for side, part, key in self.meters if side is Side.CANDIDATE
        )


def _unequal(layouts: Sequence[tuple[float, ...]]) -> str:
    shown = " and ".join("[" + ", ".join(f"{bound:g}" for bound in layout) + "]" for layout in layouts[:2])
    return f"histograms with different buckets cannot be compared or added: {shown}"


def _words(key: SeriesKey) -> str:
    return "{" + ", ".join(f'{label}="{value}"' for label, value in sorted(key)) + "}"
