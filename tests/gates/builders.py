"""Gates, strata and evidence for the tests of judging, with what does not matter left out."""

import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from modelrelease.domain.evidence import Evidence, Problem, Stratum, Tally
from modelrelease.domain.gate import (
    Absolute,
    AgainstStable,
    Cost,
    Gate,
    Kind,
    Mean,
    Metric,
    Quantile,
    Ratio,
    Rule,
    Scope,
    Series,
    Value,
)
from modelrelease.domain.verdict import Verdict
from modelrelease.gates import judge
from modelrelease.gates.judge import JudgeSettings
from modelrelease.gates.state import GateState

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TICK_S = 5
RATIO = Ratio(Series("errors_total"), Series("requests_total"))
LATENCY = Quantile(Series("latency_seconds_bucket"), "0.95")
SCORE = Mean(Series("score_sum"), Series("score_count"))
COST = Cost(Series("cost_total"), Series("tokens_total"))
VALUE = Value("drift_index")
UNKNOWN = JudgeSettings(alpha=0.01, beta=0.05, gates=1, fresh_s=30, min_events=1)
SETTINGS = replace(UNKNOWN, phi=1.0)
"""Stable's history shows independent events; UNKNOWN: it shows nothing."""


def gate(
    metric: Metric = RATIO,
    rule: Rule | None = None,
    *,
    name: str = "errors",
    kind: Kind = Kind.OPERATIONAL,
    scope: Scope = Scope.WHOLE,
    warm_up_s: int = 0,
) -> Gate:
    return Gate(name, metric, rule or AgainstStable(max_ratio="1.5"), kind=kind, scope=scope, warm_up_s=warm_up_s)


def under(maximum: str) -> Absolute:
    return Absolute(maximum=maximum)


def stratum(
    tick: int,
    candidate: tuple[float, float] = (0, 0),
    stable: tuple[float, float] = (0, 0),
    segment: str | None = None,
) -> Stratum:
    """Tick number `tick`; each arm as (total, bad)."""
    start = T0 + timedelta(seconds=tick * TICK_S)
    return Stratum(start, start + timedelta(seconds=TICK_S), Tally(*candidate), Tally(*stable), segment)


def histogram(tick: int, candidate: Mapping[float, float], stable: Mapping[float, float] | None = None) -> Stratum:
    """Each arm as bucket bound → events in that bucket alone; the infinite bucket is added when missing."""
    start = T0 + timedelta(seconds=tick * TICK_S)
    end = start + timedelta(seconds=TICK_S)
    return Stratum(start, end, _histogram(candidate), _histogram(stable or {}))


def evidence(
    *strata: Stratum, value: float | None = None, newest: datetime | None = None, problem: Problem | None = None
) -> Evidence:
    at = max((item.end for item in strata), default=newest or T0)
    return Evidence("gate", at, strata, value, newest or (at if strata else None), problem)


def folded(of: Gate, *steps: Evidence, settings: JudgeSettings = SETTINGS) -> GateState:
    state = judge.start(of, settings)
    for step in steps:
        state = judge.fold(of, state, step)
    return state


def ask(of: Gate, state: GateState, *, settings: JudgeSettings = SETTINGS, at: datetime | None = None) -> Verdict:
    """The only verdict, asked when the newest sample was taken."""
    (verdict,) = judge.verdicts(of, state, at=at or state.newest or T0, settings=settings)
    return verdict


def judged(of: Gate, strata: Iterable[Stratum], *, settings: JudgeSettings = SETTINGS) -> Verdict:
    return ask(of, folded(of, evidence(*strata), settings=settings), settings=settings)


def poisson(rng: random.Random, mean: float) -> int:
    """Knuth's sampler, split for large means."""
    if mean > 30:
        return poisson(rng, mean / 2) + poisson(rng, mean / 2)
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count


def bursty(rng: random.Random, mean: float, size: float) -> int:
    """A count with the given mean made of bursts with geometric sizes of mean `size` (1: independent events)."""
    bursts = poisson(rng, mean / size)
    if size == 1:
        return bursts
    return sum(1 + int(math.log(1 - rng.random()) / math.log(1 - 1 / size)) for _ in range(bursts))


def _histogram(arm: Mapping[float, float]) -> Tally:
    if not arm:
        return Tally()
    running, buckets = 0.0, []
    for bound in sorted({*arm, math.inf}):
        running += arm.get(bound, 0.0)
        buckets.append((bound, running))
    return Tally(running, 0.0, tuple(buckets))
