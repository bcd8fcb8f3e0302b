"""A healthy release as scraped, changed in some way, and its gates judged tick by tick."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from modelrelease.domain.evidence import Tally
from modelrelease.domain.gate import AgainstStable, Gate, Mean, Quantile, Series, Value
from modelrelease.domain.verdict import Outcome, Verdict
from modelrelease.gates import judge
from modelrelease.gates.judge import JudgeSettings
from modelrelease.gates.state import GateState
from modelrelease.metrics.answers import Prometheus, RawSeries, Samples
from modelrelease.metrics.collector import Collector
from modelrelease.metrics.source import SourceSettings
from tests.metrics.builders import BY_SERVICE, START_S, MemoryPrometheus, absolute, after, ratio_gate, subscription

FRESH_S = 60
SCRAPE_S = 5
NOW_S = 300.0
"""When the verdict is asked, in seconds since the rollout began."""

SETTINGS = SourceSettings("default", "http://prometheus:9090", tick_s=5, scrape_interval_s=SCRAPE_S)
JUDGED = JudgeSettings(alpha=0.01, fresh_s=FRESH_S)
ARMS = {"candidate": "chat-v2", "stable": "chat-v1"}

ERRORS = ratio_gate("errors", rule=AgainstStable(max_ratio="1.5"))
LATENCY = Gate("latency", Quantile(Series("duration_bucket"), "0.95"), AgainstStable(max_ratio="1.5"), BY_SERVICE)
SCORE = Gate("score", Mean(Series("score_sum"), Series("score_count")), AgainstStable(max_ratio="1.5"), BY_SERVICE)
DRIFT = Gate("drift", Value('drift_index{service="${service}"}'), absolute("0.5"))
GATES = {gate.name: gate for gate in (ERRORS, LATENCY, SCORE, DRIFT)}

OK = (Outcome.PASS, Outcome.UNDECIDED)
Change = Callable[[str, float, float], float | None]
"""Arm, seconds since the start and true value of one counter to what is scraped; None: nothing is."""


def truth(arm: str, at_s: float) -> float:
    """Requests since long before the rollout: 4 a second on the candidate, 40 on stable, from 60 s before on."""
    return (4 if arm == "candidate" else 40) * (at_s + 60) + (0 if arm == "candidate" else 10_000)


def same(arm: str, at_s: float, value: float) -> float | None:
    return value


def scraped(change: Change = same, *, until_s: float = NOW_S, drift: float = 0.2, **what: Any) -> MemoryPrometheus:
    """A healthy release as scraped, changed. One request in 100 fails, one in 20 is slow; the mean score is 0.5."""
    memory = MemoryPrometheus()
    for at_s in range(-60, int(until_s) + 1, SCRAPE_S):
        for arm, service in ARMS.items():
            count = change(arm, at_s, truth(arm, at_s))
            if count is not None:
                write(memory, at_s, service, count, what.get("bounds", {}).get(arm, ("0.1", "1.0")))
    at_s = START_S + what.get("drift_at_s", until_s)
    series = tuple(RawSeries({"pod": pod}, ((at_s, drift),)) for pod in what.get("drift_pods", "a"))
    query = 'drift_index{service="chat-v2",namespace="shop"}'
    memory.values[query] = Samples(series)
    times = f'min(label_replace(max(timestamp({query})), "selector", "0", "", ""))'
    memory.values[times] = Samples((RawSeries({}, ((at_s, at_s),)),) if series else ())
    return memory


def write(memory: MemoryPrometheus, at_s: float, service: str, count: float, bounds: tuple[str, str]) -> None:
    labels, when = {"namespace": "shop", "service": service}, START_S + at_s
    failed = count // 100
    for code, part in (("200", count - failed), ("500", failed)):
        memory.put("requests_total", when, part, code=code, **labels)
    for le, slow in zip((*bounds, "+Inf"), (count // 10, count // 20, 0), strict=True):
        memory.put("duration_bucket", when, count - slow, le=le, **labels)
    memory.put("score_sum", when, count * 0.5, **labels)
    memory.put("score_count", when, count, **labels)


@dataclass
class Following:
    """One release's gates, collected and judged tick by tick."""

    source: Prometheus
    settings: SourceSettings = SETTINGS
    gates: tuple[Gate, ...] = tuple(GATES.values())
    states: dict[str, GateState] = field(default_factory=dict)
    counted: dict[str, Tally] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.collector = Collector(self.settings, self.source)
        self.collector.subscribe(subscription(*self.gates, fresh_s=FRESH_S, requests=ERRORS))

    async def verdicts(self, at_s: float) -> dict[str, Verdict]:
        tick = (await self.collector.collect(after(at_s)))["shop/chat"]
        found = {}
        for gate, evidence in zip(self.gates, tick.evidence, strict=True):
            state = self.states.get(gate.name) or judge.start(gate, JUDGED)
            self.states[gate.name] = judge.fold(gate, state, evidence)
            (found[gate.name],) = judge.verdicts(gate, self.states[gate.name], at=after(at_s), settings=JUDGED)
            for stratum in evidence.strata:
                self.counted[gate.name] = self.counted.get(gate.name, Tally()) + stratum.candidate
        return found


def only(arm: str, change: Callable[[float, float], float | None]) -> Change:
    return lambda which, at_s, value: change(at_s, value) if which == arm else value


def from_on(begin_s: float, instead: float) -> Callable[[float, float], float | None]:
    return lambda at_s, value: instead if at_s >= begin_s else value


def until(end_s: float) -> Callable[[float, float], float | None]:
    return lambda at_s, value: value if at_s <= end_s else None


def restarted(at_s: float, arm: str) -> Callable[[float, float], float | None]:
    """From zero again just after the scrape before `at_s`."""
    return lambda now_s, value: value - truth(arm, at_s - SCRAPE_S) if now_s >= at_s else value


def born(at_s: float) -> Callable[[float, float], float | None]:
    """No series before; then what was counted since, the scrape that first shows it included."""
    return lambda now_s, value: value - truth("candidate", at_s - SCRAPE_S) if now_s >= at_s else None


CANDIDATE_DONE = 4 * NOW_S
"""What the candidate has done since the rollout began."""
