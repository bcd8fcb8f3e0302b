"""Draws the traffic of many releases at once: requests and errors of both arms per tick, and stable's history."""

from dataclasses import dataclass, fields

import numpy as np

from benchmarks.judging.scenarios import (
    BASE,
    HISTORY_TICKS,
    TICK_S,
    TICKS,
    WEIGHT,
    Floats,
    Regression,
    Scenario,
)

_INCIDENT = 4.0
_INCIDENT_S = (180.0, 600.0)
_DRIFT = (0.005, 0.02)


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """R releases of K ticks: arrays (R, K); n requests, y errors; `before_*`: stable's history, (R, H).

    `rate`: the candidate's own base rate in each tick, without the regression; `begun`: its errors counted when their
    burst began; `requests`: how many it gets on average, (K,). Only Wald's test is told these three.
    """

    n_c: Floats
    y_c: Floats
    n_s: Floats
    y_s: Floats
    before_n: Floats
    before_y: Floats
    rate: Floats
    begun: Floats
    requests: Floats

    def rows(self, chosen: np.ndarray) -> "Traffic":
        """Some of the releases."""
        kept = {field.name: getattr(self, field.name)[chosen] for field in fields(self) if field.name != "requests"}
        return Traffic(**kept, requests=self.requests)


def draw(rng: np.random.Generator, scenario: Scenario, per_s: float, releases: int, wrong: Regression) -> Traffic:
    """`releases` releases with `per_s` requests per second in all."""
    ticks = HISTORY_TICKS + TICKS
    rate = _base_rate(rng, scenario, (releases, ticks))
    weight = np.concatenate([np.zeros(HISTORY_TICKS), WEIGHT])
    sick = np.arange(TICKS) >= wrong.onset
    stable = _arm(rng, scenario, per_s * TICK_S * (1 - weight), rate, np.ones(ticks), np.zeros(ticks))
    candidate = _arm(
        rng,
        scenario,
        per_s * TICK_S * WEIGHT,
        rate[:, HISTORY_TICKS:],
        np.where(sick, wrong.ratio, 1.0),
        np.where(sick, wrong.failing, 0.0),
    )
    n_s, y_s, _, _ = stable
    n_c, y_c, own_rate, begun = candidate
    return Traffic(
        n_c,
        y_c,
        n_s[:, HISTORY_TICKS:],
        y_s[:, HISTORY_TICKS:],
        n_s[:, :HISTORY_TICKS],
        y_s[:, :HISTORY_TICKS],
        own_rate,
        begun,
        per_s * TICK_S * WEIGHT,
    )


def _base_rate(rng: np.random.Generator, scenario: Scenario, shape: tuple[int, int]) -> Floats:
    """What both arms share."""
    rate = np.full(shape, BASE)
    if scenario.drift:
        low, high = _DRIFT
        rate[:, :HISTORY_TICKS] = low
        rate[:, HISTORY_TICKS:] = low * (high / low) ** (np.arange(TICKS) / TICKS)
    if scenario.incidents_per_h:
        begins = rng.random(shape) < scenario.incidents_per_h * TICK_S / 3600
        for row, tick in zip(*np.nonzero(begins), strict=True):
            rate[row, tick : tick + round(rng.uniform(*_INCIDENT_S) / TICK_S)] = BASE * _INCIDENT
    return rate * _wander(rng, shape, scenario.shared, scenario.memory_s) if scenario.shared else rate


def _wander(rng: np.random.Generator, shape: tuple[int, int], spread: float, memory_s: float) -> Floats:
    """A factor of mean 1 whose logarithm is an Ornstein-Uhlenbeck process."""
    left = np.exp(-TICK_S / memory_s)
    path = rng.standard_normal(shape)
    path[:, 1:] *= np.sqrt(1 - left**2)
    for tick in range(1, shape[1]):
        path[:, tick] += left * path[:, tick - 1]
    return np.exp(spread * path - spread**2 / 2)


def _arm(
    rng: np.random.Generator, scenario: Scenario, mean: Floats, rate: Floats, ratio: Floats, failing: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Requests, errors, the arm's own base rate, and errors counted when their burst began."""
    if scenario.own:
        rate = rate * _wander(rng, rate.shape, scenario.own, scenario.memory_s)
    share = np.minimum(rate * ratio, 1.0)
    begun = _bursts(rng, mean * share, scenario.burst)
    bad = _spread(rng, begun, scenario.spread_s // TICK_S) if scenario.spread_s else begun
    if np.any(failing):
        # The failing requests come on top of the ordinary errors; both together are the share that fails.
        more = rng.poisson(mean * np.maximum(failing - share, 0.0), size=bad.shape)
        bad, begun, share = bad + more, begun + more, np.maximum(share, failing)
    good = rng.poisson(mean * (1 - share))
    return (good + bad).astype(float), bad.astype(float), rate, begun.astype(float)


def _bursts(rng: np.random.Generator, mean: Floats, size: float) -> np.ndarray:
    """Counts of the given mean that come in bursts of geometric sizes."""
    bursts = rng.poisson(mean / size)
    if size == 1:
        return bursts
    return bursts + np.where(bursts > 0, rng.negative_binomial(np.maximum(bursts, 1), 1 / size), 0)


def _spread(rng: np.random.Generator, begun: np.ndarray, ticks: int) -> np.ndarray:
    """The errors of each tick spread over that time: begun anywhere in the tick, delayed by anything up to it."""
    share = np.full(ticks + 1, 1 / ticks)
    share[[0, -1]] /= 2
    left, found, rest = begun.copy(), np.zeros_like(begun), 1.0
    for lag in range(ticks + 1):
        now = left if lag == ticks else rng.binomial(left, min(1.0, share[lag] / rest))
        left, rest = left - now, rest - share[lag]
        found[:, lag:] += now[:, : begun.shape[1] - lag]
    return found
