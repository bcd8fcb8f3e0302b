"""Tilts of bursts against stable: what a bet on a window's excess cannot gain where a window holds many bursts.

A window's bet gains at most ln(y_c/(p0·T)), however many events the window holds (betting.py). Where stable's history
shows for how long bursts last and how large they are, part of the capital is multiplied by exp(θ·y_c − c·T) instead.
Bursts come as Poisson processes in both arms, their sizes geometric of mean m = (φ + 1)/2 with moment generating
function M (CAUTION·φ for φ), and the share p0 of all bursts is the candidate's at the most. Then the factor has mean 1
for every base rate where p0·(M(θ − c) − 1) + (1 − p0)·(M(−c) − 1) = 0, and at most 1 where the candidate has less than
p0. For m = 1 that is the likelihood ratio, c = ln(1 + p0·(e^θ − 1)).

The exponent is linear in both counts, so a burst that is cut in two by windows counts as one, and no drag is needed;
the base rate may move in both arms together as it likes. Where it wanders, each arm may do so by itself: what that adds
is taken for bursts too, as large as the candidate's share makes it (wandering.py). There most of the capital is on
tilts: bets, which hold every wandering that lasts longer than a window for a regression, err more often.
Where each tick is a window no tilts are played: bursts are seen one by one, which bets do better.
"""

import math
from functools import lru_cache

from modelrelease.domain.habit import Habit
from modelrelease.gates.echo import Echo
from modelrelease.gates.wandering import noise

SHARE, SHARE_WANDERING = 0.2, 0.8
"""The share of the capital that is on tilts where events come in bursts, and where their rate wanders."""

CAUTION = 1.4
"""φ is taken for so many times what history shows. Unlike bets, tilts err where bursts are larger than they are made
for: without this a φ that is 30 % too small reverted up to 1.8 % of good releases at alpha = 1 %, with it no more than
bets do."""

LATE = 0.3
"""The share of that which is staked little by little on a late onset."""

MOST = 2.5
"""No window gains more nats: sizes may have a longer tail than geometric ones, and one burst must not decide."""

TILTS = (0.08, 0.16, 0.3, 0.5)
"""(e^θ − 1)·(m − 1): about the best for 1.2, 1.5, 2 and 4 times the allowed rate, the smallest for 2 times stable's
where 1.5 are allowed. The smaller ones also find late rises."""


def share_of(habit: Habit) -> float:
    """The share of the capital that is on tilts; 0: none are played."""
    if habit.window_s == 0 or habit.together == 1:
        return 0.0
    return SHARE_WANDERING if habit.wanders else SHARE


def size_of(habit: Habit, echoes: tuple[Echo, ...], share: float) -> float:
    """The mean size m of bursts that tilts are made for in the next window; 1: none are played.

    `echoes`: what was heard before it; `share`: the candidate's, of the window's events.
    """
    if not share_of(habit):
        return 1.0
    return (CAUTION * (noise(habit, echoes, share) if habit.wanders else habit.phi or 1.0) + 1) / 2


@lru_cache(maxsize=512)
def odds_of(size: float) -> tuple[float, ...]:
    """e^θ of each tilt for bursts of that mean size; none for 1."""
    return tuple(1 + tilt / (size - 1) for tilt in TILTS) if size > 1 else ()


def gains(size: float, y_c: float, bad: float, share: float) -> tuple[float, ...]:
    """What each tilt gains in one window, in nats; nothing for size 1. `bad`: events of both arms; `share`: p0."""
    if size == 1:
        return (0.0,) * len(TILTS)
    return tuple(min(MOST, y_c * math.log(odds) - bad * cost(odds, size, share)) for odds in odds_of(size))


def cost(odds: float, size: float, share: float) -> float:
    """c: what each bad event of either arm takes off the log capital. `share`: p0."""
    more = size - 1
    middle = share * (odds * size + more) + (1 - share) * (size + more * odds)
    return math.log((middle + math.sqrt(max(0.0, middle * middle - 4 * more * odds * size))) / (2 * size))
