"""Read an HTTPRoute, however people left it, in terms of arms.

Nothing here raises on an odd route: what cannot be steered is said in `RouteView.problem`, and every share that can be
seen is shown, also of rules that left the spec or lost their name.
"""

from collections.abc import Mapping

from modelrelease.domain.canonical import short
from modelrelease.domain.exposure import REST
from modelrelease.domain.release import Release
from modelrelease.domain.traffic import Arm, RouteView, RuleView
from modelrelease.domain.unit import Backend, UnitRef
from modelrelease.routing import backendrefs, marks, owned
from modelrelease.routing.acceptance import acceptance
from modelrelease.routing.protocol import Object, Place, Refusal
from modelrelease.routing.rules import OwnedRule, Ownership, Role, owns, resolve


def view(release: Release, name: str, obj: Object | None, arms: tuple[UnitRef, ...]) -> RouteView:
    """The route as the engine sees it."""
    if obj is None:
        problem = None if owns(release, name) else f"HTTPRoute {release.namespace}/{name} does not exist: create it"
        return RouteView(name, exists=False, problem=problem)
    metadata = obj.get("metadata", {})
    ownership = resolve(release, name, obj)
    read = marks.read(obj)
    accepted, message = acceptance(obj)
    return RouteView(
        name,
        exists=True,
        uid=metadata.get("uid"),
        resource_version=metadata.get("resourceVersion"),
        generation=metadata.get("generation", 0),
        rules=rule_views(release, ownership, arms),
        acceptance=accepted,
        acceptance_message=message,
        release=read.release,
        stopped=read.stopped,
        record=read.record,
        problem=ownership.fault.message if ownership.fault else None,
        declared=not owns(release, name) or owned.is_declared(release, obj),
    )


def rule_views(release: Release, ownership: Ownership, arms: tuple[UnitRef, ...]) -> tuple[RuleView, ...]:
    """Each owned rule in its order. A segment without a rule of its own has no view; the rule itself serves it."""
    return tuple(
        RuleView(rule.label, rule.segment, arms_as_read(release, rule, arms), backendrefs.in_form(rule.refs))
        for rule in ownership.rules
    )


def arms_as_read(release: Release, rule: OwnedRule, arms: tuple[UnitRef, ...]) -> tuple[Arm, ...]:
    """The arms of one rule as read."""
    header = release.traffic.release_header
    return backendrefs.arms_of(rule.refs, header, namespace=release.namespace, units=arms)


def baseline(release: Release, name: str, obj: Object | None) -> Backend | Refusal | None:
    """The one backend that the owned rules serve now, None when they serve none."""
    if obj is None:
        return None
    ownership = resolve(release, name, obj)
    if ownership.fault:
        return Refusal(ownership.fault.reason, ownership.fault.message)
    found: dict[Backend, str] = {}
    empty: list[str] = []
    for rule in ownership.rules:
        served = [ref for ref in rule.refs if backendrefs.weight_of(ref)]
        if not served:
            empty.append(rule.label)
        for ref in served:
            found.setdefault(backendrefs.backend_of(ref, release.namespace), rule.label)
    if len(found) > 1:
        listed = ", ".join(f"{backend} (rule {rule})" for backend, rule in found.items())
        message = f"HTTPRoute {name} sends traffic to several backends, {listed}: leave the one that is stable now"
        return Refusal("BaselineAmbiguous", message)
    if found and empty:
        message = f"rule {empty[0]} of HTTPRoute {name} has no backend while others do: give it the stable one as well"
        return Refusal("BaselineAmbiguous", message)
    return next(iter(found), None)


def places(
    release: Release, name: str, obj: Object | None, candidate: UnitRef | None, stable: UnitRef | None
) -> tuple[Place, ...]:
    """Where each arm of each owned rule is found in the gateway's metrics."""
    if obj is None:
        return ()
    known = tuple(unit for unit in (candidate, stable) if unit is not None)
    result = []
    for rule in resolve(release, name, obj).rules:
        if rule.role in (Role.FORMER, Role.STRAY):
            continue
        found = {arm.revision: index for index, arm in reversed(list(enumerate(arms_as_read(release, rule, known))))}
        candidate_at = _placeholders(release, name, rule, candidate, found)
        result.append(Place(rule.label, rule.segment, candidate_at, _placeholders(release, name, rule, stable, found)))
    return tuple(result)


def _placeholders(
    release: Release, route: str, rule: OwnedRule, unit: UnitRef | None, found: Mapping[str | None, int]
) -> Mapping[str, str] | None:
    """The placeholders of one arm; `found` maps revisions to the index of their backendRef."""
    if unit is None or unit.revision not in found:
        return None
    backend = unit.backend
    return {
        "namespace": release.namespace,
        "release": release.name,
        "route": route,
        "rule": rule.label,
        "ruleIndex": str(rule.index),
        "segment": "" if rule.segment == REST else rule.segment,
        "service": backend.name,
        "serviceNamespace": backend.namespace or release.namespace,
        "port": "" if backend.port is None else str(backend.port),
        "backendIndex": str(found[unit.revision]),
        "revision": unit.revision,
        "version": unit.version,
        "digest": short(unit.digest),
    }
