"""Tilts of bursts against stable: worth one at the margin whatever the base rate, and soon where windows are full."""

import math
import random

import pytest

from modelrelease.domain.habit import Habit
from modelrelease.gates.betting import Bets, against_difference, against_ratio
from modelrelease.gates.counts import Counts
from modelrelease.gates.tilting import MOST, SHARE, SHARE_WANDERING, TILTS, cost, odds_of, share_of, size_of
from tests.gates.builders import bursty


@pytest.mark.parametrize("size", [1.4, 3.0, 12.0])
@pytest.mark.parametrize("share", [0.01, 0.2, 0.7])
def test_a_tilt_is_worth_one_at_the_margin_and_less_below_it(size: float, share: float) -> None:
    """Exact: the log of its mean per burst, from the moment generating function of geometric sizes."""

    def moment(odds: float) -> float:
        return odds / (size - (size - 1) * odds)

    for odds in odds_of(size):
        less = math.exp(-cost(odds, size, share))
        for own, worth in ((share, 0.0), (share * 0.8, -1e-6)):
            mean = own * (moment(odds * less) - 1) + (1 - own) * (moment(less) - 1)
            assert mean == pytest.approx(0, abs=1e-12) if worth == 0 else mean < worth


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_the_cost_of_single_events_is_that_of_the_likelihood_ratio(share: float) -> None:
    assert cost(1.7, 1.0, share) == pytest.approx(math.log(1 + share * 0.7))


@pytest.mark.parametrize(
    ("habit", "share", "size"),
    [
        (Habit(90, 5.0), SHARE, 4.0),
        (Habit(90, 20.0), SHARE, 14.5),
        (Habit(90, 50.0), SHARE_WANDERING, (1.4 * 1.98 + 1) / 2),
        (Habit(0, 5.0), 0, 1.0),
        (Habit(0, 50.0), 0, 1.0),
        (Habit(90, 1.2), 0, 1.0),
        (Habit(90, None), 0, 1.0),
    ],
)
def test_who_plays_tilts(habit: Habit, share: float, size: float) -> None:
    """Bursts that last, taken for larger than they seem, and rates that wander; not single events. The candidate of a
    wandering stable has a hundredth of its traffic here, and twice the noise that this makes."""
    assert share_of(habit) == share
    assert size_of(habit, (), 0.01) == pytest.approx(size)


def test_an_allowed_difference_plays_none() -> None:
    assert against_difference(0.1).start(known=True, tilts=SHARE).tilted == ()
    assert len(against_ratio(1.0).start(known=True, tilts=SHARE).tilted) == len(TILTS)


def windows_until_found(rng: random.Random, state: Bets, ratio: int) -> int:
    test = against_ratio(1.0)
    for number in range(1, 400):
        candidate, stable = bursty(rng, 4.5 * ratio, 3), bursty(rng, 445.5, 3)
        state = test.update(state, Counts(450, candidate, 44550, stable, 5.0, 1.4, size=3.0))
        if test.log_e(state) >= math.log(200):
            return number
    return 400


def test_five_times_the_errors_of_full_windows_are_found_sooner_than_by_bets() -> None:
    """Bursts of three at 500 requests/s, of which the candidate has 1 %: sums over 30 releases."""
    rng, test = random.Random(3), against_ratio(1.0)
    tilted = sum(windows_until_found(rng, test.start(known=True, tilts=SHARE), 5) for _ in range(30))
    bets = sum(windows_until_found(rng, test.start(known=True), 5) for _ in range(30))
    assert tilted < 0.8 * bets


def test_a_late_rise_in_full_windows_is_found_sooner_than_by_bets() -> None:
    """The same after 200 good windows."""
    test, needed = against_ratio(1.0), []
    for share in (SHARE, 0.0):
        rng, found = random.Random(5), 0
        for _ in range(5):
            state = test.start(known=True, tilts=share)
            for _ in range(200):
                window = Counts(450, bursty(rng, 4.5, 3), 44550, bursty(rng, 445.5, 3), 5.0, 1.4, size=3.0)
                state = test.update(state, window)
            found += windows_until_found(rng, state, 5)
        needed.append(found)
    assert needed[0] < 0.7 * needed[1]


def test_one_burst_larger_than_any_seen_decides_nothing() -> None:
    """A hundred errors at once, of which even the smallest tilt for bursts of three would make four nats."""
    test = against_ratio(1.0)
    state = test.update(test.start(known=True, tilts=SHARE), Counts(450, 104, 44550, 445, 5.0, 1.4, size=3.0))
    assert math.log(odds_of(3.0)[0]) * 104 > 4
    assert all(gain == MOST for gain in state.tilted)
    assert test.log_e(state) < math.log(20)
