"""The choice of a window and of φ from stable's history: what must come out for histories of known kinds."""

import math
import random
from collections.abc import Callable, Iterable
from datetime import timedelta

import pytest

from modelrelease.domain.evidence import Stratum, Tally
from modelrelease.domain.gate import Absolute, AgainstStable
from modelrelease.domain.habit import HIGHEST_KNOWN, Habit
from modelrelease.gates.windows import LONGEST_S, choose_window_s, habit_of
from tests.gates.builders import LATENCY, SCORE, T0, VALUE, bursty, gate, poisson

SCRAPE_S = 15
RULE = AgainstStable(max_ratio="1.5")


def history(
    counts: Iterable[tuple[float, float]], *, tick_s: float = SCRAPE_S, segment: str | None = None
) -> list[Stratum]:
    """Stable's (total, bad) tick after tick."""
    step = timedelta(seconds=tick_s)
    return [
        Stratum(T0 + index * step, T0 + (index + 1) * step, Tally(), Tally(*each), segment)
        for index, each in enumerate(counts)
    ]


def drawn(seed: int, ticks: int, rate: Callable[[int], float], size: float = 1.0, n: float = 750.0) -> list[Stratum]:
    """`ticks` ticks of `n` requests; bad ones at `rate(tick)`, in bursts of `size`."""
    rng = random.Random(seed)
    return history((n, bursty(rng, n * rate(tick), size)) for tick in range(ticks))


def spread(seed: int, ticks: int, size: float, over: int, n: float = 750.0) -> list[Stratum]:
    """Bursts whose bad events come within `over` ticks."""
    rng, bad = random.Random(seed), [0] * (ticks + over + 1)
    for tick in range(ticks):
        for _ in range(poisson(rng, n * 0.01 / size)):
            for _ in range(1 + int(math.log(1 - rng.random()) / math.log(1 - 1 / size))):
                bad[tick + int(rng.random() * over + rng.random())] += 1
    return history((n, each) for each in bad[:ticks])


@pytest.mark.parametrize("seed", range(4))
def test_independent_errors_need_no_longer_window_and_have_phi_one(seed: int) -> None:
    habit = habit_of(gate(rule=RULE), drawn(seed, 1440, lambda tick: 0.01))
    assert habit.window_s <= 2 * SCRAPE_S
    assert habit.together == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_base_rate_that_drifts_or_follows_the_day_is_no_autocorrelation(seed: int) -> None:
    for rate in (lambda tick: 0.005 * 4 ** (tick / 1440), lambda tick: 0.01 * (1 + 0.6 * math.sin(tick / 460))):
        habit = habit_of(gate(rule=RULE), drawn(seed, 1440, rate))
        assert habit.window_s <= 2 * SCRAPE_S
        assert habit.together == 1


@pytest.mark.parametrize("size", [3, 10])
def test_bursts_within_a_tick_need_no_longer_window_and_show_in_phi(size: float) -> None:
    """Geometric sizes of mean m have φ = 2m − 1."""
    habit = habit_of(gate(rule=RULE), drawn(1, 1440, lambda tick: 0.01, size))
    assert habit.window_s <= 2 * SCRAPE_S
    assert habit.phi == pytest.approx(2 * size - 1, rel=0.2)
    assert habit.together == pytest.approx(min(2 * size - 1, HIGHEST_KNOWN), rel=0.2)


@pytest.mark.parametrize("size", [3, 10])
@pytest.mark.parametrize("seed", range(3))
def test_windows_are_about_as_long_as_bursts_last(size: float, seed: int) -> None:
    """Bursts spread over three minutes."""
    habit = habit_of(gate(rule=RULE), spread(seed, 1440, size, 12))
    assert 105 <= habit.window_s <= LONGEST_S
    assert habit.phi is not None
    assert habit.phi > 0.4 * (2 * size - 1)


def test_much_traffic_asks_for_shorter_windows_and_little_for_longer_ones() -> None:
    some, much, little = (spread(2, 1440, 10, 12, n).copy() for n in (750.0, 7500.0, 75.0))
    windows = [choose_window_s(each) for each in (much, some, little)]
    assert windows[0] < windows[1] < windows[2]
    assert windows[0] >= 75
    assert windows[2] <= LONGEST_S


def test_no_window_is_longer_than_asked_for() -> None:
    assert choose_window_s(spread(3, 1440, 10, 12), longest_s=100) <= 100


@pytest.mark.parametrize(
    "few", [[], history([(100.0, 1.0)]), drawn(1, 40, lambda tick: 0.01), drawn(1, 1000, lambda tick: 0.0)]
)
def test_too_little_history_means_the_longest_window_and_an_unknown_phi(few: list[Stratum]) -> None:
    assert habit_of(gate(rule=RULE), few) == Habit(LONGEST_S, None)
    assert choose_window_s(few) == LONGEST_S


def test_the_order_of_strata_and_gaps_do_not_matter() -> None:
    whole = spread(4, 1200, 10, 12)
    shuffled = random.Random(1).sample(whole, len(whole))
    assert habit_of(gate(rule=RULE), shuffled) == habit_of(gate(rule=RULE), whole)
    holes = [item for index, item in enumerate(whole) if index % 97 > 3]
    assert habit_of(gate(rule=RULE), holes).window_s == pytest.approx(choose_window_s(whole), abs=30)


def test_strata_that_are_not_quite_as_long_as_a_tick_do_not_make_windows_wait() -> None:
    """Eight ticks of 14.99 s must be enough for a window of eight ticks."""
    window_s = choose_window_s(spread(5, 1440, 10, 12))
    ticks = math.ceil(window_s / SCRAPE_S)
    assert (ticks - 1) * SCRAPE_S + 1 < window_s <= ticks * 14.9


def test_segments_are_looked_at_one_by_one() -> None:
    one = drawn(1, 900, lambda tick: 0.004)
    other = [
        Stratum(item.start, item.end, Tally(), Tally(item.stable.total, 30 * item.stable.bad), "b") for item in one
    ]
    low = [Stratum(item.start, item.end, Tally(), item.stable, "a") for item in one]
    assert choose_window_s([*low, *drawn(2, 900, lambda tick: 0.1)]) <= 2 * SCRAPE_S
    assert habit_of(gate(rule=RULE), [*low, *other]).phi == pytest.approx(30, rel=0.25)


def test_a_minimum_is_about_the_events_that_are_not_counted() -> None:
    good = [
        Stratum(i.start, i.end, Tally(), Tally(i.stable.total, i.stable.total - i.stable.bad))
        for i in spread(6, 1000, 10, 12)
    ]
    of = gate(rule=Absolute(minimum="0.9"))
    assert habit_of(of, good) == habit_of(gate(rule=RULE), spread(6, 1000, 10, 12))


def test_slow_requests_are_counted_above_the_bound_of_the_gate() -> None:
    slow = spread(7, 1000, 10, 12)
    buckets = [
        Stratum(
            i.start, i.end, Tally(), Tally(buckets=((0.3, i.stable.total - i.stable.bad), (math.inf, i.stable.total)))
        )
        for i in slow
    ]
    wanted = habit_of(gate(rule=RULE), slow)
    assert habit_of(gate(LATENCY, Absolute(maximum="0.3")), buckets) == wanted
    assert habit_of(gate(LATENCY, RULE), buckets) == wanted
    assert habit_of(gate(LATENCY, RULE), buckets[:0]) == Habit(LONGEST_S, None)


def test_means_have_windows_and_no_phi_and_values_have_neither() -> None:
    rng, level, scores = random.Random(8), 0.0, []
    for _ in range(1000):
        level = 0.95 * level + rng.gauss(0, 0.02)
        scores.append((100.0, 100 * (0.8 + level) + rng.gauss(0, 1)))
    habit = habit_of(gate(SCORE, RULE), history(scores))
    assert habit.window_s >= 120
    assert habit.phi is None
    noise = [(100.0, 80 + rng.gauss(0, 1)) for _ in range(1000)]
    assert habit_of(gate(SCORE, RULE), history(noise)).window_s <= 2 * SCRAPE_S
    assert habit_of(gate(VALUE, Absolute(maximum="1")), history(scores)) == Habit(0, None)
