"""What the demo says about the wire, from samples whose truth is known."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from modelrelease.demo import wire
from modelrelease.demo.story import INTENDED_PERCENT
from modelrelease.sandbox.load import NO_ANSWER, UNSENT, Sample

RATE_PER_S = 200
# Seconds, and the candidate's percentage of low-criticality requests and of the others.
Step = tuple[float, float, float]


def exact(_: random.Random) -> Callable[[float], bool]:
    """A weighted scheduler as gateways have: deterministic, stable first."""
    owed = 0.0

    def next_one(percent: float) -> bool:
        nonlocal owed
        owed += percent / 100
        if owed < 1 - 1e-9:
            return False
        owed -= 1
        return True

    return next_one


def drawn(dice: random.Random) -> Callable[[float], bool]:
    """Every request by itself at random."""
    return lambda percent: dice.random() * 100 < percent


def traffic(steps: Sequence[Step], *, scheduler: Callable[[random.Random], Callable[[float], bool]]) -> list[Sample]:
    """Samples at a constant rate, every other one of low criticality."""
    dice = random.Random(7)
    samples, now = [], 1_000_000.0
    for seconds, low, rest in steps:
        pick_low, pick_rest = scheduler(dice), scheduler(dice)
        for index in range(int(seconds * RATE_PER_S)):
            is_low = index % 2 == 0
            hit = pick_low(low) if is_low else pick_rest(rest)
            server, segment = "v2" if hit else "v1", "low" if is_low else ""
            samples.append(Sample(now, now + 0.01, 200, server=server, segment=segment))
            now += 1 / RATE_PER_S
    return samples


GOOD = [(3, 0, 0), (8, 1, 0), (7, 5, 5), (12, 20, 20), (5, 100, 100)]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (GOOD, [1, 5, 20, 100]),
        ([*GOOD[:3], (5, 0, 0)], [1, 5]),
        ([*GOOD[:4], (5, 0, 0)], [1, 5, 20]),
        ([(10, 0, 0)], []),
        ([(3, 0, 0), (5, 100, 100)], [100]),
        ([(3, 0, 0), (8, 10, 10), (8, 20, 20)], [10, 20]),  # 10 % was nobody's intention: said as it is
        ([(3, 0, 0), (8, 5, 5), (0.5, 20, 20), (5, 0, 0)], [5]),  # too short to be a plateau
    ],
)
def test_plateaus_on_the_wire_are_told_in_order(steps: list[Step], expected: list[float]) -> None:
    found = wire.plateaus(traffic(steps, scheduler=exact), "v2")
    assert wire.weights(found, INTENDED_PERCENT) == pytest.approx(expected, abs=0.3)


def test_a_route_that_gives_another_share_than_intended_is_not_called_intended() -> None:
    found = wire.plateaus(traffic([(3, 0, 0), (10, 40, 40)], scheduler=exact), "v2")
    assert wire.weights(found, INTENDED_PERCENT) == pytest.approx([40.0], abs=0.3)


def test_a_randomly_drawn_split_has_no_more_plateaus_than_it_has() -> None:
    found = wire.plateaus(traffic([(3, 0, 0), (15, 5, 5), (15, 20, 20), (5, 100, 100)], scheduler=drawn), "v2")
    assert wire.weights(found, INTENDED_PERCENT) == [5, 20, 100]


def test_the_share_of_the_first_stage_is_taken_within_its_segment() -> None:
    [plateau] = wire.plateaus(traffic([(3, 0, 0), (10, 1, 0)], scheduler=exact), "v2")
    assert plateau.tally.low_only
    assert plateau.tally.percent == pytest.approx(1.0, abs=0.15)


def test_a_leak_into_the_other_segment_is_not_low_only() -> None:
    [plateau] = wire.plateaus(traffic([(3, 0, 0), (10, 1, 1)], scheduler=exact), "v2")
    assert not plateau.tally.low_only


@pytest.mark.parametrize(
    ("realised", "called"),
    [
        (0.71, 1),
        (1.29, 1),
        (1.5, 1.5),
        (3.8, 5),
        (6.24, 5),
        (6.4, 6.4),
        (15.1, 20),
        (26.0, 26.0),
        (99.8, 100),
        (99, 99),
    ],
)
def test_a_share_is_called_by_the_intended_one_only_within_the_tolerance(realised: float, called: float) -> None:
    assert wire.matched(realised, INTENDED_PERCENT) == called


@pytest.mark.parametrize(
    ("status", "answered_at_s", "counts"),
    [
        (200, 1.0, False),
        (404, 1.0, False),
        (500, 1.0, True),
        (503, 1.0, True),
        (NO_ANSWER, None, True),
        (UNSENT, None, False),
    ],
)
def test_errors_are_what_users_got_instead_of_an_answer(status: int, answered_at_s: float | None, counts: bool) -> None:
    assert wire.failed(Sample(0.5, answered_at_s, status)) is counts


def test_wrong_answers_are_counted_among_those_that_were_given() -> None:
    right = Sample(0, 0.1, 200, server="v2", answer="7", body=0)
    samples = [
        *[right] * 7,
        replace(right, answer="1"),
        replace(right, status=500, answer=""),
        replace(right, server="v1", answer="1"),
    ]
    found = wire.quality(samples, ["7"], "v2")
    assert (found.answered, found.errors, found.wrong) == (9, 1, 1)
    assert found.wrong_percent == pytest.approx(100 / 8)
    assert wire.quality(samples, ["7"], besides="v2").wrong == 1


def test_the_last_answer_is_the_one_that_arrived_last() -> None:
    samples = [Sample(0, 5.0, 200, server="v2"), Sample(1, 2.0, 200, server="v2"), Sample(6, 7.0, 200, server="v1")]
    assert wire.last_answer_s(samples, "v2") == 5.0
    assert wire.last_answer_s(samples, "v9") is None
