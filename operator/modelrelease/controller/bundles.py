"""Keeping the bundles of units: read and compared while a release is under way, written before traffic needs them.

At rest only one list of all bundles' metadata is read now and then, and a bundle where that shows a change. Reading
one never keeps a revert waiting: what is not known yet counts as not there, and is read behind the look that asked.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import monotonic
from typing import Any

import structlog

from modelrelease.api.bundle import bundle_manifest, bundle_name, bundle_problem, is_ours, needs_bundle
from modelrelease.api.convert import Revision, content_digest, content_of, revision_of
from modelrelease.api.convert_unit import Contents
from modelrelease.api.names import BUNDLE_LABEL, RELEASE_LABEL
from modelrelease.controller import kube
from modelrelease.controller.kube import ApiError, Kube, Unavailable
from modelrelease.controller.spare_bundles import SpareBundles
from modelrelease.domain.release import IN_TRAFFIC, BundleFault, Progress, Release, State
from modelrelease.domain.unit import Unit, UnitRef
from modelrelease.engine.bundles import AT_REST

log = structlog.get_logger()

UNREAD = "BundleUnread"
CHECKED = IN_TRAFFIC | {State.WATCHING}


class BundleError(Exception):
    """A bundle cannot be written; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was found last about one bundle, and when."""

    at: float
    fault: BundleFault | None


class Bundles:
    """Reads and writes bundles for one process; remembers what was found for `check_s` seconds."""

    def __init__(self, kube_: Kube, *, check_s: float, kept: int) -> None:
        self._kube, self._check_s = kube_, check_s
        self._spare = SpareBundles(kube_, kept=kept)
        self._known: dict[tuple[str, str], Known] = {}
        self._units: dict[tuple[str, str], Unit] = {}
        self._reading: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._listed: dict[tuple[str, str], tuple[str, str]] | None = None
        self._changed: dict[tuple[str, str], str] = {}

    def forget(self, release: str) -> None:
        """The release `namespace/name` is gone."""
        namespace, _, name = release.partition("/")
        for key in [key for key in self._units if key[0] == namespace and key[1].startswith(f"{name[:50]}-")]:
            self._known.pop(key, None)
            self._units.pop(key)

    async def faults(self, release: Release, progress: Progress, *, live: bool) -> tuple[BundleFault, ...]:
        """What is wrong with the bundles of the units that have traffic, or may get it back."""
        if progress.state in AT_REST:
            return await self._faults_at_rest(release, progress)
        if progress.state not in CHECKED:
            return ()
        self._forget_changes(release)
        found = []
        for ref in _refs(progress):
            known = await self._look(release, ref, live=live)
            if known is None and ref == progress.candidate:
                message = f"ConfigMap {bundle_name(ref.revision)} has not been read yet"
                found.append(BundleFault(ref.digest, UNREAD, message))
            if known is not None and known.fault is not None:
                found.append(known.fault)
        return tuple(found)

    async def list_all(self) -> frozenset[str]:
        """List the metadata of all bundles; the releases whose bundles came, went, were replaced, are still wrong, or
        are more than are needed.

        Raises ApiError when they cannot be listed.
        """
        found = await self._kube.list(kube.CONFIG_MAPS, metadata_only=True, labelSelector=BUNDLE_LABEL)
        metas = [item["metadata"] for item in found]
        now = {
            (meta["namespace"], meta["labels"][BUNDLE_LABEL]): (meta["uid"], meta["labels"].get(RELEASE_LABEL, ""))
            for meta in metas
        }
        before, self._listed = self._listed, now
        if before is not None:
            changed = [key for key in before.keys() | now.keys() if before.get(key) != now.get(key)]
            self._changed |= {key: (now.get(key) or before[key])[1] for key in changed}
        crowded = self._spare.see(metas)
        return crowded | {f"{namespace}/{release}" for (namespace, _), release in self._changed.items()}

    def tidy(self, release: Release, progress: Progress, routes: Callable[[], Iterable[Any]]) -> None:
        """Have a bundle deleted that may go; see `SpareBundles.tidy`."""
        self._spare.tidy(release, progress, routes)

    async def _find(self, namespace: str, revision: str) -> Any | None:
        await self._spare.settle(namespace, revision)
        return await self._kube.find(kube.CONFIG_MAPS, namespace, bundle_name(revision))

    def _forget_changes(self, release: Release) -> set[tuple[str, str]]:
        """What the list showed of a release's bundles; it is looked at now."""
        mine = {key for key, name in self._changed.items() if (key[0], name) == (release.namespace, release.name)}
        for key in mine:
            del self._changed[key]
        return mine

    async def _faults_at_rest(self, release: Release, progress: Progress) -> tuple[BundleFault, ...]:
        """What is wrong with stable's bundle, where the list of all bundles gives reason to ask."""
        stable, unit = progress.stable, release.unit
        if stable is None or not stable.digest:
            return ()
        key = (release.namespace, stable.revision)
        asked = self._forget_changes(release)
        named = unit is not None and unit.digest == stable.digest and needs_bundle(unit)
        gone = named and self._listed is not None and key not in self._listed
        if not gone and key not in asked:
            return ()
        known = await self._read(release, stable)
        if known.fault is None:
            return ()
        self._changed[key] = release.name
        return (known.fault,)

    async def _look(self, release: Release, ref: UnitRef, *, live: bool) -> Known | None:
        key = (release.namespace, ref.revision)
        known = self._known.get(key)
        if live:
            return await self._read(release, ref)
        old = known is None or monotonic() - known.at > self._check_s
        if old and key not in self._reading:
            self._reading[key] = asyncio.create_task(self._read_behind(release, ref))
        return known

    async def _read_behind(self, release: Release, ref: UnitRef) -> None:
        try:
            await self._read(release, ref)
        finally:
            self._reading.pop((release.namespace, ref.revision), None)

    async def _read(self, release: Release, ref: UnitRef) -> Known:
        key = (release.namespace, ref.revision)
        try:
            found = Known(monotonic(), await self._fault(release, ref))
        except ApiError as error:
            message = f"ConfigMap {bundle_name(ref.revision)} cannot be read: {error}"
            return Known(monotonic(), BundleFault(ref.digest, UNREAD, message))
        self._known[key] = found
        return found

    async def _fault(self, release: Release, ref: UnitRef) -> BundleFault | None:
        unit, name = await self._unit(release, ref), bundle_name(ref.revision)
        if unit is None:
            message = f"ReleaseRevision {ref.revision} is gone, so bundle {name} cannot be verified"
            return BundleFault(ref.digest, UNREAD, message)
        if not needs_bundle(unit):
            return None
        found = await self._find(release.namespace, ref.revision)
        problem = "it is not there" if found is None else bundle_problem(found, unit, ref)
        if problem is None:
            return None
        reason = "BundleMissing" if found is None else "BundleAltered"
        said = f"ConfigMap {name}, the bundle of {ref.version}: {problem}"
        if found is not None and not is_ours(found, release.name):
            return BundleFault(ref.digest, reason, f"{said}; somebody else made it: delete it")
        lost = await self._lost(release.namespace, unit)
        if lost:
            return BundleFault(ref.digest, reason, f"{said}; to write it anew restore ConfigMap {lost[0]}")
        return BundleFault(ref.digest, reason, said, mendable=True)

    async def _unit(self, release: Release, ref: UnitRef) -> Unit | None:
        """The unit behind a reference, from the spec or from the revision that keeps it; units never change."""
        key = (release.namespace, ref.revision)
        if key not in self._units and release.unit is not None and release.unit.digest == ref.digest:
            self._units[key] = release.unit
        if key not in self._units:
            obj = await self._kube.find(kube.REVISIONS, release.namespace, ref.revision)
            revision = revision_of(obj) if obj is not None else None
            if not isinstance(revision, Revision) or revision.unit.digest != ref.digest:
                return None
            self._units[key] = revision.unit
        return self._units[key]

    async def _lost(self, namespace: str, unit: Unit) -> list[str]:
        """The ConfigMaps of a unit that are gone or hold something else by now."""
        contents = await self._contents(namespace, unit)
        return [
            part.config_map
            for _, part in unit.parts
            if part.config_map is not None and not _holds(contents, part.config_map, part.content_digest)
        ]

    async def _contents(self, namespace: str, unit: Unit) -> Contents:
        names = dict.fromkeys(part.config_map for _, part in unit.parts if part.config_map is not None)
        found = {name: await self._kube.find(kube.CONFIG_MAPS, namespace, name) for name in names}
        return {name: None if obj is None else content_of(obj) for name, obj in found.items()}

    async def keep(self, release: Release, ref: UnitRef, unit: Unit | None = None) -> bool:
        """Make sure that the bundle is there and holds the unit; whether it was written now.

        Raises BundleError where it cannot be written, Unavailable where that may be over soon.
        """
        key = (release.namespace, ref.revision)
        self._known.pop(key, None)
        if unit is not None:
            self._units[key] = unit
        try:
            unit = await self._unit(release, ref)
            written = unit is not None and needs_bundle(unit) and await self._write(release, ref, unit)
            self._known[key] = Known(monotonic(), None)
            if written and self._listed is not None:
                self._listed[key] = ("", release.name)  # So that the next list shows it as new, or as gone.
            return written
        except Unavailable:
            raise
        except ApiError as error:
            raise BundleError(f"ConfigMap {bundle_name(ref.revision)} cannot be written: {error}") from error

    async def _write(self, release: Release, ref: UnitRef, unit: Unit) -> bool:
        namespace, name = release.namespace, bundle_name(ref.revision)
        found = await self._find(namespace, ref.revision)
        if found is not None:
            problem = bundle_problem(found, unit, ref)
            if problem is None:
                return False
            if not is_ours(found, release.name):
                raise BundleError(f"ConfigMap {name} has the name of the unit's bundle, but {problem}: delete it")
        contents = await self._contents(namespace, unit)
        for _, part in unit.parts:
            if part.config_map is not None and not _holds(contents, part.config_map, part.content_digest):
                message = f"ConfigMap {part.config_map} no longer holds what the digest of {ref.version} covers"
                raise BundleError(f"{message}: restore it, or write a new version of the unit")
        if found is not None:
            options = {"preconditions": {"uid": found["metadata"]["uid"]}}
            await self._kube.delete(kube.CONFIG_MAPS, namespace, name, options=options)
        manifest = bundle_manifest(unit, ref, namespace=namespace, release=release.name, contents=contents)
        await self._kube.create(kube.CONFIG_MAPS, namespace, manifest)
        log.info("bundle written", bundle=f"{namespace}/{name}", anew=found is not None)
        return True


def _holds(contents: Contents, name: str, digest: str | None) -> bool:
    content = contents.get(name)
    return content is not None and content_digest(content) == digest


def _refs(progress: Progress) -> Iterable[UnitRef]:
    """The units that have traffic or may get it back, the candidate first; the safe backend is none."""
    units = (progress.candidate, progress.stable, progress.fallback)
    return {unit.revision: unit for unit in units if unit is not None and unit.digest}.values()
