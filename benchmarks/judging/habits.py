"""Stable's habit in each simulated history, in ticks, as the operator would choose it."""

import numpy as np

from benchmarks.judging.scenarios import TICK_S, Floats
from modelrelease.backtest.twin.past import known_habits
from modelrelease.domain.habit import HIGHEST_KNOWN, INDEPENDENT


def habits(n: Floats, y: Floats) -> tuple[np.ndarray, Floats]:
    """For each row of ticks: how many ticks a window has (1: each tick is one), and φ; NaN where it stays unknown."""
    window_s, phi = known_habits(n[:, None, :], y[:, None, :], tick_s=TICK_S)
    return np.maximum(1, np.ceil(window_s / TICK_S)).astype(int), phi


def no_history(rows: int) -> tuple[np.ndarray, Floats]:
    """What `habits` says of `rows` services that nothing is known of: each tick is a window, φ is learnt on the way."""
    return np.ones(rows, int), np.full(rows, np.nan)


def together(phi: Floats) -> Floats:
    """`Habit.together` of each; 1 where φ is unknown."""
    return np.where((phi <= INDEPENDENT) | np.isnan(phi), 1.0, np.minimum(phi, HIGHEST_KNOWN))
