"""A day of false-alarm hunting: what can go wrong with evidence while the release is fine, and what is said then.

Read it as a table: situation → outcome, cause, words. In every situation both arms behave alike, so a Revert would be
a false alarm; and once the trouble is over, the release is judged on everything that it did meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from modelrelease.domain.evidence import Cause, Tally
from modelrelease.domain.gate import AgainstStable, Gate, Mean, Quantile, Series, Value
from modelrelease.domain.verdict import Outcome, Verdict
from modelrelease.gates import judge
from modelrelease.gates.judge import JudgeSettings
from modelrelease.gates.state import GateState
from modelrelease.metrics.answers import Answer, Failed, Prometheus, RawSeries, Samples
from modelrelease.metrics.client import prometheus as client_of
from modelrelease.metrics.collector import Collector
from modelrelease.metrics.source import SourceSettings
from tests.metrics.builders import BY_SERVICE, START_S, MemoryPrometheus, absolute, after, ratio_gate, subscription
from tests.metrics.fault_server import FaultServer, Handler, fault_server

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

# situation: what is scraped; which gate → outcome, cause, words; what the candidate is counted to have done
ANSWERS: dict[str, tuple[MemoryPrometheus, str, tuple[Outcome, ...], Cause | None, str, float | None]] = {
    "nothing is wrong": (scraped(), "errors", OK, None, "12 of 1,200 on the candidate", CANDIDATE_DONE),
    "NaN on the candidate": (
        scraped(only("candidate", from_on(295, math.nan))),
        *("errors", (Outcome.NO_DATA,), Cause.BROKEN, "a counter's value is nan (candidate)", 4 * 290),
    ),
    "NaN on stable": (
        scraped(only("stable", from_on(295, math.nan))),
        *("errors", (Outcome.NO_DATA,), Cause.BROKEN, "a counter's value is nan (stable)", None),
    ),
    "NaN for one scrape, over since": (
        scraped(lambda arm, at_s, value: math.nan if at_s == 200 else value),
        *("errors", OK, None, "1,200", CANDIDATE_DONE),
    ),
    "+Inf in a histogram": (
        scraped(only("candidate", from_on(295, math.inf))),
        *("latency", (Outcome.NO_DATA,), Cause.BROKEN, "a counter's value is ", 4 * 290),
    ),
    "a gauge instead of a counter": (
        scraped(only("candidate", from_on(295, -3))),
        *("errors", (Outcome.NO_DATA,), Cause.BROKEN, "negative", None),
    ),
    "NaN as the value": (scraped(drift=math.nan), "drift", (Outcome.NO_DATA,), Cause.BROKEN, "gives nan", None),
    "an empty answer": (
        scraped(lambda *_: None),
        *("errors", (Outcome.NO_DATA,), Cause.MISSING, "no series matches requests_total{", None),
    ),
    "an empty value": (scraped(drift_pods=""), "drift", (Outcome.NO_DATA,), Cause.MISSING, "gives nothing", None),
    "no request on the candidate yet": (
        scraped(only("candidate", lambda *_: None)),
        *("errors", (Outcome.NO_DATA,), Cause.INSUFFICIENT, "0 events of 1 needed", None),
    ),
    "two Pods where the gate means one figure": (
        scraped(drift_pods="ab"),
        *("drift", (Outcome.NO_DATA,), Cause.BROKEN, "gives 2 series where one is meant; aggregate them", None),
    ),
    "all stale by 6 minutes": (
        scraped(lambda arm, at_s, value: value if at_s <= NOW_S - 360 else None),
        *("errors", (Outcome.NO_DATA,), Cause.MISSING, "last sample of the candidate 360 s ago", None),
    ),
    "the value stale by 6 minutes": (
        scraped(drift_at_s=NOW_S - 360),
        *("drift", (Outcome.NO_DATA,), Cause.MISSING, "last sample 360 s ago (drift_index{", None),
    ),
    "the gateway hides a candidate without requests": (
        scraped(only("candidate", until(200))),
        *("errors", OK, None, "800", 4 * 200),
    ),
    "the candidate's counters restart": (
        scraped(only("candidate", restarted(150, "candidate"))),
        *("errors", OK, None, "12 of 1,200 on the candidate", CANDIDATE_DONE),
    ),
    "stable's counters restart": (
        scraped(only("stable", restarted(150, "stable"))),
        *("errors", OK, None, "120 of 12,000 on stable", CANDIDATE_DONE),
    ),
    "a histogram restarts": (
        scraped(only("candidate", restarted(150, "candidate"))),
        *("latency", OK, None, "1,1", CANDIDATE_DONE),
    ),
    "a candidate born 20 s ago": (
        scraped(only("candidate", born(NOW_S - 20))),
        *("errors", OK, None, "on the candidate against", 4 * 25),
    ),
    "buckets that differ between the arms": (
        scraped(bounds={"candidate": ("0.2", "1.0")}),
        *("latency", (Outcome.NO_DATA,), Cause.BROKEN, "different buckets", None),
    ),
    "a scrape that was missed": (
        scraped(lambda arm, at_s, value: None if at_s in (100, 105) else value),
        *("errors", OK, None, "1,200", CANDIDATE_DONE),
    ),
    "a mean whose counters restart": (
        scraped(only("candidate", restarted(150, "candidate"))),
        *("score", OK, None, "0.5", CANDIDATE_DONE),
    ),
}


@pytest.mark.parametrize("situation", ANSWERS)
async def test_what_is_scraped(situation: str) -> None:
    memory, name, outcomes, cause, words, counted = ANSWERS[situation]
    following = Following(memory)
    for at_s in (0.5, 60.5, 180.5):
        assert all(verdict.outcome is not Outcome.REVERT for verdict in (await following.verdicts(at_s)).values())
    verdicts = await following.verdicts(NOW_S + 0.5)
    assert all(verdict.outcome is not Outcome.REVERT for verdict in verdicts.values())
    verdict = verdicts[name]
    assert (verdict.outcome in outcomes, verdict.cause) == (True, cause), verdict.sentence
    assert words in verdict.sentence
    assert counted is None or following.counted[name].total == pytest.approx(counted)


def renamed(name: str, at_s: float, arms: tuple[str, ...] = ("candidate",)) -> MemoryPrometheus:
    """A healthy release of which one series has another name from a moment on."""
    memory = scraped()
    services = [ARMS[arm] for arm in arms]
    for key in [key for key in memory.scrapes if dict(key)["__name__"] == name and dict(key)["service"] in services]:
        other = frozenset({**dict(key), "__name__": "renamed"}.items())
        points = memory.scrapes[key]
        memory.scrapes[key] = [point for point in points if point[0] < START_S + at_s]
        memory.scrapes[other] = [point for point in points if point[0] >= START_S + at_s]
    return memory


@pytest.mark.parametrize(
    ("name", "arms", "gate", "words"),
    [
        ("score_count", ("candidate",), "score", "score_count{namespace="),
        ("score_sum", ("candidate",), "score", "score_sum{namespace="),
        ("score_count", ("candidate", "stable"), "score", "goes on; nothing is counted"),
        ("score_sum", ("stable",), "score", "of the stable has ended, though score_count{"),
        ("duration_bucket", ("candidate",), "latency", "has counted nothing since 12:01:35 UTC"),
    ],
)
async def test_a_series_that_is_renamed_in_mid_release_is_missing(
    name: str, arms: tuple[str, ...], gate: str, words: str
) -> None:
    """Half a mean is no mean, and a gate that goes blind while requests go on must not stay as good as it was."""
    following = Following(renamed(name, 100, arms))
    for at_s in range(0, int(NOW_S) + 1, SCRAPE_S):
        verdicts = await following.verdicts(at_s + 0.5)
        assert all(one.outcome is not Outcome.REVERT for one in verdicts.values())
    verdict = verdicts[gate]
    assert (verdict.outcome, verdict.cause) == (Outcome.NO_DATA, Cause.MISSING), verdict.sentence
    assert words in verdict.sentence
    assert following.counted[gate].total == 4 * 95
    if gate == "score":
        assert following.counted[gate].bad == 4 * 95 / 2


async def test_native_histograms_alone_are_missing_with_what_to_set() -> None:
    """Prometheus stores them under the name without _bucket, which no matcher on buckets finds."""
    memory = scraped()
    for key in [key for key in memory.scrapes if dict(key)["__name__"] == "duration_bucket"]:
        del memory.scrapes[key]
    verdict = (await Following(memory).verdicts(NOW_S))["latency"]
    assert (verdict.outcome, verdict.cause) == (Outcome.NO_DATA, Cause.MISSING)
    assert "native histograms need always_scrape_classic_histograms" in verdict.sentence


def after_reset(at_s: float, value: float) -> float:
    """Restarted just before 150 s, and by then as far as before: nobody can see it."""
    back = truth("candidate", 145)
    return value if at_s < 150 else back if at_s == 150 else value - truth("candidate", 150) + back


@pytest.mark.parametrize(
    ("change", "outcomes", "done"),
    [
        pytest.param(only("candidate", after_reset), OK, 4 * (NOW_S - 5), id="a restart back to the same value"),
        pytest.param(lambda _, at_s, v: v if at_s < 150 or not at_s % 30 else None, OK, 4 * NOW_S, id="5 s to 30 s"),
        pytest.param(
            lambda arm, at_s, v: v if arm == "candidate" or at_s < 150 or not at_s % 30 else None,
            *(OK, 4 * NOW_S),
            id="5 s to 30 s on stable only",
        ),
        pytest.param(
            lambda _, at_s, v: v if at_s < 150 or not at_s % 120 else None,
            *((Outcome.NO_DATA,), 4 * 240),
            id="5 s to 120 s, longer than samples are fresh",
        ),
    ],
)
async def test_restarts_nobody_sees_and_scrapes_that_become_rarer(
    change: Change, outcomes: tuple[Outcome, ...], done: float
) -> None:
    following = Following(scraped(change), gates=(ERRORS, LATENCY, SCORE))
    for at_s in range(0, int(NOW_S) + 1, SCRAPE_S):
        verdicts = await following.verdicts(at_s + 0.5)
        assert all(one.outcome is not Outcome.REVERT for one in verdicts.values())
    for name, verdict in verdicts.items():
        assert verdict.outcome in outcomes, verdict.sentence
        assert following.counted[name].total == pytest.approx(done, rel=0.04)


async def test_targets_that_are_scraped_twice_count_twice_in_both_arms() -> None:
    """Two jobs for one target cannot be told from two replicas behind one name: no verdict changes, samples double."""
    memory = scraped()
    for key in list(memory.scrapes):
        memory.scrapes[frozenset({**dict(key), "job": "again"}.items())] = list(memory.scrapes[key])
    following = Following(memory, gates=(ERRORS, LATENCY, SCORE))
    for at_s in range(0, int(NOW_S) + 1, SCRAPE_S):
        verdicts = await following.verdicts(at_s + 0.5)
        assert all(one.outcome in (*OK, Outcome.NO_DATA) for one in verdicts.values())
    assert all(verdict.outcome in OK for verdict in verdicts.values())
    assert following.counted["errors"].total == 2 * CANDIDATE_DONE


async def test_what_was_renamed_and_is_back_is_judged_again() -> None:
    memory = renamed("score_sum", 100)
    for key in [key for key in memory.scrapes if dict(key)["__name__"] == "score_sum"]:
        again = memory.scrapes.get(frozenset({**dict(key), "__name__": "renamed"}.items()), [])
        memory.scrapes[key] += [point for point in again if point[0] >= START_S + 200]
    following = Following(memory)
    for at_s in range(0, int(NOW_S) + 1, SCRAPE_S):
        verdicts = await following.verdicts(at_s + 0.5)
    assert verdicts["score"].outcome in OK, verdicts["score"].sentence


async def test_an_arm_without_requests_is_quiet_and_not_missing() -> None:
    """Nobody asks the candidate anything for two minutes; the gateway goes on showing its counters."""
    following = Following(scraped(only("candidate", lambda at_s, value: truth("candidate", min(at_s, 150)))))
    for at_s in range(0, int(NOW_S) + 1, SCRAPE_S):
        verdicts = await following.verdicts(at_s + 0.5)
    for verdict in verdicts.values():
        assert verdict.outcome in OK, verdict.sentence


@dataclass
class InTurns:
    """Two replicas behind one address that scrape at moments of their own, and whose clocks differ by `apart_s`."""

    replicas: tuple[MemoryPrometheus, ...] = ()
    asked: int = 0

    @classmethod
    def of(cls, *, later_s: float, apart_s: float) -> InTurns:
        second = MemoryPrometheus()
        for at_s in range(-60, int(NOW_S) + 1, SCRAPE_S):
            for arm, service in ARMS.items():
                stamp_s = at_s + later_s
                write(second, stamp_s, service, int(truth(arm, stamp_s - apart_s)), ("0.1", "1.0"))
        return cls((scraped(), second))

    async def query(self, promql: str, at: datetime) -> Answer:
        self.asked += 1
        return await self.replicas[self.asked * 7919 % 11 % 2].query(promql, at)


@pytest.mark.parametrize(("later_s", "apart_s"), [(2.5, 0.0), (0.1, 0.3), (0.1, 1.0), (1.0, 3.0)])
async def test_two_replicas_asked_in_turns_count_nothing_twice(later_s: float, apart_s: float) -> None:
    """A counter seen a moment earlier than before has not restarted: all that stable ever did would count again."""
    following = Following(InTurns.of(later_s=later_s, apart_s=apart_s), gates=(ERRORS, LATENCY, SCORE))
    for at_s in range(0, int(NOW_S), SCRAPE_S):
        assert all(one.outcome is not Outcome.REVERT for one in (await following.verdicts(at_s + 0.5)).values())
    for name, verdict in (await following.verdicts(NOW_S + 0.5)).items():
        assert verdict.outcome in OK, verdict.sentence
        assert following.counted[name].total == pytest.approx(CANDIDATE_DONE, rel=0.05)


async def test_a_candidate_that_should_long_have_had_requests_is_missing_and_not_quiet() -> None:
    memory = scraped()
    for key in [key for key in memory.scrapes if ("__name__", "score_count") in key and ("service", "chat-v2") in key]:
        del memory.scrapes[key]
    verdict = (await Following(memory).verdicts(NOW_S))["score"]
    assert (verdict.outcome, verdict.cause) == (Outcome.NO_DATA, Cause.MISSING)
    assert "though stable's rate makes about 1200 events likely" in verdict.sentence


def as_json(answer: Answer) -> dict[str, Any]:
    assert isinstance(answer, Samples)
    rows = [
        {"metric": dict(one.labels), "values": [[at, str(value)] for at, value in one.points]} for one in answer.series
    ]
    return {"status": "success", "data": {"resultType": "matrix", "result": rows}}


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """A Prometheus over HTTP that answers for the healthy release."""
    memory = scraped()

    def healthy(handler: Handler) -> None:
        at = datetime.fromtimestamp(float(handler.form["time"][0]), UTC)
        handler.send_json(200, as_json(asyncio.run(memory.query(handler.form["query"][0], at))))

    with fault_server() as running:
        running.respond = healthy
        yield running


def hang(handler: Handler) -> None:
    handler.server.over.wait(5)  # type: ignore[attr-defined]


def hang_up(handler: Handler) -> None:
    handler.close_connection = True
    handler.connection.close()


def warned(text: str) -> Callable[[Handler], None]:
    body = {"status": "success", "warnings": [text], "data": {"resultType": "matrix", "result": []}}
    return lambda handler: handler.send_json(200, body)


def says(status: int, error: str = "") -> Callable[[Handler], None]:
    body = {"status": "error", "errorType": "execution", "error": error}
    return lambda handler: handler.send(status, json.dumps(body).encode() if error else b"<html>")


# situation: what Prometheus answers → cause, words
TROUBLES: dict[str, tuple[Callable[[Handler], None], Cause, str]] = {
    "answers 503": (says(503), Cause.SOURCE_DOWN, "HTTP 503"),
    "answers 503 and says why": (says(503, "TSDB not ready"), Cause.SOURCE_DOWN, "TSDB not ready"),
    "is overloaded": (says(429), Cause.SOURCE_DOWN, "HTTP 429"),
    "does not know us any more": (says(401), Cause.SOURCE_DOWN, "refuses the credentials (HTTP 401)"),
    "redirects to a login page": (says(302), Cause.SOURCE_DOWN, "write the final address into the source"),
    "answers slowly": (hang, Cause.SOURCE_DOWN, "no answer within"),
    "hangs up": (hang_up, Cause.SOURCE_DOWN, "cannot reach Prometheus"),
    "answers with a part and a warning": (
        warned("remote_read: connection refused"),
        *(Cause.SOURCE_DOWN, "Prometheus warns: remote_read: connection refused"),
    ),
    "finds the query odd": (
        warned("PromQL warning: encountered a mix of histograms and floats"),
        *(Cause.BROKEN, "Prometheus warns: PromQL warning: encountered a mix"),
    ),
    "refuses the query": (says(422, "query processing would load too many samples"), Cause.BROKEN, "too many samples"),
    "answers with a web page": (
        lambda handler: handler.send(200, b"<html>"),
        Cause.SOURCE_DOWN,
        "not Prometheus' JSON",
    ),
}


async def answered(following: Following, at_s: float) -> dict[str, Verdict]:
    """The verdicts once all was read, however busy this machine is."""
    for attempt in range(20):
        verdicts = await following.verdicts(at_s + attempt / 100)
        if all(verdict.cause is not Cause.SOURCE_DOWN for verdict in verdicts.values()):
            break
    return verdicts


@pytest.mark.parametrize("situation", TROUBLES)
async def test_what_prometheus_does(situation: str, server: FaultServer) -> None:
    trouble, cause, words = TROUBLES[situation]
    timeout_s = 1.0 if trouble is hang else 20.0  # nothing else here is about time
    settings = SourceSettings(
        "faulty", server.url, tick_s=5, scrape_interval_s=SCRAPE_S, timeout_s=timeout_s, threads=4
    )
    client = client_of(settings)
    following = Following(client, settings)
    try:
        await answered(following, 0.5)
        before = await answered(following, 100.5)
        assert all(verdict.outcome in OK for verdict in before.values()), before
        healthy, server.respond = server.respond, trouble
        for at_s in (105.5, 110.5):
            for verdict in (await following.verdicts(at_s)).values():
                assert (verdict.outcome, verdict.cause) == (Outcome.NO_DATA, cause), verdict.sentence
                assert words in verdict.sentence
        server.respond = healthy
        after_it = await answered(following, NOW_S + 0.5)
        assert all(verdict.outcome in OK for verdict in after_it.values()), after_it
        assert following.counted["errors"].total == pytest.approx(CANDIDATE_DONE)
    finally:
        client.close()


async def test_no_prometheus_at_all_holds_everything_and_says_why() -> None:
    with fault_server() as server:
        address = server.url
    settings = SourceSettings("gone", address, tick_s=5, scrape_interval_s=SCRAPE_S, timeout_s=20.0)
    client = client_of(settings)
    try:
        for verdict in (await Following(client, settings).verdicts(NOW_S)).values():
            assert (verdict.outcome, verdict.cause) == (Outcome.NO_DATA, Cause.SOURCE_DOWN)
            assert "cannot reach Prometheus" in verdict.sentence
            assert "refused" in verdict.sentence
    finally:
        client.close()


async def test_a_revert_reached_before_the_trouble_stays() -> None:
    memory = scraped()
    for at_s in range(-60, 101, SCRAPE_S):
        labels = {"namespace": "shop", "service": "chat-v2", "code": "503"}
        memory.put("requests_total", START_S + at_s, truth("candidate", at_s), **labels)
    following = Following(memory)
    await following.verdicts(0.5)
    assert (await following.verdicts(100.5))["errors"].outcome is Outcome.REVERT
    memory.fail = lambda _: Failed("HTTP 503")
    assert (await following.verdicts(105.5))["errors"].outcome is Outcome.REVERT


@pytest.mark.parametrize(("ahead_s", "way"), [(180, " s ahead of"), (-180, " s behind"), (-3600, " s behind")])
async def test_clocks_minutes_apart_hold_and_are_named(
    ahead_s: float, way: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samples that only look old are not missing: a release is not taken back because of a clock."""
    settings = SourceSettings("clock", server.url, tick_s=5, scrape_interval_s=SCRAPE_S, timeout_s=20.0)
    client = client_of(settings)
    following = Following(client, settings)
    try:
        before = await answered(following, NOW_S - 50)
        assert all(verdict.outcome in OK for verdict in before.values()), before
        monkeypatch.setattr(Handler, "clock_ahead_s", ahead_s)
        for _ in range(2):
            for verdict in (await following.verdicts(NOW_S + 0.5)).values():
                assert (verdict.outcome, verdict.cause) == (Outcome.NO_DATA, Cause.SOURCE_DOWN), verdict.sentence
                assert way in verdict.sentence
                assert "set both (NTP)" in verdict.sentence
        monkeypatch.setattr(Handler, "clock_ahead_s", 5)
        after_it = await answered(following, NOW_S + 1)
        assert all(verdict.outcome in OK for verdict in after_it.values()), after_it
    finally:
        client.close()


async def test_a_revert_does_not_wait_for_clocks() -> None:
    memory = scraped()
    for at_s in range(-60, int(NOW_S) + 1, SCRAPE_S):
        labels = {"namespace": "shop", "service": "chat-v2", "code": "503"}
        memory.put("requests_total", START_S + at_s, truth("candidate", at_s), **labels)

    @dataclass
    class Behind:
        async def query(self, promql: str, at: datetime) -> Answer:
            answer = await memory.query(promql, at)
            return replace(answer, clock_ahead_s=-600.0) if isinstance(answer, Samples) else answer

    assert (await Following(Behind()).verdicts(NOW_S))["errors"].outcome is Outcome.REVERT
