"""The machine of rates for many releases: demands joined with their floor, and quantiles as shares above a bound."""

from dataclasses import replace

import numpy as np

from modelrelease.backtest.twin import rates
from modelrelease.backtest.twin.dispersion import phi_for_passing
from modelrelease.backtest.twin.habit import Known
from modelrelease.backtest.twin.logs import log_mean_exp
from modelrelease.backtest.twin.runs import Learnt, runs_of
from modelrelease.backtest.twin.windows import Bools, Floats, Ints, Windows
from modelrelease.gates.demands import AnyDemand, AtLeast, AtMost, WithinDifference, WithinRatio
from modelrelease.gates.quantile import CALIBRATION, QuantileMachine, _bounds
from modelrelease.gates.ratio import RatioMachine


def log_revert(machine: RatioMachine, windows: Windows, known: Known | None = None) -> Floats:
    """The mean of the demands' evidence, and no more than the evidence against the floor."""
    windows = whole(windows)
    held = None if known else runs_of(windows).learnt(comparative=machine.comparative)
    evidence = log_mean_exp(np.stack([_refuting(demand, windows, known, held) for demand in machine.demands]))
    if machine.floor is None:
        return evidence
    return np.minimum(evidence, _refuting(machine.floor, windows, known, held))


def log_pass(machine: RatioMachine, windows: Windows, known: Known | None = None) -> Floats:
    """The weakest demand's evidence, each helped by the floor's."""
    windows = whole(windows)
    quiet = np.ones(windows.shape) if known else runs_of(windows).noise
    phi = phi_for_passing(windows, known, quiet) if machine.comparative else quiet
    found = np.stack([_proving(demand, windows, phi, known) for demand in machine.demands])
    if machine.floor is not None:
        floor = _proving(machine.floor, windows, quiet, known)
        found = np.stack([log_mean_exp(np.stack([evidence, floor])) for evidence in found])
    lowest: Floats = found.min(axis=0)
    return lowest


def whole(windows: Windows) -> Windows:
    """With at least as many events as bad ones, as `gates.counts.counts_of` has it."""
    n_c, n_s = np.maximum(windows.n_c, windows.y_c), np.maximum(windows.n_s, windows.y_s)
    return replace(windows, n_c=n_c, n_s=n_s)


def slow(machine: QuantileMachine, windows: Windows) -> Windows:
    """Events above the frozen bound as bad ones; windows from which the bound was learnt are empty.

    Raises ValueError where no bucket ends at an absolute bound.
    """
    if windows.buckets_c is None or windows.buckets_s is None:
        raise ValueError("a quantile gate needs buckets")
    learnt, index = frozen(machine, windows)
    at = index[:, None, None]

    def above(buckets: Floats) -> tuple[Floats, Floats]:
        total = np.where(learnt, buckets[..., -1], 0.0)
        under = np.take_along_axis(buckets, at, axis=2)[..., 0]
        return total, np.where(learnt, np.maximum(0.0, total - under), 0.0)

    n_c, y_c = above(windows.buckets_c)
    n_s, y_s = above(windows.buckets_s)
    return replace(windows, n_c=n_c, y_c=y_c, n_s=n_s, y_s=y_s, buckets_c=None, buckets_s=None)


def frozen(machine: QuantileMachine, windows: Windows) -> tuple[Bools, Ints]:
    """Which windows come after the bound was frozen, shape (R, K), and its index in `bounds`, shape (R,)."""
    bounds = np.array(windows.bounds)
    if machine.limit is not None:
        near = np.flatnonzero(np.isclose(bounds, machine.limit, rtol=1e-9, atol=0.0))
        if not len(near):
            exist = _bounds(tuple((bound, 0.0) for bound in windows.bounds))
            raise ValueError(f"no bucket ends at {machine.limit:g} {machine.unit}; bounds that exist: {exist}".strip())
        return np.ones(windows.shape, bool), np.full(windows.shape[0], near[0])
    return _learnt(machine.q, bounds, windows)


def _learnt(q: float, bounds: Floats, windows: Windows) -> tuple[Bools, Ints]:
    """As `frozen`, from stable's own quantile; nothing is learnt where no finite bound reaches it."""
    rows, columns = windows.shape
    finite = np.flatnonzero(np.isfinite(bounds))
    if windows.buckets_s is None or not len(finite):
        return np.zeros(windows.shape, bool), np.zeros(rows, np.int64)
    seen = np.cumsum(windows.buckets_s, axis=1)
    total = seen[..., -1]
    shares = seen[..., finite] / np.maximum(total, 1.0)[..., None]
    known = (total >= CALIBRATION) & (shares[..., -1] >= q)
    first = np.where(known.any(axis=1), known.argmax(axis=1), columns)
    found = shares[np.arange(rows), np.minimum(first, columns - 1)]
    return np.arange(columns) > first[:, None], finite[np.abs(found - q).argmin(axis=1)]


def inverted(windows: Windows) -> Windows:
    """Good events counted as bad ones."""
    return replace(windows, y_c=windows.n_c - windows.y_c, y_s=windows.n_s - windows.y_s)


def _refuting(demand: AnyDemand, windows: Windows, known: Known | None, held: Learnt | None) -> Floats:
    """`held`: what was learnt of stable where nothing is known of its habit."""
    match demand:
        case AtMost(bound):
            return _either(bound, windows, known, held)
        case AtLeast(bound):
            return _either(1 - bound, inverted(windows), known, held.inverted if held else None)
        case WithinRatio(revert=test) | WithinDifference(revert=test):
            return rates.betting(test, windows, known, held.drag if held else None)
        case _:
            raise TypeError(f"the twin does not know {type(demand).__name__}")


def _proving(demand: AnyDemand, windows: Windows, phi: Floats, known: Known | None) -> Floats:
    match demand:
        case AtMost(bound):
            return rates.under(bound, windows, known, phi)
        case AtLeast(bound):
            return rates.under(1 - bound, inverted(windows), known, phi)
        case WithinRatio(passing=likelihood):
            return rates.passing_ratio(likelihood, windows, phi)
        case WithinDifference(passing=gap):
            return rates.passing_difference(gap, windows, phi)
        case _:
            raise TypeError(f"the twin does not know {type(demand).__name__}")


def _either(bound: float, windows: Windows, known: Known | None, held: Learnt | None) -> Floats:
    """The mean of two E-values against the same null: bad from the start, and bad from some window on; and with `held`
    the mean of that, of the bets on the surplus and of those beside a clean stable."""
    from_start = rates.above(bound, windows, known)
    evidence = np.logaddexp(from_start, rates.late(bound, windows, known)) - np.log(2)
    if held is None:
        return evidence
    alone = rates.late_beside(bound, windows, held.clean)
    return log_mean_exp(np.stack([evidence, rates.surplus(bound, windows, held.drag), alone]))
