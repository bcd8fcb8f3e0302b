"""Seeded runs of whole gates: what is reverted falsely, what is found and how soon. The big benches are elsewhere."""

import math
import random
from collections.abc import Callable, Iterator

import pytest

from modelrelease.domain.evidence import Cause, Problem, Stratum
from modelrelease.domain.gate import AgainstStable, Gate
from modelrelease.domain.verdict import Outcome
from modelrelease.gates import judge
from modelrelease.gates.betting import against_ratio
from modelrelease.gates.counts import Counts
from modelrelease.gates.dispersion import Dispersion, phi_for_passing, phi_for_stakes
from modelrelease.gates.mirrored import mirrored
from modelrelease.gates.sequences import log_mean_exp
from tests.gates.builders import SETTINGS, bursty, evidence, folded, gate, stratum, under

ALPHA_5 = math.log(20)


def _windows(rng: random.Random, ratio: float, burst: float, ticks: int) -> Iterator[Counts]:
    """50 requests/s in ticks of 30 s over 1/5/20 %, 1 % bad with shared drift."""
    phase, seen = rng.uniform(0, math.tau), Dispersion()
    for tick in range(ticks):
        weight = (0.01, 0.05, 0.2)[tick * 3 // ticks]
        rate = 0.01 * (1 + 0.4 * math.sin(phase + tick / 40))
        n_c, n_s = 1500 * weight, 1500 * (1 - weight)
        y_c, y_s = bursty(rng, n_c * rate * ratio, burst), bursty(rng, n_s * rate, burst)
        window = Counts(n_c, y_c, n_s, y_s, phi_for_stakes((seen,)))
        seen = seen.update(window)
        yield window


def _caught(seed: int, null: float, ratio: float, burst: float, ticks: int = 240) -> int | None:
    """The tick at which `ratio` is caught at alpha = 5 %, or None."""
    test = against_ratio(null)
    state = test.start()
    for tick, window in enumerate(_windows(random.Random(seed), ratio, burst, ticks)):
        state = test.update(state, window)
        if test.log_e(state) >= ALPHA_5:
            return tick
    return None


@pytest.mark.parametrize(("null", "burst"), [(1.0, 1), (1.0, 3), (2.0, 3)])
def test_a_candidate_at_the_margin_is_rarely_reverted(null: float, burst: float) -> None:
    runs = 60
    wrong = sum(_caught(seed, null, null, burst) is not None for seed in range(runs))
    assert wrong <= 0.05 * runs + 2 * math.sqrt(0.05 * 0.95 * runs)


@pytest.mark.parametrize(("ratio", "burst", "median"), [(2.0, 1, 110), (5.0, 1, 15), (2.0, 3, 190)])
def test_a_worse_candidate_is_caught(ratio: float, burst: float, median: int) -> None:
    """Two ticks are a minute. Bounds leave some room above what was measured when this was written."""
    ticks = sorted(_caught(seed, 1.0, ratio, burst) or 10**6 for seed in range(40))
    assert ticks[20] <= median


@pytest.mark.parametrize(("ratio", "burst", "least", "most"), [(2.0, 1, 0, 6), (2.0, 3, 0, 6), (1.0, 1, 35, 40)])
def test_a_candidate_at_the_margin_rarely_passes_and_an_equal_one_does(
    ratio: float, burst: float, least: int, most: int
) -> None:
    passed = 0
    for seed in range(40):
        test = mirrored(2.0)
        state, seen = test.start(), Dispersion()
        for window in _windows(random.Random(seed), ratio, burst, 360):
            state, seen = test.update(state, window), seen.update(window)
        passed += test.log_e(state, phi_for_passing((seen,))) >= ALPHA_5
    assert least <= passed <= most


def _until_revert(of: Gate, draw: Callable[[int], Stratum], gates: int, phi: float | None = None) -> int:
    """How many ticks of strata it takes."""
    settings = judge.JudgeSettings(0.01, 0.05, gates, phi=phi)
    state = judge.start(of, settings)
    for tick in range(500):
        item = draw(tick)
        state = judge.fold(of, state, evidence(item))
        (verdict,) = judge.verdicts(of, state, at=item.end, settings=settings)
        if verdict.outcome is Outcome.REVERT:
            return tick + 1
    raise AssertionError("not found")


@pytest.mark.parametrize(("phi", "median", "slowest"), [(1.0, 11, 24), (None, 22, 44)])
def test_half_of_all_requests_failing_soon_breaks_an_absolute_bound(
    phi: float | None, median: int, slowest: int
) -> None:
    """One request per stratum, three gates, alpha 1 %, and nothing is seen of stable."""
    of, rng = gate(rule=under("0.05")), random.Random(1)
    needed = sorted(
        _until_revert(of, lambda tick: stratum(tick, (1, rng.random() < 0.5)), gates=3, phi=phi) for _ in range(60)
    )
    assert needed[30] <= median
    assert needed[-4] <= slowest


@pytest.mark.parametrize(
    ("weight", "phi", "ticks"),
    [(0.05, 1.0, 5), (0.2, 1.0, 7), (0.5, 1.0, 14), (0.05, None, 16), (0.2, None, 27), (0.5, None, 65)],
)
def test_half_of_all_requests_failing_is_caught_against_stable_within_seconds(
    weight: float, phi: float | None, ticks: int
) -> None:
    """20 candidate requests/s, windows of a second: without a habit a bet cannot gain more than 1/p0 in one window, of
    which the first ones count for a sixth."""
    of, rng = gate(rule=AgainstStable(max_ratio="1.5")), random.Random(2)
    stable = 20 * (1 - weight) / weight

    def draw(tick: int) -> Stratum:
        return stratum(tick, (20, sum(rng.random() < 0.5 for _ in range(20))), (stable, bursty(rng, stable * 0.01, 1)))

    assert max(_until_revert(of, draw, gates=3, phi=phi) for _ in range(12)) <= ticks


def test_a_candidate_at_half_the_bound_is_not_reverted() -> None:
    of, rng, wrong = gate(rule=under("0.02")), random.Random(3), 0
    for _ in range(100):
        items = [stratum(tick, (20, sum(rng.random() < 0.01 for _ in range(20)))) for tick in range(60)]
        state = folded(of, evidence(*items))
        (verdict,) = judge.verdicts(of, state, at=items[-1].end, settings=SETTINGS)
        wrong += verdict.outcome is Outcome.REVERT
    assert wrong <= 1


def test_pooled_drift_does_not_deceive_strata() -> None:
    """Simpson: the weight rises while everybody's rate rises; pooled, the candidate looks several times worse."""
    rng, items = random.Random(4), []
    for tick in range(120):
        weight, rate = (0.01, 0.05, 0.2)[tick // 40], (0.005, 0.02, 0.06)[tick // 40]
        n_c, n_s = 1500 * weight, 1500 * (1 - weight)
        items.append(stratum(tick, (n_c, bursty(rng, n_c * rate, 1)), (n_s, bursty(rng, n_s * rate, 1))))
    of = gate(rule=AgainstStable(max_ratio="1.2"))
    totals = [
        sum(getattr(getattr(item, arm), field) for item in items)
        for arm in ("candidate", "stable")
        for field in ("bad", "total")
    ]
    assert (totals[0] / totals[1]) / (totals[2] / totals[3]) > 1.5
    (verdict,) = judge.verdicts(of, folded(of, evidence(*items)), at=items[-1].end, settings=SETTINGS)
    assert verdict.outcome is not Outcome.REVERT


@pytest.mark.parametrize("nonsense", [math.nan, math.inf])
def test_nonsense_never_advances_a_gate_that_was_about_to_pass(nonsense: float) -> None:
    of = gate(rule=under("0.05"))
    good = [stratum(tick, (100, 1)) for tick in range(20)]
    state = folded(of, evidence(*good))
    for step in (
        evidence(stratum(30, (nonsense, 0))),
        evidence(stratum(31, (100, nonsense))),
        evidence(newest=good[-1].end, problem=Problem(Cause.BROKEN, "NaN")),
    ):
        state = judge.fold(of, state, step)
        (verdict,) = judge.verdicts(of, state, at=good[-1].end, settings=SETTINGS)
        assert verdict.outcome is Outcome.NO_DATA


def test_the_average_capital_is_what_a_bettor_with_split_stakes_has() -> None:
    test = against_ratio(1.0)
    state = test.update(test.start(), Counts(10, 3, 90, 1))
    assert test.log_e(state) == pytest.approx(log_mean_exp(state.capital))
    assert test.log_e(state) > 0
