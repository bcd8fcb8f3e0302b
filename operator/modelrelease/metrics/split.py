"""Requests that each arm really got since the stage began, from the rounds of the request counters."""

from collections import deque
from collections.abc import Iterable

from modelrelease.domain.evidence import SplitCount
from modelrelease.domain.exposure import REST
from modelrelease.metrics.tracker import Found

KEPT_ROUNDS = 4096


class SplitLog:
    """Adds up rounds from `stage_since_s` on; keeps the latest ones, so that the stage may move on.

    A round that reaches back before the stage is left out on both sides: part of it was sent under the old weight.
    A stage that begins before the kept rounds is counted from the oldest kept one, which only delays it.
    """

    def __init__(self, stage_since_s: float) -> None:
        self._since_s = stage_since_s
        self._rounds: deque[Found] = deque(maxlen=KEPT_ROUNDS)
        self._counts: dict[str, tuple[float, float]] = {}

    def add(self, found: Iterable[Found]) -> None:
        """Take new rounds."""
        for one in found:
            self._rounds.append(one)
            self._count(one)

    def begin(self, stage_since_s: float) -> None:
        """Count from another moment."""
        if stage_since_s == self._since_s:
            return
        self._since_s = stage_since_s
        self._counts = {}
        for one in self._rounds:
            self._count(one)

    def counts(self) -> tuple[SplitCount, ...]:
        """Requests per segment and arm."""
        return tuple(SplitCount(segment, *both) for segment, both in self._counts.items())

    def samples(self) -> int:
        """The candidate's requests in all segments."""
        return round(sum(candidate for candidate, _ in self._counts.values()))

    def after(self, since_s: float) -> tuple[float, float]:
        """Requests of both arms, candidate first, in the kept rounds that began at or after a moment."""
        both = [0.0, 0.0]
        for found in reversed(self._rounds):
            if found.round.end_s <= since_s:
                break
            if found.round.start_s >= since_s:
                both[0] += found.round.candidate.total
                both[1] += found.round.stable.total
        return both[0], both[1]

    def _count(self, found: Found) -> None:
        if found.round.oldest_s < self._since_s:
            return
        segment = found.segment if found.segment is not None else REST
        candidate, stable = self._counts.get(segment, (0.0, 0.0))
        self._counts[segment] = (candidate + found.round.candidate.total, stable + found.round.stable.total)
