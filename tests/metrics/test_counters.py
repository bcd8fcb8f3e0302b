"""Raw samples to increments: by tables, and against counters that are restarted, born and missed at random."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrelease.metrics.counters import (
    Difference,
    Increment,
    Row,
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

    A restart shows as a drop: one whose first sample is not below the last before it cannot be seen by anybody.
    """
    value = 0.0 if draw(st.booleans()) else 1000.0
    points, at_s, true = [(-1.0, value)] if value else [], 0.0, 0.0
    for gap, more, restarts in draw(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 50), st.booleans()))):
        at_s += gap
        value = more if restarts and more < value else value + more
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
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), None], strict=True):
        piece = difference(rows(*points[max(0, begin - overlap) : end]), last, start_s=0)
        found += piece.increments
        last = piece.last
    assert tuple(found) == whole.increments


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
