"""Carrying out one step: action by action, in the engine's order, stopping at the first that fails.

What failed is not retried here: the next look at the release reads the cluster and decides anew. The one exception is
lowering a route, which re-reads and tries again at once, because a revert must win against a busy foreign writer (L5).
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from modelrelease.api.convert import record_manifest, revision_manifest
from modelrelease.api.names import FINALIZER
from modelrelease.controller import kube
from modelrelease.controller.bundles import BundleError, Bundles
from modelrelease.controller.gathered import Gathered, resource_of
from modelrelease.controller.kube import ApiError, Changed, Conflict, Kube, NotFound, Unavailable
from modelrelease.controller.status import StatusWriter
from modelrelease.controller.store import Store
from modelrelease.controller.telemetry import Telemetry
from modelrelease.domain.record import Record, record_name
from modelrelease.domain.release import State
from modelrelease.domain.unit import Unit, UnitRef, unit_ref
from modelrelease.engine.actions import (
    AddFinalizer,
    DeleteOwnedRoutes,
    Emit,
    Intention,
    KeepBundle,
    KeepUnit,
    RemoveFinalizer,
    Save,
    SetRoutes,
    Step,
    WriteRecord,
)
from modelrelease.routing.protocol import Change, ChangeKind, Guard, Refusal, Unchanged

log = structlog.get_logger()

LOWER_TRIES = 25
COMPONENT = "modelrelease-operator"


class Refused(Exception):
    """A write was not prepared; the message says what to do instead."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


@dataclass(slots=True)
class Executor:
    """Carries out steps for one process. `process` is written as holder with each route write."""

    kube: Kube
    store: Store
    status: StatusWriter
    telemetry: Telemetry
    bundles: Bundles
    process: str

    async def carry_out(self, step: Step, gathered: Gathered) -> None:
        """Do everything that the step asks for. Raises ApiError or Refused at the first action that fails."""
        for action in step.actions:
            match action:
                case SetRoutes():
                    await self._set_routes(action, step, gathered)
                case WriteRecord(record):
                    await self._write_record(record, gathered)
                case Save(progress):
                    await self.status.save(gathered, step, progress)
                case KeepUnit(unit):
                    await self._keep_unit(unit, gathered)
                case KeepBundle(ref):
                    await self._keep_bundle(ref, gathered)
                case Emit():
                    await self.emit(action, gathered)
                case AddFinalizer():
                    await self._finalizer(gathered, present=True)
                case RemoveFinalizer():
                    await self._finalizer(gathered, present=False)
                case DeleteOwnedRoutes():
                    await self._delete_routes(gathered)

    async def _set_routes(self, action: SetRoutes, step: Step, gathered: Gathered) -> None:
        began = time.monotonic()
        if action.intention is Intention.LOWER:
            writes = [self._set_route(action, name, gathered) for name in gathered.route_names]
            for failed in await asyncio.gather(*writes, return_exceptions=True):
                if failed is not None:
                    raise failed
        else:
            for name in gathered.route_names:
                await self._set_route(action, name, gathered)
        if action.intention is Intention.LOWER and step.progress.state is State.REVERTING:
            self.telemetry.revert_seconds.observe(time.monotonic() - began)

    async def _set_route(self, action: SetRoutes, name: str, gathered: Gathered) -> None:
        release, router = gathered.release, gathered.router
        target = gathered.with_holder(action.target, self.process)
        guard = Guard(action.intention.value)
        obj: Mapping[str, Any] | None = gathered.route_objects.get(name)
        for attempt in range(LOWER_TRIES):
            change = router.change(release, name, obj, target=target, guard=guard)
            match change:
                case Unchanged():
                    return
                case Refusal():
                    if guard is Guard.LOWER and attempt == 0:
                        obj = await self.kube.find(resource_of(router), release.namespace, name)
                        if obj is None:
                            return
                        continue
                    raise Refused(change)
            try:
                written = await self._send(change)
                gathered.route_objects[name] = written
                self.store.put(resource_of(router), written)
                return
            except (Changed, Conflict, NotFound, Unavailable) as error:
                if guard is not Guard.LOWER:
                    raise
                log.warning("lowering again", route=name, attempt=attempt, error=str(error))
                obj = await self.kube.find(resource_of(router), release.namespace, name)
                if obj is None:
                    return
        raise Unavailable(0, "Contended", f"HTTPRoute {name}: could not be lowered in {LOWER_TRIES} tries")

    async def _send(self, change: Change) -> Any:
        resource = kube.Resource(change.group, change.version, change.resource)
        match change.kind:
            case ChangeKind.PATCH:
                return await self.kube.patch(
                    resource, change.namespace, change.name, change.body, content_type=change.content_type
                )
            case ChangeKind.CREATE:
                assert isinstance(change.body, dict)
                return await self.kube.create(resource, change.namespace, change.body)
            case ChangeKind.DELETE:
                assert isinstance(change.body, dict)
                return await self.kube.delete(resource, change.namespace, change.name, options=change.body)

    async def _write_record(self, record: Record, gathered: Gathered) -> None:
        release = gathered.release
        manifest = record_manifest(record, namespace=release.namespace, release=release.name, uid=release.uid)
        try:
            await self.kube.create(kube.RECORDS, release.namespace, manifest)
        except Conflict:
            name = record_name(release.name, record.sequence)
            existing = await self.kube.get(kube.RECORDS, release.namespace, name)
            if existing["spec"].get("hash") != record.hash:
                gathered.head_is_stale()
                raise

    async def _keep_unit(self, unit: Unit, gathered: Gathered) -> None:
        release = gathered.release
        manifest = revision_manifest(
            unit,
            unit_ref(release.name, unit),
            namespace=release.namespace,
            release=release.name,
            plan=release.plan,
            uid=release.uid,
            inputs=_inputs(gathered),
        )
        try:
            await self.kube.create(kube.REVISIONS, release.namespace, manifest)
        except Conflict as error:
            if error.reason != "AlreadyExists":  # A quota that was updated meanwhile is a 409 too.
                raise
        await self._keep_bundle(unit_ref(release.name, unit), gathered, unit)

    async def _keep_bundle(self, ref: UnitRef, gathered: Gathered, unit: Unit | None = None) -> None:
        try:
            await self.bundles.keep(gathered.release, ref, unit)
        except BundleError as error:
            raise Refused(Refusal("BundleNotWritten", str(error))) from error

    async def emit(self, event: Emit, gathered: Gathered) -> None:
        """Write an event about the release; one that cannot be written is only logged."""
        release, now = gathered.release, datetime.now(UTC)
        stamp = now.isoformat(timespec="microseconds").replace("+00:00", "Z")
        body = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"generateName": f"{release.name}-", "namespace": release.namespace},
            "eventTime": stamp,
            "reportingController": f"modelrelease.dev/{COMPONENT}",
            "reportingInstance": self.process,
            "action": event.reason,
            "reason": event.reason,
            "note": event.message[:1000],
            "type": "Warning" if event.warning else "Normal",
            "regarding": {
                "apiVersion": f"{kube.GROUP}/{kube.VERSION}",
                "kind": "ModelRelease",
                "name": release.name,
                "namespace": release.namespace,
                "uid": release.uid,
            },
        }
        log.info(event.message, release=gathered.key, reason=event.reason)
        try:
            await self.kube.create(kube.EVENTS, release.namespace, body)
        except ApiError as error:
            log.warning("event not written", release=gathered.key, reason=event.reason, error=str(error))

    async def _finalizer(self, gathered: Gathered, *, present: bool) -> None:
        obj = gathered.obj
        before = list(obj["metadata"].get("finalizers") or [])
        after = [name for name in before if name != FINALIZER] + ([FINALIZER] if present else [])
        if sorted(after) == sorted(before):
            return
        metadata = obj["metadata"]
        body = {"metadata": {"finalizers": after, "resourceVersion": metadata["resourceVersion"]}}
        try:
            written = await self.kube.patch(
                kube.RELEASES,
                metadata["namespace"],
                metadata["name"],
                body,
                content_type="application/merge-patch+json",
            )
        except NotFound:
            return
        gathered.replace_object(written)
        if present:
            self.store.put(kube.RELEASES, written)

    async def _delete_routes(self, gathered: Gathered) -> None:
        for name, obj in gathered.route_objects.items():
            change = gathered.router.delete(gathered.release, name, obj)
            if isinstance(change, Change):
                try:
                    await self._send(change)
                except NotFound:
                    continue


def _inputs(gathered: Gathered) -> dict[tuple[str, str], str]:
    """What the plan was made from besides the release: its policy."""
    standing = gathered.release.standing
    return {} if standing is None else {("ReleasePolicy", standing.policy): standing.policy_digest}
