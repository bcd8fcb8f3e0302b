"""What a policy makes of a release that need not exist: tier, reasons, the plan, and what in it is the policy's.

The operator's own way is gone, on what the cluster and the files say; files go before the cluster. Without a cluster
nothing is known of what serves, so that every part counts as changed.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from modelrelease.api.convert import config_maps_of, content_of, declared_of, unit_of
from modelrelease.api.status import progress_from_status
from modelrelease.controller import kube as api
from modelrelease.controller.governing import Governing
from modelrelease.controller.kube import Denied, Kube
from modelrelease.controller.store import Store
from modelrelease.controller.units import Units
from modelrelease.domain.plan import Plan
from modelrelease.domain.release import Fault, Progress, Release
from modelrelease.domain.tier import Standing
from modelrelease.domain.unit import Unit, unit_ref
from modelrelease.governance.differences import additions

NAME_LABEL = "kubernetes.io/metadata.name"


@dataclass(frozen=True, slots=True)
class Governance:
    """How a release stands to its policy. `asked`: what the policy put into the plan, by stage ("" is all else).

    `unknown` says what could not be read and so counts as changed or as not there.
    """

    standing: Standing | None = None
    asked: Mapping[str, tuple[str, ...]] | None = None
    unknown: tuple[str, ...] = ()


class _Nobody:
    """A cluster in which there is nothing."""

    async def find(self, *_: Any) -> None:
        return None

    async def list(self, *_: Any, **__: Any) -> list[Any]:
        return []


class Refused(Exception):
    """The release asks for less than its tier, or its policy cannot be told."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\nerror: ".join(fault.message for fault in dict.fromkeys(faults)))
        self.faults = tuple(dict.fromkeys(faults))


def govern_offline(
    doc: Mapping[str, Any], docs: Sequence[Any], release: Release, *, stable: Unit | None = None
) -> tuple[Release, Governance]:
    """The release under the policies in the files, else under the built-in one. `stable`: what serves, where known.

    Raises Refused where it asks for less than its tier.
    """
    return asyncio.run(govern(_Nobody(), doc, docs, release, None, stable=stable))  # type: ignore[arg-type]


async def govern(
    kube: Kube,
    doc: Mapping[str, Any],
    docs: Sequence[Any],
    release: Release,
    status: object,
    *,
    stable: Unit | None = None,
) -> tuple[Release, Governance]:
    """The release under the policies of the cluster and of the files, with the status that it has, None for none.

    Raises Refused where it asks for less than its tier.
    """
    store, unknown = Store(), list[str]()
    for resource, kind in ((api.POLICIES, "ReleasePolicy"), (api.CLUSTER_TEMPLATES, "ClusterGateTemplate")):
        try:
            for obj in await kube.list(resource):
                store.put(resource, obj)
        except Denied as error:
            unknown.append(f"you may not read {resource.plural}: {error.message}")
        for mine in (each for each in docs if each.get("kind") == kind):
            store.put(resource, _newest(mine))
    store.put(api.NAMESPACES, await _namespace(kube, docs, release.namespace, unknown))
    unit = await _unit(kube, doc, docs, release.namespace)
    if not isinstance(unit, Unit):
        return release, Governance(unknown=(f"the tier is not known: {unit.message}",))
    assert release.plan is not None
    progress = progress_from_status(status)
    asked = replace(release, unit=unit)
    if stable is not None:
        progress = replace(progress, stable=unit_ref(release.name, stable))
    governing = Governing(kube, store, Units(kube, store, check_s=60))
    key = f"{release.namespace}/{release.name}"
    if stable is not None:
        governing.assume(key, stable)
    try:
        found = await governing.govern(key, doc, asked, progress)
    except Denied as error:
        unknown.append(f"what serves cannot be read, so every part counts as changed: {error.message}")
        found = await governing.govern(key, doc, asked, Progress())
    if found.faults:
        raise Refused(found.faults)
    if progress.stable is None:
        unknown.append("nothing is known of what serves, so every part counts as changed")
    assert found.plan is not None
    return found, Governance(found.standing, _asked(doc, release.plan, found.plan), tuple(unknown))


def _asked(doc: Mapping[str, Any], plan: Plan, made: Plan) -> Mapping[str, tuple[str, ...]]:
    return additions(declared_of(doc.get("spec") or {}, plan), made)


async def _namespace(kube: Kube, docs: Sequence[Any], name: str, unknown: list[str]) -> dict[str, Any]:
    labels: dict[str, str] = {}
    try:
        found = await kube.find(api.NAMESPACES, None, name)
        labels |= ((found or {}).get("metadata") or {}).get("labels") or {}
    except Denied as error:
        unknown.append(f"you may not read the labels of namespace {name}: {error.message}")
    for mine in docs:
        if mine.get("kind") == "Namespace" and mine["metadata"]["name"] == name:
            labels |= mine["metadata"].get("labels") or {}
    return {"metadata": {"name": name, "labels": {**labels, NAME_LABEL: name}}}


async def _unit(kube: Kube, doc: Mapping[str, Any], docs: Sequence[Any], namespace: str) -> Unit | Fault:
    """The unit with the contents that can be read; one that cannot be is taken as another than what serves."""
    spec = doc.get("spec") or {}
    mine = {each["metadata"]["name"]: content_of(each) for each in docs if each.get("kind") == "ConfigMap"}
    contents: dict[str, Mapping[str, str] | None] = {}
    for name in config_maps_of(spec):
        try:
            found = None if name in mine else await kube.find(api.CONFIG_MAPS, namespace, name)
        except Denied:
            found = None
        contents[name] = mine.get(name) or (content_of(found) if found is not None else {})
    unit = unit_of(_without_digests(spec, contents), namespace, contents)
    return unit if isinstance(unit, Unit) else unit[0]


def _without_digests(spec: Mapping[str, Any], contents: Mapping[str, Mapping[str, str] | None]) -> Mapping[str, Any]:
    """A content that was not found fits no digest; that is for `modelrelease lint` and the operator to say."""
    unit = {name: dict(part) if isinstance(part, Mapping) else part for name, part in (spec.get("unit") or {}).items()}
    for part in unit.values():
        ref = part.get("configMapRef") if isinstance(part, dict) else None
        if isinstance(ref, Mapping) and not contents.get(str(ref.get("name"))):
            part.pop("digest", None)
    return {**spec, "unit": unit}


def _newest(obj: Mapping[str, Any]) -> dict[str, Any]:
    """An object of a file, as if it had been applied just now."""
    return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(2**62)}}
