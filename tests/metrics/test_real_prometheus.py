"""The collector against a real Prometheus and a real gateway: what is counted is what happened."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modelrelease.api.gatetemplate import Template, template_of
from modelrelease.domain.evidence import Cause, Evidence, Stratum, Tally
from modelrelease.domain.gate import Gate, Value
from modelrelease.metrics.answers import Samples
from modelrelease.metrics.client import ThreadedPrometheus, prometheus
from modelrelease.metrics.collector import Collector
from modelrelease.metrics.presets import preset_specs
from modelrelease.metrics.source import SourceSettings
from modelrelease.metrics.subscription import Place, Subscription, Tick
from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.load import LoadThread, Plan, Share
from tests.metrics.builders import AGAINST, absolute, latency_gate, ratio_gate, subscription
from tests.metrics.exporter import Exporter, exporter
from tests.sandbox.routes import backend, http_route, rule

LIMIT_S = 60.0
EVIL = 'x"} or up{a=~".*\\\n${service}|'

_numbers = itertools.count(1)


async def eventually(probe: Callable[[], Awaitable[bool]]) -> None:
    """Ask until it holds; only a generous limit is ever asserted, never how long it took."""
    async with asyncio.timeout(LIMIT_S):
        while not await probe():  # noqa: ASYNC110 - the thing waited for is in another process
            await asyncio.sleep(0.2)


@dataclass
class Run:
    """One subscription, collected until something holds; strata are folded as the judge would."""

    client: ThreadedPrometheus
    settings: SourceSettings
    asked: Subscription
    strata: dict[str, list[Stratum]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.collector = Collector(self.settings, self.client)
        self.collector.subscribe(self.asked)

    async def tick(self) -> Tick:
        tick = (await self.collector.collect(datetime.now(UTC)))[self.asked.key]
        for evidence in tick.evidence:
            self.strata.setdefault(evidence.gate, []).extend(evidence.strata)
        return tick

    async def until(self, holds: Callable[[Tick], bool]) -> Tick:
        last: list[Tick] = []

        async def probe() -> bool:
            last[:] = [await self.tick()]
            return holds(last[0])

        await eventually(probe)
        return last[0]

    async def counted(self, total: float, gate: str = "errors") -> tuple[Tally, Tally]:
        await self.until(lambda _: self.sums(gate)[0].total >= total)
        return self.sums(gate)

    def sums(self, gate: str = "errors") -> tuple[Tally, Tally]:
        candidate, stable = Tally(), Tally()
        for stratum in self.strata.get(gate, ()):
            candidate, stable = candidate + stratum.candidate, stable + stratum.stable
        return candidate, stable


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[ThreadedPrometheus]:
    made = prometheus(settings(sandbox))
    yield made
    made.close()


@pytest.fixture
def target(sandbox: Sandbox) -> Iterator[Exporter]:
    """An exporter that the sandbox scrapes, with the labels of one arm of nothing in particular."""
    with exporter() as made:
        job = f"exporter-{next(_numbers)}"
        sandbox.add_scrape_target(job, made.address)
        yield made
        sandbox.remove_scrape_target(job, made.address)


def settings(sandbox: Sandbox) -> SourceSettings:
    return SourceSettings("sandbox", sandbox.prometheus_url, tick_s=1, scrape_interval_s=1)


def asked(namespace: str, *gates: Gate, **changes: Any) -> Subscription:
    now = datetime.now(UTC)
    fields = {"key": f"{namespace}/chat", "since": now, "stage_since": now, "fresh_s": 30}
    return subscription(*gates, **{**fields, **changes})


def count(target: Exporter, namespace: str, service: str, code: str, value: float, **labels: str) -> None:
    labels = {"namespace": namespace, "service": service, "code": code, **labels}
    target.set("requests_total", value, **labels)


async def scraped(target: Exporter, times: int = 2) -> None:
    """Return after the values set before were scraped and stored."""
    wanted = target.scrapes + times

    async def probe() -> bool:
        return target.scrapes >= wanted

    await eventually(probe)


def cause_of(evidence: Evidence) -> Cause | None:
    return evidence.problem.cause if evidence.problem is not None else None


async def test_births_restarts_and_replicas_count_what_was_truly_counted(
    sandbox: Sandbox, client: ThreadedPrometheus, target: Exporter, namespace: str
) -> None:
    count(target, namespace, "chat-v1", "200", 50_000, pod="a")
    count(target, namespace, "chat-v1", "200", 70_000, pod="b")
    await scraped(target)
    run = Run(client, settings(sandbox), asked(namespace, ratio_gate()))
    await run.tick()
    count(target, namespace, "chat-v2", "200", 7)  # born after the start, with its first errors in the first scrape
    count(target, namespace, "chat-v2", "503", 3)
    count(target, namespace, "chat-v1", "200", 50_100, pod="a")
    await scraped(target)
    count(target, namespace, "chat-v1", "200", 5, pod="b")  # restarted
    await scraped(target)
    count(target, namespace, "chat-v2", "200", 8)
    count(target, namespace, "chat-v1", "200", 50_130, pod="a")
    count(target, namespace, "chat-v1", "200", 15, pod="b")
    assert await run.counted(11) == (Tally(11, 3), Tally(145, 0))
    rebuilt = Run(client, settings(sandbox), run.asked)
    await rebuilt.tick()
    assert rebuilt.sums() == run.sums()


async def test_nan_vanishing_and_silence_are_told_apart(
    sandbox: Sandbox, client: ThreadedPrometheus, target: Exporter, namespace: str
) -> None:
    run = Run(client, settings(sandbox), asked(namespace, ratio_gate(), fresh_s=8))
    nothing = (await run.tick()).evidence[0]
    assert cause_of(nothing) is Cause.MISSING
    assert nothing.problem is not None and "no series matches requests_total{" in nothing.problem.message
    for service in ("chat-v1", "chat-v2"):
        count(target, namespace, service, "200", 10)
    await run.until(lambda tick: cause_of(tick.evidence[0]) is None)
    count(target, namespace, "chat-v2", "200", float("nan"))
    broken = await run.until(lambda tick: cause_of(tick.evidence[0]) is Cause.BROKEN)
    assert broken.evidence[0].problem is not None and "nan" in broken.evidence[0].problem.message
    count(target, namespace, "chat-v2", "200", 12)
    await run.until(lambda tick: cause_of(tick.evidence[0]) is None)
    target.drop("requests_total", namespace=namespace, service="chat-v2", code="200")
    await scraped(target, 4)
    assert cause_of((await run.tick()).evidence[0]) is None  # the target is alive: the candidate counted nothing
    target.drop("requests_total", namespace=namespace, service="chat-v1", code="200")
    silent = await run.until(lambda tick: cause_of(tick.evidence[0]) is Cause.MISSING)
    assert (
        silent.evidence[0].problem is not None and "last sample of the candidate" in silent.evidence[0].problem.message
    )
    assert run.sums()[0].total == 2


async def test_label_values_cannot_escape_and_meet_no_neighbour(
    sandbox: Sandbox, client: ThreadedPrometheus, target: Exporter, namespace: str
) -> None:
    services = {"chat-v2": 1, EVIL: 20, "chat.v2": 300, "chatxv2": 4000, "chat-v2|chatxv2": 50_000}
    collector = Collector(settings(sandbox), client)
    for service in services:
        count(target, namespace, service, "200", 0)
    await scraped(target)
    now = datetime.now(UTC)
    for index, (service, amount) in enumerate(services.items()):
        count(target, namespace, service, "200", amount)
        values = {"namespace": namespace, "service": service}
        place = Place("*", values, {**values, "service": "chat-v1"})
        gate = ratio_gate(rule=absolute())
        collector.subscribe(asked(namespace, gate, key=f"{namespace}/{index}", places=(place,), since=now))
    found: dict[str, float] = dict.fromkeys(map(str, range(len(services))), 0.0)
    async with asyncio.timeout(LIMIT_S):
        while any(total == 0 for total in found.values()):
            for key, tick in (await collector.collect(datetime.now(UTC))).items():
                found[key.rpartition("/")[2]] += sum(each.candidate.total for each in tick.evidence[0].strata)
            await asyncio.sleep(0.2)
    assert list(found.values()) == list(services.values())
    assert collector.stats.failed_queries == 0


async def test_histograms_from_a_real_scrape(
    sandbox: Sandbox, client: ThreadedPrometheus, target: Exporter, namespace: str
) -> None:
    def observe(service: str, *counts: float) -> None:
        for bound, value in zip(("0.1", "1", "+Inf"), counts, strict=True):
            target.set("duration_seconds_bucket", value, le=bound, namespace=namespace, service=service)

    observe("chat-v1", 100, 200, 300)
    await scraped(target)
    run = Run(client, settings(sandbox), asked(namespace, latency_gate()))
    await run.tick()
    observe("chat-v1", 101, 203, 305)
    observe("chat-v2", 5, 6, 7)
    candidate, stable = await run.counted(7, "latency")
    assert [value for _, value in candidate.buckets] == [5, 6, 7]
    assert [value for _, value in stable.buckets] == [1, 3, 5]


async def test_prometheus_stopped_holds_and_nothing_is_lost(
    sandbox: Sandbox, client: ThreadedPrometheus, target: Exporter, namespace: str
) -> None:
    for service in ("chat-v1", "chat-v2"):
        count(target, namespace, service, "200", 10)
    await scraped(target)
    run = Run(client, settings(sandbox), asked(namespace, ratio_gate()))
    await run.tick()
    sandbox.stop_prometheus()
    try:
        down = await run.tick()
        assert down.source_down is not None
        assert cause_of(down.evidence[0]) is Cause.SOURCE_DOWN
        for service in ("chat-v1", "chat-v2"):
            count(target, namespace, service, "200", 17)
    finally:
        sandbox.start_prometheus()
    candidate, stable = await run.counted(7)
    assert (candidate.total, stable.total) == (7, 7)


@pytest.mark.parametrize(
    "query",
    [
        'sum(rate(up{service!~"${service}"}[1m])) by (job) > bool 0.5',
        "max(up - on (job, instance) group_left () up) or -sum(up) ^ 2",
        'count(label_replace(max_over_time(rate(up[30s])[1m:5s] @ end()), "a", "$1\\"", "job", "(.*)")) + scalar(up)',
        'count(count_values by (job) ("v", up) unless up) + quantile by () (0.9, up offset -1s)',
        "topk(1, sum without (job, instance) (up)) and vector(1) == 1",
    ],
)
async def test_a_printed_query_is_understood_by_prometheus(
    sandbox: Sandbox, client: ThreadedPrometheus, query: str
) -> None:
    run = Run(client, settings(sandbox), asked("shop", Gate("value", Value(query), absolute())))
    evidence = (await run.tick()).evidence[0]
    assert run.collector.stats.queries == 1  # the value and the time of its newest sample, joined
    assert run.collector.stats.failed_queries == 0, evidence.problem
    assert cause_of(evidence) is not Cause.SOURCE_DOWN


async def test_a_value_is_bounded_to_the_namespace_and_carries_its_samples_time(
    sandbox: Sandbox, client: ThreadedPrometheus, target: Exporter, namespace: str
) -> None:
    target.set("drift_index", 0.25, namespace=namespace, model="m2")
    target.set("drift_index", 9, namespace="elsewhere", model="m2")
    gate = Gate("drift", Value('max(drift_index{model="${model}"})'), absolute())
    run = Run(client, settings(sandbox), asked(namespace, gate))
    tick = await run.until(lambda tick: cause_of(tick.evidence[0]) is None)
    assert tick.evidence[0].value == 0.25
    assert tick.evidence[0].newest is not None and tick.evidence[0].newest <= tick.at


async def test_a_query_that_prometheus_refuses_is_broken_and_alone(client: ThreadedPrometheus) -> None:
    refused = await client.query("up[1s", datetime.now(UTC))
    assert not isinstance(refused, Samples)
    assert not refused.retryable


def gate_of(preset: str, name: str) -> Gate:
    template = template_of(preset_specs()[preset], preset)
    assert isinstance(template, Template)
    return Gate(name, template.metric, AGAINST, template.arm, kind=template.kind)


def arm(namespace: str, route: str, service: str, *, rule_index: int, backend_index: int) -> dict[str, str]:
    return {
        "namespace": namespace,
        "route": route,
        "service": service,
        "serviceNamespace": namespace,
        "ruleIndex": str(rule_index),
        "backendIndex": str(backend_index),
    }


def places(namespace: str, route: str, candidate: str, stable: str, segments: Iterable[str]) -> tuple[Place, ...]:
    return tuple(
        Place(
            segment,
            arm(namespace, route, candidate, rule_index=index, backend_index=1),
            arm(namespace, route, stable, rule_index=index, backend_index=0),
        )
        for index, segment in enumerate(segments)
    )


@pytest.mark.parametrize(
    ("route", "candidate", "stable"),
    [
        ("chat", "chat-v2", "chat-v1"),
        ("my-route-0-svc-x", "svc-0-1", "svc-0-0"),
        ("my.ro--ute.x", "same", "same"),
    ],
)
async def test_each_backend_of_each_rule_is_counted_apart_at_the_gateway(
    sandbox: Sandbox, client: ThreadedPrometheus, namespace: str, route: str, candidate: str, stable: str
) -> None:
    for service in sorted({candidate, stable}):
        sandbox.model_server(sandbox.service(namespace, service))
    arms = (backend(stable, 3, release="old"), backend(candidate, 1, release="new"))
    low = rule("low", *arms, headers={"x-criticality": "low"})
    sandbox.apply(http_route(namespace, route, low, rule("main", *arms)))
    plan = Plan(
        f"{sandbox.gateway_url}/v1/predict",
        100,
        max_requests=60,
        host=f"{namespace}.local",
        mix=(Share(0.4, {"x-criticality": "low"}),),
    )

    async def answers() -> bool:
        with LoadThread(plan) as load:
            return all(sample.status == 200 for sample in await asyncio.to_thread(load.wait))

    await eventually(answers)
    gate, requests = gate_of("traefik-error-rate", "errors"), gate_of("traefik-requests", "requests")
    where = places(namespace, route, candidate, stable, ("low", "*"))
    run = Run(client, settings(sandbox), asked(namespace, gate, places=where, requests=requests))
    begun = run.asked.since + timedelta(seconds=2)  # the first scrape after the start reaches back before it
    await run.until(lambda tick: tick.evidence[0].newest is not None and tick.evidence[0].newest > begun)
    before = {one.segment: (one.candidate, one.stable) for one in (await run.tick()).split}
    with LoadThread(plan) as load:
        sent = await asyncio.to_thread(load.wait)
    wanted: dict[str, tuple[float, float]] = {}
    for segment in ("low", "*"):
        releases = [sample.release for sample in sent if (sample.segment or "*") == segment]
        old = before.get(segment, (0.0, 0.0))
        wanted[segment] = (old[0] + releases.count("new"), old[1] + releases.count("old"))
    total = sum(map(sum, wanted.values()))
    tick = await run.until(lambda tick: sum(one.candidate + one.stable for one in tick.split) >= total)
    assert {one.segment: (one.candidate, one.stable) for one in tick.split} == wanted
    assert min(amount for both in wanted.values() for amount in both) > 0
    assert tick.samples == sum(candidate for candidate, _ in wanted.values())
