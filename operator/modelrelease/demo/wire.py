"""What users saw, from the load generator's samples alone: plateaus of the candidate's share, errors, last answers.

Knows neither the status nor the plan, except for the list of percentages that a finished plateau is compared with.
Pure. Rejected: cutting the samples at the times that the status names; then the status would confirm itself.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from modelrelease.sandbox.load import UNSENT, Sample

BIN_S = 0.25
MIN_PLATEAU_S = 1.0
CHANGE_PENALTY = 10.0
"""How much the log-likelihood must gain before a further change of the share is believed."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Requests answered by anybody, and by the candidate, in the low-criticality segment and in the rest."""

    low: int = 0
    low_candidate: int = 0
    rest: int = 0
    rest_candidate: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.low + other.low,
            self.low_candidate + other.low_candidate,
            self.rest + other.rest,
            self.rest_candidate + other.rest_candidate,
        )

    def __sub__(self, other: Tally) -> Tally:
        return Tally(
            self.low - other.low,
            self.low_candidate - other.low_candidate,
            self.rest - other.rest,
            self.rest_candidate - other.rest_candidate,
        )

    @property
    def answered(self) -> int:
        return self.low + self.rest

    @property
    def candidate(self) -> int:
        return self.low_candidate + self.rest_candidate

    @property
    def low_only(self) -> bool:
        """The candidate answered low-criticality requests and no others, of which there were some."""
        return self.rest > 0 and self.rest_candidate == 0 and self.low_candidate > 0

    @property
    def percent(self) -> float:
        """The candidate's share: of the low-criticality requests when it got no others, else of all."""
        if self.low_only:
            return 100 * self.low_candidate / self.low
        return 100 * self.candidate / self.answered if self.answered else 0.0


@dataclass(frozen=True, slots=True)
class Quality:
    """Answers of one arm: all of them, the failed ones, and those that were given and wrong."""

    answered: int = 0
    errors: int = 0
    wrong: int = 0

    @property
    def wrong_percent(self) -> float:
        given = self.answered - self.errors
        return 100 * self.wrong / given if given else 0.0


@dataclass(frozen=True, slots=True)
class Plateau:
    """A stretch of time (seconds since the epoch) in which the candidate's share stayed the same."""

    start_s: float
    end_s: float
    tally: Tally


def tally(samples: Iterable[Sample], candidate: str) -> Tally:
    """Count the samples that a model server answered, with an error or not."""
    low = low_candidate = rest = rest_candidate = 0
    for sample in samples:
        if not sample.server:
            continue
        hit = sample.server == candidate
        if sample.segment:
            low, low_candidate = low + 1, low_candidate + hit
        else:
            rest, rest_candidate = rest + 1, rest_candidate + hit
    return Tally(low, low_candidate, rest, rest_candidate)


def plateaus(samples: Sequence[Sample], candidate: str) -> list[Plateau]:
    """Where the candidate's share was constant and above zero, in order of time.

    Begins after the candidate's first answer (weighted schedulers start a weight of 1 % with 99 others, so counting
    from before it would say too little). The cuts are the most likely ones (optimal partitioning of quarter seconds,
    Jackson et al. 2005); a quarter second is left out on both sides of a cut, and what then lasts less than
    MIN_PLATEAU_S is a passage and no plateau.
    """
    first = min((sample.sent_at_s for sample in samples if sample.server == candidate), default=None)
    if first is None:
        return []
    after = [sample for sample in samples if sample.server and sample.sent_at_s > first]
    bins = _bins(after, candidate, first)
    cuts = [0, *_cuts(bins), len(bins)]
    found = []
    for number, (begin, end) in enumerate(itertools.pairwise(cuts)):
        begin, end = begin + (number > 0), end - (end < len(bins))
        if (end - begin) * BIN_S < MIN_PLATEAU_S:
            continue
        counted = sum(bins[begin:end], Tally())
        if counted.candidate:
            found.append(Plateau(first + begin * BIN_S, first + end * BIN_S, counted))
    return _joined(found)


def tolerance(percent: float) -> float:
    """How far, in percent points, a realised share may lie from `percent` to be called that: a quarter of the smaller
    side, and at least 0.3."""
    return max(0.3, 0.25 * min(percent, 100 - percent))


def matched(realised: float, intended: Sequence[float]) -> float:
    """The nearest intended percentage when it is within its tolerance, else the realised one with one decimal."""
    nearest = min(intended, key=lambda percent: abs(percent - realised))
    return nearest if abs(nearest - realised) <= tolerance(nearest) else round(realised, 1)


def weights(found: Iterable[Plateau], intended: Sequence[float]) -> list[float]:
    """The percentages of the plateaus in order, without repetitions."""
    seen: list[float] = []
    for plateau in found:
        percent = matched(plateau.tally.percent, intended)
        if not seen or seen[-1] != percent:
            seen.append(percent)
    return seen


def failed(sample: Sample) -> bool:
    """Whether a user got an error: a 5xx, or no answer to a request that was sent."""
    return sample.status != UNSENT and (sample.answered_at_s is None or sample.status >= 500)


def quality(samples: Iterable[Sample], labels: Sequence[str], server: str = "", *, besides: str = "") -> Quality:
    """How well `server` answered ("": every server but `besides`); `labels` holds what each body shows."""
    answered = wrong = errors = 0
    for sample in samples:
        if not sample.server or sample.server == besides or (server and sample.server != server):
            continue
        answered += 1
        if failed(sample):
            errors += 1
        elif sample.answer != labels[sample.body]:
            wrong += 1
    return Quality(answered, errors, wrong)


def last_answer_s(samples: Iterable[Sample], server: str) -> float | None:
    """When the last answer of `server` arrived, None when there was none."""
    answers = (sample.answered_at_s for sample in samples if sample.server == server)
    return max((moment for moment in answers if moment is not None), default=None)


def _bins(samples: Sequence[Sample], candidate: str, start_s: float) -> list[Tally]:
    last = max((sample.sent_at_s for sample in samples), default=start_s)
    piles: list[list[Sample]] = [[] for _ in range(int((last - start_s) / BIN_S) + 1)]
    for sample in samples:
        piles[int((sample.sent_at_s - start_s) / BIN_S)].append(sample)
    return [tally(pile, candidate) for pile in piles]


def _cuts(bins: Sequence[Tally]) -> list[int]:
    """Where the share changes, as indices into `bins`."""
    sums = [Tally()]
    for each in bins:
        sums.append(sums[-1] + each)
    best = [0.0] + [math.inf] * len(bins)
    origin = [0] * (len(bins) + 1)
    for end in range(1, len(bins) + 1):
        for begin in range(end):
            cost = best[begin] + CHANGE_PENALTY + _surprise(sums[end] - sums[begin])
            if cost < best[end]:
                best[end], origin[end] = cost, begin
    cuts = []
    at = origin[len(bins)]
    while at > 0:
        cuts.append(at)
        at = origin[at]
    return cuts[::-1]


def _surprise(counted: Tally) -> float:
    """Minus the log-likelihood of one constant share per segment."""
    return _entropy(counted.low_candidate, counted.low) + _entropy(counted.rest_candidate, counted.rest)


def _entropy(hits: int, total: int) -> float:
    if hits in (0, total):
        return 0.0
    return -hits * math.log(hits / total) - (total - hits) * math.log(1 - hits / total)


def _joined(found: Sequence[Plateau]) -> list[Plateau]:
    """Neighbours that only a passage divided and that have about the same share become one."""
    joined: list[Plateau] = []
    for plateau in found:
        before = joined[-1] if joined else None
        same = before is not None and before.tally.low_only == plateau.tally.low_only
        if before and same and abs(before.tally.percent - plateau.tally.percent) <= tolerance(before.tally.percent):
            joined[-1] = replace(before, end_s=plateau.end_s, tally=before.tally + plateau.tally)
        else:
            joined.append(plateau)
    return joined
