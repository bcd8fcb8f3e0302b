"""Builders for gates, places and subscriptions, and a Prometheus in memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import promql_parser as ast

from modelrelease.domain.gate import Absolute, AgainstStable, Gate, Matcher, MatchOp, Quantile, Ratio, Rule, Series
from modelrelease.metrics import joining
from modelrelease.metrics.answers import Answer, Failed, RawSeries, Samples
from modelrelease.metrics.subscription import Place, Subscription

_JOINED = re.compile(rf'label_replace\((.*?), "{joining.LABEL}", "\d+", "", ""\)(?: or |$)', re.DOTALL)

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
"""When rollouts in these tests begin."""

START_S = START.timestamp()

ERRORS = (Matcher("code", MatchOp.REGEX, "5.."),)
BY_SERVICE = (Matcher("namespace", MatchOp.EQUAL, "${namespace}"), Matcher("service", MatchOp.EQUAL, "${service}"))
AGAINST = AgainstStable(max_ratio="1.5")


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def ratio_gate(
    name: str = "errors", *, rule: Rule = AGAINST, arm: tuple[Matcher, ...] = BY_SERVICE, metric: str = "requests_total"
) -> Gate:
    return Gate(name, Ratio(Series(metric, ERRORS), Series(metric)), rule, arm)


def latency_gate(name: str = "latency", *, rule: Rule = AGAINST) -> Gate:
    return Gate(name, Quantile(Series("duration_seconds_bucket"), "0.95"), rule, BY_SERVICE)


def absolute(maximum: str = "0.05") -> Absolute:
    return Absolute(maximum=maximum)


def place(segment: str = "*", *, namespace: str = "shop", rule_index: str = "0", backend: str = "chat") -> Place:
    common = {"namespace": namespace, "release": "chat", "route": "chat", "ruleIndex": rule_index, "segment": segment}
    candidate = {**common, "service": f"{backend}-v2", "backendIndex": "1", "revision": "chat-bbb", "model": "m2"}
    stable = {**common, "service": f"{backend}-v1", "backendIndex": "0", "revision": "chat-aaa", "model": "m1"}
    return Place(segment, candidate, stable)


def subscription(*gates: Gate, key: str = "shop/chat", **changes: Any) -> Subscription:
    fields: dict[str, Any] = {
        "generation": "1",
        "gates": gates,
        "places": (place(namespace=key.partition("/")[0]),),
        "since": START,
        "stage_since": START,
        "fresh_s": 60.0,
    }
    return Subscription(key=key, **{**fields, **changes})


@dataclass
class MemoryPrometheus:
    """Range selectors over samples in memory. `fail` may answer a query with a failure instead."""

    scrapes: dict[frozenset[tuple[str, str]], list[tuple[float, float]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    fail: Callable[[str], Failed | None] = lambda _: None
    values: dict[str, Answer] = field(default_factory=dict)

    def put(self, name: str, at_s: float, value: float, **labels: str) -> None:
        key = frozenset({"__name__": name, "job": "gateway", "instance": "gw:1", **labels}.items())
        self.scrapes.setdefault(key, []).append((at_s, value))

    async def query(self, promql: str, at: datetime) -> Answer:
        self.asked.append(promql)
        failed = self.fail(promql)
        if failed is not None:
            return failed
        parts = _JOINED.findall(promql)
        return self._together([self._one(part, at) for part in parts]) if parts else self._one(promql, at)

    def _together(self, answers: list[Answer]) -> Answer:
        failed = [answer for answer in answers if isinstance(answer, Failed)]
        found = [answer for answer in answers if isinstance(answer, Samples)]
        marked = (
            RawSeries({**one.labels, joining.LABEL: str(index)}, one.points)
            for index, answer in enumerate(found)
            for one in answer.series
        )
        return failed[0] if failed else Samples(tuple(marked), tuple(w for answer in found for w in answer.warnings))

    def _one(self, promql: str, at: datetime) -> Answer:
        if promql in self.values:
            return self.values[promql]
        node = ast.parse(promql)
        if not isinstance(node, ast.MatrixSelector):  # an expression, whose answer the test has not set
            return Samples(())
        end_s, range_s = at.timestamp(), node.range.total_seconds()
        return Samples(tuple(self._range(node.vector_selector, end_s - range_s, end_s)))

    def _range(self, selector: Any, after_s: float, end_s: float) -> Iterable[RawSeries]:
        for key, points in self.scrapes.items():
            labels = dict(key)
            if labels["__name__"] != selector.name or not fits(selector, labels):
                continue
            inside = tuple(point for point in points if after_s < point[0] <= end_s)
            if inside:
                yield RawSeries(labels, inside)


def fits(selector: Any, labels: Mapping[str, str]) -> bool:
    for matcher in selector.matchers.matchers:
        value = labels.get(matcher.name, "")
        positive = matcher.op in (ast.MatchOp.Equal, ast.MatchOp.Re)
        regex = matcher.op in (ast.MatchOp.Re, ast.MatchOp.NotRe)
        found = re.fullmatch(matcher.value, value, re.DOTALL) is not None if regex else value == matcher.value
        if found is not positive:
            return False
    return True
