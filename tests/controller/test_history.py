"""How stable's bad events come, read before the first stage: through a real collector, from a Prometheus in memory."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from modelrelease.controller.history import (
    MOST_ROUNDS,
    PATIENCE_S,
    SUFFIX,
    History,
    HistoryWanted,
    can_have_habit,
    places_of_stable,
    subscription,
)
from modelrelease.domain.evidence import Stratum, Tally
from modelrelease.domain.gate import Gate
from modelrelease.gates.windows import LONGEST_S
from modelrelease.metrics.answers import Failed
from modelrelease.metrics.collector import Collector
from modelrelease.metrics.source import SourceSettings
from tests.gates.builders import VALUE, bursty, gate
from tests.metrics.builders import BY_SERVICE, START, START_S, MemoryPrometheus, after, place, ratio_gate

SCRAPE_S = 15
SETTINGS = SourceSettings("default", "http://prometheus:9090", tick_s=5, scrape_interval_s=SCRAPE_S)
HOURS_S = 6 * 3600


def wanted(*gates: Gate, places: tuple[str, ...] = ("1",)) -> HistoryWanted:
    found = places_of_stable(tuple(place(rule_index=index) for index in places))
    return HistoryWanted("shop/chat", "token", gates or (ratio_gate(),), found, START)


def lived(
    prometheus: MemoryPrometheus, *, size: float, spread: int = 1, bad: float = 3.0, seconds: int = HOURS_S
) -> None:
    """Stable's life until the release: 600 requests a scrape, bad ones in bursts of `size` spread over some scrapes."""
    rng, sums = random.Random(7), {"200": 0.0, "500": 0.0}
    pending = [0] * spread
    for at_s in range(-seconds, 10, SCRAPE_S):
        for _ in range(bursty(rng, bad, size)):
            pending[rng.randrange(spread)] += 1
        if spread > 1 and rng.random() < 0.05:
            pending = [count + 3 * round(size) for count in pending]
        sums["500"] += pending[0]
        sums["200"] += 600 - pending[0]
        pending = [*pending[1:], 0]
        for code, count in sums.items():
            prometheus.put("requests_total", START_S + at_s, count, code=code, namespace="shop", service="chat-v1")


async def read(prometheus: MemoryPrometheus, history: History, *, seconds: float = 1, answers: bool = True) -> History:
    collector = Collector(SETTINGS, prometheus)
    collector.subscribe(subscription(history.wanted, history.wanted.gates, scrape_interval_s=SCRAPE_S, fresh_s=60))
    ticks = await collector.collect(after(seconds))
    for name in history.take(ticks["shop/chat" + SUFFIX], answers=answers):
        history.work_out(name)
    return history


async def test_independent_errors_need_no_windows() -> None:
    prometheus = MemoryPrometheus()
    lived(prometheus, size=1)
    history = await read(prometheus, History(wanted()))
    assert history.found is not None
    ((name, habit),) = history.found
    assert name == "errors"
    assert habit.together == 1
    assert habit.window_s <= 2 * SCRAPE_S


async def test_errors_that_come_in_bursts_over_minutes_are_known_as_such() -> None:
    prometheus = MemoryPrometheus()
    lived(prometheus, size=3, spread=6)
    history = await read(prometheus, History(wanted()))
    assert history.found is not None
    ((_, habit),) = history.found
    assert habit.phi is not None
    assert habit.phi > 3
    assert 3 * SCRAPE_S <= habit.window_s <= LONGEST_S


@pytest.mark.parametrize(("bad", "seconds"), [(0.001, HOURS_S), (3.0, 120)])
async def test_where_little_is_known_nothing_is_said(bad: float, seconds: int) -> None:
    prometheus = MemoryPrometheus()
    lived(prometheus, size=1, bad=bad, seconds=seconds)
    assert (await read(prometheus, History(wanted()))).found == ()


async def test_without_any_series_the_release_goes_on() -> None:
    assert (await read(MemoryPrometheus(), History(wanted()))).found == ()


async def test_a_source_that_does_not_answer_is_waited_for_and_then_given_up() -> None:
    prometheus = MemoryPrometheus()
    lived(prometheus, size=1)
    prometheus.fail = lambda _: Failed("503 Service Unavailable")
    history = await read(prometheus, History(wanted()))
    assert history.found is None
    assert (await read(prometheus, history, seconds=PATIENCE_S + 1)).found == ()


async def test_what_was_read_in_part_is_not_used_when_it_is_given_up() -> None:
    prometheus = MemoryPrometheus()
    lived(prometheus, size=1)
    prometheus.fail = lambda query: Failed("timeout") if "[600s]" not in query else None
    history = await read(prometheus, History(wanted()), seconds=PATIENCE_S + 1)
    assert history.found == ()


async def test_while_the_source_is_down_the_history_is_not_given_up_but_read_when_it_is_back() -> None:
    """The release is held up by its silent source anyway."""
    prometheus = MemoryPrometheus()
    lived(prometheus, size=1)
    prometheus.fail = lambda _: Failed("503 Service Unavailable")
    history = History(wanted())
    for seconds in (1, PATIENCE_S, 10 * PATIENCE_S):
        await read(prometheus, history, seconds=seconds, answers=False)
        assert history.found is None
    prometheus.fail = lambda _: None
    assert (await read(prometheus, history, seconds=10 * PATIENCE_S + 5)).found


async def test_what_is_read_after_a_history_is_whole_changes_nothing() -> None:
    """A second gate may still be read while the first one's habit waits for its turn to be worked out."""
    prometheus = MemoryPrometheus()
    lived(prometheus, size=3, spread=6)
    history, collector = History(wanted()), Collector(SETTINGS, prometheus)
    collector.subscribe(subscription(history.wanted, history.wanted.gates, scrape_interval_s=SCRAPE_S, fresh_s=60))
    handed = [history.take((await collector.collect(after(seconds)))["shop/chat" + SUFFIX]) for seconds in (1, 6, 11)]
    assert handed == [("errors",), (), ()]
    history.work_out("errors")
    assert history.found


async def test_of_a_source_that_scrapes_more_often_than_it_says_the_newest_rounds_count() -> None:
    def rounds(start: int, bad: float, count: int) -> list[Stratum]:
        times = [START + timedelta(seconds=start + 15 * index) for index in range(count)]
        end = timedelta(seconds=15)
        return [Stratum(time, time + end, Tally(), Tally(1000, bad)) for time in times]

    history, newest = History(wanted()), History(wanted())
    newest.strata["errors"] = rounds(0, 10, MOST_ROUNDS)
    history.strata["errors"] = [*rounds(-15 * 600, 0, 600), *newest.strata["errors"]]
    for each in (history, newest):
        each.work_out("errors")
    assert history.found == newest.found


async def test_each_gate_is_known_by_itself() -> None:
    prometheus = MemoryPrometheus()
    lived(prometheus, size=1)
    unknown = ratio_gate("other", metric="other_total")
    history = await read(prometheus, History(wanted(ratio_gate(), unknown)))
    assert history.found is not None
    assert [name for name, _ in history.found] == ["errors"]


def test_a_value_has_no_habit() -> None:
    assert not can_have_habit(gate(VALUE))
    assert can_have_habit(gate())
    assert History(wanted()).found is None


async def test_stable_is_found_where_its_rule_was_before_rules_for_segments_were_put_in() -> None:
    """The gateway names series by the rule's number; the rule was the first one until the release began."""
    by_rule = replace(
        ratio_gate(),
        arm=(*BY_SERVICE, replace(BY_SERVICE[0], label="rule", value="${ruleIndex}-${backendIndex}")),
    )
    prometheus = MemoryPrometheus()
    lived(prometheus, size=1)
    moved = {key | {("rule", "0-0")}: points for key, points in prometheus.scrapes.items()}
    prometheus.scrapes = moved
    history = await read(prometheus, History(wanted(by_rule, places=("0", "1"))))
    assert history.found is not None
    assert [name for name, _ in history.found] == ["errors"]
    assert len(history.wanted.places) == 4
    assert {each.segment for each in history.wanted.places} == {"*"}


def test_a_release_that_began_long_ago_is_asked_about_the_time_before_it() -> None:
    found = subscription(wanted(), (ratio_gate(),), scrape_interval_s=SCRAPE_S, fresh_s=60)
    assert found.since == START - timedelta(hours=6)
    assert found.every_round
    assert not found.gates[0].comparative
    often = subscription(wanted(), (ratio_gate(),), scrape_interval_s=1, fresh_s=60)
    assert often.since == START - timedelta(seconds=1500)
