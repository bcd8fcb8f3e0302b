"""Whether a source is out, and the two moments that are worth saying: it went out, it is back.

Pure. All releases of a source are held by the same outage, so it is told once per source and not once per release or
tick. Rejected: telling each failed tick; a night without Prometheus would fill a log with one sentence.
"""

from dataclasses import dataclass
from datetime import datetime

CALM_TICKS = 3
"""So many ticks in a row must be answered before an outage is over: a source that comes and goes has one outage."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Something to say. `began`: whether the source went out now. `since`: when it did; `reason`: the first given."""

    began: bool
    since: datetime
    reason: str


@dataclass(slots=True)
class Outage:
    """One source over time."""

    since: datetime | None = None
    reason: str = ""
    _calm: int = 0

    def note(self, down: str | None, at: datetime) -> Turn | None:
        """Take what one tick found: why the source could not be asked, or None. A Turn when there is news."""
        if down is not None:
            self._calm = 0
            if self.since is not None:
                return None
            self.since, self.reason = at, down
            return Turn(True, at, down)
        if self.since is None:
            return None
        self._calm += 1
        if self._calm < CALM_TICKS:
            return None
        turn = Turn(False, self.since, self.reason)
        self.since, self.reason, self._calm = None, "", 0
        return turn
