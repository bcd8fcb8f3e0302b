"""Stable's habit, release by release, and the drag that goes with it: `gates.habit` and `gates.echo` for arrays."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from modelrelease.backtest.twin.windows import Floats, Ints, Packed, Windows, before_each
from modelrelease.gates.echo import CHANCE, FEWEST, MEMORY_S
from modelrelease.gates.habit import HIGHEST_KNOWN, INDEPENDENT

_FADED = 30.0
"""Sums are taken over so many times the memory at once: e^30 more for the oldest is still exact."""

_TICK_S = 15.0
"""How long a window counts as where its length is 0, as in `gates.echo.fading`."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Releases whose habit is known: window length in seconds and φ as tests use it, shape (R,).

    `bursts`: φ is above 1 in all of them, else 1 in all of them.
    """

    window_s: Floats
    together: Floats
    bursts: bool


def by_habit(window_s: Floats, phi: Floats) -> Iterator[tuple[Ints, Known | None]]:
    """Releases that are judged alike, as their rows: habit unknown (φ NaN), independent events, bursts."""
    together = np.where(phi <= INDEPENDENT, 1.0, np.minimum(phi, HIGHEST_KNOWN))
    for rows, bursts in ((np.isnan(phi), None), (together == 1, False), (together > 1, True)):
        index = np.flatnonzero(rows).astype(np.int64)
        if len(index):
            known = None if bursts is None else Known(window_s[index], together[index], bursts)
            yield index, known


def drag(windows: Windows, window_s: Floats) -> Floats:
    """By how much each window overstates what it proves, as known before it, at least 1."""
    fading = np.exp(-1 / np.maximum(FEWEST, MEMORY_S / np.where(window_s > 0, window_s, _TICK_S)))
    products, squared, own = (np.zeros(windows.shape) for _ in range(3))
    for columns in windows.segments():
        packed = Packed((windows.n_c > 0) & (windows.n_s > 0) & columns)
        n_c, n_s = packed.pack(windows.n_c, 1.0), packed.pack(windows.n_s, 1.0)
        y_c, y_s = packed.pack(windows.y_c), packed.pack(windows.y_s)
        candidate = 0.5 + before_each(np.cumsum(y_c * n_s / (n_c + n_s), axis=1), 0.0)
        stable = 0.5 + before_each(np.cumsum(y_s * n_c / (n_c + n_s), axis=1), 0.0)
        odds = candidate / stable * n_c / n_s
        e = y_c - odds / (1 + odds) * (y_c + y_s)
        product = e * _faded(e, fading[:, None])
        rows, places = np.nonzero(packed.valid())
        at = (rows, packed.columns()[rows, places])
        products[at], squared[at], own[at] = product[rows, places], product[rows, places] ** 2, e[rows, places] ** 2
    products, squared, own = (np.cumsum(values, axis=1) for values in (products, squared, own))
    found = 1 + 2 * (products - CHANCE * np.sqrt(squared)) / np.where(own > 0, own, 1.0)
    return before_each(np.where(own > 0, np.maximum(1.0, found), 1.0), 1.0)


def _faded(e: Floats, fading: Floats) -> Floats:
    """What is left of all residuals before each window, each faded once per window since."""
    found, carry = np.empty_like(e), np.zeros((len(e), 1))
    length = max(1, int(_FADED / -np.log(fading.min(initial=0.99))))
    for start in range(0, e.shape[1], length):
        some = e[:, start : start + length]
        power = np.arange(some.shape[1])
        sums = np.cumsum(some * fading ** -(power + 1.0), axis=1)
        found[:, start : start + length] = fading**power * (carry + before_each(sums, 0.0))
        carry = fading ** some.shape[1] * (carry + sums[:, -1:])
    return found
