"""Raw samples to increments: by tables, and against counters that are restarted, born and missed at random."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrelease.metrics.counters import (
    SLIGHTLY,
    Difference,
    Increment,
    Row,
    Trail,
    difference,
    rows_of_counter,
    rows_of_histogram,
)


def rows(*points: tuple[float, float]) -> list[Row]:
    return rows_of_counter(points)


@pytest.mark.parametrize(
    ("points", "amounts"),
    [
        pytest.param([(-5, 10), (5, 12), (15, 12)], [2, 0], id="an old counter's first sample is the baseline"),
        pytest.param([(-15, 3), (-5, 10), (5, 12)], [2], id="the newest sample before the start is the baseline"),
        pytest.param([(5, 7), (15, 9)], [7, 2], id="a series born after the start counts from zero"),
        pytest.param([(-5, 10), (5, 4)], [4], id="a drop is a restart from zero"),
        pytest.param([(-5, 10), (5, 12), (15, 1), (25, 6)], [2, 1, 5], id="counting goes on after a restart"),
        pytest.param([(0, 10), (5, 12)], [2], id="a sample exactly at the start is baseline"),
        pytest.param([(-5, 1), (600, 40)], [39], id="a gap loses nothing"),
        pytest.param([(-5, 1), (5, math.nan), (15, 4)], [3], id="NaN is stepped over"),
        pytest.param([], [], id="nothing"),
    ],
)
def test_increments(points: list[tuple[float, float]], amounts: list[float]) -> None:
    result = difference(rows(*points), None, start_s=0)
    assert [increment.amounts[0] for increment in result.increments] == amounts
    assert result.problem is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0])
def test_a_newest_sample_that_no_counter_can_have_is_a_problem(value: float) -> None:
    result = difference(rows((-5, 1), (5, 3), (15, value)), None, start_s=0)
    assert [increment.amounts for increment in result.increments] == [(2,)]
    assert result.problem is not None
    assert result.last == (5, (3,))


def test_samples_seen_before_count_once() -> None:
    first = difference(rows((-5, 1), (5, 3)), None, start_s=0)
    again = difference(rows((-5, 1), (5, 3), (15, 4)), first.last, start_s=0)
    assert again == Difference((Increment(15, 5, (1,)),), (15, (4,)))


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[tuple[float, float]], float]:
    """Samples of a counter from before the start on, and what it truly counted after its last sample before.

    A restart shows as a drop: one whose first sample is not clearly below the last before it cannot be told.
    """
    value = 0.0 if draw(st.booleans()) else 1000.0
    points, at_s, true = [(-1.0, value)] if value else [], 0.0, 0.0
    for gap, more, restarts in draw(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 50), st.booleans()))):
        at_s += gap
        value = more if restarts and more < min(SLIGHTLY * value, value - 1) else value + more
        points.append((at_s, value))
        true += more
    return points, true


@given(histories())
def test_the_sum_of_increments_is_what_was_truly_counted(history: tuple[list[tuple[float, float]], float]) -> None:
    points, true = history
    result = difference(rows(*points), None, start_s=0)
    assert sum(increment.amounts[0] for increment in result.increments) == true


@given(histories(), st.lists(st.integers(0, 30), max_size=5), st.integers(0, 3))
def test_reading_in_overlapping_pieces_changes_nothing(
    history: tuple[list[tuple[float, float]], float], cuts: list[int], overlap: int
) -> None:
    points, _ = history
    whole = difference(rows(*points), None, start_s=0)
    found: list[Increment] = []
    last: Row | None = None
    trail = Trail()
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), None], strict=True):
        piece = difference(rows(*points[max(0, begin - overlap) : end]), last, start_s=0, trail=trail)
        found += piece.increments
        last, trail = piece.last, piece.trail
    assert tuple(found) == whole.increments


LONG_RISEN = [(float(at_s), 5000.0 + 10 * at_s) for at_s in range(-100, 1, 5)]


@pytest.mark.parametrize(
    ("after", "amounts"),
    [
        pytest.param([(3, 4996), (5, 5050)], [50], id="an older reading by another replica is left out"),
        pytest.param([(3, 4996), (4, 4998), (5, 5050)], [2, 52], id="two of them in a row cost what lies between"),
        pytest.param([(5, 4900), (10, 4950)], [50], id="a sum that lost one of many goes on from there"),
        pytest.param([(5, 4900), (10, 4800), (15, 4850)], [50], id="a sum that loses another"),
        pytest.param([(5, 4400), (10, 4450)], [4400, 50], id="a clear drop is a restart"),
        pytest.param([(5, 0), (10, 4)], [0, 4], id="zero is a restart"),
        pytest.param([(95, 4996), (100, 5050)], [4996, 54], id="after a gap it may have come so far again"),
    ],
)
def test_a_slight_fall_of_a_counter_that_has_risen_for_long(
    after: list[tuple[float, float]], amounts: list[float]
) -> None:
    result = difference(rows(*LONG_RISEN, *after), None, start_s=0)
    assert [increment.amounts[0] for increment in result.increments] == amounts


def test_a_young_counter_that_falls_slightly_has_restarted() -> None:
    """A process that crashes every ten seconds: each life counts."""
    result = difference(rows((0, 50), (5, 55), (10, 50), (15, 55), (20, 50)), None, start_s=-1)
    assert sum(increment.amounts[0] for increment in result.increments) == 55 + 55 + 50


def test_an_older_reading_of_a_histogram_is_left_out_as_a_whole() -> None:
    history = [(float(at_s), (3.0 + at_s // 30, 1000.0 + at_s)) for at_s in range(-100, 1, 5)]
    older, newer = (3.0, (2.0, 998.0)), (5.0, (4.0, 1005.0))
    result = difference([*history, older, newer], None, start_s=0)
    assert [(increment.since_s, increment.amounts) for increment in result.increments] == [(0.0, (1.0, 5.0))]


def test_buckets_of_one_histogram_restart_together() -> None:
    before, after = (-5.0, (5.0, 8.0, 10.0)), (5.0, (6.0, 6.0, 6.0))
    result = difference([before, after], None, start_s=0)
    assert result.increments[0].amounts == (6, 6, 6)


def test_a_histogram_is_read_row_by_row() -> None:
    buckets = {math.inf: [(1.0, 4.0), (2.0, 6.0)], 0.1: [(1.0, 3.0), (2.0, 3.0)]}
    bounds, found, problem = rows_of_histogram(buckets)
    assert bounds == (0.1, math.inf)
    assert found == [(1.0, (3.0, 4.0)), (2.0, (3.0, 6.0))]
    assert problem is None


def test_a_newest_row_that_is_not_complete_yet_waits() -> None:
    _, found, problem = rows_of_histogram({math.inf: [(1.0, 4.0)], 0.1: [(1.0, 3.0), (2.0, 3.0)]})
    assert found == [(1.0, (3.0, 4.0))]
    assert problem is None


def test_buckets_that_come_and_go_are_a_problem() -> None:
    _, _, problem = rows_of_histogram({math.inf: [(1.0, 4.0), (2.0, 5.0)], 0.1: [(2.0, 3.0)]})
    assert problem is not None


def test_a_histogram_without_inf_is_a_problem() -> None:
    for buckets in ({0.1: [(1.0, 1.0)]}, {math.nan: [(1.0, 1.0)], math.inf: [(1.0, 1.0)]}):
        assert rows_of_histogram(buckets)[1:] == ([], "a histogram has no +Inf bucket")
