"""For how long stable's bad events come in runs, where no history tells it: learnt from stable during the release.

A burst that is spread over minutes shows in window after window, and a test that multiplies window by window counts it
several times. Stable has bursts of the same kind and most of the traffic, so it usually shows one before the candidate
has had any. Its residuals e = y − n·(rate so far) tell V, their long-run variance over their variance, which is
1 + 2·Σ(correlations) with weights that fade (Newey and West 1987). The next window's log factors are divided by V: it
was known before the window and is at least 1, so by Jensen's inequality E[F^(1/V)] ≤ (E F)^(1/V) ≤ 1, and what drag
costs is power, never validity.

Before much of stable was heard, a figure is assumed that gives way window by window: the higher one for gates against
stable, where a candidate as good as stable stands right at its margin; under an absolute bound there is room between.
A stable without any bad event shows that bursts are rare, and it would most likely have had the first of them: while it
stays clean, this window included, requests of the candidate that fail count singly (`spotless`, demands.py). The share
of the first bursts that falls to the candidate is its share of the traffic: small where a release begins small.

Stable's rate may also wander, in both arms together; here that counts as runs, which costs power only.

`echo.py` is the same for known habits, where windows are long enough already and only what the arms do apart counts.
"""

import math
from dataclasses import dataclass

from modelrelease.gates.counts import Counts
from modelrelease.gates.dispersion import CAUTION, PRIOR

MEMORY = 20.0
"""For how many windows (scrapes) a residual is remembered, fading."""

ASSUMED, ASSUMED_AGAINST_STABLE = (2.0, 20.0), (6.0, 40.0)
"""What is divided by before stable was heard, and for how many windows that counts."""

MOST = 10.0
"""More is hardly one of bursts but of a rate that wanders."""

LEAST = 1.0
"""Added to the sum of squares: a fraction of one event is no run."""

CLEAN = 40.0
"""From so many events on, stable without one bad event counts as clean."""

FADING = math.exp(-1 / MEMORY)


@dataclass(frozen=True, slots=True)
class Runs:
    """Stable in one segment. `before`: past residuals, fading; `products`: Σ e·before; `own`: Σ e²; `expected`: what
    independent events would make of that; n, y: its events and bad events; `windows`: how many were heard."""

    segment: str = ""
    before: float = 0.0
    products: float = 0.0
    own: float = 0.0
    expected: float = 0.0
    n: float = 0.0
    y: float = 0.0
    windows: int = 0

    def update(self, window: Counts) -> "Runs":
        """Learn from one window; without stable traffic it teaches nothing."""
        if window.n_s <= 0:
            return self
        rate = self.y / self.n if self.n else window.y_s / window.n_s
        e = window.y_s - window.n_s * rate
        return Runs(
            self.segment,
            FADING * self.before + e,
            self.products + e * self.before,
            self.own + e * e,
            self.expected + window.n_s * rate * (1 - rate),
            self.n + window.n_s,
            self.y + window.y_s,
            self.windows + 1,
        )


def drag(runs: tuple[Runs, ...], *, comparative: bool) -> float:
    """V of the next window, 1…MOST; `comparative`: of a gate against stable."""
    assumed, before = ASSUMED_AGAINST_STABLE if comparative else ASSUMED
    windows = sum(each.windows for each in runs)
    products, own = sum(each.products for each in runs), sum(each.own for each in runs)
    found = 1 + 2 * CAUTION * max(products, 0.0) / (own + LEAST)
    return min(MOST, (found * windows + assumed * before) / (windows + before))


def spotless(runs: tuple[Runs, ...]) -> tuple[bool, bool]:
    """Whether all of stable's events so far were good, or all bad, and were enough to say so."""
    n, y = sum(each.n for each in runs), sum(each.y for each in runs)
    return n >= CLEAN and y == 0, n >= CLEAN and y == n


def noise(runs: tuple[Runs, ...]) -> float:
    """φ over as long as runs last, raised by CAUTION where it is above 1: what a pass is tempered with."""
    products, own = sum(each.products for each in runs), sum(each.own for each in runs)
    found = (own + 2 * max(products, 0.0) + PRIOR) / (sum(each.expected for each in runs) + PRIOR)
    return 1 + CAUTION * max(0.0, found - 1)


def worth(windows: float, lasting: float, *, comparative: bool) -> float:
    """How many windows without drag so many are expected to be worth where runs last `lasting` (V in the long run)."""
    assumed, before = ASSUMED_AGAINST_STABLE if comparative else ASSUMED
    lasting = min(MOST, max(1.0, lasting))
    return windows / lasting + before * (lasting - assumed) / lasting**2 * math.log1p(
        lasting * windows / (assumed * before)
    )


def worth_after(before: float, windows: float, lasting: float, *, comparative: bool) -> float:
    """How many windows those after the first `before` of so many are worth."""
    return worth(windows, lasting, comparative=comparative) - worth(before, lasting, comparative=comparative)
