"""Wrong templates are refused before a release uses them: object, field, position, and what to write instead."""

from __future__ import annotations

from typing import Any

import pytest

from modelrelease.api import gatetemplate
from modelrelease.api.gatetemplate import Template, template_of
from modelrelease.domain.gate import Ratio, Series
from modelrelease.metrics import compose
from tests.builders import model_release

SERVICE = {"label": "service", "value": "${service}"}


def typed(*arm: dict[str, str], **matcher: str) -> dict[str, Any]:
    """A ratio with one matcher on its bad series."""
    bad = {"name": "requests_total", **({"matchers": [{"label": "code", **matcher}]} if matcher else {})}
    return {"metric": {"ratio": {"bad": bad, "total": {"name": "requests_total"}}}, "arm": [*(arm or (SERVICE,))]}


def value(query: str) -> dict[str, Any]:
    return {"metric": {"value": {"query": query}}}


def arm(value: str, op: str = "Regex") -> dict[str, str]:
    return {"label": "pod", "op": op, "value": value}


QUERY = "spec.metric.value.query"
BAD = "spec.metric.ratio.bad.matchers[0].value"

# spec → field, character (None: the whole field), what is wrong and what to write
WRONG: dict[str, tuple[dict[str, Any], str, int | None, str]] = {
    # typed metrics
    "placeholder in the arm": (typed(SERVICE, arm("x-${pod}")), "spec.arm[1].value", 3, "unknown placeholder ${pod}"),
    "placeholder that is not closed": (typed(SERVICE, arm("x-${service")), "spec.arm[1].value", 3, "a closing `}`"),
    "placeholder in a matcher": (typed(op="Equal", value="${status}"), BAD, 1, "known are backendIndex, canary"),
    "bracket in a matcher": (typed(op="Regex", value="5.(("), BAD, 4, "close each bracket"),
    "bracket in a negative matcher": (typed(op="NotRegex", value="5.["), BAD, 3, "close each bracket"),
    "slow regex in the arm": (typed(arm("(${service}+)+")), "spec.arm[0].value", 12, "only a single character or set"),
    "forms that only Go has": (typed(arm(r"${service}-\pL")), "spec.arm[0].value", 12, "may not use"),
    "too many alternatives": (typed(arm("${service}" + "|a" * 9)), "spec.arm[0].value", None, "at most 8 of `|`"),
    "name as a label": (typed({"label": "__name__", "value": "${service}"}), "spec.arm[0].value", None, "a label name"),
    "nothing tells the arms apart": (typed(arm("x")), "spec.arm", None, "add a matcher whose value has one of"),
    # raw PromQL
    "parenthesis": (value("sum(rate(a[5m])"), QUERY, 4, "unclosed left parenthesis; close it with `)`"),
    "braces": (value('max(a{b="c")'), QUERY, None, "not valid PromQL"),
    "two words": (value("max(a) b"), QUERY, 8, "`max(a)` is complete before it"),
    "dangling operator": (value("max(a) /"), QUERY, 8, "`max(a)` is complete before it"),
    "range that is missing": (value("sum(rate(a))"), QUERY, 5, "expected type matrix in call to function 'rate'"),
    "the second of two": (value("sum(rate(a[1m])) + sum(rate(b))"), QUERY, 24, "give it a range, such as [5m]"),
    "function": (value("average(a)"), QUERY, 1, "unknown function with name 'average'; write the name of a function"),
    "regex": (value('max(a{b=~"("})'), QUERY, None, "illegal regex"),
    "value without quotes": (value("max(a{b=c})"), QUERY, 9, "put the value in quotes"),
    "range instead of a sample": (value("a[5m]"), QUERY, None, "put a function around it, such as avg_over_time"),
    "no series": (value("vector(1)"), QUERY, None, "the query reads no series"),
    "only the past": (value("max(a offset 1h)"), QUERY, None, "take it off one of them"),
    "selector without a name": (value('max({b="c"})'), QUERY, 5, "needs a metric name in front of its braces"),
    "alternatives of matchers": (value('max(a{b="c" or d="e"})'), QUERY, 13, "use a regex matcher"),
    "series that no matcher bounds": (value("max(info(a))"), QUERY, 5, "info() reads series that no matcher can bound"),
    "unknown placeholder": (value('max(a{b="${nope}"})'), QUERY, 10, "unknown placeholder ${nope}"),
    "placeholder outside a matcher": (
        value('label_replace(a{b="${service}"}, "k", "${service}", "l", "")'),
        *(QUERY, 40, "only inside the value of a label matcher"),
    ),
    "placeholder of single rules": (
        value('max(a{b="${segment}"})'),
        QUERY,
        10,
        "a value is one figure for all of them",
    ),
    "arm beside a value": ({**value("max(a)"), "arm": [SERVICE]}, "spec.arm", None, "into the query instead"),
    # shape
    "two metrics": ({"metric": {**value("a")["metric"], **typed()["metric"]}}, "spec.metric", None, "exactly one of"),
    "total and good": (
        {"metric": {"ratio": {part: {"name": part} for part in ("bad", "total", "good")}}, "arm": [SERVICE]},
        *("spec.metric.ratio", None, "write either total or good"),
    ),
    "neither total nor good": (
        {"metric": {"ratio": {"bad": {"name": "bad"}}}, "arm": [SERVICE]},
        *("spec.metric.ratio", None, "write either total or good"),
    ),
    "selector as a name": (
        {"metric": {"ratio": {"bad": {"name": "a{b='c'}"}, "total": {"name": "a"}}}, "arm": [SERVICE]},
        *("spec.metric.ratio.bad.name", None, ""),
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_template_is_refused_with_field_position_and_mend(case: str) -> None:
    spec, field, character, words = WRONG[case]
    found = template_of(spec, "mine")
    assert isinstance(found, tuple), found
    place = f"GateTemplate mine: {field}"
    messages = [one.message for one in found if one.message.startswith(place)]
    assert messages, [one.message for one in found]
    if character is not None:
        assert messages[0].startswith(f"{place}, character {character}: "), messages[0]
    assert words in messages[0]


def test_all_faults_of_a_template_are_told_at_once() -> None:
    found = template_of(typed(arm("${a}"), arm("(("), op="Regex", value="["), "mine")
    assert isinstance(found, tuple)
    fields = [one.message.removeprefix("GateTemplate mine: ").partition(":")[0].partition(",")[0] for one in found]
    assert fields == ["spec.arm", BAD, "spec.arm[0].value", "spec.arm[1].value"]


def test_a_release_that_uses_a_wrong_template_says_so() -> None:
    from modelrelease.api.convert import release_of
    from tests.builders import TEMPLATES, gate

    templates = {**TEMPLATES, "drift": value("sum(a")}
    release = release_of(model_release(gates=[gate(template="drift")]), config_maps={}, templates=templates)
    assert [one.message.partition(": not")[0] for one in release.faults] == [
        "GateTemplate drift: spec.metric.value.query, character 4"
    ]


def test_a_server_that_counts_good_and_bad_events_apart() -> None:
    spec = {"metric": {"ratio": {"bad": {"name": "b"}, "good": {"name": "g"}, "absentBad": "Zero"}}, "arm": [SERVICE]}
    found = template_of(spec, "mine")
    assert isinstance(found, Template)
    assert found.metric == Ratio(Series("b"), Series("g"), apart=True, sparse=True)


def test_api_and_metrics_know_the_same_placeholders() -> None:
    assert set(gatetemplate.PLACEHOLDERS) == compose.PLACEHOLDERS
    assert set(gatetemplate.PER_RULE) == compose.PER_RULE
