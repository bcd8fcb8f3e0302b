"""The release train: when exposure may rise. Schedules of windows that all must be open, and freezes that close all.

Times of day belong to a time zone by name, never to an offset: the offset of a place changes twice a year.
"""

from dataclasses import dataclass
from enum import StrEnum


class Weekday(StrEnum):
    """The days of the week, in the order of `datetime.weekday`."""

    MONDAY = "Monday"
    TUESDAY = "Tuesday"
    WEDNESDAY = "Wednesday"
    THURSDAY = "Thursday"
    FRIDAY = "Friday"
    SATURDAY = "Saturday"
    SUNDAY = "Sunday"


EVERY_DAY = tuple(Weekday)
DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Weekly:
    """Open while the clock on the wall in `zone` shows `start` up to but not including `end`, in minutes of the day.

    An end at or before the start lies on the next day; `days` are those on which the window starts.
    """

    zone: str = "UTC"
    days: tuple[Weekday, ...] = EVERY_DAY
    start: int = 0
    end: int = DAY_MINUTES


@dataclass(frozen=True, slots=True)
class Cron:
    """Open for `duration_s` seconds from each start that a five-field cron expression gives in `zone`.

    A start that the clock skips is when the clock jumps; in an hour that the clock shows twice it starts once.
    """

    expression: str
    duration_s: int
    zone: str = "UTC"


Window = Weekly | Cron


@dataclass(frozen=True, slots=True)
class Schedule:
    """Windows of one origin (`spec.train`, or a policy's tier); it is open while any of them is."""

    windows: tuple[Window, ...]
    origin: str = "spec.train"


@dataclass(frozen=True, slots=True)
class Freeze:
    """No raise from `since` up to but not including `until` (RFC 3339 in UTC), and why."""

    since: str
    until: str
    reason: str
    name: str = ""
    origin: str = "spec.train"


@dataclass(frozen=True, slots=True)
class Train:
    """Open while every schedule is open and no freeze holds; without both it is always open."""

    schedules: tuple[Schedule, ...] = ()
    freezes: tuple[Freeze, ...] = ()

    @property
    def unlimited(self) -> bool:
        """Whether it never closes."""
        return not self.schedules and not self.freezes
