"""The judge's own state of one release from its windows, so that its machine says the sentence.

All that a sentence about a revert and its figures need is exact; what only later windows or a pass would need
(dispersions, mirrored likelihoods, what waits) is left empty.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from modelrelease.backtest.twin import contrast, rates, ratio
from modelrelease.backtest.twin.dispersion import phi_for_stakes
from modelrelease.backtest.twin.habit import Known, by_habit, heard
from modelrelease.backtest.twin.judge import lengths, prepared
from modelrelease.backtest.twin.onset import alarms_of, staked
from modelrelease.backtest.twin.runs import Learnt, runs_of
from modelrelease.backtest.twin.windows import Floats, Windows
from modelrelease.domain.evidence import Tally
from modelrelease.domain.gate import Gate
from modelrelease.domain.habit import HIGHEST_KNOWN, Habit
from modelrelease.gates.betting import _FEW_STAKES, _KNOWN_STAKES, _SHARES, _STAKES, Bets, Betting, Null
from modelrelease.gates.binomial import Trials
from modelrelease.gates.contrast import Averages, ContrastMachine, Moments, Noise
from modelrelease.gates.counts import Counts
from modelrelease.gates.demands import (
    AnyDemand,
    AtLeast,
    AtMost,
    BoundSides,
    DifferenceSides,
    RateState,
    RatioSides,
    WithinDifference,
    WithinRatio,
)
from modelrelease.gates.difference import Gap
from modelrelease.gates.judge import machine_of
from modelrelease.gates.mirrored import Likelihood
from modelrelease.gates.onset import Stakes
from modelrelease.gates.quantile import QuantileMachine, Slow
from modelrelease.gates.ratio import Proportions, RatioMachine
from modelrelease.gates.surplus import Capital, clipped, stakes


def state(gate: Gate, windows: Windows, *, window_s: float = 0.0, phi: float | None = None) -> Any:
    """The state of `machine_of(gate)` after the windows of one release (R = 1)."""
    long = lengths(gate, 1, window_s)
    windows = prepared(gate, windows, long)
    ((_, known),) = by_habit(long, np.array([np.nan if phi is None else phi]))
    habit = None if phi is None else Habit(int(long[0]), phi)
    match machine_of(gate):
        case RatioMachine() as machine:
            return _proportions(machine, windows, known, habit)
        case QuantileMachine() as machine:
            learnt, index = ratio.frozen(machine, windows)
            counts = _proportions(machine.ratio, ratio.slow(machine, windows), known, habit)
            return Slow(counts, windows.bounds[index[0]] if learnt.any() else None)
        case ContrastMachine() as machine:
            return _averages(machine, windows)
        case machine:
            raise TypeError(f"{type(machine).__name__} has no windows")


def _proportions(machine: RatioMachine, windows: Windows, known: Known | None, habit: Habit | None) -> Proportions:
    windows = ratio.whole(windows)
    held = None if known else runs_of(windows).learnt(comparative=machine.comparative)
    return Proportions(
        totals=Counts(
            n_c=float(windows.n_c.sum()),
            y_c=float(windows.y_c.sum()),
            n_s=float(windows.n_s.sum()),
            y_s=float(windows.y_s.sum()),
        ),
        demands=tuple(_side(demand, windows, known, held) for demand in machine.demands),
        floor=_bound_sides(machine.floor.bound, windows, known, held) if machine.floor else None,
        habit=habit,
    )


def _side(demand: AnyDemand, windows: Windows, known: Known | None, held: Learnt | None) -> RateState:
    match demand:
        case AtMost(bound):
            return _bound_sides(bound, windows, known, held)
        case AtLeast(bound):
            return _bound_sides(1 - bound, ratio.inverted(windows), known, held.inverted if held else None)
        case WithinRatio(revert=test):
            return RatioSides(_bets(test, windows, known, held), Likelihood())
        case WithinDifference(revert=test):
            return DifferenceSides(_bets(test, windows, known, held), Gap())
        case _:
            raise TypeError(f"the twin does not know {type(demand).__name__}")


def _bets(test: Betting, windows: Windows, known: Known | None, held: Learnt | None) -> Bets:
    """A test plays where its own null has something to bet on, and its ladder in the same windows."""
    played = rates.played(test.null, windows)
    y_c, bad = windows.y_c[played], (windows.y_c + windows.y_s)[played]
    if known is None:
        drag = np.ones(len(bad)) if held is None else held.drag[played]
        burst, sizes = phi_for_stakes(windows)[played], _STAKES
    else:
        past = heard(windows, known)
        burst, drag, sizes = rates.burst(bad, past.noise[played]), past.drag[played], _KNOWN_STAKES
    independent = known is not None and not known.bursts

    def gains(null: Null, sizes: tuple[float, ...], nulls: tuple[Null, ...]) -> Iterator[Floats]:
        allowed = rates.allowed(null, windows)[played]
        for size in sizes:
            if independent and all(each.difference == 0 for each in nulls):
                gain = y_c * np.log1p(size / burst) - bad * np.log1p(size / burst * allowed / bad)
            else:
                gain = np.log1p(size / burst * y_c) - np.log1p(size / burst * allowed)
            yield gain / drag

    own = list(gains(test.null, sizes, (test.null,)))
    capital = tuple(float(gain.sum()) for gain in own)
    rungs = (gain for null in test.ladder for gain in gains(null, _FEW_STAKES, test.ladder))
    ladder = tuple(float(gain.sum()) for gain in rungs)
    if known is None:
        return Bets(capital, ladder)
    late = _late(np.stack(own), np.array(_SHARES))
    on_tilts = float(known.tilts[0])
    if on_tilts == 0 or test.null.difference > 0:
        return Bets(capital, ladder, True, late, len(bad))
    share = rates.allowed(test.null, windows)[played] / bad
    tilts = rates.tilted(past.size[played][None], y_c[None], bad[None], share[None])[:, 0]
    weights = np.full(len(tilts), 1 / len(tilts))
    return Bets(
        capital, ladder, True, late, len(bad), on_tilts, tuple(map(float, tilts.sum(axis=1))), _late(tilts, weights)
    )


def _late(gains: Floats, weights: Floats) -> tuple[float, ...]:
    """What was staked window by window, from the gains of each stake in all windows."""
    late, table = (-np.inf,) * len(gains), gains[:, None, :]
    played = np.ones((1, gains.shape[1]), bool)
    for _, logs in staked(lambda piece: table[:, piece[0], piece[1]], played, weights):
        late = tuple(map(float, logs[:, 0, -1]))
    return late


def _bound_sides(bound: float, windows: Windows, known: Known | None, held: Learnt | None) -> BoundSides:
    trials = Trials(float(windows.n_c.sum()), float(windows.y_c.sum()))
    phi = HIGHEST_KNOWN if known is None else float(known.together[0])
    if held is None:
        return BoundSides(trials, _stakes(bound, windows, known), phi)
    clean = _stakes(bound, windows.where(held.clean), rates.ALONE)
    return BoundSides(trials, _stakes(bound, windows, known), phi, _capital(bound, windows, held.drag), clean)


def _stakes(bound: float, windows: Windows, known: Known | None) -> Stakes:
    number = int((windows.n_c > 0).sum())
    logs: tuple[float, ...] = ()
    for _, found in rates.stakes(bound, windows, known):
        logs = tuple(map(float, found[:, 0, -1]))
    alarms = alarms_of(bound, windows)
    return Stakes(number, logs if number else (), int(alarms.number[0]), bool(alarms.last[0]))


def _capital(bound: float, windows: Windows, held: Floats) -> Capital:
    asked = windows.n_c > 0
    sizes = np.array(stakes(bound))[:, None]
    allowed = windows.n_c[asked] * clipped(bound)
    gain = (np.log1p(sizes * windows.y_c[asked]) - np.log1p(sizes * allowed)) / held[asked]
    late = _late(gain, np.full(len(sizes), 1 / len(sizes)))
    return Capital(gain.shape[1], tuple(map(float, gain.sum(axis=1))), late)


def _averages(machine: ContrastMachine, windows: Windows) -> Averages:
    candidate = Tally(float(windows.n_c.sum()), float(windows.y_c.sum()))
    stable = Tally(float(windows.n_s.sum()), float(windows.y_s.sum()))
    moments = tuple(_last(found) for _, found in contrast.all_moments(machine, windows))
    return Averages(candidate, stable, moments=moments)


def _last(moments: contrast.Moments) -> Moments:
    def end(values: Floats) -> float:
        return float(values[0, -1])

    return Moments(
        windows=int(end(moments.windows)),
        weight=end(moments.weight),
        mean=end(moments.mean),
        squares=end(moments.squares),
        burn_in_weight=end(moments.burn_in_weight),
        noise=Noise(end(moments.noise), int(end(moments.steps))),
        last=None if np.isnan(end(moments.last)) else end(moments.last),
        changes=int(end(moments.changes)),
    )
