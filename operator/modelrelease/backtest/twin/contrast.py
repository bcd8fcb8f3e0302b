"""Means and costs for many releases: moments of every window's contrast by running sums, then Student's mixture.

Squares are summed up as h·(D − mean before)·(D − mean after), all of them positive, so that nothing cancels.
"""

from dataclasses import dataclass

import numpy as np

from modelrelease.backtest.twin.logs import log_mean_exp, student_log_e
from modelrelease.backtest.twin.windows import Bools, Floats, Ints, Packed, Windows, before_each
from modelrelease.gates.contrast import (
    BURN_IN_EVENTS,
    BURN_IN_WINDOWS,
    OWN_VARIANCE_CHANGES,
    Contrast,
    ContrastMachine,
)


def log_revert(machine: ContrastMachine, windows: Windows) -> Floats:
    """The mean of the demands' evidence, and no more than the evidence against the floor."""
    found = [moments.log_e_above(of.limit) for of, moments in all_moments(machine, windows)]
    evidence = log_mean_exp(np.stack(found[: len(machine.demands)]))
    if machine.floor is not None:
        evidence = np.minimum(evidence, found[-1])
    return np.where(_burnt_in(machine, windows), evidence, 0.0)


def log_pass(machine: ContrastMachine, windows: Windows) -> Floats:
    """The weakest demand's evidence, each helped by the floor's."""
    found = [moments.log_e_below(of.limit) for of, moments in all_moments(machine, windows)]
    if machine.floor is not None:
        found = [log_mean_exp(np.stack([evidence, found[-1]])) for evidence in found[:-1]]
    return np.where(_burnt_in(machine, windows), np.stack(found).min(axis=0), 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """`gates.contrast.Moments` after each window. `noise`: stable's squares and steps; `last`: the newest figure."""

    windows: Floats
    weight: Floats
    mean: Floats
    squares: Floats
    burn_in_weight: Floats
    noise: Floats
    steps: Floats
    changes: Floats
    last: Floats

    def log_e_above(self, limit: float) -> Floats:
        """The log E-value against mean ≤ limit."""
        return self._log_e(self.mean - limit)

    def log_e_below(self, limit: float) -> Floats:
        """The log E-value against mean ≥ limit."""
        return self._log_e(limit - self.mean)

    @property
    def spread(self) -> Floats:
        """Σh(D − mean)², and early on at least what stable's variance would make of it."""
        own = (self.steps == 0) | (self.changes >= OWN_VARIANCE_CHANGES)
        stable = self.noise / np.maximum(self.steps, 1.0) * (self.windows - 1)
        return np.where(own, self.squares, np.maximum(self.squares, stable))

    def _log_e(self, distance: Floats) -> Floats:
        enough = self.windows >= BURN_IN_WINDOWS
        information = self.weight * BURN_IN_WINDOWS / np.where(enough, self.burn_in_weight, 1.0)
        spread = self.spread
        ahead = np.maximum(distance, 0.0)
        r = np.where(spread > 0, self.weight * ahead**2 / np.where(spread > 0, spread, 1.0), np.inf)
        found = student_log_e(np.where(ahead > 0, r, 0.0), self.windows, information)
        return np.where(enough, found, 0.0)


def all_moments(machine: ContrastMachine, windows: Windows) -> list[tuple[Contrast, Moments]]:
    """Each contrast of the machine, the floor's last, with its moments."""
    if machine.wait:
        windows = waited_for(machine, windows)
    contrasts = machine.demands if machine.floor is None else (*machine.demands, machine.floor)
    return [(contrast, _moments(contrast, machine.per, windows)) for contrast in contrasts]


def waited_for(machine: ContrastMachine, windows: Windows) -> Windows:
    """With windows whose cost was not booked yet joined to the next ones of their segment; the others are empty."""
    kept = windows.where(windows.n_c > 0)
    late = (kept.n_c > 0) & ~((kept.y_c > 0) & ((kept.y_s > 0) | (not machine.comparative)))
    if not late.any():
        return kept
    counts, found = (np.stack([some.n_c, some.y_c, some.n_s, some.y_s]) for some in (windows, kept))
    for columns in windows.segments():
        begins = np.flatnonzero(np.logical_or.reduce(late[:, columns], axis=0))
        _carry(counts, found, np.flatnonzero(columns), begins, machine.comparative)
    n_c, y_c, n_s, y_s = found
    return Windows(n_c, y_c, n_s, y_s, segment=windows.segment)


def _carry(counts: Floats, found: Floats, columns: Ints, begins: Ints, comparative: bool) -> None:
    """Pass on what waits from window to window of one segment: all releases at once, one window at a time.

    `begins`: the windows of which some release has to wait; the others are looked at only while something waits.
    """
    place = 0
    while (index := np.searchsorted(begins, place)) < len(begins):
        place, waiting = int(begins[index]), np.zeros(counts.shape[:2])
        while place < len(columns) and (place == begins[index] or waiting.any()):
            sums = waiting + counts[:, :, columns[place]]
            n_c, y_c, _, y_s = sums
            done = (y_c > 0) & ((y_s > 0) | (not comparative))
            found[:, :, columns[place]] = np.where((n_c > 0) & done, sums, 0.0)
            waiting = np.where((n_c > 0) & ~done, sums, 0.0)
            place += 1


def _moments(contrast: Contrast, per: float, windows: Windows) -> Moments:
    x_c, known_c = _figures(contrast, per, windows.n_c, windows.y_c)
    x_s, known_s = _figures(contrast, per, windows.n_s, windows.y_s)
    counted = known_c & known_s if contrast.b else known_c
    value = contrast.a * x_c + (contrast.b * x_s if contrast.b else 0.0)
    inverse = contrast.a**2 / np.where(counted, windows.n_c, 1.0)
    if contrast.b:
        inverse = inverse + contrast.b**2 / np.where(counted, windows.n_s, 1.0)
    h = np.where(counted, 1 / inverse, 0.0)
    number, weight = np.cumsum(counted, axis=1), np.cumsum(h, axis=1)
    some = np.maximum(weight, np.finfo(float).tiny)
    # Figures are taken from the first one on: their differences are what the mean and the squares are made of.
    origin = np.take_along_axis(value, counted.argmax(axis=1)[:, None], axis=1)
    apart = np.where(counted, value - origin, 0.0)
    mean = np.cumsum(h * apart, axis=1) / some
    squares = np.cumsum(h * (apart - before_each(mean, 0.0)) * (apart - mean), axis=1)
    early = np.where(number <= BURN_IN_WINDOWS, weight, 0.0)
    noise, steps = (0.0 * weight, 0.0 * weight) if contrast.log else _noise(x_s, known_s, windows)
    last, changes = _changes(x_c, counted)
    figures = (number.astype(float), weight, mean + origin, squares, np.maximum.accumulate(early, axis=1))
    return Moments(*figures, noise, steps, changes, last)


def _figures(contrast: Contrast, per: float, n: Floats, y: Floats) -> tuple[Floats, Bools]:
    """An arm's figure in each window, and where it has one."""
    known = (n > 0) & (y > 0) if contrast.log else n > 0
    figure = per * np.where(known, y, 1.0) / np.where(known, n, 1.0)
    return np.where(known, np.log(figure) if contrast.log else figure, 0.0), known


def _noise(x_s: Floats, known: Bools, windows: Windows) -> tuple[Floats, Floats]:
    """Squared steps between stable's neighbouring windows of a segment, and how many, after each window."""
    squares, steps = np.zeros(windows.shape), np.zeros(windows.shape)
    for columns in windows.segments():
        packed = Packed(known & columns)
        figure, n = packed.pack(x_s), packed.pack(windows.n_s, 1.0)
        step = (figure[:, 1:] - figure[:, :-1]) ** 2 / (1 / n[:, 1:] + 1 / n[:, :-1])
        rows, places = np.nonzero(packed.valid()[:, 1:])
        at = (rows, packed.columns()[rows, places + 1])
        squares[at], steps[at] = step[rows, places], 1.0
    return np.cumsum(squares, axis=1), np.cumsum(steps, axis=1)


def _changes(x_c: Floats, counted: Bools) -> tuple[Floats, Floats]:
    """The candidate's newest figure, and how often it differed from the one before, after each window."""
    packed = Packed(counted)
    figure = packed.pack(x_c)
    changed = np.zeros_like(figure)
    changed[:, 1:] = figure[:, 1:] != figure[:, :-1]
    return packed.spread(figure, np.nan), packed.spread(np.cumsum(changed, axis=1), 0.0)


def _burnt_in(machine: ContrastMachine, windows: Windows) -> Bools:
    enough: Bools = np.cumsum(windows.n_c, axis=1) >= BURN_IN_EVENTS
    return enough & (np.cumsum(windows.n_s, axis=1) >= BURN_IN_EVENTS) if machine.comparative else enough
