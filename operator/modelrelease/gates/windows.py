"""How long a window must be, and how noisy stable is in it: from stable's history before a stage, frozen there.

    habit = habit_of(gate, history)                            # history: stable's strata of the last hours
    settings = replace(settings, window_s=habit.window_s, phi=habit.phi)

Betting asks that no window foretells the next (betting.py). So stable's bad events are compared with what its mean
rate of the quarter of an hour before and after would make of them, and their autocovariance says for how long a surplus
lasts. Windows are that long and a little longer, and then:

- long enough for FEWEST_IN_WINDOW bad events of stable, where events come together at all: rare events cost nothing by
  waiting;
- short enough for MOST_IN_WINDOW: a window can at best multiply capital by the rate ratio, so windows full of events
  keep a verdict waiting. What lasts longer than they do is left to the drag (echo.py);
- at most LONGEST_S, unless told otherwise: a doubled rate takes eight windows and more.

A rate that drifts over hours is no autocorrelation here, because both arms drift with it.

Rejected: the same window for everybody; the variance of longer and longer windows, which needs days to tell five
minutes from ten; choosing again during a stage, since a choice that leans on the evidence is a look at it.
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from modelrelease.domain.evidence import Stratum, Tally
from modelrelease.domain.gate import Absolute, Cost, Gate, Mean, Quantile, Ratio, Value
from modelrelease.domain.habit import WANDERS, Habit
from modelrelease.gates.quantile import slow_tally, stable_bound

LONGEST_S = 240
SHORTEST_S = 60
"""Longest window, and the shortest that MOST_IN_WINDOW asks for, in seconds."""

FEWEST_IN_WINDOW = 15.0
MOST_IN_WINDOW, MOST_WANDERING = 500.0, 700.0
"""Bad events of stable in one window, where they come together; and where its rate wanders (habit.WANDERS)."""

LASTING_S = 720
"""For how long a surplus is followed, in seconds."""

LOCAL_S = 900
"""Seconds before and after over which stable's mean rate is taken."""

STRETCH = 1.15
"""How much longer a window is than the time after which nothing is left of a surplus."""

LEFT = 0.2
"""A correlation is over when it is less than this part of the one from tick to tick, or than chance makes of it."""

SLACK = 0.25
"""Ticks that a window is shorter than it has: a tick is never quite as long as the median one, and windows must not
wait for one more because of that."""

FEWEST_TICKS = 60
FEWEST_BAD = 50.0
"""Less history than this says nothing: the window is then the longest one."""

MOST = 2.0**53
"""More than this in one tick is a broken counter, with which arithmetic overflows; it says nothing either."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Stable's events and bad events (or its summed value) in one tick."""

    n: float
    y: float


def choose_window_s(history: Sequence[Stratum], *, longest_s: int = LONGEST_S) -> int:
    """Seconds that a window should last, for a ratio with stable's `history`; 0: each tick may be one."""
    return _habit([(item, item.stable) for item in history], longest_s=longest_s).window_s


def habit_of(gate: Gate, history: Sequence[Stratum], *, longest_s: int = LONGEST_S) -> Habit:
    """How stable's bad events come, in the sense of `gate`. `history`: strata before the stage, of which only stable's
    side is read; their order does not matter. `longest_s`: say a twentieth of the stage, where that is less."""
    match gate.metric:
        case Ratio():
            inverted = isinstance(gate.rule, Absolute) and gate.rule.maximum is None
            arms = [(item, _good(item.stable) if inverted else item.stable) for item in history]
            return _habit(arms, longest_s=longest_s)
        case Quantile() as metric:
            bound = float(gate.rule.maximum or 0) if isinstance(gate.rule, Absolute) else None
            if bound is None:
                bound = stable_bound([item.stable.buckets for item in history], float(metric.q))
            if bound is None:
                return Habit(longest_s, None)
            return _habit([(item, slow_tally(item.stable.buckets, bound)) for item in history], longest_s=longest_s)
        case Mean() | Cost():
            found = _habit([(item, item.stable) for item in history], longest_s=longest_s, counts=False)
            return replace(found, phi=None)
        case Value():
            return Habit(0, None)


def known_habit(gate: Gate, history: Sequence[Stratum]) -> Habit | None:
    """`habit_of` where the history is long enough to say something, else None: the tests then learn on the way."""
    found = habit_of(gate, history)
    if isinstance(gate.metric, Mean | Cost):  # their φ, which would say so, means nothing
        return found if sum(each.stable.total > 0 for each in history) >= FEWEST_TICKS else None
    return None if found.phi is None or isinstance(gate.metric, Value) else found


def _habit(arms: Sequence[tuple[Stratum, Tally]], *, longest_s: int, counts: bool = True) -> Habit:
    tick_s = statistics.median([(item.end - item.start).total_seconds() for item, _ in arms]) if arms else 0.0
    if tick_s <= 0:
        return Habit(longest_s, None)
    rows = [_row(each, tick_s) for each in _by_segment(arms)]
    ticks = sum(tick.n > 0 for row in rows for tick in row)
    bad = sum(tick.y for row in rows for tick in row)
    if ticks < FEWEST_TICKS or (counts and bad < FEWEST_BAD):
        return Habit(longest_s, None)
    if not all(abs(amount) <= MOST for row in rows for tick in row for amount in (tick.n, tick.y)):
        return Habit(longest_s, None)
    lags = max(1, round(LASTING_S / tick_s))
    covariances = _covariances(rows, local=max(1, round(LOCAL_S / tick_s)), lags=lags, counts=counts)
    if covariances[0] <= 0:
        return Habit(0, 1.0)
    lasting = _lasting(covariances, ticks)
    phi = max(1.0, covariances[0] + 2 * sum(covariances[1 : lasting + 1]))
    if not lasting:
        return Habit(0, phi)
    most = MOST_WANDERING if phi >= WANDERS else MOST_IN_WINDOW
    length = _length(lasting, bad / ticks if counts else 0.0, tick_s, longest_s, most)
    return Habit(seconds_of(length, tick_s), phi)


def seconds_of(ticks: int, tick_s: float) -> int:
    """How long a window of so many ticks is, less SLACK; 0: each tick is one."""
    return math.floor((ticks - SLACK) * tick_s) if ticks > 1 else 0


def _length(lasting: int, bad_per_tick: float, tick_s: float, longest_s: int, most_bad: float) -> int:
    """The window's length in ticks."""
    length = float(math.ceil((lasting + 1) * STRETCH))
    most = longest_s / tick_s
    if bad_per_tick > 0:
        length = max(length, FEWEST_IN_WINDOW / bad_per_tick)
        most = min(most, max(SHORTEST_S / tick_s, most_bad / bad_per_tick))
    return max(1, math.floor(min(length, most) + 1e-9))


def _lasting(covariances: Sequence[float], ticks: int) -> int:
    """After how many ticks nothing is left of a surplus; 0: not even from one tick to the next."""
    correlations = [value / covariances[0] for value in covariances[1:]]
    smooth = [
        statistics.fmean(correlations[max(0, lag - 1) : lag + 2]) if lag + 1 < len(correlations) else correlations[lag]
        for lag in range(len(correlations))
    ]
    least = max(2 / math.sqrt(ticks), LEFT * smooth[0])
    return next((lag for lag, value in enumerate(smooth) if value < least), len(smooth))


def _covariances(rows: Iterable[Sequence[Tick]], *, local: int, lags: int, counts: bool) -> list[float]:
    """Autocovariances of the surplus at lags 0…`lags`; of counts in units of their Poisson variance."""
    sums, scales = [0.0] * (lags + 1), [0.0] * (lags + 1)
    for row in rows:
        means = _means(row, local)
        surplus = [tick.y - mean for tick, mean in zip(row, means, strict=True)]
        roots = [math.sqrt(mean) for mean in means] if counts else [float(tick.n > 0) for tick in row]
        for lag in range(min(lags, len(row) - 1) + 1):
            sums[lag] += math.fsum(a * b for a, b in zip(surplus, surplus[lag:], strict=False))
            scales[lag] += math.fsum(a * b for a, b in zip(roots, roots[lag:], strict=False))
    return [total / scale if scale > 0 else 0.0 for total, scale in zip(sums, scales, strict=True)]


def _means(row: Sequence[Tick], local: int) -> list[float]:
    """What stable's mean rate around each tick would make of its events."""
    n, y = [0.0], [0.0]
    for tick in row:
        n.append(n[-1] + tick.n)
        y.append(y[-1] + tick.y)
    found = []
    for index, tick in enumerate(row):
        low, high = max(0, index - local), min(len(row), index + local + 1)
        events = n[high] - n[low]
        found.append(tick.n * (y[high] - y[low]) / events if events > 0 else 0.0)
    return found


def _by_segment(arms: Sequence[tuple[Stratum, Tally]]) -> list[list[tuple[Stratum, Tally]]]:
    found: dict[str | None, list[tuple[Stratum, Tally]]] = {}
    for stratum, tally in arms:
        found.setdefault(stratum.segment, []).append((stratum, tally))
    return list(found.values())


def _row(arms: Sequence[tuple[Stratum, Tally]], tick_s: float) -> list[Tick]:
    """Ticks of equal length from the first stratum to the last; a gap is ticks without events."""
    first = min(stratum.start for stratum, _ in arms)
    places = [round((stratum.start - first).total_seconds() / tick_s) for stratum, _ in arms]
    n, y = [0.0] * (max(places) + 1), [0.0] * (max(places) + 1)
    for place, (_, tally) in zip(places, arms, strict=True):
        n[place] += tally.total
        y[place] += tally.bad
    return [Tick(*each) for each in zip(n, y, strict=True)]


def _good(tally: Tally) -> Tally:
    return Tally(tally.total, max(0.0, tally.total - tally.bad))
