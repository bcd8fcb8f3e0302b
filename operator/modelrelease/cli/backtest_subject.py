"""What a backtest is about: plan, places and sources of a release, from its files and perhaps from a cluster."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelrelease.api.convert import unit_of
from modelrelease.cli import measure
from modelrelease.cli.cluster import Cluster, fail
from modelrelease.cli.governed import Governance, Refused, govern, govern_offline
from modelrelease.domain.canonical import short
from modelrelease.domain.exposure import REST
from modelrelease.domain.plan import Plan
from modelrelease.domain.release import Release
from modelrelease.domain.unit import Unit, unit_ref
from modelrelease.metrics.source import SourceSettings
from modelrelease.metrics.subscription import Place
from modelrelease.routing.registry import kind_fault, router_for


@dataclass(frozen=True, slots=True)
class Subject:
    """`plan` is the one that the release's policy makes of it.

    `places`: each `stable` holds the placeholders' values of the stable arm. `routed`: they come from a route.
    """

    name: str
    namespace: str
    plan: Plan
    places: tuple[Place, ...]
    sources: Mapping[str, SourceSettings]
    rules: int
    credentials: Path | None
    routed: bool
    governance: Governance

    def mend(self, said: str) -> str:
        """What to do about a placeholder without a value."""
        if "has no value" not in said:
            return ""
        route = "" if self.routed else ", or put the HTTPRoute into the file"
        return f"; give it one with --stable (and --candidate) NAME=VALUE{route}"


def subject_of(
    docs: Sequence[Any],
    doc: Mapping[str, Any],
    namespace: str | None,
    address: str | None,
    credentials: Path | None,
    cluster: Cluster,
    on_cluster: Callable[..., Any],
) -> Subject:
    """Read everything that is needed; faults end the command."""
    where = namespace or doc["metadata"].get("namespace") or "default"
    ask = measure.Ask(0.0, address, credentials)
    if address is not None and cluster == Cluster():
        return _offline(docs, doc, where, ask)
    found: Subject = on_cluster(cluster, lambda kube: _online(kube, docs, doc, where, ask))
    return found


def _offline(docs: Sequence[Any], doc: Mapping[str, Any], namespace: str, ask: measure.Ask) -> Subject:
    spec, name = doc.get("spec") or {}, doc["metadata"]["name"]
    plan, traffic = measure.plan_from(spec, measure.offline_templates(docs, spec))
    asked = Release(namespace, name, uid="", generation=0, traffic=traffic, plan=plan)
    try:
        release, governance = govern_offline(doc, docs, asked)
    except Refused as refused:
        fail(str(refused))
    plan = measure.with_gates(release.plan)
    places = _places_in(docs, spec, release)
    try:
        sources = {gate.source: SourceSettings(gate.source, ask.address or "") for gate in plan.gates}
    except ValueError as error:
        fail(f"--prometheus: {error}", 2)
    return _subject(release, spec, plan, places, sources, ask, governance)


async def _online(kube: Any, docs: Sequence[Any], doc: Mapping[str, Any], namespace: str, ask: measure.Ask) -> Subject:
    from modelrelease.controller import kube as api

    spec, name = doc.get("spec") or {}, doc["metadata"]["name"]
    store = await measure.store_for(kube, docs, spec, namespace)
    plan, traffic = measure.plan_from(spec, await measure.templates_for(kube, store, doc, namespace))
    existing = await kube.find(api.RELEASES, namespace, name)
    release = Release(namespace, name, uid="", generation=0, traffic=traffic, plan=plan)
    status = (existing or {}).get("status")
    try:
        release, governance = await govern(kube, doc, docs, release, status)
    except Refused as refused:
        fail(str(refused))
    plan = measure.with_gates(release.plan)
    found, both = await measure.places_for(kube, store, release, status, model=_model(spec))
    places = tuple(Place(place.segment, {}, place.stable if both else place.candidate) for place in found)
    sources = {gate.source: await measure.source_for(kube, gate.source, namespace, ask) for gate in plan.gates}
    return _subject(release, spec, plan, places, sources, ask, governance)


def _subject(
    release: Release,
    spec: Mapping[str, Any],
    plan: Plan,
    places: tuple[Place, ...],
    sources: Mapping[str, SourceSettings],
    ask: measure.Ask,
    governance: Governance,
) -> Subject:
    rules = max(len(places), len(release.traffic.segments) + 1)
    shown = places or (Place(REST, {}, _values(release, spec)),)
    return Subject(
        name=release.name,
        namespace=release.namespace,
        plan=plan,
        places=shown,
        sources=sources,
        rules=rules,
        credentials=ask.credentials,
        routed=bool(places),
        governance=governance,
    )


def _places_in(docs: Sequence[Any], spec: Mapping[str, Any], release: Release) -> tuple[Place, ...]:
    """Where stable is found in the HTTPRoutes of the files."""
    if (fault := kind_fault(release.traffic)) is not None:
        fail(fault.message)
    router, found = router_for(release), []
    for name in router.names(release):
        for doc in docs:
            if doc.get("kind") != router.kind or doc["metadata"]["name"] != name:
                continue
            route = {**doc, "metadata": {"namespace": release.namespace, **doc["metadata"]}}
            stable = measure.served_by(router, release, name, route)
            for place in router.places(release, name, route, candidate=None, stable=stable):
                if place.stable is not None:
                    found.append(Place(place.segment, {}, {**place.stable, "model": _model(spec)}))
    return tuple(found)


def _values(release: Release, spec: Mapping[str, Any]) -> Mapping[str, str]:
    """The placeholders' values without a route: what the release itself says of its unit."""
    routes = router_for(release).names(release)
    values = {
        "namespace": release.namespace,
        "release": release.name,
        "route": routes[0] if routes else "",
        "segment": "",
        "model": _model(spec),
    }
    unit = unit_of(spec, release.namespace, {})
    backend = (spec.get("unit") or {}).get("backend") or {}
    values |= {
        "service": str(backend.get("name") or ""),
        "serviceNamespace": str(backend.get("namespace") or release.namespace),
        "port": str(backend.get("port") or ""),
        "version": str((spec.get("unit") or {}).get("version") or ""),
    }
    if isinstance(unit, Unit):
        ref = unit_ref(release.name, unit)
        values |= {"revision": ref.revision, "digest": short(ref.digest)}
    return values


def _model(spec: Mapping[str, Any]) -> str:
    return str(((spec.get("unit") or {}).get("model") or {}).get("name") or "")
