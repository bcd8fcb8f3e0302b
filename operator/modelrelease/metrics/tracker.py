"""One gate of one release over time: its series in, evidence and what is wrong with it out.

Pure apart from being a running state. Time is given; freshness is judged from sample times. Rejected: taking an
arm without series for a fault. A gateway shows a counter only after the first request, so at 1 % of little traffic an
absent candidate beside a present stable is a zero; both absent is a fault.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from modelrelease.domain.evidence import Cause, Problem
from modelrelease.domain.gate import Cost, Gate, Mean, Ratio, Series
from modelrelease.metrics import compose
from modelrelease.metrics.answers import Failed, RawSeries
from modelrelease.metrics.batch import Feed
from modelrelease.metrics.bucket_keys import without_le
from modelrelease.metrics.compose import Part
from modelrelease.metrics.counters import Row, rows_of_counter, rows_of_histogram
from modelrelease.metrics.ledger import Ledger, Meter, Round, SeriesKey, Side, Target
from modelrelease.metrics.promql import TemplateError
from modelrelease.metrics.subscription import Place

BLIND_INTERVALS = 1.5
"""So many scrape intervals after the first sample of a gate a new series may still be one that was there before."""

EXPECTED_EVENTS = 30.0
"""An arm that shows no series although stable's rate makes one expect this many events is Missing, not quiet."""

EXPECTED_SINCE = 100.0
"""So many events must be expected since the last one of an arm that had some: it may be rarer there than on stable."""


@dataclass(frozen=True, slots=True)
class Found:
    """A closed round and its segment (None: all together)."""

    segment: str | None
    round: Round


class GateTracker:
    """The counters of one gate (not Value), counted after `start_s`.

    `batch`, `cursor_s` (it was read up to there), `deep_s`, `chunk_s` and `behind` belong to the collector.
    `quiet_since_s`: when the candidate's last event was counted (else the start), `quiet_stable`: stable's since then.
    """

    def __init__(
        self,
        gate: Gate,
        places: tuple[Place, ...],
        *,
        start_s: float,
        cursor_s: float,
        chunk_s: float,
        interval_s: float,
        parts: tuple[tuple[Part, Series], ...],
    ) -> None:
        self.gate = gate
        self.feeds: tuple[Feed, ...] = ()
        self.batch = 0
        self.cursor_s = self.deep_s = cursor_s
        self.chunk_s = chunk_s
        self.behind = True
        self.failed: Failed | None = None
        self.found: list[Found] = []
        self.quiet_since_s, self.quiet_stable = start_s, 0.0
        self._parts = parts
        self._fault: Problem | None = None
        self._down: tuple[float, float] | None = None
        self._interval_s = interval_s
        self._watched_from_s: float | None = None
        self._newest: dict[Target, float] = {}
        self._targets: dict[tuple[Side, Part], set[Target]] = {}
        by_segment = compose.per_rule(gate)
        self._segments: tuple[str | None, ...] = (
            tuple(dict.fromkeys(place.segment for place in places)) if by_segment else (None,)
        )
        waited = frozenset(Side) if gate.comparative else frozenset({Side.CANDIDATE})
        self._ledgers = [
            Ledger(start_s=start_s, interval_s=interval_s, waited=waited, paired=compose.paired(gate))
            for _ in self._segments
        ]
        try:
            self.feeds = tuple(dict.fromkeys(self._feeds(places, by_segment)))
        except TemplateError as error:
            self._fault = Problem(Cause.BROKEN, f"gate {gate.name}: {error}")

    def take(self) -> int:
        """Count what the inboxes hold and close rounds; how many samples were read."""
        points, self.failed = 0, None
        self._watch()
        for feed in self.feeds:
            inbox, feed.inbox = feed.inbox, []
            points += sum(len(series.points) for _, series in inbox)
            if feed.part is Part.BUCKETS:
                self._take_histograms(feed, inbox)
            else:
                self._take_counters(feed, inbox)
        for segment, ledger in zip(self._segments, self._ledgers, strict=True):
            for closed in ledger.settle():
                if closed.candidate.total:
                    self.quiet_since_s, self.quiet_stable = closed.end_s, 0.0
                else:
                    self.quiet_stable += closed.stable.total
                self.found.append(Found(segment, closed))
        return points

    def drop(self, failed: Failed) -> None:
        """Forget a fetch of which a part failed; the same window is fetched again later."""
        self.failed = failed
        for feed in self.feeds:
            feed.inbox.clear()

    def newest_s(self) -> float | None:
        """The newest sample of the arm that is further behind, in Unix seconds; None without samples."""
        known = [at_s for side in self._needed() if (at_s := self._fresh_s(side, self._parts[0][0])) is not None]
        return min(known, default=None)

    def latest_s(self) -> float | None:
        """The newest sample of any arm, in Unix seconds; None without samples."""
        return max(self._newest.values(), default=None)

    def problem(self, now_s: float, *, fresh_s: float, expected: float) -> Problem | None:
        """What is wrong now, the worst first.

        `expected`: candidate events to expect by stable's rate since the last one (0: unknown).
        """
        if self._fault is not None:
            return self._fault
        if self.failed is not None:
            if not self.failed.retryable:
                return Problem(Cause.BROKEN, self.failed.reason)
            self._down = (self._down[0] if self._down else now_s, now_s)
            return Problem(Cause.SOURCE_DOWN, self.failed.reason)
        return (
            self._broken(now_s - fresh_s)
            or self._torn()
            or self._missing(expected, now_s - fresh_s)
            or self._stale(now_s, fresh_s)
            or self._nothing_since_down()
        )

    def _watch(self) -> None:
        """Remember when series of this gate were first seen, which shows that Prometheus was scraping them by then."""
        if self._watched_from_s is not None:
            return
        seen = [one.points[0][0] for feed in self.feeds for _, one in feed.inbox if one.points]
        if seen:
            self._watched_from_s = min(seen)
            for ledger in self._ledgers:
                ledger.births_from_s = self._watched_from_s + BLIND_INTERVALS * self._interval_s

    def _feeds(self, places: tuple[Place, ...], by_segment: bool) -> Iterable[Feed]:
        seen: dict[tuple[int, Side, Part, compose.Selector], Feed] = {}
        for place in places:
            index = self._segments.index(place.segment) if by_segment else 0
            arms = compose.arms(place.candidate, place.stable)
            for part, series in self._parts:
                pair = [compose.select(series, self.gate.arm, values) for values in arms]
                if len(set(pair)) < len(pair):
                    raise TemplateError("arm", f"both arms have the same selector {pair[0]}; match on what differs")
                for side, selector in zip(Side, pair, strict=False):
                    seen.setdefault((index, side, part, selector), Feed(selector, self, index, side, part))
        return seen.values()

    def _take_counters(self, feed: Feed, inbox: list[tuple[SeriesKey, RawSeries]]) -> None:
        for key, series in inbox:
            self._add(feed, key, series, rows_of_counter(series.points))

    def _take_histograms(self, feed: Feed, inbox: list[tuple[SeriesKey, RawSeries]]) -> None:
        objects: dict[SeriesKey, dict[float, RawSeries]] = {}
        for key, series in inbox:
            whole, bound = without_le(key)
            objects.setdefault(whole, {})[bound] = series
        for whole, buckets in objects.items():
            bounds, rows, problem = rows_of_histogram({bound: one.points for bound, one in buckets.items()})
            meter = self._add(feed, whole, next(iter(buckets.values())), rows, bounds)
            if meter is not None and problem is not None:
                meter.problem = problem

    def _add(
        self, feed: Feed, key: SeriesKey, series: RawSeries, rows: list[Row], bounds: tuple[float, ...] = ()
    ) -> Meter | None:
        target = (series.labels.get("job", ""), series.labels.get("instance", ""))
        ledger = self._ledgers[feed.segment]
        meter = ledger.add(feed.side, feed.part, key, target=target, rows=rows, bounds=bounds)
        if meter is None:
            return None
        if series.points:
            meter.newest_s = max(meter.newest_s, series.points[-1][0])
        else:
            meter.problem, meter.newest_s = "native histograms cannot be read; expose classic buckets", math.inf
        if meter.last is not None:
            self._targets.setdefault((feed.side, feed.part), set()).add(target)
            self._newest[target] = max(self._newest.get(target, 0.0), (meter.trail.aside or meter.last)[0])
        return meter

    def _needed(self) -> tuple[Side, ...]:
        return tuple(Side) if self.gate.comparative else (Side.CANDIDATE,)

    def _fresh_s(self, side: Side, part: Part) -> float | None:
        own = self._targets.get((side, part))
        if not own:
            return None
        other = self._targets.get((Side(1 - side), part), set())
        return max(self._newest[target] for target in (own | other if own & other else own))

    def _broken(self, since_s: float) -> Problem | None:
        for ledger in self._ledgers:
            if ledger.problem is not None:
                return Problem(Cause.BROKEN, ledger.problem)
            for meter in ledger.meters.values():
                if meter.problem is not None and meter.newest_s >= since_s:
                    return Problem(Cause.BROKEN, f"{meter.problem} ({meter.side})")
        return None

    def _torn(self) -> Problem | None:
        """Half of a pair has ended: a sum without its count, or a count without its sum, says nothing."""
        torn = next((ledger.torn for ledger in self._ledgers if ledger.torn is not None), None)
        if torn is None:
            return None
        other = Part.BAD if torn.part is Part.TOTAL else Part.TOTAL
        ended, going = self._selector(torn.part, torn.side), self._selector(other, torn.side)
        return Problem(
            Cause.MISSING, f"{ended} of the {torn.side} has ended, though {going} goes on; nothing is counted"
        )

    def _missing(self, expected: float, since_s: float) -> Problem | None:
        main = self._parts[0][0]
        if (Side.CANDIDATE, main) not in self._targets:
            if (Side.STABLE, main) not in self._targets:
                classic = "; native histograms need always_scrape_classic_histograms" if main is Part.BUCKETS else ""
                return Problem(Cause.MISSING, f"no series matches {self._selector(main)}{classic}")
            if expected >= EXPECTED_EVENTS:
                return Problem(
                    Cause.MISSING,
                    f"no series matches {self._selector(main)}, though stable's rate makes about {expected:.0f} events "
                    "likely",
                )
            return None
        if expected >= EXPECTED_SINCE and self.quiet_since_s < since_s:
            since = datetime.fromtimestamp(self.quiet_since_s, UTC)
            return Problem(
                Cause.MISSING,
                f"{self._selector(main)} has counted nothing since {since:%H:%M:%S} UTC, though requests go on and "
                f"stable's rate makes about {expected:.0f} events likely",
            )
        return self._missing_second()

    def _missing_second(self) -> Problem | None:
        metric = self.gate.metric
        if not any(part is Part.BAD for part, _ in self._parts):
            return None
        absent = [side for side in self._needed() if (side, Part.BAD) not in self._targets]
        match metric:
            case Mean() | Cost():
                wanting = [side for side in absent if (side, Part.TOTAL) in self._targets]
            case Ratio(sparse=False) if metric.bad.name != metric.total.name:
                wanting = [] if any((side, Part.BAD) in self._targets for side in Side) else [Side.CANDIDATE]
            case _:
                wanting = []
        if not wanting:
            return None
        selector = self._selector(Part.BAD, wanting[0])
        return Problem(Cause.MISSING, f"no series matches {selector}; expose the counter as 0 before it first counts")

    def _stale(self, now_s: float, fresh_s: float) -> Problem | None:
        for side in self._needed():
            for part, _ in self._parts:
                newest_s = self._fresh_s(side, part)
                if newest_s is not None and now_s - newest_s > fresh_s:
                    return Problem(
                        Cause.MISSING,
                        f"last sample of the {side} {now_s - newest_s:.0f} s ago ({self._selector(part)})",
                    )
        return None

    def _nothing_since_down(self) -> Problem | None:
        """A source that was down for longer than a scrape and answers again may have nothing new to tell yet."""
        if self._down is None:
            return None
        began_s, ended_s = self._down
        newest_s = self.newest_s()
        if ended_s - began_s >= self._interval_s and newest_s is not None and newest_s <= began_s:
            return Problem(Cause.SOURCE_DOWN, "the source answers again, but has no sample since it was down")
        self._down = None
        return None

    def _selector(self, part: Part, side: Side = Side.CANDIDATE) -> str:
        return next((str(feed.selector) for feed in self.feeds if (feed.part, feed.side) == (part, side)), "it")
