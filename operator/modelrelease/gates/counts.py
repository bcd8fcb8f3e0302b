"""Bad events among all events of both arms in one window: what the tests for ratios see of a stratum.

Quantile gates come here too, with "slow" as bad; so no test needs to know the metric's type.
"""

from dataclasses import dataclass

from modelrelease.domain.evidence import Tally


@dataclass(frozen=True, slots=True)
class Counts:
    """Events and bad events of the candidate (c) and of stable (s).

    `phi`: how much noisier than independent events stable was before this window (≥ 1). `drag`: by how much windows
    that resemble their predecessors overstate what they prove (≥ 1). `spotless`: whether all of stable's events so far
    were good, or all bad (runs.py). `size`: of bursts that tilts are for (1: none are played; tilting.py). Tests may
    use these: they were known before the window, or are stable's alone.
    """

    n_c: float = 0.0
    y_c: float = 0.0
    n_s: float = 0.0
    y_s: float = 0.0
    phi: float = 1.0
    drag: float = 1.0
    spotless: tuple[bool, bool] = (False, False)
    size: float = 1.0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.n_c + other.n_c, self.y_c + other.y_c, self.n_s + other.n_s, self.y_s + other.y_s)

    @property
    def both_arms(self) -> bool:
        """Whether both arms had events, so that they can be compared."""
        return self.n_c > 0 and self.n_s > 0

    @property
    def inverted(self) -> "Counts":
        """Good events counted as bad ones, for demands of at least so many."""
        good_c, good_s = self.n_c - self.y_c, self.n_s - self.y_s
        return Counts(self.n_c, good_c, self.n_s, good_s, self.phi, self.drag, self.spotless[::-1], self.size)


NO_COUNTS = Counts()
"""Nothing happened on either arm."""


def counts_of(candidate: Tally, stable: Tally, phi: float = 1.0, *, drag: float = 1.0) -> Counts:
    """The counts of one stratum.

    Two counters are never scraped at the same instant, so a window may hold more bad events than events; the events
    are then raised to the bad ones, which claims less than a rate above one would.
    """
    n_c, n_s = max(candidate.total, candidate.bad), max(stable.total, stable.bad)
    return Counts(n_c, candidate.bad, n_s, stable.bad, phi, drag)
