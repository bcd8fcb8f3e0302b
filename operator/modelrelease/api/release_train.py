"""`spec.train` of a ModelRelease: the release windows in which exposure may rise, and the freezes in which it may not.

Whether a zone exists and whether a cron expression ever starts only the operator can tell: `convert_train`.
"""

from typing import Annotated

from pydantic import ConfigDict, Field

from modelrelease.api.base import Duration, Matches, Name, SpecModel, Time, atomic, rule, rules
from modelrelease.domain.train import Weekday

MAX_WINDOWS = 16
MAX_FREEZES = 32

ZoneName = Annotated[
    str,
    Field(min_length=1, max_length=64),
    Matches(
        "^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$",
        "write a time zone of the IANA database, such as Europe/Paris, or UTC; no offset",
    ),
]
"""A time zone by name."""

TimeOfDay = Annotated[
    str,
    Field(max_length=16),
    Matches("^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", 'write a time of day in quotes, such as "09:00" or "17:30"'),
]
"""A time that the clock on the wall shows."""

CronText = Annotated[
    str,
    Field(min_length=9, max_length=128),
    Matches(
        "^[0-9A-Za-z*/,#-]+( +[0-9A-Za-z*/,#-]+){4}$",
        'write five fields: minute, hour, day of the month, month, day of the week, such as "0 9 1 * *"',
    ),
]
"""A cron expression of five fields."""


class WindowSpec(SpecModel):
    """A time in which exposure may rise: times of day on days of the week, or a length of time from each cron start."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.cron) != (has(self.days) || has(self.from) || has(self.to))",
                "write either days with from and to, or cron with duration: one of the two, not both and not neither",
            ),
            rule(
                "has(self.cron) == has(self.duration)",
                "cron says when a window starts and duration how long it is open: write both, or neither",
                field=".duration",
            ),
            rule(
                "!has(self.from) || !has(self.to) || self.from != self.to",
                "from and to are the same time: leave both out for whole days, or correct one",
                field=".to",
            ),
        )
    )

    time_zone: ZoneName = Field("UTC", description="Time zone by its IANA name, such as Europe/Paris. Default UTC.")
    days: (
        Annotated[list[Weekday], Field(min_length=1, max_length=7, json_schema_extra={"x-kubernetes-list-type": "set"})]
        | None
    ) = Field(None, description="Days on which the window starts. Every day when left out.")
    from_: TimeOfDay | None = Field(
        None,
        alias="from",
        description='First minute of the window by the clock on the wall, such as "09:00". Default "00:00".',
    )
    to: TimeOfDay | None = Field(
        None,
        description='First minute after the window, such as "17:00". Default "24:00". One before from is on the next '
        "day.",
    )
    cron: CronText | None = Field(
        None,
        description="Cron expression of five fields: when the window starts. Days may be L (the last of the month) and "
        "Mon#1 (the first Monday). A start that a clock skips is when it jumps.",
    )
    duration: Duration | None = Field(
        None, description="With cron: how long the window is open from each start, 1m to 168h."
    )


class FreezeSpec(SpecModel):
    """A time in which nothing is raised, whatever the windows say."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("self.from < self.until", "until is not after from: swap or correct them", field=".until")
        )
    )

    name: Name | None = Field(None, description="Name of the freeze, for messages.")
    from_: Time = Field(alias="from", description="When the freeze begins, such as 2026-12-18T17:00:00+01:00.")
    until: Time = Field(description="When the freeze ends.")
    reason: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        description="Why, for whoever has to wait: 1 to 256 characters."
    )


class TrainSpec(SpecModel):
    """When exposure may rise. Reverts never wait for it."""

    windows: (
        Annotated[list[WindowSpec], Field(min_length=1, max_length=MAX_WINDOWS, json_schema_extra=atomic())] | None
    ) = Field(
        None,
        description="Windows, at most 16; the train is open while any of them is. Left out: always open.",
    )
    freezes: Annotated[list[FreezeSpec], Field(max_length=MAX_FREEZES, json_schema_extra=atomic())] | None = Field(
        None, description="Freezes, at most 32; they close every window."
    )
