"""Narrow the matches of an HTTPRoute rule to a segment, and say when that would take requests from another rule.

Gateways do not try rules in their order: the more specific match wins (exact path, longest prefix, method, number of
headers, number of query parameters), and only a tie goes to the earlier rule (Gateway API, HTTPRouteRule.matches). So a
narrowed copy of a rule can beat a rule that its original lost to. Leaving that to the users was rejected: it would
silently move requests of rules that are not ours (S10).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelrelease.domain.release import Fault
from modelrelease.domain.traffic import HeaderMatch, Segment

Match = Mapping[str, Any]

_ANY_PATH = {"type": "PathPrefix", "value": "/"}


class NotExact(Exception):
    """A match holds a regular expression on a header or query parameter that a segment wants to fix."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One rule as the precedence check sees it: its name, its place, its matches, and whether it gets segments too."""

    name: str
    index: int
    matches: Sequence[Match]
    steered: bool


def matches_of(rule: Mapping[str, Any]) -> Sequence[Match]:
    """The matches of a rule; none written means every path."""
    found: Sequence[Match] = rule.get("matches") or ({"path": dict(_ANY_PATH)},)
    return found


def narrow(match: Match, segment: Segment) -> dict[str, Any] | None:
    """`match` and the segment's conditions together; None when no request can satisfy both. Raises NotExact."""
    if segment.method and match.get("method") not in (None, segment.method):
        return None
    headers = _join(match.get("headers") or (), segment.headers, fold=True)
    query = _join(match.get("queryParams") or (), segment.query, fold=False)
    if headers is None or query is None:
        return None
    result = dict(match)
    if headers:
        result["headers"] = headers
    if query:
        result["queryParams"] = query
    if segment.method:
        result["method"] = segment.method
    return result


def narrowed(matches: Iterable[Match], segment: Segment) -> list[dict[str, Any]]:
    """The matches that can be narrowed to the segment; empty when the rule never sees its requests."""
    return [result for match in matches if (result := narrow(match, segment)) is not None]


def order_fault(segments: Sequence[Segment], matches: Sequence[Match] = ({},)) -> Fault | None:
    """Find a segment that a gateway prefers to one declared before it, for requests that belong to both."""
    for late, segment in enumerate(segments):
        for early in segments[:late]:
            if any(
                _overlap(first, second) and _specificity(second) > _specificity(first)
                for match in matches
                for first in narrowed((match,), early)
                for second in narrowed((match,), segment)
            ):
                message = (
                    f"segment {segment.name} is more specific than {early.name}, which is declared before it, and "
                    f"gateways prefer the more specific match: declare {segment.name} before {early.name}"
                )
                return Fault("SegmentOrder", message)
    return None


def theft_fault(contenders: Sequence[Contender], segments: Sequence[Segment]) -> Fault | None:
    """Find a segment whose narrowed rule would win requests that another rule wins now."""
    for rule in contenders:
        for other in contenders:
            if not rule.steered or other.index == rule.index:
                continue
            for segment in segments:
                if _steals(rule, other, segment):
                    message = (
                        f"segment {segment.name} of rule {rule.name} would take requests from rule {other.name}: steer "
                        f"{other.name} as well (spec.traffic.routes[].rules), or give it a match that is more specific"
                    )
                    return Fault("SegmentTakesRequests", message)
    return None


def _steals(rule: Contender, other: Contender, segment: Segment) -> bool:
    for match in rule.matches:
        for late in narrowed((match,), segment):
            for lost in other.matches:
                if _path(match) != _path(lost) or not _overlap(late, lost) or _wins(rule, match, other, lost):
                    continue
                defended = narrowed((lost,), segment) if other.steered else [lost]
                if any(_wins(rule, late, other, defence) for defence in defended):
                    return True
    return False


def _wins(rule: Contender, match: Match, other: Contender, against: Match) -> bool:
    mine, theirs = _specificity(match), _specificity(against)
    return mine > theirs or (mine == theirs and rule.index < other.index)


def _specificity(match: Match) -> tuple[bool, int, int]:
    return (bool(match.get("method")), len(match.get("headers") or ()), len(match.get("queryParams") or ()))


def _path(match: Match) -> tuple[str, str]:
    path = match.get("path") or _ANY_PATH
    return (path.get("type") or "PathPrefix", path.get("value") or "/")


def _overlap(left: Match, right: Match) -> bool:
    """Whether a request can satisfy both, paths apart; a regular expression may match anything."""
    if left.get("method") and right.get("method") and left["method"] != right["method"]:
        return False
    for field, fold in (("headers", True), ("queryParams", False)):
        theirs = {_name(item, fold): item for item in right.get(field) or ()}
        for item in left.get(field) or ():
            twin = theirs.get(_name(item, fold))
            if twin and _exact(item) and _exact(twin) and item.get("value") != twin.get("value"):
                return False
    return True


def _join(have: Iterable[Match], want: Iterable[HeaderMatch], *, fold: bool) -> list[dict[str, Any]] | None:
    result = [dict(item) for item in have]
    by_name = {_name(item, fold): item for item in result}
    for condition in want:
        twin = by_name.get(condition.name.lower() if fold else condition.name)
        if twin is None:
            result.append({"type": "Exact", "name": condition.name, "value": condition.value})
        elif not _exact(twin):
            raise NotExact(condition.name)
        elif twin.get("value") != condition.value:
            return None
    return result


def _name(item: Match, fold: bool) -> str:
    name = str(item.get("name", ""))
    return name.lower() if fold else name


def _exact(item: Match) -> bool:
    return bool(item.get("type", "Exact") == "Exact")
