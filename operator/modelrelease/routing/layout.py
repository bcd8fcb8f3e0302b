"""Lay out the owned rules of an HTTPRoute with two arms: what the list of rules shall be.

For each owned rule, one narrowed copy per segment directly in front of it, then the rule itself. Copies are made from
the rule as it stands, so that its filters, timeouts and matches stay people's to edit. Keeping a template of the rule
elsewhere was rejected: it would go stale, and undo such edits.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from modelrelease.domain.exposure import FULL_PERMILLE, REST
from modelrelease.domain.release import Release
from modelrelease.domain.traffic import Segment, Target
from modelrelease.domain.unit import UnitRef
from modelrelease.routing import backendrefs, matches
from modelrelease.routing.protocol import Refusal
from modelrelease.routing.rules import OwnedRule, Ownership, Role, segment_rule

RULE_LIMIT = 16
"""Most rules that the API allows in one HTTPRoute."""

MATCH_LIMIT = 128
"""Most matches that the API allows in all rules of one HTTPRoute together."""

Rule = dict[str, Any]

Shares = Callable[[OwnedRule, str], int]
"""The other arm's share in parts per thousand that a rule, or a segment in front of it, shall have."""


@dataclass(frozen=True, slots=True)
class Laid:
    """One rule of the wanted list. `origin` is the index that it has as read, None for a segment's rule.

    `main` and `segment` say whose arms it carries; `main` is None for a rule that is not steered.
    """

    body: Mapping[str, Any]
    origin: int | None
    main: str | None = None
    segment: str = REST


def arms(release: Release, rule: OwnedRule, target: Target, *, other_permille: int) -> list[Rule]:
    """The backendRefs of one rule: base first, then the other arm if there is one, with weights that sum up to 1000."""
    header, namespace = release.traffic.release_header, release.namespace
    filters = backendrefs.kept_filters(rule.refs, header, backend=target.base.backend, namespace=namespace)

    def ref(unit: UnitRef, weight: int) -> Rule:
        return backendrefs.write_arm(unit, weight, header=header, namespace=namespace, filters=deepcopy(filters))

    if target.other is None:
        return [ref(target.base, FULL_PERMILLE)]
    return [ref(target.base, FULL_PERMILLE - other_permille), ref(target.other, other_permille)]


def lay_out(
    release: Release, rules: Sequence[Mapping[str, Any]], ownership: Ownership, target: Target, *, shares: Shares
) -> list[Laid] | Refusal:
    """The whole list of rules as the target wants it; rules that are not owned are untouched and in the same order."""
    fault = _fault(release, rules, ownership, target)
    if fault is not None:
        return fault
    owned = {rule.index: rule for rule in ownership.rules}
    result: list[Laid] = []
    for index, body in enumerate(rules):
        match owned.get(index):
            case OwnedRule(role=Role.MAIN) as main:
                if target.other is not None:
                    result.extend(_segment_rules(release, main, target, shares))
                result.append(_in_place(release, main, target, shares))
            case OwnedRule(role=Role.FORMER | Role.STRAY) as former:
                result.append(_in_place(release, former, target, shares))
            case OwnedRule(role=Role.SEGMENT):
                continue
            case _:
                result.append(Laid(body, index))
    return _within_limits(result, ownership) or result


def in_place(
    release: Release, rules: Sequence[Mapping[str, Any]], ownership: Ownership, target: Target, *, shares: Shares
) -> list[Laid]:
    """The rules as they stand, with the arms that the target wants in each owned one: always possible."""
    owned = {rule.index: rule for rule in ownership.rules}
    return [
        _in_place(release, owned[index], target, shares) if index in owned else Laid(body, index)
        for index, body in enumerate(rules)
    ]


def layout_of(laid: Sequence[Laid]) -> dict[str, tuple[str, ...]]:
    """The owned rules and the segments laid out in front of each, for the layout mark."""
    result: dict[str, tuple[str, ...]] = {rule.main: () for rule in laid if rule.main and rule.segment == REST}
    for rule in laid:
        if rule.main and rule.segment != REST:
            result[rule.main] = (*result[rule.main], rule.segment)
    return result


def _segment_rules(release: Release, main: OwnedRule, target: Target, shares: Shares) -> list[Laid]:
    result = []
    for segment in release.traffic.segments:
        found = matches.narrowed(matches.matches_of(main.body), segment)
        if found:
            refs = arms(release, main, target, other_permille=shares(main, segment.name))
            name = segment_rule(main.main, segment.name)
            body = {**deepcopy(dict(main.body)), "name": name, "matches": deepcopy(found), "backendRefs": refs}
            result.append(Laid(body, None, main.main, segment.name))
    return result


def _in_place(release: Release, rule: OwnedRule, target: Target, shares: Shares) -> Laid:
    """The rule where it stands. One that left the spec, or is ours by its header alone, is let go: all to base."""
    if rule.role in (Role.FORMER, Role.STRAY):
        return Laid({**rule.body, "backendRefs": _let_go(release, rule, target.base)}, rule.index)
    refs = arms(release, rule, target, other_permille=shares(rule, rule.segment))
    named = {"name": rule.main} if rule.role is Role.MAIN else {}
    return Laid({**rule.body, **named, "backendRefs": refs}, rule.index, rule.main, rule.segment)


def _let_go(release: Release, rule: OwnedRule, base: UnitRef) -> list[Rule]:
    """The base arm alone and without our header, so that the rule is nobody's but its owner's from now on."""
    header, namespace = release.traffic.release_header, release.namespace
    filters = backendrefs.kept_filters(rule.refs, header, backend=base.backend, namespace=namespace)
    return [backendrefs.write_plain(base.backend, FULL_PERMILLE, namespace=namespace, filters=filters)]


def _fault(
    release: Release, rules: Sequence[Mapping[str, Any]], ownership: Ownership, target: Target
) -> Refusal | None:
    """What keeps the segments from being laid out."""
    if target.other is None:
        return None
    segments = release.traffic.segments
    unknown = {name for name, share in target.exposure.shares if share} - {REST, *(item.name for item in segments)}
    if unknown:
        names = ", ".join(sorted(unknown))
        return Refusal("SegmentUnknown", f"no segment is named {names}: declare it in spec.traffic.segments")
    orders = (matches.order_fault(segments, matches.matches_of(main.body)) for main in ownership.mains)
    try:
        fault = next(filter(None, orders), None) or matches.theft_fault(_contenders(rules, ownership), segments)
        return Refusal(fault.reason, fault.message) if fault else _without_rule(segments, ownership)
    except matches.NotExact as error:
        message = (
            f"an owned rule matches {error} by a regular expression and a segment by a value, and the API allows one "
            "condition per name: match it exactly in the HTTPRoute, or use another header for the segment"
        )
        return Refusal("SegmentNotExact", message)


def _without_rule(segments: Sequence[Segment], ownership: Ownership) -> Refusal | None:
    """A segment whose requests no owned rule ever sees could never get its share, and the stage would never end."""
    for segment in segments:
        if not any(matches.narrowed(matches.matches_of(main.body), segment) for main in ownership.mains):
            message = (
                f"no owned rule can get requests of segment {segment.name}, because each demands another value or "
                "method: drop the segment, or steer the rule that its requests use (spec.traffic.routes[].rules)"
            )
            return Refusal("SegmentUnreachable", message)
    return None


def _contenders(rules: Sequence[Mapping[str, Any]], ownership: Ownership) -> list[matches.Contender]:
    ours = {rule.index: rule.role for rule in ownership.rules}
    return [
        matches.Contender(
            name=body.get("name") or f"#{index}",
            index=index,
            matches=matches.matches_of(body),
            steered=ours.get(index) is Role.MAIN,
        )
        for index, body in enumerate(rules)
        if ours.get(index) is not Role.SEGMENT
    ]


def _within_limits(result: Sequence[Laid], ownership: Ownership) -> Refusal | None:
    total = sum(len(matches.matches_of(rule.body)) for rule in result)
    if len(result) <= RULE_LIMIT and total <= MATCH_LIMIT:
        return None
    added = sum(rule.origin is None for rule in result)
    message = (
        f"{added} segment rules for {len(ownership.mains)} owned rules make {len(result)} rules with {total} matches, "
        f"and an HTTPRoute may have {RULE_LIMIT} rules and {MATCH_LIMIT} matches: use fewer segments or rules"
    )
    return Refusal("TooManyRules", message)
