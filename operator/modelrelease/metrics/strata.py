"""Closed rounds to the strata of evidence, and fewer of them where there are too many."""

from collections.abc import Sequence
from datetime import UTC, datetime

from modelrelease.domain.evidence import Stratum
from modelrelease.metrics.tracker import Found

MAX_STRATA = 500


def strata(found: Sequence[Found], *, every_round: bool = False) -> tuple[Stratum, ...]:
    """One stratum per round, in order.

    Beyond MAX_STRATA neighbours of one segment are merged, except with `every_round`.
    """
    if every_round or len(found) <= MAX_STRATA:
        return tuple(map(_stratum, found))
    by_segment: dict[str | None, list[Stratum]] = {}
    for one in found:
        by_segment.setdefault(one.segment, []).append(_stratum(one))
    room = max(1, MAX_STRATA // len(by_segment))
    return tuple(stratum for each in by_segment.values() for stratum in merged(each, room))


def merged(all_of: Sequence[Stratum], room: int) -> list[Stratum]:
    """At most `room` strata from neighbours of one segment; the sums stay, windows grow equally in number of strata."""
    size = -(-len(all_of) // room)
    return [_together(all_of[start : start + size]) for start in range(0, len(all_of), size)]


def _together(some: Sequence[Stratum]) -> Stratum:
    candidate, stable = some[0].candidate, some[0].stable
    for stratum in some[1:]:
        candidate, stable = candidate + stratum.candidate, stable + stratum.stable
    return Stratum(some[0].start, some[-1].end, candidate, stable, some[0].segment)


def _stratum(found: Found) -> Stratum:
    closed = found.round
    start, end = (datetime.fromtimestamp(at_s, UTC) for at_s in (closed.start_s, closed.end_s))
    return Stratum(start, end, closed.candidate, closed.stable, found.segment)
