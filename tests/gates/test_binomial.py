import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrelease.gates.binomial import Binomial, Trials, lower_bound
from modelrelease.gates.counts import Counts

THREE_GATES = math.log(3 / 0.01)


@pytest.mark.parametrize(
    ("bad", "of", "reverts"),
    [
        (5, 10, True),
        (4, 6, True),
        (5, 8, True),
        (6, 14, True),
        (3, 3, True),
        (2, 2, False),
        (3, 6, False),
        (1, 1, False),
    ],
)
def test_a_broken_candidate_is_seen_within_ten_requests(bad: int, of: int, reverts: bool) -> None:
    assert (Binomial(0.05, above=True).log_e(Trials(of, bad)) >= THREE_GATES) is reverts


@pytest.mark.parametrize("bound", [0.001, 0.01, 0.05, 0.2])
def test_twice_the_bound_is_seen_near_walds_number(bound: float) -> None:
    test, p = Binomial(bound, above=True), 2 * bound
    per_request = p * math.log(p / bound) + (1 - p) * math.log((1 - p) / (1 - bound))
    wald = math.log(100) / per_request
    needed = next(n for n in range(1, 10**6, max(1, int(wald / 50))) if test.log_e(Trials(n, n * p)) >= math.log(100))
    assert needed <= 1.7 * wald


@pytest.mark.parametrize("bound", [0.001, 0.01, 0.05])
def test_no_bad_events_pass_after_about_ln_beta_over_the_bound(bound: float) -> None:
    test = Binomial(bound, above=False)
    needed = next(n for n in range(1, 10**6) if test.log_e(Trials(n, 0)) >= math.log(20))
    assert math.log(20) / bound <= needed * 1.01 <= 1.25 * math.log(20) / bound


@pytest.mark.parametrize("above", [True, False])
@pytest.mark.parametrize("bound", [0.01, 0.05, 0.5])
@pytest.mark.parametrize("n", [1, 7, 60])
def test_evidence_is_worth_exactly_one_at_the_bound(bound: float, n: int, above: bool) -> None:
    test = Binomial(bound, above)
    mean = sum(
        math.comb(n, y) * bound**y * (1 - bound) ** (n - y) * math.exp(test.log_e(Trials(n, y))) for y in range(n + 1)
    )
    assert mean == pytest.approx(1, abs=1e-9)


def test_a_bound_of_zero_is_refuted_by_one_bad_event_and_never_proven() -> None:
    assert Binomial(0.0, above=True).log_e(Trials(1000, 1)) > THREE_GATES
    assert Binomial(0.0, above=False).log_e(Trials(10**6, 0)) < math.log(2)


@given(st.integers(0, 3000), st.floats(0, 1), st.floats(1e-6, 1 - 1e-6), st.booleans())
def test_evidence_is_never_nan(n: int, share: float, bound: float, above: bool) -> None:
    assert not math.isnan(Binomial(bound, above).log_e(Trials(n, round(n * share))))


def test_the_lower_bound_covers_at_all_times_together() -> None:
    rng, misses, runs = random.Random(7), 0, 300
    for _ in range(runs):
        bad = 0
        for n in range(1, 101):
            bad += rng.random() < 0.1
            if n % 5 == 0 and lower_bound(n, bad, math.log(20)) > 0.1:
                misses += 1
                break
    assert misses / runs <= 0.05


def test_updates_add_up() -> None:
    test = Binomial(0.05, above=True)
    state = test.update(test.update(test.start(), Counts(n_c=10, y_c=1)), Counts(n_c=5, y_c=2, n_s=99))
    assert state == Trials(15, 3)
