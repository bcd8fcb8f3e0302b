"""Which rules of an HTTPRoute a release may touch, and what each of them is for.

A rule is found by its name. The layout mark on the route remembers the names, so that a rule that left the spec in
mid-rollout is still lowered; and a rule whose name somebody changed is recognised by our own release header. Finding
rules by their matches was rejected: those are what people edit.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from modelrelease.domain.exposure import REST
from modelrelease.domain.release import Fault, Release
from modelrelease.domain.traffic import RouteRef
from modelrelease.routing import backendrefs, marks
from modelrelease.routing.protocol import Object

UNNAMED = "main"
"""The name that an owned rule without one gets, and the name of the rule of an owned route."""

MANAGED_BY = "app.kubernetes.io/managed-by"
"""The label that says whose an owned route is."""

MANAGER = "modelrelease"

NAME_LIMIT = 63
_PREFIX_LIMIT = 40
_REVISION_END = re.compile(r"[-.]*-(?:[0-9a-f]{10}|safe)")


class Role(StrEnum):
    """What a rule is to the release."""

    MAIN = "Main"
    SEGMENT = "Segment"
    FORMER = "Former"
    STRAY = "Stray"


@dataclass(frozen=True, slots=True)
class OwnedRule:
    """One rule that the release may touch.

    `main` is the name of the rule itself or, of a segment rule, of the one it stands in front of. FORMER: owned before
    an edit of the spec; STRAY: carries our release header but no name that we know.
    """

    index: int
    body: Mapping[str, Any]
    role: Role
    main: str
    segment: str = REST

    @property
    def name(self) -> str | None:
        """The name as read."""
        return self.body.get("name")

    @property
    def label(self) -> str:
        """What to call it towards people."""
        return self.name or f"#{self.index}"

    @property
    def refs(self) -> Sequence[backendrefs.Ref]:
        """Its backendRefs as read."""
        return backendrefs.refs_of(self.body)


@dataclass(frozen=True, slots=True)
class Ownership:
    """The owned rules of one route in order, the names that the spec declares, and why it cannot be steered."""

    rules: tuple[OwnedRule, ...]
    declared: tuple[str, ...]
    fault: Fault | None = None

    @property
    def mains(self) -> tuple[OwnedRule, ...]:
        """The declared rules that were found."""
        return tuple(rule for rule in self.rules if rule.role is Role.MAIN)


def rules_of(obj: Object) -> Sequence[Mapping[str, Any]]:
    """All rules of a route as read."""
    rules: Sequence[Mapping[str, Any]] = obj.get("spec", {}).get("rules") or ()
    return rules


def prefix(rule: str) -> str:
    """How the names of the segment rules of `rule` begin; such names are reserved for the operator."""
    if len(rule) + 2 <= _PREFIX_LIMIT:
        return f"{rule}--"
    return f"{rule[: _PREFIX_LIMIT - 11].rstrip('-.')}-{_hash(rule, 8)}--"


def segment_rule(rule: str, segment: str) -> str:
    """The name of the rule that serves `segment` in front of `rule`: `<rule>--<segment>`, at most 63 characters."""
    name = prefix(rule) + segment
    if len(name) <= NAME_LIMIT:
        return name
    room = NAME_LIMIT - len(prefix(rule)) - 9
    return f"{prefix(rule)}{segment[:room].rstrip('-.')}-{_hash(segment, 8)}"


def resolve(release: Release, name: str, obj: Object) -> Ownership:
    """Find the rules of a route that belong to the release."""
    rules = rules_of(obj)
    read = marks.read(obj)
    ours = marks.same_release(read.release, release)
    layout = marks.parse_layout(read.layout) if ours else {}
    declared, unnamed, fault = _declared(_ref(release, name), rules, layout, owned=owns(release, name))
    former = tuple(rule for rule in layout if rule not in declared)
    if owns(release, name) and read.release is None and not _made_by_us(obj, rules, release):
        return Ownership((), declared, _not_ours(release))
    segments = [segment.name for segment in release.traffic.segments]
    found: list[OwnedRule] = []
    for index, body in enumerate(rules):
        rule = (
            OwnedRule(index, body, Role.MAIN, declared[0])
            if index == unnamed
            else _classify(index, body, declared=declared, former=former, segments=segments, layout=layout)
        )
        carries = _carries(body, release)
        if rule is None:
            if carries:
                found.append(OwnedRule(index, body, Role.STRAY, body.get("name") or f"#{index}"))
            continue
        if rule.role is Role.SEGMENT and not (ours or carries):
            fault = fault or _reserved(rule)
        found.append(rule)
    return Ownership(tuple(found), declared, fault or _fault(name, declared, found))


def _ref(release: Release, name: str) -> RouteRef | None:
    return next((ref for ref in release.traffic.routes if ref.kind == "HTTPRoute" and ref.name == name), None)


def owns(release: Release, name: str) -> bool:
    """Whether the route is one that the operator makes itself."""
    return bool(release.traffic.gateways) and name == release.name


def _declared(
    ref: RouteRef | None, rules: Sequence[Mapping[str, Any]], layout: marks.Layout, *, owned: bool
) -> tuple[tuple[str, ...], int | None, Fault | None]:
    """The names that the spec lets the release steer, and the index of the only rule where that has no name.

    No names for a route that left the spec. "The only one" is the rule that the layout mark remembers, so that a rule
    added later by somebody else does not make the choice unclear.
    """
    if owned:
        return (UNNAMED,), None, None
    if ref is None:
        return (), None, None
    if ref.rules:
        return ref.rules, None, None
    names = [rule.get("name") for rule in rules]
    if len(layout) == 1 and next(iter(layout)) in names:
        return tuple(layout), None, None
    prefixes = tuple(prefix(name) for name in (*names, *layout) if name)
    alone = [index for index, name in enumerate(names) if not (name and name.startswith(prefixes))]
    if len(alone) == 1:
        only = names[alone[0]]
        return ((only,), None, None) if only else ((UNNAMED,), alone[0], None)
    message = (
        f"HTTPRoute {ref.name} has {len(alone)} rules and spec.traffic.routes does not say which ones to steer: "
        "give the rules names (spec.rules[].name of the HTTPRoute) and list them in spec.traffic.routes[].rules"
    )
    return (), None, Fault("RulesAmbiguous", message)


def _classify(
    index: int,
    body: Mapping[str, Any],
    *,
    declared: Sequence[str],
    former: Sequence[str],
    segments: Sequence[str],
    layout: marks.Layout,
) -> OwnedRule | None:
    name = body.get("name")
    if name is None:
        return None
    if name in declared:
        return OwnedRule(index, body, Role.MAIN, name)
    for main in (*declared, *former):
        if name.startswith(prefix(main)):
            known = (*segments, *layout.get(main, ()))
            segment = next((known for known in known if segment_rule(main, known) == name), name[len(prefix(main)) :])
            return OwnedRule(index, body, Role.SEGMENT, main, segment)
    if name in former:
        return OwnedRule(index, body, Role.FORMER, name)
    return None


def _carries(body: Mapping[str, Any], release: Release) -> bool:
    """Whether a backendRef names a revision of this release in the release header: only the operator writes that."""
    start, header = release.name[:50].rstrip("-."), release.traffic.release_header
    values = (backendrefs.header_value(ref, header) or "" for ref in backendrefs.refs_of(body))
    return any(value.startswith(start) and _REVISION_END.fullmatch(value[len(start) :]) for value in values)


def _made_by_us(obj: Object, rules: Sequence[Mapping[str, Any]], release: Release) -> bool:
    labels = obj.get("metadata", {}).get("labels") or {}
    return labels.get(MANAGED_BY) == MANAGER or any(_carries(rule, release) for rule in rules)


def _not_ours(release: Release) -> Fault:
    message = (
        f"HTTPRoute {release.name} exists already and was not made by this release: rename or delete it, or adopt it "
        "by spec.traffic.routes instead of spec.traffic.gatewayRefs"
    )
    return Fault("RouteNotOurs", message)


def _reserved(rule: OwnedRule) -> Fault:
    message = (
        f"rule {rule.label} is named like a segment rule of {rule.main}, but was not made by this release: "
        f"rename it, names that begin with {prefix(rule.main)} are reserved"
    )
    return Fault("RuleNameReserved", message)


def _fault(route: str, declared: Sequence[str], found: Sequence[OwnedRule]) -> Fault | None:
    names = [rule.main for rule in found if rule.role is Role.MAIN]
    missing = [name for name in declared if name not in names]
    if missing:
        message = (
            f"HTTPRoute {route} has no rule named {', '.join(missing)}: name it so, or correct the release's traffic"
        )
        return Fault("RuleMissing", message)
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        return Fault(
            "RuleAmbiguous", f"HTTPRoute {route} has several rules named {', '.join(twice)}: names must differ"
        )
    for main in declared:
        inside = next((name for name in declared if name != main and name.startswith(prefix(main))), None)
        if inside:
            message = f"rule {inside} is named like a segment rule of {main}: rename one of them"
            return Fault("RuleNameReserved", message)
    return next((fault for rule in found if rule.role is Role.MAIN and (fault := _redirects(route, rule))), None)


def _redirects(route: str, rule: OwnedRule) -> Fault | None:
    if any(item.get("type") == "RequestRedirect" for item in rule.body.get("filters") or ()):
        message = f"rule {rule.label} of HTTPRoute {route} redirects and sends nothing to a backend: steer another rule"
        return Fault("RuleRedirects", message)
    return None


def _hash(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]
