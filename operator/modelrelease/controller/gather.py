"""Gathering everything that one decision looks at: from the store, and live where exposure may rise.

It fetches and translates; it judges nothing. Live reads happen before a write that may raise exposure, not at each
tick: a revert is never kept waiting by a read.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from modelrelease.api.convert import release_of
from modelrelease.api.status import progress_from_status
from modelrelease.controller import kube
from modelrelease.controller.attested import Attested
from modelrelease.controller.bundles import Bundles
from modelrelease.controller.conflicts import RouteUsers
from modelrelease.controller.decisions import Decisions
from modelrelease.controller.endpoints import Endpoints
from modelrelease.controller.evidence import EvidenceService
from modelrelease.controller.first_look import first_look
from modelrelease.controller.gathered import JUDGED, Gathered, resource_of
from modelrelease.controller.governing import Governing
from modelrelease.controller.heads import Heads
from modelrelease.controller.images import Images
from modelrelease.controller.kube import ApiError, Kube
from modelrelease.controller.producers import Producers
from modelrelease.controller.store import Store
from modelrelease.controller.units import Known, Units
from modelrelease.controller.unusable import route_faults, source_faults
from modelrelease.domain.plan import Plan
from modelrelease.domain.release import Fault, Observed, Progress, Release, State
from modelrelease.domain.unit import Backend, UnitRef
from modelrelease.routing.protocol import Router
from modelrelease.routing.registry import router_for

log = structlog.get_logger()


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
        self._heads = Heads(kube_)
        self._no_data: dict[str, tuple[tuple[str, datetime], ...]] = {}

    def remember(self, key: str, progress: Progress, *, stale_head: bool) -> None:
        """Keep what a status write may not have kept yet."""
        self._no_data[key] = progress.no_data_since
        self._heads.remember(key, progress, stale=stale_head)

    def forget(self, key: str) -> None:
        """The release is gone."""
        self._no_data.pop(key, None)
        self._heads.forget(key)
        self.endpoints.forget(key)
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
        faults = unread or (*release.faults, *route_faults(release, router), *source_faults(release, self._store))
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
            ready=await self.endpoints.ready(key, _backends(release, progress), live=live),
            verdicts=self._evidence.verdicts(key),
            watch_verdicts=self._evidence.verdicts(f"{key}#watch"),
            samples=samples,
            split=split,
            lengths=self._evidence.lengths(key),
            habits=self._evidence.habits(key),
            offline=self.attested.of(release),
            conflict=self.users.conflict(key, release, views),
            head=await self._heads.of(key, release, progress, live=live),
        )
        shown = live or progress.state is State.REVERTING
        observed = replace(
            observed, newest=self._heads.newest(key), workings=self._evidence.workings(key) if shown else ""
        )
        if progress.state is not State.NEW:
            return observed
        return await first_look(self._kube, release, router, objects, observed)


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
