"""What a release finds that is looked at for the first time: its kept units, its records, what its routes send now."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modelrelease.api.convert import Revision, revision_of
from modelrelease.api.names import RELEASE_LABEL
from modelrelease.controller import kube
from modelrelease.controller.heads import readable, records_of
from modelrelease.controller.kube import Kube
from modelrelease.domain.release import Observed, Release
from modelrelease.domain.unit import Backend, UnitRef
from modelrelease.engine.chain import history, used
from modelrelease.routing.protocol import Refusal, Router


async def first_look(
    kube_: Kube, release: Release, router: Router, objects: Mapping[str, Any], observed: Observed
) -> Observed:
    """What is observed, with the units and records of before and what the routes send now. Raises ApiError."""
    selector = f"{RELEASE_LABEL}={release.name}"
    revisions = await kube_.list(kube.REVISIONS, release.namespace, labelSelector=selector)
    known: list[UnitRef] = []
    for obj in revisions:
        revision = revision_of(obj)
        if isinstance(revision, Revision):
            known.append(revision.ref)
    records = readable(await records_of(kube_, release))
    baseline: Backend | None = None
    views = list(observed.routes)
    for index, (name, obj) in enumerate(objects.items()):
        found = router.baseline(release, name, obj) if obj is not None else None
        if isinstance(found, Refusal):
            views[index] = replace(views[index], problem=views[index].problem or found.message)
        elif found is not None:
            baseline = baseline or found
    return replace(
        observed,
        routes=tuple(views),
        baseline=baseline,
        revisions=tuple(known),
        history=history(records),
        used=used(records),
    )
