"""Whether queries can be made from a template: each matcher and each expression, tried before any release uses it.

A template that fails only when it is asked would hold, and then revert, releases that are fine. Rejected: leaving this
to the collector, which learns of it minutes after the traffic moved.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import assert_never

from modelrelease.api.faults import fault
from modelrelease.domain.gate import Absolute, Cost, Gate, Matcher, Mean, Metric, Quantile, Ratio, Series, Value
from modelrelease.domain.release import Fault
from modelrelease.metrics import compose
from modelrelease.metrics.promql import TemplateError


@lru_cache(maxsize=4096)
def query_faults(metric: Metric, arm: tuple[Matcher, ...], where: str) -> tuple[Fault, ...]:
    """What keeps a template from being asked, with the field and the position in it; () when nothing does."""
    found = tuple(_matcher_faults(metric, arm, where))
    if found:
        return found
    try:
        compose.check(Gate("check", metric, Absolute(), arm))
    except TemplateError as error:
        field = f"{where}.metric.value.query" if isinstance(metric, Value) else where
        return (fault(_placed(field, error), error.reason),)
    return ()


def _matcher_faults(metric: Metric, arm: tuple[Matcher, ...], where: str) -> Iterator[Fault]:
    for path, matchers in matchers_of(metric, arm, where):
        for index, matcher in enumerate(matchers):
            field = f"{path}[{index}].value"
            try:
                compose.check_matcher(matcher, field)
            except TemplateError as error:
                yield fault(_placed(field, error), error.reason)


def matchers_of(metric: Metric, arm: tuple[Matcher, ...], where: str) -> list[tuple[str, tuple[Matcher, ...]]]:
    """Each series' own matchers and then the arm's, with the field that holds them."""
    own = [(f"{where}.metric.{path}.matchers", series.matchers) for path, series in series_of(metric)]
    return [*own, (f"{where}.arm", arm)]


def series_of(metric: Metric) -> tuple[tuple[str, Series], ...]:
    """The series of a metric, each with its field below `metric`; none of a value."""
    match metric:
        case Ratio(bad=bad, total=total, apart=apart):
            return (("ratio.bad", bad), ("ratio.good" if apart else "ratio.total", total))
        case Quantile(buckets=buckets):
            return (("quantile.buckets", buckets),)
        case Mean(total=total, count=count):
            return (("mean.sum", total), ("mean.count", count))
        case Cost(cost=cost, units=units):
            return (("cost.cost", cost), ("cost.units", units))
        case Value():
            return ()
        case _:
            assert_never(metric)


def _placed(field: str, error: TemplateError) -> str:
    return field if error.position is None else f"{field}, character {error.position + 1}"
