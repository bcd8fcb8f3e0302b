"""Stable's habit, release by release, and what past windows tell of the next: `domain.habit` and `gates.echo`."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from modelrelease.backtest.twin.windows import Bools, Floats, Ints, Packed, Windows, before_each
from modelrelease.domain.habit import HIGHEST_KNOWN, INDEPENDENT, WANDERS
from modelrelease.gates import tilting, wandering
from modelrelease.gates.echo import CHANCE, FEWEST, FULL, MEMORY_S, MOST, UNHEARD_S

_FADED = 30.0
"""Sums are taken over so many times the memory at once: e^30 more for the oldest is still exact."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Releases whose habit is known: window length in seconds, φ, and φ as tests use it, shape (R,).

    `bursts`: φ is above 1 in all of them, else 1 in all of them.
    """

    window_s: Floats
    phi: Floats
    together: Floats
    bursts: bool

    @property
    def wanders(self) -> Bools:
        """Whether stable's rate seems to wander."""
        return self.phi >= WANDERS

    @property
    def tilts(self) -> Floats:
        """The share of the capital that is on tilts: `tilting.share_of` each habit."""
        return tilts_of(self.window_s, self.phi)


def by_habit(window_s: Floats, phi: Floats) -> Iterator[tuple[Ints, Known | None]]:
    """Releases that are judged alike, as their rows: habit unknown (φ NaN), independent events, bursts."""
    together = np.where(phi <= INDEPENDENT, 1.0, np.minimum(phi, HIGHEST_KNOWN))
    for rows, bursts in ((np.isnan(phi), None), (together == 1, False), (together > 1, True)):
        index = np.flatnonzero(rows).astype(np.int64)
        if len(index):
            known = None if bursts is None else Known(window_s[index], phi[index], together[index], bursts)
            yield index, known


def tilts_of(window_s: Floats, phi: Floats) -> Floats:
    """`tilting.share_of` each habit."""
    share = np.where(phi >= WANDERS, tilting.SHARE_WANDERING, tilting.SHARE)
    return np.where((window_s > 0) & (phi > INDEPENDENT), share, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """`echo.Echo` of all segments together before each window, as far as the noise between the arms is concerned."""

    windows: Floats
    bad: Floats
    spread: Floats
    alone: Floats
    alone_squared: Floats


def noise_between(phi: Floats, heard: Sums, drag: Floats, share: Floats) -> Floats:
    """`wandering.noise` of each window; `drag`: as it is without many bad events."""
    most = 1 + wandering.APART * (phi - 1) * share
    seen, windows = drag * heard.spread, np.maximum(heard.windows, 1.0)
    error = np.maximum(np.sqrt(2 * heard.alone_squared + heard.alone), seen * np.sqrt(2 * drag / windows))
    excess, usual = seen - heard.alone + wandering.CHANCE * error, share * (1 - share) * heard.bad / windows
    # What overflows here is more than history makes of it.
    with np.errstate(over="ignore"):
        shown = 1 + np.maximum(excess, 0.0) / np.maximum(heard.alone_squared, wandering.SMALLEST) * usual
    most = np.where((heard.windows >= wandering.FEWEST) & (heard.alone > 0), np.minimum(most, shown), most)
    least = wandering.SEEN * seen / np.where(heard.alone > 0, heard.alone, 1.0)
    return np.where(heard.alone > 0, np.maximum(most, least), most)


def size_of(noise: Floats) -> Floats:
    """The mean size of bursts that tilts are made for, of φ."""
    return (tilting.CAUTION * noise + 1) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What was known before each window: by how much it overstates what it proves, φ that stakes are sized by, and the
    size of bursts that tilts are for (where some are played)."""

    drag: Floats
    noise: Floats
    size: Floats


def heard(windows: Windows, known: Known) -> Heard:
    """What past windows tell of the next one, as `gates.echo` hears it."""
    fading = np.exp(-1 / np.maximum(FEWEST, MEMORY_S / np.maximum(known.window_s, 1.0)))
    products, squared, own, spread, number, bad, alone = (np.zeros(windows.shape) for _ in range(7))
    for columns in windows.segments():
        packed = Packed((windows.n_c > 0) & (windows.n_s > 0) & columns)
        n_c, n_s = packed.pack(windows.n_c, 1.0), packed.pack(windows.n_s, 1.0)
        y_c, y_s = packed.pack(windows.y_c), packed.pack(windows.y_s)
        candidate = 0.5 + before_each(np.cumsum(y_c * n_s / (n_c + n_s), axis=1), 0.0)
        stable = 0.5 + before_each(np.cumsum(y_s * n_c / (n_c + n_s), axis=1), 0.0)
        odds = candidate / stable * n_c / n_s
        e = y_c - odds / (1 + odds) * (y_c + y_s)
        product = e * faded(e, fading[:, None])
        binomial = odds / (1 + odds) ** 2 * (y_c + y_s)
        rows, places = np.nonzero(packed.valid())
        at = (rows, packed.columns()[rows, places])
        products[at], squared[at], own[at] = product[rows, places], product[rows, places] ** 2, e[rows, places] ** 2
        number[at], bad[at] = 1.0, (y_c + y_s)[rows, places]
        spread[at], alone[at] = (np.where(places, values[rows, places], 0.0) for values in (e**2, binomial))
    products, squared, own, spread, number, bad, alone, alone_squared = (
        before_each(np.cumsum(values, axis=1), 0.0)
        for values in (products, squared, own, spread, number, bad, alone, alone**2)
    )
    lasting = 1 + 2 * (products - CHANCE * np.sqrt(squared)) / np.where(own > 0, own, 1.0)
    found = np.where(own > 0, np.maximum(lasting, 1.0), 1.0)
    before = (UNHEARD_S / np.maximum(known.window_s, 1.0))[:, None]
    full = (windows.y_c + windows.y_s >= FULL) & ~known.wanders[:, None]
    assumed = 1 + (known.together[:, None] / HIGHEST_KNOWN) ** 2
    unheard = np.where(full, (assumed * before + found * number) / (before + number), found)
    echoing = (known.window_s > 0)[:, None]
    drag = np.where(echoing, np.minimum(unheard, MOST), 1.0)
    sums, quiet = Sums(number, bad, spread, alone, alone_squared), np.where(echoing, np.minimum(found, MOST), 1.0)
    events = windows.n_c + windows.n_s
    share = windows.n_c / np.where(events > 0, events, 1.0)
    between = np.where(
        known.wanders[:, None], noise_between(known.phi[:, None], sums, quiet, share), known.phi[:, None]
    )
    together = known.together[:, None]
    usual = np.maximum(bad / np.maximum(number, 1.0), 1e-9)
    noise = together * np.maximum(1.0, (together + 1) / 2 / usual)
    return Heard(drag, np.where((together == 1) | (number == 0), together, noise), size_of(between))


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
