"""Absolute bounds for ratios: is the candidate's rate above the maximum, or proven under it?

Mixtures of Bernoulli likelihood ratios over a grid of rates on the far side of the bound: E-processes for the null
p ≤ maximum (revert) and p ≥ maximum (pass) (Robbins and Siegmund 1974; Wald 1945 for one alternative). Assumption:
requests fail independently of each other given their rate. Bursts break it; a gate against stable does not need it.

Half of the weight lies within five times the odds of the bound, where it is near Wald's test, and half between there
and nine failures in ten, so that a broken candidate is seen within a handful of requests. A Beta prior was rejected:
its weight near twice a small bound is next to nothing.

The likelihood depends on the totals only, because the bound does not move; so the state is the totals.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

from modelrelease.gates.counts import Counts
from modelrelease.gates.sequences import expit, linear_grid, log_dot_exp, logit

_SMALLEST = 1e-9
_NEAR, _FAR = 16, 24
_HALVES = tuple([0.5 / _NEAR] * _NEAR + [0.5 / _FAR] * _FAR)
_LESS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_LESS_WEIGHTS = (0.3, *([0.7 / (len(_LESS) - 1)] * (len(_LESS) - 1)))


@dataclass(frozen=True, slots=True)
class Trials:
    """Requests so far and how many of them were bad."""

    n: float = 0.0
    y: float = 0.0


NO_TRIALS = Trials()
"""Nothing yet."""


@dataclass(frozen=True, slots=True)
class Binomial:
    """The test of one bound. `above` True: evidence for p > bound (revert); False: for p < bound (pass)."""

    bound: float
    above: bool

    def start(self) -> Trials:
        """No requests yet."""
        return Trials()

    def update(self, state: Trials, window: Counts) -> Trials:
        """Add the candidate's requests of one window."""
        return Trials(state.n + window.n_c, state.y + window.y_c)

    def log_e(self, state: Trials) -> float:
        """The log E-value against the null."""
        weights, if_bad, if_good = _table(min(max(self.bound, _SMALLEST), 1 - _SMALLEST), self.above)
        good = state.n - state.y
        # A rate of zero is refuted by the first bad event: 0 · −inf must not become NaN.
        logs = [
            (state.y * bad if state.y else 0.0) + (good * fine if good else 0.0)
            for bad, fine in zip(if_bad, if_good, strict=True)
        ]
        return log_dot_exp(weights, logs)


def alternatives(bound: float) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """The rates above `bound` that are bet on: their weights, and their log likelihood ratios of a bad and a good
    request against the bound."""
    return _table(min(max(bound, _SMALLEST), 1 - _SMALLEST), True)


def lower_bound(n: float, y: float, threshold: float) -> float:
    """A lower confidence bound for the rate, valid at all times with error exp(−threshold).

    Robbins' confidence sequence with the prior Beta(½, ½): all rates whose likelihood is not below the mixture's by
    more than the threshold. Its numerator is the same for all rates, so the bound holds for all of them at once.
    """
    if y <= 0 or n <= 0:
        return 0.0
    mixture = math.lgamma(y + 0.5) + math.lgamma(n - y + 0.5) - math.lgamma(n + 1) - math.log(math.pi)
    low, high = 0.0, y / n
    for _ in range(60):
        middle = (low + high) / 2
        if middle <= 0 or mixture - _log_likelihood(n, y, middle) >= threshold:
            low = middle
        else:
            high = middle
    return low


def _log_likelihood(n: float, y: float, p: float) -> float:
    return y * math.log(p) + ((n - y) * math.log1p(-p) if n > y else 0.0)


@lru_cache(maxsize=512)
def _table(bound: float, above: bool) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Weights, and the log likelihood ratio of one bad and of one good request for each alternative."""
    if above:
        start = logit(bound)
        far = max(logit(0.9), start + math.log(20))
        near = linear_grid(start + math.log(1.2), start + math.log(5), _NEAR)
        rates = tuple(expit(x) for x in (*near, *linear_grid(start + math.log(5), far, _FAR)))
        weights = _HALVES
    else:
        rates = tuple(bound * less for less in _LESS)
        weights = _LESS_WEIGHTS
    if_bad = tuple(math.log(rate / bound) if rate > 0 else -math.inf for rate in rates)
    if_good = tuple(math.log1p(-rate) - math.log1p(-bound) for rate in rates)
    return weights, if_bad, if_good
