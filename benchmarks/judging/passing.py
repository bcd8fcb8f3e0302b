"""Proving a ratio, for many releases at once: `gates.mirrored` tempered with `gates.dispersion`; φ NaN: no habit."""

import numpy as np

from benchmarks.judging.habits import together
from benchmarks.judging.scenarios import STAGE_TICKS, TICKS, Floats
from benchmarks.judging.traffic import Traffic
from modelrelease.gates.dispersion import CAUTION, PRIOR, SPANS, UNSEEN
from modelrelease.gates.mirrored import _SHARES, mirrored
from modelrelease.gates.runs import FADING


def passed(
    traffic: Traffic, ticks: np.ndarray, phi: Floats, margin: float, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """After which tick (from 1) each release first passes, 0: never; and how many pass at the end of each stage."""
    first, ends = np.zeros(len(phi), int), np.zeros(TICKS // STAGE_TICKS, int)
    for length in np.unique(ticks):
        rows = np.flatnonzero(ticks == length)
        counts = [_windows(part[rows], int(length)) for part in (traffic.n_c, traffic.y_c, traffic.n_s, traffic.y_s)]
        proven = log_pass(*counts, phi[rows], margin) >= threshold
        any_, when = proven.any(axis=1), (proven.argmax(axis=1) + 1) * length
        first[rows] = np.where(any_, when, 0)
        for stage in range(len(ends)):
            ends[stage] += int(proven[:, (stage + 1) * STAGE_TICKS // length - 1].sum())
    return first, ends


def log_pass(n_c: Floats, y_c: Floats, n_s: Floats, y_s: Floats, phi: Floats, margin: float) -> Floats:
    """Log E against "the rate is the margin times stable's" after each window, as judged then."""
    found = np.full(n_c.shape, -np.inf)
    both, bad = (n_c > 0) & (n_s > 0), y_c + y_s
    raw = np.where(both, n_c, 0.0) / np.where(both, n_s, 1.0)
    odds = mirrored(margin).margin * raw
    temper = _phi_for_passing(n_c, y_c, n_s, y_s, phi)
    for share in _SHARES:
        gain = np.where(both, y_c * np.log(share) + bad * (np.log1p(odds) - np.log1p(odds * share)), 0.0)
        found = np.logaddexp(found, np.cumsum(gain, axis=1) / temper)
    return found - np.log(len(_SHARES))


def _phi_for_passing(n_c: Floats, y_c: Floats, n_s: Floats, y_s: Floats, phi: Floats) -> Floats:
    """`dispersion.phi_for_passing` after each window."""
    unseen = np.isnan(phi)[:, None]
    found = np.where(unseen, _quiet(n_s, y_s), CAUTION * together(phi)[:, None])
    exposure, bad = n_c + n_s, y_c + y_s
    candidate = 0.5 + _before(np.cumsum(y_c * n_s / exposure, axis=1))
    stable = 0.5 + _before(np.cumsum(y_s * n_c / exposure, axis=1))
    odds = candidate / stable * n_c / n_s
    share = odds / (1 + odds)
    for ticks, apart in SPANS:
        n, y = _windows(n_s, ticks), _windows(y_s, ticks)
        over_time = np.ones(n_c.shape)
        if n.shape[1] > 2 * apart:
            first, middle, last = (slice(None, -2 * apart), slice(apart, -apart), slice(2 * apart, None))
            part = n[:, middle] / (n[:, first] + n[:, middle] + n[:, last])
            events = y[:, first] + y[:, middle] + y[:, last]
            looks = (y[:, middle] - part * events) ** 2, events * part * (1 - part)
            over_time = _look(looks, ticks, 2 * apart, n_c.shape[1])
        if ticks > 1:
            spans = np.maximum((np.arange(n_c.shape[1]) + 1) // ticks - 2 * apart, 0)
            over_time = np.where(unseen, (over_time * spans + UNSEEN) / (spans + 1), over_time)
        found = np.maximum(found, CAUTION * over_time)
        squares = _windows(y_c - share * bad, ticks) ** 2, _windows(bad * share * (1 - share), ticks)
        found = np.maximum(found, CAUTION * _look(squares, ticks, 0, n_c.shape[1]))
    return found


def _quiet(n: Floats, y: Floats) -> Floats:
    """`runs.noise` after each window; stable has requests in all of them."""
    before_n, before_y = _before(np.cumsum(n, axis=1)), _before(np.cumsum(y, axis=1))
    rate = np.where(before_n > 0, before_y / np.maximum(before_n, 1e-300), y / n)
    e, left = y - n * rate, np.zeros(len(n))
    products = np.empty_like(e)
    for window in range(e.shape[1]):
        products[:, window] = e[:, window] * left
        left = FADING * left + e[:, window]
    squares = np.cumsum(e**2, axis=1) + 2 * np.maximum(np.cumsum(products, axis=1), 0.0)
    found = (squares + PRIOR) / (np.cumsum(n * rate * (1 - rate), axis=1) + PRIOR)
    return 1 + CAUTION * np.maximum(0.0, found - 1)


def _look(squares: tuple[Floats, Floats], ticks: int, late: int, windows: int) -> Floats:
    """φ after each window from squares found and expected, of which the first is known after `late` + 1 spans."""
    sums = [np.cumsum(each, axis=1) for each in squares]
    phi = (sums[0] + PRIOR) / (sums[1] + PRIOR)
    found = np.ones((len(phi), windows))
    known = np.arange(windows)
    spans = (known + 1) // ticks - late
    some = spans > 0
    found[:, some] = phi[:, np.minimum(spans[some], phi.shape[1]) - 1]
    return found


def _before(values: Floats) -> Floats:
    return np.concatenate([np.zeros((len(values), 1)), values[:, :-1]], axis=1)


def _windows(values: Floats, size: int) -> Floats:
    rows, ticks = values.shape
    return values[:, : ticks // size * size].reshape(rows, -1, size).sum(axis=2)
