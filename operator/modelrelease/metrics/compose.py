"""From a gate and the values of a place to selectors: which series are the candidate's, which are stable's.

Pure. It must not know Prometheus' HTTP interface or how queries are merged. Rejected: templates as PromQL text with
the arm pasted in; a label value could then change the query's meaning.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import assert_never

from modelrelease.domain.gate import Cost, Gate, Matcher, MatchOp, Mean, Quantile, Ratio, Series, Value
from modelrelease.metrics import arm_regex, promql
from modelrelease.metrics.promql import LABEL_NAME, METRIC_NAME, TemplateError

PER_RULE = frozenset({"rule", "ruleIndex", "segment", "backendIndex"})
"""Placeholders that differ between the rules of one route; a gate that uses one is counted per segment."""

PER_UNIT = frozenset({"revision", "version", "digest", "backendIndex", "canary"})
"""Placeholders that differ between two units although one Service serves both."""

CANARY = "canary"
"""`<namespace>-<service>-<port>` on the candidate and empty on stable: how ingress-nginx labels who answered."""

PLACEHOLDERS = PER_RULE | {
    CANARY,
    "namespace",
    "release",
    "route",
    "service",
    "serviceNamespace",
    "port",
    "revision",
    "version",
    "digest",
    "model",
}
"""All placeholders, written `${name}` in matcher values."""

_SEPARATORS = re.compile(r"[-.]+")
_PLACEHOLDER = re.compile(r"\$\{([^{}\"'`]*)\}?")
MAY_BE_EMPTY = frozenset({"segment", CANARY})
"""The segment of the rule itself is empty, and an empty value matches series without that label."""

_POSITIVE = (MatchOp.EQUAL, MatchOp.REGEX)


class Part(IntEnum):
    """The role of a series in its metric: what is added up as `bad`, as `total`, or as buckets."""

    TOTAL = 0
    BAD = 1
    BUCKETS = 2


@dataclass(frozen=True, slots=True)
class Slot:
    """One matcher after filling. `variable`: it held a placeholder, so it differs between releases."""

    matcher: Matcher
    variable: bool


@dataclass(frozen=True, slots=True)
class Selector:
    """The series of one part of one arm: metric name and filled matchers, in the template's order."""

    name: str
    slots: tuple[Slot, ...]

    def __str__(self) -> str:
        return promql.print_selector(self.name, tuple(slot.matcher for slot in self.slots))


@dataclass(frozen=True, slots=True)
class ValueQuery:
    """A Value gate's query, and one that gives the time of the newest sample of its most outdated selector."""

    query: str
    newest: str


def parts(gate: Gate) -> tuple[tuple[Part, Series], ...]:
    """The series of a gate's metric by role; empty for Value."""
    match gate.metric:
        case Ratio(bad=bad, total=good, apart=True):
            return ((Part.TOTAL, good), (Part.TOTAL, bad), (Part.BAD, bad))
        case Ratio(bad=bad, total=total):
            return ((Part.TOTAL, total), (Part.BAD, bad))
        case Quantile(buckets=buckets):
            return ((Part.BUCKETS, buckets),)
        case Mean(total=total, count=count):
            return ((Part.TOTAL, count), (Part.BAD, total))
        case Cost(cost=cost, units=units):
            return ((Part.TOTAL, units), (Part.BAD, cost))
        case Value():
            return ()
        case _:
            assert_never(gate.metric)


def denominator(gate: Gate) -> tuple[tuple[Part, Series], ...]:
    """Only what counts events: the part that samples and split are read from."""
    return tuple((part, series) for part, series in parts(gate) if part is not Part.BAD)


def paired(gate: Gate) -> frozenset[Part]:
    """Parts that must not end while the other goes on: a sum says nothing without its count, nor a count without it.

    A counter of bad events alone may be hidden until there is one.
    """
    match gate.metric:
        case Mean() | Cost():
            return frozenset({Part.TOTAL, Part.BAD})
        case Ratio(apart=False) as ratio if ratio.bad.name != ratio.total.name:
            return frozenset({Part.TOTAL})
        case _:
            return frozenset()


def per_rule(gate: Gate) -> bool:
    """Whether the gate tells route rules apart, by a placeholder that differs between them."""
    texts = [matcher.value for matcher in gate.arm]
    texts += [matcher.value for _, series in parts(gate) for matcher in series.matchers]
    return any(name in PER_RULE for text in texts for name in _PLACEHOLDER.findall(text))


def tells_units_apart(gate: Gate) -> bool:
    """Whether the gate tells two units apart that one Service serves, by a placeholder that differs between them."""
    if isinstance(gate.metric, Value):
        return any(name in PER_UNIT for name in _PLACEHOLDER.findall(gate.metric.query))
    return all(
        any(name in PER_UNIT for text in texts for name in _PLACEHOLDER.findall(text))
        for texts in ([matcher.value for matcher in (*gate.arm, *series.matchers)] for _, series in parts(gate))
    )


def arms(candidate: Mapping[str, str], stable: Mapping[str, str]) -> tuple[Mapping[str, str], ...]:
    """The placeholder values of the arms that exist, candidate first, with what follows from the others filled in."""
    upstream = [candidate.get(name, "") for name in ("serviceNamespace", "service", "port")]
    ours = {CANARY: "-".join(upstream), **candidate} if all(upstream) else candidate
    return (ours, {CANARY: "", **stable}) if stable else (ours,)


def check_matcher(matcher: Matcher, field: str) -> None:
    """Refuse a matcher that no selector can be made from. Raises TemplateError with the position in its value."""
    slot = _slot(matcher, dict.fromkeys(PLACEHOLDERS, "x"), field)
    if slot.matcher.op in (MatchOp.REGEX, MatchOp.NOT_REGEX):
        promql.check_regex(slot.matcher.value, matcher.value, field)


def check(gate: Gate) -> None:
    """Refuse a gate that no query can be made from, whatever its values. Raises TemplateError."""
    probe = dict.fromkeys(PLACEHOLDERS, "x")
    if isinstance(gate.metric, Value):
        value_query(gate.metric, probe, namespace="x", namespace_label="namespace")
        return
    if not gate.arm:
        raise TemplateError("arm", "without an arm matcher nothing tells the candidate from stable")
    for _, series in parts(gate):
        selector = select(series, gate.arm, probe)
        matchers = tuple(slot.matcher for slot in selector.slots)
        promql.verify_range(f"{selector}[60s]", selector.name, matchers)


def select(series: Series, arm: tuple[Matcher, ...], values: Mapping[str, str]) -> Selector:
    """Fill a series' own matchers and the arm's. Raises TemplateError."""
    if METRIC_NAME.fullmatch(series.name) is None:
        raise TemplateError("series", f"{series.name!r} is not a metric name")
    slots = [_slot(matcher, values, f"{series.name}.matchers.{matcher.label}") for matcher in series.matchers]
    slots += [_slot(matcher, values, f"arm.{matcher.label}") for matcher in arm]
    return Selector(series.name, tuple(dict.fromkeys(slots)))


def value_query(metric: Value, values: Mapping[str, str], *, namespace: str, namespace_label: str) -> ValueQuery:
    """Fill a raw query's matchers and force the namespace into every selector. Raises TemplateError."""
    field = "query"
    forced = Matcher(namespace_label, MatchOp.EQUAL, namespace)
    newest: list[str] = []

    def change(_: str, matchers: promql.Matchers) -> promql.Matchers:
        filled = [
            _slot(matcher, values, f"{field}, matcher {matcher.label}").matcher
            for matcher in matchers
            if matcher != forced
        ]
        return (*filled, forced)

    for placeholder in _PLACEHOLDER.finditer(metric.query):
        _check_placeholder(placeholder, field)
    found = promql.selectors(metric.query, field)
    if promql.is_range(metric.query, field):
        reason = "the query gives a range of samples and one is meant; put a function around it, such as avg_over_time"
        raise TemplateError(field, reason)
    if not found:
        raise TemplateError(field, "the query reads no series, so nothing would show that its data is old; select one")
    _refuse_loose_placeholders(metric.query, [matcher for _, matchers, _ in found for matcher in matchers], field)
    query = promql.rewrite(metric.query, change, field)
    for name, matchers, present in found:
        if present and name:
            newest.append(f"max(timestamp({promql.print_selector(name, change(name, matchers))}))")
    if not newest:
        reason = "every selector has an offset or @, so nothing in the query is about now; take it off one of them"
        raise TemplateError(field, reason)
    distinct = [f'label_replace({one}, "selector", "{index}", "", "")' for index, one in enumerate(newest)]
    composed = ValueQuery(query, f"min({' or '.join(distinct)})")
    promql.parse(composed.query, field)
    promql.parse(composed.newest, field)
    return composed


def _slot(matcher: Matcher, values: Mapping[str, str], field: str) -> Slot:
    if LABEL_NAME.fullmatch(matcher.label) is None or matcher.label == "__name__":
        raise TemplateError(field, f"{matcher.label!r} cannot be matched on; write a label name")
    regex = matcher.op in (MatchOp.REGEX, MatchOp.NOT_REGEX)
    filled = fill(matcher.value, values, field, escape=name_regex if regex else str)
    variable = filled != matcher.value or _PLACEHOLDER.search(matcher.value) is not None
    if regex and variable and matcher.op in _POSITIVE:
        arm_regex.check(matcher.value, field)
    return Slot(Matcher(matcher.label, matcher.op, filled), variable)


def fill(text: str, values: Mapping[str, str], field: str, *, escape: Callable[[str], str]) -> str:
    """Replace each `${name}`. Raises TemplateError for unknown, unclosed, or empty ones."""

    def one(found: re.Match[str]) -> str:
        _check_placeholder(found, field)
        name, at = found.group(1), found.start()
        value = values.get(name, "")
        if not value and not (name in MAY_BE_EMPTY and name in values):
            raise TemplateError(field, f"${{{name}}} has no value for this release", position=at)
        return escape(value)

    return _PLACEHOLDER.sub(one, text)


def _check_placeholder(found: re.Match[str], field: str) -> None:
    if not found.group().endswith("}"):
        raise TemplateError(field, "`${` without a closing `}`", position=found.start())
    if found.group(1) not in PLACEHOLDERS:
        known = ", ".join(sorted(PLACEHOLDERS))
        raise TemplateError(field, f"unknown placeholder {found.group()}; known are {known}", position=found.start())


def name_regex(name: str) -> str:
    """A name inside a regex. Gateways that build one name from several (Traefik) write `.` and `--` as one `-`."""
    pieces = _SEPARATORS.split(name)
    if pieces == name.split("-"):
        return promql.regex_escape(name)
    return "[-.]+".join(map(promql.regex_escape, pieces))


def _refuse_loose_placeholders(query: str, matchers: list[Matcher], field: str) -> None:
    inside = sum(len(_PLACEHOLDER.findall(matcher.value)) for matcher in matchers)
    named = list(_PLACEHOLDER.finditer(query))
    if len(named) > inside:
        literals = promql.matcher_literals(query)
        loose = (one.start() for one in named if not any(begin < one.start() < end for begin, end in literals))
        reason = "placeholders may stand only inside the value of a label matcher"
        raise TemplateError(field, reason, position=next(loose, None))
    for one in named:
        if one.group(1) in PER_RULE:
            reason = (
                f"{one.group()} differs between the rules of a route, and a value is one figure for all of them; leave "
                "it out, or use a ratio, quantile, mean or cost"
            )
            raise TemplateError(field, reason, position=one.start())
