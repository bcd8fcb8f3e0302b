"""The tests of rates, window by window for many releases: betting, mirrored, difference, binomial, onset.

Each takes windows of shape (R, K) and gives log E after each in that shape; see the module of the same name in `gates`
for what it tests. Alternatives and stakes lie along a first axis of their own, a block of windows at a time.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from modelrelease.backtest.twin.dispersion import phi_for_stakes
from modelrelease.backtest.twin.habit import Known, heard
from modelrelease.backtest.twin.logs import log_dot_exp, normal_mixture_log_e
from modelrelease.backtest.twin.onset import Alarms, Piece, alarms_of, from_any_window, staked
from modelrelease.backtest.twin.windows import Bools, Floats, Windows, blocks
from modelrelease.domain.habit import HIGHEST_KNOWN
from modelrelease.gates import mirrored, tilting
from modelrelease.gates import surplus as bets_on_surplus
from modelrelease.gates.betting import _KNOWN_STAKES, _SHARES, _STAKES, FROM_START, Betting, Null
from modelrelease.gates.binomial import SMALLEST as _SMALLEST_BOUND
from modelrelease.gates.binomial import _table, alternatives
from modelrelease.gates.difference import _SMALLEST as SMALLEST_EFFECT
from modelrelease.gates.difference import BURN_IN, Difference
from modelrelease.gates.mirrored import Mirrored

ALONE = Known(np.zeros(1), np.ones(1), np.ones(1), bursts=False)
"""A habit of independent events."""


def betting(test: Betting, windows: Windows, known: Known | None, held: Floats | None = None) -> Floats:
    """The log of the average capital of the bets against the null; `held`: their drag where no habit is known."""
    some, allow = played(test.null, windows), allowed(test.null, windows)
    y_c, bad, free = (np.where(some, values, 0.0) for values in (windows.y_c, windows.y_c + windows.y_s, allow))
    if known is None:
        phi, sizes = phi_for_stakes(windows), _along(_STAKES)
        drag = np.ones(windows.shape) if held is None else held

        def gain(piece: Piece) -> Floats:
            scaled = sizes / phi[piece]
            return (np.log1p(scaled * y_c[piece]) - np.log1p(scaled * free[piece])) / drag[piece]

        return _mean_of_sums(gain, windows.shape, np.full(len(_STAKES), 1 / len(_STAKES)))
    sizes, past = _along(_KNOWN_STAKES), heard(windows, known)
    bursts, singly = burst(bad, past.noise), not known.bursts and test.null.difference == 0
    share = free / np.where(bad > 0, bad, 1.0)

    def gain_known(piece: Piece) -> Floats:
        scaled = sizes / bursts[piece]
        if singly:
            found = y_c[piece] * np.log1p(scaled) - bad[piece] * np.log1p(scaled * share[piece])
        else:
            found = np.log1p(scaled * y_c[piece]) - np.log1p(scaled * free[piece])
        return found / past.drag[piece]

    early = _mean_of_sums(gain_known, windows.shape, np.array(_SHARES))
    later = from_any_window(gain_known, some, np.array(_SHARES))
    bets = np.logaddexp(np.log(FROM_START) + early, np.log(1 - FROM_START) + later)
    on_tilts = known.tilts[:, None]
    if test.null.difference > 0 or not on_tilts.any():
        return bets
    return with_tilts(on_tilts, bets, _tilts(past.size, some, (y_c, bad, share)))


def with_tilts(share: Floats, bets: Floats, tilts: Floats) -> Floats:
    """The log of the capital when that share of it is on tilts."""
    some = share > 0
    return np.where(some, np.logaddexp(np.log1p(-share) + bets, np.log(np.where(some, share, 1.0)) + tilts), bets)


def _tilts(size: Floats, some: Bools, counts: tuple[Floats, Floats, Floats]) -> Floats:
    """The log of the average capital of tilts of bursts. `counts`: the candidate's bad events, both arms', and p0."""
    y_c, bad, share = counts
    weights = np.full(len(tilting.TILTS), 1 / len(tilting.TILTS))

    def gain(piece: Piece) -> Floats:
        return tilted(size[piece], y_c[piece], bad[piece], share[piece])

    early, later = _mean_of_sums(gain, some.shape, weights), from_any_window(gain, some, weights)
    return early_and_late(early, later)


def early_and_late(early: Floats, later: Floats) -> Floats:
    """The log of what is on tilts, from the first window on and staked little by little."""
    found: Floats = np.logaddexp(np.log(1 - tilting.LATE) + early, np.log(tilting.LATE) + later)
    return found


def tilted(size: Floats, y_c: Floats, bad: Floats, share: Floats) -> Floats:
    """What each tilt gains, along a first axis. `size`: above 1."""
    more = size - 1
    odds = 1 + _along(tilting.TILTS) / more
    middle = share * (odds * size + more) + (1 - share) * (size + more * odds)
    root = np.sqrt(np.maximum(0.0, middle**2 - 4 * more * odds * size))
    found: Floats = np.minimum(tilting.MOST, y_c * np.log(odds) - bad * np.log((middle + root) / (2 * size)))
    return found


def burst(bad: Floats, phi: Floats) -> Floats:
    """How many of a window's bad events are expected to belong to one burst, 1…φ; 1 for less than one event."""
    return np.where(bad > 1, bad * phi / (np.maximum(bad, 1.0) + phi - 1), 1.0)


def played(null: Null, windows: Windows) -> Bools:
    """The windows that are played: both arms had events, and there is something to bet on."""
    return _both(windows) & ((windows.y_c + windows.y_s != 0) | (null.difference != 0))


def allowed(null: Null, windows: Windows) -> Floats:
    """How many bad events of each window the null allows the candidate to expect."""
    odds = null.ratio * _odds(windows)
    share = odds / (1 + odds)
    found: Floats = share * (windows.y_c + windows.y_s) + (1 - share) * windows.n_c * null.difference
    return found


def passing_ratio(test: Mirrored, windows: Windows, phi: Floats) -> Floats:
    """The mirrored likelihood tempered by `phi` as known after each window."""
    both, shares = _both(windows), _along(mirrored._SHARES)
    y_c = np.where(both, windows.y_c, 0.0)
    bad = np.where(both, windows.y_c + windows.y_s, 0.0)
    odds = test.margin * _odds(windows)
    base, logs_of_shares = np.log1p(odds), np.log(shares)

    def gain(piece: Piece) -> Floats:
        return y_c[piece] * logs_of_shares + bad[piece] * (base[piece] - np.log1p(odds[piece] * shares))

    depth = len(mirrored._SHARES)
    return _mean_of_sums(gain, windows.shape, np.full(depth, 1 / depth), phi)


def passing_difference(test: Difference, windows: Windows, phi: Floats) -> Floats:
    """The stratified difference's normal mixture; `phi` as known after each window. 0 before the burn-in."""
    both = _both(windows)
    n_c, y_c, n_s, y_s = (np.where(both, values, 0.0) for values in _counts(windows))
    exposure = np.where(both, n_c + n_s, 1.0)
    gap = np.cumsum((y_c * n_s - y_s * n_c) / exposure, axis=1)
    weight = np.cumsum(n_c * n_s / exposure, axis=1)
    n_c, y_c, n_s, y_s = (np.cumsum(values, axis=1) for values in (n_c, y_c, n_s, y_s))
    enough = np.minimum(n_c, n_s) >= BURN_IN
    rate = np.maximum(y_c / np.maximum(n_c, 1.0), y_s / np.maximum(n_s, 1.0) + test.margin)
    rate = np.minimum(0.5, np.maximum(rate, SMALLEST_EFFECT))
    variance = phi * rate * (1 - rate)
    effect = max(test.margin, SMALLEST_EFFECT)
    found = normal_mixture_log_e((weight * test.margin - gap) / np.sqrt(variance), weight, variance / effect**2)
    return np.where(enough, found, 0.0)


def above(limit: float, windows: Windows, known: Known | None) -> Floats:
    """The mixture against rates under a bound, of the candidate's totals."""
    limit = min(max(limit, _SMALLEST_BOUND), 1 - _SMALLEST_BOUND)
    return _of_totals(windows, alternatives_of(limit, known), np.ones(windows.shape))


def under(limit: float, windows: Windows, known: Known | None, phi: Floats) -> Floats:
    """The mixture against rates above a bound, tempered by the known φ, else by `phi`."""
    limit = min(max(limit, _SMALLEST_BOUND), 1 - _SMALLEST_BOUND)
    weights, bad, fine = map(_along, _table(limit, False))
    temper = phi if known is None else np.broadcast_to(known.together[:, None], windows.shape)
    return _of_totals(windows, (weights, bad, fine), temper)


def surplus(limit: float, windows: Windows, drag: Floats) -> Floats:
    """The bets on what a window holds above the bound: from the start, and from some window on."""
    asked, sizes = windows.n_c > 0, _along(bets_on_surplus.stakes(limit))
    allowed = windows.n_c * bets_on_surplus.clipped(limit)
    weights = np.full(len(sizes), 1 / len(sizes))

    def gain(piece: Piece) -> Floats:
        return (np.log1p(sizes * windows.y_c[piece]) - np.log1p(sizes * allowed[piece])) / drag[piece]

    both = np.logaddexp(_mean_of_sums(gain, windows.shape, weights), from_any_window(gain, asked, weights))
    return np.where(asked.cumsum(axis=1) > 0, both - np.log(2), 0.0)


def _of_totals(windows: Windows, table: tuple[Floats, Floats, Floats], phi: Floats) -> Floats:
    n, y = np.cumsum(windows.n_c, axis=1), np.cumsum(windows.y_c, axis=1)
    weights, bad, fine = table
    found = np.empty(windows.shape)
    for rows, columns in blocks(*windows.shape, len(weights)):
        seen, own = y[rows, columns], _within(bad, rows)
        never = np.isneginf(bad[:, own])
        logs = seen * np.where(never, 0.0, bad[:, own]) + (n[rows, columns] - seen) * fine[:, own]
        logs = np.where(never & (seen > 0), -np.inf, logs) / phi[rows, columns]
        found[rows, columns] = log_dot_exp(weights[:, 0, 0], logs)
    return found


def alternatives_of(limit: float, known: Known | None) -> tuple[Floats, Floats, Floats]:
    """Weights and log factors of a bad and a good request, of shape (alternatives, releases or 1, 1)."""
    if known is None or not known.bursts:
        weights, bad, fine = map(_along, alternatives(limit, HIGHEST_KNOWN if known is None else 1.0))
        return weights, bad, fine
    tables = [alternatives(limit, phi) for phi in known.together.tolist()]
    weights, bad, fine = (np.array([table[part] for table in tables]).T[:, :, None] for part in range(3))
    return weights[:, :1], bad, fine


def late(limit: float, windows: Windows, known: Known | None) -> Floats:
    """The stakes on a late onset, and what was not staked yet; 0 before the first window with requests."""
    asked, (weights, gain) = windows.n_c > 0, _gain_of_bound(limit, windows, known)
    found = from_any_window(gain, asked, weights, _alarms(limit, windows, known))
    return np.where(asked.any(axis=1, keepdims=True), found, 0.0)


def late_beside(limit: float, windows: Windows, clean: Bools) -> Floats:
    """The same for requests that fail singly, in the windows before which stable was `clean`."""
    return late(limit, windows.where(clean), ALONE)


def stakes(limit: float, windows: Windows, known: Known | None) -> Iterator[tuple[Piece, Floats]]:
    """The log capital on each alternative after each window, piece by piece."""
    weights, gain = _gain_of_bound(limit, windows, known)
    return staked(gain, windows.n_c > 0, weights, _alarms(limit, windows, known))


def _alarms(limit: float, windows: Windows, known: Known | None) -> Alarms | None:
    """None where errors come in bursts, or may."""
    return None if known is None or known.bursts else alarms_of(limit, windows)


def _gain_of_bound(limit: float, windows: Windows, known: Known | None) -> tuple[Floats, Callable[[Piece], Floats]]:
    """Weights of the alternatives to a bound, and what a window's requests add to the log of each."""
    weights, if_bad, if_good = alternatives_of(limit, known)
    good = windows.n_c - windows.y_c

    def gain(piece: Piece) -> Floats:
        rows = _within(if_bad, piece[0])
        return windows.y_c[piece] * if_bad[:, rows] + good[piece] * if_good[:, rows]

    return weights[:, 0, 0], gain


def _within(table: Floats, rows: slice) -> slice:
    """The rows of a table that has one for each release, or one for all."""
    return rows if table.shape[1] > 1 else slice(None)


def _mean_of_sums(
    gain: Callable[[Piece], Floats], shape: tuple[int, int], weights: Floats, phi: Floats | None = None
) -> Floats:
    """Log of the weighted mean over the first axis of exp of the running sums of `gain`, each divided by `phi`."""
    found, carry = np.empty(shape), np.zeros((len(weights), 1, 1))
    for piece in blocks(*shape, len(weights)):
        sums = np.cumsum(gain(piece), axis=2)
        if piece[1].start:
            sums += carry
        carry = sums[..., -1:]
        found[piece] = log_dot_exp(weights, sums if phi is None else sums / phi[piece])
    return found


def _counts(windows: Windows) -> tuple[Floats, Floats, Floats, Floats]:
    return windows.n_c, windows.y_c, windows.n_s, windows.y_s


def _both(windows: Windows) -> Bools:
    return (windows.n_c > 0) & (windows.n_s > 0)


def _odds(windows: Windows) -> Floats:
    """The candidate's exposure over stable's, 0 where an arm had none."""
    both = _both(windows)
    return np.where(both, windows.n_c, 0.0) / np.where(both, windows.n_s, 1.0)


def _along(values: Iterable[float]) -> Floats:
    """Values along an axis in front of releases and windows."""
    return np.array(tuple(values))[:, None, None]
