"""Pass against stable by a difference: the candidate's rate is proven to be less than stable's plus the margin.

Stratified difference of rates with weights h = n_c·n_s/(n_c + n_s), and a normal mixture over its size (Robbins 1970;
asymptotic, Waudby-Smith et al. 2024), from BURN_IN events per arm on. The variance is that of the null: at least what a
rate at the margin has, which keeps it honest when no bad events were seen at all, times φ (dispersion.py). Per-arm
confidence sequences were rejected: they pool over time and so mistake shared drift for a difference.
"""

from dataclasses import dataclass

from modelrelease.gates.counts import NO_COUNTS, Counts
from modelrelease.gates.sequences import normal_mixture_log_e

BURN_IN = 100.0
"""Events per arm before the normal approximation is trusted."""

_SMALLEST = 0.001


@dataclass(frozen=True, slots=True)
class Gap:
    """Σh, Σh·(p_c − p_s), and the totals."""

    weight: float = 0.0
    gap: float = 0.0
    totals: Counts = NO_COUNTS


@dataclass(frozen=True, slots=True)
class Difference:
    """The test of the null p_c ≥ p_s + margin."""

    margin: float

    def start(self) -> Gap:
        """Nothing seen."""
        return Gap()

    def update(self, state: Gap, window: Counts) -> Gap:
        """Add one window; without both arms it says nothing."""
        if not window.both_arms:
            return state
        h = window.n_c * window.n_s / (window.n_c + window.n_s)
        gap = h * (window.y_c / window.n_c - window.y_s / window.n_s)
        return Gap(state.weight + h, state.gap + gap, state.totals + window)

    def log_e(self, state: Gap, phi: float = 1.0) -> float:
        """The log E-value against the null; 0 before the burn-in."""
        totals = state.totals
        if min(totals.n_c, totals.n_s) < BURN_IN:
            return 0.0
        rate = min(0.5, max(totals.y_c / totals.n_c, totals.y_s / totals.n_s + self.margin, _SMALLEST))
        variance = phi * rate * (1 - rate)
        evidence = state.weight * self.margin - state.gap
        effect = max(self.margin, _SMALLEST)
        return normal_mixture_log_e(evidence / variance**0.5, state.weight, variance / effect**2)
