"""When to ask next: a period, locked to the moment at which new samples become visible.

Pure. Rejected: a free-running period; evidence would then wait for half a period on average before anyone looks.
"""

from dataclasses import dataclass, replace

FIRST_OFFSET_S = 0.08
MAX_OFFSET_S = 1.0


@dataclass(frozen=True, slots=True)
class Phase:
    """What was learned so far: the newest sample's time, and how long after its time a sample can be read."""

    newest_s: float | None = None
    offset_s: float = FIRST_OFFSET_S

    def learned(self, *, asked_s: float, newest_s: float | None, scrape_interval_s: float) -> "Phase":
        """Take the newest sample time of an answer. A sample that was due but not there yet widens the offset."""
        if newest_s is None:
            return self
        if self.newest_s is None or newest_s > self.newest_s:
            return replace(self, newest_s=newest_s)
        due_s = self.newest_s + scrape_interval_s + self.offset_s
        if 0 <= asked_s - due_s < self.offset_s:
            return replace(self, offset_s=min(2 * self.offset_s, MAX_OFFSET_S, scrape_interval_s / 2))
        return self

    def next_due_s(self, now_s: float, *, tick_s: float, scrape_interval_s: float) -> float:
        """The last moment up to one tick from now at which a new sample is due; one tick from now when none is."""
        latest_s = now_s + tick_s
        if self.newest_s is None:
            return latest_s
        first_s = self.newest_s + self.offset_s
        aligned_s = first_s + (latest_s + 0.5 * self.offset_s - first_s) // scrape_interval_s * scrape_interval_s
        return aligned_s if aligned_s > now_s + 0.1 * min(tick_s, scrape_interval_s) else latest_s
