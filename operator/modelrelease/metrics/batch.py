"""Many selectors of one shape to few queries, and each answered series back to who asked for it.

Two selectors have one shape when they differ only in filled placeholders; those become alternations. The query then
may answer more than was asked (every namespace with every service), so answers are matched again here. Rejected: one
query per release; Prometheus would spend a tick on parsing and looking up what one query finds at once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from modelrelease.domain.gate import Matcher, MatchOp
from modelrelease.metrics import arm_regex, promql
from modelrelease.metrics.answers import RawSeries
from modelrelease.metrics.compose import Part, Selector
from modelrelease.metrics.ledger import SeriesKey, Side

MAX_QUERY_CHARS = 6000
MAX_BATCHES = 8
"""So many queries for one shape and window at most, unless Prometheus refuses or is too slow for them: with many
releases queries grow longer instead. A hundred thousand characters cost Prometheus no more in one query than in many.
"""

MAX_LABEL_CHARS = 512
"""A longer label value never matches an arm's regex, so that matching stays cheap whatever is scraped."""

ShapeKey = tuple[str, tuple[tuple[str, MatchOp, str | None], ...]]


class Owner(Protocol):
    """Whoever a feed's series are for."""

    batch: int
    """Number of the fetch that the owner takes part in now; series of other fetches are not for it."""


@dataclass(slots=True, eq=False)
class Feed:
    """One selector of one owner: where its series go. `inbox` fills during a fetch and the owner empties it."""

    selector: Selector
    owner: Owner
    segment: int
    side: Side
    part: Part
    inbox: list[tuple[SeriesKey, RawSeries]] = field(default_factory=list)
    shape: ShapeKey = field(init=False)

    def __post_init__(self) -> None:
        self.shape = shape_of(self.selector)


def shape_of(selector: Selector) -> ShapeKey:
    """What selectors must have in common to share a query."""
    return (
        selector.name,
        tuple(
            (slot.matcher.label, slot.matcher.op, None if _free(slot.matcher, slot.variable) else slot.matcher.value)
            for slot in selector.slots
        ),
    )


class Shape:
    """All feeds of one shape, and which of them each known series belongs to."""

    def __init__(self) -> None:
        self._feeds: dict[Selector, list[Feed]] = {}
        self._routes: dict[SeriesKey, tuple[SeriesKey, tuple[Feed, ...]]] = {}
        self._index: dict[tuple[str, ...], list[Selector]] | None = None
        self._indexed: tuple[str, ...] = ()

    def add(self, feed: Feed) -> None:
        """Let `feed` receive series."""
        self._feeds.setdefault(feed.selector, []).append(feed)
        self._forget()

    def remove(self, feed: Feed) -> bool:
        """Stop feeding `feed`; whether the shape has no feed left."""
        feeds = self._feeds.get(feed.selector, [])
        if feed in feeds:
            feeds.remove(feed)
        if not feeds:
            self._feeds.pop(feed.selector, None)
        self._forget()
        return not self._feeds

    def deliver(self, series: Iterable[RawSeries], batch: int) -> int:
        """Put each series into the inboxes of the feeds that take part in `batch`; how many series there were."""
        count = 0
        for one in series:
            count += 1
            new = frozenset(one.labels.items())
            known = self._routes.get(new)
            if known is None:
                known = self._routes[new] = (new, self._match(one.labels))
            key, feeds = known  # always the same object for a series, whose hash is computed once
            for feed in feeds:
                if feed.owner.batch == batch:
                    feed.inbox.append((key, one))
        if len(self._routes) > 4 * count + 20_000:  # series that died long ago
            self._routes.clear()
        return count

    def _forget(self) -> None:
        self._routes.clear()
        self._index = None

    def _match(self, labels: Mapping[str, str]) -> tuple[Feed, ...]:
        index = self._index if self._index is not None else self._build_index()
        found = index.get(tuple(labels.get(label, "") for label in self._indexed), ())
        return tuple(feed for selector in found if _matches(selector, labels) for feed in self._feeds[selector])

    def _build_index(self) -> dict[tuple[str, ...], list[Selector]]:
        self._index = {}
        for selector in self._feeds:
            exact = [slot.matcher for slot in selector.slots if slot.variable and slot.matcher.op is MatchOp.EQUAL]
            self._indexed = tuple(matcher.label for matcher in exact)
            self._index.setdefault(tuple(matcher.value for matcher in exact), []).append(selector)
        return self._index


def merge(selectors: Sequence[Selector]) -> str:
    """One selector text that matches at least what all `selectors` of one shape match."""
    first = selectors[0]
    matchers = []
    for position, slot in enumerate(first.slots):
        values = dict.fromkeys(selector.slots[position].matcher.value for selector in selectors)
        matchers.append(_any_of(slot.matcher, tuple(values)))
    text = promql.print_selector(first.name, tuple(matchers))
    promql.verify_range(f"{text}[1s]", first.name, tuple(matchers))
    return text


def split(selectors: Sequence[Selector], parts: int) -> list[tuple[Selector, ...]]:
    """Batches of equal size where `parts` says so, and in any case few, and short as long as they are few."""
    most = max(1, -(-len(selectors) // max(1, parts)))
    costs = [sum(len(slot.matcher.value) + 8 for slot in selector.slots if slot.variable) for selector in selectors]
    longest = max(MAX_QUERY_CHARS, sum(costs) / MAX_BATCHES + max(costs, default=0))
    batches: list[tuple[Selector, ...]] = []
    batch: list[Selector] = []
    chars = 0
    for selector, cost in zip(selectors, costs, strict=True):
        if batch and (chars + cost > longest or len(batch) >= most):
            batches.append(tuple(batch))
            batch, chars = [], 0
        batch.append(selector)
        chars += cost
    return [*batches, tuple(batch)] if batch else batches


def _free(matcher: Matcher, variable: bool) -> bool:
    return variable and matcher.op in (MatchOp.EQUAL, MatchOp.REGEX)


def _any_of(matcher: Matcher, values: tuple[str, ...]) -> Matcher:
    if len(values) == 1:
        return Matcher(matcher.label, matcher.op, values[0])
    if matcher.op is MatchOp.EQUAL:
        return Matcher(matcher.label, MatchOp.REGEX, "|".join(map(promql.regex_escape, values)))
    return Matcher(matcher.label, MatchOp.REGEX, "|".join(f"(?:{value})" for value in values))


def _matches(selector: Selector, labels: Mapping[str, str]) -> bool:
    for slot in selector.slots:
        if not slot.variable:
            continue
        value, wanted = labels.get(slot.matcher.label, ""), slot.matcher.value
        if slot.matcher.op is MatchOp.EQUAL and value != wanted:
            return False
        if slot.matcher.op is MatchOp.REGEX and not (
            len(value) <= MAX_LABEL_CHARS
            and arm_regex.literal_hint(wanted) in value
            and arm_regex.compiled(wanted).fullmatch(value)
        ):
            return False
    return True
