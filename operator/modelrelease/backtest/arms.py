"""Which series are the candidate's and which are stable's in history, where there was perhaps never a candidate.

Two existing sets of series are told apart by what the user names. Otherwise stable is compared with itself, which shows
false alarms: no gate should ever stop it, so whatever does is either an incident or a wrong alarm.

- By instance, where a job has at least two (`pod`, else `instance`): every second one, in the order in which they
  appear, is the candidate's. Both arms then have noise of their own, as two releases have.
- By request, where there is one: each event is the candidate's with the stage's share as its probability. Bad events
  of one window are then spread over the arms at random, so what bursts do to a gate is seen too little.

Either way the candidate keeps only so many of its events that its share of all is the stage's (binomial thinning with a
fixed seed). Sums of values are thinned with their count; their noise per event is what neighbouring windows show.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from modelrelease.backtest.counting import Rounds
from modelrelease.backtest.twin.windows import Floats
from modelrelease.domain.gate import Cost, Gate, Matcher, MatchOp, Mean
from modelrelease.metrics import compose, promql
from modelrelease.metrics.compose import CANARY, Part, Selector, Slot
from modelrelease.metrics.ledger import Side
from modelrelease.metrics.promql import TemplateError
from modelrelease.metrics.subscription import Place

BY_INSTANCE, BY_REQUEST, UNDIVIDED = "split by instance", "split by request", "all traffic as the candidate's"

_PAIR = re.compile(r"\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Named:
    """What the user says of one arm: values of placeholders, and matchers of labels that are no placeholder."""

    values: Mapping[str, str] = field(default_factory=dict)
    matchers: tuple[Matcher, ...] = ()

    @classmethod
    def read(cls, texts: Sequence[str], option: str) -> "Named":
        """`service=chat-v2,pod=~v2-.*`, several times if wanted. Raises ValueError with what to write instead."""
        values: dict[str, str] = {}
        matchers: list[Matcher] = []
        for text in (piece for one in texts for piece in _pieces(one)):
            found = _PAIR.fullmatch(text)
            if found is None:
                raise ValueError(f"{option} {text!r}: write LABEL=VALUE, such as service=chat-v2 or pod=~v2-.*")
            label, op, value = found.groups()
            if label in compose.PLACEHOLDERS and op == "=":
                values[label] = value
            else:
                matchers.append(Matcher(label, MatchOp(op), value))
        for matcher in matchers:
            if matcher.op in (MatchOp.REGEX, MatchOp.NOT_REGEX):
                promql.check_regex(matcher.value, matcher.value, f"{option} {matcher.label}")
        return cls(values, tuple(matchers))

    def over(self, selector: Selector) -> Selector:
        """The selector with these matchers, in place of its own on the same labels."""
        labels = {matcher.label for matcher in self.matchers}
        kept = tuple(slot for slot in selector.slots if slot.matcher.label not in labels)
        return Selector(selector.name, (*kept, *(Slot(matcher, True) for matcher in self.matchers)))


@dataclass(frozen=True, slots=True)
class Wanted:
    """The series of one part; `side` None: they are divided by instance."""

    part: Part
    side: Side | None
    selector: Selector


@dataclass(frozen=True, slots=True)
class Arms:
    """How arms are found. `candidate` None: stable against itself."""

    candidate: Named | None = None
    stable: Named = Named()

    @property
    def itself(self) -> bool:
        """Whether stable is compared with itself."""
        return self.candidate is None

    def wanted(self, gate: Gate, place: Place) -> tuple[Wanted, ...]:
        """The series of one gate at one place, whose `stable` holds the values of the placeholders.

        Raises TemplateError where a placeholder has no value or the arms cannot be told apart.
        """
        stable = {CANARY: "", **place.stable, **self.stable.values}
        found = []
        for part, series in compose.parts(gate):
            theirs = self.stable.over(compose.select(series, gate.arm, stable))
            if self.candidate is None:
                found.append(Wanted(part, None, theirs))
                continue
            (values,) = compose.arms({**place.stable, **self.candidate.values}, {})
            ours = self.candidate.over(compose.select(series, gate.arm, values))
            if ours == theirs:
                raise TemplateError(
                    "--candidate",
                    f"both arms have the same selector {ours}; name what differs with --candidate and --stable",
                )
            found += [Wanted(part, Side.CANDIDATE, ours), Wanted(part, Side.STABLE, theirs)]
        return tuple(dict.fromkeys(found))

    def candidate_values(self, place: Place) -> Mapping[str, str]:
        """What a value gate is asked about: the candidate, or stable where it is compared with itself."""
        return {**place.stable, **(self.stable if self.candidate is None else self.candidate).values}


class Instances:
    """Divides the instances of each job in two, every second one in the order in which they appear."""

    def __init__(self, *, divide: bool) -> None:
        self._divide = divide
        self._known: dict[str, dict[str, int]] = {}

    def side(self, labels: Mapping[str, str]) -> Side:
        """The arm of a series; stable's where nothing is divided."""
        name = labels.get("pod") or labels.get("instance") or ""
        if not self._divide:
            return Side.STABLE
        known = self._known.setdefault(labels.get("job", ""), {})
        return Side.STABLE if known.setdefault(name, len(known)) % 2 == 0 else Side.CANDIDATE


def divided(gate: Gate, rounds: Rounds, share: Floats, *, seed: int, name: str) -> tuple[Rounds, str]:
    """Stable's windows as two arms, the candidate's share of all events being `share` (0…1, per window); and how.

    `name` goes into the seed, so that gates on the same series see the same candidate.
    """
    if (share >= 1).all():
        return _together(rounds), UNDIVIDED
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    totals = rounds.total.sum(axis=1)
    apart = bool((totals > 0).all())
    ours = totals[0] if apart else totals.sum()
    keep = np.minimum(1.0, share * totals.sum() / ours) if ours else share
    part = rounds if apart else _together(rounds)
    if isinstance(gate.metric, Mean | Cost):
        thin = _thin_sums
    else:
        thin = _thin_counts if part.buckets is None else _thin_buckets
    return thin(part, keep, rng, apart), BY_INSTANCE if apart else BY_REQUEST


def _together(rounds: Rounds) -> Rounds:
    """All events as the candidate's, none of stable's: what is not kept becomes stable's."""

    def added(values: Floats) -> Floats:
        return np.stack([values.sum(axis=0), np.zeros_like(values[0])])

    buckets = None if rounds.buckets is None else added(rounds.buckets)
    return replace(rounds, total=added(rounds.total), bad=added(rounds.bad), buckets=buckets)


def _thin_counts(rounds: Rounds, keep: Floats, rng: np.random.Generator, apart: bool) -> Rounds:
    bad = _kept(rounds.bad[0], keep, rng)
    good = _kept(np.maximum(rounds.total[0] - rounds.bad[0], 0.0), keep, rng)
    ours = (bad + good, bad)
    left = (rounds.total[0] - ours[0], rounds.bad[0] - bad)
    return _divided(rounds, ours, left, apart)


def _thin_buckets(rounds: Rounds, keep: Floats, rng: np.random.Generator, apart: bool) -> Rounds:
    assert rounds.buckets is not None
    each = np.diff(rounds.buckets[0], axis=1, prepend=0.0)
    ours = np.cumsum(_kept(np.maximum(each, 0.0), keep[:, None], rng), axis=1)
    theirs = rounds.buckets[1] if apart else np.maximum(rounds.buckets[0] - ours, 0.0)
    buckets = np.stack([ours, theirs])
    return replace(rounds, buckets=buckets, total=buckets[..., -1])


def _thin_sums(rounds: Rounds, keep: Floats, rng: np.random.Generator, apart: bool) -> Rounds:
    n, y = rounds.total[0], rounds.bad[0]
    count = _kept(n, keep, rng)
    mean = y / np.where(n > 0, n, 1.0)
    spread = np.sqrt(np.maximum(1 / np.where(count > 0, count, 1.0) - 1 / np.where(n > 0, n, 1.0), 0.0))
    value = count * (mean + np.sqrt(_noise(n, mean)) * spread * rng.standard_normal(len(n)))
    value = np.where(count >= n, y, np.clip(value, 0.0, y))
    return _divided(rounds, (count, value), (n - count, y - value), apart)


def _noise(n: Floats, mean: Floats) -> float:
    """Variance per event: squared steps between neighbouring windows, so that slow drift does not count."""
    some = np.flatnonzero(n > 0)
    if len(some) < 2:
        return 0.0
    steps = np.diff(mean[some]) ** 2 / (1 / n[some[1:]] + 1 / n[some[:-1]])
    return float(steps.mean())


def _divided(rounds: Rounds, ours: tuple[Floats, Floats], left: tuple[Floats, Floats], apart: bool) -> Rounds:
    """The candidate's share, and stable's own events, or those that were left where it has none."""
    theirs = (rounds.total[1], rounds.bad[1]) if apart else tuple(np.maximum(values, 0.0) for values in left)
    return replace(rounds, total=np.stack([ours[0], theirs[0]]), bad=np.stack([ours[1], theirs[1]]))


def _kept(count: Floats, keep: Floats, rng: np.random.Generator) -> Floats:
    """Each event with probability `keep`; a fraction of an event is one with that probability."""
    whole = np.floor(count)
    whole = whole + (rng.random(count.shape) < count - whole)
    return rng.binomial(whole.astype(np.int64), np.clip(keep, 0.0, 1.0)).astype(float)


def _pieces(text: str) -> list[str]:
    """Split at commas that are followed by another LABEL=; a comma inside a value stays."""
    return [piece for piece in re.split(r",(?=\s*[a-zA-Z_][a-zA-Z0-9_]*\s*(?:=~|!~|!=|=))", text) if piece.strip()]
