"""The habits of many histories at once are what the operator finds in each of them."""

import random
from datetime import timedelta

import numpy as np
import pytest

from modelrelease.backtest.parsing import Grid
from modelrelease.backtest.past import EVERY_S, habits
from modelrelease.backtest.replay import Timetable, Track
from modelrelease.backtest.twin import Windows
from modelrelease.backtest.twin.past import known_habits, steps_per_tick, ticks_of
from modelrelease.domain.evidence import Stratum, Tally
from modelrelease.domain.gate import Gate
from modelrelease.gates.windows import known_habit
from tests.gates.builders import LATENCY, RATIO, SCORE, T0, bursty, gate

SCRAPE_S = 15


def past(seed: int, *, ticks: int, mean: float, size: float, spread: int) -> list[tuple[float, float]]:
    """Ticks of 600 events; bad ones in bursts, spread over so many ticks."""
    rng = random.Random(seed)
    bad = [0.0] * (ticks + spread)
    for tick in range(ticks):
        for _ in range(bursty(rng, mean, size)):
            bad[tick + rng.randrange(spread)] += 1
        if spread > 1 and rng.random() < 0.05:
            for later in range(spread):
                bad[tick + later] += size
    return [(600.0, min(count, 600.0)) for count in bad[:ticks]]


CASES = {
    "independent": past(1, ticks=1440, mean=3, size=1, spread=1),
    "in bursts": past(2, ticks=1440, mean=3, size=4, spread=1),
    "over minutes": past(3, ticks=1440, mean=3, size=4, spread=8),
    "much traffic": past(4, ticks=1440, mean=60, size=3, spread=6),
    "wandering": past(9, ticks=1440, mean=50, size=40, spread=16),
    "little": past(5, ticks=1440, mean=0.2, size=2, spread=4),
    "short": past(6, ticks=70, mean=3, size=1, spread=1),
    "too short": past(7, ticks=40, mean=3, size=1, spread=1),
    "too few": past(8, ticks=1440, mean=0.01, size=1, spread=1),
    "none bad": [(600.0, 0.0)] * 200,
}


@pytest.mark.parametrize("of", [gate(RATIO), gate(SCORE)], ids=["ratio", "score"])
@pytest.mark.parametrize("case", CASES)
def test_each_history_has_the_habit_that_the_operator_finds(case: str, of: Gate) -> None:
    rows = CASES[case]
    strata = [
        Stratum(
            T0 + timedelta(seconds=SCRAPE_S * at), T0 + timedelta(seconds=SCRAPE_S * (at + 1)), Tally(), Tally(n, y)
        )
        for at, (n, y) in enumerate(rows)
    ]
    expected = known_habit(of, strata)
    n, y = np.array(rows).T.reshape(2, 1, 1, -1)
    empty = np.zeros((1, 1, 100))  # before the history's beginning
    n, y = np.concatenate([empty, n], axis=2), np.concatenate([empty, y], axis=2)
    (window_s,), (phi,) = known_habits(n, y, tick_s=SCRAPE_S, counts=of.metric is RATIO)
    if expected is None:
        assert (window_s, np.isnan(phi)) == (0, True)
        return
    assert window_s == expected.window_s
    assert expected.phi is None or phi == pytest.approx(expected.phi, rel=1e-9)
    assert (expected.phi is None) == np.isnan(phi)


def test_scrapes_of_several_steps_are_ticks() -> None:
    n = np.array([0, 0, 5, 0, 6, 0, 7, 0, 8], float)
    assert steps_per_tick(n) == 2
    assert ticks_of(n, 2).tolist() == [5, 6, 7, 8]
    assert steps_per_tick(np.zeros(5)) == 1


def track(counts: list[tuple[float, float]], of: Gate) -> Track:
    n, y = np.array(counts).T[:, None, :]
    zero = np.zeros_like(n)
    return Track(of, np.ones(n.shape[1], bool), windows=Windows(zero, zero, n, y))


def test_a_release_knows_only_what_was_before_it() -> None:
    calm, bursts = past(1, ticks=960, mean=3, size=1, spread=1), past(2, ticks=960, mean=3, size=6, spread=1)
    timetable = Timetable(Grid(0.0, SCRAPE_S, 1920), 240)
    window_s, phi = habits(track([*calm, *bursts], gate(RATIO)), timetable)
    assert len(window_s) == len(phi) == 8
    assert np.isnan(phi[0]), "nothing was before the first"
    assert phi[1:5].max() < 1.5
    assert phi[7] > 3


def test_releases_that_follow_each_other_closely_share_a_history() -> None:
    often = Timetable(Grid(0.0, SCRAPE_S, 1440), 20)
    _, phi = habits(track(CASES["independent"], gate(RATIO)), often)
    known = phi[~np.isnan(phi)]
    assert len(known) >= 60
    assert len(set(known.tolist())) <= 1440 * SCRAPE_S / EVERY_S


def test_a_gate_that_has_no_counts_has_no_habit() -> None:
    window_s, phi = habits(track(CASES["independent"], gate(LATENCY)), Timetable(Grid(0.0, SCRAPE_S, 1440), 240))
    assert not window_s.any()
    assert np.isnan(phi).all()
