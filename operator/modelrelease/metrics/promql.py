"""PromQL as values: quoting, parsing, and printing an expression again with other matchers.

Everything that reaches Prometheus is parsed here first. It must not know gates or releases. Rejected: changing the
text of a query, or printing through promql-parser, whose `str()` leaves quotes inside label values unescaped (0.12)
and so would let a label value end its own literal.
"""

import math
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import promql_parser as ast

from modelrelease.domain.gate import Matcher, MatchOp
from modelrelease.metrics import promql_errors

METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

_ESCAPES = {"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t"}
_REGEX_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")
_HIDDEN_SELECTORS = frozenset({"info"})
_OPS = {
    "Equal": MatchOp.EQUAL,
    "NotEqual": MatchOp.NOT_EQUAL,
    "Re": MatchOp.REGEX,
    "NotRe": MatchOp.NOT_REGEX,
}

Matchers = tuple[Matcher, ...]
Rewrite = Callable[[str, Matchers], Matchers]


class TemplateError(ValueError):
    """A template that no query can be made from: `field` within the gate, `position` in its text where known."""

    def __init__(self, field: str, reason: str, *, position: int | None = None) -> None:
        self.field = field
        self.reason = reason
        self.position = position
        where = f"{field}, character {position + 1}" if position is not None else field
        super().__init__(f"{where}: {reason}")


def quote(value: str) -> str:
    """A label value as a PromQL string literal."""
    return '"' + "".join(_ESCAPES.get(char, char) for char in value) + '"'


def regex_escape(value: str) -> str:
    """Text that an RE2 regex matches as it is (like Go's QuoteMeta)."""
    return _REGEX_SPECIAL.sub(lambda found: "\\" + found.group(), value)


def print_selector(name: str, matchers: Matchers) -> str:
    """A metric name and matchers as PromQL text."""
    inside = ",".join(f"{matcher.label}{matcher.op.value}{quote(matcher.value)}" for matcher in matchers)
    return f"{name}{{{inside}}}"


def parse(query: str, field: str) -> Any:
    """Parse a query into promql-parser's AST. Raises TemplateError with the position."""
    try:
        return ast.parse(query)
    except ValueError as error:
        position, reason = promql_errors.explain(query, str(error))
        raise TemplateError(field, f"not valid PromQL: {reason}", position=position) from error


def check_regex(pattern: str, written: str, field: str) -> None:
    """Refuse a regex that Prometheus would; `written` is the pattern before it was filled. Raises TemplateError."""
    try:
        ast.parse(f"x{{a=~{quote(pattern)}}}")
    except ValueError as error:
        position = promql_errors.broken_regex(written)
        reason = f"not a regular expression that Prometheus reads; {promql_errors.REGEX_MEND}"
        raise TemplateError(field, reason, position=position) from error


def is_range(query: str, field: str) -> bool:
    """Whether a query gives many samples per series, as `up[5m]` does. Raises TemplateError."""
    node = parse(query, field)
    while isinstance(node, ast.ParenExpr):
        node = node.expr
    return isinstance(node, ast.MatrixSelector | ast.SubqueryExpr)


def gives_scalar(query: str) -> bool:
    """Whether a valid query gives a scalar instead of a vector, as `scalar(up)` does."""
    return _is_scalar(ast.parse(query))


def _is_scalar(node: Any) -> bool:
    match node:
        case ast.NumberLiteral():
            return True
        case ast.ParenExpr() | ast.UnaryExpr():
            return _is_scalar(node.expr)
        case ast.BinaryExpr():
            return _is_scalar(node.lhs) and _is_scalar(node.rhs)
        case ast.Call():
            return str(node.func.return_type).endswith("Scalar")
        case _:
            return False


def verify_range(query: str, name: str, matchers: Matchers) -> None:
    """Parse a composed range selector and check that it says what was meant. Raises TemplateError."""
    node = parse(query, name)
    if not isinstance(node, ast.MatrixSelector):
        raise TemplateError(name, f"composed query is not a range selector: {query}")
    if (node.vector_selector.name, sorted(_matchers_of(node.vector_selector), key=_order)) != (
        name,
        sorted(matchers, key=_order),
    ):
        raise TemplateError(name, f"composed query reads back differently: {query}")


def rewrite(query: str, change: Rewrite, field: str) -> str:
    """Print `query` again with the matchers of each selector replaced by `change(name, matchers)`.

    Raises TemplateError: not PromQL, a selector without a metric name, or a form that cannot be printed.
    """
    try:
        return _print(parse(query, field), change, field)
    except TemplateError as error:
        if error.position is not None or error.field != field:
            raise
        raise TemplateError(field, error.reason, position=promql_errors.locate(query, error.reason)) from error


def matcher_literals(query: str) -> tuple[tuple[int, int], ...]:
    """Where the string literals inside the braces of selectors begin and end."""
    return promql_errors.literals(query, in_braces=True)


def selectors(query: str, field: str) -> tuple[tuple[str, Matchers, bool], ...]:
    """Each selector of a query: name, matchers, and whether it looks at the present (no offset and no @)."""
    found: list[tuple[str, Matchers, bool]] = []

    def note(node: Any) -> bool:
        if isinstance(node, ast.VectorSelector):
            found.append((node.name or "", _matchers_of(node), node.offset is None and node.at is None))
        return True

    ast.walk(parse(query, field), note)
    return tuple(found)


def _order(matcher: Matcher) -> tuple[str, str, str]:
    return (matcher.label, matcher.op.value, matcher.value)


def _matchers_of(selector: Any) -> Matchers:
    return tuple(Matcher(m.name, _OPS[str(m.op).rpartition(".")[2]], m.value) for m in selector.matchers.matchers)


def _print(node: Any, change: Rewrite, field: str) -> str:
    def inner(child: Any) -> str:
        return _print(child, change, field)

    match node:
        case ast.VectorSelector():
            return _print_selector(node, change, field) + _modifiers(node)
        case ast.MatrixSelector():
            vector = node.vector_selector
            return f"{_print_selector(vector, change, field)}[{_duration(node.range)}]{_modifiers(vector)}"
        case ast.SubqueryExpr():
            step = _duration(node.step) if node.step is not None else ""
            return f"{inner(node.expr)}[{_duration(node.range or timedelta())}:{step}]{_modifiers(node)}"
        case ast.ParenExpr():
            return f"({inner(node.expr)})"
        case ast.UnaryExpr():
            return f"(-{inner(node.expr)})"
        case ast.BinaryExpr():
            return f"({inner(node.lhs)} {node.op}{_join(node.modifier, field)} {inner(node.rhs)})"
        case ast.AggregateExpr():
            param = f"{inner(node.param)}, " if node.param is not None else ""
            return f"{node.op}{_grouping(node.modifier)} ({param}{inner(node.expr)})"
        case ast.Call():
            if node.func.name in _HIDDEN_SELECTORS:
                raise TemplateError(field, f"{node.func.name}() reads series that no matcher can bound; leave it out")
            return f"{node.func.name}({', '.join(inner(arg) for arg in node.args)})"
        case ast.NumberLiteral():
            return _number(node.val)
        case ast.StringLiteral():
            return quote(node.val)
        case _:
            raise TemplateError(field, f"{type(node).__name__} is not supported here")


def _print_selector(node: Any, change: Rewrite, field: str) -> str:
    if node.matchers.or_matchers:
        raise TemplateError(field, "`or` between matchers is not supported; use a regex matcher")
    if node.name is None or METRIC_NAME.fullmatch(node.name) is None:
        raise TemplateError(field, f"selector {node} needs a metric name in front of its braces")
    return print_selector(node.name, change(node.name, _matchers_of(node)))


def _modifiers(node: Any) -> str:
    return "".join(_modifier_parts(node))


def _modifier_parts(node: Any) -> Iterator[str]:
    if node.at is not None:
        yield f" {node.at}"
    if node.offset is not None:
        sign = "-" if node.offset < timedelta(0) else ""
        yield f" offset {sign}{_duration(abs(node.offset))}"


def _join(modifier: Any, field: str) -> str:
    if modifier is None:
        return ""
    if modifier.fill_values.lhs is not None or modifier.fill_values.rhs is not None:
        raise TemplateError(field, "fill values are not supported")
    text = " bool" if modifier.return_bool else ""
    if modifier.matching is not None:
        word = "on" if str(modifier.matching.type).endswith("Include") else "ignoring"
        text += f" {word} ({', '.join(modifier.matching.labels)})"
    side = {"ManyToOne": "group_left", "OneToMany": "group_right"}.get(str(modifier.card).rpartition(".")[2])
    return f"{text} {side} ({', '.join(modifier.group_labels or ())})" if side else text


def _grouping(modifier: Any) -> str:
    if modifier is None:
        return ""
    word = "by" if str(modifier.type).endswith("By") else "without"
    return f" {word} ({', '.join(modifier.labels)})"


def _duration(span: timedelta) -> str:
    return f"{round(span / timedelta(milliseconds=1))}ms"


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return repr(value)
