"""What a release names and cannot use: metrics sources, and what its data plane cannot do."""

from modelrelease.api.convert import Source, source_of
from modelrelease.controller import kube
from modelrelease.controller.store import Store
from modelrelease.domain.release import Fault, Release
from modelrelease.routing.protocol import Router
from modelrelease.routing.registry import kind_fault


def source_faults(release: Release, store: Store) -> tuple[Fault, ...]:
    """Gates that name a source which is not there, is not usable, or may not be used from this namespace."""
    found: dict[str, Fault] = {}
    for gate in release.plan.gates if release.plan else ():
        path = f"spec.gates ({gate.name}): source {gate.source}"
        source = store.get(kube.SOURCES, gate.source)
        usable = source_of(source) if source is not None else None
        if usable is None:
            message = f"{path}: there is no MetricsSource of this name; create it or correct the name"
            found.setdefault(gate.source, Fault("SourceNotFound", message))
        elif not isinstance(usable, Source):
            found.setdefault(gate.source, Fault("SourceInvalid", f"{path}: {usable[0].message}"))
        elif not usable.allows(release.namespace):
            message = (
                f"{path}: namespace {release.namespace} may not use it; ask its owner to add the namespace to "
                "spec.allowedNamespaces, or name another source"
            )
            found.setdefault(gate.source, Fault("SourceNotAllowed", message))
    return tuple(found.values())


def route_faults(release: Release, router: Router) -> tuple[Fault, ...]:
    """What the data plane cannot do of what the release asks for."""
    found = [kind_fault(release.traffic), router.steerable(release.traffic)]
    if release.plan is not None:
        found += [router.expressible(stage.exposure) for stage in release.plan.stages]
    return tuple(fault for fault in found if fault is not None)
