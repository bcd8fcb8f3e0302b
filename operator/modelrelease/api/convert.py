"""Objects of the API server to the domain's nouns, and back: the door to this package for the controller.

Pure. A section that is wrong costs only itself: traffic can still be taken back while a gate has no template.
"""

from collections.abc import Mapping
from typing import Any

from modelrelease.api.bundle import bundle_faults
from modelrelease.api.convert_gates import Templates, requests_of, templates_of
from modelrelease.api.convert_plan import declared_of, plan_of
from modelrelease.api.convert_policy import (
    PolicyObject,
    applying,
    built_in_policy,
    policy_object,
    policy_of,
    review_date,
)
from modelrelease.api.convert_risk import risk_of
from modelrelease.api.convert_traffic import segments_of, traffic_of
from modelrelease.api.convert_unit import Contents, config_maps_of, content_digest, content_of, unit_of
from modelrelease.api.gatetemplate import template_of
from modelrelease.api.metricssource import Source, source_of
from modelrelease.api.names import CHANGED_BY, FINALIZER, UNIT_CHANGED_BY
from modelrelease.api.releasedecision import decision_of
from modelrelease.api.releaseevidence import evidence_of
from modelrelease.api.releaserecord import record_manifest, record_of
from modelrelease.api.releaserevision import Revision, revision_manifest, revision_of
from modelrelease.domain.plan import Plan
from modelrelease.domain.release import Fault, Release
from modelrelease.domain.traffic import Traffic
from modelrelease.domain.unit import Unit

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

__all__ = [
    "Contents",
    "PolicyObject",
    "Revision",
    "Source",
    "Templates",
    "applying",
    "built_in_policy",
    "config_maps_of",
    "content_digest",
    "content_of",
    "decision_of",
    "declared_of",
    "evidence_of",
    "plan_of",
    "policy_object",
    "policy_of",
    "record_manifest",
    "record_of",
    "release_of",
    "requests_of",
    "review_date",
    "revision_manifest",
    "revision_of",
    "risk_of",
    "segments_of",
    "source_of",
    "template_of",
    "templates_of",
    "traffic_of",
    "unit_of",
]


def release_of(obj: Mapping[str, Any], *, config_maps: Contents, templates: Templates) -> Release:
    """The release that a ModelRelease object describes, with all its faults; never raises for what users wrote.

    Where `spec.traffic` is wrong, the release steers nothing: `traffic` is empty and the faults say why.
    """
    metadata = obj["metadata"]
    namespace = metadata["namespace"]
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != APPLIED}
    spec = obj.get("spec")
    spec = spec if isinstance(spec, Mapping) else {}
    unit, plan, traffic = unit_of(spec, namespace, config_maps), plan_of(spec, templates), traffic_of(spec)
    faults = [fault for section in (unit, plan, traffic) if isinstance(section, tuple) for fault in section]
    if isinstance(unit, Unit) and isinstance(traffic, Traffic) and traffic.safe_backend == unit.backend:
        message = "it is the backend that is being released and so no safer path; name another one, or remove it"
        faults.append(Fault("InvalidSpec", f"spec.traffic.safeBackend: {message}"))
    if isinstance(unit, Unit):
        faults += bundle_faults(unit, config_maps)
    return Release(
        namespace=namespace,
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 0),
        traffic=traffic if isinstance(traffic, Traffic) else Traffic(),
        unit=unit if isinstance(unit, Unit) else None,
        plan=plan if isinstance(plan, Plan) else None,
        faults=tuple(dict.fromkeys(faults)),
        deleting=metadata.get("deletionTimestamp") is not None,
        finalizer=FINALIZER in (metadata.get("finalizers") or ()),
        changed_by=tuple(filter(None, (annotations.get(name, "") for name in (CHANGED_BY, UNIT_CHANGED_BY)))),
        annotations=annotations,
    )
