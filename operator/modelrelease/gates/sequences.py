"""The mathematics that the tests share: means in log space, grids, Robbins' normal mixture and its Student version.

It knows nothing of gates, arms or strata. `confseq` has the normal mixtures too and stays the oracle of our tests, but
it brings a C++ build and numpy for three lines of algebra.

Sources: Robbins (1970), Ann. Math. Stat. 41; Howard, Ramdas, McAuliffe and Sekhon (2021), Ann. Stat. 49, section 3.2;
Lai (1976) and Wang and Ramdas (2025), "Anytime-valid t-tests and confidence sequences for Gaussian means with unknown
variance".
"""

import math
from collections.abc import Iterable, Sequence

NEVER = -math.inf
"""The logarithm of evidence that can never be found."""


def log_mean_exp(values: Sequence[float]) -> float:
    """The logarithm of the mean of the exponentials, without overflow; NEVER for no values."""
    top = max(values, default=NEVER)
    if math.isinf(top):
        return top
    return top + math.log(math.fsum(math.exp(value - top) for value in values) / len(values))


def log_dot_exp(weights: Sequence[float], values: Sequence[float]) -> float:
    """The logarithm of Σ weight·exp(value) for weights that sum to one."""
    top = max(values)
    if math.isinf(top):
        return top
    return top + math.log(math.fsum(w * math.exp(value - top) for w, value in zip(weights, values, strict=True)))


def log_grid(low: float, high: float, points: int) -> tuple[float, ...]:
    """`points` numbers from `low` to `high`, both included, with equal ratios between neighbours."""
    step = (math.log(high) - math.log(low)) / (points - 1)
    return tuple(math.exp(math.log(low) + step * index) for index in range(points))


def linear_grid(low: float, high: float, points: int) -> tuple[float, ...]:
    """`points` numbers from `low` to `high`, both included, with equal steps."""
    return tuple(low + (high - low) * index / (points - 1) for index in range(points))


def logit(p: float) -> float:
    """The log odds of a probability strictly between 0 and 1."""
    return math.log(p) - math.log1p(-p)


def expit(x: float) -> float:
    """The probability with the log odds `x`."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def best_rho(v_opt: float, alpha: float) -> float:
    """The mixture's precision that makes the two-sided bound about tightest at variance `v_opt` (Howard et al.)."""
    log_term = 2 * math.log(1 / alpha)
    return v_opt / (log_term + math.log1p(log_term))


def normal_mixture_bound(v: float, rho: float, alpha: float) -> float:
    """How far from zero a sum with variance `v` may ever stray, two-sided, with probability 1 − alpha."""
    return math.sqrt((v + rho) * math.log((v + rho) / (rho * alpha * alpha)))


def normal_mixture_log_e(s: float, v: float, rho: float) -> float:
    """The log E-value of the sum `s` with variance `v` against mean ≤ 0.

    The two-sided mixture, counted only where s > 0: at the edge of the null it is a martingale, and inside the null
    every path lies lower, so a crossing with s > 0 is no likelier.
    """
    penalty = 0.5 * math.log(rho / (v + rho))
    return penalty if s <= 0 else penalty + s * s / (2 * (v + rho))


def student_log_e(r: float, windows: int, information: float) -> float:
    """The log E-value of a mean whose variance is only estimated, two-sided.

    `r` = H·(mean − limit)² / Σh(x − mean)² = t²/(windows − 1), H = Σh; `information` = H times the prior variance of
    the effect size. A normal mixture with a plugged-in variance was rejected: with a dozen windows it reverts falsely
    far more often than alpha, because the variance is then itself a guess. This one is exact for normal windows.
    """
    if math.isinf(r):
        return 0.5 * (windows - 1) * math.log1p(information)
    gain = math.log1p(r) - math.log1p(r / (1 + information))
    return 0.5 * (windows * gain - math.log1p(information))


def student_radius(threshold: float, windows: int, information: float) -> float:
    """The `r` at which `student_log_e` reaches `threshold`; infinite when no r does."""
    c = math.exp((2 * threshold + math.log1p(information)) / windows)
    return (c - 1) / (1 - c / (1 + information)) if c < 1 + information else math.inf


def all_of(log_es: Iterable[float]) -> float:
    """Evidence that every one of several nulls is false: the smallest of their log E-values."""
    return min(log_es, default=NEVER)
