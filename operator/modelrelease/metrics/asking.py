"""Sending the queries of one pass: bounded, bisected where one fails, answers delivered to their feeds.

A refused query is halved until the selector at fault is alone, so that one release's template harms only that
release. A query that times out while others work is asked in smaller pieces from the next tick on.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from modelrelease.metrics import batch, joining
from modelrelease.metrics.answers import Answer, Failed, Prometheus, Samples
from modelrelease.metrics.batch import Feed, Owner, Shape, ShapeKey
from modelrelease.metrics.compose import Selector
from modelrelease.metrics.fetching import Fetch
from modelrelease.metrics.promql import TemplateError
from modelrelease.metrics.subscription import Stats
from modelrelease.metrics.value import refused

CALM_PASSES = 50
"""After so many passes without a time-out, a shape's batches grow again."""

_VALUES: ShapeKey = ("", ())
"""Stands for the raw expressions where shapes are counted."""

_MANY_ALONE = 1000

OnQuery = Callable[[float, bool], None]
"""Called after each query with its seconds and whether it failed."""


@dataclass(slots=True)
class Outcome:
    """Which trackers lack a part of their window, how the queries went, and how far off the source's clock is."""

    failed: dict[Owner, Failed] = field(default_factory=dict)
    answered: int = 0
    unanswered: int = 0
    timed_out: set[ShapeKey] = field(default_factory=set)
    reason: str = ""
    clock_ahead_s: float = 0.0


class Asker:
    """Sends queries to one source and counts them."""

    def __init__(self, client: Prometheus, *, at_once: int, stats: Stats, on_query: OnQuery | None) -> None:
        self._client = client
        self._at_once = at_once
        self._slots = asyncio.Semaphore(at_once)
        self._stats = stats
        self._on_query = on_query
        self._texts: dict[tuple[Selector, ...], str] = {}
        self._pieces: dict[ShapeKey, int] = {}
        self._calm: dict[ShapeKey, int] = {}
        self._alone: set[str] = set()

    async def fetch(self, fetches: Iterable[Fetch], shapes: Mapping[ShapeKey, Shape], outcome: Outcome) -> None:
        """Ask for all fetches; series land in the feeds' inboxes, failures in `outcome`."""
        jobs = []
        for fetch in fetches:
            for selectors in batch.split(list(fetch.feeds), self._pieces.get(fetch.shape, 1)):
                jobs.append(self._fetch(fetch, selectors, shapes[fetch.shape], outcome))
        await asyncio.gather(*jobs)
        self._adapt({fetch.shape for fetch in fetches}, outcome)

    async def ask_each(self, texts: Iterable[str], at: datetime, outcome: Outcome) -> dict[str, Answer]:
        """The answer of each raw expression, from few queries. One that was refused is asked alone from then on."""
        found: dict[str, Answer] = {}
        shared = [text for text in texts if text not in self._alone]
        parts: list[tuple[str, ...]] = [(text,) for text in texts if text in self._alone]
        parts += joining.split(shared, self._pieces.get(_VALUES, 1))
        await asyncio.gather(*(self._ask_joined(part, at, outcome, found) for part in parts))
        if parts:
            self._adapt({_VALUES}, outcome)
        return found

    async def ask(self, promql: str, at: datetime, outcome: Outcome) -> Answer:
        """One query. A source that answered nothing so far is given up on after as many failures as threads."""
        async with self._slots:
            if not outcome.answered and outcome.unanswered >= self._at_once:
                return Failed(outcome.reason)
            begun = time.perf_counter()
            answer = await self._client.query(promql, at)
            seconds = time.perf_counter() - begun
        if isinstance(answer, Samples):
            outcome.clock_ahead_s = max(outcome.clock_ahead_s, answer.clock_ahead_s, key=abs)
        answer = refused(answer)
        failed = isinstance(answer, Failed)
        if isinstance(answer, Failed) and answer.retryable:
            outcome.unanswered += 1
            outcome.reason = answer.reason
        else:
            outcome.answered += 1
        self._stats.queries += 1
        self._stats.failed_queries += failed
        self._stats.query_seconds += seconds
        if self._on_query is not None:
            self._on_query(seconds, failed)
        return answer

    async def _ask_joined(
        self, texts: tuple[str, ...], at: datetime, outcome: Outcome, found: dict[str, Answer]
    ) -> None:
        if len(texts) == 1:
            answer = found[texts[0]] = await self.ask(texts[0], at, outcome)
            self._note_alone(texts[0], answer)
            return
        answer = await self.ask(joining.join(texts), at, outcome)
        if isinstance(answer, Samples):
            found.update(zip(texts, joining.separate(answer, len(texts)), strict=True))
        elif answer.retryable:
            outcome.timed_out.add(_VALUES)
            found.update(dict.fromkeys(texts, answer))
        else:
            half = len(texts) // 2
            await self._ask_joined(texts[:half], at, outcome, found)
            await self._ask_joined(texts[half:], at, outcome, found)

    def _note_alone(self, text: str, answer: Answer) -> None:
        if isinstance(answer, Failed) and not answer.retryable:
            if len(self._alone) >= _MANY_ALONE:
                self._alone.clear()
            self._alone.add(text)
        elif isinstance(answer, Samples):
            self._alone.discard(text)

    async def _fetch(self, fetch: Fetch, selectors: tuple[Selector, ...], shape: Shape, outcome: Outcome) -> None:
        try:
            text = self._text(selectors)
        except TemplateError as error:
            answer: Answer = Failed(str(error), retryable=False)
        else:
            at = datetime.fromtimestamp(fetch.window.at_s, UTC)
            answer = await self.ask(f"{text}[{fetch.window.range_s}s]", at, outcome)
        if not isinstance(answer, Failed):
            self._stats.series += shape.deliver(answer.series, _number(fetch.feeds[selectors[0]]))
            return
        if not answer.retryable and len(selectors) > 1:
            half = len(selectors) // 2
            await self._fetch(fetch, selectors[:half], shape, outcome)
            await self._fetch(fetch, selectors[half:], shape, outcome)
            return
        if len(selectors) > 1:
            outcome.timed_out.add(fetch.shape)
        for selector in selectors:
            for feed in fetch.feeds[selector]:
                outcome.failed.setdefault(feed.owner, answer)

    def _text(self, selectors: tuple[Selector, ...]) -> str:
        known = self._texts.get(selectors)
        if known is None:
            if len(self._texts) > 1000:
                self._texts.clear()
            known = self._texts[selectors] = batch.merge(selectors)
        return known

    def _adapt(self, shapes: Iterable[ShapeKey], outcome: Outcome) -> None:
        for shape in shapes:
            if shape in outcome.timed_out and outcome.answered:
                self._pieces[shape] = 2 * self._pieces.get(shape, 1)
                self._calm[shape] = 0
            elif shape in self._pieces:
                self._calm[shape] += 1
                if self._calm[shape] >= CALM_PASSES:
                    self._calm[shape] = 0
                    self._pieces[shape] //= 2
                    if self._pieces[shape] <= 1:
                        del self._pieces[shape], self._calm[shape]


def _number(feeds: list[Feed]) -> int:
    return feeds[0].owner.batch
