"""Stable's habit, release by release, and what past windows tell of the next: `domain.habit` and `gates.echo`."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from modelrelease.backtest.twin.windows import Bools, Floats, Ints, Packed, Windows, before_each
from modelrelease.domain.habit import HIGHEST_KNOWN, INDEPENDENT, WANDERS
from modelrelease.gates.echo import CHANCE, FEWEST, FULL, MEMORY_S, MOST, UNHEARD_S
from modelrelease.gates.tilting import CAUTION

_FADED = 30.0
"""Sums are taken over so many times the memory at once: e^30 more for the oldest is still exact."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Releases whose habit is known: window length in seconds, φ as tests use it, whether the rate wanders, shape (R,).

    `bursts`: φ is above 1 in all of them, else 1 in all of them. `size`: of bursts that tilts are played for, or 1.
    """

    window_s: Floats
    together: Floats
    wanders: Bools
    size: Floats
    bursts: bool


def by_habit(window_s: Floats, phi: Floats) -> Iterator[tuple[Ints, Known | None]]:
    """Releases that are judged alike, as their rows: habit unknown (φ NaN), independent events, bursts."""
    together = np.where(phi <= INDEPENDENT, 1.0, np.minimum(phi, HIGHEST_KNOWN))
    for rows, bursts in ((np.isnan(phi), None), (together == 1, False), (together > 1, True)):
        index = np.flatnonzero(rows).astype(np.int64)
        if len(index):
            known = None if bursts is None else _known(window_s[index], together[index], phi[index], bursts=bursts)
            yield index, known


def _known(window_s: Floats, together: Floats, phi: Floats, *, bursts: bool) -> Known:
    return Known(window_s, together, phi >= WANDERS, sizes(window_s, phi), bursts)


def sizes(window_s: Floats, phi: Floats) -> Floats:
    """`tilting.size_of` each habit."""
    played = (window_s > 0) & (phi > INDEPENDENT) & (phi < WANDERS)
    return np.where(played, (CAUTION * phi + 1) / 2, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What was known before each window: by how much it overstates what it proves, and φ that stakes are sized by."""

    drag: Floats
    noise: Floats


def heard(windows: Windows, known: Known) -> Heard:
    """What past windows tell of the next one, as `gates.echo` hears it."""
    fading = np.exp(-1 / np.maximum(FEWEST, MEMORY_S / np.maximum(known.window_s, 1.0)))
    products, squared, own, number, bad = (np.zeros(windows.shape) for _ in range(5))
    for columns in windows.segments():
        packed = Packed((windows.n_c > 0) & (windows.n_s > 0) & columns)
        n_c, n_s = packed.pack(windows.n_c, 1.0), packed.pack(windows.n_s, 1.0)
        y_c, y_s = packed.pack(windows.y_c), packed.pack(windows.y_s)
        candidate = 0.5 + before_each(np.cumsum(y_c * n_s / (n_c + n_s), axis=1), 0.0)
        stable = 0.5 + before_each(np.cumsum(y_s * n_c / (n_c + n_s), axis=1), 0.0)
        odds = candidate / stable * n_c / n_s
        e = y_c - odds / (1 + odds) * (y_c + y_s)
        product = e * faded(e, fading[:, None])
        rows, places = np.nonzero(packed.valid())
        at = (rows, packed.columns()[rows, places])
        products[at], squared[at], own[at] = product[rows, places], product[rows, places] ** 2, e[rows, places] ** 2
        number[at], bad[at] = 1.0, (y_c + y_s)[rows, places]
    products, squared, own, number, bad = (
        before_each(np.cumsum(values, axis=1), 0.0) for values in (products, squared, own, number, bad)
    )
    lasting = 1 + 2 * (products - CHANCE * np.sqrt(squared)) / np.where(own > 0, own, 1.0)
    found = np.where(own > 0, np.maximum(lasting, 1.0), 1.0)
    before = (UNHEARD_S / np.maximum(known.window_s, 1.0))[:, None]
    full = (windows.y_c + windows.y_s >= FULL) & ~known.wanders[:, None]
    assumed = 1 + known.together[:, None] / HIGHEST_KNOWN
    found = np.where(full, (assumed * before + found * number) / (before + number), found)
    drag = np.where((known.window_s > 0)[:, None], np.minimum(found, MOST), 1.0)
    together = known.together[:, None]
    usual = np.maximum(bad / np.maximum(number, 1.0), 1e-9)
    noise = together * np.maximum(1.0, (together + 1) / 2 / usual)
    return Heard(drag, np.where((together == 1) | (number == 0), together, noise))


def faded(e: Floats, fading: Floats) -> Floats:
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
