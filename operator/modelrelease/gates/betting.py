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

Comparing tempered likelihoods was rejected as the default: with bursts of unknown size it reverts falsely in up to
30 % of releases at alpha = 1 %.
"""

import math
from dataclasses import dataclass

from modelrelease.gates.counts import Counts
from modelrelease.gates.sequences import log_grid, log_mean_exp

_STAKES = tuple(ratio - 1 for ratio in log_grid(1.1, 20.0, 40))
"""Stakes before division by φ: ρ/ρ0 − 1 over the rate ratios that a bet may be made for."""

_FEW_STAKES = (0.25, 1.0, 4.0, 16.0)
"""Stakes of the nulls that only serve the sentence; the same for each, which keeps capital falling as nulls rise."""


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
    """Log capital of each stake against the null, and of a few stakes against each stricter null of the ladder."""

    capital: tuple[float, ...] = (0.0,) * len(_STAKES)
    ladder: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Betting:
    """The test: `null` is what the rule allows, `ladder` rising nulls from which a lower bound is read."""

    null: Null
    ladder: tuple[Null, ...] = ()

    def start(self) -> Bets:
        """Capital one everywhere."""
        return Bets(ladder=(0.0,) * (len(self.ladder) * len(_FEW_STAKES)))

    def update(self, state: Bets, window: Counts) -> Bets:
        """Play one window. Without events on both arms, or without anything to bet on, every factor is one."""
        if not window.both_arms or (window.y_c + window.y_s == 0 and self.null.difference == 0):
            return state
        return Bets(
            _play(state.capital, _STAKES, window, (self.null,)), _play(state.ladder, _FEW_STAKES, window, self.ladder)
        )

    def log_e(self, state: Bets) -> float:
        """The log of the average capital: the evidence against the null."""
        return log_mean_exp(state.capital)

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
        gain - math.log1p(stake * expected)
        for expected in [null.expected(window) for null in nulls]
        for stake, gain in bets
    )
    return tuple(log + factor for log, factor in zip(capital, factors, strict=True))
