"""What stable's runs tell of every window at once: `gates.runs`."""

from dataclasses import dataclass

import numpy as np

from modelrelease.backtest.twin.habit import faded
from modelrelease.backtest.twin.windows import Bools, Floats, Packed, Windows, before_each
from modelrelease.gates import runs as judged
from modelrelease.gates.dispersion import CAUTION, PRIOR


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """At each window: its drag, and whether all of stable's events so far, its own included, were good, or all bad."""

    drag: Floats
    clean: Bools
    full: Bools

    @property
    def inverted(self) -> "Learnt":
        """Where good events count as bad ones."""
        return Learnt(self.drag, self.full, self.clean)


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """After each window, shape (R, K): the sums of `gates.runs.Runs` over all segments."""

    products: Floats
    own: Floats
    expected: Floats
    windows: Floats
    n: Floats
    y: Floats

    def learnt(self, *, comparative: bool) -> "Learnt":
        """What the tests know of stable at each window."""
        enough = self.n >= judged.CLEAN
        return Learnt(self.drag(comparative=comparative), enough & (self.y == 0), enough & (self.y == self.n))

    def drag(self, *, comparative: bool) -> Floats:
        """By how much each window overstates what it proves, as it was known before it."""
        assumed, before = judged.ASSUMED_AGAINST_STABLE if comparative else judged.ASSUMED
        found = 1 + 2 * CAUTION * np.maximum(self.products, 0.0) / (self.own + judged.LEAST)
        drag = np.minimum(judged.MOST, (found * self.windows + assumed * before) / (self.windows + before))
        return before_each(drag, assumed)

    @property
    def noise(self) -> Floats:
        """φ that a pass is tempered with after each window."""
        found = (self.own + 2 * np.maximum(self.products, 0.0) + PRIOR) / (self.expected + PRIOR)
        noise: Floats = 1 + CAUTION * np.maximum(0.0, found - 1)
        return noise


def runs_of(windows: Windows) -> Runs:
    """Stable's runs, each segment by itself."""
    sums = [np.zeros(windows.shape) for _ in range(6)]
    for columns in windows.segments():
        packed = Packed((windows.n_s > 0) & columns)
        n, y = packed.pack(windows.n_s, 1.0), packed.pack(windows.y_s)
        seen, bad = before_each(np.cumsum(n, axis=1), 0.0), before_each(np.cumsum(y, axis=1), 0.0)
        rate = np.where(seen > 0, bad / np.where(seen > 0, seen, 1.0), y / n)
        e = y - n * rate
        products = e * faded(e, np.full((len(e), 1), judged.FADING))
        rows, places = np.nonzero(packed.valid())
        at = (rows, packed.columns()[rows, places])
        each = (products, e**2, n * rate * (1 - rate), np.ones_like(e), n, y)
        for total, values in zip(sums, each, strict=True):
            total[at] = values[rows, places]
    return Runs(*(np.cumsum(values, axis=1) for values in sums))
