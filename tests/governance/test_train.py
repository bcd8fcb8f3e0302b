"""The train as a whole: schedules together, freezes, what an edit may narrow, and what people are told."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelrelease.domain.train import Cron, Freeze, Schedule, Train, Weekday, Weekly
from modelrelease.governance.train import closed, closes, merged, narrows, opening
from modelrelease.governance.windows import is_open

HOUR = timedelta(hours=1)
OFFICE = Weekly("Europe/Paris", tuple(Weekday)[:5], 9 * 60, 17 * 60)
MONTHLY = Cron("0 6 1 * *", 12 * 3600)
BASE = datetime(2026, 11, 16, tzinfo=UTC)  # a Monday


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def freeze(since: datetime, until: datetime, reason: str = "peak") -> Freeze:
    return Freeze(since.isoformat().replace("+00:00", "Z"), until.isoformat().replace("+00:00", "Z"), reason, "peak")


windows = st.one_of(
    st.builds(
        Weekly,
        st.sampled_from(["UTC", "Europe/Paris", "America/New_York"]),
        st.sets(st.sampled_from(Weekday), min_size=1).map(lambda days: tuple(day for day in Weekday if day in days)),
        st.sampled_from([0, 540, 1320]),
        st.sampled_from([360, 1020, 1440]),
    ),
    st.builds(Cron, st.sampled_from(["0 9 * * *", "30 22 * * 5", "0 6 16,20 * *"]), st.sampled_from([3600, 14 * 3600])),
)
schedules = st.builds(Schedule, st.lists(windows, min_size=1, max_size=2).map(tuple), st.sampled_from(["a", "b"]))
freezes = st.builds(
    lambda start, length: freeze(BASE + start * HOUR, BASE + (start + length) * HOUR),
    st.integers(-24, 24 * 8),
    st.integers(1, 60),
)
trains = st.builds(Train, st.lists(schedules, max_size=2).map(tuple), st.lists(freezes, max_size=2).map(tuple))
hours = st.integers(0, 24 * 7).map(lambda number: BASE + number * HOUR)


def is_shut(train: Train, at: datetime) -> bool:
    """By each part of the train, without looking ahead."""
    frozen = any(utc(each.since[:-1]) <= at < utc(each.until[:-1]) for each in train.freezes)
    return frozen or not all(any(is_open(window, at) for window in each.windows) for each in train.schedules)


@settings(max_examples=150, deadline=None)
@given(trains, hours)
def test_the_next_opening_is_the_first_open_minute(train: Train, now: datetime) -> None:
    said = closed(train, now)
    assert (said is not None) == is_shut(train, now)
    ahead = (now + number * timedelta(minutes=30) for number in range(2 * 24 * 8))
    first = next((moment for moment in ahead if not is_shut(train, moment)), None)
    found = opening(train, now)
    assert found == first if first else found is None or found > now + 7 * 24 * HOUR
    if said is not None:
        assert said.opens_at == found
    else:
        end = closes(train, now)
        until = (now + number * timedelta(minutes=30) for number in range(2 * 24 * 8))
        assert (
            end == next((moment for moment in until if is_shut(train, moment)), None)
            or end is None
            or end > now + 7 * 24 * HOUR
        )


@settings(max_examples=150, deadline=None)
@given(trains, trains, hours)
def test_together_they_are_never_more_open_than_one_alone(one: Train, other: Train, now: datetime) -> None:
    both = merged(one, other)
    assert is_shut(both, now) == (is_shut(one, now) or is_shut(other, now))
    assert narrows(both, one, BASE) and narrows(both, other, BASE)


@settings(max_examples=150, deadline=None)
@given(trains, trains, hours)
def test_what_narrows_is_never_more_open(new: Train, old: Train, now: datetime) -> None:
    if narrows(new, old, now) and is_shut(old, now):
        assert is_shut(new, now)


def test_a_freeze_that_is_over_may_be_removed() -> None:
    past, coming = freeze(BASE, BASE + HOUR), freeze(BASE + 9 * HOUR, BASE + 10 * HOUR)
    now = BASE + 5 * HOUR
    assert narrows(Train((), (coming,)), Train((), (past, coming)), now)
    assert not narrows(Train((), (past,)), Train((), (past, coming)), now)
    assert not narrows(Train((), (freeze(BASE + 9 * HOUR, BASE + 9.5 * HOUR),)), Train((), (coming,)), now)
    assert narrows(Train((), (freeze(BASE + 8 * HOUR, BASE + 12 * HOUR),)), Train((), (coming,)), now)


def test_windows_taken_away_narrow_and_windows_added_do_not() -> None:
    both, one = Train((Schedule((OFFICE, MONTHLY)),)), Train((Schedule((OFFICE,)),))
    assert narrows(one, both, BASE) and not narrows(both, one, BASE)
    assert narrows(one, Train(), BASE) and not narrows(Train(), one, BASE)


def test_a_release_and_its_tier_must_both_be_open() -> None:
    train = merged(Train((Schedule((OFFICE,)),)), Train((Schedule((MONTHLY,), "ReleasePolicy standard, tier High"),)))
    said = closed(train, utc("2026-11-16T10:00"))
    assert said is not None
    assert said.opens_at == utc("2026-12-01T08:00")
    assert said.message == (
        "outside the release windows of ReleasePolicy standard, tier High: raises go on Tue 2026-12-01 09:00 "
        "Europe/Paris (2026-12-01T08:00Z)"
    )
    assert closes(train, utc("2026-12-01T08:00")) == utc("2026-12-01T16:00")


def test_a_freeze_is_told_with_its_reason_and_the_first_window_after_it() -> None:
    train = Train((Schedule((OFFICE,)),), (freeze(utc("2026-11-18T12:00"), utc("2026-11-20T20:00"), "Black Friday"),))
    said = closed(train, utc("2026-11-19T09:00"))
    assert said is not None and said.reason == "Frozen"
    assert said.message == (
        "freeze peak of spec.train (Black Friday): raises go on Mon 2026-11-23 09:00 Europe/Paris (2026-11-23T08:00Z)"
    )
    assert closes(train, utc("2026-11-18T09:00")) == utc("2026-11-18T12:00")


def test_schedules_that_never_meet_are_told() -> None:
    apart = Train((Schedule((Weekly("UTC", start=60, end=120),)), Schedule((Weekly("UTC", start=180, end=240),), "b")))
    said = closed(apart, BASE)
    assert said is not None and said.opens_at is None
    assert "no window opens within 400 days" in said.message


@pytest.mark.parametrize(
    "train",
    [
        Train((Schedule((Weekly("Nowhere/Else"),)),)),
        Train((Schedule((Cron("x", 60),)),)),
        Train((), (Freeze("soon", "later", "?"),)),
        Train((Schedule(()),)),
    ],
)
def test_what_cannot_be_computed_is_closed(train: Train) -> None:
    said = closed(train, BASE)
    assert said is not None and said.opens_at is None


def test_a_train_without_anything_is_always_open() -> None:
    assert closed(Train(), BASE) is None
    assert closes(Train(), BASE) is None
    assert opening(Train(), BASE) == BASE
