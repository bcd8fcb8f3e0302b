"""Text that people write to numbers and back: percents, durations, times. Pure, and exact in both directions.

Fractions are decimal strings on the wire, because a float has no one spelling and an int-or-string refuses 0.5.
Rejected: Python's `fromisoformat` alone for times; it accepts dates without a time and times without a zone.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal

DURATION_PATTERN = r"^([0-9]{1,6}(h|m|s)){1,3}$"
PERCENT_PATTERN = r"^(100([.]0)?|[0-9]{1,2}([.][0-9])?)$"
DECIMAL_PATTERN = r"^-?[0-9]{1,9}([.][0-9]{1,9})?$"

_SECONDS = {"h": 3600, "m": 60, "s": 1}
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$")


def permille_of(percent: str) -> int:
    """Parts per thousand of a percent such as "5" or "0.5"; ValueError says what to write instead."""
    if not re.fullmatch(PERCENT_PATTERN, percent):
        raise ValueError(
            f'{percent!r} is not a percent from "0" to "100" with at most one decimal, such as "5" or "0.5"'
        )
    return int(Decimal(percent) * 10)


def percent_of(permille: int) -> str:
    """The percent text of parts per thousand, without the sign: 5 → "0.5", 200 → "20"."""
    whole, tenth = divmod(permille, 10)
    return f"{whole}.{tenth}" if tenth else str(whole)


def seconds_of(duration: str) -> int:
    """Seconds of a duration such as "90s", "10m" or "1h30m"; ValueError says what to write instead."""
    if not re.fullmatch(DURATION_PATTERN, duration):
        raise ValueError(f'{duration!r} is not a duration such as "90s", "10m" or "1h30m"')
    return sum(int(count) * _SECONDS[unit] for count, unit in re.findall(r"([0-9]+)([hms])", duration))


def duration_of(seconds: int) -> str:
    """The shortest duration text: 5400 → "1h30m", 0 → "0s"."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{count}{unit}" for count, unit in ((hours, "h"), (minutes, "m"), (left, "s")) if count]
    return "".join(parts) or "0s"


def time_text(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds, so that no time is lost or rounded on the way through a status."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone cannot be written down")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def time_of(text: str) -> datetime:
    """The UTC time of an RFC 3339 text with a zone; ValueError otherwise, also outside the years 1 to 9999 in UTC."""
    if not _TIME.fullmatch(text):
        raise ValueError(f"{text!r} is not a time such as 2026-11-21T08:00:00Z")
    try:
        return datetime.fromisoformat(_microseconds(text)).astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} lies outside the years 1 to 9999 in UTC") from None


def _microseconds(text: str) -> str:
    return re.sub(r"(\.\d{6})\d+", r"\1", text)
