"""Raw counter samples to increments: baselines, births, resets, gaps, and what must not be counted.

Pure. Rejected: PromQL's `increase`, which extrapolates to fractions and loses what a series counted before its first
scrape; a fresh canary's first errors are exactly there.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from operator import lt, sub

from modelrelease.metrics.answers import Point

Values = tuple[float, ...]
Row = tuple[float, Values]
"""Time of a scrape and the values of all series that belong to one object (one counter, or all buckets)."""


@dataclass(frozen=True, slots=True)
class Increment:
    """What one object counted in (`since_s`, `at_s`]. `since_s` None: from its birth on."""

    at_s: float
    since_s: float | None
    amounts: Values


SLIGHTLY = 0.9
"""A counter that falls to no less than this part of what it was may be an older reading and no restart."""

LONG = 10
"""So many times as long as since its last row a counter must have risen before: none gets back so far in one scrape."""


@dataclass(frozen=True, slots=True)
class Trail:
    """What is known of a counter besides its newest usable row.

    `begun_s`: from then on it has not been reset. `aside`: a newer row that fell slightly; the one after it tells how
    to go on.
    """

    begun_s: float = math.inf
    aside: Row | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Increments in order, the newest usable row (the next baseline), and what is wrong with the newest row if not."""

    increments: tuple[Increment, ...]
    last: Row | None
    problem: str | None = None
    trail: Trail = Trail()


def difference(
    rows: Sequence[Row],
    last: Row | None,
    *,
    start_s: float,
    births_from_s: float = -math.inf,
    trail: Trail = Trail(),
) -> Difference:
    """Increments after `start_s`, given the newest row seen before (None: never seen) and its trail.

    Rows not newer than `last` are skipped, so that overlapping answers count once. Rows up to `start_s` only move the
    baseline. A first row after `start_s` is a birth and counts from zero, unless it is not after `births_from_s`:
    until then nobody had watched for long enough to know that it was not there before. A drop of any value resets the
    object as a whole (the buckets of one histogram restart together); a series that vanished and is back goes on from
    its last value unless it is lower, because exporters hide counters for a while more often than they restart one.
    A slight fall of a counter that has risen for long is no reset: two Prometheus replicas whose clocks differ, asked
    in turns, show it at two moments, and a recorded sum loses one of many. Its row is put aside; when the next is below
    the old level too, counting goes on from the new one.
    A row with NaN, ±Inf or a negative value is left out; the next usable one continues from the row before it.
    """
    found: list[Increment] = []
    problem: str | None = None
    begun_s, aside = trail.begun_s, trail.aside
    for row in rows:
        at_s, values = row
        newest = aside or last
        if newest is not None and at_s <= newest[0]:
            continue
        wrong = _unusable(values)
        if wrong is not None:
            problem = wrong
            continue
        problem = None
        base = Base.ZERO
        if last is not None:
            long = at_s - begun_s >= LONG * (at_s - last[0])
            base = base_of(values, last[1], aside[1] if aside is not None else None, long=long)
        if base is Base.UNKNOWN:
            aside = row
            continue
        if base is Base.ZERO:
            begun_s = at_s
        last, aside = (aside if base is Base.ASIDE else last), None
        if at_s > start_s and (last is not None or at_s > births_from_s):
            found.append(_increment(row, last, from_zero=base is Base.ZERO))
        last = row
    return Difference(tuple(found), last, problem, Trail(begun_s, aside))


class Base(Enum):
    """What a row's increment is counted from; UNKNOWN: the next row tells, this one is put aside."""

    LAST = 0
    ASIDE = 1
    ZERO = 2
    UNKNOWN = 3


def base_of(values: Sequence[float], last: Sequence[float], aside: Sequence[float] | None, *, long: bool) -> Base:
    """From what a row counts after `last` and, where there is one, a row put aside. `long`: see LONG."""
    if len(last) != len(values):
        return Base.ZERO
    if not any(map(lt, values, last)):
        return Base.LAST
    if aside is not None and not any(map(lt, values, aside)):
        return Base.ASIDE
    whole, before = values[-1], last[-1]
    slightly = long and not any(map(lt, last, values)) and 0 < whole >= min(SLIGHTLY * before, before - 1)
    return Base.UNKNOWN if slightly else Base.ZERO


def rows_of_counter(points: Sequence[Point]) -> list[Row]:
    """A single series as rows of one value."""
    return [(at_s, (value,)) for at_s, value in points]


def rows_of_histogram(buckets: Mapping[float, Sequence[Point]]) -> tuple[tuple[float, ...], list[Row], str | None]:
    """The buckets of one histogram as (bounds in rising order, complete rows, problem).

    A scrape stores all buckets with one time. A row that lacks some is left out; at the newest time that only means
    that it has not been stored completely yet, anywhere else it is a problem, as is a missing +Inf bucket.
    """
    bounds = tuple(sorted(buckets))
    if not bounds or not math.isinf(bounds[-1]) or any(math.isnan(bound) for bound in bounds):
        return (bounds, [], "a histogram has no +Inf bucket")
    by_time: dict[float, list[float]] = {}
    for bound in bounds:
        for at_s, value in buckets[bound]:
            by_time.setdefault(at_s, []).append(value)
    times = sorted(by_time)
    rows = [(at_s, tuple(by_time[at_s])) for at_s in times if len(by_time[at_s]) == len(bounds)]
    torn = [at_s for at_s in times[:-1] if len(by_time[at_s]) != len(bounds)]
    return (bounds, rows, "a histogram's buckets changed while it was observed" if torn else None)


def _increment(row: Row, last: Row | None, *, from_zero: bool) -> Increment:
    at_s, values = row
    since_s = last[0] if last is not None else None
    return Increment(at_s, since_s, values if from_zero or last is None else tuple(map(sub, values, last[1])))


def _unusable(values: Values) -> str | None:
    for value in values:
        if not math.isfinite(value):
            return f"a counter's value is {value}"
        if value < 0:
            return f"a counter's value is negative ({value:g}); it cannot be a counter"
    return None
