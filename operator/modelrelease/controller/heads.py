"""The newest record of each release's chain: which one comes next, and what the newest one says.

Read once, then kept by what this process writes; read again only where somebody else may have written.
"""

from collections.abc import Iterable
from typing import Any

import structlog

from modelrelease.api.convert import record_of
from modelrelease.api.names import RELEASE_LABEL
from modelrelease.controller import kube
from modelrelease.controller.gathered import JUDGED
from modelrelease.controller.kube import ApiError, Kube
from modelrelease.domain.record import GENESIS, Head, Record
from modelrelease.domain.release import Progress, Release, State

log = structlog.get_logger()

HEAD_WAIT_S = 1.0
"""How long a look waits for the records where it raises nothing."""


class Heads:
    """Reads for one process."""

    def __init__(self, kube_: Kube) -> None:
        self._kube = kube_
        self._known: dict[str, Head] = {}
        self._newest: dict[str, Record] = {}
        self._unsure: set[str] = set()

    def remember(self, key: str, progress: Progress, *, stale: bool) -> None:
        """Keep what a decision wrote; `stale`: somebody else wrote the next record, so read the chain again."""
        if stale:
            self.forget(key)
            self._unsure.add(key)
            return
        known, newest = self._known.get(key, progress.head), self._newest.get(key)
        self._known[key] = max(known, progress.head, key=lambda head: head.sequence)
        if newest is not None and newest.sequence <= progress.head.sequence:
            del self._newest[key]

    def forget(self, key: str) -> None:
        """The release is gone."""
        self._known.pop(key, None)
        self._newest.pop(key, None)
        self._unsure.discard(key)

    def newest(self, key: str) -> Record | None:
        """The newest record as it was read, while the status does not know of it."""
        return self._newest.get(key)

    async def of(self, key: str, release: Release, progress: Progress, *, live: bool) -> Head:
        """The chain's newest record. A revert does not wait for it (S6): a head that is too old writes no record.

        Nor does a deletion, which writes none.
        """
        if release.deleting:
            return progress.head
        known = self._known.get(key)
        if known is not None:
            return max(known, progress.head, key=lambda head: head.sequence)
        at_rest = progress.state in (State.SETTLED, State.STOPPED, State.WATCHING)
        if at_rest and progress.head.sequence and key not in self._unsure:
            return progress.head
        try:
            records = await records_of(self._kube, release, timeout_s=0 if live else HEAD_WAIT_S)
        except ApiError as error:
            if live or progress.state not in JUDGED:
                raise
            log.warning("the records cannot be read: going on with the status's head", release=key, error=str(error))
            return progress.head
        newest = max(records, key=lambda record: int(record["spec"]["sequence"]), default=None)
        if newest is None:
            return Head(0, GENESIS)
        head = Head(int(newest["spec"]["sequence"]), str(newest["spec"]["hash"]))
        for record in readable([newest]):
            self._newest[key] = record
        self._known[key] = head
        self._unsure.discard(key)
        return head


async def records_of(kube_: Kube, release: Release, *, timeout_s: float = 0) -> list[Any]:
    """All records of a release. Raises ApiError."""
    selector = f"{RELEASE_LABEL}={release.name}"
    return await kube_.list(kube.RECORDS, release.namespace, timeout_s=timeout_s, labelSelector=selector)


def readable(objects: Iterable[Any]) -> list[Record]:
    """The records that can be read and have the hash that they claim; the others are logged and not believed."""
    found = []
    for obj in objects:
        record = record_of(obj)
        if isinstance(record, Record):
            found.append(record)
        else:
            log.error("unreadable record", record=obj["metadata"]["name"], error=record.message)
    return found
