"""`gates.windows` for many histories at once: how stable's bad events came before each release."""

import math

import numpy as np

from modelrelease.backtest.twin.windows import Bools, Floats
from modelrelease.domain.habit import WANDERS
from modelrelease.gates import windows as chooser


def known_habits(
    n: Floats, y: Floats, *, tick_s: float, counts: bool = True, longest_s: int = chooser.LONGEST_S
) -> tuple[Floats, Floats]:
    """Window length in seconds and φ of each history, shape (R,): φ NaN and length 0 where too little is known.

    `n`, `y`: stable's events and bad events (or summed values, without `counts`) per tick, shape (R, lanes, ticks); a
    tick without events is one in which nothing is known. Without `counts` φ is NaN always.
    """
    rows = len(n)
    live, bad = (n > 0).sum(axis=(1, 2)), y.sum(axis=(1, 2))
    known = live >= chooser.FEWEST_TICKS
    if counts:
        known &= bad >= chooser.FEWEST_BAD
    window_s, phi = np.zeros(rows), np.full(rows, np.nan)
    if known.any():
        found = _found(n[known], y[known], live[known], bad[known], tick_s, counts, longest_s)
        window_s[known], phi[known] = found
    return window_s, phi if counts else np.full(rows, np.nan)


def _found(
    n: Floats, y: Floats, live: Floats, bad: Floats, tick_s: float, counts: bool, longest_s: int
) -> tuple[Floats, Floats]:
    covariances = _covariances(n, y, tick_s=tick_s, counts=counts)
    some = covariances[:, 0] > 0
    correlations = covariances[:, 1:] / np.where(some, covariances[:, 0], 1.0)[:, None]
    lasting = np.where(some, _lasting(correlations, live), 0)
    sums = np.cumsum(covariances[:, 1:], axis=1)
    behind = np.where(lasting > 0, sums[np.arange(len(n)), np.maximum(lasting - 1, 0)], 0.0)
    phi = np.where(some, np.maximum(1.0, covariances[:, 0] + 2 * behind), 1.0)
    most_bad = np.where(phi >= WANDERS, chooser.MOST_WANDERING, chooser.MOST_IN_WINDOW)
    length = _length(lasting, bad / live if counts else np.zeros(len(n)), tick_s, longest_s, most_bad)
    seconds = np.where(length > 1, np.floor((length - chooser.SLACK) * tick_s), 0.0)
    return np.where(lasting > 0, seconds, 0.0), phi


def _lasting(correlations: Floats, live: Floats) -> Floats:
    """After how many ticks nothing is left of a surplus, row by row."""
    smooth = correlations.copy()
    if smooth.shape[1] > 2:
        smooth[:, 1:-1] = (correlations[:, :-2] + correlations[:, 1:-1] + correlations[:, 2:]) / 3
    if smooth.shape[1] > 1:
        smooth[:, 0] = (correlations[:, 0] + correlations[:, 1]) / 2
    least = np.maximum(2 / np.sqrt(live), chooser.LEFT * smooth[:, 0])
    over: Bools = smooth < least[:, None]
    return np.where(over.any(axis=1), over.argmax(axis=1), smooth.shape[1])


def _length(lasting: Floats, bad_per_tick: Floats, tick_s: float, longest_s: int, most_bad: Floats) -> Floats:
    """Window lengths in ticks."""
    some = bad_per_tick > 0
    each = np.where(some, bad_per_tick, 1.0)
    length = np.ceil((lasting + 1) * chooser.STRETCH)
    length = np.where(some, np.maximum(length, chooser.FEWEST_IN_WINDOW / each), length)
    most = np.maximum(chooser.SHORTEST_S / tick_s, most_bad / each)
    most = np.where(some, np.minimum(longest_s / tick_s, most), longest_s / tick_s)
    return np.maximum(1.0, np.floor(np.minimum(length, most) + 1e-9))


def _covariances(n: Floats, y: Floats, *, tick_s: float, counts: bool) -> Floats:
    """Autocovariances of the surplus by lag, shape (R, lags + 1), in units of their Poisson variance if counted."""
    ticks = n.shape[-1]
    local, lags = max(1, round(chooser.LOCAL_S / tick_s)), max(1, round(chooser.LASTING_S / tick_s))
    index = np.arange(ticks)
    low, high = np.maximum(index - local, 0), np.minimum(index + local + 1, ticks)

    def around(values: Floats) -> Floats:
        sums = np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(values, axis=-1)], axis=-1)
        return sums[..., high] - sums[..., low]

    events = around(n)
    mean = np.where(events > 0, n * around(y) / np.where(events > 0, events, 1.0), 0.0)
    surplus = y - mean
    root = np.sqrt(np.maximum(mean, 0.0)) if counts else (n > 0).astype(float)
    found = np.zeros((len(n), lags + 1))
    for lag in range(min(lags, ticks - 1) + 1):
        scale = np.einsum("rlt,rlt->r", root[..., : ticks - lag], root[..., lag:])
        total = np.einsum("rlt,rlt->r", surplus[..., : ticks - lag], surplus[..., lag:])
        found[:, lag] = np.where(scale > 0, total / np.where(scale > 0, scale, 1.0), 0.0)
    return found


def ticks_of(values: Floats, steps: int) -> Floats:
    """Neighbouring steps of the last axis added up to ticks, counted from the end; the rest in front is left out."""
    count = values.shape[-1] // steps
    kept = values[..., values.shape[-1] - count * steps :]
    summed: Floats = kept.reshape(*values.shape[:-1], count, steps).sum(axis=-1)
    return summed


def steps_per_tick(n: Floats) -> int:
    """Every how many steps stable's counters usually move: its scrape interval in steps of the history."""
    moved = np.flatnonzero(n > 0)
    return max(1, math.floor(float(np.median(np.diff(moved))) + 0.5)) if len(moved) > 1 else 1
