"""Breaches in a row of values outside their bounds, for many releases; BREACHES of them revert."""

import numpy as np

from modelrelease.backtest.twin.windows import Bools, Floats, Ints
from modelrelease.gates.value import BREACHES, ValueMachine


def breaches(machine: ValueMachine, samples: Floats, taken_at_s: Floats | None = None) -> Ints:
    """How many samples in a row lay outside after each, shape (R, K).

    NaN: there was no sample. The same `taken_at_s` (R, K) as the sample before counts once.
    """
    over = np.zeros(samples.shape, bool) if machine.maximum is None else samples > machine.maximum
    under = np.zeros(samples.shape, bool) if machine.minimum is None else samples < machine.minimum
    new = np.isfinite(samples)
    if taken_at_s is not None:
        new &= _is_new(np.where(new, taken_at_s, np.nan))
    breached = new & (over | under)
    # A row of breaches begins anew after the last sample inside.
    total = np.cumsum(breached, axis=1)
    inside = np.where(new & ~breached, total, 0)
    found: Ints = total - np.maximum.accumulate(inside, axis=1)
    return found


def log_revert(machine: ValueMachine, samples: Floats, taken_at_s: Floats | None = None) -> Floats:
    """Certainty from BREACHES breaches in a row on, nothing before."""
    return np.where(breaches(machine, samples, taken_at_s) >= BREACHES, np.inf, -np.inf)


def _is_new(taken_at_s: Floats) -> Bools:
    """Where a sample's time differs from the newest one known before; NaN: no sample."""
    column = np.where(np.isnan(taken_at_s), -1, np.arange(taken_at_s.shape[1]))
    newest = np.maximum.accumulate(column, axis=1)
    before = np.concatenate([np.full((len(newest), 1), -1), newest[:, :-1]], axis=1)
    known = np.take_along_axis(taken_at_s, np.maximum(before, 0), axis=1)
    return ~np.isnan(taken_at_s) & ((before < 0) | (taken_at_s != known))
