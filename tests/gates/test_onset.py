"""Failures that begin late are seen soon, and looking at every window raises no false alarm."""

import math
import random
from dataclasses import replace

import pytest

from modelrelease.domain.habit import Habit
from modelrelease.gates.counts import Counts
from modelrelease.gates.demands import AtMost
from modelrelease.gates.onset import Onset, Stakes, share_of, unstaked

THREE_GATES = math.log(300)


ALONE = Habit(0, 1.0)
"""Stable's bad events are independent."""


def run(demand: AtMost, rates: list[float], per_window: int, seed: int, habit: Habit | None = ALONE) -> int | None:
    """At which window (from 1) the demand is refuted."""
    source, state = random.Random(seed), demand.start(habit)
    for number, rate in enumerate(rates, 1):
        bad = sum(source.random() < rate for _ in range(per_window))
        state = demand.update(state, Counts(float(per_window), float(bad)))
        if demand.log_revert(state) >= THREE_GATES:
            return number
    return None


@pytest.mark.parametrize("clean", [5, 50, 500])
def test_half_failing_after_clean_windows_is_found_within_two_windows_of_twenty(clean: int) -> None:
    found = sorted(run(AtMost(0.05), [0.0] * clean + [0.5] * 20, 20, seed) or 10**6 for seed in range(40))
    assert found[len(found) // 2] - clean <= 2
    assert found[-1] - clean <= 4


@pytest.mark.parametrize(("clean", "windows"), [(5, 7), (50, 7), (500, 8)])
def test_where_no_habit_is_known_it_takes_some_windows_more(clean: int, windows: int) -> None:
    rates = [0.0] * clean + [0.5] * 20
    found = sorted(run(AtMost(0.05), rates, 20, seed, None) or 10**6 for seed in range(20))
    assert 3 <= found[len(found) // 2] - clean <= windows


def test_the_shares_of_all_windows_add_up_to_one() -> None:
    for windows in (1, 2, 10, 1000):
        assert math.isclose(sum(share_of(k) for k in range(1, windows + 1)) + unstaked(windows), 1.0)


@pytest.mark.parametrize("habit", [ALONE, None])
def test_a_rate_at_the_bound_is_seldom_refuted_however_often_one_looks(habit: Habit | None) -> None:
    refuted = sum(run(AtMost(0.05), [0.05] * 300, 20, seed, habit) is not None for seed in range(300))
    assert refuted <= 3, f"{refuted} of 300 at a nominal 1 in 300"


def test_the_mean_of_the_e_value_under_the_bound_is_one() -> None:
    """Exact over all outcomes of three windows of two requests."""
    test, bound, mean = Onset(0.3), 0.3, 0.0
    for a in range(3):
        for b in range(3):
            for c in range(3):
                state, weight = test.start(), 1.0
                for bad in (a, b, c):
                    state = test.update(state, Counts(2.0, float(bad)))
                    weight *= math.comb(2, bad) * bound**bad * (1 - bound) ** (2 - bad)
                mean += weight * math.exp(test.log_e(state))
    assert math.isclose(mean, 1.0, rel_tol=1e-9)


def test_windows_without_requests_change_nothing() -> None:
    test = Onset(0.1)
    state = test.update(test.start(), Counts(5.0, 1.0))
    assert test.update(state, Counts(0.0, 0.0, 100.0, 3.0)) == state


def test_the_mean_stays_one_when_stakes_follow_alarms() -> None:
    """Exact over all outcomes of six windows of two requests; one of two is above the bound."""
    test, bound = Onset(0.3), 0.3
    states = {test.start(): 1.0}
    for _ in range(6):
        following: dict[Stakes, float] = {}
        for state, weight in states.items():
            for bad in range(3):
                after = test.update(state, Counts(2.0, float(bad)))
                chance = math.comb(2, bad) * bound**bad * (1 - bound) ** (2 - bad)
                following[after] = following.get(after, 0.0) + weight * chance
        states = following
    assert math.isclose(sum(weight * math.exp(test.log_e(state)) for state, weight in states.items()), 1.0)
    assert max(state.alarms for state in states) == 6


def test_after_hours_a_broken_candidate_costs_little_more_than_at_once() -> None:
    def evidence(clean: int) -> float:
        test = Onset(0.05)
        state = test.start()
        for bad in [0.0] * clean + [4.0, 8.0]:
            state = test.update(state, Counts(20.0, bad))
        return test.log_e(state)

    assert evidence(5) - evidence(1000) < 1.0


def test_in_bursts_nothing_is_staked_on_an_alarm() -> None:
    test = Onset(0.05, phi=4.0)
    state = test.update(test.start(), Counts(20.0, 6.0))
    assert state.alarmed
    follows, other = test.update(state, Counts(20.0, 6.0)), replace(state, alarms=0, alarmed=False)
    assert follows.logs == test.update(other, Counts(20.0, 6.0)).logs
