"""How much windows echo their predecessors: where the candidate's excess comes in runs, they prove less than they seem.

Betting needs windows of which none foretells the next. A window as long as stable's autocorrelation sees to that, but
not where a rate wanders for longer than any sensible window, and stable's history cannot tell whether the arms wander
together (then it cancels) or apart. The residuals between the arms can: e = y_c − p·T at the rate ratio seen so far. V
is their long-run variance over their variance, 1 + 2·Σ(correlations) with weights that fade (Newey and West 1987), less
what chance may have done; the log factor F of the next window is divided by V. V was known before the window and is at
least 1, so by Jensen's inequality E[F^(1/V)] ≤ (E F)^(1/V) ≤ 1: drag costs power, never validity. It buys what
tempering buys: exp of a sum whose variance is V times too large has mean 1 again once its exponent is divided by V.

Windows full of bad events were cut short (windows.MOST_IN_WINDOW), so that a burst which lasts reaches into the next
one, and the first windows have heard nothing of it yet: there V begins at up to 2, the more the larger the bursts are,
and gives way to what is heard. Not where φ is so large that a rate wanders: it may do so in both arms together.

Windows as long as the longest possible wandering were rejected: they find a doubled rate after hours.

What is heard of past windows also tells how many bad events a window usually holds (`burst_noise`).
"""

import math
from dataclasses import dataclass

from modelrelease.domain.habit import HIGHEST_KNOWN, Habit
from modelrelease.gates.counts import Counts

MEMORY_S = 300.0
"""How long residuals are remembered, in seconds, and at least FEWEST windows."""

FEWEST = 2.5
CHANCE = 1.0
"""How many standard errors of V are put down to chance."""

MOST = 2.0
"""V is not taken for more than this: an excess that begins late looks like an echo too, and must be found."""

UNHEARD_S = 1200.0
"""For how many seconds of windows counts what is assumed before anything was heard."""

FULL = 300.0
"""Bad events of both arms from which on a window counts as full."""


@dataclass(frozen=True, slots=True)
class Echo:
    """One segment. `before`: past residuals, fading; `products`: Σ e·before; `squared`: Σ (e·before)²; `own`: Σ e².

    `spread`: Σ e² without the first window, of which no ratio was known; `alone`: Σ p·(1 − p)·T, which that would be of
    independent events; `alone_squared`: the sum of its squares.
    `candidate`, `stable`: the two sums of the Mantel-Haenszel rate ratio (1959), which drift does not bias. `windows`:
    how many were heard; `bad`: the bad events of both arms in them.
    """

    segment: str = ""
    before: float = 0.0
    products: float = 0.0
    squared: float = 0.0
    own: float = 0.0
    spread: float = 0.0
    alone: float = 0.0
    alone_squared: float = 0.0
    candidate: float = 0.5
    stable: float = 0.5
    windows: int = 0
    bad: float = 0.0

    def update(self, window: Counts, fading: float) -> "Echo":
        """Learn from one window; without both arms it teaches nothing. `fading`: what is left of a residual then."""
        if not window.both_arms:
            return self
        odds = self.candidate / self.stable * window.n_c / window.n_s
        bad = window.y_c + window.y_s
        e, alone = window.y_c - odds / (1 + odds) * bad, odds / (1 + odds) ** 2 * bad if self.windows else 0.0
        product, exposure = e * self.before, window.n_c + window.n_s
        return Echo(
            self.segment,
            fading * self.before + e,
            self.products + product,
            self.squared + product * product,
            self.own + e * e,
            self.spread + (e * e if self.windows else 0.0),
            self.alone + alone,
            self.alone_squared + alone * alone,
            self.candidate + window.y_c * window.n_s / exposure,
            self.stable + window.y_s * window.n_c / exposure,
            self.windows + 1,
            self.bad + bad,
        )


def fading(habit: Habit) -> float:
    """What is left of a residual after one window."""
    return math.exp(-1 / max(FEWEST, MEMORY_S / max(habit.window_s, 1)))


def drag(habit: Habit, echoes: tuple[Echo, ...], bad: float) -> float:
    """V of the next window, 1…MOST, which has `bad` bad events in both arms: their mean is given them, so it may lean
    on them. Where history shows no echo from tick to tick, none is looked for."""
    if not habit.window_s:
        return 1.0
    own, windows = sum(echo.own for echo in echoes), sum(echo.windows for echo in echoes)
    chance = CHANCE * math.sqrt(sum(echo.squared for echo in echoes))
    found = max(1.0, 1 + 2 * (sum(echo.products for echo in echoes) - chance) / own) if own > 0 else 1.0
    if bad >= FULL and not habit.wanders:
        before, assumed = UNHEARD_S / habit.window_s, 1 + (habit.together / HIGHEST_KNOWN) ** 2
        found = (assumed * before + found * windows) / (before + windows)
    return min(MOST, found)


def burst_noise(habit: Habit, echoes: tuple[Echo, ...]) -> float:
    """φ that stakes are sized by in the next window: more than the habit's where windows hold less than one burst on
    average, because the bad events of one window are then likely to be one burst, however large."""
    windows = sum(echo.windows for echo in echoes)
    if habit.together == 1 or not windows:
        return habit.together
    usual = sum(echo.bad for echo in echoes) / windows
    return habit.together * max(1.0, (habit.together + 1) / 2 / max(usual, 1e-9))
