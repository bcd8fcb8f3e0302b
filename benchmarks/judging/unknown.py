"""The product's judge where stable has no history: `betting.against_ratio` with stakes that learn φ on the way.

That is the first release ever of a service, or one whose Prometheus has forgotten: each tick is then a window, and φ is
left to `gates.dispersion`.
"""

import numpy as np

from benchmarks.judging.scenarios import Floats
from modelrelease.gates.betting import _STAKES
from modelrelease.gates.dispersion import HIGHEST, PRIOR

_GRID = np.array(_STAKES)


class Bets:
    """`default.Bets` without a habit: the same methods, each window with the φ that was seen before it."""

    def __init__(self, ratio: float, rows: int) -> None:
        self._ratio, self._logs = ratio, np.zeros((rows, len(_GRID)))
        self._found, self._expected = np.full(rows, PRIOR), np.full(rows, PRIOR)
        self._before: list[tuple[Floats, Floats]] = []

    def step(self, n_c: Floats, y_c: Floats, n_s: Floats, y_s: Floats) -> None:
        """Take one window in; without both arms it says nothing."""
        both = (n_c > 0) & (n_s > 0)
        odds = self._ratio * n_c / np.where(both, n_s, 1.0)
        expected = odds / (1 + odds) * (y_c + y_s)
        sized = _GRID / np.clip(self._found / self._expected, 1.0, HIGHEST)[:, None]
        gain = np.log1p(sized * y_c[:, None]) - np.log1p(sized * expected[:, None])
        self._logs += np.where(both[:, None], gain, 0.0)
        self._learn(n_s, y_s)

    def log_e(self) -> Floats:
        """The log of the average capital."""
        top = self._logs.max(axis=1)
        return top + np.log(np.exp(self._logs - top[:, None]).mean(axis=1))

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these releases only."""
        for name in ("_logs", "_found", "_expected"):
            setattr(self, name, getattr(self, name)[rows])
        self._before = [(n[rows], y[rows]) for n, y in self._before]

    def _learn(self, n: Floats, y: Floats) -> None:
        """Compare stable's window before this one with both its neighbours."""
        if len(self._before) == 2:
            (n_first, y_first), (n_middle, y_middle) = self._before
            middle, bad = n_middle / (n_first + n_middle + n), y_first + y_middle + y
            self._found += (y_middle - middle * bad) ** 2
            self._expected += bad * middle * (1 - middle)
        self._before = [*self._before, (n, y)][-2:]
