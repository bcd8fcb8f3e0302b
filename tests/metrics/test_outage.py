"""An outage of Prometheus: it holds every release, costs few queries, and is told once."""

from __future__ import annotations

from modelrelease.domain.evidence import Cause
from modelrelease.metrics.answers import Failed
from modelrelease.metrics.collector import Collector
from modelrelease.metrics.outage import CALM_TICKS, Outage, Turn
from modelrelease.metrics.source import SourceSettings
from tests.metrics.builders import MemoryPrometheus, after, latency_gate, ratio_gate, subscription

SETTINGS = SourceSettings("default", "http://prometheus:9090", tick_s=5, scrape_interval_s=5, threads=4)


async def test_an_outage_holds_all_releases_with_one_and_the_same_sentence_and_few_queries() -> None:
    prometheus = MemoryPrometheus()
    collector, said, told = Collector(SETTINGS, prometheus), set(), Outage()
    for number in range(200):
        collector.subscribe(subscription(ratio_gate(), latency_gate(), key=f"team-{number}/chat"))
    await collector.collect(after(1))
    prometheus.fail = lambda _: Failed("cannot reach Prometheus: connection refused")
    turns = []
    for at_s in range(5, 200, 5):
        prometheus.asked.clear()
        ticks = await collector.collect(after(at_s))
        assert len(prometheus.asked) <= SETTINGS.threads
        assert all(tick.source_down is not None for tick in ticks.values())
        problems = [evidence.problem for tick in ticks.values() for evidence in tick.evidence]
        said |= {(problem.cause, problem.message) for problem in problems if problem is not None}
        assert len(problems) == 400 and None not in problems
        turns += [turn] if (turn := told.note(next(iter(ticks.values())).source_down, after(at_s))) else []
    assert said == {(Cause.SOURCE_DOWN, "cannot reach Prometheus: connection refused")}
    assert turns == [Turn(True, after(5), "cannot reach Prometheus: connection refused")]


def test_an_outage_is_told_when_it_begins_and_when_it_is_over() -> None:
    outage, turns = Outage(), []
    ticks = [None, "HTTP 503", "no answer within 4 s", None, "HTTP 503", *[None] * CALM_TICKS, None, "HTTP 502"]
    for at_s, down in enumerate(ticks):
        turn = outage.note(down, after(at_s))
        turns += [turn] if turn is not None else []
    assert turns == [
        Turn(True, after(1), "HTTP 503"),
        Turn(False, after(1), "HTTP 503"),
        Turn(True, after(9), "HTTP 502"),
    ]
