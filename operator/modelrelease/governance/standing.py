"""Which evidence counts for a unit now, and why the rest does not: another unit, too old, another version of the suite.

Evidence of a unit stays what it is, but the world moves on: `expires_at` is its producer's word, `max_age_s` the
release's. The younger of the producer's and the API server's time is never believed: age counts from the older.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from modelrelease.domain.entry import Entry, Lack
from modelrelease.domain.offline import OfflineEvidence, Suite

CLOCK_SKEW = timedelta(minutes=5)
"""How far in the future a producer's clock may be."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A unit that evidence is about. `suite`: the evaluation set that the unit itself names, where it names one."""

    digest: str
    version: str
    suite: Suite | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """The evidence of one unit: what counts, and what does not with the reason."""

    current: tuple[OfflineEvidence, ...] = ()
    aside: tuple[tuple[OfflineEvidence, Lack, str], ...] = ()


def standing(
    entry: Entry, evidence: Iterable[OfflineEvidence], *, subject: Subject, now: datetime, doubts: Mapping[str, str]
) -> Standing:
    """Sort the evidence of a unit; evidence of other units is left out. `doubts`: why some does not count, by UID."""
    current, aside = [], []
    for found in sorted(evidence, key=lambda each: (each.produced_at, each.uid)):
        if found.unit_digest != subject.digest:
            continue
        why = _doubtful(found, doubts) or _why_not(entry, found, subject=subject, now=now)
        if why is None:
            current.append(found)
        else:
            aside.append((found, *why))
    return Standing(tuple(current), tuple(aside))


def _doubtful(found: OfflineEvidence, doubts: Mapping[str, str]) -> tuple[Lack, str] | None:
    if found.uid not in doubts:
        return None
    return Lack.UNCONFIRMED, f"ReleaseEvidence {found.name} by {found.producer} does not count: {doubts[found.uid]}"


def _why_not(entry: Entry, found: OfflineEvidence, *, subject: Subject, now: datetime) -> tuple[Lack, str] | None:
    name = f"ReleaseEvidence {found.name}"
    named = subject.suite
    if found.expires_at is not None and now >= found.expires_at:
        return Lack.EXPIRED, f"{name} expired at {_time(found.expires_at)}: measure again and submit the results"
    if found.produced_at > now + CLOCK_SKEW:
        return Lack.INCOMPLETE, f"{name} was produced in the future, at {_time(found.produced_at)}: correct the clock"
    if entry.max_age_s is not None:
        until = min(found.produced_at, found.created_at) + timedelta(seconds=entry.max_age_s)
        if now >= until:
            return Lack.EXPIRED, f"{name} has been too old since {_time(until)}: measure again and submit the results"
    if named is not None and named.name == found.suite.name and not _same_suite(named, found.suite):
        return Lack.INCOMPLETE, (
            f"{name} was measured with {_suite(found.suite)}, and the unit names {_suite(named)}: measure with that"
        )
    return None


def _same_suite(named: Suite, used: Suite) -> bool:
    same_version = not named.version or named.version == used.version
    return same_version and (not named.digest or named.digest == used.digest)


def _suite(suite: Suite) -> str:
    return " ".join(filter(None, (suite.name, suite.version, suite.digest)))


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
