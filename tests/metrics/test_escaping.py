"""Whatever a label value, a name or a namespace holds, a query says what its template says and nothing else."""

from __future__ import annotations

import re

import promql_parser as ast
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrelease.domain.gate import Gate, Matcher, MatchOp, Value
from modelrelease.metrics import batch, compose, joining, promql
from modelrelease.metrics.answers import RawSeries
from modelrelease.metrics.batch import Feed, Shape
from modelrelease.metrics.compose import Part
from modelrelease.metrics.ledger import Side
from tests.metrics.builders import BY_SERVICE, absolute, ratio_gate

NASTY = "\"'`\\\n\r\t{}[]()|.*+?^$#,=~!-/ aß字\U0001f600\x7f\x1b\u2028"
nasty = st.one_of(
    st.text(NASTY, min_size=1, max_size=12),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12),
    st.sampled_from(
        [
            'x"} or up{a="',
            'x"}[5m]) or vector(1) #',
            "x\\",
            'x\\"',
            "x\n}",
            "${service}",
            "${namespace}",
            ".*",
            "a|b",
            "(",
            "[",
            "$1",
            "\\Q",
            "{{.Values}}",
            '", namespace="kube-system',
        ]
    ),
)

TEMPLATES = (
    'max(drift{model="${model}",pod=~"${service}-.+"})',
    'sum(a{s="${service}"}) / sum(rate(b{m!="${model}"}[5m]))',
)


def matchers_of(query: str) -> list[tuple[str, list[Matcher]]]:
    return [(name, list(matchers)) for name, matchers, _ in promql.selectors(query, "query")]


@given(nasty, nasty, nasty)
def test_a_raw_query_has_the_matchers_of_its_template_and_the_forced_namespace(
    namespace: str, service: str, model: str
) -> None:
    values = {"namespace": namespace, "service": service, "model": model}
    forced = Matcher("namespace", MatchOp.EQUAL, namespace)
    pods = Matcher("pod", MatchOp.REGEX, compose.fill("${service}-.+", values, "pod", escape=compose.name_regex))
    wanted: list[list[tuple[str, list[Matcher]]]] = [
        [("drift", [Matcher("model", MatchOp.EQUAL, model), pods, forced])],
        [
            ("a", [Matcher("s", MatchOp.EQUAL, service), forced]),
            ("b", [Matcher("m", MatchOp.NOT_EQUAL, model), forced]),
        ],
    ]
    for template, expected in zip(TEMPLATES, wanted, strict=True):
        asked = compose.value_query(Value(template), values, namespace=namespace, namespace_label="namespace")
        assert matchers_of(asked.query) == expected
        assert sorted(matchers_of(asked.newest), key=str) == sorted(expected, key=str)
        assert shape(asked.query) == shape(compose.value_query(Value(template), PLAIN, **SHOP).query)
    assert re.fullmatch(pods.value, f"{service}-x", re.DOTALL)


PLAIN = {"namespace": "shop", "service": "chat", "model": "m"}
SHOP = {"namespace": "shop", "namespace_label": "namespace"}


def shape(query: str) -> list[str]:
    """The kinds of all parts of a query, without their texts."""
    found: list[str] = []

    def note(node: object) -> bool:
        found.append(type(node).__name__)
        return True

    ast.walk(ast.parse(query), note)
    return found


@given(st.lists(st.tuples(nasty, nasty), min_size=1, max_size=6))
def test_many_releases_in_one_query_keep_its_matchers(names: list[tuple[str, str]]) -> None:
    gate = ratio_gate()
    (_, series), *_ = compose.parts(gate)
    values = [{"namespace": namespace, "service": service} for namespace, service in names]
    selectors = [compose.select(series, BY_SERVICE, one) for one in values]
    node = ast.parse(batch.merge(selectors))
    assert (node.name, [one.name for one in node.matchers.matchers]) == (series.name, ["namespace", "service"])
    for one in values:
        for matcher in node.matchers.matchers:
            equal = str(matcher.op).endswith("Equal")
            text = one[matcher.name]
            assert text == matcher.value if equal else re.fullmatch(matcher.value, text, re.DOTALL)


class Nobody:
    batch = 1


@given(st.lists(st.tuples(nasty, nasty), min_size=2, max_size=6, unique=True))
def test_an_answer_reaches_only_the_release_that_it_is_of(names: list[tuple[str, str]]) -> None:
    (_, series), *_ = compose.parts(ratio_gate())
    shared, feeds = Shape(), []
    for namespace, service in names:
        selector = compose.select(series, BY_SERVICE, {"namespace": namespace, "service": service})
        feeds.append(Feed(selector, Nobody(), 0, Side.CANDIDATE, Part.TOTAL))
        shared.add(feeds[-1])
    rows = [
        RawSeries({"__name__": series.name, "namespace": namespace, "service": service}, ((1.0, 1.0),))
        for namespace, service in names
    ]
    shared.deliver(rows, 1)
    for feed, row in zip(feeds, rows, strict=True):
        assert [found for _, found in feed.inbox] == [row]


@given(st.lists(nasty, min_size=2, max_size=5))
def test_joined_queries_stay_within_their_own_namespaces(namespaces: list[str]) -> None:
    texts = [
        compose.value_query(
            Value(TEMPLATES[0]), {**PLAIN, "model": one}, namespace=one, namespace_label="namespace"
        ).query
        for one in namespaces
    ]
    found = matchers_of(joining.join(texts))
    assert [matchers[-1] for _, matchers in found] == [Matcher("namespace", MatchOp.EQUAL, one) for one in namespaces]


@pytest.mark.parametrize(
    "written",
    [
        'max(drift{namespace="kube-system"})',
        'max(drift{namespace=~".*"})',
        'max(drift{namespace!=""})',
        "max(drift) or max(drift offset 5m)",
        "max_over_time(sum(rate(drift[1m]))[5m:30s])",
        "drift unless on () other",
    ],
)
def test_the_forced_namespace_is_in_every_selector_whatever_the_template_says(written: str) -> None:
    query = compose.value_query(Value(written), PLAIN, **SHOP).query
    for _, matchers in matchers_of(query):
        assert matchers[-1] == Matcher("namespace", MatchOp.EQUAL, "shop")


@given(nasty)
def test_a_gate_composes_or_is_refused_but_never_asks_for_something_else(text: str) -> None:
    gate = Gate("g", Value(f"max(drift{{model={promql.quote(text)}}})"), absolute())
    try:
        compose.check(gate)
    except promql.TemplateError:
        assert "${" in text
        return
    asked = compose.value_query(gate.metric, PLAIN, **SHOP)  # type: ignore[arg-type]
    assert len(matchers_of(asked.query)) == 1
