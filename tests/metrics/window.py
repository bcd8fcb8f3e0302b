"""One window of a real Prometheus for all tests that only watch: every preset's server and every troubled release.

One HTTP server shows all pages; each release is collected and judged for the same twenty seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from modelrelease.domain.evidence import Evidence, Tally
from modelrelease.domain.gate import Gate
from modelrelease.domain.verdict import Outcome, Verdict
from modelrelease.gates import judge
from modelrelease.gates.judge import JudgeSettings
from modelrelease.gates.state import GateState
from modelrelease.metrics.answers import Samples
from modelrelease.metrics.client import ThreadedPrometheus, prometheus
from modelrelease.metrics.collector import Collector
from modelrelease.metrics.source import SourceSettings
from modelrelease.metrics.subscription import Place, Subscription
from modelrelease.sandbox import Sandbox
from tests.metrics.fault_server import Handler, fault_server

LIMIT_S = 120.0
LENGTH_S = 20.0
LONGEST_S = 60.0
"""On a busy machine, where scrapes are missed, so long until all that shall be reverted are."""

AGE_S = 60.0
"""So old is everything when the first page is asked for."""


@dataclass(frozen=True)
class Page:
    """One scrape target: its text by the age of everything and the seconds since the window opened (before: < 0)."""

    path: str
    text: Callable[[float, float], str]
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Watched:
    """One release in the window. `ago_s`: so long before it its rollout began; `worse`: all its gates shall revert."""

    namespace: str
    gates: tuple[Gate, ...]
    candidate: Mapping[str, str]
    stable: Mapping[str, str]
    ago_s: float = 0.0
    fresh_s: float = 30.0
    worse: bool = False


@dataclass
class Seen:
    """What came of it, by namespace and gate: the last verdict, both arms' counts. `asked`: answers by series."""

    verdicts: dict[tuple[str, str], Verdict] = field(default_factory=dict)
    counted: dict[tuple[str, str], tuple[Tally, Tally]] = field(default_factory=dict)
    asked: dict[str, dict[tuple[str, ...], float]] = field(default_factory=dict)
    queries_a_tick: float = 0.0
    length_s: float = 0.0


class Window:
    """`queries` are asked once at the end: PromQL to the labels by which its series are told apart."""

    def __init__(self, pages: list[Page], releases: list[Watched], queries: Mapping[str, tuple[str, ...]]) -> None:
        self._pages = {page.path: page for page in pages}
        self._releases = {f"{release.namespace}/chat": release for release in releases}
        self._queries = queries
        self._begun_s = time.monotonic()
        self._opened_s: float | None = None
        self._newest = datetime.min.replace(tzinfo=UTC)
        self._states: dict[tuple[str, str], GateState] = {}
        self.seen = Seen()

    def run(self, sandbox: Sandbox) -> Seen:
        """Show the pages, follow the releases for LENGTH_S, take the pages away again."""
        settings = SourceSettings("sandbox", sandbox.prometheus_url, tick_s=1, scrape_interval_s=1)
        client = prometheus(settings)
        with fault_server() as server:
            server.respond = self._respond
            address = f"127.0.0.1:{server.server_port}"
            jobs = [f"window{number}" for number in range(len(self._pages))]
            for job, page in zip(jobs, self._pages.values(), strict=True):
                sandbox.add_scrape_target(job, address, {"__metrics_path__": page.path, **page.labels})
            try:
                asyncio.run(self._watch(settings, client))
            finally:
                for job in jobs:
                    sandbox.remove_scrape_target(job, address)
                client.close()
        return self.seen

    def _respond(self, handler: Handler) -> None:
        now_s = time.monotonic()
        since_s = -1.0 if self._opened_s is None else now_s - self._opened_s
        body = self._pages[handler.path].text(AGE_S + now_s - self._begun_s, since_s)
        handler.send(200, body.encode(), **{"Content-Type": "text/plain; version=0.0.4"})

    async def _watch(self, settings: SourceSettings, client: ThreadedPrometheus) -> None:
        async with asyncio.timeout(LIMIT_S):
            while await _up(client) < len(self._pages):  # noqa: ASYNC110 - Prometheus is another process
                await asyncio.sleep(0.2)
            collector, since = Collector(settings, client), datetime.now(UTC)
            self._opened_s = time.monotonic()
            for key, release in self._releases.items():
                collector.subscribe(_subscription(key, release, since))
            while not self._over():
                for key, tick in (await collector.collect(datetime.now(UTC))).items():
                    for gate, evidence in zip(self._releases[key].gates, tick.evidence, strict=True):
                        self._judge(self._releases[key], gate, evidence)
                due = collector.next_due(datetime.now(UTC))
                await asyncio.sleep(max(0.05, (due - datetime.now(UTC)).total_seconds()))
            self.seen.length_s = (self._newest - since).total_seconds()
            self.seen.queries_a_tick = collector.stats.queries / collector.stats.ticks
            for query, labels in self._queries.items():
                self.seen.asked[query] = await _answer(client, query, labels)

    def _over(self) -> bool:
        open_s = time.monotonic() - (self._opened_s or 0.0)
        wanted = [(one.namespace, gate.name) for one in self._releases.values() if one.worse for gate in one.gates]
        found = [self.seen.verdicts[key].outcome for key in wanted if key in self.seen.verdicts]
        done = len(found) == len(wanted) and all(outcome is Outcome.REVERT for outcome in found)
        return open_s >= (LENGTH_S if done else LONGEST_S)

    def _judge(self, release: Watched, gate: Gate, evidence: Evidence) -> None:
        self._newest = max(self._newest, evidence.newest or self._newest)
        key, settings = (release.namespace, gate.name), JudgeSettings(alpha=0.01, fresh_s=round(release.fresh_s))
        state = self._states.get(key) or judge.start(gate, settings)
        state = self._states[key] = judge.fold(gate, state, evidence)
        (self.seen.verdicts[key],) = judge.verdicts(gate, state, at=evidence.at, settings=settings)
        candidate, stable = self.seen.counted.get(key, (Tally(), Tally()))
        for stratum in evidence.strata:
            candidate, stable = candidate + stratum.candidate, stable + stratum.stable
        self.seen.counted[key] = (candidate, stable)


def _subscription(key: str, release: Watched, opened: datetime) -> Subscription:
    since = opened - timedelta(seconds=release.ago_s)
    where = (Place("*", release.candidate, release.stable),)
    return Subscription(key, "1", release.gates, where, since, since, fresh_s=release.fresh_s)


async def _up(client: ThreadedPrometheus) -> int:
    found = await _answer(client, 'count(up{job=~"window.*"} == 1)', ())
    return int(sum(found.values()))


async def _answer(client: ThreadedPrometheus, query: str, labels: tuple[str, ...]) -> dict[tuple[str, ...], float]:
    answer = await client.query(query, datetime.now(UTC))
    assert isinstance(answer, Samples), answer
    return {tuple(one.labels.get(name, "") for name in labels): one.points[0][1] for one in answer.series}


JUDGED = (Outcome.PASS, Outcome.UNDECIDED)
"""Fresh evidence that says nothing against the candidate."""
