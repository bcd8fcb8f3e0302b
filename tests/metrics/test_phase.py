"""The clock of a collector: a period that is locked to the scrapes."""

from __future__ import annotations

import pytest

from modelrelease.metrics.fetching import Pace, next_chunk_s, window
from modelrelease.metrics.phase import FIRST_OFFSET_S, MIN_OFFSET_S, Phase


@pytest.mark.parametrize(
    ("newest_s", "now_s", "tick_s", "scrape_s", "due_s"),
    [
        pytest.param(None, 100.0, 5, 15, 105.0, id="nothing learned: the period"),
        pytest.param(90.0, 100.0, 5, 15, 105.08, id="a scrape falls due within the tick"),
        pytest.param(90.0, 91.0, 5, 15, 96.0, id="no scrape within the tick"),
        pytest.param(99.0, 99.1, 1, 1, 100.08, id="each scrape once"),
        pytest.param(99.0, 99.1, 5, 1, 104.08, id="the last of several scrapes"),
        pytest.param(99.0, 100.06, 1, 1, 101.06, id="too short before the next scrape"),
        pytest.param(10.0, 100.0, 5, 15, 100.0 + 5, id="an old phase still holds"),
    ],
)
def test_the_next_collection_follows_the_newest_scrape(
    newest_s: float | None, now_s: float, tick_s: float, scrape_s: float, due_s: float
) -> None:
    due = Phase(newest_s).next_due_s(now_s, tick_s=tick_s, scrape_interval_s=scrape_s)
    assert due == pytest.approx(due_s, abs=0.081)
    assert now_s < due <= now_s + 1.25 * tick_s


def _asked(phase: Phase, visible_after_s: float, *, scrape_s: float, tick_s: float, seconds: float) -> list[float]:
    """How late each sample was read when it can be read so long after its time, question after question."""
    now_s, late, seen_s = 100.0, [], 100.0
    phase = phase.learned(asked_s=now_s, newest_s=100.0, scrape_interval_s=scrape_s)
    while now_s < 100.0 + seconds:
        now_s = phase.next_due_s(now_s, tick_s=tick_s, scrape_interval_s=scrape_s)
        newest_s = (now_s - visible_after_s) // scrape_s * scrape_s
        phase = phase.learned(asked_s=now_s, newest_s=newest_s, scrape_interval_s=scrape_s)
        if newest_s > seen_s:
            late.append(now_s - newest_s)
            seen_s = newest_s
    return late


@pytest.mark.parametrize(("visible_s", "scrape_s", "tick_s"), [(0.02, 1, 1), (0.2, 1, 1), (0.5, 5, 5), (0.3, 15, 5)])
def test_samples_are_read_soon_after_they_can_be(visible_s: float, scrape_s: float, tick_s: float) -> None:
    late = _asked(Phase(), visible_s, scrape_s=scrape_s, tick_s=tick_s, seconds=200 * scrape_s)
    assert len(late) >= 199
    assert max(late) < scrape_s
    settled = sorted(late[20:])
    assert settled[len(settled) // 2] <= visible_s + 0.1 * visible_s + 0.05


def test_one_slow_scrape_costs_the_next_ones_little() -> None:
    phase = Phase(100.0).learned(asked_s=101.08, newest_s=100.0, scrape_interval_s=1)
    assert phase.next_due_s(101.08, tick_s=1, scrape_interval_s=1) == pytest.approx(101.13, abs=0.01)
    phase = phase.learned(asked_s=101.13, newest_s=101.0, scrape_interval_s=1)
    assert phase.offset_s == pytest.approx(1.2 * FIRST_OFFSET_S)
    for second in range(102, 302):
        phase = phase.learned(asked_s=second + phase.offset_s, newest_s=second, scrape_interval_s=1)
    assert phase.offset_s == MIN_OFFSET_S


def test_a_target_that_is_gone_is_not_asked_for_ever_more_often() -> None:
    phase, asked, now_s = Phase(100.0), 0, 100.5
    while now_s < 700.0:
        now_s = phase.next_due_s(now_s, tick_s=5, scrape_interval_s=15)
        phase = phase.learned(asked_s=now_s, newest_s=100.0, scrape_interval_s=15)
        asked += 1
    assert asked <= 600 / 5 + 10
    assert phase.offset_s <= 1.2 * FIRST_OFFSET_S


def test_a_collection_between_scrapes_teaches_nothing() -> None:
    phase = Phase(100.0)
    assert phase.learned(asked_s=105.0, newest_s=100.0, scrape_interval_s=15) == phase
    assert phase.learned(asked_s=105.0, newest_s=None, scrape_interval_s=15) == phase
    assert phase.offset_s == FIRST_OFFSET_S


PACE = Pace(tick_s=5, scrape_interval_s=15)


def test_trackers_that_began_at_different_times_read_the_same_window_soon() -> None:
    states = [[990.0 + late_s, 990.0 + late_s] for late_s in (0, 1.5, 4, 9.9, 14)]
    found = []
    for now_s in range(1005, 1060, 5):
        windows = [window(cursor_s, deep_s, 600, now_s=now_s, pace=PACE) for cursor_s, deep_s in states]
        states = [[now_s, now_s if one.deep else deep_s] for one, (_, deep_s) in zip(windows, states, strict=True)]
        found.append(len(set(windows)))
    assert found[3:] == [1] * len(found[3:])


def test_a_live_window_reaches_from_what_was_read_to_now() -> None:
    for late_s in (0.1, 5, 6, 60, 400):
        found = window(1000.0, 1000.0, 600, now_s=1000.0 + late_s, pace=PACE)
        assert (found.live, found.at_s) == (True, 1000.0 + late_s)
        assert found.at_s - found.range_s <= 1000.0 - PACE.shallow_s
        assert found.range_s <= 1.5 * (late_s + PACE.overlap_s)


def test_once_in_a_scrape_interval_a_window_reaches_all_that_can_be_late() -> None:
    cursor_s = deep_s = 1000.0
    deep = []
    for _ in range(7):
        found = window(cursor_s, deep_s, 600, now_s=cursor_s + 5, pace=PACE)
        if found.deep:
            assert found.at_s - found.range_s <= deep_s - PACE.overlap_s
            deep_s = found.at_s
        deep.append(found.deep)
        cursor_s = found.at_s
    assert deep == [True, False, False, True, False, False, True]
    assert window(0, 0, 600, now_s=1, pace=Pace(tick_s=1, scrape_interval_s=1)).deep


def test_history_is_read_in_chunks_that_leave_no_gap() -> None:
    cursor_s, count = 0.0, 0
    while True:
        found = window(cursor_s, cursor_s, 600, now_s=10_000.0, pace=PACE)
        assert found.at_s - found.range_s <= cursor_s - PACE.overlap_s or cursor_s == 0
        assert found.range_s <= 1200
        assert found.at_s > cursor_s
        cursor_s, count = found.at_s, count + 1
        if found.live:
            break
    assert cursor_s == 10_000.0
    assert count == 18


def test_chunks_grow_with_small_answers_and_shrink_with_large_ones() -> None:
    assert next_chunk_s(600, 100, pace=PACE) == 1200
    assert next_chunk_s(3600, 100, pace=PACE) == 3600
    assert next_chunk_s(600, 50_000, pace=PACE) == 600
    assert next_chunk_s(600, 1_000_000, pace=PACE) == 300
    assert next_chunk_s(60, 1_000_000, pace=PACE) == 60
