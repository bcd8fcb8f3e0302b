"""Pass against stable: the candidate's rate is proven to be less than the margin times stable's.

The mirror of Lindon and Malek (NeurIPS 2022): null ρ ≥ ρ1, alternatives on a log grid below it, likelihood of the
candidate's share of all bad events in each window, so that shared drift and changing weights cancel. Bursts make it
overconfident, so the log likelihood ratios are divided by φ (dispersion.py). Betting was rejected on this side: under
slow bursts it passed up to 37 % of candidates at the margin for beta = 5 % (GATES.md).

φ is an estimate, so this is judged at the moment and not kept: a pass that a better φ takes back was none.
"""

import math
from dataclasses import dataclass

from modelrelease.gates.counts import Counts
from modelrelease.gates.sequences import log_grid, log_mean_exp

SMALLEST_MARGIN = 1.05
"""The margin that a pass is proven against where the rule allows 1…1.05: no number of requests can show that equal
arms are not at all worse. A ratio between the rule's and this one may be refuted and proven at once; revert wins.
A rule under 1 demands an improvement, which can be shown, so there the margin is the rule's."""

_SHARES = log_grid(0.15, 0.95, 40)
"""Alternatives as multiples of the margin."""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """The log likelihood ratio of each alternative against the margin, not yet tempered."""

    logs: tuple[float, ...] = (0.0,) * len(_SHARES)


@dataclass(frozen=True, slots=True)
class Mirrored:
    """The test of the null ρ ≥ margin."""

    margin: float

    def start(self) -> Likelihood:
        """No evidence either way."""
        return Likelihood()

    def update(self, state: Likelihood, window: Counts) -> Likelihood:
        """Add one window; without both arms or without bad events it says nothing."""
        if not window.both_arms or window.y_c + window.y_s <= 0:
            return state
        odds = self.margin * window.n_c / window.n_s
        base = math.log1p(odds)
        y_c, both = window.y_c, window.y_c + window.y_s
        # ln p(ρ)/p(ρ1) = ln(ρ/ρ1) + ln(1 + o1) − ln(1 + o), and ln (1 − p(ρ))/(1 − p(ρ1)) = ln(1 + o1) − ln(1 + o).
        return Likelihood(
            tuple(
                log + y_c * math.log(share) + both * (base - math.log1p(odds * share))
                for log, share in zip(state.logs, _SHARES, strict=True)
            )
        )

    def log_e(self, state: Likelihood, phi: float = 1.0) -> float:
        """The log E-value against the null, tempered by `phi` (≥ 1)."""
        return log_mean_exp([log / phi for log in state.logs])


def mirrored(max_ratio: float) -> Mirrored:
    """The test that proves a rate ratio below `max_ratio`, or below SMALLEST_MARGIN where that is 1…1.05."""
    return Mirrored(max(max_ratio, SMALLEST_MARGIN) if max_ratio >= 1 else max_ratio)
