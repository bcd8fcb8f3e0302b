"""What may change about a healthy release in mid-release: names, replicas, scrapes, restarts. No false alarm."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pytest

from modelrelease.domain.evidence import Cause
from modelrelease.domain.verdict import Outcome
from modelrelease.metrics.answers import Answer
from tests.metrics.builders import START_S, MemoryPrometheus
from tests.metrics.following import (
    ARMS,
    CANDIDATE_DONE,
    ERRORS,
    LATENCY,
    NOW_S,
    OK,
    SCORE,
    SCRAPE_S,
    Change,
    Following,
    only,
    scraped,
    truth,
    write,
)


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
