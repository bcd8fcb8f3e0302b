"""Absolute bounds for ratios: is the candidate's rate above the maximum, or proven under it?

Mixtures of Bernoulli likelihood ratios over a grid of rates on the far side of the bound: E-processes for the null
p ≤ maximum (revert) and p ≥ maximum (pass) (Robbins and Siegmund 1974; Wald 1945 for one alternative). Assumption:
requests fail independently of each other given their rate, as stable's history shows. Bursts break it; where nothing is
known of them, surplus.py bets.

Half of the weight lies within five times the odds of the bound, where it is near Wald's test, and half between there
and nine failures in ten, so that a broken candidate is seen within a handful of requests. A Beta prior was rejected:
its weight near twice a small bound is next to nothing.

Where stable's history shows bursts (habit.py), the alternatives against the null p ≤ maximum are tilts of bursts
instead of rates: with bursts of a geometric size of mean m = (φ + 1)/2 that come as a Poisson process,
exp(θ·y − n·p·(M(θ) − 1)/m) has mean 1 for a rate of p and at most 1 for less, M being the size's moment generating
function. It needs no window: a burst that is only half over has counted for less than it will. A likelihood ratio
divided by φ was rejected: large bursts have no moment of that order, and one of them would revert.

The likelihood depends on the totals only, because the bound does not move; so the state is the totals.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

from modelrelease.gates.counts import Counts
from modelrelease.gates.sequences import expit, linear_grid, log_dot_exp, logit

SMALLEST = 1e-9
"""Bounds are at least so far from 0 and from 1."""

_NEAR, _FAR = 16, 24
_HALVES = tuple([0.5 / _NEAR] * _NEAR + [0.5 / _FAR] * _FAR)
_LESS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_LESS_WEIGHTS = (0.3, *([0.7 / (len(_LESS) - 1)] * (len(_LESS) - 1)))
_TILTS = (0.08, 0.15, 0.25, 0.4, 0.6)
"""Tilts of bursts: (e^θ − 1)·(m − 1); at 1 the moment generating function of a burst's size is infinite."""


@dataclass(frozen=True, slots=True)
class Trials:
    """Requests so far and how many of them were bad."""

    n: float = 0.0
    y: float = 0.0


NO_TRIALS = Trials()
"""Nothing yet."""


@dataclass(frozen=True, slots=True)
class Binomial:
    """The test of one bound. `above` True: evidence for p > bound (revert); False: for p < bound (pass).

    `phi`: 1 for independent requests, more when stable's bad events are known to come in bursts. A pass is then
    tempered, because so many requests without a bad one are then likelier.
    """

    bound: float
    above: bool
    phi: float = 1.0

    def start(self) -> Trials:
        """No requests yet."""
        return Trials()

    def update(self, state: Trials, window: Counts) -> Trials:
        """Add the candidate's requests of one window."""
        return Trials(state.n + window.n_c, state.y + window.y_c)

    def log_e(self, state: Trials) -> float:
        """The log E-value against the null."""
        bound = min(max(self.bound, SMALLEST), 1 - SMALLEST)
        weights, if_bad, if_good = (
            _tilted(bound, self.phi) if self.above and self.phi > 1 else _table(bound, self.above)
        )
        good = state.n - state.y
        # A rate of zero is refuted by the first bad event: 0 · −inf must not become NaN.
        logs = [
            (state.y * bad if state.y else 0.0) + (good * fine if good else 0.0)
            for bad, fine in zip(if_bad, if_good, strict=True)
        ]
        return log_dot_exp(weights, logs if self.above else [log / self.phi for log in logs])


def alternatives(bound: float, phi: float = 1.0) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """What is bet on against p ≤ `bound`: weights, and the log factors of a bad and of a good request; rates above the
    bound, or tilts of bursts where `phi` is above 1."""
    bound = min(max(bound, SMALLEST), 1 - SMALLEST)
    return _tilted(bound, phi) if phi > 1 else _table(bound, True)


def lower_bound(n: float, y: float, threshold: float, phi: float = 1.0) -> float:
    """A lower confidence bound for the rate, valid at all times with error exp(−threshold).

    Robbins' confidence sequence with the prior Beta(½, ½): all rates whose likelihood is not below the mixture's by
    more than the threshold. Its numerator is the same for all rates, so the bound holds for all of them at once. With
    bursts (`phi` above 1): all rates that no tilt refutes with its share of the mixture.
    """
    if y <= 0 or n <= 0:
        return 0.0
    if phi > 1:
        needed = threshold + math.log(len(_TILTS))
        return max(0.0, *((y * theta - needed) / (n * cost) for theta, cost in _tilts(phi)))
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


@lru_cache(maxsize=512)
def _tilted(bound: float, phi: float) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Weights, and the log factor of one bad and of one good request for each tilt of bursts."""
    tilts = [(theta, bound * cost) for theta, cost in _tilts(phi)]
    if_bad = tuple(theta - cost for theta, cost in tilts)
    return (1 / len(tilts),) * len(tilts), if_bad, tuple(-cost for _, cost in tilts)


def _tilts(phi: float) -> list[tuple[float, float]]:
    """θ of each tilt, and its cost per request at a rate of 1: (M(θ) − 1)/m."""
    size = (phi + 1) / 2
    odds = [1 + tilt / (size - 1) for tilt in _TILTS]
    return [(math.log(e_theta), (e_theta / (size - (size - 1) * e_theta) - 1) / size) for e_theta in odds]
