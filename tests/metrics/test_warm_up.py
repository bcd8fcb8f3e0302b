"""Warm-up end to end, from `warmUp` in the spec to the verdict: a candidate with cold caches is slow for 2 minutes."""

from __future__ import annotations

import pytest

from modelrelease.api.convert import plan_of
from modelrelease.domain.gate import Gate
from modelrelease.domain.plan import Plan
from modelrelease.domain.verdict import Outcome, Verdict
from modelrelease.gates import judge
from modelrelease.gates.judge import JudgeSettings
from modelrelease.metrics.collector import Collector
from modelrelease.metrics.source import SourceSettings
from tests.builders import TEMPLATES, gate, model_release
from tests.metrics.builders import START_S, MemoryPrometheus, after, subscription

SETTINGS = SourceSettings("default", "http://prometheus:9090", tick_s=5, scrape_interval_s=5)
JUDGED = JudgeSettings(alpha=0.01, fresh_s=60)
FIRST_S = 100
"""When the candidate gets its first request."""

COLD_S = 120
END_S = 600


def gate_with(**fields: str) -> Gate:
    """The gate as the operator makes it from a spec."""
    plan = plan_of(model_release(gates=[gate("latency", "latency", **fields)])["spec"], TEMPLATES)
    assert isinstance(plan, Plan), plan
    return plan.gates[0]


def scraped() -> MemoryPrometheus:
    """One request in 100 of both arms is slow, and half of the candidate's while its caches are cold."""
    memory = MemoryPrometheus()
    for at_s in range(-60, END_S + 1, 5):
        ours, cold = max(0, at_s - FIRST_S) * 8, min(max(0, at_s - FIRST_S), COLD_S) * 8
        theirs = (at_s + 60) * 40 + 5000
        arms = {"chat-v2": (ours, cold // 2 + (ours - cold) // 100), "chat-v1": (theirs, theirs // 100)}
        for service, (total, slow) in arms.items():
            if service == "chat-v1" or at_s >= FIRST_S:
                for le, count in (("0.1", total - 2 * slow), ("1.0", total - slow), ("+Inf", total)):
                    memory.put("latency_seconds_bucket", START_S + at_s, count, le=le, service=service)
    return memory


async def follow(wanted: Gate, *, step_s: int) -> tuple[list[Verdict], float]:
    """All verdicts, and the end of the warm-up as the judge counts it."""
    collector = Collector(SETTINGS, scraped())
    collector.subscribe(subscription(wanted, fresh_s=60))
    state, found = judge.start(wanted, JUDGED), []
    for at_s in range(step_s, END_S + 1, step_s):
        tick = (await collector.collect(after(at_s + 0.5)))["shop/chat"]
        state = judge.fold(wanted, state, tick.evidence[0])
        found += judge.verdicts(wanted, state, at=after(at_s + 0.5), settings=JUDGED)
    return found, state.tracks[0].warming


BOUND = {"max": "1.0"}
MARGIN = {"against": "Stable", "maxRatio": "2"}


@pytest.mark.parametrize("rule", [BOUND, MARGIN], ids=["bound", "margin"])
async def test_the_first_minutes_of_the_candidate_are_left_out(rule: dict[str, str]) -> None:
    found, warming = await follow(gate_with(**rule, warmUp="2m"), step_s=5)
    assert Outcome.REVERT not in {verdict.outcome for verdict in found}
    assert warming == pytest.approx(COLD_S * 8, rel=0.1)
    early = [verdict for verdict in found if verdict.at <= after(FIRST_S + COLD_S)]
    assert {verdict.outcome for verdict in early} <= {Outcome.NO_DATA, Outcome.UNDECIDED}
    assert any("in its warm-up that do not count" in verdict.sentence for verdict in early)
    if rule is BOUND:
        assert found[-1].outcome is Outcome.PASS, found[-1].sentence


@pytest.mark.parametrize("rule", [BOUND, MARGIN], ids=["bound", "margin"])
async def test_without_a_warm_up_they_count(rule: dict[str, str]) -> None:
    found, warming = await follow(gate_with(**rule), step_s=5)
    assert found[-1].outcome is Outcome.REVERT
    assert warming == 0


@pytest.mark.parametrize("rule", [BOUND, MARGIN], ids=["bound", "margin"])
async def test_after_a_restart_of_the_operator_the_same_minutes_are_left_out(rule: dict[str, str]) -> None:
    wanted = gate_with(**rule, warmUp="2m")
    live, live_warming = await follow(wanted, step_s=5)
    rebuilt, rebuilt_warming = await follow(wanted, step_s=END_S)
    assert rebuilt_warming == live_warming
    assert rebuilt[-1].numbers == live[-1].numbers


def test_a_value_gate_has_no_warm_up_and_says_so() -> None:
    faults = plan_of(model_release(gates=[gate("drift", "drift", warmUp="2m")])["spec"], TEMPLATES)
    assert isinstance(faults, tuple)
    assert faults[0].message.startswith("spec.gates[0].warmUp: a value metric is judged sample by sample")
