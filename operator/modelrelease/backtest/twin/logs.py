"""Means in log space along the first axis, and Robbins' mixtures, for arrays: `gates.sequences` element by element."""

import numpy as np

from modelrelease.backtest.twin.windows import Floats


def log_mean_exp(values: Floats) -> Floats:
    """The logarithm of the mean of the exponentials over the first axis."""
    top = values.max(axis=0)
    with np.errstate(invalid="ignore"):
        mean = np.exp(values - top).mean(axis=0)
    return np.where(np.isinf(top), top, top + np.log(np.where(np.isinf(top), 1.0, mean)))


def log_dot_exp(weights: Floats, values: Floats) -> Floats:
    """The logarithm of Σ weight·exp(value) over the first axis."""
    top = values.max(axis=0)
    mean = np.tensordot(weights, np.exp(values - top), axes=1)
    found: Floats = top + np.log(mean)
    return found


def log_sum_exp(values: Floats) -> Floats:
    """The logarithm of the sum of the exponentials over the first axis; −∞ where all are."""
    top = values.max(axis=0)
    finite = np.where(np.isneginf(top), 0.0, top)
    with np.errstate(divide="ignore"):
        return finite + np.log(np.exp(values - finite).sum(axis=0))


def normal_mixture_log_e(s: Floats, v: Floats, rho: Floats) -> Floats:
    """The log E-value of the sum `s` with variance `v` against mean ≤ 0."""
    penalty = 0.5 * np.log(rho / (v + rho))
    return np.where(s <= 0, penalty, penalty + s * s / (2 * (v + rho)))


def student_log_e(r: Floats, windows: Floats, information: Floats) -> Floats:
    """The log E-value of a mean whose variance is only estimated."""
    unending = np.isinf(r)
    finite = np.where(unending, 0.0, r)
    gain = np.log1p(finite) - np.log1p(finite / (1 + information))
    found = 0.5 * (windows * gain - np.log1p(information))
    return np.where(unending, 0.5 * (windows - 1) * np.log1p(information), found)
