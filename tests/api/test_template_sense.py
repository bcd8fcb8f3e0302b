"""Templates that could be asked but would pass every release, or revert every one, are refused with the mend."""

from __future__ import annotations

from typing import Any

import pytest

from modelrelease.api.gatetemplate import Template, template_of

ARM = [{"label": "namespace", "value": "${namespace}"}, {"label": "service", "value": "${service}"}]


def series(name: str, *matchers: tuple[str, str, str]) -> dict[str, Any]:
    return {"name": name, "matchers": [{"label": label, "op": op, "value": value} for label, op, value in matchers]}


def template(
    metric: str, arm: list[dict[str, str]] | None = None, unit: str | None = None, **parts: Any
) -> dict[str, Any]:
    return {"metric": {metric: parts}, "arm": arm or ARM, **({"unit": unit} if unit else {})}


ALL = series("r_total")
FAILED = series("r_total", ("code", "Regex", "5.."))
BUCKETS = {"buckets": series("latency_seconds_bucket"), "q": "0.95"}

# spec → field, what is wrong and what to write
SENSELESS: dict[str, tuple[dict[str, Any], str, str]] = {
    "every event is bad": (template("ratio", bad=ALL, total=ALL), "ratio.bad.matchers", "every event is bad"),
    "good is bad": (template("ratio", bad=FAILED, good=FAILED), "ratio.bad.matchers", "all that good selects"),
    "a regex without op": (
        template("ratio", bad=series("r_total", ("code", "Equal", "5..")), total=ALL),
        *("ratio.bad.matchers[0].value", "'5..' is a regular expression"),
    ),
    "alternatives without op": (
        template("ratio", bad=series("r_total", ("code", "Equal", "500|503")), total=ALL),
        *("ratio.bad.matchers[0].value", "write op: Regex or NotRegex"),
    ),
    "two codes at once": (
        template("ratio", bad=series("r_total", ("code", "Equal", "500"), ("code", "Equal", "503")), total=ALL),
        *("ratio.bad.matchers", "label code is to be 500 and 503 at once"),
    ),
    "another service than the arm's": (
        template("ratio", bad=series("r_total", ("service", "Equal", "x")), total=ALL),
        *("ratio.bad.matchers", "label service is to be x and ${service} at once"),
    ),
    "total without the bad": (
        template("ratio", bad=FAILED, total=series("r_total", ("code", "Equal", "200"))),
        *("ratio.total.matchers", "write good instead of total"),
    ),
    "a shell's placeholder": (
        template("ratio", bad=FAILED, total=ALL, arm=[*ARM, {"label": "pod", "value": "$release"}]),
        *("spec.arm[2].value", "write ${release}"),
    ),
    "a chart's placeholder": (
        template("ratio", bad=FAILED, total=ALL, arm=[*ARM, {"label": "pod", "value": "{{ .model }}"}]),
        *("spec.arm[2].value", "write ${model}"),
    ),
    "everybody but the arm": (
        template("ratio", bad=FAILED, total=ALL, arm=[{"label": "service", "op": "NotEqual", "value": "${service}"}]),
        *("spec.arm", "select everybody else"),
    ),
    "a recorded rate": (
        template("ratio", bad=series("job:failed:rate5m"), total=series("job:all:sum_rate5m")),
        *("ratio.bad.name", "name the counter itself"),
    ),
    "all buckets as events": (
        template("ratio", bad=series("l_bucket"), total=series("l_count")),
        *("ratio.bad.matchers", "match one le"),
    ),
    "no buckets": (
        template("quantile", buckets=series("latency_seconds_count"), q="0.95"),
        *("quantile.buckets.name", "latency_seconds_bucket"),
    ),
    "one bucket": (
        template("quantile", buckets=series("l_bucket", ("le", "Equal", "0.5")), q="0.95"),
        *("quantile.buckets.matchers[0]", "take the matcher on le out"),
    ),
    "sum and count exchanged": (
        template("mean", sum=series("s_count"), count=series("s_sum")),
        *("metric.mean", "are exchanged"),
    ),
    "a mean of one": (template("mean", sum=ALL, count=ALL), "mean.count", "always 1"),
    "a cost of one": (template("cost", cost=ALL, units=ALL), "cost.units", "always costs 1"),
    "milliseconds of seconds": (template("quantile", unit="ms", **BUCKETS), "spec.unit", "write s, and bounds in it"),
}


@pytest.mark.parametrize("case", SENSELESS)
def test_a_template_that_cannot_be_meant_is_refused(case: str) -> None:
    spec, field, words = SENSELESS[case]
    found = template_of(spec, "mine")
    assert not isinstance(found, Template)
    assert found[0].message.startswith("GateTemplate mine: spec.")
    assert field in found[0].message
    assert words in found[0].message


@pytest.mark.parametrize(
    "spec",
    [
        template("ratio", bad=FAILED, total=ALL),
        template(
            "ratio", bad=series("r_total", ("code", "Equal", "500")), good=series("r_total", ("code", "Equal", "200"))
        ),
        template(
            "ratio", bad=series("l_bucket", ("le", "Equal", "0.5")), total=series("l_bucket", ("le", "Equal", "+Inf"))
        ),
        template("ratio", bad=series("job:failed:sum"), total=series("job:all:sum")),
        template(
            "ratio", bad=series("r_total", ("model", "Equal", "gpt-4.1"), ("path", "Equal", "/v1/[id]")), total=ALL
        ),
        template("ratio", bad=series("r_total", ("code", "Equal", "5xx")), total=ALL),
        template("ratio", bad=FAILED, total=series("r_total", ("code", "NotEqual", "404"))),
        template("quantile", unit="s", **BUCKETS),
        template("quantile", unit="points", **BUCKETS),
        template("quantile", buckets=series("svc:latency:sum"), q="0.5"),
        template("mean", sum=series("s_seconds_sum"), count=series("s_seconds_count"), unit="seconds"),
        template("ratio", bad=FAILED, total=ALL, arm=[*ARM, {"label": "namespace", "value": "${serviceNamespace}"}]),
        template(
            "ratio", bad=FAILED, total=ALL, arm=[*ARM, {"label": "pod", "op": "NotRegex", "value": "${service}-x"}]
        ),
    ],
)
def test_what_may_be_meant_is_not_refused(spec: dict[str, Any]) -> None:
    assert isinstance(template_of(spec, "mine"), Template)
