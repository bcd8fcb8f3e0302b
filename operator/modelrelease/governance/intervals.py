"""Exact confidence bounds of a share of counted cases, after Clopper and Pearson (1934).

A bound is the share at which so many cases (or so few) would be seen with the error's probability: a quantile of a
beta distribution, where the regularised incomplete beta function (continued fraction: Lentz's method; DLMF 8.17.22)
reaches the error. The normal approximation was rejected: with 3 failures of 100 its bound is wrong by a third.
"""

import math
from collections.abc import Callable
from functools import lru_cache

_TINY = 1e-300
_STEPS = 200
_CLOSE, _TRIES = 1e-11, 60


@lru_cache(maxsize=4096)
def lower_bound(count: int, total: int, error: float) -> float:
    """The one-sided lower bound of the share: wrong with probability `error` (0…1) at most. 0 where none counted."""
    if count <= 0:
        return 0.0
    share = count / total
    spread = math.sqrt(max(share * (1 - share), 1 / total) / total) * 2
    goal = math.log(error)
    return _root(lambda at: _log(_beta(at, count, total - count + 1)) - goal, share, spread)


@lru_cache(maxsize=4096)
def upper_bound(count: int, total: int, error: float) -> float:
    """The one-sided upper bound of the share: wrong with probability `error` (0…1) at most. 1 where all counted."""
    if count >= total:
        return 1.0
    return 1.0 - lower_bound(total - count, total, error)


def _root(short: Callable[[float], float], guess: float, spread: float) -> float:
    """Where a rising function of a share crosses zero, under `guess`: by false position (Illinois), some ten calls.

    The logarithm of a tail's probability is nearly a parabola, which is why so few are enough.
    """
    high, low, step = guess, guess, spread
    at_high, at_low = short(high), 1.0
    if at_high <= 0:
        return guess
    while at_low > 0 and low > 0:
        low, step = max(0.0, low - step), step * 4
        at_low = short(low)
    side, last = 0, guess
    for _ in range(_TRIES):
        middle = high - at_high * (high - low) / (at_high - at_low)
        found = short(middle)
        if abs(found) <= _CLOSE or abs(middle - last) <= _CLOSE * middle:
            return middle
        last = middle
        if found > 0:
            high, at_high, at_low, side = middle, found, at_low / (2 if side > 0 else 1), 1
        else:
            low, at_low, at_high, side = middle, found, at_high / (2 if side < 0 else 1), -1
    return low


def _log(probability: float) -> float:
    """The logarithm, far below any error where the probability is too small for a float."""
    return math.log(max(probability, _TINY))


def _beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b)."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _beta(1 - x, b, a)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(scale) * _fraction(x, a, b) / a


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, _away(1 - (a + b) * x / (a + 1))
    d = 1 / d
    found = d
    for m in range(1, _STEPS + 5 * int(math.sqrt(a + b))):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away(1 + numerator * d)
            c = _away(1 + numerator / c)
            found *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return found


def _away(value: float) -> float:
    """Never zero, because it is divided by."""
    return value if abs(value) > _TINY else _TINY
