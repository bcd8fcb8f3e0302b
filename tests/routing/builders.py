"""Releases, units and HTTPRoutes as data, in the form in which the API server returns them."""

from __future__ import annotations

import copy
from typing import Any

from modelrelease.domain.exposure import REST, Exposure
from modelrelease.domain.release import Release
from modelrelease.domain.traffic import GatewayRef, HeaderMatch, RouteRef, Segment, Target, Traffic
from modelrelease.domain.unit import Backend, UnitRef
from modelrelease.routing.httproute import HTTPRouteRouter
from modelrelease.routing.protocol import Change, Guard, Refusal, Unchanged
from tests.routing.applier import apply

Json = dict[str, Any]

ROUTER = HTTPRouteRouter()
NAMESPACE = "assistants"
HEADER = "x-model-release"
LOW = Segment("low", headers=(HeaderMatch("x-criticality", "low"),))
GERMAN = Segment("german", headers=(HeaderMatch("x-language", "de"),))


def unit(number: int, backend: str | None = None, **fields: Any) -> UnitRef:
    """Unit number 1, 2 …; the revision name has the form that the operator gives it."""
    digest = f"{number:064x}"[::-1]
    service = Backend(backend or f"chat-v{number}", 8080, **fields)
    return UnitRef(f"sha256:{digest}", f"chat-{digest[:10]}", f"v{number}", service)


STABLE = unit(1)
CANDIDATE = unit(2)


def release(*segments: Segment, rules: tuple[str, ...] = ("chat",), routes: tuple[RouteRef, ...] = ()) -> Release:
    """A release `chat` that adopts the route `chat`."""
    traffic = Traffic(routes=routes or (RouteRef("chat", rules=rules),), segments=segments)
    return Release(NAMESPACE, "chat", "uid-1", 1, traffic)


def owning(*segments: Segment, hostnames: tuple[str, ...] = (), path: str = "/") -> Release:
    """A release `chat` that owns its route."""
    gateways = (GatewayRef("public", namespace="infra"),)
    traffic = Traffic(gateways=gateways, segments=segments, hostnames=hostnames, path_prefix=path)
    return Release(NAMESPACE, "chat", "uid-1", 1, traffic)


def ref(service: str, weight: int | None = 1, *, says: str | None = None, **fields: Any) -> Json:
    """A backendRef as people or the operator wrote it; `says` is its release header."""
    result: Json = {"group": "", "kind": "Service", "name": service, "port": 8080, **fields}
    if weight is not None:
        result["weight"] = weight
    if says is not None:
        modifier = {"set": [{"name": HEADER, "value": says}]}
        result["filters"] = [{"type": "RequestHeaderModifier", "requestHeaderModifier": modifier}]
    return result


def rule(name: str | None, *refs: Json, path: str = "/", **fields: Any) -> Json:
    """A rule with one path match and what else is given."""
    match: Json = {"path": {"type": "PathPrefix", "value": path}}
    for field in ("headers", "queryParams"):
        if field in fields:
            match[field] = [{"type": "Exact", "name": key, "value": value} for key, value in fields.pop(field).items()]
    if "method" in fields:
        match["method"] = fields.pop("method")
    body: Json = {"matches": [match], "backendRefs": list(refs), **fields}
    return body if name is None else {"name": name, **body}


def route(*rules: Json, annotations: Json | None = None, name: str = "chat") -> Json:
    """A route as read."""
    metadata: Json = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": "route-uid",
        "resourceVersion": "7",
        "generation": 3,
    }
    if annotations is not None:
        metadata["annotations"] = annotations
    parents = [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public", "namespace": "infra"}]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": metadata,
        "spec": {"parentRefs": parents, "rules": list(rules)},
    }


def adopted(*more: Json) -> Json:
    """A route as people wrote it: the rule `chat` with one backend, and `more` rules after it."""
    return route(rule("chat", ref("chat-v1")), *more, annotations={"team": "nlp"})


def shares(rest: int = 0, **segments: int) -> Exposure:
    """Parts per thousand by segment."""
    return Exposure((*segments.items(), (REST, rest)))


def two_arms(rest: int = 0, **segments: int) -> Target:
    """Stable and candidate, the candidate with these shares."""
    return Target(STABLE, CANDIDATE, shares(rest, **segments), holder="process-1")


def change(obj: Json | None, of: Release, target: Target, guard: Guard) -> Change | Unchanged | Refusal:
    return ROUTER.change(of, "chat", obj, target=target, guard=guard)


def changed(obj: Json, of: Release, target: Target, guard: Guard) -> Json:
    """The route after the change, which must be one."""
    found = change(obj, of, target, guard)
    assert isinstance(found, Change), found
    assert isinstance(found.body, list)
    return apply(obj, found.body)


def laid_out(of: Release, obj: Json | None = None) -> Json:
    """The route with two arms, the candidate at 0."""
    return changed(obj or adopted(), of, two_arms(), Guard.LAYOUT)


def raised(of: Release, target: Target, obj: Json | None = None) -> Json:
    """The route with two arms at `target`."""
    return changed(laid_out(of, obj), of, target, Guard.RAISE)


def rules_by_name(obj: Json) -> dict[str, Json]:
    return {each.get("name", f"#{index}"): each for index, each in enumerate(obj["spec"]["rules"])}


def weights(obj: Json, name: str = "chat") -> list[int | None]:
    return [each.get("weight") for each in rules_by_name(obj)[name]["backendRefs"]]


def reweighted(obj: Json, name: str, *values: int | None) -> Json:
    """The route after somebody else set the weights of a rule."""
    result = copy.deepcopy(obj)
    for each, value in zip(rules_by_name(result)[name]["backendRefs"], values, strict=True):
        if value is None:
            each.pop("weight", None)
        else:
            each["weight"] = value
    result["metadata"]["resourceVersion"] = str(int(obj["metadata"]["resourceVersion"]) + 1)
    return result


def share(obj: Json, of: Release, revision: str = CANDIDATE.revision) -> dict[str, int]:
    """The share of a revision per segment, as the router reads it."""
    view = ROUTER.view(of, obj["metadata"]["name"], obj, arms=(STABLE, CANDIDATE))
    return dict(view.share_of(revision).shares)
