"""How noisy the candidate's bad events are, against stable's, where stable's rate wanders (habit.WANDERS).

A rate that wanders makes counts the noisier the more events they hold: their variance is mean + γ·mean². So stable's
counts may be fifty times as noisy as independent ones, and those of a candidate with a hundredth of the traffic hardly
noisier at all. What history cannot tell is whether the arms wander together, which cancels, or each by itself, which
makes their difference twice as noisy (APART). The residuals between the arms (echo.Echo) can: after FEWEST windows the
noise is taken for no more than they showed, and CHANCE standard errors on top. It is never taken for less than SEEN of
what they showed, in case that the events come in large bursts after all, which are as large in a small arm.
"""

import math

from modelrelease.domain.habit import Habit
from modelrelease.gates.echo import Echo, drag

APART = 2.0
"""Both arms may wander, each by itself."""

FEWEST = 20
"""Windows to hear before the noise is taken for less than history makes it: with eight a candidate that wanders by
itself and begins with half of the traffic was reverted in 6.5 % of 1,000 simulated releases, with twenty in 1.2 %."""

CHANCE = 1.5
"""How many standard errors the residuals' noise may be larger than it was."""

SMALLEST = 1e-300
"""No sum of squares is taken for less: it is divided by."""

SEEN = 0.6
"""At least so much of what the residuals showed: all of it would be slow where a regression begins, which they show
too; half of it reverts where bursts are of twenty and more."""


def by_itself(habit: Habit, share: float) -> float:
    """φ of the bad events of an arm with that share of the traffic that history had, if it wanders as stable does."""
    return 1 + ((habit.phi or 1.0) - 1) * share


def noise(habit: Habit, echoes: tuple[Echo, ...], share: float) -> float:
    """φ of the candidate's bad events in the next window, at least 1. `share`: of the window's events, 0…1."""
    most = 1 + APART * (by_itself(habit, share) - 1)
    windows = sum(echo.windows for echo in echoes)
    alone = sum(echo.alone for echo in echoes)
    if alone <= 0:
        return most
    lasting = drag(habit, echoes, 0.0)
    seen = lasting * sum(echo.spread for echo in echoes)
    if windows >= FEWEST:
        squared = sum(echo.alone_squared for echo in echoes)
        error = max(math.sqrt(2 * squared + alone), seen * math.sqrt(2 * lasting / windows))
        usual = share * (1 - share) * sum(echo.bad for echo in echoes) / windows
        most = min(most, 1 + max(0.0, seen - alone + CHANCE * error) / max(squared, SMALLEST) * usual)
    return max(most, SEEN * seen / alone)
