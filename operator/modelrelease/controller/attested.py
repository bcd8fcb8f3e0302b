"""Offline evidence by release, from what the watches have shown; each object is read once per version.

Kept apart from the decisions, because evidence is large: reading it at each look would cost more than the look.
"""

from collections.abc import Mapping
from typing import Any

import structlog

from modelrelease.api.convert import evidence_of
from modelrelease.controller import kube
from modelrelease.controller.kube import Kube
from modelrelease.controller.store import Store, key_of
from modelrelease.domain.offline import OfflineEvidence
from modelrelease.domain.release import Progress, Release

log = structlog.get_logger()


class Attested:
    """The offline evidence of all releases, for one process."""

    def __init__(self, kube_: Kube, store: Store) -> None:
        self._kube, self._store = kube_, store
        self._version = -1
        self._read: dict[str, tuple[str, OfflineEvidence | None]] = {}
        self._by_release: dict[str, tuple[OfflineEvidence, ...]] = {}

    def of(self, release: Release) -> tuple[OfflineEvidence, ...]:
        """The readable evidence for a release, of whatever unit; what is unreadable does not count."""
        version = self._store.versions[kube.EVIDENCES.plural]
        if version != self._version:
            self._index()
            self._version = version
        found = self._by_release.get(f"{release.namespace}/{release.name}", ())
        return tuple(each for each in found if each.release_uid in (None, release.uid))

    async def read_live(self, release: Release, progress: Progress) -> None:
        """Read a namespace's evidence now, where the release demands any. Raises ApiError when it cannot be read.

        What the watches showed and the list does not may be gone, or newer than the list: it is looked for by itself.
        """
        plans = (progress.plan, release.plan)
        if not any(plan is not None and plan.entry.demands for plan in plans):
            return
        listed = await self._kube.list(kube.EVIDENCES, release.namespace)
        for obj in listed:
            self._store.put(kube.EVIDENCES, obj)
        keys = {key_of(obj) for obj in listed}
        for known in [obj for obj in self._store.all(kube.EVIDENCES, release.namespace) if key_of(obj) not in keys]:
            if await self._kube.find(kube.EVIDENCES, release.namespace, known["metadata"]["name"]) is None:
                self._store.drop(kube.EVIDENCES, known)

    def _index(self) -> None:
        seen: dict[str, tuple[str, OfflineEvidence | None]] = {}
        found: dict[str, list[OfflineEvidence]] = {}
        for obj in self._store.all(kube.EVIDENCES):
            uid, version = obj["metadata"]["uid"], str(obj["metadata"].get("resourceVersion"))
            known = self._read.get(uid)
            seen[uid] = known if known is not None and known[0] == version else (version, _readable(obj))
            evidence = seen[uid][1]
            if evidence is not None:
                name = (obj["spec"].get("releaseRef") or {}).get("name")
                found.setdefault(f"{obj['metadata']['namespace']}/{name}", []).append(evidence)
        self._read = seen
        self._by_release = {key: tuple(items) for key, items in found.items()}


def _readable(obj: Mapping[str, Any]) -> OfflineEvidence | None:
    evidence = evidence_of(obj)
    if isinstance(evidence, OfflineEvidence):
        return evidence
    log.warning("unreadable evidence", evidence=obj["metadata"]["name"], error=evidence.message)
    return None
