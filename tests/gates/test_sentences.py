"""What people read. A changed sentence is a changed interface: update it here on purpose."""

import random

import pytest
from tests.gates.builders import (
    COST,
    LATENCY,
    SCORE,
    VALUE,
    evidence,
    folded,
    gate,
    histogram,
    judged,
    stratum,
    under,
    ask,
)

from modelrelease.domain.evidence import Stratum
from modelrelease.domain.gate import Absolute, AgainstStable, Gate, Kind, Scope
from modelrelease.gates.words import at_least, at_most, count, number, percent

MARGIN = AgainstStable(max_ratio="1.5")
FIVE_TIMES = [stratum(tick, (30, 1), (1500, 8)) for tick in range(41)]
EQUAL = [stratum(tick, (100, 1), (400, 4)) for tick in range(200)]


def _scores(mean: float) -> list[Stratum]:
    rng = random.Random(1)
    return [
        stratum(tick, (20, 20 * rng.gauss(mean, 0.01)), (80, 80 * rng.gauss(0.8, 0.005))) for tick in range(40)
    ]


@pytest.mark.parametrize(
    ("of", "strata", "sentence"),
    SENTENCES := [
        (
            gate(rule=MARGIN),
            FIVE_TIMES,
            "?",
        ),
        (gate(rule=MARGIN), EQUAL, "?"),
        (gate(rule=MARGIN), EQUAL[:5], "?"),
        (gate(rule=AgainstStable(max_ratio="1.5", floor="0.03")), EQUAL[:20], "?"),
        (gate(rule=AgainstStable(max_difference="0.005")), FIVE_TIMES, "?"),
        (gate(rule=AgainstStable(max_difference="0.02")), EQUAL, "?"),
        (gate(rule=under("0.05")), [stratum(0, (10, 5))], "?"),
        (gate(rule=under("0.05")), EQUAL, "?"),
        (gate(rule=Absolute(minimum="0.9"), name="solved"), [stratum(0, (40, 20))], "?"),
        (gate(rule=under("0.05"), scope=Scope.SEGMENT), [stratum(0, (10, 5), segment="low")], "?"),
        (gate(LATENCY, under("0.5"), name="latency"), [histogram(0, {0.1: 60, 0.5: 10, 1.0: 30})], "?"),
        (
            gate(LATENCY, MARGIN, name="latency"),
            [histogram(tick, {0.1: 60, 0.5: 10, 1.0: 30}, {0.1: 700, 0.5: 250, 1.0: 50}) for tick in range(9)],
            "?",
        ),
        (gate(SCORE, AgainstStable(max_difference="0.02"), name="quality", kind=Kind.QUALITY), _scores(0.75), "?"),
        (gate(SCORE, AgainstStable(max_difference="0.02"), name="quality", kind=Kind.QUALITY), _scores(0.8), "?"),
        (gate(SCORE, AgainstStable(max_ratio="1.1"), name="minutes"), _scores(0.95), "?"),
        (gate(SCORE, Absolute(minimum="0.8"), name="quality"), _scores(0.75), "?"),
        (gate(COST, under("0.40"), name="cost"), [stratum(tick, (1000, 0.5)) for tick in range(20)], "?"),
        (
            gate(COST, AgainstStable(max_ratio="1.2"), name="cost"),
            [stratum(tick, (1000, 0.5 + 0.01 * (tick % 3)), (9000, 2.7)) for tick in range(30)],
            "?",
        ),
        (gate(rule=MARGIN), [stratum(0, (10, 5))], "?"),
        (gate(rule=MARGIN), [stratum(0, (0, 0), (100, 1))], "?"),
    ],
)
def test_sentences(of: Gate, strata: list[Stratum], sentence: str) -> None:
    assert judged(of, strata).sentence == sentence
