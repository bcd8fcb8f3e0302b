"""Reading the counters of all gates over a long range: which queries, in which pieces, counted as they come in.

Prometheus is asked for raw counters at each step, at most 11,000 steps at a time; gates that read the same series share
the query, and selectors that differ only in the arm share one too. Nothing but sums per step is kept, so that a month
of hundreds of series fits into memory.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from modelrelease.backtest.arms import Arms, Instances, Wanted
from modelrelease.backtest.client import MAX_POINTS, Piece, RangeClient, ask_all
from modelrelease.backtest.counting import Rounds, Tallies
from modelrelease.backtest.parsing import Grid, Line
from modelrelease.backtest.reading import HistoryError, Query, Reading, Samples
from modelrelease.domain.gate import Gate, Ratio, Value
from modelrelease.metrics import batch, compose
from modelrelease.metrics.answers import Failed
from modelrelease.metrics.compose import Selector
from modelrelease.metrics.ledger import SeriesKey, Side
from modelrelease.metrics.subscription import Place

LOOKBACK_S = 300.0
"""How far before its start history is read, to tell old counters from new ones."""


@dataclass(frozen=True, slots=True)
class Span:
    """The time that is replayed, in steps: windows end after `since_s`, the last at `until_s`."""

    since_s: float
    until_s: float
    step_s: float

    @property
    def grid(self) -> Grid:
        """The steps at which windows may end."""
        count = math.floor((self.until_s - self.since_s) / self.step_s + 1e-9)
        return Grid(self.since_s + self.step_s, self.step_s, max(0, count))

    @property
    def asked(self) -> Grid:
        """The steps that are read: those before the first window too."""
        grid, before = self.grid, self.before
        return Grid(grid.start_s - before * self.step_s, self.step_s, grid.count + before)

    @property
    def before(self) -> int:
        """Steps that are read and not counted."""
        return math.ceil(LOOKBACK_S / self.step_s) + 1


class History:
    """What is read for a set of gates, and what came of it."""

    def __init__(self, span: Span, *, interval_s: float, arms: Arms, divide: bool) -> None:
        self.span = span
        self.readings: dict[str, list[tuple[str | None, Reading]]] = {}
        self.samples: dict[str, Samples] = {}
        self._queries: list[Query] = []
        self._known: dict[tuple[int, tuple[Wanted, ...]], Reading] = {}
        self._interval_s, self._arms = interval_s, arms
        self._instances = Instances(divide=divide)

    def add(
        self, gate: Gate, places: Sequence[Place], client: RangeClient, *, value_namespace: tuple[str, str]
    ) -> None:
        """Read a gate too. `value_namespace`: label and namespace forced into raw expressions. Raises TemplateError."""
        if isinstance(gate.metric, Value):
            namespace_label, namespace = value_namespace
            values = self._arms.candidate_values(places[0])
            asked = compose.value_query(gate.metric, values, namespace=namespace, namespace_label=namespace_label)
            nothing = np.full(self.span.asked.count, np.nan)
            self.samples[gate.name] = Samples(client, asked.query, asked.newest, nothing, nothing.copy())
            self._queries += [Query(client, text) for text in (asked.query, asked.newest)]
            return
        apart = compose.per_rule(gate)
        by_segment: dict[str | None, dict[Wanted, None]] = {}
        for place in places:
            wanted = by_segment.setdefault(place.segment if apart else None, {})
            wanted.update(dict.fromkeys(self._arms.wanted(gate, place)))
        self.readings[gate.name] = [
            (segment, self._reading(gate, tuple(wanted), client)) for segment, wanted in by_segment.items()
        ]

    def pieces(self) -> int:
        """How many answers reading everything takes."""
        return len(self._merged()) * self._chunks()

    def read(self, *, threads: int, done: Callable[[int], None]) -> None:
        """Ask for everything and count it; `done` is told the number of answers. Raises HistoryError."""
        grid, queries = self.span.asked, self._merged()
        edges = np.linspace(0, grid.count, self._chunks() + 1).astype(int).tolist()
        chunks = list(itertools.pairwise(edges))
        asks = (
            (query.client, Piece(number, query.text, first, last - first))
            for first, last in chunks
            for number, query in enumerate(queries)
        )
        replies = ask_all(asks, grid, threads=threads)
        number = 0
        for first, last in chunks:
            by_selector: dict[tuple[int, Selector], list[Line]] = {}
            by_text: dict[tuple[int, str], list[Line]] = {}
            for query in queries:
                lines = _whole(query, next(replies).lines(grid), first, last)
                source = id(query.client)
                by_selector |= {(source, selector): some for selector, some in query.sorted(lines).items()}
                by_text[source, query.text] = lines
                number += 1
                done(number)
            for reading in self._known.values():
                reading.take(by_selector, first, last - first)
            for samples in self.samples.values():
                samples.take(by_text, first)

    def rounds(self, gate: Gate) -> list[tuple[str | None, Reading, Rounds]]:
        """The windows of a gate in each segment."""
        waited = tuple(Side) if gate.comparative or self._arms.itself else (Side.CANDIDATE,)
        return [(segment, reading, reading.tallies.rounds(waited)) for segment, reading in self.readings[gate.name]]

    def _reading(self, gate: Gate, wanted: tuple[Wanted, ...], client: RangeClient) -> Reading:
        known = self._known.get((id(client), wanted))
        if known is None:
            grid = self.span.asked
            tallies = Tallies(grid, start=self.span.before, interval_s=self._interval_s)
            interval = max(1.0, self._interval_s / grid.step_s)
            known = Reading(gate.name, wanted, client, tallies, self._instances, interval)
            self._known[id(client), wanted] = known
            asked = {selector for query in self._queries if query.client is client for selector in query.selectors}
            for selector in dict.fromkeys(one.selector for one in wanted):
                if selector not in asked:
                    self._queries.append(Query(client, str(selector), (selector,)))
        return known

    def _merged(self) -> list[Query]:
        """The queries, those of one shape and source as one."""
        merged: dict[object, list[Query]] = {}
        for query in self._queries:
            shape = batch.shape_of(query.selectors[0]) if query.selectors else query.text
            merged.setdefault((id(query.client), shape), []).append(query)
        found = []
        for some in merged.values():
            selectors = [selector for query in some for selector in query.selectors]
            if len(selectors) < 2:
                found.append(some[0])
                continue
            for part in batch.split(selectors, 1):
                found.append(Query(some[0].client, batch.merge(part), part))
        return found

    def _chunks(self) -> int:
        return -(-self.span.asked.count // MAX_POINTS)


def bad_is_zero(gate: Gate) -> bool:
    """Whether a bad counter that is not there counts as zero without a word: the server shows it from the first on."""
    return isinstance(gate.metric, Ratio) and (gate.metric.sparse or gate.metric.bad.name == gate.metric.total.name)


def _whole(query: Query, parts: Iterator[tuple[Piece, list[Line] | Failed]], first: int, last: int) -> list[Line]:
    """The lines of a chunk, put together where it was asked for in smaller pieces."""
    found: dict[SeriesKey, Line] = {}
    for piece, lines in parts:
        if isinstance(lines, Failed):
            raise HistoryError(_said(query, lines))
        for line in lines:
            if piece.count == last - first:
                found[frozenset(line.labels.items())] = line
                continue
            key = frozenset(line.labels.items())
            whole = found.setdefault(key, Line(line.labels, np.full(last - first, np.nan)))
            whole.values[piece.first - first : piece.first - first + piece.count] = line.values
    return list(found.values())


def _said(query: Query, failed: Failed) -> str:
    if failed.retryable:
        return f"Prometheus at {query.client.address}: {failed.reason}; check the address and try again"
    return f"Prometheus at {query.client.address}: {failed.reason}; the query was {query.text}"
