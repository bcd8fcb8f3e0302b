"""Where in a query the parser's complaint is, and what to write instead.

promql-parser says what is wrong but rarely where, so the place is found here from its words, and where they name none,
as the end of the longest beginning that is PromQL by itself. Pure; only for people, nothing depends on it. Rejected:
a parser of our own for better messages; two parsers would one day disagree on what a query means.
"""

import re
from collections.abc import Iterator

import promql_parser as ast

REGEX_MEND = "escape what is meant as it is, such as `\\.` or `\\(`, and close each bracket"

_TOKEN = re.compile(r"""[A-Za-z_:][\w:.]*|\d[\w.]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|\S""", re.DOTALL)
_LITERAL = re.compile(r"""[{}]|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`""", re.DOTALL)
_NAMELESS = re.compile(r"(?:^|[^\w:\s])\s*(?=\{)")
_PLACES = (
    ("needs a metric name", _NAMELESS),
    ("`or` between", re.compile(r"\bor\b")),
    ("info()", re.compile(r"\binfo\b")),
)
_CLOSED = "unclosed left parenthesis"
_ENDS = ("unexpected end", "unclosed", "unterminated")
_MENDS = (
    ("expected type matrix", "give it a range, such as [5m]"),
    ("expected type vector", "take the range off, or put a function such as rate around it"),
    ("unknown function", "write the name of a function of Prometheus, in lower case"),
    ("illegal regex", REGEX_MEND),
    ("wrong number of arguments", "write all of its arguments"),
    ("expected string", 'put the value in quotes, as in {label="value"}; the operators are =, !=, =~ and !~'),
    ("inside braces", "close the braces with `}`"),
    (_CLOSED, "close it with `)`"),
    ("unexpected right", "remove it, or open it before"),
    ("set operator", "join two selectors, or compare with > or <"),
)


def explain(query: str, complaint: str) -> tuple[int | None, str]:
    """Position of the parser's complaint (None: it is about the whole), and the complaint with its mend."""
    mend = next((mend for words, mend in _MENDS if words in complaint), None)
    if mend is not None:
        return _named(query, complaint), f"{complaint}; {mend}"
    position = _end_of_sense(query)
    rest = query[position:].strip()
    if not rest:
        return len(query), f"{complaint}; something is missing at the end"
    before = f"`{_short(query[:position].strip()[-30:])}` is complete before it" if position else "nothing starts so"
    return position, f"{complaint} at `{_short(rest[:30])}`; {before}"


def locate(query: str, reason: str) -> int | None:
    """Where a form stands that PromQL allows and a gate does not."""
    for words, pattern in _PLACES:
        found = pattern.search(query) if words in reason else None
        if found is not None:
            return found.end() if words == _PLACES[0][0] else found.start()
    return None


def broken_regex(pattern: str) -> int | None:
    """The first character at which a regex stops making sense; None where all of it does, as Python sees it."""
    try:
        re.compile(pattern)
    except re.error as error:
        return error.pos
    return None


def literals(query: str, *, in_braces: bool = False) -> tuple[tuple[int, int], ...]:
    """Where string literals begin and end; only those inside braces where wanted."""
    return tuple(_literals(query, in_braces))


def _literals(query: str, in_braces: bool) -> Iterator[tuple[int, int]]:
    depth = 0
    for found in _LITERAL.finditer(query):
        if found.group() in "{}":
            depth += 1 if found.group() == "{" else -1
        elif depth > 0 or not in_braces:
            yield found.span()


def _named(query: str, complaint: str) -> int | None:
    if _CLOSED in complaint:
        return _unclosed(query)
    if any(words in complaint for words in _ENDS):
        return len(query)
    regex = complaint.partition("illegal regex for ")[2]
    words = [regex] if regex else re.findall(r"'([^']+)'", complaint)
    if "unexpected right" in complaint:
        return query.rindex(words[0]) if words and words[0] in query else None
    for word in words:
        places = [found.start() for found in re.finditer(re.escape(word), query)]
        if len(places) == 1:
            return places[0]
        if places:
            return next((at for at in places if _fails_alone(query, at, len(word))), _end_of_sense(query))
    return None


def _fails_alone(query: str, at: int, length: int) -> bool:
    """Whether the call that begins at `at` is refused by itself too."""
    depth = 0
    for index in range(at + length, len(query)):
        depth += (query[index] == "(") - (query[index] == ")")
        if depth == 0:
            try:
                ast.parse(query[at : index + 1])
            except ValueError:
                return query[at + length] == "("
            return False
    return False


def _unclosed(query: str) -> int | None:
    inside, open_at = literals(query), []
    for index, char in enumerate(query):
        if any(begin <= index < end for begin, end in inside):
            continue
        if char == "(":
            open_at.append(index)
        elif char == ")" and open_at:
            open_at.pop()
    return open_at[-1] if open_at else None


def _end_of_sense(query: str) -> int:
    """Where the first token after the longest beginning that is PromQL by itself starts; 0: there is none."""
    starts = [found.start() for found in _TOKEN.finditer(query)]
    for start in reversed(starts):
        try:
            ast.parse(query[:start])
        except ValueError:
            continue
        return start
    return 0


def _short(text: str) -> str:
    return text.replace("\n", " ")
