"""Deleting bundles that nobody asks for any more: one at a time, behind the looks, and never on the way of a release.

What may go is the engine's to say (`engine.bundles.spare_bundles`). A bundle goes only when it was spare in three
listings in a row, and no HTTPRoute of its namespace names it: requests that were on their way have arrived by then.
Rejected: owner references to the revisions. Revisions are evidence and stay, and deleting a CRD would delete what its
objects own.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog

from modelrelease.api.bundle import bundle_name
from modelrelease.api.names import BUNDLE_LABEL, RELEASE_LABEL
from modelrelease.controller import kube
from modelrelease.controller.kube import ApiError, Kube
from modelrelease.domain.release import Progress, Release
from modelrelease.engine.bundles import HeldBundle, spare_bundles

log = structlog.get_logger()

LISTINGS = 3


class SpareBundles:
    """Keeps the `kept` newest spare bundles of each release and deletes the older ones."""

    def __init__(self, kube_: Kube, *, kept: int) -> None:
        self._kube, self._kept = kube_, kept
        self._held: dict[str, dict[str, HeldBundle]] = {}
        self._tidy: dict[str, frozenset[str]] = {}
        self._spare_since: dict[tuple[str, str], int] = {}
        self._listings = 0
        self._deleting: tuple[str, str] | None = None
        self._task: asyncio.Task[None] | None = None

    def see(self, metas: Iterable[Mapping[str, Any]]) -> frozenset[str]:
        """Take a listing of all bundles' metadata; the releases that may have more of them than they should."""
        self._listings += 1
        self._held = {}
        for meta in metas:
            key = f"{meta['namespace']}/{meta['labels'].get(RELEASE_LABEL, '')}"
            held = HeldBundle(meta["labels"][BUNDLE_LABEL], meta["uid"], meta["creationTimestamp"])
            self._held.setdefault(key, {})[held.revision] = held
        self._tidy = {key: uids for key, uids in self._tidy.items() if self._uids(key) == uids}
        self._spare_since = {
            known: since for known, since in self._spare_since.items() if known[1] in self._held.get(known[0], {})
        }
        return frozenset(key for key, held in self._held.items() if len(held) > self._kept and key not in self._tidy)

    def tidy(self, release: Release, progress: Progress, routes: Callable[[], Iterable[Any]]) -> None:
        """Begin to delete one bundle of a release that may go. Waits for nothing; what fails is tried again later.

        `routes` gives the HTTPRoutes of the release's namespace.
        """
        key = f"{release.namespace}/{release.name}"
        held = self._held.get(key, {})
        if len(held) <= self._kept or key in self._tidy:
            return
        spare = spare_bundles(held.values(), release, progress, kept=self._kept)
        if spare is None:
            return
        if not spare:
            self._tidy[key] = self._uids(key)
        since = {(key, each.revision): self._listings for each in spare}
        others = {known: at for known, at in self._spare_since.items() if known[0] != key}
        before, self._spare_since = self._spare_since, others | since
        self._spare_since |= {known: before[known] for known in since if known in before}
        due = [each for each in spare if self._listings - self._spare_since[key, each.revision] >= LISTINGS - 1]
        if not due or self._task is not None:
            return
        named = [json.dumps(route.get("spec")) for route in routes()]
        free = [each for each in due if not any(each.revision in text for text in named)]
        if free:
            self._deleting = (release.namespace, free[0].revision)
            self._task = asyncio.create_task(self._delete(key, release.namespace, free[0]))

    async def settle(self, namespace: str, revision: str) -> None:
        """Return when the bundle is not being deleted, so that what is read of it then still holds."""
        if self._task is not None and self._deleting == (namespace, revision):
            await asyncio.shield(self._task)

    async def _delete(self, key: str, namespace: str, bundle: HeldBundle) -> None:
        name = bundle_name(bundle.revision)
        options = {"preconditions": {"uid": bundle.uid}}
        try:
            await self._kube.delete(kube.CONFIG_MAPS, namespace, name, options=options)
            self._held.get(key, {}).pop(bundle.revision, None)
            log.info("bundle deleted: its unit has no traffic and newer ones are kept", bundle=f"{namespace}/{name}")
        except ApiError as error:
            log.warning("a bundle that may go could not be deleted", bundle=f"{namespace}/{name}", error=str(error))
        finally:
            self._deleting = self._task = None

    def _uids(self, key: str) -> frozenset[str]:
        return frozenset(held.uid for held in self._held.get(key, {}).values())
