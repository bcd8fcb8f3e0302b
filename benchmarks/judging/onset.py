"""`gates.onset` for many releases, tick by tick: what part of the capital is staked on each window with requests."""

import numpy as np

from benchmarks.judging.scenarios import Floats
from modelrelease.backtest.twin.onset import shares, unstaked
from modelrelease.gates.onset import AFTER_ALARMS


class Onset:
    """The schedule of stakes on a rate above `bound` from some window on. `alarms`: whether a part is kept for windows
    after an alarm, because requests fail independently."""

    def __init__(self, bound: float, rows: int, *, alarms: bool) -> None:
        self._bound, self._kept = bound, AFTER_ALARMS if alarms else 0.0
        self.windows = np.zeros(rows, int)
        self._alarms, self._alarmed = np.zeros(rows, int), np.zeros(rows, bool)

    def step(self, n_c: Floats, y_c: Floats) -> Floats:
        """What is staked on this window, and learn from it; a window without requests changes nothing."""
        asked = n_c > 0
        self.windows += asked
        after = np.where(self._alarmed, 1 / np.maximum(self._alarms * (self._alarms + 1), 1), 0.0)
        put = np.where(asked, (1 - self._kept) * shares(self.windows) + self._kept * after, 0.0)
        raised = asked & (y_c > 0) & (y_c >= self._bound * n_c)
        self._alarms += raised
        self._alarmed = np.where(asked, raised, self._alarmed)
        return put

    def rest(self) -> Floats:
        """What was not staked yet."""
        left: Floats = (1 - self._kept) * unstaked(self.windows) + self._kept / (self._alarms - self._alarmed + 1)
        return left

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these releases only."""
        for name in ("windows", "_alarms", "_alarmed"):
            setattr(self, name, getattr(self, name)[rows])
