"""Evidence for releases in traffic: one collector per MetricsSource, each with its own clock, and the judges' states.

A hanging source delays only its own releases. The judges' state is small and lives in memory; after a restart the
collector reads the same counters again from Prometheus, from the start of the rollout, and the judges fold them anew.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic

import structlog

from modelrelease.controller.history import SUFFIX, History, HistoryWanted, subscription
from modelrelease.controller.sufficiency import Lengths
from modelrelease.controller.telemetry import Telemetry
from modelrelease.domain.evidence import Evidence, SplitCount
from modelrelease.domain.gate import Gate, Scope
from modelrelease.domain.habit import Habit
from modelrelease.domain.plan import Limits, Plan, StageLengths
from modelrelease.domain.verdict import Verdict
from modelrelease.gates.judge import JudgeSettings
from modelrelease.gates.workings import MAX_PACKED, MAX_STRATA, Account, packed
from modelrelease.metrics.client import ThreadedPrometheus, prometheus
from modelrelease.metrics.collector import Collector
from modelrelease.metrics.outage import Outage
from modelrelease.metrics.source import SourceSettings
from modelrelease.metrics.subscription import Place, Subscription, Tick

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Demand:
    """What one release wants judged: its gates, where its arms are found, and from when. `key` may end in `#watch`.

    `habits`: how stable's bad events come, for gates where that is known.
    """

    key: str
    token: str
    gates: tuple[Gate, ...]
    places: tuple[Place, ...]
    since: datetime
    stage_since: datetime
    limits: Limits
    requests: Gate | None
    plan: Plan | None = None
    habits: tuple[tuple[str, Habit], ...] = ()


@dataclass(slots=True)
class _Judged:
    """The running judgement of one demand."""

    demand: Demand
    accounts: dict[str, Account] = field(default_factory=dict)
    verdicts: dict[str, tuple[Verdict, ...]] = field(default_factory=dict)
    samples: int | None = None
    split: tuple[SplitCount, ...] = ()
    lengths: Lengths = field(default_factory=Lengths)


class EvidenceService:
    """Runs the collectors. `wake` is called with a release's key each time its evidence has moved."""

    def __init__(self, telemetry: Telemetry, credentials: Path, wake: Callable[[str], None]) -> None:
        self._telemetry, self._credentials, self._wake = telemetry, credentials, wake
        self._sources: dict[str, SourceSettings] = {}
        self._collectors: dict[str, Collector] = {}
        self._clients: dict[str, ThreadedPrometheus] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._judged: dict[str, _Judged] = {}
        self._seen: dict[str, float] = {}
        self._outages: dict[str, Outage] = {}
        self._histories: dict[str, History] = {}
        self._working: set[asyncio.Task[None]] = set()
        self._arithmetic = asyncio.Lock()

    def set_source(self, settings: SourceSettings) -> None:
        """Add a source, or change it: its collector starts anew and its releases' evidence is read again."""
        if self._sources.get(settings.name) == settings:
            return
        self.drop_source(settings.name)
        self._sources[settings.name] = settings
        client = self._clients[settings.name] = prometheus(settings, self._credentials)
        collector = Collector(settings, client, on_query=partial(self._count_query, settings.name))
        self._collectors[settings.name] = collector
        for judged in self._judged.values():
            self._subscribe(judged, settings.name)
        for history in self._histories.values():
            self._subscribe_history(history, settings.name)
        self._tasks[settings.name] = asyncio.create_task(self._run(settings, collector))

    def drop_source(self, name: str) -> None:
        """Stop asking a source."""
        self._sources.pop(name, None)
        self._outages.pop(name, None)
        self._collectors.pop(name, None)
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
        client = self._clients.pop(name, None)
        if client is not None:
            client.close()

    def source(self, name: str) -> SourceSettings | None:
        """The settings of a source, None when there is none of this name."""
        return self._sources.get(name)

    def demand(self, wanted: Demand) -> None:
        """Have a release judged; a demand with another token starts from scratch."""
        known = self._judged.get(wanted.key)
        if known is not None and known.demand == wanted:
            return
        if known is None or known.demand.token != wanted.token:
            known = self._judged[wanted.key] = _Judged(wanted)
        else:
            if known.demand.stage_since != wanted.stage_since:
                for account in known.accounts.values():
                    account.new_stage()
            known.demand = wanted
            known.samples, known.split = None, ()
        for source in self._sources:
            self._subscribe(known, source)

    def read_history(self, key: str, wanted: HistoryWanted | None) -> None:
        """Have stable's history up to now read before the first stage; None: it is not wanted, or no more."""
        known = self._histories.get(key)
        if known is not None and (wanted is None or known.wanted.token != wanted.token):
            del self._histories[key]
            for collector in self._collectors.values():
                collector.unsubscribe(key + SUFFIX)
            known = None
        if wanted is not None and known is None:
            self._histories[key] = History(replace(wanted, since=max(wanted.since, datetime.now(UTC))))
            for source in self._sources:
                self._subscribe_history(self._histories[key], source)

    def habits(self, key: str) -> tuple[tuple[str, Habit], ...] | None:
        """What stable's history says of each gate, where it says something; None while it is being read."""
        history = self._histories.get(key)
        return history.found if history else ()

    def withdraw(self, key: str) -> None:
        """Stop judging a release."""
        if self._judged.pop(key, None) is not None:
            for collector in self._collectors.values():
                collector.unsubscribe(key)

    def heartbeat(self) -> tuple[tuple[str, float, float], ...]:
        """For each source in use: its name, when its last tick completed (monotonic time), its period in seconds."""
        return tuple(
            (name, seen, max(self._sources[name].tick_s, self._sources[name].timeout_s))
            for name, seen in self._seen.items()
            if name in self._sources
        )

    def verdicts(self, key: str) -> tuple[Verdict, ...]:
        """The newest verdicts of a demand."""
        judged = self._judged.get(key)
        if judged is None:
            return ()
        return tuple(verdict for gate in judged.demand.gates for verdict in judged.verdicts.get(gate.name, ()))

    def samples(self, key: str) -> tuple[int | None, tuple[SplitCount, ...]]:
        """The candidate's requests since the stage began, and the realised split."""
        judged = self._judged.get(key)
        return (judged.samples, judged.split) if judged else (None, ())

    def lengths(self, key: str) -> StageLengths | None:
        """Whether the stages are long enough for the traffic; None while too little of it was seen."""
        judged = self._judged.get(key)
        return judged.lengths.found if judged else None

    def workings(self, key: str) -> str:
        """What the verdicts of a release can be recomputed from, packed for a record; "" when there is nothing."""
        for room in (MAX_STRATA, MAX_STRATA // 4, 0):
            found = {
                phase: list(self._written(judged, room))
                for phase, judged in (("Stage", self._judged.get(key)), ("Watch", self._judged.get(f"{key}#watch")))
                if judged is not None and judged.verdicts
            }
            text = packed(found) if found else ""
            if len(text) <= MAX_PACKED:
                return text
        log.warning("the workings are too large for a record", release=key)
        return ""

    def _written(self, judged: _Judged, room: int) -> Iterable[Mapping[str, object]]:
        settings = judge_settings(judged.demand)
        for name, verdicts in judged.verdicts.items():
            known = settings_for(settings, judged.demand, name)
            yield judged.accounts[name].written(at=verdicts[0].at, settings=known, room=room)

    async def close(self) -> None:
        """Stop all collectors."""
        for name in list(self._tasks):
            self.drop_source(name)

    def _subscribe(self, judged: _Judged, source: str) -> None:
        demand, collector = judged.demand, self._collectors[source]
        gates = tuple(gate for gate in demand.gates if gate.source == source)
        counts = demand.requests is not None and demand.requests.source == source
        if not gates and not counts:
            collector.unsubscribe(demand.key)
            return
        collector.subscribe(
            Subscription(
                key=demand.key,
                generation=demand.token,
                gates=gates,
                places=demand.places,
                since=demand.since,
                stage_since=demand.stage_since,
                fresh_s=demand.limits.fresh_s,
                requests=demand.requests if counts else None,
            )
        )

    def _subscribe_history(self, history: History, source: str) -> None:
        gates = tuple(gate for gate in history.wanted.gates if gate.source == source and not history.is_done(gate.name))
        for gate in gates:
            history.strata.pop(gate.name, None)
        if gates:
            interval_s = self._sources[source].scrape_interval_s
            self._collectors[source].subscribe(
                subscription(history.wanted, gates, scrape_interval_s=interval_s, fresh_s=4 * interval_s)
            )

    async def _run(self, settings: SourceSettings, collector: Collector) -> None:
        loop = asyncio.get_running_loop()
        while True:
            now = datetime.now(UTC)
            due = collector.next_due(now)
            await asyncio.sleep(max(0.0, (due - now).total_seconds()))
            if not self._in_use(settings.name):
                self._seen.pop(settings.name, None)
                continue
            self._seen.setdefault(settings.name, monotonic())
            began = loop.time()
            self._telemetry.tick_lag.labels(settings.name).set(max(0.0, (datetime.now(UTC) - due).total_seconds()))
            try:
                ticks = await collector.collect(datetime.now(UTC))
            except asyncio.CancelledError:
                raise
            except Exception:
                log.exception("collecting failed", source=settings.name)
                self._telemetry.errors.labels("collect").inc()
                continue
            self._telemetry.tick_seconds.labels(settings.name).observe(loop.time() - began)
            self._seen[settings.name] = monotonic()
            self._fold(settings, ticks)

    def _count_query(self, source: str, seconds: float, failed: bool) -> None:
        self._telemetry.queries.labels(source, "failed" if failed else "answered").inc()
        self._telemetry.query_seconds.labels(source).observe(seconds)

    def _in_use(self, source: str) -> bool:
        return any(self._uses(judged, source) for judged in self._judged.values()) or any(
            gate.source == source for history in self._histories.values() for gate in history.wanted.gates
        )

    def _uses(self, judged: _Judged, source: str) -> bool:
        demand = judged.demand
        requests = demand.requests is not None and demand.requests.source == source
        return requests or any(gate.source == source for gate in demand.gates)

    def _fold(self, settings: SourceSettings, ticks: Mapping[str, Tick]) -> None:
        down = [tick.source_down for tick in ticks.values() if tick.source_down]
        self._telemetry.source_up.labels(settings.name).set(0 if down else 1)
        self._tell(settings.name, down[0] if down else None, len(ticks))
        looked = False
        for key, tick in ticks.items():
            if key.endswith(SUFFIX):
                own = ticks.get(key.removesuffix(SUFFIX))
                answers = own is None or own.source_down is None
                self._take_history(key.removesuffix(SUFFIX), tick, self._collectors[settings.name], answers=answers)
                continue
            judged = self._judged.get(key)
            if judged is None:
                continue
            if judged.demand.requests is not None and judged.demand.requests.source == settings.name:
                judged.samples, judged.split = tick.samples, tick.split
            by_name = {gate.name: gate for gate in judged.demand.gates if gate.source == settings.name}
            for evidence in tick.evidence:
                gate = by_name.get(evidence.gate)
                if gate is not None:
                    self._judge(judged, gate, evidence)
            looked = looked or self._look_at_lengths(judged, tick.at, settings)
            self._wake(key.removesuffix("#watch"))

    def _take_history(self, key: str, tick: Tick, collector: Collector, *, answers: bool) -> None:
        history = self._histories.get(key)
        if history is None:
            return
        whole = history.take(tick, answers=answers)
        if all(history.is_done(evidence.gate) for evidence in tick.evidence):
            collector.unsubscribe(key + SUFFIX)
        if whole:
            task = asyncio.create_task(self._work_out(key, history, whole))
            self._working.add(task)
            task.add_done_callback(self._working.discard)

    async def _work_out(self, key: str, history: History, gates: Iterable[str]) -> None:
        """One gate after the other, of all releases: more threads of arithmetic would only slow the event loop."""
        for gate in gates:
            async with self._arithmetic:
                try:
                    await asyncio.to_thread(history.work_out, gate)
                except Exception:
                    log.exception("stable's history says nothing", release=key, gate=gate)
                    self._telemetry.errors.labels("bug").inc()
                    history.give_up(gate)
        self._wake(key)

    def _tell(self, source: str, down: str | None, releases: int) -> None:
        """Say that a source went out or is back: once, and not for each release or tick."""
        turn = self._outages.setdefault(source, Outage()).note(down, datetime.now(UTC))
        if turn is None:
            return
        if turn.began:
            log.warning("metrics source is down: its releases hold", source=source, error=turn.reason, held=releases)
        else:
            log.info("metrics source is back", source=source, since=turn.since.isoformat(), releases=releases)

    def _look_at_lengths(self, judged: _Judged, at: datetime, source: SourceSettings) -> bool:
        demand = judged.demand
        if demand.plan is None or len(judged.accounts) < len(demand.gates):
            return False
        return judged.lengths.look(
            demand.plan,
            judged.accounts.values(),
            judged.split,
            judge_settings(demand),
            stage_since=demand.stage_since,
            at=at,
            scrape_s=source.scrape_interval_s,
            habits=dict(demand.habits),
        )

    def _judge(self, judged: _Judged, gate: Gate, evidence: Evidence) -> None:
        settings = settings_for(judge_settings(judged.demand), judged.demand, gate.name)
        account = judged.accounts.get(gate.name)
        if account is None or account.gate != gate:
            account = judged.accounts[gate.name] = Account.open(gate, settings)
        account.fold(evidence)
        found = account.verdicts(at=evidence.at, settings=settings)
        judged.verdicts[gate.name] = found
        for verdict in found:
            self._telemetry.verdicts.labels(verdict.outcome.value, verdict.cause.value if verdict.cause else "").inc()


def settings_for(settings: JudgeSettings, demand: Demand, gate: str) -> JudgeSettings:
    """The settings of one gate: with stable's habit where it is known."""
    habit = dict(demand.habits).get(gate)
    return settings if habit is None else replace(settings, window_s=habit.window_s, phi=habit.phi)


def judge_settings(demand: Demand) -> JudgeSettings:
    """α and β of the plan, corrected for how many tests may revert: a gate per segment is one for each."""
    return JudgeSettings(
        alpha=demand.limits.alpha_permille / 1000,
        beta=demand.limits.beta_permille / 1000,
        gates=max(1, sum(len(demand.places) if gate.scope is Scope.SEGMENT else 1 for gate in demand.gates)),
        fresh_s=demand.limits.fresh_s,
    )
