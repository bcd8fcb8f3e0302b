"""What people read. A changed sentence is a changed interface: update it here on purpose."""

import random

import pytest

from modelrelease.domain.evidence import Stratum
from modelrelease.domain.gate import Absolute, AgainstStable, Gate, Kind, Scope
from modelrelease.gates.words import above, at_least, at_most, below, count, number, percent
from tests.gates.builders import (
    COST,
    LATENCY,
    SCORE,
    VALUE,
    ask,
    evidence,
    folded,
    gate,
    histogram,
    judged,
    stratum,
    under,
)

MARGIN = AgainstStable(max_ratio="1.5")
FIVE_TIMES = [stratum(tick, (30, 1), (1500, 8)) for tick in range(41)]
EQUAL = [stratum(tick, (100, 1), (400, 4)) for tick in range(200)]


def _scores(mean: float) -> list[Stratum]:
    rng = random.Random(1)
    return [stratum(tick, (20, 20 * rng.gauss(mean, 0.01)), (80, 80 * rng.gauss(0.8, 0.005))) for tick in range(40)]


@pytest.mark.parametrize(
    ("of", "strata", "sentence"),
    [
        (
            gate(rule=MARGIN),
            FIVE_TIMES,
            "errors: 41 of 1,230 on the candidate against 328 of 61,500 on stable; "
            "rate ratio at least 3.2 with 99 % confidence, 1.5 allowed",
        ),
        (
            gate(rule=MARGIN),
            EQUAL,
            "errors: 200 of 20,000 on the candidate against 800 of 80,000 on stable; "
            "rate ratio under 1.5 with 95 % confidence",
        ),
        (
            gate(rule=MARGIN),
            EQUAL[:5],
            "errors: 5 of 500 on the candidate against 20 of 2,000 on stable; "
            "rate ratio under 1.5 is neither proven nor refuted yet",
        ),
        (
            gate(rule=AgainstStable(max_ratio="1.5", floor="0.03")),
            EQUAL[:20],
            "errors: 20 of 2,000 on the candidate against 80 of 8,000 on stable; rate under 3 % with 95 % confidence",
        ),
        (
            gate(rule=AgainstStable(max_difference="0.005")),
            FIVE_TIMES,
            "errors: 41 of 1,230 on the candidate against 328 of 61,500 on stable; "
            "rate at least 2.31 points above stable's with 99 % confidence, 0.5 allowed",
        ),
        (
            gate(rule=AgainstStable(max_difference="0.02")),
            EQUAL,
            "errors: 200 of 20,000 on the candidate against 800 of 80,000 on stable; "
            "rate less than 2 points above stable's with 95 % confidence",
        ),
        (
            gate(rule=under("0.05")),
            [stratum(0, (10, 5))],
            "errors: 5 of 10 on the candidate; rate at least 8.18 % with 99 % confidence, 5 % allowed",
        ),
        (
            gate(rule=under("0.05")),
            EQUAL,
            "errors: 200 of 20,000 on the candidate; rate under 5 % with 95 % confidence",
        ),
        (
            gate(rule=Absolute(minimum="0.9"), name="solved"),
            [stratum(0, (40, 20))],
            "solved: 20 of 40 on the candidate; rate at most 76.7 % with 99 % confidence, 90 % demanded",
        ),
        (
            gate(rule=under("0.05"), scope=Scope.SEGMENT),
            [stratum(0, (10, 5), segment="low")],
            "errors in low: 5 of 10 on the candidate; rate at least 8.18 % with 99 % confidence, 5 % allowed",
        ),
        (
            gate(LATENCY, under("0.5"), name="latency"),
            [histogram(0, {0.1: 60, 0.5: 10, 1.0: 30})],
            "latency: 30 of 100 over 0.5 s on the candidate; "
            "slow share at least 15 % with 99 % confidence, 5 % allowed",
        ),
        (
            gate(LATENCY, MARGIN, name="latency"),
            [histogram(tick, {0.1: 60, 0.5: 10, 1.0: 30}, {0.1: 700, 0.5: 250, 1.0: 50}) for tick in range(9)],
            "latency: 240 of 800 over 0.5 s on the candidate against 400 of 8,000 on stable; "
            "slow share ratio at least 4.33 with 99 % confidence, 1.5 allowed",
        ),
        (
            gate(SCORE, AgainstStable(max_difference="0.02"), name="quality", kind=Kind.QUALITY),
            _scores(0.75),
            "quality: mean 0.751 over 800 on the candidate against mean 0.8 over 3,200 on stable; "
            "mean at least 0.0427 below stable's with 99 % confidence, 0.02 allowed",
        ),
        (
            gate(SCORE, AgainstStable(max_difference="0.02"), name="quality", kind=Kind.QUALITY),
            _scores(0.8),
            "quality: mean 0.801 over 800 on the candidate against mean 0.8 over 3,200 on stable; "
            "mean less than 0.02 below stable's with 95 % confidence",
        ),
        (
            gate(SCORE, AgainstStable(max_ratio="1.1"), name="minutes"),
            _scores(0.95),
            "minutes: mean 0.951 over 800 on the candidate against mean 0.8 over 3,200 on stable; "
            "mean not under 1.1 times stable's with 99 % confidence",
        ),
        (
            gate(SCORE, Absolute(minimum="0.8"), name="quality"),
            _scores(0.75),
            "quality: mean 0.751 over 800 on the candidate; mean at most 0.757 with 99 % confidence, 0.8 demanded",
        ),
        (
            gate(COST, under("0.40"), name="cost"),
            [stratum(tick, (1000, 0.5)) for tick in range(20)],
            "cost: 0.5 USD per 1,000 over 20,000 on the candidate; cost at least 0.5 with 99 % confidence, 0.4 allowed",
        ),
        (
            gate(COST, AgainstStable(max_ratio="1.2"), name="cost"),
            [stratum(tick, (1000, 0.5 + 0.01 * (tick % 3)), (9000, 2.7)) for tick in range(30)],
            "cost: 0.51 USD per 1,000 over 30,000 on the candidate against 0.3 USD per 1,000 over 270,000 on stable; "
            "cost at least 1.67 times stable's with 99 % confidence, 1.2 allowed",
        ),
        (
            gate(rule=MARGIN),
            [stratum(0, (10, 5))],
            "errors: needs stable traffic to compare with, and there has not been enough",
        ),
        (gate(rule=MARGIN), [stratum(0, (0, 0), (100, 1))], "errors: the candidate has had 0 events of 1 needed"),
    ],
)
def test_sentences(of: Gate, strata: list[Stratum], sentence: str) -> None:
    assert judged(of, strata).sentence == sentence


@pytest.mark.parametrize(
    ("value", "down", "up"),
    [
        (4.8567, "4.85", "4.86"),
        (1.5, "1.5", "1.5"),
        (1.5 * 1.1, "1.65", "1.65"),
        (0.000123456, "0.000123", "0.000124"),
        (1234567.0, "1,230,000", "1,240,000"),
        (0.0, "0", "0"),
        (-2.345, "-2.35", "-2.34"),
    ],
)
def test_bounds_are_rounded_to_the_side_that_claims_less(value: float, down: str, up: str) -> None:
    assert (at_least(value), at_most(value)) == (down, up)


def test_numbers_are_plain() -> None:
    assert [count(60950.0), count(2.5), percent(0.05), percent(0.0015), number(123456.0), number(1e-7)] == [
        "60,950",
        "2.5",
        "5 %",
        "0.15 %",
        "123,000",
        "0.0000001",
    ]


def test_every_outcome_names_its_gate_and_segment() -> None:
    of = gate(rule=under("0.05"), scope=Scope.SEGMENT)
    verdict = ask(of, folded(of, evidence(stratum(0, (10, 0), segment="low"))))
    assert verdict.sentence.startswith("errors in low: ")
    assert (verdict.gate, verdict.segment) == ("errors", "low")


def test_a_value_says_how_often_it_breached() -> None:
    of = gate(VALUE, Absolute(maximum="0.2", minimum="0"), name="drift")
    verdict = ask(of, folded(of, evidence(value=0.31, newest=stratum(0).end)))
    assert verdict.sentence == ("drift: 0.31, at most 0.2 and at least 0 allowed; breach 1 in a row, 3 mean revert")


def test_a_bound_that_reads_like_what_is_allowed_is_not_said_twice() -> None:
    assert above("4.9", "1.5", "with 99 % confidence") == "at least 4.9 with 99 % confidence, 1.5 allowed"
    assert above("1.5", "1.5", "with 99 % confidence") == "above the 1.5 allowed with 99 % confidence"
    assert below("80 %", "90 %", "with 99 % confidence") == "at most 80 % with 99 % confidence, 90 % demanded"
    assert below("90 %", "90 %", "with 99 % confidence") == "below the 90 % demanded with 99 % confidence"
