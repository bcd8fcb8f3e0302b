"""Ready endpoints of backends, read from EndpointSlices and remembered for a moment.

A read that fails leaves the last known number; a number that was never known is None (the cluster cannot tell). Only
Services have EndpointSlices; other kinds of backend are None. What no release asks for any more is forgotten.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from modelrelease.controller import kube
from modelrelease.controller.kube import ApiError, Denied, Kube
from modelrelease.domain.unit import Backend

SERVICE_LABEL = "kubernetes.io/service-name"
FIRST_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Targets:
    """What is behind a Service's ready endpoints: pods by name, each once, and how many are something else.

    `at` is when that was read; it is no part of what is compared. `denied`: the EndpointSlices may not be read.
    """

    pods: tuple[str, ...] = ()
    others: int = 0
    denied: bool = False
    at: float = field(default=0.0, compare=False)


class Endpoints:
    """Counts ready endpoints for one process."""

    def __init__(self, kube_: Kube, *, fresh_s: float = 2.0) -> None:
        self._kube, self._fresh_s = kube_, fresh_s
        self._known: dict[tuple[str, str], tuple[float, int | None]] = {}
        self._reading: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._targets: dict[tuple[str, str], Targets] = {}
        self._asked: dict[str, frozenset[tuple[str, str]]] = {}
        self._askers: dict[tuple[str, str], set[str]] = {}

    def forget(self, key: str) -> None:
        """The release is gone."""
        self._ask(key, frozenset())
        del self._asked[key]

    async def ready(self, key: str, backends: Collection[Backend], *, live: bool) -> Mapping[Backend, int | None]:
        """Ready endpoints by backend, all that the release `key` asks for now.

        What is known is given at once and refreshed in the background; with `live` the read is waited for, and for a
        moment when nothing is known yet.
        """
        namespace = key.partition("/")[0]
        places = {
            backend: (backend.namespace or namespace, backend.name)
            for backend in backends
            if backend.kind == "Service" and not backend.group
        }
        self._ask(key, frozenset(places.values()))
        await asyncio.gather(*(self._refresh(place, live=live) for place in dict.fromkeys(places.values())))
        return {
            backend: self._known.get(places[backend], (0.0, None))[1] if backend in places else None
            for backend in backends
        }

    def targets(self, place: tuple[str, str]) -> Targets | None:
        """What is behind the Service `(namespace, name)`, as it was read last; None where it never was."""
        return self._targets.get(place)

    def _ask(self, key: str, places: frozenset[tuple[str, str]]) -> None:
        """Note what a release asks for, and forget what nobody asks for any more."""
        before, self._asked[key] = self._asked.get(key, frozenset()), places
        for place in places - before:
            self._askers.setdefault(place, set()).add(key)
        for place in before - places:
            self._askers[place].discard(key)
            if not self._askers[place]:
                del self._askers[place]
                self._known.pop(place, None)
                self._targets.pop(place, None)

    async def _refresh(self, place: tuple[str, str], *, live: bool) -> None:
        known = self._known.get(place)
        if live or known is None:
            await self._read(place, timeout_s=0 if live else FIRST_WAIT_S)
        elif monotonic() - known[0] > self._fresh_s and place not in self._reading:
            self._reading[place] = asyncio.create_task(self._read_behind(place))

    async def _read_behind(self, place: tuple[str, str]) -> None:
        try:
            await self._read(place)
        finally:
            self._reading.pop(place, None)

    async def _read(self, place: tuple[str, str], *, timeout_s: float = 0) -> None:
        namespace, service = place
        selector = f"{SERVICE_LABEL}={service}"
        try:
            slices = await self._kube.list(kube.ENDPOINT_SLICES, namespace, timeout_s=timeout_s, labelSelector=selector)
        except ApiError as error:
            if place not in self._askers:
                return
            self._known.setdefault(place, (monotonic(), None))
            if isinstance(error, Denied):
                self._targets[place] = Targets(denied=True, at=monotonic())
            return
        if place not in self._askers:
            return
        ready = [
            endpoint
            for piece in slices
            for endpoint in piece.get("endpoints") or []
            if (endpoint.get("conditions") or {}).get("ready") is not False
        ]
        self._known[place] = (monotonic(), len(ready))
        self._targets[place] = _targets(ready, monotonic())


def _targets(ready: Iterable[Mapping[str, Any]], at: float) -> Targets:
    refs = [endpoint.get("targetRef") or {} for endpoint in ready]
    pods = [str(ref["name"]) for ref in refs if ref.get("kind") == "Pod" and ref.get("name")]
    return Targets(tuple(sorted(set(pods))), len(refs) - len(pods), at=at)
