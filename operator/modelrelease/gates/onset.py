"""Failures that begin late: the absolute bound tested from every window on, without reading clean hours against it.

A likelihood ratio that has seen an hour without failures needs as many failures to forget it. So part of the stake is
kept back, and at each window a little of it is put on "it begins now": a mixture over the time of onset, which is an
E-process because each part is one from its own window on and the shares add up to at most one (Shiryaev–Roberts in
the form of an e-detector with prior weights; Shin, Ramdas and Rinaldo 2024). Restarting a test when it looks bad was
rejected: its error is not bounded over a release.

The share of window k is half 1/(k(k+1)), for onsets soon after the start, and half geometric, for later ones: an onset
at window 10 costs 6 nats and one at window 700 costs 9, against the same failures from the first window on.

Where requests fail independently, a part is kept for windows that follow an alarm, which is a window at or above the
bound:
the i-th of them gets 1/(i(i+1)) of it. What is staked on a window depends on the windows before it only, so the mean
stays what it is, and a candidate that breaks after hours is found at little more than the price of one that breaks at
once. Where errors come in bursts, the window after an alarm would be in the middle of one: no such part is kept.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

from modelrelease.gates.binomial import alternatives
from modelrelease.gates.counts import Counts

_RATE = 1 / 500
"""What share of the geometric half's rest is put in at each window."""

AFTER_ALARMS = 0.3
"""What share of all is kept for windows after alarms, where requests fail independently."""


@dataclass(frozen=True, slots=True)
class Stakes:
    """How many windows had candidate requests, and the log capital on each alternative ((): nothing staked yet).

    `alarms`: how many of them were at or above the bound; `alarmed`: the last one was.
    """

    windows: int = 0
    logs: tuple[float, ...] = ()
    alarms: int = 0
    alarmed: bool = False


NO_STAKES = Stakes()
"""Nothing staked yet."""


@dataclass(frozen=True, slots=True)
class Onset:
    """Evidence that the rate is above `bound` (0…1) from some window on; `phi` as in `binomial.Binomial`."""

    bound: float
    phi: float = 1.0

    def start(self) -> Stakes:
        """Nothing staked."""
        return Stakes()

    def update(self, state: Stakes, window: Counts) -> Stakes:
        """Stake a little more, then let the window's requests decide. A window without requests changes nothing."""
        if window.n_c <= 0:
            return state
        weights, if_bad, if_good = alternatives(self.bound, self.phi)
        number = state.windows + 1
        put = math.log((1 - self._kept) * share_of(number) + self._kept * (state.alarmed and after_alarm(state.alarms)))
        before = state.logs or (-math.inf,) * len(weights)
        bad, good = window.y_c, window.n_c - window.y_c
        logs = tuple(
            log_add(old, put + math.log(weight)) + bad * worse + good * better
            for old, weight, worse, better in zip(before, weights, if_bad, if_good, strict=True)
        )
        alarmed = bad > 0 and bad >= self.bound * window.n_c
        return Stakes(number, logs, state.alarms + alarmed, alarmed)

    def log_e(self, state: Stakes) -> float:
        """The log E-value: all capital, and what was not staked yet."""
        if not state.windows:
            return 0.0
        left = self._kept / (state.alarms - state.alarmed + 1)
        rest = math.log(max((1 - self._kept) * unstaked(state.windows) + left, 1e-300))
        top = max(rest, *state.logs)
        return top + math.log(math.exp(rest - top) + sum(math.exp(log - top) for log in state.logs))

    @property
    def _kept(self) -> float:
        return AFTER_ALARMS if self.phi == 1 else 0.0


def after_alarm(number: int) -> float:
    """Which part of what is kept for alarms is staked after alarm `number` (from 1)."""
    return 1 / (number * (number + 1))


@lru_cache(maxsize=65536)
def share_of(number: int) -> float:
    """What is staked at window `number` (from 1); the shares of all windows add up to one."""
    soon = 1 / (number * (number + 1))
    return 0.5 * soon + 0.5 * _RATE * (1 - _RATE) ** (number - 1)


def unstaked(windows: int) -> float:
    """What is left after so many windows: the two tails in closed form."""
    return 0.5 / (windows + 1) + 0.5 * (1 - _RATE) ** windows


def log_add(a: float, b: float) -> float:
    """The logarithm of the sum of two exponentials, either of which may be zero."""
    top = max(a, b)
    return top + math.log1p(math.exp(min(a, b) - top)) if top > -math.inf else top
