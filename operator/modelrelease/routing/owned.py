"""The HTTPRoute that the operator makes itself where a release names Gateways instead of a route.

It has no owner reference: deleting a release must not take the traffic away with it, so it is kept unless the release
says otherwise.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from modelrelease.domain.release import Release
from modelrelease.routing import jsonpatch
from modelrelease.routing.protocol import Object
from modelrelease.routing.rules import MANAGED_BY, MANAGER, UNNAMED, rules_of

API_VERSION = "gateway.networking.k8s.io/v1"


def manifest(release: Release) -> dict[str, Any]:
    """The route without arms: parents, host names, and one rule for the path prefix."""
    spec: dict[str, Any] = {"parentRefs": _parents(release)}
    if release.traffic.hostnames:
        spec["hostnames"] = list(release.traffic.hostnames)
    spec["rules"] = [{"name": UNNAMED, "matches": _matches(release)}]
    metadata = {"name": release.name, "namespace": release.namespace, "labels": {MANAGED_BY: MANAGER}}
    return {"apiVersion": API_VERSION, "kind": "HTTPRoute", "metadata": metadata, "spec": spec}


def as_declared(release: Release, obj: Object) -> Object:
    """The route as read, but with parents, host names and path as the release declares them now."""
    rules = [{**rule, "matches": _matches(release)} if rule.get("name") == UNNAMED else rule for rule in rules_of(obj)]
    spec = {**obj.get("spec", {}), "parentRefs": _parents(release), "rules": rules}
    if release.traffic.hostnames:
        spec["hostnames"] = list(release.traffic.hostnames)
    else:
        spec.pop("hostnames", None)
    return {**obj, "spec": spec}


def is_declared(release: Release, obj: Object) -> bool:
    """Whether parents, host names and path of the route as read are those that the release declares."""
    wanted = as_declared(release, obj)
    return not operations(obj, wanted) and rules_of(obj) == rules_of(wanted)


def operations(read: Object, wanted: Object) -> list[jsonpatch.Operation]:
    """Bring parents and host names of the route as read to those of `wanted`."""
    have, want = read.get("spec", {}), wanted["spec"]
    result = []
    if _normal(have.get("parentRefs") or ()) != _normal(want["parentRefs"]):
        result.append(jsonpatch.add(jsonpatch.pointer("spec", "parentRefs"), want["parentRefs"]))
    path = jsonpatch.pointer("spec", "hostnames")
    if "hostnames" in want and have.get("hostnames") != want["hostnames"]:
        result.append(jsonpatch.add(path, want["hostnames"]))
    elif "hostnames" not in want and "hostnames" in have:
        result.append(jsonpatch.remove(path))
    return result


def _parents(release: Release) -> list[dict[str, Any]]:
    result = []
    for gateway in release.traffic.gateways:
        parent = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": gateway.name}
        if gateway.namespace and gateway.namespace != release.namespace:
            parent["namespace"] = gateway.namespace
        if gateway.section:
            parent["sectionName"] = gateway.section
        result.append(parent)
    return result


def _matches(release: Release) -> list[dict[str, Any]]:
    return [{"path": {"type": "PathPrefix", "value": release.traffic.path_prefix}}]


def _normal(parents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"group": "gateway.networking.k8s.io", "kind": "Gateway", **parent} for parent in parents]
