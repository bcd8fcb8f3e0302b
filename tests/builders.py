"""Objects as users write them, complete and valid, so that a test says only what it is about."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

API_VERSION = "modelrelease.dev/v1alpha1"

ERROR_RATE: Mapping[str, Any] = {
    "kind": "Operational",
    "metric": {
        "ratio": {
            "bad": {"name": "requests_total", "matchers": [{"label": "code", "op": "Regex", "value": "5.."}]},
            "total": {"name": "requests_total"},
        }
    },
    "arm": [{"label": "service", "value": "${service}"}],
}
LATENCY: Mapping[str, Any] = {
    "unit": "s",
    "metric": {"quantile": {"buckets": {"name": "latency_seconds_bucket"}, "q": "0.95"}},
    "arm": [{"label": "service", "value": "${service}"}],
}
SCORE: Mapping[str, Any] = {
    "kind": "Quality",
    "metric": {"mean": {"sum": {"name": "score_sum"}, "count": {"name": "score_count"}, "low": "0", "high": "1"}},
    "arm": [{"label": "release", "value": "${revision}"}],
}
COST: Mapping[str, Any] = {
    "kind": "Business",
    "metric": {"cost": {"cost": {"name": "dollars_total"}, "units": {"name": "tokens_total"}}},
    "arm": [{"label": "release", "value": "${revision}"}],
}
DRIFT: Mapping[str, Any] = {"metric": {"value": {"query": 'max(drift{service="${service}"})'}}}

TEMPLATES: Mapping[str, Mapping[str, Any]] = {
    "gateway-requests": ERROR_RATE,
    "error-rate": ERROR_RATE,
    "latency": LATENCY,
    "score": SCORE,
    "cost": COST,
    "drift": DRIFT,
}
"""Specs of gate templates by name, one per type of metric."""


def model_release(name: str = "chat", namespace: str = "assistants", **spec: Any) -> dict[str, Any]:
    """A ModelRelease as the API server returns it; `spec` replaces whole sections of the smallest valid spec."""
    return {
        "apiVersion": API_VERSION,
        "kind": "ModelRelease",
        "metadata": {"name": name, "namespace": namespace, "uid": "uid-1", "generation": 1},
        "spec": {**copy.deepcopy(SMALLEST), **spec},
    }


SMALLEST: Mapping[str, Any] = {
    "unit": {"version": "v2", "backend": {"name": "chat-v2", "port": 8080}},
    "traffic": {"routes": [{"name": "chat"}]},
}
"""The smallest valid spec."""

LOW_CRITICALITY: Mapping[str, Any] = {
    "name": "low-criticality",
    "headers": [{"name": "x-criticality", "value": "low"}],
}
"""The segment that the default path starts with."""


def stage(name: str, percent: str | Mapping[str, str], **fields: Any) -> dict[str, Any]:
    """A stage with the same percent for all, or one per segment ("" is the entry without segment)."""
    shares = {"": percent} if isinstance(percent, str) else percent
    exposure = [{"percent": share, **({"segment": segment} if segment else {})} for segment, share in shares.items()]
    return {"name": name, "exposure": exposure, **fields}


def gate(name: str = "errors", template: str = "error-rate", **fields: Any) -> dict[str, Any]:
    """A gate with an absolute bound, unless `fields` say another rule."""
    bounds = {"max", "min", "against", "maxRatio", "maxDifference"} & set(fields)
    return {"name": name, "template": template, **({} if bounds else {"max": "0.01"}), **fields}
