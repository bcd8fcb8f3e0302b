"""HTTPRoutes for the sandbox's Gateway, as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelrelease.sandbox.gateway import GATEWAY_GROUP, GATEWAY_NAME, GATEWAY_NAMESPACE

Json = dict[str, Any]


def backend(name: str, weight: int, *, release: str = "", port: int = 8080) -> Json:
    """A backendRef, with a header filter when `release` is given."""
    ref: Json = {"name": name, "port": port, "weight": weight}
    if release:
        header = {"set": [{"name": "x-model-release", "value": release}]}
        ref["filters"] = [{"type": "RequestHeaderModifier", "requestHeaderModifier": header}]
    return ref


def rule(name: str, *backends: Json, headers: Mapping[str, str] | None = None) -> Json:
    match: Json = {"path": {"type": "PathPrefix", "value": "/"}}
    if headers:
        match["headers"] = [{"name": key, "value": value} for key, value in headers.items()]
    return {"name": name, "matches": [match], "backendRefs": list(backends)}


def http_route(namespace: str, name: str, *rules: Json) -> Json:
    """A route for the host `<namespace>.local`, so that tests do not meet each other's traffic."""
    return {
        "apiVersion": f"{GATEWAY_GROUP}/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "parentRefs": [{"name": GATEWAY_NAME, "namespace": GATEWAY_NAMESPACE}],
            "hostnames": [f"{namespace}.local"],
            "rules": list(rules),
        },
    }
