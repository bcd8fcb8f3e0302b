"""Absolute bounds where nothing is known of how bad events come: bet on what a window holds above the bound.

With n requests in a window and at most the share p of them expected to be bad, capital is multiplied by
(1 + s·y)/(1 + s·n·p): at most y/(n·p), however large the stake, so that a burst which comes at once counts once, be it
of three errors or of three hundred. For single requests this is the likelihood ratio of two rates whose odds are 1 + s
apart. Its mean is at most 1 whenever E[y | past] ≤ n·p, also where a burst brings its requests with it (n ≥ y; the
factor is concave in y). Bursts that last longer than a window are left to the drag (runs.py).

Half is staked from the start and half little by little on "it begins now" (onset.py). Next to it stands the test for
bursts of the largest size that is taken for one (binomial.py, HIGHEST_KNOWN), which needs some hundred requests but no
windows: where traffic is high it is the faster one, whatever runs stable has shown.

Rejected: independent requests until stable shows otherwise, which reverted nearly all good releases with bursts of ten;
the largest bursts alone, with which a failing candidate at 3 requests a minute is found after an hour.
"""

import math
from dataclasses import dataclass
from functools import lru_cache, reduce

from modelrelease.gates.binomial import SMALLEST
from modelrelease.gates.counts import Counts
from modelrelease.gates.onset import log_add, share_of, unstaked
from modelrelease.gates.sequences import log_grid, log_mean_exp

STAKES = 12
"""How many stakes there are."""


@dataclass(frozen=True, slots=True)
class Capital:
    """Windows with requests so far, and the log capital of each stake: staked from the start, and put in later."""

    windows: int = 0
    early: tuple[float, ...] = (0.0,) * STAKES
    late: tuple[float, ...] = (-math.inf,) * STAKES


@dataclass(frozen=True, slots=True)
class Surplus:
    """The test of the null "the rate is at most `bound`" (0…1)."""

    bound: float

    def start(self) -> Capital:
        """Nothing won or lost."""
        return Capital()

    def update(self, state: Capital, window: Counts) -> Capital:
        """Play one window; without requests it changes nothing."""
        if window.n_c <= 0:
            return state
        number = state.windows + 1
        put = math.log(share_of(number) / STAKES)
        allowed = window.n_c * clipped(self.bound)
        gains = [
            (math.log1p(stake * window.y_c) - math.log1p(stake * allowed)) / window.drag for stake in stakes(self.bound)
        ]
        return Capital(
            number,
            tuple(log + gain for log, gain in zip(state.early, gains, strict=True)),
            tuple(log_add(log, put) + gain for log, gain in zip(state.late, gains, strict=True)),
        )

    def log_e(self, state: Capital) -> float:
        """The log of all capital."""
        if not state.windows:
            return 0.0
        later = reduce(log_add, state.late, math.log(unstaked(state.windows)))
        return log_mean_exp([log_mean_exp(state.early), later])


def clipped(bound: float) -> float:
    """The bound where stakes on it are finite."""
    return min(max(bound, SMALLEST), 1 - SMALLEST)


@lru_cache(maxsize=512)
def stakes(bound: float) -> tuple[float, ...]:
    """Stakes from a fifth more than the odds of the bound to nine failures in ten, at least twenty times the odds."""
    odds = clipped(bound) / (1 - clipped(bound))
    return tuple(ratio - 1 for ratio in log_grid(1.2, max(20.0, 9 / odds), STAKES))
