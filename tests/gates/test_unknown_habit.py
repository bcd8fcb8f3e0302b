"""Where nothing is known of stable's habit: bursts are not taken for rates, and the drag is learnt from stable."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrelease.domain.gate import AgainstStable
from modelrelease.domain.verdict import Outcome
from modelrelease.gates import judge
from modelrelease.gates.counts import Counts
from modelrelease.gates.runs import ASSUMED, ASSUMED_AGAINST_STABLE, MOST, Runs, drag, noise, spotless, worth
from modelrelease.gates.surplus import Surplus, stakes
from tests.gates.builders import UNKNOWN, bursty, evidence, gate, judged, stratum, under


@pytest.mark.parametrize("burst", [1, 5, 40])
@pytest.mark.parametrize("drags", [1.0, 2.5])
def test_one_window_at_the_bound_is_worth_at_most_one_whatever_comes_together(burst: int, drags: float) -> None:
    """Bursts bring their requests with them: of 60 requests on average three are bad."""
    test, bound, mean = Surplus(0.05), 0.05, 0.0
    bursts = 3.0 / burst
    for number in range(60):
        probability = math.exp(-bursts + number * math.log(bursts) - math.lgamma(number + 1))
        window = Counts(57 + number * burst, number * burst, drag=drags)
        mean += probability * math.exp(test.log_e(test.update(test.start(), window)))
    assert 57 * bound / (1 - bound) == pytest.approx(3.0)
    assert mean <= 1 + 1e-9


def test_one_burst_counts_once_however_large_it_is() -> None:
    test = Surplus(0.05)
    for size in (10, 1000, 100_000):
        assert test.log_e(test.update(test.start(), Counts(size, size))) < math.log(20)


def test_windows_without_requests_change_nothing() -> None:
    test = Surplus(0.1)
    state = test.update(test.start(), Counts(5.0, 1.0))
    assert test.update(state, Counts(0.0, 0.0, 100.0, 3.0)) == state
    assert test.log_e(test.start()) == 0


@given(st.sampled_from([0.0, 1e-6, 0.05, 0.5, 0.999, 1.0]))
def test_there_are_stakes_on_every_bound(bound: float) -> None:
    assert all(math.isfinite(stake) and stake > 0 for stake in stakes(bound))
    assert list(stakes(bound)) == sorted(stakes(bound))


def _heard(rng: random.Random, size: int, lasting: int, windows: int = 400) -> Runs:
    """Stable with bursts of `size` events, spread over so many windows, half an event per window on average."""
    events = [0] * (windows + lasting)
    for window in range(windows):
        if rng.random() < 0.5 / size:
            for _ in range(size):
                events[window + rng.randrange(lasting)] += 1
    runs = Runs()
    for window in range(windows):
        runs = runs.update(Counts(n_s=100, y_s=events[window]))
    return runs


def test_runs_of_stable_drag_and_single_events_do_not() -> None:
    rng = random.Random(5)
    runs, alone = (
        sorted(drag((_heard(rng, *kind),), comparative=False) for _ in range(15)) for kind in ((10, 12), (1, 1))
    )
    assert runs[3] > 3
    assert alone[10] < 1.6
    assert noise((_heard(rng, 10, 12),)) > 5


def test_before_stable_was_heard_a_drag_is_assumed_that_gives_way() -> None:
    assert (drag((), comparative=False), drag((), comparative=True)) == (ASSUMED[0], ASSUMED_AGAINST_STABLE[0])
    runs, found = Runs(), []
    for _ in range(200):
        found.append(drag((runs,), comparative=True))
        runs = runs.update(Counts(n_s=100, y_s=0))
    assert found == sorted(found, reverse=True)
    assert found[-1] < 2
    assert noise((runs,)) == noise(()) == 1
    assert sum(1 / each for each in found) == pytest.approx(worth(200, 1.0, comparative=True), rel=0.01)


def test_stable_is_clean_only_while_enough_of_it_shows_no_bad_event() -> None:
    runs, seen = Runs(), []
    for y in (0, 0, 0, 1, 0):
        runs = runs.update(Counts(n_s=25, y_s=y))
        seen.append(spotless((runs,)))
    assert seen == [(False, False), (True, False), (True, False), (False, False), (False, False)]
    assert spotless((Runs().update(Counts(n_s=100, y_s=100)),)) == (False, True)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1)), max_size=30))
def test_drag_and_noise_are_always_numbers_from_one_on(steps: list[tuple[float, float]]) -> None:
    runs = Runs()
    for n, share in steps:
        runs = runs.update(Counts(n_s=n, y_s=n * share))
        assert 1 <= drag((runs,), comparative=True) <= MOST
        assert 1 <= noise((runs,)) < math.inf


@pytest.mark.parametrize("rule", [under("0.05"), AgainstStable(max_ratio="1.5")])
def test_bursts_of_ten_revert_hardly_any_good_release(rule: object) -> None:
    """1 % of 20 requests/s on the candidate, in windows of five seconds."""
    rng, wrong = random.Random(7), 0
    for _ in range(40):
        strata = []
        for tick in range(120):
            bad_c, bad_s = bursty(rng, 1.0, 10), bursty(rng, 4.0, 10)
            strata.append(stratum(tick, (99 + bad_c, bad_c), (396 + bad_s, bad_s)))
        wrong += judged(gate(rule=rule), strata, settings=UNKNOWN).outcome is Outcome.REVERT  # type: ignore[arg-type]
    assert wrong <= 2


def test_stable_is_heard_by_absolute_gates_too_and_states_keep_it() -> None:
    of = gate(rule=under("0.05"))
    quiet = judge.start(of, UNKNOWN)
    state = judge.fold(of, quiet, evidence(*(stratum(tick, (20, 0), (400, 4)) for tick in range(50))))
    (track,) = state.tracks
    assert track.machine.runs[0].windows == 50  # type: ignore[union-attr]
    assert judge.GateState.from_dict(state.to_dict()) == state
    known = judge.fold(of, judge.start(of, replace(UNKNOWN, phi=1.0)), evidence(stratum(0, (20, 0), (400, 4))))
    assert known.tracks[0].machine.runs == ()  # type: ignore[union-attr]
