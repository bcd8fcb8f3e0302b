"""Whether stages are long enough, looked at during a rollout from the counts that are judged anyway."""

from dataclasses import replace
from datetime import timedelta

import pytest

from modelrelease.controller.sufficiency import Lengths, measured_of
from modelrelease.domain.evidence import SplitCount
from modelrelease.domain.exposure import REST, Exposure
from modelrelease.domain.gate import Gate, Matcher, MatchOp
from modelrelease.domain.plan import Plan, Stage, StageLengths
from modelrelease.gates.judge import JudgeSettings
from modelrelease.gates.traffic import ALL
from modelrelease.gates.workings import Account
from tests.gates.builders import T0, TICK_S, evidence, gate, stratum

SETTINGS = JudgeSettings(0.01, 0.05, 1)
PER_RULE = (Matcher("service", MatchOp.EQUAL, "${service}-${ruleIndex}"),)
ERRORS = replace(gate(), arm=PER_RULE)


def stage(name: str, permille: int, **more: int) -> Stage:
    return Stage(name, Exposure((("low", permille), (REST, permille))), **more)


def plan(max_duration_s: int | None) -> Plan:
    return Plan((stage("few", 50, max_duration_s=max_duration_s), stage("full", 1000)), (ERRORS,))


def account(of: Gate, ticks: int, bad: int = 8, segment: str = REST) -> Account:
    found = Account.open(of, SETTINGS)
    for tick in range(ticks):
        found.fold(evidence(stratum(tick, (50, 0), (950, bad), segment)))
    return found


def look(
    lengths: Lengths, after_s: float, *, bad: int = 8, max_duration_s: int | None = 600, since_s: float = 0.0
) -> StageLengths | None:
    since = T0 + timedelta(seconds=since_s)
    at = since + timedelta(seconds=after_s)
    ticks = int(after_s / TICK_S)
    split = (SplitCount(REST, 40.0 * ticks, 760.0 * ticks), SplitCount("low", 10.0 * ticks, 190.0 * ticks))
    accounts = [account(ERRORS, ticks, bad)]
    lengths.look(plan(max_duration_s), accounts, split, SETTINGS, stage_since=since, at=at, scrape_s=TICK_S, habits={})
    return lengths.found


def test_nothing_is_said_before_there_is_data() -> None:
    lengths = Lengths()
    assert look(lengths, 25) is None
    assert look(lengths, 35) is not None


def test_a_slow_scrape_is_waited_for() -> None:
    lengths = Lengths()
    since = T0
    for after_s, seen in ((45, False), (61, True)):
        at = since + timedelta(seconds=after_s)
        lengths.look(plan(60), [account(ERRORS, 8)], (), SETTINGS, stage_since=since, at=at, scrape_s=15, habits={})
        assert (lengths.found is not None) is seen


def test_a_stage_that_is_too_short_is_told_with_numbers() -> None:
    found = look(Lengths(), 120)
    assert found is not None
    (message,) = found.too_short
    assert message.startswith("stage few needs about ") and "may last 10 min" in message
    assert look(Lengths(), 120, max_duration_s=None) == StageLengths()


def test_too_few_bad_events_are_no_figure() -> None:
    found = look(Lengths(), 60, bad=0)
    assert found is not None and not found.too_short
    assert any("bad event" in why for why in found.unknown)


def test_what_was_found_stays_for_the_stage_and_unknown_is_looked_at_again_ever_more_seldom() -> None:
    lengths = Lengths()
    first = look(lengths, 40)
    assert first is not None and not first.unknown
    assert look(lengths, 120, bad=0) is first, "found once, and then left alone"
    later = look(lengths, 40, bad=0, since_s=600)
    assert later is not first, "a new stage is looked at anew"
    assert later is not None and later.unknown
    assert look(lengths, 55, since_s=600) is later
    assert look(lengths, 65, since_s=600) is not later


def test_before_the_next_look_the_last_stage_is_still_told() -> None:
    lengths = Lengths()
    first = look(lengths, 40)
    assert look(lengths, 5, since_s=600) is first


def test_rates_come_from_the_requests_that_were_counted() -> None:
    split = (SplitCount(REST, 50.0, 950.0), SplitCount("low", 25.0, 475.0))
    found = measured_of([account(ERRORS, 20)], split, seconds=50, window_s=TICK_S, habits={})
    assert found.requests == {REST: 20.0, "low": 10.0}
    assert found.gates[0].flows[REST].per_s == pytest.approx(1000 / TICK_S)
    pooled = Account.open(gate(), SETTINGS)
    for tick in range(20):
        pooled.fold(evidence(stratum(tick, (50, 1), (950, 9))))
    whole = measured_of([pooled], (SplitCount(REST, 50.0, 950.0),), seconds=50, window_s=TICK_S, habits={})
    assert whole.requests == {ALL: 20.0}
    assert measured_of([], (), seconds=50, window_s=TICK_S, habits={}).problem
