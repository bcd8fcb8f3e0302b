"""A day of false-alarm hunting: what can go wrong with evidence while the release is fine, and what is said then.

Read it as a table: situation → outcome, cause, words. In every situation both arms behave alike, so a Revert would be
a false alarm; and once the trouble is over, the release is judged on everything that it did meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from modelrelease.domain.evidence import Cause
from modelrelease.domain.verdict import Outcome, Verdict
from modelrelease.metrics.answers import Answer, Failed, Samples
from modelrelease.metrics.client import prometheus as client_of
from modelrelease.metrics.source import SourceSettings
from tests.metrics.builders import START_S, MemoryPrometheus
from tests.metrics.fault_server import FaultServer, Handler, fault_server
from tests.metrics.following import (
    CANDIDATE_DONE,
    NOW_S,
    OK,
    SCRAPE_S,
    Following,
    born,
    from_on,
    only,
    restarted,
    scraped,
    truth,
    until,
)

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
