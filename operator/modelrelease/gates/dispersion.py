"""How much noisier than independent events the bad events are: φ, 1 for Poisson counts, 5 for bursts of about three.

Two looks at it, each in windows of 1, 4 and 16 ticks, because bursts that last minutes are invisible from one tick to
the next; the larger counts:

- stable over time: a window against one before and one after it. Given T bad events in the three and the middle one's
  share w of their exposure, (y − wT)² has mean φ·T·w·(1 − w), whatever straight line the base rate drifts along. It
  needs no candidate. Long windows are compared with some distance between them, lest a burst reach into both and hide.
- the arms against each other: the candidate's bad events against its share p of both arms' at the rate ratio seen so
  far. (y_c − pT)² has mean φ·T·p·(1 − p), shared drift cancels, and long bursts show.

Until long windows of stable have been seen, UNSEEN is assumed there: without it, a candidate that was lucky for the
first minutes passed at the margin in 15–30 % of simulated releases with bursts that lasted minutes (beta = 5 %); with
it, in 4–7 %. The variance over all windows was rejected: it takes a daily cycle for bursts.
"""

from dataclasses import dataclass

from modelrelease.domain.habit import Habit
from modelrelease.gates.counts import Counts

SPANS = ((1, 1), (4, 4), (16, 2))
"""Window lengths in ticks, and how many windows apart stable's are compared."""

CAUTION = 1.3
"""By how much the estimate is raised before anything is passed on its strength (GATES.md)."""

PRIOR = 4.0
"""Weight of the assumption φ = 1, in units of T·w·(1 − w): about eighteen bad events."""

UNSEEN = 10.0
"""φ of longer windows before any was compared; it counts as much as one comparison."""

HIGHEST = 50.0
"""A larger φ than this would make stakes vanish for good."""


@dataclass(frozen=True, slots=True)
class Squares:
    """Squared deviations, what independent events would make of them, and how many there are."""

    found: float = 0.0
    expected: float = 0.0
    windows: int = 0

    def add(self, deviation: float, variance: float) -> "Squares":
        """One more deviation with its variance under independence."""
        return Squares(self.found + deviation**2, self.expected + variance, self.windows + 1)


NONE = Squares()


@dataclass(frozen=True, slots=True)
class Span:
    """Windows of `ticks` ticks: the one being filled, stable's last 2·`apart` full ones as (n, y), and both looks.

    n, y: stable's exposure and bad events; excess, variance: the candidate's bad events less its share, Σ T·p·(1 − p).
    """

    ticks: int
    apart: int
    filled: int = 0
    n: float = 0.0
    y: float = 0.0
    excess: float = 0.0
    variance: float = 0.0
    before: tuple[tuple[float, float], ...] = ()
    over_time: Squares = NONE
    between_arms: Squares = NONE

    def add(self, window: Counts, ratio: float) -> "Span":
        """One more tick; `ratio` is the rate ratio seen before it."""
        odds = ratio * window.n_c / window.n_s
        share, bad = odds / (1 + odds), window.y_c + window.y_s
        n, y = self.n + window.n_s, self.y + window.y_s
        excess = self.excess + window.y_c - share * bad
        variance = self.variance + bad * share * (1 - share)
        if self.filled + 1 < self.ticks:
            looks = (self.before, self.over_time, self.between_arms)
            return Span(self.ticks, self.apart, self.filled + 1, n, y, excess, variance, *looks)
        over_time = self.over_time
        if len(self.before) == 2 * self.apart:
            (n_first, y_first), (n_middle, y_middle) = self.before[0], self.before[self.apart]
            middle, bad = n_middle / (n_first + n_middle + n), y_first + y_middle + y
            over_time = over_time.add(y_middle - middle * bad, bad * middle * (1 - middle))
        return Span(
            self.ticks,
            self.apart,
            before=(*self.before, (n, y))[-2 * self.apart :],
            over_time=over_time,
            between_arms=self.between_arms.add(excess, variance),
        )


@dataclass(frozen=True, slots=True)
class Dispersion:
    """One segment: its spans, and the two sums of the Mantel-Haenszel rate ratio (1959), which drift does not bias."""

    segment: str = ""
    spans: tuple[Span, ...] = tuple(Span(ticks, apart) for ticks, apart in SPANS)
    candidate: float = 0.5
    stable: float = 0.5

    def update(self, window: Counts) -> "Dispersion":
        """Learn from one window; a window without stable traffic teaches nothing."""
        if window.n_s <= 0:
            return self
        ratio, exposure = self.candidate / self.stable, window.n_c + window.n_s
        return Dispersion(
            self.segment,
            tuple(span.add(window, ratio) for span in self.spans),
            self.candidate + window.y_c * window.n_s / exposure,
            self.stable + window.y_s * window.n_c / exposure,
        )


def phi_for_stakes(dispersions: tuple[Dispersion, ...]) -> float:
    """Stable's φ from tick to tick, at least 1: it scales stakes, where a wrong value costs power, never validity."""
    return min(HIGHEST, max(1.0, _phi([item.spans[0].over_time for item in dispersions])))


def phi_for_passing(dispersions: tuple[Dispersion, ...], habit: Habit | None = None, least: float = 1.0) -> float:
    """The largest φ of both looks and all spans, raised by CAUTION, and not under `least`.

    Where stable's habit is known, its φ takes UNSEEN's place and is the least that is found.
    """
    found = least if habit is None else CAUTION * habit.together
    for index, (ticks, _) in enumerate(SPANS):
        spans = [item.spans[index] for item in dispersions]
        over_time = _phi([span.over_time for span in spans])
        if ticks > 1 and habit is None:
            windows = sum(span.over_time.windows for span in spans)
            over_time = (over_time * windows + UNSEEN) / (windows + 1)
        found = max(found, CAUTION * over_time, CAUTION * _phi([span.between_arms for span in spans]))
    return found


def _phi(looks: list[Squares]) -> float:
    return (sum(look.found for look in looks) + PRIOR) / (sum(look.expected for look in looks) + PRIOR)
