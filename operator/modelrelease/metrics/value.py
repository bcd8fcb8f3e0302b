"""A raw PromQL gate: two queries, and the one sample or what is wrong with it."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from modelrelease.domain.evidence import Cause, Evidence, Problem
from modelrelease.domain.gate import Gate, Value
from modelrelease.metrics import compose
from modelrelease.metrics.answers import Answer, Failed, Samples
from modelrelease.metrics.compose import ValueQuery
from modelrelease.metrics.promql import TemplateError
from modelrelease.metrics.subscription import Place


@dataclass(frozen=True, slots=True)
class ValueProbe:
    """What to ask for one Value gate. Exactly one of `asks` and `fault` is set."""

    gate: Gate
    asks: ValueQuery | None
    fault: Problem | None = None


def probe(gate: Gate, places: tuple[Place, ...], *, namespace: str, namespace_label: str) -> ValueProbe:
    """Compose the queries from the candidate's placeholder values."""
    if not isinstance(gate.metric, Value):
        raise TypeError(f"gate {gate.name} is not a Value gate")
    try:
        asks = {
            compose.value_query(gate.metric, values, namespace=namespace, namespace_label=namespace_label)
            for place in places
            for values in compose.arms(place.candidate, {})
        }
        if len(asks) != 1:
            raise TemplateError(
                "query", "the rules of the route give the placeholders different values; leave them out"
            )
    except TemplateError as error:
        return ValueProbe(gate, None, Problem(Cause.BROKEN, f"gate {gate.name}: {error}"))
    return ValueProbe(gate, asks.pop())


def evidence(asked: ValueProbe, value: Answer, newest: Answer, *, at: datetime, fresh_s: float) -> Evidence:
    """Read both answers. Anything but exactly one finite, fresh sample is a problem."""
    name, asks = asked.gate.name, asked.asks
    if asks is None:
        return Evidence(name, at, problem=asked.fault)
    found = _one(value, asks.query)
    if isinstance(found, Problem):
        return Evidence(name, at, problem=found)
    time_s = _one(newest, asks.newest)
    if isinstance(time_s, Problem):
        return Evidence(name, at, problem=time_s)
    newest_at = datetime.fromtimestamp(time_s, UTC)
    age_s = at.timestamp() - time_s
    if age_s > fresh_s:
        problem = Problem(Cause.MISSING, f"last sample {age_s:.0f} s ago ({asks.query})")
        return Evidence(name, at, newest=newest_at, problem=problem)
    return Evidence(name, at, value=found, newest=newest_at)


def refused(answer: Answer) -> Answer:
    """An answer with warnings as the failure that it is: partial data is the source's fault, the rest the query's."""
    if isinstance(answer, Samples) and answer.warnings:
        ours = all(warning.startswith("PromQL") for warning in answer.warnings)
        return Failed(f"Prometheus warns: {'; '.join(answer.warnings)[:300]}", retryable=not ours)
    return answer


def failure(failed: Failed) -> Problem:
    """The problem that a failed query is for evidence."""
    return Problem(Cause.SOURCE_DOWN if failed.retryable else Cause.BROKEN, failed.reason)


def _one(answer: Answer, query: str) -> float | Problem:
    answer = refused(answer)
    if isinstance(answer, Failed):
        return failure(answer)
    samples = [point for series in answer.series for point in series.points]
    if not answer.series:
        return Problem(Cause.MISSING, f"{query} gives nothing")
    if len(answer.series) > 1 or len(samples) != 1:
        return Problem(Cause.BROKEN, f"{query} gives {len(answer.series)} series where one is meant; aggregate them")
    value = samples[0][1]
    if not math.isfinite(value):
        return Problem(Cause.BROKEN, f"{query} gives {value}")
    return value
