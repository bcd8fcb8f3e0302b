"""Gathering everything that one decision looks at: from the store, and live where exposure may rise.

It fetches and translates; it judges nothing. Live reads happen before a write that may raise exposure, not at each
tick: a revert is never kept waiting by a read.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog

from modelrelease.api.convert import (
    Revision,
    Source,
    record_of,
    release_of,
    revision_of,
    source_of,
)
from modelrelease.api.names import RELEASE_LABEL
from modelrelease.api.status import progress_from_status
from modelrelease.controller import kube
from modelrelease.controller.attested import Attested
from modelrelease.controller.bundles import Bundles
from modelrelease.controller.conflicts import RouteUsers
from modelrelease.controller.decisions import Decisions
from modelrelease.controller.endpoints import Endpoints
from modelrelease.controller.evidence import EvidenceService
from modelrelease.controller.governing import Governing
from modelrelease.controller.images import Images
from modelrelease.controller.kube import ApiError, Kube, Resource
from modelrelease.controller.producers import Producers
from modelrelease.controller.store import Store
from modelrelease.controller.units import Known, Units
from modelrelease.domain.gate import Gate
from modelrelease.domain.plan import Plan
from modelrelease.domain.record import GENESIS, Head, Record
from modelrelease.domain.release import IN_TRAFFIC, Fault, Observed, Progress, Release, State
from modelrelease.domain.traffic import Target
from modelrelease.domain.unit import Backend, UnitRef
from modelrelease.engine.chain import history, used
from modelrelease.routing.protocol import Refusal, Router
from modelrelease.routing.registry import kind_fault, router_for

log = structlog.get_logger()

JUDGED = IN_TRAFFIC | {State.WATCHING, State.REVERTING, State.STOPPED}
"""The states in which something can have to be taken back: no read may keep a release from being looked at."""

HEAD_WAIT_S = 1.0
"""How long a look waits for the records where it raises nothing."""


def resource_of(router: Router) -> Resource:
    """Where a router's routes live in the API."""
    return Resource(router.group, router.version, router.resource)


@dataclass(slots=True)
class Gathered:
    """One release as gathered. `obj` and `route_objects` are replaced by what our own writes gave back."""

    key: str
    obj: Any
    release: Release
    progress: Progress
    observed: Observed
    router: Router
    requests: Gate | None
    route_objects: dict[str, Any] = field(default_factory=dict)
    stale_head: bool = False

    @property
    def route_names(self) -> tuple[str, ...]:
        """The routes that the release steers."""
        return self.router.names(self.release)

    def with_holder(self, target: Target, process: str) -> Target:
        """The target with this process as holder, which the admission policy compares with the Lease."""
        return replace(target, holder=process)

    def replace_object(self, written: Any) -> None:
        """The release object as our write left it."""
        self.obj = written

    def head_is_stale(self) -> None:
        """Somebody else wrote the next record: the chain's head must be read again."""
        self.stale_head = True


class Gatherer:
    """Gathers for one process. Remembers only what is cheap to lose."""

    def __init__(
        self,
        kube_: Kube,
        store: Store,
        evidence: EvidenceService,
        *,
        process: str,
        unit_check_s: float,
        bundle_history: int,
        wake: Callable[[str], None],
    ) -> None:
        self._kube, self._store, self._evidence, self._process = kube_, store, evidence, process
        self.users = RouteUsers(store)
        self.endpoints = Endpoints(kube_)
        self.units = Units(kube_, store, check_s=unit_check_s)
        self.bundles = Bundles(kube_, check_s=unit_check_s, kept=bundle_history)
        self.images = Images(kube_, self.endpoints, check_s=unit_check_s)
        self.attested = Attested(kube_, store)
        self._producers = Producers(kube_, store, wake)
        self.governing = Governing(kube_, store, self.units)
        self._decisions = Decisions(kube_, store, wake)
        self._heads: dict[str, Head] = {}
        self._newest: dict[str, Record] = {}
        self._unsure: set[str] = set()
        self._no_data: dict[str, tuple[tuple[str, datetime], ...]] = {}

    def remember(self, key: str, progress: Progress, *, stale_head: bool) -> None:
        """Keep what a status write may not have kept yet."""
        self._no_data[key] = progress.no_data_since
        if stale_head:
            self._heads.pop(key, None)
            self._newest.pop(key, None)
            self._unsure.add(key)
            return
        known, newest = self._heads.get(key, progress.head), self._newest.get(key)
        self._heads[key] = max(known, progress.head, key=lambda head: head.sequence)
        if newest is not None and newest.sequence <= progress.head.sequence:
            del self._newest[key]

    def forget(self, key: str) -> None:
        """The release is gone."""
        self._no_data.pop(key, None)
        self._heads.pop(key, None)
        self._newest.pop(key, None)
        self.units.forget(key)
        self.governing.forget(key)
        self.bundles.forget(key)

    async def gather(self, key: str, *, live: bool = False, confirm: bool = True) -> Gathered | None:
        """Everything for one decision about `key`; None when the release does not exist.

        With `live`, the object, its routes, its decisions, its evidence and the endpoints are read now.
        Where a revert may be waiting for it (`confirm` False), nobody's author is confirmed now.
        Raises ApiError when a read that is needed fails.
        """
        namespace, _, name = key.partition("/")
        if live:
            await self._read_live(namespace, name)
        obj = self._store.get(kube.RELEASES, key)
        if obj is None:
            return None
        progress = progress_from_status(obj.get("status"))
        known, unread = await self._referred_to(key, obj, progress, live=live)
        release = release_of(obj, templates=known.templates, config_maps=known.contents)
        if not unread:
            release, unread = await self._governed(key, obj, release, progress, live=live)
        router = router_for(release)
        faults = unread or (*release.faults, *_route_faults(release, router), *self._source_faults(release))
        release = replace(release, faults=faults)
        if key in self._no_data and progress.state is State.OBSERVING:
            progress = replace(progress, no_data_since=self._no_data[key])
        objects = {route: await self._route(router, namespace, route, live=live) for route in router.names(release)}
        if live:
            await self.attested.read_live(release, progress)
        observed = await self._observe(key, release, progress, router, objects, live=live)
        confirm = live and confirm
        observed = replace(
            observed,
            doubts=await self._producers.doubts(key, release, progress, observed.offline, live=confirm),
            violations=self.units.violations(key, progress),
            bundles=await self.bundles.faults(release, progress, live=live),
            images=await self.images.seen(release, progress, live=confirm),
            decisions=await self._decisions.of(key, release, progress, confirm=confirm),
            stamped_since=await self._decisions.stamped_since(key, release, progress, confirm=confirm),
        )
        return Gathered(key, obj, release, progress, observed, router, known.requests, objects)

    async def _referred_to(
        self, key: str, obj: Any, progress: Progress, *, live: bool
    ) -> tuple[Known, tuple[Fault, ...]]:
        """What the spec refers to.

        Where it cannot be read, a candidate in traffic is judged on all the same (S6), and a deletion goes on (L4).
        """
        try:
            return await self.units.read(key, obj, live=live), ()
        except ApiError as error:
            deleting = "deletionTimestamp" in obj["metadata"]
            if not deleting and (live or progress.state not in JUDGED):
                raise
            log.warning("what the spec refers to cannot be read: nothing rises", release=key, error=str(error))
            return self.units.unread(key, obj), (Fault("Unread", f"what the spec refers to cannot be read: {error}"),)

    async def _governed(
        self, key: str, obj: Any, release: Release, progress: Progress, *, live: bool
    ) -> tuple[Release, tuple[Fault, ...]]:
        """The release under its policy. Where that cannot be read, a candidate in traffic is judged on all the same."""
        declared = replace(release, plan=self._with_freshness(release.plan))
        try:
            patient = live or progress.state not in JUDGED
            governed = await self.governing.govern(key, obj, declared, progress, patient=patient)
        except ApiError as error:
            if live or progress.state not in JUDGED:
                raise
            log.warning("the policy or stable's revision cannot be read: nothing rises", release=key, error=str(error))
            return declared, (Fault("Unread", f"its policy or stable's revision cannot be read: {error}"),)
        return replace(governed, plan=self._with_freshness(governed.plan)), ()

    def _source_faults(self, release: Release) -> tuple[Fault, ...]:
        """Gates that name a source which is not there, is not usable, or may not be used from this namespace."""
        found: dict[str, Fault] = {}
        for gate in release.plan.gates if release.plan else ():
            path = f"spec.gates ({gate.name}): source {gate.source}"
            source = self._store.get(kube.SOURCES, gate.source)
            usable = source_of(source) if source is not None else None
            if usable is None:
                message = f"{path}: there is no MetricsSource of this name; create it or correct the name"
                found.setdefault(gate.source, Fault("SourceNotFound", message))
            elif not isinstance(usable, Source):
                found.setdefault(gate.source, Fault("SourceInvalid", f"{path}: {usable[0].message}"))
            elif not usable.allows(release.namespace):
                message = (
                    f"{path}: namespace {release.namespace} may not use it; ask its owner to add the namespace to "
                    "spec.allowedNamespaces, or name another source"
                )
                found.setdefault(gate.source, Fault("SourceNotAllowed", message))
        return tuple(found.values())

    def _with_freshness(self, plan: Plan | None) -> Plan | None:
        """Evidence may be as old as a source's scrapes make it: four intervals, where that is more than the plan's."""
        if plan is None:
            return None
        sources = [self._evidence.source(gate.source) for gate in plan.gates]
        slowest = max((source.scrape_interval_s for source in sources if source), default=0.0)
        if 4 * slowest <= plan.limits.fresh_s:
            return plan
        return replace(plan, limits=replace(plan.limits, fresh_s=round(4 * slowest)))

    async def _read_live(self, namespace: str, name: str) -> None:
        obj = await self._kube.find(kube.RELEASES, namespace, name)
        if obj is None:
            known = self._store.get(kube.RELEASES, f"{namespace}/{name}")
            if known is not None:
                self._store.drop(kube.RELEASES, known)
            return
        self._store.put(kube.RELEASES, obj)
        await self.governing.read_live(namespace)
        await self._decisions.read_live(namespace)

    async def _route(self, router: Router, namespace: str, name: str, *, live: bool) -> Any | None:
        resource, key = resource_of(router), f"{namespace}/{name}"
        known = self._store.get(resource, key)
        if not live:
            return known
        found = await self._kube.find(resource, namespace, name)
        if found is None:
            if known is not None:
                self._store.drop(resource, known)
            return None
        self._store.put(resource, found)
        return found

    async def _observe(
        self,
        key: str,
        release: Release,
        progress: Progress,
        router: Router,
        objects: Mapping[str, Any],
        *,
        live: bool,
    ) -> Observed:
        arms = tuple(
            unit for unit in (progress.stable, progress.candidate, progress.fallback, progress.diverted) if unit
        )
        views = tuple(router.view(release, name, obj, arms=arms) for name, obj in objects.items())
        samples, split = self._evidence.samples(key)
        observed = Observed(
            process=self._process,
            routes=views,
            ready=await self.endpoints.ready(release.namespace, _backends(release, progress), live=live),
            verdicts=self._evidence.verdicts(key),
            watch_verdicts=self._evidence.verdicts(f"{key}#watch"),
            samples=samples,
            split=split,
            lengths=self._evidence.lengths(key),
            habits=self._evidence.habits(key),
            offline=self.attested.of(release),
            conflict=self.users.conflict(key, release, views),
            head=await self._head(key, release, progress, live=live),
        )
        shown = live or progress.state is State.REVERTING
        observed = replace(
            observed, newest=self._newest.get(key), workings=self._evidence.workings(key) if shown else ""
        )
        if progress.state is not State.NEW:
            return observed
        return await self._first_look(release, router, objects, observed)

    async def _head(self, key: str, release: Release, progress: Progress, *, live: bool) -> Head:
        """The chain's newest record. A revert does not wait for it (S6): a head that is too old writes no record.

        Nor does a deletion, which writes none.
        """
        if release.deleting:
            return progress.head
        known = self._heads.get(key)
        if known is not None:
            return max(known, progress.head, key=lambda head: head.sequence)
        at_rest = progress.state in (State.SETTLED, State.STOPPED, State.WATCHING)
        if at_rest and progress.head.sequence and key not in self._unsure:
            return progress.head
        try:
            records = await self._records(release, timeout_s=0 if live else HEAD_WAIT_S)
        except ApiError as error:
            if live or progress.state not in JUDGED:
                raise
            log.warning("the records cannot be read: going on with the status's head", release=key, error=str(error))
            return progress.head
        newest = max(records, key=lambda record: int(record["spec"]["sequence"]), default=None)
        if newest is None:
            return Head(0, GENESIS)
        head = Head(int(newest["spec"]["sequence"]), str(newest["spec"]["hash"]))
        for record in _readable([newest]):
            self._newest[key] = record
        self._heads[key] = head
        self._unsure.discard(key)
        return head

    async def _records(self, release: Release, *, timeout_s: float = 0) -> list[Any]:
        selector = f"{RELEASE_LABEL}={release.name}"
        return await self._kube.list(kube.RECORDS, release.namespace, timeout_s=timeout_s, labelSelector=selector)

    async def _first_look(
        self, release: Release, router: Router, objects: Mapping[str, Any], observed: Observed
    ) -> Observed:
        selector = f"{RELEASE_LABEL}={release.name}"
        revisions = await self._kube.list(kube.REVISIONS, release.namespace, labelSelector=selector)
        known: list[UnitRef] = []
        for obj in revisions:
            revision = revision_of(obj)
            if isinstance(revision, Revision):
                known.append(revision.ref)
        records = _readable(await self._records(release))
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


def _backends(release: Release, progress: Progress) -> tuple[Backend, ...]:
    if progress.state in (State.SETTLED,) and (release.unit is None or _same(progress.stable, release)):
        return ()
    units = (progress.stable, progress.candidate, progress.fallback)
    backends = [unit.backend for unit in units if unit]
    if release.unit is not None:
        backends.append(release.unit.backend)
    if release.traffic.safe_backend is not None:
        backends.append(release.traffic.safe_backend)
    return tuple(dict.fromkeys(backends))


def _same(stable: UnitRef | None, release: Release) -> bool:
    return stable is not None and release.unit is not None and stable.digest == release.unit.digest


def _route_faults(release: Release, router: Router) -> tuple[Fault, ...]:
    """What the data plane cannot do of what the release asks for."""
    found = [kind_fault(release.traffic), router.steerable(release.traffic)]
    if release.plan is not None:
        found += [router.expressible(stage.exposure) for stage in release.plan.stages]
    return tuple(fault for fault in found if fault is not None)


def _readable(objects: Iterable[Any]) -> list[Record]:
    """The records that can be read and have the hash that they claim; the others are logged and not believed."""
    found = []
    for obj in objects:
        record = record_of(obj)
        if isinstance(record, Record):
            found.append(record)
        else:
            log.error("unreadable record", record=obj["metadata"]["name"], error=record.message)
    return found
