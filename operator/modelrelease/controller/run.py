"""The operator process: wait for the Lease, read everything once, watch, and look at releases when they are due.

All parts are started here and nowhere else, and the first that ends for whatever reason ends the process: a restart
continues from what the cluster says, while half an operator would move traffic that it does not watch.
"""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import structlog

from modelrelease.controller import kube
from modelrelease.controller.demands import demands_of, history_of
from modelrelease.controller.evidence import EvidenceService
from modelrelease.controller.execute import Executor, Refused
from modelrelease.controller.gather import Gatherer
from modelrelease.controller.gathered import Gathered
from modelrelease.controller.kube import ApiError, Changed, Conflict, Kube
from modelrelease.controller.leader import Leadership
from modelrelease.controller.notices import Notices
from modelrelease.controller.picture import Picture
from modelrelease.controller.probes import Probes
from modelrelease.controller.queue import DueQueue
from modelrelease.controller.refusals import Refusals
from modelrelease.controller.settings import OperatorSettings
from modelrelease.controller.status import StatusWriter
from modelrelease.controller.store import Store
from modelrelease.controller.telemetry import Telemetry
from modelrelease.domain.release import State
from modelrelease.engine.actions import Hold, Step
from modelrelease.engine.live import needs_live
from modelrelease.engine.planner import plan

log = structlog.get_logger()

MAX_STEPS = 12
"""How many steps one look may take before others get their turn."""


class Operator:
    """One operator process. `run` returns when it is stopped or no longer leads."""

    def __init__(self, settings: OperatorSettings) -> None:
        self.settings = settings
        self.telemetry = Telemetry()
        self.store = Store()
        self.queue = DueQueue()
        self.probes = Probes(self.telemetry, healthy=self._unhealthy, ready=self._unready)
        self._failures: dict[str, int] = {}
        self._states: dict[str, str] = {}
        self._leading = False
        self._synced = False
        self._picture: Picture | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set or the Lease is lost. Raises StartError when something needed is missing."""
        settings = self.settings
        await self.probes.start(settings.listen_host, settings.listen_port)
        try:
            async with Kube(settings.kubeconfig, context=settings.context, timeout_s=settings.api_timeout_s) as api:
                api.observe = self.telemetry.observe_api
                leadership = Leadership(api, settings)
                if not await _first(leadership.acquire(), stop.wait()):
                    return
                self._lead(api, leadership)
                try:
                    await self._work(api, leadership, stop)
                finally:
                    self._leading = False
                    self.telemetry.leading.set(0)
                    await leadership.release()
        finally:
            await self.probes.stop()

    def _lead(self, api: Kube, leadership: Leadership) -> None:
        settings = self.settings
        api.may_write = lambda: leadership.is_leader
        self._leading = True
        self.telemetry.leading.set(1)
        self.evidence = EvidenceService(self.telemetry, settings.credentials_dir, self.queue.wake)
        self.gatherer = Gatherer(
            api,
            self.store,
            self.evidence,
            process=settings.process_id,
            unit_check_s=settings.unit_check_s,
            bundle_history=settings.bundle_history,
            wake=self.queue.wake,
        )
        self.status = StatusWriter(api, self.store)
        self.executor = Executor(
            api, self.store, self.status, self.telemetry, self.gatherer.bundles, settings.process_id
        )
        self.refusals = Refusals(self.executor)
        self.notices = Notices(self.executor)
        self._picture = Picture(settings, self.store, self.queue, self.gatherer, self.evidence, self._states)

    async def _work(self, api: Kube, leadership: Leadership, stop: asyncio.Event) -> None:
        picture = self._picture
        assert picture is not None
        if not await _first(picture.begin(api), leadership.hold(), stop.wait()):
            return
        picture.watch()
        self._synced = True
        try:
            await _first(
                leadership.hold(),
                stop.wait(),
                picture.relist(api),
                picture.watch_the_watches(),
                *(self.queue.work(self._look) for _ in range(self.settings.workers)),
            )
        finally:
            await self.evidence.close()
            await picture.stop()

    async def _look(self, key: str) -> None:
        """Look at one release: gather, decide, act, until there is nothing more to do now."""
        with structlog.contextvars.bound_contextvars(release=key):
            try:
                await self._steps(key)
                self._failures.pop(key, None)
            except (Conflict, Changed) as error:
                log.info("decided on an old state: deciding anew", error=str(error))
                await self._again(key, error, fast=True)
            except ApiError as error:
                log.warning("the API server did not do it", error=str(error))
                await self._again(key, error, fast=False)
            except Exception:
                log.exception("looking at the release failed")
                self.telemetry.errors.labels("bug").inc()
                self._failures[key] = self._failures.get(key, 0) + 1
                self.queue.wake(key, delay_s=min(60.0, 2.0 ** self._failures[key]))

    async def _again(self, key: str, error: ApiError, *, fast: bool) -> None:
        self.telemetry.errors.labels(type(error).__name__).inc()
        tries = self._failures[key] = self._failures.get(key, 0) + 1
        delay = min(5.0, (0.05 if fast else 0.25) * 2.0 ** min(tries, 8))
        self.queue.wake(key, delay_s=delay)
        if fast:
            try:
                await self.gatherer.gather(key, live=True, confirm=False)
            except ApiError as again:
                log.warning("could not read again", error=str(again))

    async def _steps(self, key: str) -> None:
        gathered = await self.gatherer.gather(key)
        if gathered is None:
            self._forget(key)
            return
        self.notices.remember(key, gathered.obj)
        step = Step(gathered.progress)
        for _ in range(MAX_STEPS):
            step = plan(gathered.release, gathered.progress, gathered.observed, datetime.now(UTC))
            if needs_live(step):
                gathered = await self.gatherer.gather(key, live=True)
                if gathered is None:
                    self._forget(key)
                    return
                step = plan(gathered.release, gathered.progress, gathered.observed, datetime.now(UTC))
            step = await self._carry_out(step, gathered)
            if step.actions:
                self._failures.pop(key, None)
            self._sync(key, gathered, step)
            await self.notices.tell(gathered, step)
            if not step.actions or step.progress.state is State.DELETED:
                break
            following = await self.gatherer.gather(key)
            if following is None:
                self._forget(key)
                return
            gathered = following
        if step.progress.state is State.DELETED:
            self._forget(key)
            return
        await self.status.refresh(gathered, step)
        await self.refusals.tell(gathered, step)
        self.gatherer.bundles.tidy(
            gathered.release,
            step.progress,
            lambda: self.store.all(kube.HTTP_ROUTES, gathered.release.namespace),
        )
        self._wake_later(key, step, gathered)

    async def _carry_out(self, step: Step, gathered: Gathered) -> Step:
        try:
            await self.executor.carry_out(step, gathered)
        except Refused as refused:
            hold = Hold(refused.refusal.reason, refused.refusal.message)
            log.warning("the route cannot be written", reason=hold.reason, message=hold.message)
            return Step(gathered.progress, holds=(hold,), wake_at=None)
        except ApiError:
            self.gatherer.remember(gathered.key, gathered.progress, stale_head=True)
            raise
        self.gatherer.remember(gathered.key, step.progress, stale_head=gathered.stale_head)
        return step

    def _sync(self, key: str, gathered: Gathered, step: Step) -> None:
        """Have the evidence collected that the release needs now, and show its state in our own metrics.

        During a revert it stays as it was: the record at its end says what the decision was based on.
        """
        if step.progress.state is State.REVERTING:
            self._count(key, gathered, step)
            return
        wanted = {demand.key: demand for demand in demands_of(gathered, step.progress)}
        for suffix in ("", "#watch"):
            demand = wanted.get(key + suffix)
            if demand is None:
                self.evidence.withdraw(key + suffix)
            else:
                self.evidence.demand(demand)
        self.evidence.read_history(key, history_of(gathered, step.progress))
        self._count(key, gathered, step)

    def _count(self, key: str, gathered: Gathered, step: Step) -> None:
        state, before = step.progress.state.value, self._states.get(key)
        if before != state:
            if before is not None:
                self.telemetry.releases.labels(before).dec()
            self.telemetry.releases.labels(state).inc()
            self._states[key] = state
            newest = step.progress.outcomes[0].outcome if step.progress.outcomes else None
            if before is not None and newest and state in (State.STOPPED, State.WATCHING, State.SETTLED):
                self.telemetry.outcomes.labels(newest).inc()
        self._show_weights(gathered, step)

    def _show_weights(self, gathered: Gathered, step: Step) -> None:
        release, candidate = gathered.release, step.progress.candidate
        if candidate is None:
            return
        for segment, share in step.progress.exposure.shares:
            labels = (release.namespace, release.name, segment, candidate.version)
            self.telemetry.weight.labels(*labels).set(share / 1000)

    def _forget(self, key: str) -> None:
        for suffix in ("", "#watch"):
            self.evidence.withdraw(key + suffix)
        self.evidence.read_history(key, None)
        self.gatherer.forget(key)
        self.status.forget(key)
        self.notices.forget(key)
        self.queue.forget(key)
        before = self._states.pop(key, None)
        if before is not None:
            self.telemetry.releases.labels(before).dec()

    def _wake_later(self, key: str, step: Step, gathered: Gathered) -> None:
        if step.wake_at is not None:
            delay = (step.wake_at - datetime.now(UTC)).total_seconds()
            self.queue.wake(key, delay_s=max(0.05, delay))
        elif step.progress.diverted or step.progress.state not in (State.SETTLED, State.STOPPED, State.WATCHING):
            self.queue.wake(key, delay_s=self.settings.endpoints_period_s)
        elif step.holds or step.progress.state is State.WATCHING:
            self.queue.wake(key, delay_s=15.0)

    def _unhealthy(self) -> str | None:
        if not self._leading or not self._synced:
            return None
        if self._picture is not None and self._picture.ended:
            return "the watches ended"
        now = time.monotonic()
        for source, seen, period in self.evidence.heartbeat():
            if now - seen > self.settings.healthy_periods * period:
                return f"source {source}: no tick has completed for {now - seen:.0f} s"
        return None

    def _unready(self) -> str | None:
        return None if self._synced or not self._leading else "reading the cluster"


async def _first(*parts: Any) -> bool:
    """Run parts until the first ends, cancel the others, raise what it raised. True when the first part ended first."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            if not task.done():
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
    return tasks[0] in done
