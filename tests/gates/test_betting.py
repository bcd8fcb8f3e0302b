"""The bets must be worth nothing on average under any null, however the events cluster; that is all they claim."""

import math
import random
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrelease.gates.betting import Null, against_difference, against_ratio
from modelrelease.gates.counts import Counts
from modelrelease.gates.sequences import log_mean_exp
from tests.gates.builders import bursty

windows = st.builds(
    Counts,
    n_c=st.integers(0, 500).map(float),
    y_c=st.integers(0, 60).map(float),
    n_s=st.integers(0, 500).map(float),
    y_s=st.integers(0, 60).map(float),
    phi=st.floats(1, 20),
)


def _binomial(n: int, p: float) -> Iterator[tuple[int, float]]:
    for k in range(n + 1):
        yield k, math.comb(n, k) * p**k * (1 - p) ** (n - k)


def _poisson(mean: float, up_to: int) -> Iterator[tuple[int, float]]:
    for k in range(up_to):
        yield k, math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) if mean else float(k == 0)


@pytest.mark.parametrize("burst", [1, 3, 8])
@pytest.mark.parametrize("bursts", [1, 4, 12])
@pytest.mark.parametrize("n_c", [1, 20, 90])
@pytest.mark.parametrize("rho", [1.0, 1.5, 3.0])
def test_one_window_at_the_margin_is_worth_at_most_one(burst: int, bursts: int, n_c: int, rho: float) -> None:
    test, n_s = against_ratio(rho), 100
    p0 = rho * n_c / (rho * n_c + n_s)
    mean = 0.0
    for hit, probability in _binomial(bursts, p0):
        window = Counts(n_c, hit * burst, n_s, (bursts - hit) * burst)
        mean += probability * math.exp(test.log_e(test.update(test.start(), window)))
    assert mean <= 1 + 1e-12


@pytest.mark.parametrize(("n_c", "n_s", "rate", "d"), [(5, 20, 0.1, 0.1), (20, 20, 0.05, 0.02), (2, 60, 0.02, 0.3)])
def test_one_window_at_the_allowed_difference_is_worth_at_most_one(n_c: int, n_s: int, rate: float, d: float) -> None:
    test = against_difference(d)
    mean = 0.0
    for y_c, of_c in _poisson(n_c * (rate + d), 25):
        for y_s, of_s in _poisson(n_s * rate, 25):
            window = Counts(n_c, y_c, n_s, y_s)
            mean += of_c * of_s * math.exp(test.log_e(test.update(test.start(), window)))
    assert mean <= 1 + 1e-9


def test_many_bursty_windows_with_moving_weight_and_base_rate_are_worth_at_most_one() -> None:
    rng, test, runs = random.Random(20260301), against_ratio(1.5), 600
    total = squares = 0.0
    for _ in range(runs):
        state = test.start()
        for tick in range(12):
            weight, rate = (0.05, 0.2, 0.5)[tick // 4], 0.01 + 0.03 * math.sin(tick) ** 2
            n_c, n_s = 200 * weight, 200 * (1 - weight)
            y_c, y_s = bursty(rng, n_c * rate * 1.5, 3), bursty(rng, n_s * rate, 3)
            state = test.update(state, Counts(n_c, y_c, n_s, y_s))
        value = math.exp(test.log_e(state))
        total, squares = total + value, squares + value * value
    mean = total / runs
    assert mean <= 1 + 3 * math.sqrt((squares / runs - mean * mean) / runs)


@given(st.lists(windows, max_size=8))
def test_capital_stays_positive_and_finite(played: list[Counts]) -> None:
    for test in (against_ratio(1.5), against_difference(0.02)):
        state = test.start()
        for window in played:
            state = test.update(state, window)
        assert all(math.isfinite(log) for log in (*state.capital, *state.ladder, test.log_e(state)))


@given(st.lists(windows, max_size=6))
def test_windows_without_both_arms_multiply_by_one(played: list[Counts]) -> None:
    for test in (against_ratio(1.2), against_difference(0.01)):
        state = test.start()
        for window in played:
            for empty in (Counts(window.n_c, window.y_c, 0, 0), Counts(0, 0, window.n_s, window.y_s), Counts()):
                assert test.update(state, empty) == state
            state = test.update(state, window)


@given(windows)
def test_equal_shares_never_gain_against_an_allowed_ratio(window: Counts) -> None:
    equal = Counts(window.n_c, window.n_c / 10, window.n_s, window.n_s / 10)
    test = against_ratio(1.5)
    assert test.log_e(test.update(test.start(), equal)) <= 0


@given(st.lists(windows, max_size=6))
def test_capital_falls_as_the_null_rises_so_that_the_bound_covers(played: list[Counts]) -> None:
    for test in (against_ratio(1.0), against_difference(0.01)):
        state = test.start()
        for window in played:
            state = test.update(state, window)
        width = len(state.ladder) // len(test.ladder)
        rungs = [log_mean_exp(state.ladder[at : at + width]) for at in range(0, len(state.ladder), width)]
        assert all(lower >= higher - 1e-9 for lower, higher in pairwise(rungs))


def test_the_highest_refuted_null_is_below_the_true_ratio() -> None:
    rng, test = random.Random(8), against_ratio(1.0)
    state = test.start()
    for _ in range(150):
        state = test.update(state, Counts(100, bursty(rng, 5, 1), 900, bursty(rng, 9, 1)))
    found = test.highest_refuted(state, math.log(100))
    assert found is not None
    assert 3 <= found.ratio <= 5
    assert test.highest_refuted(test.start(), math.log(100)) is None


def test_a_null_allows_what_it_says() -> None:
    window = Counts(n_c=100, y_c=6, n_s=300, y_s=6)
    assert Null(1.0).expected(window) == pytest.approx(3.0)
    assert Null(3.0).expected(window) == pytest.approx(6.0)
    assert Null(1.0, 0.02).expected(window) == pytest.approx(3.0 + 0.75 * 2)
