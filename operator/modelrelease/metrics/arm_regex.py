"""The part of regex syntax that arm matchers may use: what RE2 and Python read alike, and in linear time.

Answers to merged queries are told apart here, so an arm's regex is matched by Python too; a template's author must
not be able to stop the operator with `(a+)+`. Rejected: all of Python's `re`, whose backtracking has no bound.
"""

import re
from functools import lru_cache

from modelrelease.metrics.promql import TemplateError

MAX_REPEATS = 2
MAX_ALTERNATIVES = 8

_TOKEN = re.compile(
    r"""
    (?P<escape>\\[dDwWsS.+*?()|\[\]{}^$\\/@:_-])
  | (?P<placeholder>\$\{[^}]*\})
  | (?P<set>\[\^?(?:[A-Za-z0-9_./:@ -]|\\[dws.\\\]\[^-])+\])
  | (?P<anchor>[\^$])
  | (?P<repeat>[*+?]|\{\d{1,3}(?:,\d{0,3})?\})
  | (?P<open>\((?:\?:)?)
  | (?P<close>\))
  | (?P<bar>\|)
  | (?P<any>\.)
  | (?P<literal>[^\\\[\](){}*+?|^$.])
    """,
    re.VERBOSE,
)
_EXACT = re.compile(r"\{\d+\}")
_REPEATABLE = ("escape", "set", "any", "literal")


def check(pattern: str, field: str) -> None:
    """Refuse a pattern outside the subset. Raises TemplateError with the position."""
    position, previous, depth, repeats, bars = 0, "", 0, 0, 0
    while position < len(pattern):
        found = _TOKEN.match(pattern, position)
        kind = found.lastgroup if found is not None else None
        if found is None or kind is None:
            reason = f"{pattern[position]!r} starts a form that arm regexes may not use"
            raise TemplateError(field, reason, position=position)
        if kind == "repeat":
            if previous not in _REPEATABLE:
                raise TemplateError(field, "only a single character or set may be repeated here", position=position)
            repeats += _EXACT.fullmatch(found.group()) is None
        bars += kind == "bar"
        depth += (kind == "open") - (kind == "close")
        if depth < 0:
            raise TemplateError(field, "`)` without `(`", position=position)
        position, previous = found.end(), kind
    if depth:
        raise TemplateError(field, "`(` without `)`", position=len(pattern))
    if repeats > MAX_REPEATS:
        raise TemplateError(field, f"at most {MAX_REPEATS} of `*`, `+`, `?` and `{{n,m}}` in an arm regex")
    if bars > MAX_ALTERNATIVES:
        raise TemplateError(field, f"at most {MAX_ALTERNATIVES} of `|` in an arm regex")


@lru_cache(maxsize=16384)
def compiled(pattern: str) -> re.Pattern[str]:
    """A checked pattern as Prometheus reads it: anchored at both ends by the caller's fullmatch, ASCII classes."""
    return re.compile(pattern, re.ASCII | re.DOTALL)


@lru_cache(maxsize=16384)
def literal_hint(pattern: str) -> str:
    """The longest text that every match must contain ("" when unsure): a cheap test before the regex."""
    if "|" in pattern.replace("\\|", ""):
        return ""
    runs, run = [], ""
    for found in _TOKEN.finditer(pattern):
        text, kind = found.group(), found.lastgroup
        if kind == "literal" or (kind == "escape" and not text[1].isalpha()):
            run += text[-1]
            continue
        if kind == "repeat" and run:
            run = run[:-1]
        runs.append(run)
        run = ""
    return max([*runs, run], key=len)
