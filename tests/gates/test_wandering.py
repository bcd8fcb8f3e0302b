"""How noisy the candidate is taken for where stable's rate wanders, and what tilts are worth there."""

import math
import random

import pytest

from modelrelease.domain.evidence import Tally
from modelrelease.domain.gate import AgainstStable
from modelrelease.domain.habit import Habit
from modelrelease.gates.counts import Counts
from modelrelease.gates.echo import Echo, fading
from modelrelease.gates.ratio import RatioMachine, ratio_machine
from modelrelease.gates.tilting import gains, size_of
from modelrelease.gates.wandering import FEWEST, by_itself, noise
from tests.gates.builders import bursty, poisson

WANDERING = Habit(120, 50.0)
"""Stable has 600 bad events in two minutes, and its rate wanders by 29 %: 1 + 0.29² · 600 is about 50."""

SPREAD = 0.286
ERRORS = ratio_machine(AgainstStable(max_ratio="1"))


def factor(rng: random.Random, spread: float = SPREAD) -> float:
    """What a wandering rate is multiplied by: of mean 1 (log-normal)."""
    return math.exp(rng.gauss(0, spread) - spread**2 / 2)


def window(rng: random.Random, share: float, worse: float = 1.0, *, apart: bool) -> tuple[Tally, Tally]:
    """Two minutes of both arms, whose rates wander together or each by itself."""
    together = factor(rng)
    own = factor(rng) if apart else together
    bad_c, bad_s = poisson(rng, 600 * share * own * worse), poisson(rng, 600 * (1 - share) * together)
    return Tally(60_000 * share, bad_c), Tally(60_000 * (1 - share), bad_s)


def heard(windows: list[tuple[Tally, Tally]]) -> tuple[Echo, ...]:
    echo = Echo()
    for candidate, stable in windows:
        echo = echo.update(Counts(candidate.total, candidate.bad, stable.total, stable.bad), fading(WANDERING))
    return (echo,)


def test_a_small_share_of_a_wandering_rate_is_hardly_noisy() -> None:
    assert by_itself(WANDERING, 0.01) == pytest.approx(1.49)
    assert by_itself(WANDERING, 1.0) == 50
    assert noise(WANDERING, (), 0.01) == pytest.approx(1.98), "both arms may wander"


def test_arms_that_wander_together_are_heard_to_do_so() -> None:
    rng = random.Random(1)
    together = heard([window(rng, 0.05, apart=False) for _ in range(40)])
    apart = heard([window(rng, 0.05, apart=True) for _ in range(40)])
    assert noise(WANDERING, (), 0.05) == pytest.approx(5.9)
    assert noise(WANDERING, together, 0.05) < 2.5 < noise(WANDERING, apart, 0.05) <= 5.9
    few = heard([window(rng, 0.05, apart=False) for _ in range(FEWEST - 1)])
    assert noise(WANDERING, few, 0.05) == pytest.approx(5.9)


def test_large_bursts_are_not_taken_for_a_small_share_of_a_wandering_rate() -> None:
    """Bursts of thirty errors on average have φ 59 in every arm, however small."""
    rng, large = random.Random(2), []
    for _ in range(12):
        bad_c, bad_s = bursty(rng, 6, 30), bursty(rng, 594, 30)
        large.append((Tally(max(600, bad_c), bad_c), Tally(59_400, bad_s)))
    assert noise(WANDERING, heard(large), 0.01) > 8


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_tilts_are_worth_at_most_one_where_each_arm_wanders_by_itself(share: float) -> None:
    """The mean of 20,000 windows, less four standard errors."""
    rng, size, found = random.Random(3), size_of(WANDERING, (), share), []
    for _ in range(20_000):
        candidate, stable = window(rng, share, apart=True)
        found.append([math.exp(gain) for gain in gains(size, candidate.bad, candidate.bad + stable.bad, share)])
    for tilt in zip(*found, strict=True):
        mean = math.fsum(tilt) / len(tilt)
        error = math.sqrt(math.fsum((each - mean) ** 2 for each in tilt)) / len(tilt)
        assert mean - 4 * error <= 1


def windows_until_found(rng: random.Random, machine: RatioMachine, habit: Habit) -> int:
    """More than an hour of good windows, then twice the errors."""
    state = machine.start(habit)
    for _ in range(40):
        state = machine.count(state, *window(rng, 0.05, apart=False), "")
    for number in range(1, 200):
        state = machine.count(state, *window(rng, 0.05, 2.0, apart=False), "")
        if machine.log_revert(state) >= math.log(200):
            return number
    return 200


def test_a_late_rise_is_found_soon_where_the_arms_were_heard_to_wander_together() -> None:
    """The same windows judged as bursts of φ 29, where bets have most of the capital: sums over eight releases."""
    tilts = sum(windows_until_found(random.Random(seed), ERRORS, WANDERING) for seed in range(8))
    bets = sum(windows_until_found(random.Random(seed), ERRORS, Habit(120, 29.0)) for seed in range(8))
    assert tilts < 0.7 * bets
