"""Revert against stable: bet on the excess of the candidate's bad events (GATES.md, Bursts).

In a window with T = y_c + y_s bad events and the candidate's share q of the exposure, a rate ratio of at most ρ0 lets
the candidate expect at most p0·T of them, p0 = ρ0·q/(ρ0·q + 1 − q). Capital is multiplied by
(1 + s·y_c)/(1 + s·p0·T): always positive, one for empty windows and empty arms, and of mean ≤ 1 whenever
E[y_c | T, past] ≤ p0·T, however the events cluster. So capital is an E-process and may be looked at continuously
(Ville 1939; Waudby-Smith and Ramdas 2024 for bets; GATES.md for this one). Independent events at s = ρ/ρ0 − 1 and T = 1
give exactly the likelihood ratio of Lindon and Malek (NeurIPS 2022).

An allowed difference d (null: p_c ≤ ρ0·p_s + d) is credited: the divisor becomes 1 + s·(p0·T + (1 − p0)·n_c·d).
Proof: split y_c = A + B, A the part with rate ρ0·p_s and B the part with rate d. Given A + y_s and B, the mean of the
factor is at most f(B) = (1 + s(p0·(A + y_s) + B))/(1 + s(p0·(A + y_s) + p0·B + (1 − p0)·n_c·d)), which is concave in
B, so by Jensen its mean is at most f(n_c·d) = 1. Nothing is assumed about how B clusters.

"Rate" here means rare events: with Bernoulli requests and p_c > p_s, T itself leans on the arms, which lifts the mean
of a factor by about (p_c − p_s)/T: nothing at a few per cent; at a base rate of 30 % and ρ0 = 1.5, 2.3 % of 300
simulated releases at the margin were reverted at alpha = 1 %. Measure such ratios as their good complement.

With a known habit of stable (habit.py) three things change, and none touches the bound on the mean:

- Stakes are sized to the events that come together. T bad events of which φ are expected in one burst are worth
  T·φ/(T + φ − 1) each: one alone is a burst by itself, and of many each belongs to a burst of about φ. A stake may
  depend on T, because the mean is conditional on it. For short windows this is Wald's bet on whole bursts.
- Where history shows independent events, the factor is the likelihood ratio (1 + s)^y_c/(1 + s·p0)^T itself, which a
  window full of events does not hold down to 1/p0. Its mean is 1 for independent events only.
- Log factors are divided by the window's drag (echo.py), and most of the capital is staked from the first window on,
  the rest little by little on "it begins now" (onset.py): stakes that hours of good windows have eaten find nothing.

Where bursts last for longer than a tick, or the rate wanders, a share of the capital is on tilts of bursts instead,
which do assume something of how events cluster (tilting.py).

Comparing tempered likelihoods was rejected as the default: with bursts of unknown size it reverts falsely in up to
30 % of releases at alpha = 1 %.
"""

import functools
import math
from dataclasses import dataclass

from modelrelease.gates.counts import Counts
from modelrelease.gates.onset import log_add, share_of, unstaked
from modelrelease.gates.sequences import log_dot_exp, log_grid, log_mean_exp
from modelrelease.gates.tilting import LATE, TILTS, gains

_STAKES = tuple(ratio - 1 for ratio in log_grid(1.1, 20.0, 40))
"""Stakes before division by φ: ρ/ρ0 − 1 over the rate ratios that a bet may be made for."""

_FEW_STAKES = (0.25, 1.0, 4.0, 16.0)
"""Stakes of the nulls that only serve the sentence; the same for each, which keeps capital falling as nulls rise."""

_BANDS = ((0.2, 0.6, 0.09), (0.6, 1.8, 0.42), (1.8, 6.0, 0.40), (6.0, 19.0, 0.09))
"""With a known habit: stakes from, to, and their share of the capital. Most is on two to five times the allowed rate,
which takes longest to find of all that is worth finding; little on what is found at once."""

FROM_START = 0.9
"""With a known habit: the share of the capital that is staked from the first window on."""

_PER_BAND = 8
_KNOWN_STAKES = tuple(stake for low, high, _ in _BANDS for stake in log_grid(low, high, _PER_BAND))
_SHARES = tuple(share / _PER_BAND for _, _, share in _BANDS for _ in range(_PER_BAND))


@dataclass(frozen=True, slots=True)
class Null:
    """The claim p_c ≤ ratio·p_s + difference."""

    ratio: float
    difference: float = 0.0

    def expected(self, window: Counts) -> float:
        """How many bad events of the window the claim allows the candidate to expect."""
        odds = self.ratio * window.n_c / window.n_s
        share = odds / (1 + odds)
        return share * (window.y_c + window.y_s) + (1 - share) * window.n_c * self.difference


@dataclass(frozen=True, slots=True)
class Bets:
    """Log capital of each stake against the null, and of a few stakes against each stricter null of the ladder.

    `known`: stable's habit is known, so the stakes are those for it; `late` then holds what was staked on a late onset,
    and `windows` says how many were played. `tilts`: the share of the capital that is on tilts, 0: there are none;
    `tilted`, `tilted_late`: their log capital, from the first window on and staked on a late onset.
    """

    capital: tuple[float, ...] = (0.0,) * len(_STAKES)
    ladder: tuple[float, ...] = ()
    known: bool = False
    late: tuple[float, ...] = ()
    windows: int = 0
    tilts: float = 0.0
    tilted: tuple[float, ...] = ()
    tilted_late: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Betting:
    """The test: `null` is what the rule allows, `ladder` rising nulls from which a lower bound is read."""

    null: Null
    ladder: tuple[Null, ...] = ()

    def start(self, *, known: bool = False, tilts: float = 0.0) -> Bets:
        """Capital one everywhere. `tilts`: the share of it that is on tilts (only with a known habit)."""
        ladder = (0.0,) * (len(self.ladder) * len(_FEW_STAKES))
        if not known:
            return Bets(ladder=ladder)
        late = (-math.inf,) * len(_KNOWN_STAKES)
        if tilts == 0 or self.null.difference > 0:
            return Bets((0.0,) * len(_KNOWN_STAKES), ladder, known, late)
        never = (-math.inf,) * len(TILTS)
        return Bets((0.0,) * len(_KNOWN_STAKES), ladder, known, late, 0, tilts, (0.0,) * len(TILTS), never)

    def update(self, state: Bets, window: Counts) -> Bets:
        """Play one window. Without events on both arms, or without anything to bet on, every factor is one."""
        if not window.both_arms or (window.y_c + window.y_s == 0 and self.null.difference == 0):
            return state
        if not state.known:
            capital = _play(state.capital, _STAKES, window, (self.null,))
            return Bets(capital, _play(state.ladder, _FEW_STAKES, window, self.ladder))
        number = state.windows + 1
        put = math.log(share_of(number))
        late = tuple(log_add(old, put + math.log(share)) for old, share in zip(state.late, _SHARES, strict=True))
        tilts = _tilt(window, self.null) if state.tilted else ()
        return Bets(
            _play_known(state.capital, _KNOWN_STAKES, window, (self.null,)),
            _play_known(state.ladder, _FEW_STAKES, window, self.ladder),
            True,
            _play_known(late, _KNOWN_STAKES, window, (self.null,)),
            number,
            state.tilts,
            tuple(log + gain for log, gain in zip(state.tilted, tilts, strict=True)),
            tuple(
                log_add(old, put - math.log(len(TILTS))) + gain
                for old, gain in zip(state.tilted_late, tilts, strict=True)
            ),
        )

    def log_e(self, state: Bets) -> float:
        """The log of the average capital: the evidence against the null."""
        if not state.known:
            return log_mean_exp(state.capital)
        left = math.log(unstaked(state.windows))
        later = functools.reduce(log_add, state.late, left)
        bets = log_add(math.log(FROM_START) + log_dot_exp(_SHARES, state.capital), math.log(1 - FROM_START) + later)
        if not state.tilted:
            return bets
        later = functools.reduce(log_add, state.tilted_late, left)
        tilts = log_add(math.log(1 - LATE) + log_mean_exp(state.tilted), math.log(LATE) + later)
        return log_add(math.log(1 - state.tilts) + bets, math.log(state.tilts) + tilts)

    def highest_refuted(self, state: Bets, threshold: float) -> Null | None:
        """The highest null of the ladder that is refuted at `threshold`; None when not even the lowest is.

        The true ratio and difference exceed it with the threshold's confidence, for all nulls at once: capital falls
        as the null rises, so refuting a true null means having refuted the truth itself.
        """
        found = None
        width = len(_FEW_STAKES)
        for index, null in enumerate(self.ladder):
            if log_mean_exp(state.ladder[index * width : (index + 1) * width]) < threshold:
                break
            found = null
        return found


def against_ratio(ratio: float) -> Betting:
    """The test of the null p_c ≤ ratio·p_s."""
    return Betting(Null(ratio), tuple(Null(ratio * step) for step in log_grid(1.0, 60.0, 28)))


def against_difference(difference: float) -> Betting:
    """The test of the null p_c ≤ p_s + difference."""
    room = max(1.0 - difference, 0.0)
    return Betting(
        Null(1.0, difference), tuple(Null(1.0, difference + room * step) for step in (0.0, *log_grid(0.001, 0.8, 24)))
    )


def _play(
    capital: tuple[float, ...], stakes: tuple[float, ...], window: Counts, nulls: tuple[Null, ...]
) -> tuple[float, ...]:
    """Log capital after one window, null by null and within each stake by stake."""
    scaled = [stake / window.phi for stake in stakes]
    bets = [(stake, math.log1p(stake * window.y_c)) for stake in scaled]
    factors = (
        (gain - math.log1p(stake * expected)) / window.drag
        for expected in [null.expected(window) for null in nulls]
        for stake, gain in bets
    )
    return tuple(log + factor for log, factor in zip(capital, factors, strict=True))


def _play_known(
    capital: tuple[float, ...], stakes: tuple[float, ...], window: Counts, nulls: tuple[Null, ...]
) -> tuple[float, ...]:
    """The same with stable's habit known: stakes by bursts, likelihoods for independent events, all held by drag."""
    bad = window.y_c + window.y_s
    singly = window.phi == 1 and all(null.difference == 0 for null in nulls)
    sized = [stake / _burst(bad, window.phi) for stake in stakes]

    def gain(stake: float, expected: float) -> float:
        if singly:
            return window.y_c * math.log1p(stake) - bad * math.log1p(stake * expected / bad)
        return math.log1p(stake * window.y_c) - math.log1p(stake * expected)

    factors = (gain(stake, expected) for expected in [null.expected(window) for null in nulls] for stake in sized)
    return tuple(log + factor / window.drag for log, factor in zip(capital, factors, strict=True))


def _tilt(window: Counts, null: Null) -> tuple[float, ...]:
    """What each tilt gains in one window with events on both arms."""
    bad = window.y_c + window.y_s
    return gains(window.size, window.y_c, bad, null.expected(window) / bad)


def _burst(bad: float, phi: float) -> float:
    """How many of the window's bad events are expected to belong to one burst, 1…φ; 1 for less than one event."""
    return bad * phi / (bad + phi - 1) if bad > 1 else 1.0
