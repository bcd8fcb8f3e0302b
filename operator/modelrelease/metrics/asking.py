"""Sending the queries of one pass: bounded, bisected where one fails, answers delivered to their feeds.

A refused query is halved until the selector at fault is alone, so that one release's template harms only that
release. A query that times out while others work is asked in smaller pieces from the next tick on.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from modelrelease.metrics import batch
from modelrelease.metrics.answers import Answer, Failed, Prometheus
from modelrelease.metrics.batch import Feed, Owner, Shape, ShapeKey
from modelrelease.metrics.compose import Selector
from modelrelease.metrics.fetching import Fetch
from modelrelease.metrics.promql import TemplateError
from modelrelease.metrics.subscription import Stats
from modelrelease.metrics.value import refused

CALM_PASSES = 50
"""After so many passes without a time-out, a shape's batches grow again."""

OnQuery = Callable[[float, bool], None]
"""Called after each query with its seconds and whether it failed."""


@dataclass(slots=True)
class Outcome:
    """Which trackers lack a part of their window, and how the queries went."""

    failed: dict[Owner, Failed] = field(default_factory=dict)
    answered: int = 0
    unanswered: int = 0
    timed_out: set[ShapeKey] = field(default_factory=set)
    reason: str = ""


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

    async def fetch(self, fetches: Iterable[Fetch], shapes: Mapping[ShapeKey, Shape], outcome: Outcome) -> None:
        """Ask for all fetches; series land in the feeds' inboxes, failures in `outcome`."""
        jobs = []
        for fetch in fetches:
            for selectors in batch.split(list(fetch.feeds), self._pieces.get(fetch.shape, 1)):
                jobs.append(self._fetch(fetch, selectors, shapes[fetch.shape], outcome))
        await asyncio.gather(*jobs)
        self._adapt(fetches, outcome)

    async def ask(self, promql: str, at: datetime, outcome: Outcome) -> Answer:
        """One query. A source that answered nothing so far is given up on after as many failures as threads."""
        async with self._slots:
            if not outcome.answered and outcome.unanswered >= self._at_once:
                return Failed(outcome.reason)
            begun = time.perf_counter()
            answer = await self._client.query(promql, at)
            seconds = time.perf_counter() - begun
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

    def _adapt(self, fetches: Iterable[Fetch], outcome: Outcome) -> None:
        for shape in {fetch.shape for fetch in fetches}:
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
