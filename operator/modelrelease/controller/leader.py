"""The Lease: one process writes at a time, and a process that may have lost it stops writing by its own clock.

Forty lines of our own instead of `kubernetes.aio`'s election, which keeps the Lease when the led task dies and never
counts `leaseTransitions`. kopf's peering is no leader lock (RELIABILITY.md, Known traps). A Lease alone cannot fence:
the shipped admission policy compares the holder annotation of each route write with it, and every raise is a compare
and swap besides.
"""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import structlog

from modelrelease.controller.kube import LEASES, ApiError, Conflict, Kube, NotFound
from modelrelease.controller.settings import OperatorSettings

log = structlog.get_logger()

INSTANCE = "modelrelease.dev/instance"
"""The annotation on the Lease that names the holder's instance."""


class Leadership:
    """Holds the Lease for this process. `acquire` waits for it; `hold` renews it until it is lost."""

    def __init__(self, kube: Kube, settings: OperatorSettings) -> None:
        self._kube, self._settings = kube, settings
        self._renewed = float("-inf")
        self._seen: tuple[str, float] = ("", float("-inf"))

    @property
    def is_leader(self) -> bool:
        """Whether this process may write: it renewed within two thirds of the Lease's duration, by its own clock."""
        return time.monotonic() - self._renewed < self._settings.lease_duration_s * 2 / 3

    async def acquire(self) -> None:
        """Wait until the Lease is ours."""
        waiting = False
        while not await self._try():
            if not waiting:
                log.info("waiting for the lease", lease=self._settings.lease_name, holder=self._seen[0])
                waiting = True
            await asyncio.sleep(min(1.0, self._settings.lease_renew_s))
        log.info("leading", process=self._settings.process_id)

    async def hold(self) -> None:
        """Renew until the Lease is lost; then return, and the caller ends the process."""
        while True:
            await asyncio.sleep(self._settings.lease_renew_s)
            if not await self._try() and not self.is_leader:
                log.error("lost the lease", holder=self._seen[0])
                return

    async def release(self) -> None:
        """Give the Lease back, so that the next process need not wait for it to run out."""
        if not self.is_leader:
            return
        try:
            lease = await self._read()
            if lease and lease["spec"].get("holderIdentity") == self._settings.process_id:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
                await self._write(lease)
        except ApiError as error:
            log.warning("could not give the lease back", error=str(error))
        finally:
            self._renewed = float("-inf")

    async def _try(self) -> bool:
        began = time.monotonic()
        try:
            lease = await self._read()
            if lease is None:
                await self._create()
            else:
                if not self._mine_to_take(lease, began):
                    return False
                await self._write(self._taken(lease))
        except Conflict:
            return False
        except ApiError as error:
            log.warning("could not renew the lease", error=str(error))
            return False
        self._renewed = began
        return True

    def _mine_to_take(self, lease: Any, now: float) -> bool:
        """Ours, given back, held by a process that we replace, or not renewed for its duration since we first saw this
        state (by our own clock)."""
        spec = lease.get("spec", {})
        holder = spec.get("holderIdentity") or ""
        if holder in ("", self._settings.process_id):
            return True
        if self._settings.instance and _annotations(lease).get(INSTANCE) == self._settings.instance:
            log.info("taking over from a process that this one replaces", holder=holder)
            return True
        state = f"{holder}@{spec.get('renewTime')}"
        if state != self._seen[0]:
            self._seen = (state, now)
        return now - self._seen[1] > float(spec.get("leaseDurationSeconds") or self._settings.lease_duration_s)

    def _taken(self, lease: Any) -> Any:
        spec = dict(lease.get("spec", {}))
        if spec.get("holderIdentity") != self._settings.process_id:
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
            spec["acquireTime"] = _now()
        spec |= {
            "holderIdentity": self._settings.process_id,
            "leaseDurationSeconds": max(1, round(self._settings.lease_duration_s)),
            "renewTime": _now(),
        }
        annotations = {**_annotations(lease), INSTANCE: self._settings.instance}
        return {**lease, "metadata": {**lease["metadata"], "annotations": annotations}, "spec": spec}

    async def _read(self) -> Any | None:
        try:
            return await self._kube.get(LEASES, self._settings.lease_namespace, self._settings.lease_name)
        except NotFound:
            return None

    async def _create(self) -> None:
        metadata = {"name": self._settings.lease_name, "namespace": self._settings.lease_namespace}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
        await self._kube.create(LEASES, self._settings.lease_namespace, self._taken(lease))

    async def _write(self, lease: Any) -> None:
        await self._kube.replace(LEASES, self._settings.lease_namespace, self._settings.lease_name, lease)


def _annotations(lease: Any) -> dict[str, str]:
    return lease["metadata"].get("annotations") or {}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
