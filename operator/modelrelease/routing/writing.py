"""Turn wanted rules into one conditioned JSON patch.

A raise or a layout brings the list of rules to what it shall be, conditioned on the very object that was read. A
lowering is conditioned on less, so that it wins against somebody who writes all the time, and is safe all the same:

- It tests the name of each owned rule at its index, and the release and layout marks. A rule that moved, or a layout
  that changed since the read, fails the test, and the caller reads again. It does not test weights, because somebody
  who changes them five times a second would make every revert fail.
- Where it gives the other arm nothing, no state of the server can make it a raise. Where it leaves the other arm a
  share, it does test all owned backendRefs, because a share that is lower than what was read may be higher than what
  is there now.
- Where one rule has to be written, all are, so that a read that is a moment old cannot hide another rule's share.
- It changes backendRefs only, and rules as such only where segment rules are missing or have to go. What cannot be
  laid out (a rule gone, a name taken) is lowered where it stands.

Server-side apply was rejected: `rules` and `backendRefs` are atomic lists, so it would own what is not ours (S10).
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import floor
from typing import Any

from modelrelease.domain.exposure import FULL_PERMILLE, REST
from modelrelease.domain.release import Release
from modelrelease.domain.traffic import Target
from modelrelease.domain.unit import UnitRef
from modelrelease.routing import backendrefs, layout
from modelrelease.routing.jsonpatch import Operation, add, pointer, remove, test
from modelrelease.routing.layout import Laid
from modelrelease.routing.protocol import Refusal
from modelrelease.routing.rules import OwnedRule, Ownership, Role, segment_rule

Rule = Mapping[str, Any]
Writes = tuple[list[Operation], list[Operation]]
"""Tests and writes; both empty when there is nothing to do."""


def relayout(read: Sequence[Rule], wanted: Sequence[Laid], ownership: Ownership, *, namespace: str) -> Writes:
    """Bring the rules as read to the wanted ones, on the condition that the owned ones still are as read."""
    writes = _writes(read, wanted, ownership, namespace=namespace, rewrite=False)
    if not writes:
        return [], []
    return [check for rule in ownership.rules for check in (*_identity(rule), *_content(rule))], writes


def lowering(
    release: Release, read: Sequence[Rule], ownership: Ownership, target: Target
) -> tuple[Writes, Sequence[Laid] | None]:
    """Bring the owned rules to the target with no more for the other arm than was read, on weaker conditions.

    Also gives the rules as laid out, None where they could only be lowered where they stand.
    """

    def shares(rule: OwnedRule, segment: str) -> int:
        return min(target.exposure.of(segment), _most(release, ownership, rule, segment, target))

    standing = layout.in_place(release, read, ownership, target, shares=shares)
    laid = layout.lay_out(release, read, ownership, target, shares=shares) if ownership.fault is None else None
    if isinstance(laid, Refusal):
        laid = None
    wanted = standing if laid is None or _names(laid) == [rule.get("name") for rule in read] else laid
    if not _writes(read, wanted, ownership, namespace=release.namespace, rewrite=False):
        return ([], []), laid
    leaves = any(
        backendrefs.weight_of(ref) for rule in wanted if rule.main for ref in backendrefs.refs_of(rule.body)[1:]
    )
    tests = [check for rule in ownership.rules for check in (*_identity(rule), *(_content(rule) if leaves else ()))]
    return (tests, _writes(read, wanted, ownership, namespace=release.namespace, rewrite=True)), laid


def raised(release: Release, ownership: Ownership, wanted: Sequence[Laid], target: Target) -> Refusal | None:
    """Find what a layout must not do.

    It must not give the other arm more of any segment; nor the base arm what an arm of ours has that the target does
    not name, because that is a promotion or a revert under the wrong guard.
    """
    header = release.traffic.release_header
    after = {rule.body.get("name"): backendrefs.refs_of(rule.body) for rule in wanted}
    for (main, segment), rule in _slots(release, ownership).items():
        refs = after.get(segment_rule(main, segment)) or after.get(main) or ()
        then = {
            backendrefs.header_value(ref, header): share
            for ref, share in zip(refs, backendrefs.shares(refs), strict=True)
        }
        now = _shares_now(release, rule, target)
        units = [target.other] if target.other else []
        if now.get("", 0):
            units.append(target.base)
        for unit in units:
            before, share = now.get(unit.revision, Fraction(0)), then.get(unit.revision, Fraction(0))
            if share > before:
                where = f"rule {main}" if segment == REST else f"segment {segment} of rule {main}"
                message = (
                    f"laying out {where} would raise {unit.revision} from {float(before):.1%} to {float(share):.1%} of "
                    "its requests: bring the weights back first"
                )
                return Refusal("WouldRaise", message)
    return None


def _shares_now(release: Release, rule: OwnedRule, target: Target) -> dict[str | None, Fraction]:
    """The exact shares of a rule as read, by revision; "" is what other revisions have, None what is not ours.

    What has the base's backend counts as base when it has no header, or when no arm names the base yet: so a route is
    adopted whose header names a unit that nobody knows any more. Where the base has an arm, other revisions are others,
    also on its backend (a release of a prompt alone).
    """
    header, namespace = release.traffic.release_header, release.namespace
    units = (target.base, target.other) if target.other else (target.base,)
    values = [backendrefs.header_value(ref, header) for ref in rule.refs]
    result: dict[str | None, Fraction] = {}
    for ref, value, share in zip(rule.refs, values, backendrefs.shares(rule.refs), strict=True):
        revision = backendrefs.identify(ref, header, namespace=namespace, units=units)
        if revision not in {unit.revision for unit in units}:
            backend = backendrefs.backend_of(ref, namespace)
            at_base = backendrefs.same_backend(backend, target.base.backend, namespace)
            if at_base and (value is None or target.base.revision not in values):
                revision = target.base.revision
            else:
                revision = "" if value else None
        result[revision] = result.get(revision, Fraction(0)) + share
    return result


def _most(release: Release, ownership: Ownership, main: OwnedRule, segment: str, target: Target) -> int:
    """The most that a lowering may leave to the other arm in one rule, in parts per thousand.

    That is what the rule has as read that serves the segment now. For the rule itself, it is also what each segment
    rule has whose requests could fall to it.
    """
    if target.other is None:
        return 0
    in_front = [rule for rule in ownership.rules if rule.role is Role.SEGMENT and rule.main == main.main]
    serving = [rule for rule in in_front if rule.segment == segment]
    if segment == REST:
        declared = {item.name for item in release.traffic.segments}
        serving = [main, *(rule for rule in in_front if rule.segment not in declared)]
    return min(_share(release, rule, target.other, target.base) for rule in serving or [main])


def _share(release: Release, rule: OwnedRule, unit: UnitRef, base: UnitRef) -> int:
    header, namespace = release.traffic.release_header, release.namespace
    found = sum(
        share
        for ref, share in zip(rule.refs, backendrefs.shares(rule.refs), strict=True)
        if backendrefs.identify(ref, header, namespace=namespace, units=(base, unit)) == unit.revision
    )
    return floor(found * FULL_PERMILLE)


def _slots(release: Release, ownership: Ownership) -> dict[tuple[str, str], OwnedRule]:
    """Each (rule, segment) and the rule that serves it now."""
    slots = {(rule.main, rule.segment): rule for rule in ownership.rules}
    for main in ownership.mains:
        for segment in release.traffic.segments:
            slots.setdefault((main.main, segment.name), main)
    return slots


def _writes(
    read: Sequence[Rule], wanted: Sequence[Laid], ownership: Ownership, *, namespace: str, rewrite: bool
) -> list[Operation]:
    """The operations from the rules as read to the wanted ones.

    Where the segment rules stand as they shall, rules are updated in place; otherwise they are all taken out and put
    in anew. `rewrite` writes every owned rule's backendRefs, changed or not.
    """
    ours = {rule.index for rule in ownership.rules if rule.role is Role.SEGMENT}
    steered = {rule.index for rule in ownership.rules} if rewrite else set()
    standing = len(read) == len(wanted) and all(
        rule.origin == index or (rule.origin is None and index in ours and read[index]["name"] == rule.body["name"])
        for index, rule in enumerate(wanted)
    )
    if standing:
        return [
            operation
            for index, rule in enumerate(wanted)
            for operation in _update(index, read[index], rule.body, namespace, rewrite=index in steered)
        ]
    writes = [remove(_at(index)) for index in sorted(ours, reverse=True)]
    kept = [(rule.origin, rule.body) for rule in wanted if rule.origin is not None]
    for index, (origin, body) in enumerate(kept):
        writes.extend(_update(index, read[origin], body, namespace, rewrite=origin in steered))
    return writes + [add(_at(index), rule.body) for index, rule in enumerate(wanted) if rule.origin is None]


def _update(index: int, have: Rule, want: Rule, namespace: str, *, rewrite: bool) -> list[Operation]:
    """Bring one rule to the wanted form, field by field."""
    if have is want:
        return []
    result = [remove(_at(index, field)) for field in have if field not in want]
    for field, value in want.items():
        same = have.get(field) == value
        if field == "backendRefs":
            spelled = [_spelled_out(ref, namespace) for ref in backendrefs.refs_of(have)]
            same = spelled == value and not rewrite
        if not same:
            result.append(add(_at(index, field), value))
    return result


def _identity(rule: OwnedRule) -> list[Operation]:
    """The tests that the rule at this index still is the one that was read: its name, or its matches without one."""
    for field in ("name", "matches"):
        if rule.body.get(field):
            return [test(_at(rule.index, field), rule.body[field])]
    return _content(rule)


def _content(rule: OwnedRule) -> list[Operation]:
    """The test that the rule's backendRefs are what was read."""
    if "backendRefs" not in rule.body:
        return []
    return [test(_at(rule.index, "backendRefs"), rule.body["backendRefs"])]


def _spelled_out(ref: backendrefs.Ref, namespace: str) -> dict[str, Any]:
    """A backendRef as the API server's defaults spell it, but without a default for the weight (S1)."""
    result = {"group": "", "kind": "Service", **ref}
    if result.get("namespace") == namespace:
        del result["namespace"]
    return result


def _names(laid: Sequence[Laid]) -> list[str | None]:
    return [rule.body.get("name") for rule in laid]


def _at(index: int, *field: str) -> str:
    return pointer("spec", "rules", index, *field)
