"""Templates to selectors and queries: nothing that a template or a value says can leave its literal."""

from __future__ import annotations

import re

import promql_parser as ast
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrelease.domain.gate import Gate, Matcher, MatchOp, Ratio, Series, Value
from modelrelease.metrics import arm_regex, batch, compose, promql
from modelrelease.metrics.promql import TemplateError
from tests.metrics.builders import BY_SERVICE, ratio_gate

VALUES = dict.fromkeys(compose.PLACEHOLDERS, "x")
EVIL = 'x"} or up{a="'

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)


def value(query: str, **values: str) -> compose.ValueQuery:
    return compose.value_query(Value(query), {**VALUES, **values}, namespace="shop", namespace_label="namespace")


@given(texts)
def test_a_quoted_text_parses_back_to_itself(text: str) -> None:
    query = promql.print_selector("a", (Matcher("b", MatchOp.EQUAL, text),))
    assert ast.parse(query).matchers.matchers[0].value == text


@given(texts)
def test_an_escaped_text_is_matched_by_nothing_else(text: str) -> None:
    assert re.fullmatch(promql.regex_escape(text), text)
    promql.parse(promql.print_selector("a", (Matcher("b", MatchOp.REGEX, promql.regex_escape(text)),)), "test")


@given(texts, texts)
def test_values_never_leave_their_literal(service: str, model: str) -> None:
    series = Series("a", (Matcher("m", MatchOp.REGEX, ".*-${model}"),))
    selector = compose.select(
        series, (Matcher("s", MatchOp.EQUAL, "${service}"),), {"service": service, "model": model}
    )
    promql.verify_range(f"{selector}[5s]", "a", tuple(slot.matcher for slot in selector.slots))
    query = ast.parse(value('sum(a{s="${service}",m=~".*-${model}"})', service=service, model=model).query)
    assert [matcher.name for matcher in query.expr.matchers.matchers] == ["s", "m", "namespace"]
    assert query.expr.matchers.matchers[0].value == service


def test_a_raw_query_gets_the_namespace_in_every_selector() -> None:
    query = (
        'sum by (a) (rate(x{s="${service}"}[5m] offset 1h)) / on (a) group_left (b) y{namespace="other"} > bool -z ^ 2 '
        'or label_replace(max_over_time(rate(u[1m])[5m:30s] @ end()), "k", "$1", "l", "(.*)") unless v @ 12.5'
    )
    found = promql.selectors(value(query, service=EVIL).query, "query")
    assert len(found) == 5
    for _, matchers, _ in found:
        assert Matcher("namespace", MatchOp.EQUAL, "shop") in matchers


@pytest.mark.parametrize(
    ("query", "printed"),
    [
        ("a - b - c", "((a{} - b{}) - c{})"),
        ("a - (b - c)", "(a{} - ((b{} - c{})))"),
        ("-a ^ 2", "(-(a{} ^ 2.0))"),
        ("a and ignoring (x) b unless c or d", "(((a{} and ignoring (x) b{}) unless c{}) or d{})"),
        ("a == bool on (x) group_right (y) b", "(a{} == bool on (x) group_right (y) b{})"),
        ("topk(3, a) without (x)", "topk without (x) (3.0, a{})"),
        ('count_values("v\\"s", a)', 'count_values ("v\\"s", a{})'),
        ("quantile by (x) (0.9, a offset -5m)", "quantile by (x) (0.9, a{} offset -300000ms)"),
        ("rate(a_bucket[1h30m] @ start())", "rate(a_bucket{}[5400000ms] @ start())"),
        ("max_over_time(a[1h:])", "max_over_time(a{}[3600000ms:])"),
        ("vector(1e9) + a * 0x1F > -Inf", "((vector(1000000000.0) + (a{} * 31.0)) > -Inf)"),
    ],
)
def test_printing_keeps_the_meaning_of_a_query(query: str, printed: str) -> None:
    assert promql.rewrite(query, lambda _, matchers: matchers, "query") == printed
    promql.parse(printed, "query")


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("vector(1)", "reads no series"),
        ("a offset 5m", "nothing in the query is about now"),
        ("{a='b'}", "needs a metric name"),
        ("a{x='1' or y='2'}", "not supported"),
        ("info(a)", "no matcher can bound"),
        ("a{s='${nope}'}", "unknown placeholder"),
        ("a{s='${service'}", "without a closing"),
        ("label_replace(a, 'k', '${service}', 'l', '')", "only inside the value of a label matcher"),
        ("sum(a", "not valid PromQL"),
        ("a{s=~'('}", "not valid PromQL"),
        ("rate(a)", "not valid PromQL"),
    ],
)
def test_a_raw_query_that_cannot_be_bounded_is_refused(query: str, reason: str) -> None:
    with pytest.raises(TemplateError, match=reason):
        value(query)


def test_an_error_says_where() -> None:
    with pytest.raises(TemplateError) as caught:
        compose.select(Series("a"), (Matcher("s", MatchOp.EQUAL, "abc-${nope}"),), VALUES)
    assert (caught.value.field, caught.value.position) == ("arm.s", 4)
    assert str(caught.value).startswith("arm.s, character 5: unknown placeholder ${nope}")


def test_a_value_that_is_missing_is_refused_but_the_segment_may_be_empty() -> None:
    with pytest.raises(TemplateError, match="has no value"):
        compose.select(Series("a"), (Matcher("p", MatchOp.EQUAL, "${port}"),), {"port": ""})
    compose.select(Series("a"), (Matcher("s", MatchOp.EQUAL, "${segment}"),), {"segment": ""})


@pytest.mark.parametrize(
    ("pattern", "position"),
    [
        ("(a+)+", 4),
        ("a**", 2),
        ("a{2}{3}", 4),
        ("(?i)a", 1),
        ("[[:alpha:]]", 0),
        (r"\pL", 0),
        (r"(a)\1", 3),
        ("(a", 2),
        ("a)", 1),
        ("a.*b.*c.*", None),
        ("a|" * 9, None),
    ],
)
def test_arm_regexes_are_kept_simple(pattern: str, position: int | None) -> None:
    with pytest.raises(TemplateError) as caught:
        arm_regex.check(pattern, "arm")
    assert caught.value.position == position


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [("^.*-svc-x@k$", "-svc-x@k"), ("ab+c", "a"), (r"a\.b[0-9]{2}", "a.b"), ("a|bcd", ""), (".*", "")],
)
def test_the_hint_is_in_every_match(pattern: str, hint: str) -> None:
    arm_regex.check(pattern, "arm")
    assert arm_regex.literal_hint(pattern) == hint


def test_names_in_a_regex_match_what_a_gateway_makes_of_them() -> None:
    selector = compose.select(Series("a"), (Matcher("s", MatchOp.REGEX, "x-${route}-y"),), {"route": "my.ro--ute"})
    pattern = selector.slots[0].matcher.value
    for label in ("x-my-ro-ute-y", "x-my.ro--ute-y"):
        assert re.fullmatch(pattern, label)
    assert not re.fullmatch(pattern, "x-my-ro-utes-y")


def test_selectors_of_one_shape_become_alternations() -> None:
    selectors = [
        compose.select(Series("a", (Matcher("c", MatchOp.REGEX, "5.."),)), BY_SERVICE, {"namespace": n, "service": s})
        for n, s in (("n1", "s.1"), ("n1", "s|2"))
    ]
    assert batch.shape_of(selectors[0]) == batch.shape_of(selectors[1])
    assert batch.merge(selectors) == 'a{c=~"5..",namespace="n1",service=~"s\\\\.1|s\\\\|2"}'
    assert batch.merge(selectors[:1]) == 'a{c=~"5..",namespace="n1",service="s.1"}'


def test_long_batches_are_split() -> None:
    selectors = [
        compose.select(Series("a"), BY_SERVICE, {"namespace": f"team-{number:04}", "service": "chat-v2"})
        for number in range(1000)
    ]
    batches = batch.split(selectors, 1)
    assert sum(map(len, batches)) == 1000
    assert max(len(batch.merge(each)) for each in batches) < 1.2 * batch.MAX_QUERY_CHARS
    assert len(batch.split(selectors[:8], 4)) == 4


def test_a_gate_that_cannot_tell_arms_apart_is_refused() -> None:
    with pytest.raises(TemplateError, match="nothing tells the candidate from stable"):
        compose.check(ratio_gate(arm=()))
    with pytest.raises(TemplateError, match="cannot be matched on"):
        compose.check(ratio_gate(arm=(Matcher("__name__", MatchOp.EQUAL, "${service}"),)))
    with pytest.raises(TemplateError, match="not a metric name"):
        compose.check(ratio_gate(metric="a{}"))


ROUTED = {"namespace": "shop", "route": "chat", "serviceNamespace": "shop", "port": "8080"}
BY_CANARY = (Matcher("ingress", MatchOp.EQUAL, "${route}"), Matcher("canary", MatchOp.EQUAL, "${canary}"))


def test_the_canary_of_ingress_nginx_is_named_on_one_arm_and_empty_on_the_other() -> None:
    candidate, stable = compose.arms({**ROUTED, "service": "chat-v2"}, {**ROUTED, "service": "chat-v1"})
    texts = [str(compose.select(Series("a"), BY_CANARY, values)) for values in (candidate, stable)]
    assert texts == ['a{ingress="chat",canary="shop-chat-v2-8080"}', 'a{ingress="chat",canary=""}']
    (alone,) = compose.arms({**ROUTED, "service": "chat-v2"}, {})
    assert alone == candidate


def test_a_candidate_whose_canary_is_not_known_is_refused_because_it_would_read_stables_series() -> None:
    (candidate, _) = compose.arms({**ROUTED, "service": "chat-v2", "port": ""}, {**ROUTED, "service": "chat-v1"})
    with pytest.raises(TemplateError, match=r"\$\{canary\} has no value"):
        compose.select(Series("a"), BY_CANARY, candidate)


def test_events_that_are_counted_apart_are_bad_and_part_of_all() -> None:
    gate = ratio_gate()
    apart = Gate("g", Ratio(Series("failed"), Series("done"), apart=True), gate.rule, gate.arm)
    parts = [(part.name, series.name) for part, series in compose.parts(apart)]
    assert parts == [("TOTAL", "done"), ("TOTAL", "failed"), ("BAD", "failed")]
    assert [series.name for _, series in compose.denominator(apart)] == ["done", "failed"]
