import math
from datetime import timedelta

import pytest

from modelrelease.domain.evidence import Cause, Evidence
from modelrelease.domain.gate import Absolute, AgainstStable, Scope
from modelrelease.domain.verdict import Outcome
from modelrelease.gates.judge import JudgeSettings
from tests.gates.builders import SETTINGS, T0, VALUE, ask, evidence, folded, gate, under


def _samples(*values: float) -> list[Evidence]:
    return [evidence(value=value, newest=T0 + timedelta(seconds=5 * index)) for index, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ((0.1,), Outcome.PASS),
        ((0.2,), Outcome.PASS),
        ((0.3,), Outcome.UNDECIDED),
        ((0.3, 0.3), Outcome.UNDECIDED),
        ((0.3, 0.3, 0.3), Outcome.REVERT),
        ((0.3, 0.3, 0.1, 0.3), Outcome.UNDECIDED),
        ((0.3, 0.3, 0.3, 0.1), Outcome.REVERT),
        ((0.3, 0.3, math.nan, 0.3), Outcome.REVERT),
        ((-0.1, 0.3, -0.1), Outcome.REVERT),
    ],
)
def test_three_breaches_in_a_row_revert_and_one_sample_inside_passes(
    values: tuple[float, ...], outcome: Outcome
) -> None:
    of = gate(VALUE, Absolute(maximum="0.2", minimum="0"))
    assert ask(of, folded(of, *_samples(*values))).outcome is outcome


@pytest.mark.parametrize("sample", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_broken_and_never_a_pass(sample: float) -> None:
    of = gate(VALUE, under("0.2"))
    verdict = ask(of, folded(of, *_samples(0.1, sample)))
    assert (verdict.outcome, verdict.cause) == (Outcome.NO_DATA, Cause.BROKEN)


def test_the_same_scrape_read_three_times_is_one_breach() -> None:
    of = gate(VALUE, under("0.2"))
    same = evidence(value=0.9, newest=T0)
    assert ask(of, folded(of, same, same, same)).outcome is Outcome.UNDECIDED


def test_a_value_needs_no_requests_and_is_one_verdict_in_any_scope() -> None:
    of = gate(VALUE, under("0.2"), scope=Scope.SEGMENT)
    settings = JudgeSettings(SETTINGS.alpha, SETTINGS.beta, min_events=500)
    verdict = ask(of, folded(of, *_samples(0.1)), settings=settings)
    assert (verdict.outcome, verdict.segment) == (Outcome.PASS, None)


def test_a_value_cannot_be_compared() -> None:
    verdict = ask(of := gate(VALUE, AgainstStable(max_ratio="1.5")), folded(of, *_samples(0.1)))
    assert (verdict.outcome, verdict.cause) == (Outcome.NO_DATA, Cause.BROKEN)
    assert "absolute bounds only" in verdict.sentence
