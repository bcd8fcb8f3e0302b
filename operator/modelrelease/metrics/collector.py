"""Evidence for all releases of one source, each tick, with few queries.

It decides by no clock: `collect` is given the time. It must not judge evidence nor know Kubernetes. A tracker takes a
window only when all of its queries for it were answered; otherwise the same window is read again, so that a failed
query delays evidence and never bends it. Rejected: a task per release; hundreds of releases would ask hundreds of
times for what few queries answer.
"""

import asyncio
import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from modelrelease.metrics import fetching
from modelrelease.metrics.answers import Answer, Prometheus
from modelrelease.metrics.asking import Asker, OnQuery, Outcome
from modelrelease.metrics.batch import Shape, ShapeKey
from modelrelease.metrics.fetching import Pace, Window
from modelrelease.metrics.member import Member
from modelrelease.metrics.phase import Phase
from modelrelease.metrics.source import SourceSettings
from modelrelease.metrics.subscription import Stats, Subscription, Tick
from modelrelease.metrics.tracker import GateTracker

HISTORY_CHUNKS = 128
"""So many chunks of history are read per collection, the youngest releases' first; the rest follows in the next."""

PATIENT_POINTS = 100_000
"""After so many samples a collection reads no more for patient subscriptions: others wait for its end."""

AT_A_TIME = 16
"""Chunks for patient subscriptions between two looks at that."""

YIELD_EVERY = 25
YIELD_POINTS = 2_000
"""The event loop gets its turn after so many subscriptions, or samples counted."""


class Collector:
    """Collects for every subscription of one MetricsSource. Use from one event loop; `collect` runs one at a time."""

    def __init__(self, settings: SourceSettings, client: Prometheus, *, on_query: OnQuery | None = None) -> None:
        self.settings = settings
        self.stats = Stats()
        self._pace = Pace(settings.tick_s, settings.scrape_interval_s)
        self._asker = Asker(client, at_once=settings.threads, stats=self.stats, on_query=on_query)
        self._members: dict[str, Member] = {}
        self._shapes: dict[ShapeKey, Shape] = {}
        self._phase = Phase()
        self._one = asyncio.Lock()

    def subscribe(self, subscription: Subscription) -> None:
        """Start, or go on with a new stage; another generation starts anew and hands out all strata again."""
        member = self._members.get(subscription.key)
        if member is not None and member.subscription.generation == subscription.generation:
            member.update(subscription)
            return
        self.unsubscribe(subscription.key)
        member = self._members[subscription.key] = Member(subscription, self.settings, self._pace)
        for tracker in member.trackers:
            for feed in tracker.feeds:
                self._shapes.setdefault(feed.shape, Shape()).add(feed)

    def unsubscribe(self, key: str) -> None:
        """Forget a subscription; unknown keys are fine."""
        member = self._members.pop(key, None)
        for tracker in member.trackers if member is not None else ():
            for feed in tracker.feeds:
                shape = self._shapes.get(feed.shape)
                if shape is not None and shape.remove(feed):
                    del self._shapes[feed.shape]

    async def collect(self, now: datetime) -> Mapping[str, Tick]:
        """Read what is new and return a tick for each subscription. Raises nothing but cancellation and bugs.

        A cancelled collection loses nothing: what it had read is handed out by the next one.
        """
        async with self._one:
            begun = time.perf_counter()
            members, outcome = dict(self._members), Outcome()
            _, answers = await asyncio.gather(
                self._count(members, now.timestamp(), outcome), self._probe(members, now, outcome)
            )
            self._learn(members, now.timestamp())
            ticks: dict[str, Tick] = {}
            for index, (key, member) in enumerate(members.items()):
                if index % YIELD_EVERY == YIELD_EVERY - 1:
                    await asyncio.sleep(0)
                if self._members.get(key) is member:
                    ticks[key] = member.tick(now, answers, clock_ahead_s=outcome.clock_ahead_s)
            self.stats.ticks += 1
            self.stats.tick_seconds += time.perf_counter() - begun
            return ticks

    def next_due(self, now: datetime) -> datetime:
        """When to collect next: one tick from `now` at most, just after new samples become visible."""
        pace = self._pace
        due_s = self._phase.next_due_s(
            now.timestamp(), tick_s=pace.tick_s, scrape_interval_s=self.settings.scrape_interval_s
        )
        return datetime.fromtimestamp(due_s, UTC)

    async def _count(self, members: Mapping[str, Member], now_s: float, outcome: Outcome) -> None:
        urgent, patient = (
            [
                tracker
                for member in members.values()
                if member.subscription.patient is later
                for tracker in member.trackers
                if tracker.feeds
            ]
            for later in (False, True)
        )
        room = await self._read(urgent, now_s, outcome, room=HISTORY_CHUNKS)
        await self._read(patient, now_s, outcome, room=room, at_a_time=AT_A_TIME, most_points=PATIENT_POINTS)

    async def _read(
        self,
        waiting: list[GateTracker],
        now_s: float,
        outcome: Outcome,
        *,
        room: int,
        at_a_time: int = HISTORY_CHUNKS,
        most_points: float = math.inf,
    ) -> int:
        """Read what is new for some trackers; how many chunks of history others may still read."""
        while waiting:
            windows = [(tracker, self._window(tracker, now_s)) for tracker in waiting if tracker.cursor_s < now_s]
            chosen = fetching.choose(windows, min(room, at_a_time) if most_points > 0 else 0)
            if not chosen:
                break
            room -= sum(not window.live for _, window in chosen)
            await self._asker.fetch(fetching.plan(chosen), self._shapes, outcome)
            behind, points = await self._take(chosen, outcome)
            most_points -= points
            taken = {tracker for tracker, _ in chosen}
            waiting = behind + [tracker for tracker, _ in windows if tracker not in taken]
        return room

    def _window(self, tracker: GateTracker, now_s: float) -> Window:
        return fetching.window(tracker.cursor_s, tracker.deep_s, tracker.chunk_s, now_s=now_s, pace=self._pace)

    async def _take(self, windows: list[tuple[GateTracker, Window]], outcome: Outcome) -> tuple[list[GateTracker], int]:
        """Let each tracker count its answers; who has not caught up and may go on, and how much history they read."""
        behind: list[GateTracker] = []
        history = counted = 0
        for tracker, window in windows:
            failed = outcome.failed.pop(tracker, None)
            if failed is not None:
                tracker.drop(failed)
                continue
            points = tracker.take()
            tracker.cursor_s = window.at_s
            tracker.deep_s = window.at_s if window.deep else tracker.deep_s
            tracker.behind = not window.live
            if tracker.behind:
                history += points
                tracker.chunk_s = fetching.next_chunk_s(tracker.chunk_s, points, pace=self._pace)
                behind.append(tracker)
            counted += points + YIELD_POINTS // YIELD_EVERY
            if counted >= YIELD_POINTS:
                counted = 0
                await asyncio.sleep(0)
        return behind, history

    async def _probe(self, members: Mapping[str, Member], now: datetime, outcome: Outcome) -> dict[str, Answer]:
        asks = [probe.asks for member in members.values() for probe in member.probes if probe.asks is not None]
        texts = list(dict.fromkeys(text for each in asks for text in (each.query, each.newest)))
        return await self._asker.ask_each(texts, now, outcome)

    def _learn(self, members: Mapping[str, Member], now_s: float) -> None:
        latest = [
            latest_s
            for member in members.values()
            for tracker in ((member.requests,) if member.requests is not None else member.trackers)
            if (latest_s := tracker.latest_s()) is not None
        ]
        newest_s = max(latest, default=None)
        self.stats.newest_sample_s = newest_s
        interval_s = self.settings.scrape_interval_s
        self._phase = self._phase.learned(asked_s=now_s, newest_s=newest_s, scrape_interval_s=interval_s)
