import pytest

from modelrelease.domain.evidence import Cause
from modelrelease.domain.gate import Absolute, AgainstStable
from modelrelease.domain.verdict import Outcome
from tests.gates.builders import LATENCY, ask, evidence, folded, gate, histogram, judged, under

STABLE = {0.1: 700, 0.5: 250, 1.0: 49, 2.5: 1}
SAME = {0.1: 70, 0.5: 25, 1.0: 5}
SLOW = {0.1: 20, 0.5: 50, 1.0: 30}


def test_an_absolute_bound_is_a_share_above_a_bucket() -> None:
    of = gate(LATENCY, under("0.5"))
    assert judged(of, [histogram(tick, SLOW) for tick in range(3)]).outcome is Outcome.REVERT
    good = judged(of, [histogram(tick, {0.1: 99, 0.5: 0, 1.0: 1}) for tick in range(5)])
    assert good.outcome is Outcome.PASS
    assert dict(good.numbers)["bound"] == 0.5


def test_a_bound_that_no_bucket_has_is_refused_with_those_that_exist() -> None:
    verdict = judged(gate(LATENCY, under("0.3")), [histogram(0, SAME)])
    assert (verdict.outcome, verdict.cause) == (Outcome.NO_DATA, Cause.BROKEN)
    assert "no bucket ends at 0.3 s; bounds that exist: 0.1, 0.5, 1, +Inf" in verdict.sentence


def test_unequal_buckets_are_broken_until_they_are_equal_again() -> None:
    of = gate(LATENCY, AgainstStable(max_ratio="1.5"))
    equal = histogram(0, {**SAME, 2.5: 0}, STABLE)
    unequal = histogram(1, {0.2: 100}, STABLE)
    state = folded(of, evidence(equal), evidence(unequal))
    verdict = ask(of, state)
    assert (verdict.outcome, verdict.cause) == (Outcome.NO_DATA, Cause.BROKEN)
    assert "different buckets: 0.2, +Inf and 0.1, 0.5, 1, 2.5, +Inf" in verdict.sentence
    again = folded(of, evidence(equal), evidence(unequal), evidence(histogram(2, {**SAME, 2.5: 0}, STABLE)))
    assert ask(of, again).outcome is Outcome.UNDECIDED


def test_stables_quantile_is_frozen_before_anything_is_compared() -> None:
    of = gate(LATENCY, AgainstStable(max_ratio="1.5"))
    first = histogram(0, {**SLOW, 2.5: 0}, STABLE)
    numbers = dict(ask(of, folded(of, evidence(first, histogram(1, {}, STABLE)))).numbers)
    assert numbers["bound"] == 0.5
    assert numbers["n_c"] == 0, "what chose the bound is not judged by it"
    worse = [histogram(1 + tick, {**SLOW, 2.5: 0}, STABLE) for tick in range(8)]
    faster = [histogram(100 + tick, {0.1: 9, 0.5: 0, 1.0: 0, 2.5: 0}, {**STABLE, 0.1: 5000}) for tick in range(8)]
    assert judged(of, [first, *worse]).outcome is Outcome.REVERT
    assert dict(judged(of, [first, *faster]).numbers)["bound"] == 0.5


def test_a_share_of_slow_requests_like_stables_passes() -> None:
    of = gate(LATENCY, AgainstStable(max_ratio="1.5"))
    verdict = judged(of, [histogram(tick, {**SAME, 2.5: 0}, STABLE) for tick in range(200)])
    assert verdict.outcome is Outcome.PASS


def test_a_quantile_above_all_buckets_is_refused() -> None:
    verdict = judged(
        gate(LATENCY, AgainstStable(max_ratio="1.5")), [histogram(0, {0.1: 5}, {0.1: 800, float("inf"): 200})]
    )
    assert verdict.cause is Cause.BROKEN
    assert "p95 lies above the largest bucket; bounds that exist: 0.1, +Inf" in verdict.sentence


@pytest.mark.parametrize("rule", [Absolute(minimum="1"), Absolute(maximum="1", minimum="0.5")])
def test_a_quantile_has_no_minimum(rule: Absolute) -> None:
    verdict = judged(gate(LATENCY, rule), [histogram(0, SAME)])
    assert (verdict.outcome, verdict.cause) == (Outcome.NO_DATA, Cause.BROKEN)


def test_cold_caches_of_the_first_minutes_are_left_out() -> None:
    of = gate(LATENCY, under("0.5"), warm_up_s=60)
    cold = [histogram(tick, {} if tick < 3 else SLOW) for tick in range(15)]
    verdict = judged(of, cold)
    assert (verdict.outcome, verdict.cause) == (Outcome.NO_DATA, Cause.INSUFFICIENT)
    assert "1,200 in its warm-up" in verdict.sentence
    warm = [histogram(15 + tick, {0.1: 100, 0.5: 0, 1.0: 0}) for tick in range(8)]
    assert judged(of, [*cold, *warm]).outcome is Outcome.PASS
