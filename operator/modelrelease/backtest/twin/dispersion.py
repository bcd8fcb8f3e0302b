"""φ of every window at once: `gates.dispersion`, squares written where a window of ticks ends, then summed up."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from modelrelease.backtest.twin.habit import Known
from modelrelease.backtest.twin.windows import Bools, Floats, Ints, Packed, Windows, before_each
from modelrelease.gates.dispersion import CAUTION, HIGHEST, PRIOR, SPANS, UNSEEN


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """Of one span and one look: squares found, expected and how many, after each window."""

    found: Floats
    expected: Floats
    windows: Floats

    @property
    def phi(self) -> Floats:
        """How much noisier than independent events."""
        return (self.found + PRIOR) / (self.expected + PRIOR)


def phi_for_stakes(windows: Windows) -> Floats:
    """Stable's φ from tick to tick as it was known before each window, at least 1."""
    look = _look(windows, (_over_time(part, *SPANS[0]) for part in _parts(windows)))
    return before_each(np.clip(look.phi, 1.0, HIGHEST), 1.0)


def phi_for_passing(windows: Windows, known: Known | None, quiet: Floats) -> Floats:
    """The largest φ of both looks and all spans after each window, raised by CAUTION, at least `quiet` or the known
    one."""
    parts = list(_parts(windows))
    found = quiet if known is None else np.broadcast_to(CAUTION * known.together[:, None], windows.shape)
    for ticks, apart in SPANS:
        look = _look(windows, (_over_time(part, ticks, apart) for part in parts))
        over_time = look.phi
        if ticks > 1 and known is None:
            over_time = (over_time * look.windows + UNSEEN) / (look.windows + 1)
        between = _look(windows, (_between(part, ticks) for part in parts)).phi
        found = np.maximum(found, CAUTION * np.maximum(over_time, between))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The windows of one segment in which stable had events, packed to the left, and the columns they came from."""

    n_c: Floats
    y_c: Floats
    n_s: Floats
    y_s: Floats
    columns: Ints
    counts: Ints

    def blocks(self, values: Floats, ticks: int) -> Floats:
        """Sums over whole windows of so many ticks, shape (R, how many)."""
        rows, width = values.shape
        whole = width // ticks
        return values[:, : whole * ticks].reshape(rows, whole, ticks).sum(axis=2)

    def ends(self, ticks: int) -> tuple[Ints, Bools]:
        """The column in which each whole window of ticks ends, and whether it is one of the row."""
        ends = np.arange(ticks - 1, self.n_s.shape[1] - self.n_s.shape[1] % ticks, ticks)
        return self.columns[:, ends], ends < self.counts[:, None]


Squares = tuple[Floats, Floats, Ints, Bools]
"""Deviations, their variances under independence, their columns, and which of them are some."""


def _parts(windows: Windows) -> Iterator[_Part]:
    for columns in windows.segments():
        packed = Packed((windows.n_s > 0) & columns)
        n_c, y_c, n_s, y_s = (packed.pack(values) for values in (windows.n_c, windows.y_c, windows.n_s, windows.y_s))
        yield _Part(n_c, y_c, n_s, y_s, packed.columns(), packed.counts)


def _look(windows: Windows, squares: Iterator[Squares]) -> Look:
    found, expected, number = (np.zeros(windows.shape) for _ in range(3))
    for deviation, variance, columns, valid in squares:
        rows, places = np.nonzero(valid)
        at = (rows, columns[rows, places])
        found[at] += deviation[rows, places] ** 2
        expected[at] += variance[rows, places]
        number[at] += 1
    return Look(*(np.cumsum(values, axis=1) for values in (found, expected, number)))


def _over_time(part: _Part, ticks: int, apart: int) -> Squares:
    """Each window of ticks of stable against the ones before and after it."""
    n, y = part.blocks(part.n_s, ticks), part.blocks(part.y_s, ticks)
    columns, valid = part.ends(ticks)
    first, middle, last = (slice(None, -2 * apart), slice(apart, -apart), slice(2 * apart, None))
    exposure = n[:, first] + n[:, middle] + n[:, last]
    share = n[:, middle] / np.where(exposure > 0, exposure, 1.0)
    bad = y[:, first] + y[:, middle] + y[:, last]
    return y[:, middle] - share * bad, bad * share * (1 - share), columns[:, last], valid[:, last]


def _between(part: _Part, ticks: int) -> Squares:
    """The candidate's bad events against its share at the rate ratio seen before each window."""
    exposure = np.where(part.n_s > 0, part.n_c + part.n_s, 1.0)
    candidate = 0.5 + before_each(np.cumsum(part.y_c * part.n_s / exposure, axis=1), 0.0)
    stable = 0.5 + before_each(np.cumsum(part.y_s * part.n_c / exposure, axis=1), 0.0)
    odds = candidate / stable * part.n_c / np.where(part.n_s > 0, part.n_s, 1.0)
    share, bad = odds / (1 + odds), part.y_c + part.y_s
    excess = part.blocks(part.y_c - share * bad, ticks)
    variance = part.blocks(bad * share * (1 - share), ticks)
    return excess, variance, *part.ends(ticks)
