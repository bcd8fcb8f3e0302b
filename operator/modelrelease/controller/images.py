"""Images behind Services, read from the pods that their EndpointSlices name, and remembered until the next check.

Only while a release is under way or watched, and once for all releases that share a Service. Few pods are read by
name, many by one list with the Service's selector. Rejected: watching pods; a cluster has far more of them than change
while somebody is released.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

import structlog

from modelrelease.controller import kube
from modelrelease.controller.endpoints import Endpoints, Targets
from modelrelease.controller.kube import ApiError, Denied, Kube
from modelrelease.controller.pods import pod_images
from modelrelease.domain.images import ImagesSeen, PodImages
from modelrelease.domain.release import Progress, Release, State
from modelrelease.domain.unit import UnitRef
from modelrelease.engine.images import COMPARED_IN, held_to
from modelrelease.governance.images import moved, untold

log = structlog.get_logger()

BY_NAME = 20
"""How many pods of a Service are read one by one; more are listed."""

LIVE_S = 2.0
"""How old a reading may be that counts as of now, and how long one is waited for."""

FIRST_WAIT_S = 1.0
"""How long the first look at a candidate without traffic waits, so that the status need not say twice how it is."""

RECHECK_S = 10.0
"""How often images are read that moved or that could not be told, so that it is soon seen that they were put back."""

KEPT = 4096

Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Known:
    """What was found last behind one Service, and when."""

    at: float
    targets: Targets
    pods: tuple[PodImages, ...] = ()
    partial: str = ""
    unknown: str = ""


class Images:
    """Reads for one process."""

    def __init__(self, kube_: Kube, endpoints: Endpoints, *, check_s: float) -> None:
        self._kube, self._endpoints, self._check_s = kube_, endpoints, check_s
        self._known: dict[Place, Known] = {}
        self._reading: dict[Place, asyncio.Task[None]] = {}
        self._failed: dict[Place, str] = {}
        self._denied: set[str] = set()

    async def seen(self, release: Release, progress: Progress, *, live: bool) -> tuple[ImagesSeen, ...]:
        """What runs behind the backends of candidate and stable.

        What is known is given at once and read again behind it when it is old; only `live` waits, and the first look
        at a candidate without traffic, both for a moment.
        """
        if progress.state not in COMPARED_IN:
            return ()
        units = {unit.digest: unit for unit in (progress.stable, progress.candidate) if unit and unit.digest}
        looks = (self._look(release.namespace, unit, progress, live=live) for unit in units.values())
        return tuple(await asyncio.gather(*looks))

    async def _look(self, namespace: str, unit: UnitRef, progress: Progress, *, live: bool) -> ImagesSeen:
        backend = unit.backend
        if backend.kind != "Service" or backend.group:
            return ImagesSeen(
                unit.digest, unknown=f"its pods can be found only behind a Service, and it is of kind {backend.kind}"
            )
        place = (backend.namespace or namespace, backend.name)
        targets = self._endpoints.targets(place)
        if targets is None or (live and monotonic() - targets.at > 2 * LIVE_S):
            return ImagesSeen(unit.digest, unread="its EndpointSlices have not been read")
        if targets.denied:
            return ImagesSeen(unit.digest, unknown=f"EndpointSlices of namespace {place[0]} may not be read")
        if targets.others and not targets.pods:
            return ImagesSeen(unit.digest, unknown="none of its ready endpoints is a pod")
        first = progress.state is State.PREPARING and progress.watch is None and place not in self._known
        wait_s = LIVE_S if live else FIRST_WAIT_S if first else 0.0
        if self._is_old(place, targets, unit, progress, live=live):
            await self._refresh(place, targets, wait_s)
        known = self._known.get(place)
        if known is None or (live and (known.targets != targets or monotonic() - known.at > 2 * LIVE_S)):
            return ImagesSeen(unit.digest, unread=self._failed.get(place, "they have not been read yet"))
        return _seen(unit, known)

    def _is_old(self, place: Place, targets: Targets, unit: UnitRef, progress: Progress, *, live: bool) -> bool:
        """Whether to read again: now and then, soon where pods came or went or something is wrong, and where it counts.

        A reading that another release made a moment ago counts as of now.
        """
        known, frozen = self._known.get(place), held_to(progress, unit)
        if known is None or (live and known.targets != targets):
            return True
        age, seen = monotonic() - known.at, _seen(unit, known)
        if live or known.targets != targets:
            return age > LIVE_S
        well = bool(known.unknown) or not (untold(seen) or (frozen is not None and moved(frozen, seen)))
        return age > (self._check_s if well else min(RECHECK_S, self._check_s))

    async def _refresh(self, place: Place, targets: Targets, wait_s: float) -> None:
        if place not in self._reading:
            self._reading[place] = asyncio.create_task(self._read_behind(place, targets))
        if wait_s:
            await asyncio.wait({self._reading[place]}, timeout=wait_s)

    async def _read_behind(self, place: Place, targets: Targets) -> None:
        try:
            self._known[place] = await self._read(place, targets)
            self._failed.pop(place, None)
        except ApiError as error:
            self._failed[place] = f"they cannot be read: {error}"
            log.warning("could not read the images", service="/".join(place), error=str(error))
        finally:
            self._reading.pop(place, None)
            while len(self._known) > KEPT:
                del self._known[next(iter(self._known))]

    async def _read(self, place: Place, targets: Targets) -> Known:
        began = monotonic()
        try:
            found = await self._pods(place, targets)
        except Denied as error:
            self._tell_denied(place[0], error)
            why = f"pods of namespace {place[0]} may not be read: let the operator get and list pods"
            return Known(began, targets, unknown=why)
        partial = f"{targets.others} of its ready endpoints are no pods" if targets.others else ""
        if len(found) < len(targets.pods):
            partial = f"{len(found)} of {len(targets.pods)} ready pods could be read"
        pods = tuple(pod_images(pod) for pod in found)
        if pods and not any(image for pod in pods for _, image in pod.images):
            return Known(began, targets, unknown="no node reports the images of its pods")
        return Known(began, targets, pods, partial)

    async def _pods(self, place: Place, targets: Targets) -> list[Any]:
        """The ready pods: by name where they are few or the Service has no selector, else by one list."""
        namespace, service = place
        found: Mapping[str, Any] = {}
        if len(targets.pods) > BY_NAME:
            obj = await self._kube.find(kube.SERVICES, namespace, service)
            selector = ((obj or {}).get("spec") or {}).get("selector") or {}
            if selector:
                asked = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
                listed = await self._kube.list(kube.PODS, namespace, labelSelector=asked)
                found = {pod["metadata"]["name"]: pod for pod in listed}
        missing = [name for name in targets.pods if name not in found][:BY_NAME]
        read = await asyncio.gather(*(self._kube.find(kube.PODS, namespace, name) for name in missing))
        return [*(found[name] for name in targets.pods if name in found), *(pod for pod in read if pod is not None)]

    def _tell_denied(self, namespace: str, error: Denied) -> None:
        if namespace not in self._denied:
            self._denied.add(namespace)
            log.warning("images are not compared: pods may not be read", namespace=namespace, error=str(error))


def _seen(unit: UnitRef, known: Known) -> ImagesSeen:
    return ImagesSeen(unit.digest, known.pods, known.partial, known.unknown)
