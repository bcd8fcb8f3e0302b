"""The product's judge where stable has no history: `betting.against_ratio` with stakes that learn φ on the way, and
`gates.surplus` next to tilts of the largest bursts, both held by stable's runs.

That is the first release ever of a service, or one whose Prometheus has forgotten: each tick is then a window, φ is
left to `gates.dispersion` and what lasts to `gates.runs`.
"""

import numpy as np

from benchmarks.judging.onset import Onset
from benchmarks.judging.scenarios import Floats
from modelrelease.backtest.twin.onset import shares, unstaked
from modelrelease.gates import runs
from modelrelease.gates.betting import _STAKES
from modelrelease.gates.binomial import alternatives
from modelrelease.gates.dispersion import CAUTION, HIGHEST, PRIOR
from modelrelease.gates.surplus import clipped, stakes

_GRID = np.array(_STAKES)


class Runs:
    """`gates.runs` of one segment: what the next window's log factors are divided by."""

    def __init__(self, rows: int, *, comparative: bool) -> None:
        self._assumed, self._for = runs.ASSUMED_AGAINST_STABLE if comparative else runs.ASSUMED
        self._n, self._y, self._before, self._products, self._own, self._windows = (np.zeros(rows) for _ in range(6))

    def drag(self) -> Floats:
        """V of the next window."""
        found = 1 + 2 * CAUTION * np.maximum(self._products, 0.0) / (self._own + runs.LEAST)
        held = (found * self._windows + self._assumed * self._for) / (self._windows + self._for)
        return np.minimum(runs.MOST, held)

    def hear(self, n: Floats, y: Floats) -> None:
        """Learn from stable's window."""
        some = n > 0
        rate = np.where(self._n > 0, self._y / np.maximum(self._n, 1e-300), y / np.where(some, n, 1.0))
        e = np.where(some, y - n * rate, 0.0)
        self._products += e * self._before
        self._own += e**2
        self._before = np.where(some, runs.FADING * self._before + e, self._before)
        self._n, self._y, self._windows = self._n + n, self._y + y, self._windows + some

    def clean(self) -> np.ndarray:
        """Whether stable has been without any bad event in enough requests."""
        return (self._y == 0) & (self._n >= runs.CLEAN)

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these releases only."""
        for name in ("_n", "_y", "_before", "_products", "_own", "_windows"):
            setattr(self, name, getattr(self, name)[rows])


class Surplus:
    """`gates.surplus.Surplus(bound)` with stable's runs, and the stakes on single requests beside a clean stable."""

    def __init__(self, bound: float, rows: int, *, comparative: bool) -> None:
        self._stakes, self._bound = np.array(stakes(bound)), clipped(bound)
        self._runs = Runs(rows, comparative=comparative)
        self._early, self._late = np.zeros((rows, len(self._stakes))), np.full((rows, len(self._stakes)), -np.inf)
        self._windows = np.zeros(rows, int)
        weights, *self._single = map(np.array, alternatives(bound))
        self._weights = np.log(weights)
        self._beside, self._onset = np.full((rows, len(weights)), -np.inf), Onset(self._bound, rows, alarms=True)

    def step(self, n_c: Floats, y_c: Floats, n_s: Floats, y_s: Floats) -> None:
        """Take one window in; without requests it changes nothing but what is known of stable."""
        asked = n_c > 0
        self._windows += asked
        with np.errstate(divide="ignore"):
            put = np.log(np.where(asked, shares(self._windows), 0.0)) - np.log(len(self._stakes))
        gain = np.log1p(self._stakes * y_c[:, None]) - np.log1p(self._stakes * (n_c * self._bound)[:, None])
        gain /= self._runs.drag()[:, None]
        self._early += gain
        self._late = np.logaddexp(self._late, put[:, None]) + gain
        self._runs.hear(n_s, y_s)
        alone = asked & self._runs.clean()
        staked, clean = self._onset.step(np.where(alone, n_c, 0.0), y_c), np.flatnonzero(alone)
        bad, good = (arm[clean, None] for arm in (y_c, n_c - y_c))
        entered = np.logaddexp(self._beside[clean], np.log(staked[clean, None]) + self._weights)
        self._beside[clean] = entered + bad * self._single[0] + good * self._single[1]

    def log_e(self) -> Floats:
        """The log of all capital on the surplus."""
        later = np.logaddexp(np.log(unstaked(self._windows)), np.logaddexp.reduce(self._late, axis=1))
        early = np.logaddexp.reduce(self._early, axis=1) - np.log(len(self._stakes))
        return np.logaddexp(early, later) - np.log(2)

    def log_beside(self) -> Floats:
        """The log of all capital beside a clean stable."""
        found: Floats = np.logaddexp(np.log(self._onset.rest()), np.logaddexp.reduce(self._beside, axis=1))
        return np.where(self._onset.windows > 0, found, 0.0)

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these releases only."""
        for name in ("_early", "_late", "_windows", "_beside"):
            setattr(self, name, getattr(self, name)[rows])
        self._onset.keep(rows)
        self._runs.keep(rows)


class Bets:
    """`default.Bets` without a habit: the same methods, each window with the φ that was seen before it."""

    def __init__(self, ratio: float, rows: int) -> None:
        self._ratio, self._logs = ratio, np.zeros((rows, len(_GRID)))
        self._found, self._expected = np.full(rows, PRIOR), np.full(rows, PRIOR)
        self._before: list[tuple[Floats, Floats]] = []
        self._runs = Runs(rows, comparative=True)

    def step(self, n_c: Floats, y_c: Floats, n_s: Floats, y_s: Floats) -> None:
        """Take one window in; without both arms it says nothing."""
        both = (n_c > 0) & (n_s > 0)
        odds = self._ratio * n_c / np.where(both, n_s, 1.0)
        expected = odds / (1 + odds) * (y_c + y_s)
        sized = _GRID / np.clip(self._found / self._expected, 1.0, HIGHEST)[:, None]
        gain = np.log1p(sized * y_c[:, None]) - np.log1p(sized * expected[:, None])
        self._logs += np.where(both[:, None], gain, 0.0) / self._runs.drag()[:, None]
        self._learn(n_s, y_s)
        self._runs.hear(n_s, y_s)

    def log_e(self) -> Floats:
        """The log of the average capital."""
        top = self._logs.max(axis=1)
        return top + np.log(np.exp(self._logs - top[:, None]).mean(axis=1))

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these releases only."""
        for name in ("_logs", "_found", "_expected"):
            setattr(self, name, getattr(self, name)[rows])
        self._before = [(n[rows], y[rows]) for n, y in self._before]
        self._runs.keep(rows)

    def _learn(self, n: Floats, y: Floats) -> None:
        """Compare stable's window before this one with both its neighbours."""
        if len(self._before) == 2:
            (n_first, y_first), (n_middle, y_middle) = self._before
            middle, bad = n_middle / (n_first + n_middle + n), y_first + y_middle + y
            self._found += (y_middle - middle * bad) ** 2
            self._expected += bad * middle * (1 - middle)
        self._before = [*self._before, (n, y)][-2:]
