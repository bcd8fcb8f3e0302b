"""How many queries a tick costs: it grows with templates and sources, and is bounded in the number of releases."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from modelrelease.api.gatetemplate import Template, template_of
from modelrelease.domain.evidence import Cause
from modelrelease.domain.gate import AgainstStable, Gate, Value
from modelrelease.metrics import batch, joining, promql
from modelrelease.metrics.answers import Answer, Failed, RawSeries, Samples
from modelrelease.metrics.collector import Collector
from modelrelease.metrics.presets import preset_specs
from modelrelease.metrics.source import SourceSettings
from modelrelease.metrics.subscription import Place, Subscription
from tests.metrics.builders import MemoryPrometheus, absolute, after

SETTINGS = SourceSettings("default", "http://prometheus:9090", tick_s=5, scrape_interval_s=15)
SHAPES = 3
"""Series with matchers of their own: errors, requests, buckets. Counting requests too costs no further query."""

SEGMENTS = ("*", "low", "internal", "vip")


def gate_of(name: str) -> Gate:
    template = template_of(preset_specs()[name], name)
    assert isinstance(template, Template)
    return Gate(name, template.metric, AgainstStable(max_ratio="1.5"), template.arm, template=name)


def asked(number: int, since_s: float) -> Subscription:
    """A release with a namespace, a route, Services and segments of its own."""
    common = {"namespace": f"team-{number:04}", "route": f"chat-{number}", "serviceNamespace": f"team-{number:04}"}
    arms = [
        {**common, "service": f"chat-{number}-v{index + 1}", "backendIndex": str(index), "revision": f"chat-{index}"}
        for index in (0, 1)
    ]
    places = tuple(
        Place(segment, {**arms[1], "ruleIndex": str(rule)}, {**arms[0], "ruleIndex": str(rule)})
        for rule, segment in enumerate(SEGMENTS[: 1 + number % len(SEGMENTS)])
    )
    drift = Gate("drift", Value('max(drift_index{release="${revision}"})'), absolute())
    return Subscription(
        key=f"team-{number:04}/chat",
        generation="1",
        gates=(gate_of("traefik-error-rate"), gate_of("traefik-latency"), drift),
        places=places,
        since=after(since_s),
        stage_since=after(since_s),
        fresh_s=60,
        requests=gate_of("traefik-requests"),
    )


class Counting:
    """A Prometheus that holds nothing."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def query(self, promql: str, at: datetime) -> Answer:
        self.asked.append(promql)
        return Samples(())


async def steady(releases: int) -> tuple[int, int]:
    """The most queries of a tick once all releases are followed, which began at different times; and the longest."""
    prometheus = Counting()
    collector = Collector(SETTINGS, prometheus)
    for number in range(releases):
        collector.subscribe(asked(number, since_s=-(number % 7)))
    await collector.collect(after(0.2))
    for number in range(min(3, releases)):  # late ones, out of step with the others
        collector.subscribe(asked(releases + number, since_s=4 * number))
        await collector.collect(after(4 * number + 3))
    await collector.collect(after(15))
    await collector.collect(after(30))
    most = longest = 0
    for tick in range(1, 5):
        prometheus.asked.clear()
        await collector.collect(after(30 + 5 * tick))
        most = max(most, len(prometheus.asked))
        longest = max(longest, *map(len, prometheus.asked))
    assert collector.stats.failed_queries == 0
    return most, longest


@pytest.mark.parametrize(("releases", "wanted"), [(1, 4), (10, 7), (200, 32), (400, 32)])
async def test_queries_of_a_tick_are_bounded_whatever_the_number_of_releases(releases: int, wanted: int) -> None:
    queries, longest = await steady(releases)
    assert queries <= wanted <= SHAPES * batch.MAX_BATCHES + joining.MAX_QUERIES
    assert longest < 32_000


async def test_an_expression_that_prometheus_refuses_harms_no_other_and_is_asked_alone_from_then_on() -> None:
    prometheus = MemoryPrometheus()
    prometheus.fail = lambda query: Failed("many-to-many", retryable=False) if "team-0013" in query else None
    collector = Collector(SETTINGS, prometheus)
    drift = Gate("drift", Value('max(drift_index{release="${revision}"})'), absolute())
    for number in range(40):
        collector.subscribe(replace(asked(number, 0), gates=(drift,), requests=None))
    ticks = await collector.collect(after(3))
    causes = {key: tick.evidence[0].problem.cause for key, tick in ticks.items() if tick.evidence[0].problem}
    assert causes.pop("team-0013/chat") is Cause.BROKEN
    assert set(causes.values()) == {Cause.MISSING}
    assert len(prometheus.asked) > 5
    prometheus.asked.clear()
    ticks = await collector.collect(after(8))
    assert len(prometheus.asked) == 2 + 2  # the two of team-0013, and the other 78 in two
    prometheus.fail = lambda _: None
    for at_s in (13, 18):
        prometheus.asked.clear()
        ticks = await collector.collect(after(at_s))
    assert len(prometheus.asked) == 2
    problem = ticks["team-0013/chat"].evidence[0].problem
    assert problem is not None and problem.cause is Cause.MISSING


def test_joined_expressions_come_apart_again() -> None:
    texts = ["max(a)", "scalar(b)", "(1 + -scalar(b))", "c"]
    query = joining.join(texts)
    promql.parse(query, "joined")
    assert "label_replace(vector(scalar(b)), " in query and "label_replace(vector((1 + -scalar(b))), " in query
    rows = [RawSeries({joining.LABEL: str(at), "x": "y"}, ((1.0, at),)) for at in (3, 0, 3)]
    found = joining.separate(Samples(tuple(rows)), 4)
    assert [len(each.series) for each in found] == [1, 0, 0, 2]
    assert found[0].series[0] == RawSeries({"x": "y"}, ((1.0, 0),))
