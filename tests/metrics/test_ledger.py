"""Rounds: when a window is complete, and what keeps one arm's scrape from standing alone."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrelease.domain.evidence import Tally
from modelrelease.metrics.compose import Part
from modelrelease.metrics.counters import rows_of_counter
from modelrelease.metrics.ledger import Ledger, Meter, Round, Side

BOTH = frozenset(Side)


def ledger(*, waited: frozenset[Side] = BOTH, interval_s: float = 15) -> Ledger:
    return Ledger(start_s=0, interval_s=interval_s, waited=waited)


def add(book: Ledger, side: Side, *points: tuple[float, float], pod: str = "", part: Part = Part.TOTAL) -> None:
    key = frozenset({("pod", pod or str(side))})
    book.add(side, part, key, target=("job", pod), rows=rows_of_counter(points), bounds=())


def windows(rounds: list[Round]) -> list[tuple[float, float, float, float]]:
    return [(one.start_s, one.end_s, one.candidate.total, one.stable.total) for one in rounds]


def test_arms_scraped_at_different_moments_share_a_round() -> None:
    book = ledger()
    add(book, Side.CANDIDATE, (-12, 0), (3, 1), (18, 3), (33, 6))
    add(book, Side.STABLE, (-6, 0), (9, 10), (24, 30), (39, 60))
    assert windows(book.settle()) == [(0, 9, 1, 10), (9, 24, 2, 20), (24, 39, 3, 30)]


def test_a_round_stays_open_until_the_last_live_target_has_reported() -> None:
    book = ledger()
    add(book, Side.CANDIDATE, (-12, 0), (3, 1))
    add(book, Side.STABLE, (-6, 0))
    assert book.settle() == []
    add(book, Side.STABLE, (9, 10))
    assert windows(book.settle()) == [(0, 9, 1, 10)]


def test_a_target_that_died_is_waited_for_and_then_no_more() -> None:
    book = ledger()
    add(book, Side.STABLE, (-6, 0), pod="dead")
    add(book, Side.STABLE, (-6, 0), (9, 10), (24, 30), (39, 60), pod="alive")
    add(book, Side.CANDIDATE, (-6, 0), (9, 1), (24, 3), (39, 6))
    assert windows(book.settle()) == [(0, 39, 6, 60)]


def test_an_absolute_gate_waits_for_the_candidate_only() -> None:
    book = ledger(waited=frozenset({Side.CANDIDATE}))
    add(book, Side.STABLE, (-6, 0))
    add(book, Side.CANDIDATE, (-12, 0), (3, 1))
    assert windows(book.settle()) == [(0, 3, 1, 0)]


def test_history_gives_the_rounds_that_were_closed_live_before_a_counter_was_born() -> None:
    old = [(-6.0, 0.0), *((9.0 + 15 * tick, 10.0 * (tick + 1)) for tick in range(6))]
    new = [(52.0, 3.0), (67.0, 5.0), (82.0, 8.0)]
    live, rebuilt = ledger(), ledger()
    rounds = []
    for at_s, value in sorted([*old, *new]):
        side = Side.STABLE if (at_s, value) in old else Side.CANDIDATE
        add(live, side, (at_s, value))
        rounds += live.settle()
    add(rebuilt, Side.STABLE, *old)
    add(rebuilt, Side.CANDIDATE, *new)
    assert windows(rebuilt.settle()) == windows(rounds)
    assert windows(rounds)[:3] == [(0, 9, 0, 10), (9, 24, 0, 10), (24, 39, 0, 10)]


def test_a_slower_target_is_waited_for_longer() -> None:
    book = ledger(interval_s=5)
    add(book, Side.STABLE, (-30, 0), (30, 1), (90, 2))
    add(book, Side.CANDIDATE, *((float(at), at + 5.0) for at in range(-5, 100, 5)))
    assert windows(book.settle())[-1] == (30, 90, 60, 1)


def test_a_round_knows_how_far_its_counts_reach_back() -> None:
    book = ledger()
    add(book, Side.CANDIDATE, (-12, 0), (3, 1))
    add(book, Side.STABLE, (-6, 0), (9, 10))
    assert book.settle()[0].oldest_s == -12


def test_nothing_counted_gives_no_round_but_moves_the_window() -> None:
    book = ledger()
    add(book, Side.CANDIDATE, (-1, 5), (4, 5), (9, 7))
    add(book, Side.STABLE, (-1, 5), (4, 5), (9, 5))
    assert windows(book.settle()) == [(4, 9, 2, 0)]


def test_bad_events_stand_beside_their_total() -> None:
    book = ledger()
    for side in Side:
        add(book, side, (-1, 0), (4, 10))
        add(book, side, (4, 2), part=Part.BAD)
    assert book.settle()[0].candidate == Tally(10, 2)


def test_the_same_series_on_both_arms_is_said() -> None:
    book = ledger()
    add(book, Side.CANDIDATE, (-1, 0), pod="same")
    add(book, Side.STABLE, (-1, 0), pod="same")
    assert book.problem is not None
    assert "both arms" in book.problem


@given(st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("pods", [1, 3])
def test_rounds_hold_every_increment_once_however_the_samples_arrive(pods: int, seed: int) -> None:
    chance = random.Random(seed)
    streams = {
        (side, f"{side}-{pod}"): [(at + chance.random(), 100.0 + 10 * at) for at in range(-5, 60, 5)]
        for side in Side
        for pod in range(pods)
    }
    at_once, piecewise = ledger(interval_s=5), ledger(interval_s=5)
    for (side, pod), points in streams.items():
        add(at_once, side, *points, pod=pod)
    whole = at_once.settle()
    found: list[Round] = []
    for until in range(0, 66, 3):
        for (side, pod), points in streams.items():
            late = chance.random() * 4
            add(piecewise, side, *(point for point in points if point[0] <= until - late), pod=pod)
        found += piecewise.settle()
    for (side, pod), points in streams.items():
        add(piecewise, side, *points, pod=pod)
    found += piecewise.settle()
    assert sum(one.candidate.total for one in whole) == sum(one.candidate.total for one in found) == 600 * pods
    assert sum(one.stable.total for one in whole) == sum(one.stable.total for one in found) == 600 * pods


class Looking(Ledger):
    """Counts its looks at counters; with `always`, it looks at all that it waits for at each moment."""

    always, looks = False, 0

    def _wait_for(self, meters: Iterable[Meter], at_s: float) -> None:
        super()._wait_for(meters, at_s)
        if self.always:
            self._same_until_s = -math.inf

    def _waits_for(self, meter: Meter, at_s: float) -> bool:
        self.looks += 1
        return super()._waits_for(meter, at_s)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_looking_only_when_something_may_have_changed_closes_the_same_rounds(seed: int, pods: int) -> None:
    """Pods come and go, report late or rarely, and answers come in pieces."""
    chance = random.Random(seed)
    often, seldom = (Looking(start_s=0, interval_s=5, waited=BOTH) for _ in range(2))
    often.always = True
    streams = {}
    for side in Side:
        for pod in range(pods):
            born, died = chance.randrange(-10, 40), chance.randrange(20, 120)
            times = [at + chance.random() * 4 for at in range(born, max(born, died), chance.choice((5, 5, 15)))]
            streams[side, f"{side}-{pod}"] = [(at, float(count)) for count, at in enumerate(times)]
    for until in (15, 40, 41, 130):
        for (side, pod), points in streams.items():
            for book in (often, seldom):
                add(book, side, *(point for point in points if point[0] <= until), pod=pod)
        assert often.settle() == seldom.settle()


def test_a_round_of_many_counters_with_times_of_their_own_is_no_million_looks() -> None:
    book, pods, rounds = Looking(start_s=0, interval_s=15, waited=BOTH), 100, 20
    for pod in range(pods):
        times = [15 * count + 0.1 * pod for count in range(-1, rounds)]
        for side in Side:
            add(book, side, *((at, 100 + at) for at in times), pod=f"{side}-{pod}")
    assert len(book.settle()) == rounds - 1
    assert book.looks <= 4 * 2 * pods * rounds
