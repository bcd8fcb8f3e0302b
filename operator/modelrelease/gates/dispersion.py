"""How much noisier than independent events stable's bad events are: φ, 1 for Poisson counts, 3 for bursts of three.

A window is compared with its two neighbours, so that a drift of the base rate does not count as noise: given T bad
events in the three and the middle one's share w of their exposure, (y − wT)² has mean φ·T·w·(1 − w). Windows of 1, 4
and 16 ticks, because bursts that last minutes are invisible from one tick to the next. The variance over all windows
was rejected: it takes a daily cycle for bursts.
"""

from dataclasses import dataclass

from modelrelease.gates.counts import Counts

SPANS = (1, 4, 16)
"""Window lengths in ticks."""

CAUTION = 1.3
"""By how much the estimate is raised before anything is passed on its strength (GATES.md)."""

PRIOR = 4.0
"""Weight of the assumption φ = 1, in units of T·w·(1 − w): about eighteen bad events."""

HIGHEST = 50.0
"""A larger φ than this would make stakes vanish for good."""


@dataclass(frozen=True, slots=True)
class Span:
    """Windows of `ticks` ticks: the one being filled (n, y, filled), the last two full ones, the sums of squares."""

    ticks: int
    n: float = 0.0
    y: float = 0.0
    filled: int = 0
    before: tuple[tuple[float, float], ...] = ()
    squares: float = 0.0
    expected: float = 0.0

    def add(self, n: float, y: float) -> "Span":
        """The sums with one more tick of stable in them."""
        n, y, filled = self.n + n, self.y + y, self.filled + 1
        if filled < self.ticks:
            return Span(self.ticks, n, y, filled, self.before, self.squares, self.expected)
        squares, expected = self.squares, self.expected
        if len(self.before) == 2:
            (n_first, y_first), (n_middle, y_middle) = self.before
            share = n_middle / (n_first + n_middle + n)
            bad = y_first + y_middle + y
            squares += (y_middle - share * bad) ** 2
            expected += bad * share * (1 - share)
        return Span(self.ticks, before=(*self.before[-1:], (n, y)), squares=squares, expected=expected)


@dataclass(frozen=True, slots=True)
class Dispersion:
    """The spans of one segment."""

    segment: str = ""
    spans: tuple[Span, ...] = tuple(Span(ticks) for ticks in SPANS)

    def update(self, window: Counts) -> "Dispersion":
        """Learn from stable's side of one window; a window without stable traffic teaches nothing."""
        if window.n_s <= 0:
            return self
        return Dispersion(self.segment, tuple(span.add(window.n_s, window.y_s) for span in self.spans))


def phi_for_stakes(dispersions: tuple[Dispersion, ...]) -> float:
    """φ between neighbouring ticks, at least 1: it scales stakes, where a wrong value costs power, never validity."""
    return min(HIGHEST, max(1.0, _phi(dispersions, 0)))


def phi_for_passing(dispersions: tuple[Dispersion, ...]) -> float:
    """The largest φ of the three spans, raised by CAUTION, at least 1."""
    return max(1.0, CAUTION * max(_phi(dispersions, index) for index in range(len(SPANS))))


def _phi(dispersions: tuple[Dispersion, ...], index: int) -> float:
    squares = sum(dispersion.spans[index].squares for dispersion in dispersions)
    expected = sum(dispersion.spans[index].expected for dispersion in dispersions)
    return (squares + PRIOR) / (expected + PRIOR)
