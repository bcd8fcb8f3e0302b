"""What the process knows of the cluster: everything is listed once, then watched, and from time to time listed again.

Must know nothing of what is decided. Whatever came, changed or went is remembered in the store and wakes the releases
that it concerns. Rejected: believing the watches alone; they leave ghosts, miss changes and hang without a word.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import structlog

from modelrelease.api.metricssource import source_of
from modelrelease.controller import kube
from modelrelease.controller.evidence import EvidenceService
from modelrelease.controller.gather import Gatherer
from modelrelease.controller.kube import ApiError, Kube, NotFound, Resource, Unavailable
from modelrelease.controller.queue import DueQueue
from modelrelease.controller.settings import OperatorSettings
from modelrelease.controller.sources import settings_of
from modelrelease.controller.store import Store, key_of, version_of
from modelrelease.controller.watching import WATCHED, Watching
from modelrelease.domain.release import State

log = structlog.get_logger()


class StartError(Exception):
    """The process cannot start; the message says what is missing and what to do."""


class Picture:
    """Lists and watches for one process that leads. `states`: the state of each release that was looked at, by key."""

    def __init__(
        self,
        settings: OperatorSettings,
        store: Store,
        queue: DueQueue,
        gatherer: Gatherer,
        evidence: EvidenceService,
        states: Mapping[str, str],
    ) -> None:
        self._settings, self._store, self._queue = settings, store, queue
        self._gatherer, self._evidence, self._states = gatherer, evidence, states
        self._watching: Watching | None = None
        self._delivered: dict[str, int] = {}

    @property
    def ended(self) -> bool:
        """Whether the watches were begun and run no more."""
        return self._watching is not None and not self._watching.alive

    def watch(self) -> None:
        """Begin the watches."""
        self._watching = Watching(self._settings.kubeconfig, self._see, context=self._settings.context)
        self._watching.start()

    async def stop(self) -> None:
        """End the watches."""
        if self._watching is not None:
            await self._watching.stop()

    async def begin(self, api: Kube) -> None:
        """List everything once, however often it takes: a process that ends is started again ever more slowly."""
        tries = 0
        while True:
            try:
                await self._read_everything(api)
                await self._list_bundles()
                return
            except Unavailable as error:
                log.warning("could not list yet", error=str(error))
                await asyncio.sleep(min(5.0, 0.25 * 2.0 ** min(tries, 8)))
                tries += 1

    async def _read_everything(self, api: Kube) -> dict[str, int]:
        """List all kinds, so that nothing is decided on half a picture (a Pause not seen yet, say).

        Gives back the versions that nobody had shown before, by resource and key.
        """
        news: dict[str, int] = {}
        for resource in WATCHED:
            try:
                found = await api.list(resource)
            except NotFound as error:
                raise StartError(
                    f"the API server does not know {resource.plural}.{resource.group}: install the CRDs "
                    "(kubectl apply --server-side -k manifests, and the Gateway API's standard channel)"
                ) from error
            seen = set()
            for obj in found:
                seen.add(key_of(obj))
                obj.setdefault("metadata", {}).pop("managedFields", None)
                if self._take(resource, False, obj):
                    news[_name_of(resource, obj)] = version_of(obj)
            for ghost in [obj for obj in self._store.all(resource) if key_of(obj) not in seen]:
                self._take(resource, True, ghost)
        return news

    async def relist(self, api: Kube) -> None:
        """From time to time list everything again: a watch can leave ghosts, miss changes, or hang without a word.

        Returns, which ends the process, when the watches did not begin in time or missed what a list before showed.
        """
        missed: dict[str, int] = {}
        while True:
            await asyncio.sleep(self._settings.resync_s)
            assert self._watching is not None
            if not self._watching.ready:
                log.error("the watches did not begin", after_s=self._settings.resync_s)
                return
            still = [name for name, version in missed.items() if self._delivered.get(name, -1) < version]
            if still:
                log.error("the watches hang: they missed what a list showed", objects=sorted(still)[:5])
                return
            try:
                missed = await self._read_everything(api)
                await self._list_bundles()
            except ApiError as error:
                log.warning("could not list again", error=str(error))

    async def _list_bundles(self) -> None:
        """Wake the releases whose bundles changed. Bundles that cannot be listed stop nothing."""
        try:
            for key in await self._gatherer.bundles.list_all():
                self._queue.wake(key)
        except ApiError as error:
            log.warning("could not list the bundles", error=str(error))

    async def watch_the_watches(self) -> None:
        """Return, which ends the process, when the watches have ended."""
        assert self._watching is not None
        await self._watching.ended()
        log.error("the watches ended: ending the process")

    def _see(self, resource: Resource, gone: bool, obj: Any) -> None:
        """The watches showed an object."""
        self._delivered[_name_of(resource, obj)] = version_of(obj)
        self._take(resource, gone, obj)

    def _take(self, resource: Resource, gone: bool, obj: Any) -> bool:
        """One object came, changed or went: remember it and wake whom it concerns; False when it was known."""
        if gone:
            self._store.drop(resource, obj)
        elif not self._store.put(resource, obj):
            return False
        for key in self._concerned(resource, gone, obj):
            self._queue.wake(key)
        return True

    def _concerned(self, resource: Resource, gone: bool, obj: Any) -> Iterable[str]:
        namespace = obj["metadata"].get("namespace")
        match resource.plural:
            case kube.RELEASES.plural:
                self._gatherer.users.see(obj, gone=gone)
                return [key_of(obj)]
            case kube.DECISIONS.plural | kube.EVIDENCES.plural:
                return [f"{namespace}/{obj.get('spec', {}).get('releaseRef', {}).get('name')}"]
            case kube.HTTP_ROUTES.plural:
                return self._gatherer.users.of(key_of(obj))
            case kube.POLICIES.plural:
                return list(self._states)
            case kube.NAMESPACES.plural:
                return [key for key in self._states if key.startswith(f"{obj['metadata']['name']}/")]
            case kube.SOURCES.plural:
                self._see_source(gone, obj)
                return [key for key, state in self._states.items() if state != State.SETTLED]
            case _:
                return [key for key, state in self._states.items() if state != State.SETTLED]

    def _see_source(self, gone: bool, obj: Any) -> None:
        name = obj["metadata"]["name"]
        settings = None if gone else settings_of(source_of(obj))
        if settings is None:
            log.warning("metrics source is not usable", source=name)
            self._evidence.drop_source(name)
        else:
            self._evidence.set_source(settings)


def _name_of(resource: Resource, obj: Any) -> str:
    return f"{resource.plural} {key_of(obj)}"
