"""The tests when stable's habit is known: worth at most one under the null, and held by drag where windows echo."""

import math
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrelease.domain.gate import AgainstStable
from modelrelease.domain.habit import HIGHEST_KNOWN, INDEPENDENT, WANDERS, Habit
from modelrelease.domain.verdict import Outcome
from modelrelease.gates import judge
from modelrelease.gates.betting import against_difference, against_ratio
from modelrelease.gates.binomial import Binomial, Trials, lower_bound
from modelrelease.gates.counts import Counts
from modelrelease.gates.demands import AtMost
from modelrelease.gates.echo import FULL, MOST, Echo, burst_noise, drag, fading
from modelrelease.gates.sequences import log_mean_exp
from tests.gates.builders import SETTINGS, ask, bursty, evidence, folded, gate, judged, stratum, under


def test_a_known_phi_is_one_or_that_of_bursts() -> None:
    assert Habit(0, 1.0).together == Habit(0, INDEPENDENT).together == 1
    assert Habit(60, 5.0).together == 5
    assert Habit(60, 700.0).together == HIGHEST_KNOWN


def _binomial(n: int, p: float) -> Iterator[tuple[int, float]]:
    for k in range(n + 1):
        yield k, math.comb(n, k) * p**k * (1 - p) ** (n - k)


@pytest.mark.parametrize("burst", [1, 3, 8])
@pytest.mark.parametrize("bursts", [1, 4, 12])
@pytest.mark.parametrize("n_c", [1, 20, 90])
@pytest.mark.parametrize(("rho", "drags"), [(1.0, 1.0), (1.5, 1.7), (3.0, 1.0)])
def test_one_window_at_the_margin_is_worth_at_most_one(
    burst: int, bursts: int, n_c: int, rho: float, drags: float
) -> None:
    """Whatever φ says, as long as it says that events may come together."""
    test, n_s, p0 = against_ratio(rho), 100, rho * n_c / (rho * n_c + 100)
    for phi in (1.5, 5.0, 40.0):
        mean = 0.0
        for hit, probability in _binomial(bursts, p0):
            window = Counts(n_c, hit * burst, n_s, (bursts - hit) * burst, phi, drags)
            mean += probability * math.exp(test.log_e(test.update(test.start(known=True), window)))
        assert mean <= 1 + 1e-12


@pytest.mark.parametrize("events", [1, 7, 40])
@pytest.mark.parametrize("n_c", [1, 30, 100])
def test_a_likelihood_ratio_of_independent_events_is_worth_one_at_the_margin(events: int, n_c: int) -> None:
    test, p0 = against_ratio(1.5), 1.5 * n_c / (1.5 * n_c + 100)
    mean = sum(
        weight * math.exp(test.log_e(test.update(test.start(known=True), Counts(n_c, hit, 100, events - hit))))
        for hit, weight in _binomial(events, p0)
    )
    assert mean == pytest.approx(1, abs=1e-12)


def test_what_was_staked_late_is_worth_one_over_two_windows() -> None:
    """Exact over all outcomes of two windows of three events."""
    test, p0, mean = against_ratio(1.0), 0.25, 0.0
    for first, one in _binomial(3, p0):
        for then, two in _binomial(3, p0):
            state = test.start(known=True)
            for hit in (first, then):
                state = test.update(state, Counts(25, hit, 75, 3 - hit))
            mean += one * two * math.exp(test.log_e(state))
    assert mean == pytest.approx(1, abs=1e-12)


def test_an_allowed_difference_is_kept_whatever_the_habit() -> None:
    test, mean = against_difference(0.1), 0.0
    for y_c, of_c in _binomial(10, 0.2):
        for y_s, of_s in _binomial(40, 0.1):
            window = Counts(10, y_c, 40, y_s, 4.0)
            mean += of_c * of_s * math.exp(test.log_e(test.update(test.start(known=True), window)))
    assert mean <= 1.001


def test_a_rise_after_hours_without_one_is_found_soon() -> None:
    """Independent errors at 20 % of 500 requests/s: 2,000 good windows, then twice the errors."""
    rng, test = random.Random(1), against_ratio(1.0)
    state = test.start(known=True)
    for _ in range(2000):
        state = test.update(state, Counts(1500, bursty(rng, 15, 1), 6000, bursty(rng, 60, 1)))
    needed = 0
    while test.log_e(state) < math.log(200):
        needed += 1
        state = test.update(state, Counts(1500, bursty(rng, 30, 1), 6000, bursty(rng, 60, 1)))
    assert needed <= 8


def test_the_ladder_of_bounds_still_falls() -> None:
    rng, test = random.Random(8), against_ratio(1.0)
    for phi in (1.0, 6.0):
        state = test.start(known=True)
        for _ in range(150):
            state = test.update(state, Counts(100, bursty(rng, 5, 1), 900, bursty(rng, 9, 1), phi, 1.2))
        found = test.highest_refuted(state, math.log(100))
        assert found is not None
        assert 2 <= found.ratio <= 5
        rungs = [log_mean_exp(state.ladder[at : at + 4]) for at in range(0, len(state.ladder), 4)]
        assert rungs == sorted(rungs, reverse=True)


def _heard(excesses: list[float], habit: Habit, bad: float = 200.0) -> float:
    echo = Echo()
    for excess in excesses:
        echo = echo.update(Counts(500, 100 + excess, 500, 100), fading(habit))
    return drag(habit, (echo,), bad)


def test_windows_that_resemble_their_predecessors_drag_and_others_do_not() -> None:
    rng, habit, dragged, free = random.Random(2), Habit(120, 5.0), [], []
    for _ in range(21):
        level, runs = 0.0, []
        for _ in range(60):
            level = 0.8 * level + rng.gauss(0, 10)
            runs.append(level)
        dragged.append(_heard(runs, habit))
        free.append(_heard([rng.gauss(0, 10) for _ in range(60)], habit))
    assert sorted(dragged)[10] > 1.6
    assert sorted(free)[10] < 1.1
    assert 1 <= _heard(runs * 50, habit) <= MOST
    assert _heard(runs, Habit(0, 5.0)) == 1, "where history shows no echo, none is looked for"


def test_full_windows_drag_before_any_was_heard_unless_the_rate_wanders() -> None:
    assert [_heard([], Habit(90, phi), FULL) for phi in (3.0, 6.0, 15.0, WANDERS)] == [1.0625, 1.25, 2, 1]
    assert _heard([], Habit(90, 15.0), FULL - 1) == 1
    heard = [_heard([0.0] * number, Habit(90, 15.0), FULL) for number in (0, 1, 20, 200)]
    assert heard == sorted(heard, reverse=True)
    assert heard[2] == pytest.approx(1.4)
    assert _heard([], Habit(0, 15.0), FULL) == 1


def test_bad_events_of_rare_bursts_are_taken_for_one_burst() -> None:
    habit = Habit(0, 9.0)
    assert burst_noise(habit, ()) == 9
    assert burst_noise(Habit(0, 1.1), (Echo(windows=10, bad=1.0),)) == 1
    assert burst_noise(habit, (Echo(windows=10, bad=500.0),)) == 9
    assert burst_noise(habit, (Echo(windows=10, bad=5.0),)) == 90


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 50)), max_size=20), st.floats(2, 600))
def test_drag_is_always_a_number_from_one_on(bads: list[tuple[float, float]], window_s: float) -> None:
    habit, echo = Habit(int(window_s), 4.0), Echo()
    for y_c, y_s in bads:
        echo = echo.update(Counts(60, y_c, 60, y_s), fading(habit))
        assert 1 <= drag(habit, (echo,), 20 * y_c) <= MOST


def _geometric(rng: random.Random, size: float) -> int:
    return 1 + int(math.log(1 - rng.random()) / math.log(1 - 1 / size))


@pytest.mark.parametrize("size", [3.0, 6.0])
def test_tilts_are_worth_at_most_one_at_the_bound_when_errors_come_in_bursts(size: float) -> None:
    """Requests until a fixed number; the mean over 20,000 runs, none of which weighs much."""
    rng, bound, n, runs = random.Random(4), 0.05, 120, 20_000
    test = Binomial(bound, above=True, phi=2 * size - 1)
    total = 0.0
    for _ in range(runs):
        bad, gap = 0, rng.expovariate(n * bound / size)
        while gap < 1:
            bad += _geometric(rng, size)
            gap += rng.expovariate(n * bound / size)
        total += min(math.exp(test.log_e(Trials(max(n, bad), bad))), 200.0)
    assert total / runs <= 1.05


def test_a_burst_does_not_break_a_bound_that_is_kept() -> None:
    """Twelve failures in a row at 1 %: independent errors they would not be."""
    window = Counts(13, 12, 0, 0)
    for habit, refuted in ((None, False), (Habit(0, 1.0), True), (Habit(0, 12.0), False)):
        demand = AtMost(0.05)
        state = demand.update(demand.start(habit), window)
        assert (demand.log_revert(state) >= math.log(200)) is refuted


@pytest.mark.parametrize(("phi", "requests"), [(5.0, 110), (12.0, 260)])
def test_half_of_all_requests_failing_breaks_a_bound_although_errors_come_in_bursts(phi: float, requests: int) -> None:
    rng, needed, demand = random.Random(3), [], AtMost(0.05)
    for _ in range(40):
        state, count = demand.start(Habit(0, phi)), 0
        while demand.log_revert(state) < math.log(200):
            count += 10
            state = demand.update(state, Counts(10, sum(rng.random() < 0.5 for _ in range(10))))
        needed.append(count)
    assert sorted(needed)[20] <= requests


def test_the_lower_bound_of_a_rate_says_less_when_errors_come_in_bursts() -> None:
    alone, bursts = lower_bound(200, 100, math.log(100)), lower_bound(200, 100, math.log(100), 5.0)
    assert 0.1 < bursts < alone < 0.5
    assert lower_bound(200, 3, math.log(100), 5.0) == 0


def test_a_pass_under_a_bound_needs_more_when_errors_come_in_bursts() -> None:
    quiet = Trials(80, 0)
    alone, bursts = (Binomial(0.05, above=False, phi=phi).log_e(quiet) for phi in (1.0, 5.0))
    assert alone > math.log(20) > bursts > 0


@pytest.mark.parametrize("phi", [None, 1.0, 5.0])
def test_settings_hand_the_habit_to_every_gate_and_states_keep_it(phi: float | None) -> None:
    settings = replace(SETTINGS, window_s=10, phi=phi)
    bad = [stratum(tick, (20, 10), (80, 1)) for tick in range(60)]
    for of in (gate(rule=AgainstStable(max_ratio="1.5", floor="0.01")), gate(rule=under("0.05"))):
        assert judged(of, bad, settings=settings).outcome is Outcome.REVERT
        state = folded(of, evidence(*bad), settings=settings)
        assert judge.GateState.from_dict(state.to_dict()) == state
        assert state.phi == phi
    tight, loose = (gate(rule=AgainstStable(max_ratio=ratio)) for ratio in ("1.5", "2"))
    anew = judge.fold(tight, folded(loose, evidence(*bad), settings=settings), evidence(*bad))
    assert anew == folded(tight, evidence(*bad), settings=settings)
    assert ask(tight, anew, settings=settings).outcome is Outcome.REVERT
