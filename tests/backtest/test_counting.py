"""Counters on a grid are counted as `metrics.counters` and `metrics.ledger` count them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelrelease.backtest.counting import Histogram, Meter, Rounds, Tallies
from modelrelease.backtest.parsing import Grid
from modelrelease.metrics.compose import Part
from modelrelease.metrics.counters import difference
from modelrelease.metrics.ledger import Ledger, Round, Side

STEP_S = 15.0
START = 3
"""The step from which on increments count; what is before only moves baselines."""

INF = math.inf

values = st.one_of(
    st.integers(0, 30).map(float), st.floats(0, 1e9), st.just(math.nan), st.just(math.nan), st.just(INF), st.just(-1.0)
)
Rows = list[list[float]]


def rising(rows: Rows) -> np.ndarray:
    """Rows as cumulative as a counter: most steps rise, some reset, some are missing."""
    return np.array(rows, float)


def by_ledger(meters: Sequence[tuple[Side, Part, np.ndarray]], waited: frozenset[Side], births: float) -> list[Round]:
    """What a live ledger finds when each step's rows arrive at that step."""
    start_s = (START - 1) * STEP_S
    ledger = Ledger(start_s=start_s, interval_s=STEP_S, waited=waited)
    ledger.births_from_s = births * STEP_S
    found = []
    for step in range(len(meters[0][2])):
        for number, (side, part, rows) in enumerate(meters):
            row = rows[step]
            if np.isnan(row).any():
                continue
            bounds = (*map(float, range(len(row) - 1)), INF) if part is Part.BUCKETS else ()
            key = frozenset({("meter", str(number))})
            rows_now = [(step * STEP_S, tuple(map(float, row)))]
            ledger.add(side, part, key, target=("", ""), rows=rows_now, bounds=bounds)
        found += ledger.settle()
    return found


def by_grid(
    meters: Sequence[tuple[Side, Part, np.ndarray]], waited: frozenset[Side], births: float, chunk: int
) -> Rounds:
    """The same in chunks on the grid."""
    count = len(meters[0][2])
    tallies = Tallies(Grid(0.0, STEP_S, count), start=START, interval_s=STEP_S)
    tallies.births_from = births
    states = []
    for side, part, rows in meters:
        bounds = (*map(float, range(rows.shape[1] - 1)), INF) if part is Part.BUCKETS else ()
        states.append(Meter(side, part, bounds))
    for at in range(0, count, chunk):
        for state, (_, _, rows) in zip(states, meters, strict=True):
            tallies.count(state, rows[at : at + chunk], at)
    return tallies.rounds(waited)


def as_rounds(found: Rounds) -> list[Round]:
    """The windows in which anything happened, as the ledger hands them out."""
    from modelrelease.domain.evidence import Tally

    listed = []
    for step in np.flatnonzero(found.closed).tolist():
        if found.buckets is None:
            arms = [Tally(float(found.total[side, step]), float(found.bad[side, step])) for side in Side]
        else:
            arms = [Tally(float(found.total[side, step])) for side in Side]
        if any(arm.total or arm.bad for arm in arms):
            end_s = (step + START) * STEP_S
            listed.append(Round(float(found.start_s[step]), end_s, 0.0, *arms))
    return listed


def assert_same(found: list[Round], wanted: list[Round]) -> None:
    assert [(each.start_s, each.end_s) for each in found] == [(each.start_s, each.end_s) for each in wanted]
    for ours, theirs in zip(found, wanted, strict=True):
        for arm, other in ((ours.candidate, theirs.candidate), (ours.stable, theirs.stable)):
            assert arm.total == pytest.approx(other.total, rel=1e-12)
            assert arm.bad == pytest.approx(other.bad, rel=1e-12)


@given(st.lists(st.lists(values, min_size=2, max_size=2), min_size=START + 1, max_size=30), st.integers(1, 30))
def test_increments_are_those_of_the_counters(rows: Rows, chunk: int) -> None:
    table = np.array(rows)
    listed = [(step * STEP_S, tuple(row)) for step, row in enumerate(rows) if not np.isnan(row).all()]
    wanted = difference(listed, None, start_s=(START - 1) * STEP_S, births_from_s=5 * STEP_S)
    amounts = np.zeros(len(rows))
    for increment in wanted.increments:
        amounts[round(increment.at_s / STEP_S)] = increment.amounts[-1]
    meter = Meter(Side.CANDIDATE, Part.BUCKETS, (1.0, INF))
    tallies = Tallies(Grid(0.0, STEP_S, len(rows)), start=START, interval_s=STEP_S)
    tallies.births_from = 5
    for at in range(0, len(rows), chunk):
        tallies.count(meter, table[at : at + chunk], at)
    found = tallies.layouts[1.0, INF][0, :, -1] if tallies.layouts else np.zeros(len(rows))
    assert found == pytest.approx(amounts, rel=1e-12)
    assert (meter.last is None) == (wanted.last is None)


def random_meters(seed: int, count: int) -> list[tuple[Side, Part, np.ndarray]]:
    """Counters of both arms that hide, restart, begin late, end early and show older readings."""
    rng = np.random.default_rng(seed)
    meters = []
    for number in range(int(rng.integers(1, 6))):
        steps = rng.poisson(3, count).astype(float)
        level = np.cumsum(steps) + (1000 if rng.random() < 0.5 else 0)
        for reset in np.flatnonzero(rng.random(count) < 0.05):
            level[reset:] -= level[reset] - steps[reset]
        if rng.random() < 0.5:
            older = np.flatnonzero(rng.random(count) < 0.1)
            level[older] = np.maximum(level[older] - rng.poisson(6, len(older)), 0)
        level[rng.random(count) < rng.choice([0.0, 0.02, 0.3])] = math.nan
        if rng.random() < 0.4:
            level[: rng.integers(0, count)] = math.nan
        if rng.random() < 0.3:
            level[rng.integers(0, count) :] = math.nan
        gone = rng.integers(0, count)
        if rng.random() < 0.3:
            level[gone : gone + rng.integers(1, 40)] = math.nan
        side = Side.CANDIDATE if number == 0 else Side(int(rng.integers(0, 2)))
        meters.append((side, Part.TOTAL if rng.random() < 0.6 else Part.BAD, level[:, None]))
    return meters


@pytest.mark.parametrize("seed", range(150))
def test_windows_close_where_the_ledger_closes_them(seed: int) -> None:
    meters = random_meters(seed, 120)
    births = float(seed % 7)
    for waited in (frozenset(Side), frozenset({Side.CANDIDATE})):
        wanted = by_ledger(meters, waited, births)
        assert_same(as_rounds(by_grid(meters, waited, births, 1 + seed % 50)), wanted)


def test_a_gap_makes_no_windows_and_what_was_counted_in_it_comes_with_its_end() -> None:
    level = np.arange(12.0)[:, None] * 2
    level[5:8] = math.nan
    found = by_grid([(Side.CANDIDATE, Part.TOTAL, level)], frozenset(Side), 0.0, 12)
    assert found.closed.tolist() == [True, True, False, False, False, True, True, True, True]
    assert found.total[0].tolist() == [2, 2, 0, 0, 0, 8, 2, 2, 2]


def test_a_histogram_without_the_infinite_bucket_has_no_rows() -> None:
    histogram = Histogram({0.1: np.zeros(3), 1.0: np.zeros(3)})
    assert histogram.rows() is None


@settings(max_examples=30)
@given(st.integers(1, 20))
def test_windows_with_another_bucket_layout_are_left_out(chunk: int) -> None:
    count = 20
    grid = Grid(0.0, STEP_S, count)
    tallies = Tallies(grid, start=START, interval_s=STEP_S)
    old, new = Meter(Side.CANDIDATE, Part.BUCKETS, (1.0, INF)), Meter(Side.STABLE, Part.BUCKETS, (1.0, 2.0, INF))
    late = np.full((count, 3), math.nan)
    late[15:] = np.arange(5.0)[:, None]
    for at in range(0, count, chunk):
        tallies.count(old, (np.arange(count)[:, None] * np.array([1.0, 2.0]))[at : at + chunk], at)
        tallies.count(new, late[at : at + chunk], at)
    found = tallies.rounds(Side)
    assert found.bounds == (1.0, INF)
    assert found.total[0, : 15 - START].tolist() == [2.0] * (15 - START)
    assert not found.total[:, 15 - START :].any()
