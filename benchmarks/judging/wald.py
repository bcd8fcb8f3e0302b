"""The limit: Wald's sequential probability ratio test (1945), told everything but whether the candidate is worse.

It knows the base rate at every moment (the candidate's own, where it wanders), how errors cluster, when the regression
would begin and how large it would be, and it counts a burst's errors when the burst begins. It looks at every tick, as
all judges do, and needs a likelihood ratio of gates/α, as the product does.
"""

import math

import numpy as np

from benchmarks.judging.scenarios import Floats, Regression, Scenario
from benchmarks.judging.traffic import Traffic


def detected_at(scenario: Scenario, traffic: Traffic, told: Regression, threshold: float) -> np.ndarray:
    """After which tick (from 1) the likelihood ratio reaches `threshold`; 0: never."""
    gain = _gain(scenario, traffic, told)
    gain[:, : told.onset] = 0.0
    reached = np.cumsum(gain, axis=1) >= threshold
    return np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, 0)


def expected_samples(base: float, ratio: float, threshold: float) -> float:
    """ln(m/α)/[p(r ln r − r + 1)]: Wald's expected number of requests for rare independent errors."""
    return threshold / (base * (ratio * math.log(ratio) - ratio + 1))


def _gain(scenario: Scenario, traffic: Traffic, told: Regression) -> Floats:
    """The log likelihood ratio of each tick."""
    expected, bad = traffic.requests * traffic.rate, traffic.begun
    if told.failing:
        good = traffic.n_c - traffic.y_c
        if scenario.burst == 1:
            return bad * np.log(told.failing / traffic.rate) + good * np.log((1 - told.failing) / (1 - traffic.rate))
        share = (1 - told.failing) / (1 - traffic.rate)
        worse = _poisson(bad, traffic.requests * told.failing) - _bursts(bad, expected, scenario.burst)
        return worse + good * np.log(share) - traffic.requests * (1 - traffic.rate) * (share - 1)
    if scenario.burst == 1:
        return bad * math.log(told.ratio) - expected * (told.ratio - 1)
    return _bursts(bad, expected * told.ratio, scenario.burst) - _bursts(bad, expected, scenario.burst)


def _poisson(count: Floats, mean: Floats) -> Floats:
    table = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, int(count.max()) + 1)))])
    return count * np.log(mean) - mean - table[count.astype(int)]


def _bursts(count: Floats, mean: Floats, size: float) -> Floats:
    """Log probability of counts of geometric bursts; `mean` has one value per stage, shape (R, K) with equal rows."""
    found = np.empty_like(count)
    for value in np.unique(mean[0]):
        columns = mean[0] == value
        table = log_probabilities(value / size, size, int(count[:, columns].max(initial=0)))
        found[:, columns] = table[count[:, columns].astype(int)]
    return found


def log_probabilities(bursts: float, size: float, most: int) -> Floats:
    """Log probabilities of 0…`most` events: a Poisson number of bursts of geometric sizes (Pólya and Aeppli 1930)."""
    more, found = 1 - 1 / size, np.empty(most + 1)
    before, now, scale = 0.0, 1.0, 0.0
    for count in range(most + 1):
        if count:
            gain = (bursts * (1 - more) + 2 * more * (count - 1)) * now - more**2 * (count - 2) * before
            before, now = now, gain / count
            if now > 1e200 or now < 1e-200:
                before, scale, now = before / now, scale + math.log(now), 1.0
        found[count] = math.log(now) + scale - bursts
    return found
