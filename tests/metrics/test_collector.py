"""The collector against a Prometheus in memory: what one tick says, and that a rebuild says the same."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from modelrelease.domain.evidence import Cause, Evidence, Problem, SplitCount, Stratum, Tally
from modelrelease.domain.gate import Cost, Gate, Matcher, MatchOp, Mean, Ratio, Series
from modelrelease.metrics.answers import Failed
from modelrelease.metrics.collector import Collector
from modelrelease.metrics.source import SourceSettings
from modelrelease.metrics.subscription import Tick
from tests.metrics.builders import (
    AGAINST,
    BY_SERVICE,
    START_S,
    MemoryPrometheus,
    absolute,
    after,
    latency_gate,
    place,
    ratio_gate,
    subscription,
)

SETTINGS = SourceSettings("default", "http://prometheus:9090", tick_s=5, scrape_interval_s=5)


def sums(strata: Iterable[Stratum]) -> tuple[Tally, Tally]:
    candidate, stable = Tally(), Tally()
    for stratum in strata:
        candidate, stable = candidate + stratum.candidate, stable + stratum.stable
    return candidate, stable


def scrape(prometheus: MemoryPrometheus, at_s: float, *, stable: float, candidate: float | None = None) -> None:
    """One scrape of the gateway: 1 of 10 requests of each arm fails."""
    for service, count in (("chat-v1", stable), ("chat-v2", candidate)):
        if count is not None:
            labels = {"namespace": "shop", "service": service}
            prometheus.put("requests_total", START_S + at_s, count * 0.9, code="200", **labels)
            prometheus.put("requests_total", START_S + at_s, count * 0.1, code="500", **labels)


async def one(collector: Collector, at_s: float, key: str = "shop/chat") -> Tick:
    return (await collector.collect(after(at_s)))[key]


async def test_what_was_counted_before_the_rollout_is_baseline_and_a_new_series_counts_from_zero() -> None:
    prometheus = MemoryPrometheus()
    scrape(prometheus, -8, stable=900)
    scrape(prometheus, -3, stable=1000)
    scrape(prometheus, 2, stable=1100, candidate=20)
    collector = Collector(SETTINGS, prometheus)
    collector.subscribe(subscription(ratio_gate()))
    tick = await one(collector, 3)
    evidence = tick.evidence[0]
    assert evidence.problem is None
    assert sums(evidence.strata) == (Tally(20, 2), Tally(100, 10))
    assert evidence.newest == after(2)
    assert tick.source_down is None


async def test_each_tick_adds_only_what_is_new() -> None:
    prometheus = MemoryPrometheus()
    scrape(prometheus, -3, stable=1000, candidate=0)
    collector = Collector(SETTINGS, prometheus)
    collector.subscribe(subscription(ratio_gate()))
    assert (await one(collector, 0)).evidence[0].strata == ()
    scrape(prometheus, 2, stable=1100, candidate=10)
    assert sums((await one(collector, 3)).evidence[0].strata) == (Tally(10, 1), Tally(100, 10))
    assert (await one(collector, 4)).evidence[0].strata == ()
    scrape(prometheus, 7, stable=1200, candidate=30)
    found = (await one(collector, 8)).evidence[0].strata
    assert [(stratum.start, stratum.end) for stratum in found] == [(after(2), after(7))]
    assert sums(found) == (Tally(20, 2), Tally(100, 10))


async def test_a_rebuild_gives_the_totals_of_the_live_run() -> None:
    prometheus, chance = MemoryPrometheus(), random.Random(7)
    live = Collector(SETTINGS, prometheus)
    live.subscribe(subscription(ratio_gate()))
    counts = {"chat-v1": 5000.0, "chat-v2": 0.0}
    folded: list[Stratum] = []
    for scrape_number in range(-60, 1500):
        at_s = 5 * scrape_number + 1.0
        for service in counts:
            counts[service] = 0.0 if chance.random() < 0.01 else counts[service] + chance.randrange(0, 400, 10)
        if chance.random() > 0.05:
            seen = counts["chat-v2"] if scrape_number > 3 else None
            scrape(prometheus, at_s, stable=counts["chat-v1"], candidate=seen)
        if scrape_number >= 0 and chance.random() > 0.1:
            folded += (await one(live, at_s + chance.random() * 3)).evidence[0].strata
    end_s = 5 * 1500 + 10
    folded += (await one(live, end_s)).evidence[0].strata
    rebuilt = Collector(SETTINGS, prometheus)
    rebuilt.subscribe(subscription(ratio_gate()))
    again = (await one(rebuilt, end_s)).evidence[0]
    assert again.problem is None
    assert len(again.strata) <= 500 < len(folded)
    for left, right in zip(sums(folded), sums(again.strata), strict=True):
        assert (left.total, left.bad) == (right.total, right.bad)
        assert left.total > 10_000


async def test_many_releases_share_a_query_and_get_their_own_series() -> None:
    prometheus = MemoryPrometheus()
    collector = Collector(SETTINGS, prometheus)
    for number in range(40):
        key = f"team-{number}/chat"
        labels = {"namespace": f"team-{number}", "code": "200"}
        for at_s, done in ((-8, 0), (2, number)):
            prometheus.put("requests_total", START_S + at_s, done, service="chat-v2", **labels)
            prometheus.put("requests_total", START_S + at_s, 100 * done, service="chat-v1", **labels)
        collector.subscribe(subscription(ratio_gate(rule=absolute()), key=key))
    ticks = await collector.collect(after(3))
    assert len(prometheus.asked) == 2
    for number in range(1, 40):
        assert sums(ticks[f"team-{number}/chat"].evidence[0].strata) == (Tally(number), Tally(100 * number))


async def test_a_refused_batch_is_halved_until_only_the_one_at_fault_fails() -> None:
    prometheus = MemoryPrometheus()
    prometheus.fail = lambda query: Failed("too many samples", retryable=False) if "team-13" in query else None
    collector = Collector(SETTINGS, prometheus)
    for number in range(32):
        labels = {"namespace": f"team-{number}", "code": "200"}
        prometheus.put("requests_total", START_S + 2, 10, service="chat-v2", **labels)
        prometheus.put("requests_total", START_S + 2, 10, service="chat-v1", **labels)
        collector.subscribe(subscription(ratio_gate(), key=f"team-{number}/chat"))
    ticks = await collector.collect(after(3))
    for number in range(32):
        problem = ticks[f"team-{number}/chat"].evidence[0].problem
        assert (problem is not None and problem.cause is Cause.BROKEN) == (number == 13)


async def test_a_source_that_is_down_holds_and_loses_nothing() -> None:
    prometheus = MemoryPrometheus()
    scrape(prometheus, -3, stable=1000, candidate=0)
    collector = Collector(SETTINGS, prometheus)
    collector.subscribe(subscription(ratio_gate()))
    await one(collector, 0)
    prometheus.fail = lambda _: Failed("HTTP 503")
    scrape(prometheus, 2, stable=1100, candidate=10)
    tick = await one(collector, 3)
    assert tick.source_down == "HTTP 503"
    assert tick.evidence[0].problem is not None
    assert tick.evidence[0].problem.cause is Cause.SOURCE_DOWN
    prometheus.fail = lambda _: None
    scrape(prometheus, 7, stable=1200, candidate=30)
    tick = await one(collector, 1000)
    assert sums(tick.evidence[0].strata) == (Tally(30, 3), Tally(200, 20))


async def test_after_an_outage_nothing_stands_on_samples_from_before_it_and_a_missed_tick_is_no_outage() -> None:
    prometheus = MemoryPrometheus()
    scrape(prometheus, -3, stable=1000, candidate=0)
    scrape(prometheus, 2, stable=1100, candidate=10)
    collector = Collector(SETTINGS, prometheus)
    collector.subscribe(subscription(ratio_gate()))
    assert (await one(collector, 3)).evidence[0].problem is None
    prometheus.fail = lambda _: Failed("HTTP 503")
    await one(collector, 4)
    prometheus.fail = lambda _: None
    assert (await one(collector, 5)).evidence[0].problem is None
    prometheus.fail = lambda _: Failed("HTTP 503")
    for at_s in (6, 11, 16):
        await one(collector, at_s)
    prometheus.fail = lambda _: None
    for at_s in (17, 18):
        assert (await one(collector, at_s)).evidence[0].problem == Problem(
            Cause.SOURCE_DOWN, "the source answers again, but has no sample since it was down"
        )
    scrape(prometheus, 19, stable=1200, candidate=30)
    back = (await one(collector, 20)).evidence[0]
    assert (back.problem, back.newest) == (None, after(19))


async def test_a_source_that_is_back_without_samples_is_borne_no_longer_than_they_are_fresh() -> None:
    prometheus = MemoryPrometheus()
    scrape(prometheus, 2, stable=1100, candidate=10)
    collector = Collector(SETTINGS, prometheus)
    collector.subscribe(subscription(ratio_gate(), fresh_s=30))
    await one(collector, 3)
    prometheus.fail = lambda _: Failed("HTTP 503")
    for at_s in (6, 11, 16):
        await one(collector, at_s)
    prometheus.fail = lambda _: None
    causes = [cause_of((await one(collector, at_s)).evidence[0]) for at_s in (20, 32, 33)]
    assert causes == [Cause.SOURCE_DOWN, Cause.SOURCE_DOWN, Cause.MISSING]


async def test_samples_and_split_are_counted_from_the_stage_on() -> None:
    prometheus = MemoryPrometheus()
    collector = Collector(SETTINGS, prometheus)
    asked = subscription(ratio_gate(), requests=ratio_gate())
    scrape(prometheus, -3, stable=1000, candidate=0)
    scrape(prometheus, 2, stable=1100, candidate=10)
    scrape(prometheus, 7, stable=1200, candidate=30)
    collector.subscribe(asked)
    tick = await one(collector, 8)
    assert tick.samples == 20  # the round of second 2 reaches back before the stage
    assert tick.split == (SplitCount("*", 20, 100),)
    collector.subscribe(subscription(ratio_gate(), requests=ratio_gate(), stage_since=after(7)))
    assert (await one(collector, 9)).samples == 0
    scrape(prometheus, 12, stable=1300, candidate=70)
    tick = await one(collector, 13)
    assert (tick.samples, tick.split) == (40, (SplitCount("*", 40, 100),))


async def test_without_a_readable_counter_samples_are_unknown() -> None:
    collector = Collector(SETTINGS, MemoryPrometheus())
    collector.subscribe(subscription(requests=ratio_gate()))
    assert (await one(collector, 3)).samples is None


async def test_a_gate_with_rule_placeholders_is_counted_per_segment() -> None:
    prometheus = MemoryPrometheus()
    arm = (*BY_SERVICE, Matcher("rule", MatchOp.EQUAL, "${ruleIndex}"))
    for rule, count in (("0", 5), ("1", 50)):
        for service in ("chat-v1", "chat-v2"):
            labels = {"namespace": "shop", "service": service, "rule": rule, "code": "200"}
            prometheus.put("requests_total", START_S, 1000, **labels)
            prometheus.put("requests_total", START_S + 2, 1000 + count, **labels)
    places = (place("vip", rule_index="0"), place("*", rule_index="1"))
    gate = ratio_gate(arm=arm)
    collector = Collector(SETTINGS, prometheus)
    collector.subscribe(subscription(gate, places=places, requests=gate))
    tick = await one(collector, 3)
    found = {stratum.segment: stratum.candidate.total for stratum in tick.evidence[0].strata}
    assert found == {"vip": 5, "*": 50}
    assert {count.segment: count.stable for count in tick.split} == {"vip": 5, "*": 50}


def cause_of(evidence: Evidence) -> Cause | None:
    return evidence.problem.cause if evidence.problem is not None else None


async def test_no_series_at_all_is_missing_and_names_the_selector() -> None:
    collector = Collector(SETTINGS, MemoryPrometheus())
    collector.subscribe(subscription(ratio_gate()))
    evidence = (await one(collector, 3)).evidence[0]
    assert cause_of(evidence) is Cause.MISSING
    assert evidence.problem is not None
    assert 'requests_total{namespace="shop",service="chat-v2"}' in evidence.problem.message


async def test_a_candidate_without_requests_beside_a_fresh_stable_is_no_problem() -> None:
    prometheus = MemoryPrometheus()
    scrape(prometheus, -3, stable=1000)
    scrape(prometheus, 2, stable=1100)
    collector = Collector(SETTINGS, prometheus)
    collector.subscribe(subscription(ratio_gate()))
    evidence = (await one(collector, 3)).evidence[0]
    assert cause_of(evidence) is None
    assert sums(evidence.strata) == (Tally(), Tally(100, 10))


async def test_old_samples_are_missing_and_say_how_old() -> None:
    prometheus = MemoryPrometheus()
    scrape(prometheus, 2, stable=1000, candidate=10)
    collector = Collector(SETTINGS, prometheus)
    collector.subscribe(subscription(ratio_gate(), fresh_s=30))
    assert cause_of((await one(collector, 30)).evidence[0]) is None
    evidence = (await one(collector, 49)).evidence[0]
    assert cause_of(evidence) is Cause.MISSING
    assert evidence.problem is not None
    assert "last sample of the candidate 47 s ago" in evidence.problem.message


async def test_nan_is_broken_until_a_number_comes_and_nothing_is_lost() -> None:
    prometheus = MemoryPrometheus()
    labels = {"namespace": "shop", "code": "200"}
    for at_s, value in ((-3, 100.0), (2, float("nan"))):
        prometheus.put("requests_total", START_S + at_s, value, service="chat-v2", **labels)
        prometheus.put("requests_total", START_S + at_s, 1000 + at_s, service="chat-v1", **labels)
    collector = Collector(SETTINGS, prometheus)
    collector.subscribe(subscription(ratio_gate()))
    assert cause_of((await one(collector, 3)).evidence[0]) is Cause.BROKEN
    assert cause_of((await one(collector, 12)).evidence[0]) is Cause.BROKEN
    prometheus.put("requests_total", START_S + 13, 107, service="chat-v2", **labels)
    prometheus.put("requests_total", START_S + 13, 1013, service="chat-v1", **labels)
    evidence = (await one(collector, 14)).evidence[0]
    assert cause_of(evidence) is None
    assert sums(evidence.strata) == (Tally(7), Tally(16))


def buckets(prometheus: MemoryPrometheus, at_s: float, service: str, counts: dict[str, float], **labels: str) -> None:
    for bound, count in counts.items():
        prometheus.put(
            "duration_seconds_bucket", START_S + at_s, count, le=bound, namespace="shop", service=service, **labels
        )


async def test_histograms_give_buckets_per_arm() -> None:
    prometheus = MemoryPrometheus()
    for service in ("chat-v1", "chat-v2"):
        buckets(prometheus, -3, service, {"0.1": 5, "1.0": 7, "+Inf": 9})
        buckets(prometheus, 2, service, {"0.1": 6, "1.0": 10, "+Inf": 14})
    collector = Collector(SETTINGS, prometheus)
    collector.subscribe(subscription(latency_gate()))
    evidence = (await one(collector, 3)).evidence[0]
    assert evidence.problem is None
    expected = Tally(5, 0, ((0.1, 1), (1.0, 3), (float("inf"), 5)))
    assert sums(evidence.strata) == (expected, expected)


async def test_unequal_bucket_layouts_are_broken() -> None:
    prometheus = MemoryPrometheus()
    for at_s in (-8, 2):
        buckets(prometheus, at_s, "chat-v1", {"0.1": 6, "+Inf": 14 + at_s})
        buckets(prometheus, at_s, "chat-v2", {"0.2": 6, "+Inf": 14 + at_s})
    collector = Collector(SETTINGS, prometheus)
    collector.subscribe(subscription(latency_gate()))
    evidence = (await one(collector, 3)).evidence[0]
    assert cause_of(evidence) is Cause.BROKEN
    assert evidence.problem is not None
    assert "different buckets" in evidence.problem.message
    assert evidence.strata == ()


async def test_arms_that_match_the_same_series_are_broken() -> None:
    prometheus = MemoryPrometheus()
    prometheus.put("requests_total", START_S + 2, 5, namespace="shop", service="x", code="200")
    collector = Collector(SETTINGS, prometheus)
    arm = (Matcher("service", MatchOp.REGEX, "x|${service}"),)
    same = ratio_gate("same", arm=(Matcher("namespace", MatchOp.EQUAL, "${namespace}"),))
    collector.subscribe(subscription(ratio_gate(arm=arm), same))
    tick = await one(collector, 3)
    assert [cause_of(each) for each in tick.evidence] == [Cause.BROKEN, Cause.BROKEN]


async def test_another_generation_starts_anew() -> None:
    prometheus = MemoryPrometheus()
    scrape(prometheus, 2, stable=1000, candidate=10)
    collector = Collector(SETTINGS, prometheus)
    collector.subscribe(subscription(ratio_gate()))
    first = (await one(collector, 3)).evidence[0].strata
    collector.subscribe(subscription(ratio_gate()))
    assert (await one(collector, 4)).evidence[0].strata == ()
    collector.subscribe(subscription(ratio_gate(), generation="2"))
    assert (await one(collector, 5)).evidence[0].strata == first
    collector.unsubscribe("shop/chat")
    assert await collector.collect(after(6)) == {}


async def test_series_first_seen_when_prometheus_comes_back_are_not_taken_for_new() -> None:
    prometheus = MemoryPrometheus()
    for at_s in (100, 105, 110):
        scrape(prometheus, at_s, stable=50_000 + at_s, candidate=10 + at_s)
    prometheus.put("requests_total", START_S + 110, 3, namespace="shop", service="chat-v2", code="503")
    collector = Collector(SETTINGS, prometheus)
    collector.subscribe(subscription(ratio_gate()))
    candidate, stable = sums((await one(collector, 111)).evidence[0].strata)
    assert (candidate.total, candidate.bad) == (13, 4)
    assert (stable.total, stable.bad) == (10, 1)


async def test_a_candidate_that_should_show_events_by_now_and_shows_none_is_missing() -> None:
    prometheus = MemoryPrometheus()
    answers = ratio_gate("wrong", metric="answers_total")
    labels = {"namespace": "shop", "service": "chat-v1", "code": "200"}
    for at_s, done in ((-8, 0), (2, 400), (7, 1000)):
        scrape(prometheus, at_s, stable=done, candidate=done / 10)
        prometheus.put("answers_total", START_S + at_s, done, **labels)
    collector = Collector(SETTINGS, prometheus)
    collector.subscribe(subscription(answers, requests=ratio_gate()))
    evidence = (await one(collector, 8)).evidence[0]
    assert cause_of(evidence) is Cause.MISSING
    assert evidence.problem is not None
    assert "about 100 events likely" in evidence.problem.message


@pytest.mark.parametrize("kind", [Cost, Mean])
async def test_cost_or_score_that_is_not_exposed_is_missing_and_not_zero(kind: type[Cost] | type[Mean]) -> None:
    prometheus = MemoryPrometheus()
    scrape(prometheus, -3, stable=1000, candidate=0)
    scrape(prometheus, 2, stable=1100, candidate=10)
    collector = Collector(SETTINGS, prometheus)
    metric = kind(Series("cost_total"), Series("requests_total"))
    collector.subscribe(subscription(Gate("cost", metric, absolute(), BY_SERVICE)))
    evidence = (await one(collector, 3)).evidence[0]
    assert cause_of(evidence) is Cause.MISSING
    assert evidence.problem is not None
    assert "cost_total" in evidence.problem.message


def counted_apart(prometheus: MemoryPrometheus, at_s: float, service: str, done: float, failed: float | None) -> None:
    prometheus.put("done", START_S + at_s, done, namespace="shop", service=service)
    if failed is not None:
        prometheus.put("failed", START_S + at_s, failed, namespace="shop", service=service)


async def test_good_and_bad_events_that_are_counted_apart_add_up() -> None:
    prometheus = MemoryPrometheus()
    for at_s, done, failed in ((-8, 100, 10), (-3, 100, 10), (2, 190, 20)):
        for service in ("chat-v1", "chat-v2"):
            counted_apart(prometheus, at_s, service, done, failed)
    collector = Collector(SETTINGS, prometheus)
    gate = Gate("errors", Ratio(Series("failed"), Series("done"), apart=True), AGAINST, BY_SERVICE)
    collector.subscribe(subscription(gate, requests=gate, stage_since=after(-4)))
    tick = await one(collector, 3)
    assert tick.evidence[0].problem is None
    assert sums(tick.evidence[0].strata) == (Tally(100, 10), Tally(100, 10))
    assert tick.samples == 100


@pytest.mark.parametrize(("sparse", "cause"), [(True, None), (False, Cause.MISSING)])
async def test_a_counter_of_bad_events_that_is_absent_is_zero_only_where_the_template_says_so(
    sparse: bool, cause: Cause | None
) -> None:
    prometheus = MemoryPrometheus()
    for at_s, done in ((-8, 100), (-3, 100), (2, 190)):
        for service in ("chat-v1", "chat-v2"):
            counted_apart(prometheus, at_s, service, done, None)
    collector = Collector(SETTINGS, prometheus)
    gate = Gate("errors", Ratio(Series("failed"), Series("done"), sparse=sparse), AGAINST, BY_SERVICE)
    collector.subscribe(subscription(gate))
    assert cause_of((await one(collector, 3)).evidence[0]) is cause
    counted_apart(prometheus, 7, "chat-v1", 280, None)
    counted_apart(prometheus, 7, "chat-v2", 280, 4)
    evidence = (await one(collector, 8)).evidence[0]
    assert cause_of(evidence) is None
    assert sums(evidence.strata)[0].bad == 4


async def test_history_that_is_too_long_for_one_collection_is_read_in_several() -> None:
    prometheus = MemoryPrometheus()
    for at_s in range(-300, 400_000, 600):
        scrape(prometheus, at_s, stable=1000 + at_s, candidate=1000 + at_s)
    collector = Collector(SourceSettings("default", "http://prometheus", tick_s=5, scrape_interval_s=300), prometheus)
    for number in range(3):
        collector.subscribe(subscription(ratio_gate(), key=f"shop/{number}", fresh_s=1000))
    folded: list[Stratum] = []
    for count in range(20):
        evidence = (await one(collector, 400_000 + count, "shop/1")).evidence[0]
        folded += evidence.strata
        if evidence.problem is None:
            break
        assert cause_of(evidence) is Cause.SOURCE_DOWN
        assert "reading the history" in evidence.problem.message
    assert evidence.problem is None
    assert count > 0
    assert sums(folded)[0].total == sums(folded)[1].total == 399_900 + 300


async def test_a_long_history_of_one_release_does_not_keep_the_evidence_of_another_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("modelrelease.metrics.collector.PATIENT_POINTS", 100)
    monkeypatch.setattr("modelrelease.metrics.collector.AT_A_TIME", 1)
    prometheus = MemoryPrometheus()
    for at_s in range(-40_000, 60, 60):
        scrape(prometheus, at_s, stable=50_000 + at_s, candidate=50_000 + at_s)
    collector = Collector(SourceSettings("default", "http://prometheus", tick_s=5, scrape_interval_s=60), prometheus)
    collector.subscribe(subscription(ratio_gate(), key="shop/live", fresh_s=200))
    collector.subscribe(subscription(ratio_gate(), key="shop/long", fresh_s=200, since=after(-36_000), patient=True))
    ticks = await collector.collect(after(30))
    assert ticks["shop/live"].evidence[0].problem is None
    asked = len(prometheus.asked)
    (reading,) = ticks["shop/long"].evidence
    assert reading.problem is not None
    assert "reading the history" in reading.problem.message
    folded = list(reading.strata)
    for count in range(1, 60):
        evidence = (await one(collector, 30 + count, "shop/long")).evidence[0]
        folded += evidence.strata
        if evidence.problem is None:
            break
    assert evidence.problem is None
    assert len(prometheus.asked) > 2 * asked
    assert sums(folded)[1].total == 36_060
