"""Release windows against an oracle that looks at the clock on the wall minute by minute."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelrelease.domain.train import EVERY_DAY, Cron, Weekday, Weekly, Window
from modelrelease.governance.windows import WindowError, check, closing, is_open, next_opening

MINUTE = timedelta(minutes=1)

SHIFTS = {
    "Europe/Paris": ((2026, 3, 29), (2026, 10, 25)),
    "America/New_York": ((2026, 3, 8), (2026, 11, 1)),
    "Australia/Lord_Howe": ((2026, 4, 5), (2026, 10, 4)),  # half an hour
    "America/Santiago": ((2026, 4, 5), (2026, 9, 6)),  # at midnight: a day without 00:00, one with two
    "Africa/Casablanca": ((2026, 2, 15), (2026, 3, 22)),  # around Ramadan
    "Asia/Kolkata": ((2026, 3, 1), (2026, 10, 1)),  # never
    "Pacific/Apia": ((2011, 12, 30), (2011, 9, 24)),  # a day that was skipped
    "UTC": ((2028, 2, 29), (2026, 12, 31)),
}
"""Zones with days on which something happens to their clock."""


# ---- the oracle


def wall(moment: datetime, zone: str) -> datetime:
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def weekly_shows(window: Weekly, moment: datetime) -> bool:
    """What a person with a wall clock and the window on a piece of paper says."""
    local = wall(moment, window.zone)
    minute = local.hour * 60 + local.minute
    day, before = EVERY_DAY[local.weekday()], EVERY_DAY[(local.weekday() + 6) % 7]
    if window.end > window.start:
        return day in window.days and window.start <= minute < window.end
    return (day in window.days and minute >= window.start) or (before in window.days and minute < window.end)


def matches(expression: str, local: datetime) -> bool:
    """A cron expression of numbers, lists and stars on a wall time; the weekday counts from Sunday, 0."""
    minute, hour, day, month, weekday = (
        None if field == "*" else {int(part) for part in field.split(",")} for field in expression.split()
    )
    shown = ((minute, local.minute), (hour, local.hour), (month, local.month))
    if any(wanted is not None and value not in wanted for wanted, value in shown):
        return False
    by_day = day is None or local.day in day
    by_weekday = weekday is None or (local.isoweekday() % 7) in weekday
    return by_day and by_weekday if day is None or weekday is None else by_day or by_weekday


@cache
def starts(expression: str, zone: str, first: datetime, last: datetime) -> tuple[datetime, ...]:
    """Every start between two times: each wall minute that is shown or skipped, the first time that it is."""
    found: list[datetime] = []
    latest = wall(first - MINUTE, zone)
    moment = first
    while moment <= last:
        shown = wall(moment, zone)
        passed = latest + MINUTE
        while passed <= shown:  # more than one where the clock jumps, none while it shows an hour again
            if matches(expression, passed):
                found.append(moment)
            passed += MINUTE
        latest = max(latest, shown)
        moment += MINUTE
    return tuple(found)


def shows(window: Window, moment: datetime) -> bool:
    if isinstance(window, Weekly):
        return weekly_shows(window, moment)
    length = timedelta(seconds=window.duration_s)
    day = moment.replace(hour=0, minute=0)
    known = starts(window.expression, window.zone, day - timedelta(days=3), day + timedelta(days=2))
    return any(start <= moment < start + length for start in known)


def minutes(first: datetime, count: int) -> Iterator[datetime]:
    return (first + number * MINUTE for number in range(count))


# ---- what is tried

zones = st.sampled_from(sorted(SHIFTS))
times_of_day = st.one_of(st.integers(0, 1439), st.sampled_from([0, 60, 90, 120, 150, 180, 1410]))
day_sets = st.one_of(st.just(EVERY_DAY), st.sets(st.sampled_from(EVERY_DAY), min_size=1).map(
    lambda chosen: tuple(day for day in EVERY_DAY if day in chosen)
))  # fmt: skip


@st.composite
def weeklies(draw: st.DrawFn) -> Weekly:
    start, end = draw(times_of_day), draw(st.one_of(times_of_day, st.just(1440)))
    return Weekly(draw(zones), draw(day_sets), start, end if end != start else 1440)


@st.composite
def crons(draw: st.DrawFn) -> Cron:
    def field(low: int, high: int) -> str:
        chosen = draw(st.one_of(st.none(), st.sets(st.integers(low, high), min_size=1, max_size=3)))
        return "*" if chosen is None else ",".join(map(str, sorted(chosen)))

    minute = draw(st.sampled_from(["0", "30", "0,30", "15"]))
    hour = draw(st.sampled_from(["0", "1", "2", "2,3", "*", "23"]))
    length = draw(st.sampled_from([60, 1800, 3600, 5400, 14400, 86400, 2 * 86400]))
    return Cron(f"{minute} {hour} {field(1, 31)} {field(1, 12)} {field(0, 6)}", length, draw(zones))


@st.composite
def moments(draw: st.DrawFn, zone: str) -> datetime:
    """A minute near one of the zone's days of change, or anywhere in a year."""
    year, month, day = draw(st.sampled_from(SHIFTS[zone]))
    near = datetime(year, month, day, tzinfo=UTC) + timedelta(minutes=draw(st.integers(-2000, 2500)))
    anywhere = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=draw(st.integers(0, 525_600)))
    return draw(st.sampled_from([near, near, anywhere]))


# ---- the properties


@settings(max_examples=120, deadline=None)
@given(st.data(), weeklies())
def test_a_weekly_window_is_open_when_the_clock_on_the_wall_says_so(data: st.DataObject, window: Weekly) -> None:
    moment = data.draw(moments(window.zone))
    _agrees(window, moment)


@settings(max_examples=60, deadline=None)
@given(st.data(), crons())
def test_a_cron_window_is_open_after_each_start_that_the_clock_shows_or_skips(
    data: st.DataObject, window: Cron
) -> None:
    moment = data.draw(moments(window.zone))
    _agrees(window, moment)


def _agrees(window: Window, moment: datetime) -> None:
    """What is said of a minute, and of the next change after it, is what the oracle finds minute by minute."""
    opened = shows(window, moment)
    assert is_open(window, moment) == opened
    assert is_open(window, moment + timedelta(seconds=59, microseconds=999)) == opened
    found = next((each for each in minutes(moment, 1500) if shows(window, each) != opened), None)
    if opened:
        said = closing(window, moment)
        assert said == found if found else said is None or said > moment + 1499 * MINUTE
    else:
        said = next_opening(window, moment)
        assert said == found if found else said is None or said > moment + 1499 * MINUTE


@settings(max_examples=60, deadline=None)
@given(st.data(), st.one_of(weeklies(), crons()))
def test_it_is_open_at_its_next_opening_and_not_just_before(data: st.DataObject, window: Window) -> None:
    moment = data.draw(moments(window.zone))
    said = next_opening(window, moment)
    if said is None:
        return
    assert said >= moment
    assert is_open(window, said)
    assert said == moment or not is_open(window, said - timedelta(microseconds=1))


# ---- cases that people ask about


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_office_hours_move_with_daylight_saving() -> None:
    office = Weekly("Europe/Paris", EVERY_DAY, 9 * 60, 17 * 60)
    assert next_opening(office, utc("2026-03-28T20:00")) == utc("2026-03-29T07:00")
    assert next_opening(office, utc("2026-03-27T20:00")) == utc("2026-03-28T08:00")


def test_a_window_that_begins_in_the_skipped_hour_opens_when_the_clock_jumps() -> None:
    early = Weekly("Europe/Paris", (Weekday.SUNDAY,), 2 * 60 + 30, 5 * 60)
    assert next_opening(early, utc("2026-03-28T12:00")) == utc("2026-03-29T01:00")
    assert closing(early, utc("2026-03-29T01:00")) == utc("2026-03-29T03:00")


def test_a_window_within_the_skipped_hour_does_not_open_that_day() -> None:
    short = Weekly("America/New_York", (Weekday.SUNDAY,), 2 * 60, 2 * 60 + 45)
    assert next_opening(short, utc("2026-03-08T01:00")) == utc("2026-03-15T06:00")


def test_a_window_in_the_doubled_hour_opens_twice() -> None:
    short = Weekly("America/New_York", (Weekday.SUNDAY,), 60, 90)
    assert next_opening(short, utc("2026-11-01T00:00")) == utc("2026-11-01T05:00")
    assert closing(short, utc("2026-11-01T05:00")) == utc("2026-11-01T05:30")
    assert next_opening(short, utc("2026-11-01T05:30")) == utc("2026-11-01T06:00")


def test_a_cron_start_in_the_doubled_hour_counts_once_and_a_skipped_one_when_the_clock_jumps() -> None:
    nightly = Cron("30 2 * * *", 1800, "Europe/Paris")
    assert next_opening(nightly, utc("2026-03-28T12:00")) == utc("2026-03-29T01:00")
    assert next_opening(nightly, utc("2026-10-24T12:00")) == utc("2026-10-25T00:30")
    assert next_opening(nightly, utc("2026-10-25T01:00")) == utc("2026-10-26T01:30")


def test_month_ends() -> None:
    last_day = Cron("0 22 L * *", 4 * 3600, "Europe/Paris")
    assert next_opening(last_day, utc("2026-02-02T00:00")) == utc("2026-02-28T21:00")
    assert next_opening(last_day, utc("2028-02-02T00:00")) == utc("2028-02-29T21:00")
    assert closing(last_day, utc("2026-02-28T21:00")) == utc("2026-03-01T01:00")
    thirty_first = Cron("0 9 31 * *", 3600)
    assert next_opening(thirty_first, utc("2026-03-31T10:00")) == utc("2026-05-31T09:00")
    first_monday = Cron("0 9 * * MON#1", 3600)
    assert next_opening(first_monday, utc("2026-11-03T00:00")) == utc("2026-12-07T09:00")


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_starts() -> None:
    night = Weekly("UTC", (Weekday.FRIDAY,), 22 * 60, 6 * 60)
    assert is_open(night, utc("2026-11-21T05:59"))  # Saturday morning
    assert not is_open(night, utc("2026-11-21T06:00"))
    assert not is_open(night, utc("2026-11-20T05:00"))  # Friday morning


def test_windows_without_a_gap_have_no_end() -> None:
    assert closing(Weekly(), utc("2026-11-21T12:00")) is None
    assert closing(Cron("0 * * * *", 3600), utc("2026-11-21T12:30")) is None


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (Weekly("Europe/Pariss"), "there is no time zone 'Europe/Pariss'"),
        (Weekly("../../etc/passwd"), "there is no time zone"),
        (Cron("0 9 30 2 *", 60), "cron expression"),
        (Cron("61 9 * * *", 60), "bad minute"),
        (Cron("0 9 * *", 60), "five fields"),
        (Cron("0 0 9 * * *", 60), "five fields"),
        (Cron("0 9 31 2,4 MON#5", 60, "UTC"), ""),
        (Cron("0 9 * * *", 0), "duration"),
    ],
)
def test_what_cannot_be_computed_is_told(window: Window, message: str) -> None:
    if not message:
        check(window, utc("2026-01-01T00:00"))
        return
    with pytest.raises(WindowError, match=message):
        check(window, utc("2026-01-01T00:00"))
