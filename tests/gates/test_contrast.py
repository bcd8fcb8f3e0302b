"""Means and costs: window contrasts with an estimated variance."""

import math
import random
from collections.abc import Iterator

import pytest

from modelrelease.domain.evidence import Cause, Stratum
from modelrelease.domain.gate import Absolute, AgainstStable, Kind
from modelrelease.domain.verdict import Outcome
from modelrelease.gates.contrast import Moments
from tests.gates.builders import COST, SCORE, gate, judged, stratum, under


def _scores(
    candidate: float, stable: float, ticks: int = 40, n_c: int = 20, n_s: int = 80, seed: int = 1
) -> Iterator[Stratum]:
    rng = random.Random(seed)
    for tick in range(ticks):
        shared = 0.05 * math.sin(tick / 8)
        arm_c = (n_c, sum(rng.gauss(candidate + shared, 0.1) for _ in range(n_c)))
        arm_s = (n_s, sum(rng.gauss(stable + shared, 0.1) for _ in range(n_s)))
        yield stratum(tick, arm_c, arm_s)


@pytest.mark.parametrize(
    ("kind", "candidate", "stable", "outcome"),
    [
        (Kind.QUALITY, 0.70, 0.80, Outcome.REVERT),
        (Kind.QUALITY, 0.80, 0.80, Outcome.PASS),
        (Kind.QUALITY, 0.90, 0.80, Outcome.PASS),
        (Kind.BUSINESS, 0.90, 0.80, Outcome.REVERT),
        (Kind.BUSINESS, 0.70, 0.80, Outcome.PASS),
    ],
)
def test_a_score_may_not_fall_and_a_load_may_not_rise(
    kind: Kind, candidate: float, stable: float, outcome: Outcome
) -> None:
    of = gate(SCORE, AgainstStable(max_difference="0.04"), kind=kind)
    assert judged(of, _scores(candidate, stable)).outcome is outcome


@pytest.mark.parametrize(
    ("rule", "candidate", "outcome"),
    [
        (Absolute(minimum="0.7"), 0.8, Outcome.PASS),
        (Absolute(minimum="0.9"), 0.8, Outcome.REVERT),
        (Absolute(maximum="0.9"), 0.8, Outcome.PASS),
        (Absolute(maximum="0.7"), 0.8, Outcome.REVERT),
        (Absolute(minimum="0.7", maximum="0.75"), 0.8, Outcome.REVERT),
        (Absolute(minimum="0.8"), 0.8, Outcome.UNDECIDED),
        (AgainstStable(max_ratio="1.2"), 1.0, Outcome.REVERT),
        (AgainstStable(max_ratio="1.2"), 0.8, Outcome.PASS),
        (AgainstStable(max_ratio="1.2", floor="1.1"), 1.0, Outcome.PASS),
        (AgainstStable(max_ratio="1.2", max_difference="0.1"), 0.95, Outcome.REVERT),
    ],
)
def test_bounds_and_margins_of_a_mean(rule: Absolute | AgainstStable, candidate: float, outcome: Outcome) -> None:
    assert judged(gate(SCORE, rule), _scores(candidate, 0.8)).outcome is outcome


def test_a_mean_is_not_judged_before_its_burn_in() -> None:
    of = gate(SCORE, Absolute(maximum="0.1"))
    assert judged(of, _scores(0.9, 0.8, ticks=11)).outcome is Outcome.UNDECIDED
    assert judged(of, _scores(0.9, 0.8, ticks=40, n_c=2)).outcome is Outcome.UNDECIDED
    assert judged(of, _scores(0.9, 0.8, ticks=12)).outcome is Outcome.REVERT


def test_a_canary_without_its_first_rare_event_is_judged_by_stables_variance() -> None:
    """Conversions of 1 %: ten requests per window show none for a while, which alone would look like certainty."""
    rng, wrong = random.Random(2), 0
    of = gate(SCORE, AgainstStable(max_difference="0"), kind=Kind.QUALITY)
    for _ in range(60):
        strata = [
            stratum(
                tick,
                (10, sum(rng.random() < 0.01 for _ in range(10))),
                (500, sum(rng.random() < 0.01 for _ in range(500))),
            )
            for tick in range(25)
        ]
        wrong += judged(of, strata).outcome is Outcome.REVERT
    assert wrong <= 2


def test_equal_arms_are_rarely_refuted_however_often_one_looks() -> None:
    rng, wrong = random.Random(4), 0
    for _ in range(300):
        seen = Moments()
        for _ in range(120):
            seen = seen.add(rng.gauss(0, 1), 1.0)
            if seen.log_e_above(0.0) >= math.log(20):
                wrong += 1
                break
    assert wrong <= 15


def test_constant_windows_are_certain_and_not_a_division_by_zero() -> None:
    of = gate(COST, under("0.40"))
    assert judged(of, [stratum(tick, (1000, 0.5)) for tick in range(20)]).outcome is Outcome.REVERT
    assert judged(of, [stratum(tick, (1000, 0.3)) for tick in range(20)]).outcome is Outcome.PASS
    assert judged(of, [stratum(tick, (1000, 0.4)) for tick in range(20)]).outcome is Outcome.UNDECIDED


def _costs(factor: float, ticks: int = 40, booked_every: int = 1) -> Iterator[Stratum]:
    rng, late = random.Random(9), [0.0, 0.0]
    for tick in range(ticks):
        price = 0.0004 * (1 + 0.3 * math.sin(tick / 5))
        units = (rng.randint(900, 1100), rng.randint(9000, 11000))
        late = [late[0] + units[0] * price * factor * rng.uniform(0.95, 1.05), late[1] + units[1] * price]
        paid, late = (late, [0.0, 0.0]) if (tick + 1) % booked_every == 0 else ([0.0, 0.0], late)
        yield stratum(tick, (units[0], paid[0]), (units[1], paid[1]))


@pytest.mark.parametrize(("factor", "outcome"), [(1.0, Outcome.PASS), (1.5, Outcome.REVERT), (1.2, Outcome.UNDECIDED)])
def test_cost_is_compared_by_window_ratios(factor: float, outcome: Outcome) -> None:
    assert judged(gate(COST, AgainstStable(max_ratio="1.2")), _costs(factor)).outcome is outcome


def test_costs_that_are_booked_late_join_the_windows_they_belong_to() -> None:
    of = gate(COST, AgainstStable(max_ratio="1.2"))
    verdict = judged(of, _costs(1.5, ticks=80, booked_every=4))
    assert verdict.outcome is Outcome.REVERT
    assert dict(verdict.numbers)["windows"] == 20


def test_stables_past_does_not_wait_for_the_candidates_first_cost() -> None:
    """Joining an hour of stable alone to the candidate's first window would compare different times."""
    of = gate(COST, AgainstStable(max_ratio="1.2"))
    before = [stratum(tick, (0, 0), (10_000, 40.0)) for tick in range(50)]
    after = [stratum(50 + tick, (1000, 0.4), (10_000, 4.0)) for tick in range(20)]
    assert judged(of, [*before, *after]).outcome is Outcome.PASS


@pytest.mark.parametrize("metric", [SCORE, COST])
def test_a_ratio_of_zero_is_refused(metric: object) -> None:
    verdict = judged(gate(metric, AgainstStable(max_ratio="0"), kind=Kind.QUALITY), [])  # type: ignore[arg-type]
    assert (verdict.outcome, verdict.cause) == (Outcome.NO_DATA, Cause.BROKEN)
    assert "maxRatio of 0" in verdict.sentence
