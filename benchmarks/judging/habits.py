"""`gates.windows` for many histories at once: window length in ticks and φ, as the operator would choose them."""

import numpy as np

from benchmarks.judging.scenarios import TICK_S, Floats
from modelrelease.domain.habit import HIGHEST_KNOWN, INDEPENDENT, WANDERS
from modelrelease.gates import windows as chooser


def habits(n: Floats, y: Floats) -> tuple[np.ndarray, Floats]:
    """For each row of ticks: how many ticks a window has (1: each tick is one), and φ; NaN where it stays unknown."""
    rows = len(n)
    covariances = _covariances(n, y)
    some = np.maximum(covariances[:, :1], 1e-300)
    correlations = covariances[:, 1:] / some
    smooth = correlations.copy()
    smooth[:, 1:-1] = (correlations[:, :-2] + correlations[:, 1:-1] + correlations[:, 2:]) / 3
    smooth[:, 0] = (correlations[:, 0] + correlations[:, 1]) / 2
    live = (n > 0).sum(axis=1)
    over = smooth < np.maximum(2 / np.sqrt(np.maximum(live, 1))[:, None], chooser.LEFT * smooth[:, :1])
    lasting = np.where(over.any(axis=1), over.argmax(axis=1), smooth.shape[1])
    sums = (
        covariances[:, 0]
        + 2
        * np.concatenate([np.zeros((rows, 1)), np.cumsum(covariances[:, 1:], axis=1)], axis=1)[np.arange(rows), lasting]
    )
    bad = y.sum(axis=1)
    phi = np.maximum(1.0, sums)
    length = np.where(lasting > 0, _length(lasting, bad / np.maximum(live, 1), phi), 1)
    unknown = (live < chooser.FEWEST_TICKS) | (bad < chooser.FEWEST_BAD)
    return np.where(unknown, 1, length).astype(int), np.where(unknown, np.nan, phi)


def no_history(rows: int) -> tuple[np.ndarray, Floats]:
    """What `habits` says of `rows` services that nothing is known of: each tick is a window, φ is learnt on the way."""
    return np.ones(rows, int), np.full(rows, np.nan)


def together(phi: Floats) -> Floats:
    """`Habit.together` of each; 1 where φ is unknown."""
    return np.where((phi <= INDEPENDENT) | np.isnan(phi), 1.0, np.minimum(phi, HIGHEST_KNOWN))


def _length(lasting: np.ndarray, bad_per_tick: Floats, phi: Floats) -> np.ndarray:
    some = np.maximum(bad_per_tick, 1e-300)
    length = np.maximum(np.ceil((lasting + 1) * chooser.STRETCH), chooser.FEWEST_IN_WINDOW / some)
    most_bad = np.where(phi >= WANDERS, chooser.MOST_WANDERING, chooser.MOST_IN_WINDOW)
    most = np.maximum(chooser.SHORTEST_S / TICK_S, most_bad / some)
    most = np.minimum(most, chooser.LONGEST_S / TICK_S)
    return np.maximum(1, np.floor(np.minimum(length, most) + 1e-9))


def _covariances(n: Floats, y: Floats) -> Floats:
    ticks = n.shape[1]
    local, lags = round(chooser.LOCAL_S / TICK_S), round(chooser.LASTING_S / TICK_S)
    index = np.arange(ticks)
    low, high = np.maximum(index - local, 0), np.minimum(index + local + 1, ticks)

    def around(values: Floats) -> Floats:
        sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
        return sums[:, high] - sums[:, low]

    mean = n * around(y) / np.maximum(around(n), 1e-300)
    surplus, root = y - mean, np.sqrt(mean)
    found = np.empty((len(n), lags + 1))
    for lag in range(lags + 1):
        scale = (root[:, : ticks - lag] * root[:, lag:]).sum(axis=1)
        found[:, lag] = (surplus[:, : ticks - lag] * surplus[:, lag:]).sum(axis=1) / np.maximum(scale, 1e-300)
    return found
