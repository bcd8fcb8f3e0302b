"""One subscription's running state: a tracker or probe per gate, the request counters, and its tick."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from modelrelease.domain.evidence import Cause, Evidence, Problem
from modelrelease.domain.gate import Gate, Value
from modelrelease.metrics import compose, value
from modelrelease.metrics.answers import Answer, Failed
from modelrelease.metrics.fetching import FIRST_CHUNK_S, Pace
from modelrelease.metrics.source import SourceSettings
from modelrelease.metrics.split import SplitLog
from modelrelease.metrics.strata import strata
from modelrelease.metrics.subscription import Subscription, Tick
from modelrelease.metrics.tracker import GateTracker
from modelrelease.metrics.value import ValueProbe

CLOCKS_APART = 0.5
"""The source's clock may differ from ours by this part of the time after which a sample is too old."""

NOT_ASKED = Failed("the source was not asked")


class Member:
    """What the collector keeps for one subscription."""

    def __init__(self, subscription: Subscription, settings: SourceSettings, pace: Pace) -> None:
        self.subscription = subscription
        self._pace = pace
        self.gates = tuple(self._watch(gate, settings) for gate in subscription.gates)
        self.requests: GateTracker | None = None
        if subscription.requests is not None and compose.denominator(subscription.requests):
            self.requests = self._tracker(subscription.requests, only_totals=True)
        self.split = SplitLog(subscription.stage_since.timestamp())

    @property
    def trackers(self) -> tuple[GateTracker, ...]:
        """All counters to read, the request counters included."""
        counted = tuple(gate for gate in self.gates if isinstance(gate, GateTracker))
        return (*counted, self.requests) if self.requests is not None else counted

    @property
    def probes(self) -> tuple[ValueProbe, ...]:
        """The raw queries to ask."""
        return tuple(gate for gate in self.gates if isinstance(gate, ValueProbe) and gate.asks is not None)

    def update(self, subscription: Subscription) -> None:
        """Take a subscription of the same generation. Raises ValueError when what is read would change."""
        if _reads(self.subscription) != _reads(subscription):
            raise ValueError(f"{subscription.key}: what is read may change only with the generation")
        self.subscription = subscription
        self.split.begin(subscription.stage_since.timestamp())

    def tick(self, at: datetime, answers: Mapping[str, Answer], *, clock_ahead_s: float = 0.0) -> Tick:
        """What was found since the last tick. Rounds are handed out once.

        `clock_ahead_s`: by how much the source's clock is at least ahead of ours.
        """
        if self.requests is not None:
            found, self.requests.found = self.requests.found, []
            self.split.add(found)
        evidence = tuple(
            self._counted(gate, at) if isinstance(gate, GateTracker) else self._valued(gate, at, answers)
            for gate in self.gates
        )
        if (clocks := _clocks(clock_ahead_s, self.subscription.fresh_s)) is not None:
            evidence = tuple(replace(each, problem=_worse(each.problem, clocks)) for each in evidence)
        known = self.requests is not None and self.requests.newest_s() is not None
        return Tick(
            at=at,
            evidence=evidence,
            samples=self.split.samples() if known else None,
            split=self.split.counts(),
            source_down=self._source_down(evidence) or (clocks.message if clocks is not None else None),
        )

    def _watch(self, gate: Gate, settings: SourceSettings) -> GateTracker | ValueProbe:
        if isinstance(gate.metric, Value):
            namespace, label = self.subscription.namespace, settings.namespace_label
            return value.probe(gate, self.subscription.places, namespace=namespace, namespace_label=label)
        return self._tracker(gate, only_totals=False)

    def _tracker(self, gate: Gate, *, only_totals: bool) -> GateTracker:
        start_s = self.subscription.since.timestamp()
        return GateTracker(
            gate,
            self.subscription.places,
            start_s=start_s,
            cursor_s=start_s - self._pace.lookback_s,
            chunk_s=FIRST_CHUNK_S,
            interval_s=self._pace.scrape_interval_s,
            parts=compose.denominator(gate) if only_totals else compose.parts(gate),
        )

    def _counted(self, tracker: GateTracker, at: datetime) -> Evidence:
        found, tracker.found = tracker.found, []
        now_s, newest_s = at.timestamp(), tracker.newest_s()
        problem = tracker.problem(now_s, fresh_s=self.subscription.fresh_s, expected=self._expected(tracker))
        if tracker.behind and tracker.failed is None and tracker.feeds:
            left_s = max(0.0, now_s - tracker.cursor_s)
            problem = Problem(
                Cause.SOURCE_DOWN, f"still reading the history since the rollout began, {left_s:.0f} s left"
            )
        newest = datetime.fromtimestamp(newest_s, UTC) if newest_s is not None else None
        return Evidence(
            tracker.gate.name,
            at,
            strata(found, every_round=self.subscription.every_round),
            newest=newest,
            problem=problem,
        )

    def _valued(self, probe: ValueProbe, at: datetime, answers: Mapping[str, Answer]) -> Evidence:
        asks = probe.asks
        if asks is None:
            return Evidence(probe.gate.name, at, problem=probe.fault)
        first, second = answers.get(asks.query, NOT_ASKED), answers.get(asks.newest, NOT_ASKED)
        return value.evidence(probe, first, second, at=at, fresh_s=self.subscription.fresh_s)

    def _expected(self, tracker: GateTracker) -> float:
        """Events that the candidate should have shown since its last one, if it behaves like stable."""
        if self.requests is None or tracker.gate.metric == self.requests.gate.metric or not tracker.quiet_stable:
            return 0.0
        candidate, stable = self.split.after(tracker.quiet_since_s)
        return tracker.quiet_stable * candidate / stable if stable else 0.0

    def _source_down(self, evidence: tuple[Evidence, ...]) -> str | None:
        failed = [tracker.failed for tracker in self.trackers]
        down = [one.reason for one in failed if one is not None and one.retryable]
        if failed:
            return down[0] if len(down) == len(failed) else None
        causes = [each.problem for each in evidence]
        gone = [problem for problem in causes if problem is not None and problem.cause is Cause.SOURCE_DOWN]
        return gone[0].message if causes and len(gone) == len(causes) else None


def _clocks(ahead_s: float, fresh_s: float) -> Problem | None:
    """What is wrong when two clocks differ by so much that nobody knows how old a sample is."""
    if abs(ahead_s) <= CLOCKS_APART * fresh_s:
        return None
    way = "ahead of" if ahead_s > 0 else "behind"
    reason = "so its samples are as late as that" if ahead_s > 0 else "so all its samples look old"
    return Problem(
        Cause.SOURCE_DOWN,
        f"the clock at Prometheus' address is {abs(ahead_s):.0f} s {way} the operator's, {reason}; set both (NTP)",
    )


def _worse(found: Problem | None, clocks: Problem) -> Problem:
    """A broken query is that whatever the clocks say; that samples are missing or old is not known."""
    return found if found is not None and found.cause is Cause.BROKEN else clocks


def _reads(subscription: Subscription) -> object:
    """All that decides which series are read and from when: a gate's bound does not."""
    gates = [(gate.name, gate.metric, gate.arm, gate.comparative) for gate in subscription.gates]
    counted = subscription.requests
    requests = None if counted is None else (counted.metric, counted.arm)
    return (gates, subscription.places, subscription.since, requests)
