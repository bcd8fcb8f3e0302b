"""One release window: is it open at a time, when does it open next, how long does it stay open.

Weekly windows go by the clock on the wall: what it skips is not open, what it shows twice is open twice. Cron starts
are computed on a clock without zone and put into the zone afterwards. Rejected: cronsim's own rules for time zones;
they differ between `0 *` and `0 2`, and nobody could say when a window opens on the last Sunday of March.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import assert_never
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from modelrelease.domain.train import DAY_MINUTES, EVERY_DAY, Cron, Weekday, Weekly, Window

LOOK_AHEAD_DAYS = 16
"""How far a weekly window is looked for: two weeks, because the clock can skip a short one altogether."""

MOST_SHIFT = timedelta(hours=3)
"""More than any clock is put back at once: so far the order of wall times and of instants can differ."""

MOST_SKIPPED = timedelta(hours=25)
"""More than any clock skips: islands that changed the side of the date line skipped a day."""

_FIELDS = 5


class WindowError(ValueError):
    """A window that cannot be computed; the text says what is wrong and what to write instead."""


def check(window: Window, now: datetime) -> None:
    """Raise WindowError where a window's zone or expression is wrong, or where it would never open after `now`."""
    _zone(window.zone)
    if isinstance(window, Cron):
        if next_opening(window, now) is None:
            raise WindowError(f"{window.expression!r} never starts: name a day that its months have")
        if window.duration_s <= 0:
            raise WindowError("a window needs a duration of at least one minute")


def is_open(window: Window, at: datetime) -> bool:
    """Whether the window is open at `at`."""
    match window:
        case Weekly():
            return _shown(window, at)
        case Cron():
            start = _last_start(window, at)
            return start is not None and at < start + timedelta(seconds=window.duration_s)
        case _:
            assert_never(window)


def next_opening(window: Window, at: datetime) -> datetime | None:
    """The first time from `at` on at which the window is open; `at` itself when it is. None: never."""
    if is_open(window, at):
        return at
    match window:
        case Weekly():
            return next((moment for moment in _changes(window, at) if _shown(window, moment)), None)
        case Cron():
            return next((start for start in _starts(window, at - MOST_SHIFT) if start > at), None)
        case _:
            assert_never(window)


def closing(window: Window, at: datetime) -> datetime | None:
    """The first time from `at` on at which the window is not open; None: not within the next two weeks.

    Only for a window that is open at `at`.
    """
    match window:
        case Weekly():
            return next((moment for moment in _changes(window, at) if not _shown(window, moment)), None)
        case Cron():
            return _cron_end(window, at)
        case _:
            assert_never(window)


def _shown(window: Weekly, at: datetime) -> bool:
    """Whether the clock on the wall shows a time of the window."""
    local = at.astimezone(_zone(window.zone))
    minute = local.hour * 60 + local.minute
    today = EVERY_DAY[local.weekday()] in window.days
    if window.start < window.end:
        return today and window.start <= minute < window.end
    return (today and minute >= window.start) or (_yesterday(local) in window.days and minute < window.end)


def _yesterday(local: datetime) -> Weekday:
    return EVERY_DAY[local.weekday() - 1]


def _changes(window: Weekly, after: datetime) -> list[datetime]:
    """All times after `after` at which the window may open or close: its times of day, midnight, a shifted clock."""
    zone, found = _zone(window.zone), set[datetime]()
    first = after.astimezone(zone).date() - timedelta(days=1)
    for number in range(LOOK_AHEAD_DAYS + 2):
        day = first + timedelta(days=number)
        for minute in (0, window.start % DAY_MINUTES, window.end % DAY_MINUTES):
            for fold in (0, 1):
                wall = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=zone, fold=fold)
                found.add(wall.astimezone(UTC))
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        found.update(_shifts(zone, noon, noon + timedelta(days=1)))
    return sorted(moment for moment in found if moment > after)


def _shifts(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """The time in (start, end] at which the zone's clock is put forward or back, where there is one."""
    before = start.astimezone(zone).utcoffset()
    if end.astimezone(zone).utcoffset() == before:
        return
    low, high = 0, int((end - start).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if (start + timedelta(seconds=middle)).astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    yield start + timedelta(seconds=high)


def _starts(window: Cron, after: datetime) -> Iterator[datetime]:
    """The starts of a cron window that come after the wall time of `after`, in order."""
    zone = _zone(window.zone)
    wall = after.astimezone(zone).replace(tzinfo=None)
    for moment in _sim(window.expression, wall):
        yield _instant(moment, zone)


def _last_start(window: Cron, at: datetime) -> datetime | None:
    zone = _zone(window.zone)
    wall = (at + MOST_SHIFT).astimezone(zone).replace(tzinfo=None) + timedelta(minutes=1)
    starts = (_instant(moment, zone) for moment in _sim(window.expression, wall, reverse=True))
    return next((start for start in starts if start <= at), None)


def _cron_end(window: Cron, at: datetime) -> datetime | None:
    """The end of the last of the overlapping windows that begin with the one that is open at `at`."""
    length, limit = timedelta(seconds=window.duration_s), at + timedelta(days=LOOK_AHEAD_DAYS)
    end = at
    while end <= limit:
        start = _last_start(window, end)
        if start is None or start + length <= end:
            return end
        end = start + length
    return None


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which the zone's clock shows `wall`, or at which it jumps over it."""
    moment = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == wall:
        return moment
    return next(_shifts(zone, moment - MOST_SKIPPED, moment), moment)


def _sim(expression: str, wall: datetime, *, reverse: bool = False) -> CronSim:
    if len(expression.split()) != _FIELDS:
        raise WindowError(
            f"{expression!r} is no cron expression of five fields (minute, hour, day, month, weekday), such as "
            '"0 9 1 * *"'
        )
    try:
        return CronSim(expression, wall, reverse=reverse)
    except CronSimError as error:
        raise WindowError(f"{expression!r} is no cron expression: {str(error).lower()}") from error


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise WindowError(
            f"there is no time zone {name!r}: write a name of the IANA database, such as Europe/Paris or UTC"
        ) from error
