"""Stakes on a late onset, window by window for many releases: `gates.onset` over arrays.

Each takes windows of shape (R, K); stakes lie along a first axis of their own, a block of windows at a time.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from modelrelease.backtest.twin.logs import log_sum_exp
from modelrelease.backtest.twin.windows import Bools, Floats, Ints, Windows, blocks
from modelrelease.gates import onset

Piece = tuple[slice, slice]
"""Some releases and some windows."""


def shares(number: Ints) -> Floats:
    """`onset.share_of` each window; nothing for number 0."""
    from_one = np.maximum(number, 1.0)
    share = 0.5 / (from_one * (from_one + 1)) + 0.5 * onset._RATE * (1 - onset._RATE) ** (from_one - 1)
    return np.where(number > 0, share, 0.0)


def unstaked(windows: Ints) -> Floats:
    """`onset.unstaked` after each so many windows."""
    left: Floats = 0.5 / (windows + 1.0) + 0.5 * (1 - onset._RATE) ** windows
    return left


@dataclass(frozen=True)
class Alarms:
    """For each window (R, K): the log of what is staked on it because the window before was an alarm, and what is left
    after it of the part `kept` for that. At the end (R): how many alarms there were, and if the last window was one.
    """

    kept: float
    put: Floats
    left: Floats
    number: Ints
    last: Bools


def alarms_of(limit: float, windows: Windows) -> Alarms:
    """The alarms of a bound. Windows without requests raise none, and leave the last one standing."""
    kept, (rows, columns) = onset.AFTER_ALARMS, windows.shape
    asked = windows.n_c > 0
    raised = asked & (windows.y_c > 0) & (windows.y_c >= limit * windows.n_c)
    newest: Ints = np.maximum.accumulate(np.where(asked, np.arange(columns), -1), axis=1)
    standing: Bools = (newest >= 0) & np.take_along_axis(raised, np.maximum(newest, 0), axis=1)
    before = np.concatenate([np.zeros((rows, 1), bool), standing[:, :-1]], axis=1)
    number: Ints = np.cumsum(raised, axis=1)
    earlier = number - raised
    share = np.where(asked & before, kept / np.maximum(earlier * (earlier + 1.0), 1.0), 0.0).astype(np.float64)
    with np.errstate(divide="ignore"):
        put = np.log(share)
    left = (kept / (number - standing + 1.0)).astype(np.float64)
    return Alarms(kept, put, left, number[:, -1], standing[:, -1])


def staked(
    gain: Callable[[Piece], Floats], played: Bools, weights: Floats, alarms: Alarms | None = None
) -> Iterator[tuple[Piece, Floats]]:
    """Log capital when a little more is staked at each window that is played, piece by piece; `weights` over stakes."""
    number, depth = np.cumsum(played, axis=1), len(weights)
    with np.errstate(divide="ignore"):
        staked_at = np.log(shares(np.arange(int(number.max(initial=0)) + 1)))
    nothing = np.full((depth, 1, 1), -np.inf)
    if alarms is not None:
        staked_at = staked_at + math.log(1 - alarms.kept)
    carry, logs_of_weights = nothing, np.log(weights)[:, None, None]
    rows, columns = played.shape
    for piece in blocks(rows, columns, depth):
        sums = np.cumsum(gain(piece), axis=2)
        share = np.where(played[piece], staked_at[number[piece]], -np.inf)
        put = (share if alarms is None else np.logaddexp(share, alarms.put[piece])) + logs_of_weights
        # A stake put in at window j has grown by all gains from j on: put it in against the gains before j.
        put[..., 1:] -= sums[..., :-1]
        put[..., :1] = np.logaddexp(put[..., :1], carry if piece[1].start else nothing)
        logs = np.logaddexp.accumulate(put, axis=2) + sums
        carry = logs[..., -1:]
        yield piece, logs


def from_any_window(
    gain: Callable[[Piece], Floats], played: Bools, weights: Floats, alarms: Alarms | None = None
) -> Floats:
    """Log of all that was staked so far and of what was not."""
    number: Ints = np.cumsum(played, axis=1)
    found = np.empty(played.shape)
    for piece, logs in staked(gain, played, weights, alarms):
        found[piece] = log_sum_exp(logs)
    rest = unstaked(number)
    if alarms is not None:
        rest = (1 - alarms.kept) * rest + alarms.left
    return np.logaddexp(np.log(np.maximum(rest, 1e-300)), found)
