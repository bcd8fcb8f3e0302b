"""The router for HTTPRoute of Gateway API v1, the route that every conformant gateway serves.

This module only puts the parts together: `rules` says what is ours, `layout` what it shall be, `writing` how to write
it, `interpret` what was read. Writing the route that another operator generates (KServe) was rejected: it would be
written back; such a data plane is a router of its own.
"""

from typing import Any

from modelrelease.domain.exposure import FULL_PERMILLE, Exposure
from modelrelease.domain.release import Fault, Release
from modelrelease.domain.traffic import RouteView, Target, Traffic
from modelrelease.domain.unit import Backend, UnitRef
from modelrelease.routing import interpret, layout, marks, matches, owned, writing
from modelrelease.routing.jsonpatch import Operation, pointer, replace
from modelrelease.routing.protocol import (
    JSON_PATCH,
    Change,
    ChangeKind,
    Guard,
    Object,
    Place,
    Refusal,
    Unchanged,
)
from modelrelease.routing.rules import Ownership, owns, resolve, rules_of


class HTTPRouteRouter:
    """Steers HTTPRoutes; see `protocol.Router` for what each method is for."""

    kind = "HTTPRoute"
    group = "gateway.networking.k8s.io"
    version = "v1"
    resource = "httproutes"

    def names(self, release: Release) -> tuple[str, ...]:
        """The adopted HTTPRoutes, or the release's own one."""
        if release.traffic.gateways:
            return (release.name,)
        return tuple(dict.fromkeys(ref.name for ref in release.traffic.routes if ref.kind == self.kind))

    def view(self, release: Release, name: str, obj: Object | None, *, arms: tuple[UnitRef, ...] = ()) -> RouteView:
        """The route in terms of arms; also of rules that left the spec, and of rules that only our header marks."""
        return interpret.view(release, name, obj, arms)

    def change(
        self, release: Release, name: str, obj: Object | None, *, target: Target, guard: Guard
    ) -> Change | Unchanged | Refusal:
        """The one write that brings the route to `target`, within what `guard` allows (see `writing`)."""
        if obj is None:
            return self._create(release, name, target, guard)
        if guard is Guard.LOWER:
            return self._lower(release, name, obj, target)
        return self._relayout(release, name, obj, target, guard)

    def delete(self, release: Release, name: str, obj: Object | None) -> Change | Unchanged | Refusal:
        """Delete the release's own route, and only the very object that was read."""
        if obj is None:
            return Unchanged()
        fault = resolve(release, name, obj).fault
        if not owns(release, name) or (fault and fault.reason == "RouteNotOurs"):
            return Refusal("RouteNotOurs", f"HTTPRoute {name} was not made by this release and is never deleted by it")
        body = {"preconditions": {"uid": obj["metadata"]["uid"]}}
        return self._write(ChangeKind.DELETE, release, name, body, Guard.LAYOUT)

    def baseline(self, release: Release, name: str, obj: Object | None) -> Backend | Refusal | None:
        """The one backend of the owned rules with a weight above 0."""
        return interpret.baseline(release, name, obj)

    def places(
        self, release: Release, name: str, obj: Object | None, *, candidate: UnitRef | None, stable: UnitRef | None
    ) -> tuple[Place, ...]:
        """The rule and backendRef indices as read: gateways build their series' names from them."""
        return interpret.places(release, name, obj, candidate, stable)

    def steerable(self, traffic: Traffic) -> Fault | None:
        """Segments need a condition, different names, and the order in which gateways prefer them."""
        names = [segment.name for segment in traffic.segments]
        if len(set(names)) < len(names):
            return Fault(
                "SegmentAmbiguous", "spec.traffic.segments: two segments have the same name: rename one of them"
            )
        for segment in traffic.segments:
            if not (segment.headers or segment.query or segment.method):
                message = (
                    f"segment {segment.name} has no condition: give it headers, query or a method, or leave it out"
                )
                return Fault("SegmentEmpty", message)
        return matches.order_fault(traffic.segments)

    def expressible(self, exposure: Exposure) -> Fault | None:
        """Any share in parts per thousand can be written as weights."""
        bad = next((share for _, share in exposure.shares if not 0 <= share <= FULL_PERMILLE), None)
        if bad is None:
            return None
        return Fault(
            "ShareOutOfRange", f"a share of {bad} parts per thousand cannot be written: use 0 to {FULL_PERMILLE}"
        )

    def _relayout(
        self, release: Release, name: str, obj: Object, target: Target, guard: Guard
    ) -> Change | Unchanged | Refusal:
        own = owns(release, name)
        declared = owned.as_declared(release, obj) if own else obj
        ownership = resolve(release, name, declared)
        if ownership.fault:
            return Refusal(ownership.fault.reason, ownership.fault.message)
        wanted = layout.lay_out(release, rules_of(declared), ownership, target, shares=_as_wanted(target))
        if isinstance(wanted, Refusal):
            return wanted
        refused = writing.raised(release, ownership, wanted, target) if guard is Guard.LAYOUT else None
        if refused is not None:
            return refused
        tests, writes = writing.relayout(rules_of(obj), wanted, ownership, namespace=release.namespace)
        if own:
            writes = [*owned.operations(obj, declared), *writes]
        read = marks.read(obj)
        changes = marks.wanted(release, target, read, layout=layout.layout_of(wanted))
        if not writes and not changes:
            return Unchanged()
        mark_tests, mark_writes = marks.operations(changes, target, read, guard=guard)
        version = replace(pointer("metadata", "resourceVersion"), obj["metadata"]["resourceVersion"])
        return self._patch(release, name, [*mark_tests, *tests, version, *mark_writes, *writes], guard)

    def _lower(self, release: Release, name: str, obj: Object, target: Target) -> Change | Unchanged | Refusal:
        ownership = resolve(release, name, obj)
        if not ownership.rules:
            return _nothing_to_lower(name, ownership)
        (tests, writes), laid = writing.lowering(release, rules_of(obj), ownership, target)
        read = marks.read(obj)
        changes = marks.wanted(release, target, read, layout=layout.layout_of(laid) if laid is not None else None)
        if not writes and not changes:
            return Unchanged()
        mark_tests, mark_writes = marks.operations(changes, target, read, guard=Guard.LOWER)
        return self._patch(release, name, [*mark_tests, *tests, *mark_writes, *writes], Guard.LOWER)

    def _create(self, release: Release, name: str, target: Target, guard: Guard) -> Change | Unchanged | Refusal:
        """Make the release's own route. Under LAYOUT the other arm may not get anything by it."""
        if guard is Guard.LOWER:
            return Unchanged()
        if not owns(release, name):
            return Refusal("RouteMissing", f"HTTPRoute {release.namespace}/{name} does not exist: create it")
        if guard is Guard.LAYOUT and target.other is not None and not target.exposure.is_zero:
            message = f"HTTPRoute {name} is gone, and making it anew would raise {target.other.revision} from nothing"
            return Refusal("WouldRaise", message)
        body = owned.manifest(release)
        own = resolve(release, name, body)
        wanted = layout.lay_out(release, rules_of(body), own, target, shares=_as_wanted(target))
        if isinstance(wanted, Refusal):
            return wanted
        body["spec"]["rules"] = [rule.body for rule in wanted]
        body["metadata"]["annotations"] = marks.all_of(release, target, layout.layout_of(wanted))
        return self._write(ChangeKind.CREATE, release, name, body, guard)

    def _patch(self, release: Release, name: str, body: list[Operation], guard: Guard) -> Change:
        return self._write(ChangeKind.PATCH, release, name, body, guard, JSON_PATCH)

    def _write(
        self,
        kind: ChangeKind,
        release: Release,
        name: str,
        body: list[Operation] | dict[str, Any],
        guard: Guard,
        content_type: str = "application/json",
    ) -> Change:
        where = (self.group, self.version, self.resource, release.namespace, name)
        return Change(kind, *where, body, guard, content_type)


def _as_wanted(target: Target) -> layout.Shares:
    return lambda rule, segment: target.exposure.of(segment)


def _nothing_to_lower(name: str, ownership: Ownership) -> Refusal:
    if ownership.fault:
        return Refusal(ownership.fault.reason, ownership.fault.message)
    return Refusal("RuleMissing", f"HTTPRoute {name} has no rule of this release: nothing can be lowered")
