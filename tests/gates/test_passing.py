"""Passing against stable: mirrored likelihood, difference of rates, and the φ that tempers both."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrelease.gates.counts import Counts
from modelrelease.gates.difference import Difference
from modelrelease.gates.dispersion import Dispersion, phi_for_passing, phi_for_stakes
from modelrelease.gates.mirrored import Mirrored, mirrored
from tests.gates.builders import bursty


@pytest.mark.parametrize(("rule", "margin"), [(2.0, 2.0), (1.5, 1.5), (1.02, 1.05), (1.0, 1.05), (0.8, 0.8)])
def test_the_margin_is_the_rules_unless_equality_itself_is_demanded(rule: float, margin: float) -> None:
    assert mirrored(rule).margin == margin


@pytest.mark.parametrize("bad", [1, 6, 25])
@pytest.mark.parametrize("n_c", [5, 50])
def test_mirrored_evidence_is_worth_one_at_the_margin(bad: int, n_c: int) -> None:
    test, n_s = Mirrored(2.0), 100
    p = 2 * n_c / (2 * n_c + n_s)
    mean = sum(
        math.comb(bad, y)
        * p**y
        * (1 - p) ** (bad - y)
        * math.exp(test.log_e(test.update(test.start(), Counts(n_c, y, n_s, bad - y))))
        for y in range(bad + 1)
    )
    assert mean == pytest.approx(1, abs=1e-9)


@given(st.floats(0, 100), st.floats(0, 100))
def test_windows_without_both_arms_or_bad_events_say_nothing(n_c: float, n_s: float) -> None:
    test, gap = Mirrored(1.5), Difference(0.01)
    assert test.update(test.start(), Counts(n_c, 0, n_s, 0)) == test.start()
    assert test.update(test.start(), Counts(n_c, min(n_c, 3), 0, 0)) == test.start()
    assert gap.update(gap.start(), Counts(n_c, min(n_c, 3), 0, 0)) == gap.start()


def test_equal_arms_prove_a_difference_below_the_margin_even_without_bad_events() -> None:
    test = Difference(0.01)
    state = test.start()
    for _ in range(60):
        state = test.update(state, Counts(50, 0, 450, 0))
    assert test.log_e(state) > math.log(20)


def test_a_candidate_at_the_allowed_difference_rarely_passes() -> None:
    rng, test, passed = random.Random(3), Difference(0.01), 0
    for _ in range(200):
        state = test.start()
        for _ in range(60):
            state = test.update(state, Counts(100, bursty(rng, 2, 1), 400, bursty(rng, 4, 1)))
            if test.log_e(state) >= math.log(20):
                passed += 1
                break
    assert passed <= 10


def _phi(size: float, drift: float, ticks: int = 800) -> tuple[float, float]:
    rng, seen = random.Random(11), Dispersion()
    for tick in range(ticks):
        rate = 0.02 * (1 + drift * math.sin(tick / 40))
        seen = seen.update(Counts(n_s=500, y_s=bursty(rng, 500 * rate, size)))
    return phi_for_stakes((seen,)), phi_for_passing((seen,))


def test_phi_is_near_one_for_independent_events_whatever_the_base_rate_does() -> None:
    for drift in (0.0, 0.5):
        stakes, passing = _phi(1, drift)
        assert stakes < 1.3
        assert 1.0 <= passing < 3.0


def test_phi_finds_bursts() -> None:
    """Bursts with geometric sizes of mean 3 have φ = 5."""
    stakes, passing = _phi(3, 0.0)
    assert 3.5 < stakes < 6.5
    assert passing >= 1.3 * stakes * 0.99


def test_phi_of_several_segments_is_taken_within_each() -> None:
    rng, low, high = random.Random(5), Dispersion("low"), Dispersion("high")
    for _ in range(300):
        low = low.update(Counts(n_s=500, y_s=bursty(rng, 5, 1)))
        high = high.update(Counts(n_s=500, y_s=bursty(rng, 100, 1)))
    assert phi_for_stakes((low, high)) < 1.3
