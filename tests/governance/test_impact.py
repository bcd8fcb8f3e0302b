"""Projected impact beside what gates observed, in sentences with both numbers."""

from __future__ import annotations

from typing import Any

import pytest

from modelrelease.domain.gate import Absolute, Cost, Gate, Metric, Quantile, Ratio, Series, Value
from modelrelease.domain.offline import Impact
from modelrelease.governance.impact import projections, seen
from tests.governance.offline import CANDIDATE, STABLE, gen_evidence

RATIO = Ratio(Series("bad"), Series("all"))
COUNTS = {"n_c": 200.0, "y_c": 8.0, "n_s": 1000.0, "y_s": 50.0}


def said(impact: Impact, metric: Metric, *numbers: dict[str, float]) -> str:
    (found,) = seen([impact], [Gate("quality", metric, Absolute("1"))], {"quality": list(numbers)})
    return found.sentence


@pytest.mark.parametrize(
    ("fields", "metric", "numbers", "sentence"),
    [
        (
            {"expected": "0.03"},
            RATIO,
            (COUNTS,),
            "quality: 0.03 was expected, 0.04 on the candidate against 0.05 on stable: 0.01 more than expected",
        ),
        (
            {"change": "-0.02", "unit": "of all answers"},
            RATIO,
            (COUNTS,),
            "quality: a change by -0.02 of all answers was expected, by -0.01 observed (0.04 on the candidate against "
            "0.05 on stable)",
        ),
        (
            {"expected": "0.04"},
            RATIO,
            (COUNTS, COUNTS),
            "quality: 0.04 was expected, 0.04 on the candidate against 0.05 on stable: as expected",
        ),
        (
            {"expected": "40"},
            Cost(Series("cost"), Series("units"), per=1000),
            ({"n_c": 200.0, "y_c": 8.0},),
            "quality: 40 was expected, 40 on the candidate: as expected",
        ),
        (
            {"expected": "0.2"},
            Value("drift"),
            ({"value": 0.1, "breaches": 0.0},),
            "quality: 0.2 was expected, 0.1 on the candidate: 0.1 less than expected",
        ),
        ({"change": "1"}, Value("drift"), ({"value": 0.1},), "0.1 on the candidate, and nothing to compare it with"),
        ({"expected": "1"}, Quantile(Series("b"), "0.95"), (COUNTS,), "counts what lies above its bound"),
        ({"expected": "1"}, RATIO, (), "nothing was observed yet"),
        ({"expected": "1"}, RATIO, ({"n_c": 0.0, "y_c": 0.0},), "nothing was observed yet"),
    ],
)
def test_a_projection_stands_beside_what_was_observed(
    fields: dict[str, Any], metric: Metric, numbers: tuple[dict[str, float], ...], sentence: str
) -> None:
    assert sentence in said(Impact("quality", **fields), metric, *numbers)


def test_a_projection_for_a_gate_that_there_is_not_says_so() -> None:
    (found,) = seen([Impact("tone", expected="1")], [], {})
    assert found.sentence == "tone: 1 was expected; the release has no gate of this name that would measure it"


def test_the_newest_word_on_a_gate_counts_and_only_of_this_unit() -> None:
    old = gen_evidence(number=1, age_h=3, impact=(Impact("a", expected="1"), Impact("b", expected="2")))
    new = gen_evidence(number=2, age_h=1, impact=(Impact("a", expected="3"),))
    other = gen_evidence(number=3, unit=STABLE, impact=(Impact("c", expected="4"),))
    found = projections((new, other, old), CANDIDATE)
    assert {each.gate: each.expected for each in found} == {"a": "3", "b": "2"}
