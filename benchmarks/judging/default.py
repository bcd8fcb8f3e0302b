"""The product's judge for many releases at once: `gates.ratio` with a known habit of stable, tick by tick.

The same grids and constants, and the same log E to 1e-9 (tests/gates/test_judging_bench.py). Each test has `step`,
which takes one window of every release, `log_e`, and `keep`, which drops releases that are decided. Without a history
(φ is NaN) `unknown` takes the place of `Bets` and helps `Bound`. It is written for one segment and for demands on a
ratio, because that is what the simulation has.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from benchmarks.judging import unknown
from benchmarks.judging.habits import together
from benchmarks.judging.onset import Onset
from benchmarks.judging.scenarios import TICK_S, Floats
from modelrelease.backtest.twin.habit import Sums, noise_between, size_of, tilts_of
from modelrelease.backtest.twin.onset import shares, unstaked
from modelrelease.backtest.twin.rates import early_and_late, tilted, with_tilts
from modelrelease.domain.habit import HIGHEST_KNOWN, WANDERS, Habit
from modelrelease.gates import echo, tilting
from modelrelease.gates.betting import _KNOWN_STAKES, _SHARES, FROM_START
from modelrelease.gates.binomial import alternatives
from modelrelease.gates.windows import seconds_of

_STAKES, _LOG_STAKES, _LOG_SHARES = np.array(_KNOWN_STAKES), np.log1p(_KNOWN_STAKES), np.log(_SHARES)

_FAR, _LOST = 600.0, 1e-300
"""No window counts for more than so many nats, and no capital is less."""


class Test(Protocol):
    """One test of many releases. Arrays have one number for each release."""

    def step(self, n_c: Floats, y_c: Floats, n_s: Floats, y_s: Floats) -> None:
        """Take one window in."""

    def log_e(self) -> Floats:
        """The evidence so far."""

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these releases only."""


class Bets:
    """`betting.against_ratio(ratio)` with echoes, for windows of `window_s` (0: ticks) and each release's φ; errors are
    independent in all of them, or in none."""

    def __init__(self, ratio: float, phi: Floats, window_s: int) -> None:
        self._ratio, self._phi, self._window_s, self._raw = ratio, together(phi), window_s, phi
        self._wanders, self._singly = phi >= WANDERS, bool(np.all(self._phi == 1))
        self._fading = echo.fading(Habit(window_s, 1.0))
        rows = len(phi)
        self._logs, self._late = np.tile(_LOG_SHARES, (rows, 1)), np.zeros((rows, len(_STAKES)))
        self._played, self._windows = np.zeros(rows, int), np.zeros(rows, int)
        self._bad, self._before, self._products, self._squared, self._own = (np.zeros(rows) for _ in range(5))
        self._spread, self._alone, self._alone_squared = (np.zeros(rows) for _ in range(3))
        self._candidate, self._stable = np.full(rows, 0.5), np.full(rows, 0.5)
        tilts = (rows, len(tilting.TILTS))
        self._tilts = tilts_of(np.full(rows, float(window_s)), phi)
        self._tilted, self._tilted_late = np.full(tilts, -math.log(tilts[1])), np.zeros(tilts)

    def step(self, n_c: Floats, y_c: Floats, n_s: Floats, y_s: Floats) -> None:
        """Take one window in; without both arms it says nothing."""
        both = (n_c > 0) & (n_s > 0)
        raw, bad = n_c / np.where(both, n_s, 1.0), y_c + y_s
        played = both & (bad > 0)
        odds = self._ratio * raw
        share = odds / (1 + odds)
        noise = self._burst_noise()
        burst = np.where(bad > 1, bad * noise / np.maximum(bad + noise - 1, 1.0), 1.0)
        drag, some, gain = self._drag(bad), np.flatnonzero(played), np.zeros(self._logs.shape)
        gain[some] = self._gain(y_c[some], bad[some], share[some], burst[some]) / drag[some, None]
        self._logs += gain
        self._played += played
        put = np.where(played, shares(self._played), 0.0)
        # What overflows here has long been decided.
        with np.errstate(over="ignore"):
            self._late = (self._late + put[:, None] * np.array(_SHARES)) * np.exp(gain)
        self._tilt(put, played, (y_c, bad, share), self._size(n_c, n_s))
        self._hear(n_c, y_c, n_s, y_s, raw, both)

    def log_e(self) -> Floats:
        """The log of the average capital."""
        top = self._logs.max(axis=1)
        from_start = top + np.log(np.exp(self._logs - top[:, None]).sum(axis=1))
        with np.errstate(over="ignore"):
            later = np.log(unstaked(self._played) + self._late.sum(axis=1))
            tilted_later = np.log(unstaked(self._played) + self._tilted_late.sum(axis=1))
        bets = np.logaddexp(np.log(FROM_START) + from_start, np.log(1 - FROM_START) + later)
        tilts = early_and_late(np.logaddexp.reduce(self._tilted, axis=1), tilted_later)
        return with_tilts(self._tilts, bets, tilts)

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these releases only."""
        sums = ("_bad", "_before", "_products", "_squared", "_own", "_candidate", "_stable")
        tilts = ("_raw", "_spread", "_alone", "_alone_squared", "_tilts", "_tilted", "_tilted_late")
        for name in ("_phi", "_wanders", "_logs", "_late", "_played", "_windows", *sums, *tilts):
            setattr(self, name, getattr(self, name)[rows])

    def _gain(self, y_c: Floats, bad: Floats, share: Floats, burst: Floats) -> Floats:
        """What each stake wins, before drag."""
        if self._singly:
            return y_c[:, None] * _LOG_STAKES - bad[:, None] * np.log1p(_STAKES * share[:, None])
        sized = _STAKES / burst[:, None]
        return np.log1p(sized * y_c[:, None]) - np.log1p(sized * (share * bad)[:, None])

    def _size(self, n_c: Floats, n_s: Floats) -> Floats:
        """Of bursts that tilts are for."""
        sums = Sums(self._windows.astype(float), self._bad, self._spread, self._alone, self._alone_squared)
        share = n_c / np.maximum(n_c + n_s, 1.0)
        between = noise_between(self._raw, sums, self._drag(np.zeros(len(n_c))), share)
        return size_of(np.where(self._wanders, between, self._raw))

    def _tilt(self, put: Floats, played: np.ndarray, counts: tuple[Floats, Floats, Floats], size: Floats) -> None:
        """Tilts of bursts, in releases that play them. `counts`: the candidate's bad events, both arms', and p0."""
        some = np.flatnonzero(played & (self._tilts > 0))
        gain = np.zeros(self._tilted.shape)
        gain[some] = tilted(*(of[some, None] for of in (size, *counts)))[..., 0].T
        self._tilted += gain
        # What overflows here has long been decided.
        with np.errstate(over="ignore"):
            self._tilted_late = (self._tilted_late + put[:, None] / len(tilting.TILTS)) * np.exp(gain)

    def _burst_noise(self) -> Floats:
        usual = np.where(self._windows > 0, self._bad / np.maximum(self._windows, 1), np.inf)
        lonely = np.maximum(1.0, (self._phi + 1) / 2 / np.maximum(usual, 1e-9))
        return np.where(self._phi == 1, 1.0, self._phi * lonely)

    def _drag(self, bad: Floats) -> Floats:
        if not self._window_s:
            return np.ones(len(self._own))
        gain = 2 * (self._products - echo.CHANCE * np.sqrt(self._squared)) / np.where(self._own > 0, self._own, 1.0)
        found = np.where(self._own > 0, np.maximum(1 + gain, 1.0), 1.0)
        before = echo.UNHEARD_S / self._window_s
        assumed = 1 + (self._phi / HIGHEST_KNOWN) ** 2
        unheard = (assumed * before + found * self._windows) / (before + self._windows)
        return np.minimum(np.where((bad >= echo.FULL) & ~self._wanders, unheard, found), echo.MOST)

    def _hear(self, n_c: Floats, y_c: Floats, n_s: Floats, y_s: Floats, raw: Floats, both: np.ndarray) -> None:
        odds = self._candidate / self._stable * raw
        e = np.where(both, y_c - odds / (1 + odds) * (y_c + y_s), 0.0)
        heard = both & (self._windows > 0)
        alone = np.where(heard, odds / (1 + odds) ** 2 * (y_c + y_s), 0.0)
        product, exposure = e * self._before, np.where(both, n_c + n_s, 1.0)
        self._before = np.where(both, self._fading * self._before + e, self._before)
        self._products += product
        self._squared += product**2
        self._own += e**2
        self._spread += np.where(heard, e**2, 0.0)
        self._alone += alone
        self._alone_squared += alone**2
        self._windows += both
        self._bad += np.where(both, y_c + y_s, 0.0)
        self._candidate += np.where(both, y_c * n_s / exposure, 0.0)
        self._stable += np.where(both, y_s * n_c / exposure, 0.0)


class Bound:
    """`demands.AtMost(bound)`, for releases whose errors are all independent, or all not, or all unknown (φ NaN);
    `comparative`: as the floor of a gate against stable."""

    def __init__(self, bound: float, phi: Floats, *, comparative: bool = False) -> None:
        rows, unseen = len(phi), bool(np.isnan(phi).any())
        known = np.full(rows, HIGHEST_KNOWN) if unseen else together(phi)
        self._surplus = unknown.Surplus(bound, rows, comparative=comparative) if unseen else None
        kinds = known if np.any(known > 1) else known[:1]
        tables = [alternatives(bound, float(each)) for each in kinds]
        self._weights = np.array(tables[0][0])
        self._bad, self._good = (np.array([table[index] for table in tables]) for index in (1, 2))
        self._onset = Onset(bound, rows, alarms=not np.any(known > 1))
        self._early, self._late = np.tile(self._weights, (rows, 1)), np.zeros((rows, len(self._weights)))

    def step(self, n_c: Floats, y_c: Floats, n_s: Floats, y_s: Floats) -> None:
        """Take one tick in; without requests it changes nothing."""
        put = self._onset.step(n_c, y_c)
        log_gain = y_c[:, None] * self._bad + (n_c - y_c)[:, None] * self._good
        # What overflows here has long been decided, and what is lost never comes back before what is staked late does.
        with np.errstate(over="ignore"):
            gain = np.exp(np.clip(log_gain, -_FAR, _FAR))
            self._early = np.maximum(self._early * gain, _LOST)
            self._late = (self._late + put[:, None] * self._weights) * gain
        if self._surplus is not None:
            self._surplus.step(n_c, y_c, n_s, y_s)

    def log_e(self) -> Floats:
        """The mean of both, or of all."""
        with np.errstate(over="ignore"):
            from_later = np.maximum(self._onset.rest(), 1e-300) + self._late.sum(axis=1)
            found: Floats = np.log((self._early.sum(axis=1) + from_later) / 2)
        if self._surplus is None:
            return found
        more: Floats = np.logaddexp(self._surplus.log_e(), self._surplus.log_beside())
        return np.logaddexp(found, more) - np.log(3)

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these releases only."""
        for name in ("_early", "_late") if len(self._bad) == 1 else ("_early", "_late", "_bad", "_good"):
            setattr(self, name, getattr(self, name)[rows])
        self._onset.keep(rows)
        if self._surplus is not None:
            self._surplus.keep(rows)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two gates on errors: against stable with a margin and perhaps a floor, and under an absolute maximum."""

    ratio: float
    maximum: float
    floor: float | None = None


def reverted_at(
    pair: Pair, counts: tuple[Floats, Floats, Floats, Floats], ticks: np.ndarray, phi: Floats, threshold: float
) -> np.ndarray:
    """After which tick (from 1) either gate reaches `threshold`; 0: never. `ticks`, `phi`: stable's habits, φ NaN
    where nothing is known of it."""
    found, alone, never_seen = np.zeros(len(phi), int), together(phi) == 1, np.isnan(phi)
    for length in np.unique(ticks):
        for kind in (never_seen, alone & ~never_seen, ~alone):
            rows = np.flatnonzero((ticks == length) & kind)
            if len(rows):
                n_c, y_c, n_s, y_s = (part[rows] for part in counts)
                found[rows] = _run(pair, (n_c, y_c, n_s, y_s), int(length), phi[rows], threshold)
    return found


def _run(
    pair: Pair, counts: tuple[Floats, Floats, Floats, Floats], length: int, phi: Floats, threshold: float
) -> np.ndarray:
    rows, ticks = counts[0].shape
    bets: Test = Bets(pair.ratio, phi, seconds_of(length, TICK_S))
    if np.isnan(phi[0]):
        bets = unknown.Bets(pair.ratio, rows)
    maximum = Bound(pair.maximum, phi)
    floor = None if pair.floor is None else Bound(pair.floor, phi, comparative=True)
    found, alive = np.zeros(rows, int), np.arange(rows)
    window = [np.zeros(rows) for _ in counts]
    for tick in range(ticks):
        now = [part[alive, tick] for part in counts]
        maximum.step(*now)
        window = [sums + part for sums, part in zip(window, now, strict=True)]
        evidence = maximum.log_e()
        if (tick + 1) % length == 0:
            bets.step(*window)
            against = bets.log_e()
            if floor is not None:
                floor.step(*window)
                against = np.minimum(against, floor.log_e())
            evidence = np.maximum(evidence, against)
            window = [np.zeros(len(alive)) for _ in counts]
        done = evidence >= threshold
        if done.any():
            found[alive[done]] = tick + 1
            left = np.flatnonzero(~done)
            alive = alive[left]
            window = [sums[left] for sums in window]
            for test in (bets, maximum, *([floor] if floor else [])):
                test.keep(left)
        if not len(alive):
            break
    return found
