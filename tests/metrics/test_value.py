"""Value gates: exactly one finite, fresh sample, or a problem."""

from __future__ import annotations

import pytest

from modelrelease.domain.evidence import Cause
from modelrelease.domain.gate import Gate, Value
from modelrelease.metrics.answers import Answer, Failed, RawSeries, Samples
from modelrelease.metrics.collector import Collector
from modelrelease.metrics.source import SourceSettings
from tests.metrics.builders import START_S, MemoryPrometheus, absolute, after, place, subscription

GATE = Gate("drift", Value('drift_index{model="${model}"}'), absolute())
SETTINGS = SourceSettings("default", "http://prometheus:9090")


def one(value: float, at_s: float = 3) -> Samples:
    return Samples((RawSeries({}, ((START_S + at_s, value),)),))


@pytest.mark.parametrize(
    ("value", "newest_s", "cause"),
    [
        pytest.param(one(0.3), 1, None, id="one fresh sample"),
        pytest.param(Samples(()), 1, Cause.MISSING, id="nothing"),
        pytest.param(Samples(one(1).series * 2), 1, Cause.BROKEN, id="several series"),
        pytest.param(one(float("nan")), 1, Cause.BROKEN, id="NaN"),
        pytest.param(one(float("-inf")), 1, Cause.BROKEN, id="-Inf"),
        pytest.param(one(0.3), -100, Cause.MISSING, id="old samples behind it"),
        pytest.param(one(0.3), None, Cause.MISSING, id="or vector(0) hides absence"),
        pytest.param(Failed("HTTP 503"), 1, Cause.SOURCE_DOWN, id="the source is down"),
        pytest.param(Failed("bad", retryable=False), 1, Cause.BROKEN, id="the query is refused"),
        pytest.param(Samples(one(1).series, ("PromQL warning: odd",)), 1, Cause.BROKEN, id="the query is odd"),
        pytest.param(Samples(one(1).series, ("remote read failed",)), 1, Cause.SOURCE_DOWN, id="partial data"),
    ],
)
async def test_a_value(value: Answer, newest_s: float | None, cause: Cause | None) -> None:
    prometheus = MemoryPrometheus()
    collector = Collector(SETTINGS, prometheus)
    collector.subscribe(subscription(GATE))
    query = 'drift_index{model="m2",namespace="shop"}'
    times = f'min(label_replace(max(timestamp({query})), "selector", "0", "", ""))'
    newest = Samples(()) if newest_s is None else one(START_S + newest_s)
    prometheus.values = {query: value, times: newest}
    tick = (await collector.collect(after(3)))["shop/chat"]
    evidence = tick.evidence[0]
    assert (evidence.problem.cause if evidence.problem is not None else None) is cause
    assert evidence.value == (0.3 if cause is None else None)
    assert (tick.source_down is not None) == (cause is Cause.SOURCE_DOWN)


async def test_a_value_per_rule_is_refused() -> None:
    gate = Gate("drift", Value('drift_index{rule="${ruleIndex}"}'), absolute())
    collector = Collector(SETTINGS, MemoryPrometheus())
    collector.subscribe(subscription(gate, places=(place("vip"), place("*", rule_index="1"))))
    evidence = (await collector.collect(after(3)))["shop/chat"].evidence[0]
    assert evidence.problem is not None
    assert evidence.problem.cause is Cause.BROKEN
