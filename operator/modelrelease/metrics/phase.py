"""When to ask next: a period, locked to the moment at which new samples become visible.

Pure. Asked too early, a sample is not there yet and is asked for again after ever longer pauses; asked too late, it
has been waiting. So the offset from a sample's time to the question grows by a fifth with each question that came too
early and shrinks by a hundredth with each that did not, which leaves about one in twenty too early (a stochastic
approximation of a quantile; Robbins and Monro 1951).

Rejected: a free-running period; evidence would then wait for half a period on average before anyone looks. An offset
that only grows; one slow scrape would delay all evidence after it.
"""

from dataclasses import dataclass, replace

FIRST_OFFSET_S = 0.08
MIN_OFFSET_S = 0.02
MAX_OFFSET_S = 1.0
WIDER, NARROWER = 1.2, 0.99


@dataclass(frozen=True, slots=True)
class Phase:
    """What was learned so far: the newest sample's time, and how long after its time a sample can be read.

    `early`: how many questions in a row came before the sample that was due.
    """

    newest_s: float | None = None
    offset_s: float = FIRST_OFFSET_S
    early: int = 0

    def learned(self, *, asked_s: float, newest_s: float | None, scrape_interval_s: float) -> "Phase":
        """Take the newest sample time of an answer (None: there was none) to a question asked at `asked_s`."""
        if newest_s is None:
            return self
        if self.newest_s is None:
            return replace(self, newest_s=newest_s)
        missed = self._missed(max(newest_s, self.newest_s), asked_s, scrape_interval_s)
        if missed:
            most_s = min(MAX_OFFSET_S, scrape_interval_s / 2)
            wider_s = self.offset_s if self.early else min(WIDER * self.offset_s, most_s)
            return Phase(max(newest_s, self.newest_s), wider_s, self.early + 1)
        if newest_s <= self.newest_s:
            return replace(self, early=0)
        narrower_s = self.offset_s if self.early else max(NARROWER * self.offset_s, MIN_OFFSET_S)
        return Phase(newest_s, narrower_s)

    def next_due_s(self, now_s: float, *, tick_s: float, scrape_interval_s: float) -> float:
        """When to ask: soon where a sample is overdue, else at the last moment up to one tick from now at which a new
        sample is due, or a quarter more; one tick from now when none is."""
        latest_s = now_s + tick_s
        if self.newest_s is None:
            return latest_s
        if self.early and now_s < self.newest_s + 1.5 * scrape_interval_s:
            return min(latest_s, now_s + self.offset_s / 2 * 2.0 ** (self.early - 1))
        first_s = self.newest_s + self.offset_s
        shorter_s = min(tick_s, scrape_interval_s)
        aligned_s = first_s + (latest_s + 0.25 * shorter_s - first_s) // scrape_interval_s * scrape_interval_s
        return aligned_s if aligned_s > now_s + 0.1 * shorter_s else latest_s

    def _missed(self, newest_s: float, asked_s: float, scrape_interval_s: float) -> bool:
        """Whether the sample after `newest_s` fell due less than half an interval before `asked_s`.

        One that was due longer ago is not late but missing, and not asked for more often than others.
        """
        late_s = asked_s - (newest_s + scrape_interval_s + self.offset_s)
        return -1e-6 <= late_s < scrape_interval_s / 2
