"""The release train at a time: may exposure rise, why not, when again. A release can only narrow what its tier says.

What cannot be computed is closed. Overrides are not known here: they are decisions of people (`engine.train`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from modelrelease.domain.train import Freeze, Schedule, Train
from modelrelease.governance.windows import WindowError, closing, is_open, next_opening

OUTSIDE, FROZEN = "OutsideWindow", "Frozen"

LOOK_AHEAD = timedelta(days=400)
"""How far the next opening is looked for; a train that does not open within it counts as never opening."""

_MOST_JUMPS = 2000


@dataclass(frozen=True, slots=True)
class Closed:
    """Why exposure may not rise now: a reason for conditions, a sentence, and when it opens (None: nobody knows)."""

    reason: str
    message: str
    opens_at: datetime | None


def closed(train: Train, now: datetime) -> Closed | None:
    """Why nothing may be raised at `now`, None when the train is open."""
    if train.unlimited:
        return None
    try:
        freeze = _freeze_at(train, now)
        shut = next((schedule for schedule in train.schedules if not _open(schedule, now)), None)
        if freeze is None and shut is None:
            return None
        opens = opening(train, now)
    except WindowError as error:
        return Closed(OUTSIDE, f"the release train cannot be computed and counts as closed: {error}", None)
    when = f"raises go on {words(train, opens)}" if opens else "no window opens within 400 days"
    if freeze is not None:
        name = f"freeze {freeze.name}" if freeze.name else "a freeze"
        return Closed(FROZEN, f"{name} of {freeze.origin} ({freeze.reason}): {when}", opens)
    assert shut is not None
    return Closed(OUTSIDE, f"outside the release windows of {shut.origin}: {when}", opens)


def opening(train: Train, now: datetime) -> datetime | None:
    """The first time from `now` on at which the train is open; None: not within 400 days.

    Raises WindowError where a window cannot be computed.
    """
    known = _opening(train, now.replace(second=0, microsecond=0))
    return known if known is None or known >= now else _first_open(train, now)


def closes(train: Train, now: datetime) -> datetime | None:
    """When a train that is open at `now` closes; None: not within the next two weeks."""
    ends = [end for schedule in train.schedules if (end := _close(schedule, now))]
    ends += [start for freeze in train.freezes if (start := _time(freeze.since)) > now]
    first = min(ends, default=None)
    return first if first is not None and first - now <= timedelta(days=14) else None


def narrows(new: Train, old: Train, now: datetime) -> bool:
    """Whether `new` is open at most when `old` is (R7).

    It keeps each schedule, perhaps with fewer windows, and each freeze that is not over.
    """
    try:
        return all(any(_within(fresh, schedule) for fresh in new.schedules) for schedule in old.schedules) and all(
            any(_covers(fresh, freeze) for fresh in new.freezes) for freeze in old.freezes if _time(freeze.until) > now
        )
    except WindowError:
        return False


def merged(*trains: Train) -> Train:
    """All trains together: open only while each of them is."""
    schedules = dict.fromkeys(schedule for train in trains for schedule in train.schedules)
    return Train(tuple(schedules), tuple(dict.fromkeys(freeze for train in trains for freeze in train.freezes)))


def words(train: Train, moment: datetime) -> str:
    """A time for people: in the zone of the first window, and in UTC."""
    zone = next((window.zone for schedule in train.schedules for window in schedule.windows), "UTC")
    utc = moment.astimezone(UTC)
    if zone == "UTC":
        return f"{utc:%a %Y-%m-%d %H:%M} UTC"
    return f"{moment.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M} {zone} ({utc:%Y-%m-%dT%H:%MZ})"


@lru_cache(maxsize=4096)
def _opening(train: Train, minute: datetime) -> datetime | None:
    """Kept, because a release that waits is looked at every few seconds."""
    return _first_open(train, minute)


def _first_open(train: Train, now: datetime) -> datetime | None:
    moment = now
    for _ in range(_MOST_JUMPS):
        freeze = _freeze_at(train, moment)
        later = _time(freeze.until) if freeze else _all_open(train.schedules, moment)
        if later is None or later > now + LOOK_AHEAD:
            return None
        if later == moment:
            return moment
        moment = later
    return None


def _all_open(schedules: Iterable[Schedule], moment: datetime) -> datetime | None:
    """The latest of the next openings: before it one of the schedules is closed."""
    latest = moment
    for schedule in schedules:
        found = [opens for window in schedule.windows if (opens := next_opening(window, moment))]
        if not found:
            return None
        latest = max(latest, min(found))
    return latest


def _open(schedule: Schedule, at: datetime) -> bool:
    return any(is_open(window, at) for window in schedule.windows)


def _close(schedule: Schedule, now: datetime) -> datetime | None:
    """When the windows that hold this schedule open one after the other come to an end; None: not soon."""
    moment, limit = now, now + timedelta(days=14)
    while moment <= limit:
        ends = [closing(window, moment) for window in schedule.windows if is_open(window, moment)]
        if not ends:
            return moment
        if None in ends:
            return None
        moment = max(end for end in ends if end is not None)
    return None


def _freeze_at(train: Train, at: datetime) -> Freeze | None:
    """The freeze that holds at `at`, of several the one that holds longest."""
    holding = [freeze for freeze in train.freezes if _time(freeze.since) <= at < _time(freeze.until)]
    return max(holding, key=lambda freeze: _time(freeze.until), default=None)


def _within(new: Schedule, old: Schedule) -> bool:
    return set(new.windows) <= set(old.windows)


def _covers(new: Freeze, old: Freeze) -> bool:
    return _time(new.since) <= _time(old.since) and _time(old.until) <= _time(new.until)


@lru_cache(maxsize=1024)
def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise WindowError(f"{text!r} is no time: write one such as 2026-12-20T00:00:00Z") from error
    if moment.tzinfo is None:
        raise WindowError(f"{text!r} has no time zone: end it with Z or an offset")
    return moment.astimezone(UTC)
