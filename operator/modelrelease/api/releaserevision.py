"""The kind ReleaseRevision: one unit as it was released, immutable. Revert, retry and a wiped status need it.

Its digest is computed anew when it is read: people may write revisions (prepared fixes), and a revision that claims
another unit's digest must not be followed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from modelrelease.api.base import (
    IMMUTABLE,
    Digest,
    Port,
    ReleaseRef,
    SpecModel,
    StatusModel,
    VersionText,
    atomic,
    map_by,
    rules,
)
from modelrelease.api.names import API_VERSION, RELEASE_LABEL, RELEASE_REVISION
from modelrelease.api.plan_codec import plan_from_dict, plan_to_dict, unit_from_dict, unit_to_dict
from modelrelease.domain.canonical import canonical
from modelrelease.domain.plan import Plan
from modelrelease.domain.release import Fault
from modelrelease.domain.unit import PartName, Unit, UnitRef, unit_ref

NameText = Annotated[str, Field(min_length=1, max_length=253)]


class RevisionBackend(SpecModel):
    """The backend of the unit."""

    name: NameText = Field(description="Name of the backend.")
    port: Port | None = Field(None, description="Port of the Service.")
    kind: Annotated[str, Field(max_length=63)] = Field("Service", description="Kind of the backend.")
    group: Annotated[str, Field(max_length=253)] = Field("", description="API group of the kind; empty for a Service.")
    namespace: Annotated[str, Field(max_length=63)] | None = Field(
        None, description="Namespace of the backend, where it is not the release's own."
    )


class RevisionField(SpecModel):
    """One named field of a part."""

    name: NameText = Field(description="Name of the field, such as version or uri.")
    value: Annotated[str, Field(max_length=2048)] = Field(description="Its value as text.")


class RevisionPart(SpecModel):
    """One part of the unit."""

    name: PartName = Field(description="Which part: model, inference, prompt, tools, safety, routing or evaluation.")
    fields: Annotated[list[RevisionField], Field(max_length=16, json_schema_extra=atomic())] = Field(
        [], description="The part's named fields."
    )
    config_map: NameText | None = Field(None, description="ConfigMap with the content, where it had one.")
    content_digest: Digest | None = Field(None, description="Digest of the content when the revision was made.")


class RevisionUnit(SpecModel):
    """The whole unit."""

    version: VersionText = Field(description="Version of the unit.")
    backend: RevisionBackend = Field(description="What serves the unit.")
    parts: Annotated[list[RevisionPart], Field(max_length=7, json_schema_extra=map_by("name"))] = Field(
        [], description="The parts of the unit besides its backend."
    )


class RevisionInput(SpecModel):
    """Something that the plan was made from."""

    kind: Annotated[str, Field(min_length=1, max_length=63)] = Field(
        description="Its kind, such as GateTemplate, ClusterGateTemplate, MetricsSource or ReleasePolicy."
    )
    name: NameText = Field(description="Its name.")
    digest: Digest = Field(description="Digest over its spec as it was then.")


class ReleaseRevisionSpec(SpecModel):
    """What was released, and how."""

    model_config = ConfigDict(json_schema_extra=rules(IMMUTABLE))

    release: ReleaseRef = Field(description="The release that this revision belongs to.")
    digest: Digest = Field(description="Digest of the unit. A revision whose unit has another digest is not used.")
    unit: RevisionUnit = Field(description="The whole unit.")
    plan: Annotated[str, Field(max_length=262144)] | None = Field(
        None,
        description="The effective plan as canonical JSON, for the record. Absent in a fix that was only prepared.",
    )
    plan_digest: Digest | None = Field(None, description="Digest of the effective plan.")
    inputs: Annotated[list[RevisionInput], Field(max_length=128, json_schema_extra=atomic())] | None = Field(
        None, description="Digests of the templates, sources and the policy that the plan was made from."
    )


class ReleaseRevision(StatusModel):
    """One release unit as it was released: immutable, found by its digest."""

    spec: ReleaseRevisionSpec = Field(description="What was released, and how.")


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision as read: its unit (digest verified) and its plan, None where it has none or it is unreadable."""

    name: str
    release: str
    unit: Unit
    plan: Plan | None = None

    @property
    def ref(self) -> UnitRef:
        """The unit as status and routes refer to it."""
        return unit_ref(self.release, self.unit)


def revision_manifest(
    unit: Unit,
    ref: UnitRef,
    *,
    namespace: str,
    release: str,
    plan: Plan | None = None,
    uid: str | None = None,
    inputs: Mapping[tuple[str, str], str] | None = None,
) -> dict[str, Any]:
    """The ReleaseRevision that keeps `unit`; `inputs` maps (kind, name) of what the plan was made from to digests."""
    spec: dict[str, Any] = {
        "release": {"name": release, **({"uid": uid} if uid else {})},
        "digest": ref.digest,
        "unit": unit_to_dict(unit),
    }
    if plan is not None:
        spec |= {"plan": canonical(plan_to_dict(plan)).decode(), "planDigest": plan.digest}
    if inputs:
        spec["inputs"] = [
            {"kind": kind, "name": name, "digest": digest} for (kind, name), digest in sorted(inputs.items())
        ]
    return {
        "apiVersion": API_VERSION,
        "kind": RELEASE_REVISION.kind,
        "metadata": {"namespace": namespace, "name": ref.revision, "labels": {RELEASE_LABEL: release}},
        "spec": spec,
    }


def revision_of(obj: Mapping[str, Any]) -> Revision | Fault:
    """Read a ReleaseRevision; a Fault where its unit is unreadable or does not have the digest that it claims."""
    name = obj["metadata"]["name"]
    spec = obj.get("spec") or {}
    try:
        unit = unit_from_dict(spec.get("unit"))
        release = str(spec["release"]["name"])
    except (ValueError, KeyError, TypeError) as error:
        return Fault("RevisionUnreadable", f"ReleaseRevision {name}: spec.unit cannot be read ({error}); write it anew")
    if unit.digest != spec.get("digest"):
        return Fault(
            "DigestMismatch",
            f"ReleaseRevision {name}: spec.digest is {spec.get('digest')}, but its unit has {unit.digest}; "
            "it is not used. Delete it and write it anew",
        )
    return Revision(name, release, unit, _plan(spec))


def _plan(spec: Mapping[str, Any]) -> Plan | None:
    try:
        plan = plan_from_dict(json.loads(spec["plan"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return plan if plan.digest == spec.get("planDigest") else None
