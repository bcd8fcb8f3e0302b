"""The door to the twin: a gate and its windows in, log E out, prepared as `gates.judge` prepares its strata."""

from collections.abc import Callable

import numpy as np

from modelrelease.backtest.twin import contrast, ratio
from modelrelease.backtest.twin.habit import Known, by_habit
from modelrelease.backtest.twin.windows import Floats, Ints, Windows, joined, warmed_up
from modelrelease.domain.gate import Cost, Gate, Mean
from modelrelease.gates.contrast import ContrastMachine
from modelrelease.gates.judge import machine_of
from modelrelease.gates.quantile import QuantileMachine
from modelrelease.gates.ratio import RatioMachine

Per = float | Floats | None
"""One for all releases, or one for each, shape (R,). For φ, None or NaN: stable's habit is unknown."""


def log_revert(gate: Gate, windows: Windows, *, window_s: Per = 0.0, phi: Per = None) -> Floats:
    """Log E against "the candidate keeps the rule" after each window, shape (R, K); not yet its peak.

    `window_s` and `phi` as in JudgeSettings. For scope Segment, call it with the windows of one segment. Raises
    ValueError when the rule does not fit the metric or no bucket ends at the bound.
    """
    return _judged(gate, windows, window_s, phi, (ratio.log_revert, contrast.log_revert))


def log_pass(gate: Gate, windows: Windows, *, window_s: Per = 0.0, phi: Per = None) -> Floats:
    """Log E against "the candidate breaks the rule" after each window, shape (R, K)."""
    return _judged(gate, windows, window_s, phi, (ratio.log_pass, contrast.log_pass))


def peak(log_e: Floats) -> Floats:
    """The highest log E so far, at least 0: evidence once found stays found."""
    return np.maximum(np.maximum.accumulate(log_e, axis=1), 0.0)


def first_crossing(log_e: Floats, threshold: float) -> Ints:
    """The window in which each release's evidence first reaches the threshold; the number of windows where never."""
    reached = log_e >= threshold
    return np.where(reached.any(axis=1), reached.argmax(axis=1), log_e.shape[1])


def prepared(gate: Gate, windows: Windows, window_s: Floats) -> Windows:
    """Windows as the tests count them: joined to `window_s`, then past the warm-up."""
    return warmed_up(joined(windows, window_s), gate.warm_up_s)


def lengths(gate: Gate, rows: int, window_s: Per) -> Floats:
    """The window length of each release, 0 where the gate does not wait for it."""
    waits = gate.comparative or isinstance(gate.metric, Mean | Cost)
    return np.broadcast_to(np.asarray(window_s if waits else 0.0, float), (rows,))


def _judged(
    gate: Gate,
    windows: Windows,
    window_s: Per,
    phi: Per,
    find: tuple[Callable[[RatioMachine, Windows, Known | None], Floats], Callable[[ContrastMachine, Windows], Floats]],
) -> Floats:
    machine, long = machine_of(gate), lengths(gate, windows.shape[0], window_s)
    windows = prepared(gate, windows, long)
    if isinstance(machine, ContrastMachine):
        return find[1](machine, windows)
    if isinstance(machine, QuantileMachine):
        windows = ratio.slow(machine, windows)
        machine = machine.ratio
    if not isinstance(machine, RatioMachine):
        raise TypeError(f"the twin has no windows for {type(machine).__name__}; values are judged by `breaches`")
    noise = np.broadcast_to(np.asarray(np.nan if phi is None else phi, float), long.shape)
    found = np.empty(windows.shape)
    for rows, known in by_habit(long, noise):
        found[rows] = find[0](machine, windows.part(rows), known)
    return found
