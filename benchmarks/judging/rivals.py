"""The rules of Flagger, Argo Rollouts and Kayenta, written anew from their documentation and tests.

Both of the first compare the candidate's error share with a number; it is MAX_SHARE, twice the base rate, for both. A
minute without requests fails no check here (Flagger would count it as a failed one).

- Flagger (docs/gitbook/usage/how-it-works.md, the sample analysis: interval 1m, threshold 10): each minute the share of
  the last minute is checked; failed checks add up and are never forgotten; the run after the one that finds the
  threshold reached rolls back.
- Argo Rollouts (docs/features/analysis.md, the sample: interval 5m, failureLimit 3): each five minutes the share of the
  last five; more failures than the limit, in any order, end the run. A measurement without a value is an error; more
  than consecutiveErrorLimit (4) of them in a row end it too.
- Kayenta (spinnaker/kayenta, NetflixACAJudge): each 30 minutes, over all minutes since the start, the share of each
  minute in percent on both arms; High when the lower end of the 98 % Mann-Whitney interval for the shift is above a
  quarter of the Hodges-Lehmann estimate and the means are not the other way round.
"""

import math

import numpy as np

from benchmarks.judging.scenarios import TICK_S, Floats
from benchmarks.judging.traffic import Traffic

MAX_SHARE = 0.02
FLAGGER_INTERVAL_S, FLAGGER_THRESHOLD = 60, 10
ARGO_INTERVAL_S, ARGO_FAILURE_LIMIT, ARGO_ERROR_LIMIT = 300, 3, 4
KAYENTA_POINT_S, KAYENTA_INTERVAL_S = 60, 1800
KAYENTA_TOLERANCE, KAYENTA_QUANTILE = 0.25, 2.3263478740408408
"""The quantile is the normal law's at 1 %, for a confidence of 98 %."""

_SOLVED = 1e-4
"""Kayenta's solver stops at this width."""


def flagger(traffic: Traffic, *, threshold: int = FLAGGER_THRESHOLD) -> np.ndarray:
    """After which tick (from 1) each release is rolled back; 0: never."""
    size = FLAGGER_INTERVAL_S // TICK_S
    n, y = _windows(traffic.n_c, size), _windows(traffic.y_c, size)
    failed = (n > 0) & (y > MAX_SHARE * n)
    reached = np.cumsum(failed, axis=1) >= threshold
    return _ticks(np.concatenate([np.zeros((len(n), 1), bool), reached[:, :-1]], axis=1), size)


def argo(traffic: Traffic, *, failure_limit: int = ARGO_FAILURE_LIMIT) -> np.ndarray:
    """After which tick (from 1) each release is aborted; 0: never."""
    size = ARGO_INTERVAL_S // TICK_S
    n, y = _windows(traffic.n_c, size), _windows(traffic.y_c, size)
    failures = np.cumsum((n > 0) & (y > MAX_SHARE * n), axis=1) > failure_limit
    errors = n == 0
    in_a_row = np.zeros(len(n), int)
    ended = np.zeros_like(failures)
    for index in range(n.shape[1]):
        in_a_row = np.where(errors[:, index], in_a_row + 1, 0)
        ended[:, index] = in_a_row > ARGO_ERROR_LIMIT
    return _ticks(failures | ended, size)


def kayenta(traffic: Traffic) -> np.ndarray:
    """After which tick (from 1) each release is judged High; 0: never."""
    size, every = KAYENTA_POINT_S // TICK_S, KAYENTA_INTERVAL_S // KAYENTA_POINT_S
    n_c, y_c, n_s, y_s = (_windows(part, size) for part in (traffic.n_c, traffic.y_c, traffic.n_s, traffic.y_s))
    found = np.zeros(len(n_c), int)
    for row in range(len(found)):
        for end in range(every, n_c.shape[1] + 1, every):
            experiment = _percent(n_c[row, :end], y_c[row, :end])
            if is_high(experiment, _percent(n_s[row, :end], y_s[row, :end])):
                found[row] = end * size
                break
    return found


def is_high(
    experiment: Floats,
    control: Floats,
    *,
    tolerance: float = KAYENTA_TOLERANCE,
    quantile: float = KAYENTA_QUANTILE,
    allowed_increase: float = 1.0,
) -> bool:
    """Kayenta's classification High, for a metric of which less is better."""
    if not len(experiment) or not len(control) or np.array_equal(np.sort(experiment), np.sort(control)):
        return False
    means = experiment.mean(), control.mean()
    effect = means[0] / means[1] if means[0] and means[1] else math.nan
    if len(np.unique(experiment)) == 1 and len(np.unique(control)) == 1:
        # Kayenta adds noise of a hundred-thousandth here, so that the interval is as good as a point.
        shift = float(experiment[0] - control[0])
        return shift > tolerance * abs(shift) and not effect < allowed_increase
    if deviation(experiment, control, 0.0) <= quantile:
        return False  # the interval reaches zero, and what it must exceed is not below
    low = solve(experiment, control, quantile)
    return low > tolerance * abs(solve(experiment, control, 0.0)) and not effect < allowed_increase


def deviation(x: Floats, y: Floats, shift: float) -> float:
    """The Mann-Whitney statistic of x − shift against y in standard deviations, corrected for ties and continuity."""
    moved, (m, n) = x - shift, (len(x), len(y))
    both = np.sort(np.concatenate([moved, y]))
    ranks = (both.searchsorted(moved, "left") + both.searchsorted(moved, "right") + 1) / 2
    ties = np.diff(np.flatnonzero(np.concatenate([[True], both[1:] != both[:-1], [True]]))).astype(float)
    excess = float(ranks.sum()) - m * (m + 1) / 2 - m * n / 2
    variance = m * n / 12 * (m + n + 1 - float((ties**3 - ties).sum()) / ((m + n) * (m + n - 1)))
    if variance <= 0:
        raise ValueError("all observations are tied")
    return float((excess - 0.5 * np.sign(excess)) / math.sqrt(variance))


def solve(x: Floats, y: Floats, quantile: float) -> float:
    """The shift at which `deviation` falls below `quantile`, to within 1e-4: 0 for the Hodges-Lehmann estimate."""
    low, high = float(x.min() - y.max()), float(x.max() - y.min())
    if deviation(x, y, low) <= quantile:
        return low
    if deviation(x, y, high) >= quantile:
        return high
    while high - low > _SOLVED:
        middle = (low + high) / 2
        off = deviation(x, y, middle) - quantile
        if off == 0:
            return middle
        low, high = (middle, high) if off > 0 else (low, middle)
    return (low + high) / 2


def _percent(n: Floats, y: Floats) -> Floats:
    """The share of each minute that had requests."""
    return 100 * y[n > 0] / n[n > 0]


def _windows(values: Floats, size: int) -> Floats:
    rows, ticks = values.shape
    return values[:, : ticks // size * size].reshape(rows, -1, size).sum(axis=2)


def _ticks(reached: np.ndarray, size: int) -> np.ndarray:
    """The tick at which the first window that says so ends."""
    return np.where(reached.any(axis=1), (reached.argmax(axis=1) + 1) * size, 0)
