"""`make bench-judging`: its vectorised judge is the product's, its limit is Wald's, and it runs from end to end."""

import json
import math
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from benchmarks import figures
from benchmarks.judging import __main__ as bench
from benchmarks.judging import default, goals, unknown, wald
from benchmarks.judging.cells import CELLS, JUDGES, run
from benchmarks.judging.default import Bets, Bound, Pair, reverted_at
from benchmarks.judging.habits import habits, no_history
from benchmarks.judging.passing import log_pass, passed
from benchmarks.judging.scenarios import (
    BASE,
    NONE,
    REGRESSIONS,
    SCENARIOS,
    TICK_S,
    WEIGHT,
    Floats,
    Regression,
    Scenario,
)
from benchmarks.judging.traffic import Traffic, draw

from modelrelease.domain.evidence import Stratum, Tally
from modelrelease.domain.gate import AgainstStable
from modelrelease.domain.habit import Habit
from modelrelease.domain.verdict import Outcome
from modelrelease.gates import judge
from modelrelease.gates.counts import Counts
from modelrelease.gates.demands import AtMost
from modelrelease.gates.judge import JudgeSettings
from modelrelease.gates.ratio import Proportions, RatioMachine, ratio_machine
from modelrelease.gates.windows import choose_window_s, habit_of
from tests.gates.builders import T0, evidence, gate, under

S = TypeVar("S")
TWICE = next(each for each in REGRESSIONS if each.name == "2x")
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def some(
    scenario: Scenario, *, per_s: float = 50, releases: int = 3, wrong: Regression = NONE, seed: int = 1
) -> Traffic:
    return draw(np.random.default_rng(seed), scenario, per_s, releases, wrong)


def windows_of(traffic: Traffic, ticks: int, first: int = 0, last: int = 720) -> list[Floats]:
    parts = (traffic.n_c, traffic.y_c, traffic.n_s, traffic.y_s)
    return [part[:, first:last].reshape(len(part), -1, ticks).sum(axis=2) for part in parts]


def counting(machine: RatioMachine) -> Callable[..., Proportions]:
    """What the product does with one window of both arms."""
    return lambda state, n_c, y_c, n_s, y_s: machine.count(state, Tally(n_c, y_c), Tally(n_s, y_s), "")


def assert_same(
    vector: default.Test,
    counts: list[Floats],
    product: Any,
    start: S,
    update: Callable[..., S],
    proven: Floats | None = None,
) -> None:
    """After each window of three releases the same evidence to 1e-9, and the same for passing where `proven` is it."""
    states = [start] * 3
    for index in range(counts[0].shape[1]):
        now = [part[:, index] for part in counts]
        vector.step(*now)
        found = vector.log_e()
        for row in range(3):
            states[row] = update(states[row], *(float(part[row]) for part in now))
            assert found[row] == pytest.approx(product.log_revert(states[row]), rel=1e-9, abs=1e-9)
            if proven is not None:
                assert proven[row, index] == pytest.approx(product.log_pass(states[row]), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("phi", [1.0, 3.7, 12.0, 50.0])
@pytest.mark.parametrize("ticks", [1, 8])
@pytest.mark.parametrize("scenario", ["independent", "bursts-10-spread", "wander-own"])
def test_bets_and_proofs_are_those_of_the_product(scenario: str, ticks: int, phi: float) -> None:
    window_s = 0 if ticks == 1 else ticks * TICK_S
    traffic = some(BY_NAME[scenario], wrong=TWICE)
    counts = windows_of(traffic, ticks, 200, 520)
    vector = Bets(1.5, np.full(3, phi), window_s)
    machine = ratio_machine(AgainstStable(max_ratio="1.5"))
    proven = log_pass(*counts, np.full(3, phi), 1.5)
    assert_same(vector, counts, machine, machine.start(Habit(window_s, phi)), counting(machine), proven)


@pytest.mark.parametrize("ticks", [1, 16])
@pytest.mark.parametrize("scenario", ["independent", "bursts-10-spread", "wander-own"])
def test_without_a_history_bets_and_proofs_are_those_of_the_product(scenario: str, ticks: int) -> None:
    traffic = some(BY_NAME[scenario], wrong=TWICE)
    counts = windows_of(traffic, ticks, 200, 520)
    vector, machine = unknown.Bets(1.5, 3), ratio_machine(AgainstStable(max_ratio="1.5"))
    proven = log_pass(*counts, np.full(3, np.nan), 1.5)
    assert_same(vector, counts, machine, machine.start(None), counting(machine), proven)


@pytest.mark.parametrize("phi", [1.0, 4.2])
@pytest.mark.parametrize("bound", [0.05, 0.01])
def test_bounds_are_those_of_the_product(bound: float, phi: float) -> None:
    traffic = some(BY_NAME["bursts-3"], per_s=5)
    vector, demand = Bound(bound, np.full(3, phi)), AtMost(bound)
    assert_same(
        vector,
        windows_of(traffic, 1, 0, 400),
        demand,
        demand.start(Habit(0, phi)),
        lambda state, *now: demand.update(state, Counts(*now)),
    )


@pytest.mark.parametrize(("scenario", "per_s"), [("bursts-3", 5), ("bursts-10-spread", 50), ("independent", 50)])
def test_without_a_history_bounds_are_those_of_the_product(scenario: str, per_s: float) -> None:
    traffic = some(BY_NAME[scenario], per_s=per_s)
    traffic.y_s[0] = 0.0  # a clean stable
    machine = ratio_machine(under("0.05"))
    vector = Bound(0.05, np.full(3, np.nan))
    assert_same(vector, windows_of(traffic, 1, 0, 300), machine, machine.start(None), counting(machine))


@pytest.mark.parametrize("scenario", [scenario.name for scenario in SCENARIOS])
@pytest.mark.parametrize("per_s", [5, 500])
def test_habits_are_those_that_the_operator_would_choose(scenario: str, per_s: float) -> None:
    traffic = some(BY_NAME[scenario], per_s=per_s, releases=2)
    ticks, phi = habits(traffic.before_n, traffic.before_y)
    for row in range(2):
        history = _history(traffic.before_n[row], traffic.before_y[row])
        habit = habit_of(gate(rule=AgainstStable(max_ratio="1")), history)
        assert max(1, math.ceil(habit.window_s / TICK_S)) == ticks[row]
        assert habit.phi == pytest.approx(phi[row], rel=1e-9)
        assert choose_window_s(history) == habit.window_s


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("scenario", ["independent", "bursts-10", "bursts-3-spread"])
def test_releases_are_reverted_when_the_product_reverts_them(scenario: str, known: bool) -> None:
    """Through the whole judge: strata of a tick, the habit in the settings, both gates of the shipped pair."""
    traffic = some(BY_NAME[scenario], wrong=REGRESSIONS[2])
    ticks, phi = habits(traffic.before_n, traffic.before_y) if known else no_history(3)
    counts = (traffic.n_c, traffic.y_c, traffic.n_s, traffic.y_s)
    found = reverted_at(Pair(1.5, 0.05, 0.01), counts, ticks, phi, math.log(200))
    gates = (gate(rule=AgainstStable(max_ratio="1.5", floor="0.01")), gate(rule=under("0.05"), name="absolute"))
    for row in range(3):
        settings = JudgeSettings(gates=2)
        if known:
            habit = habit_of(gates[0], _history(traffic.before_n[row], traffic.before_y[row]))
            settings = JudgeSettings(gates=2, window_s=habit.window_s, phi=habit.phi)
        assert found[row] == min(_reverted(of, traffic, row, settings) for of in gates)


def _reverted(of: Any, traffic: Traffic, row: int, settings: JudgeSettings) -> float:
    state, step = judge.start(of, settings), timedelta(seconds=TICK_S)
    for tick in range(traffic.n_c.shape[1]):
        arms = [Tally(float(n[row, tick]), float(y[row, tick])) for n, y in _pairs(traffic)]
        state = judge.fold(of, state, evidence(Stratum(T0 + tick * step, T0 + (tick + 1) * step, *arms)))
        (verdict,) = judge.verdicts(of, state, at=T0 + (tick + 1) * step, settings=settings)
        if verdict.outcome is Outcome.REVERT:
            return tick + 1
    return math.inf


def _pairs(traffic: Traffic) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    return (traffic.n_c, traffic.y_c), (traffic.n_s, traffic.y_s)


def _history(n: Floats, y: Floats) -> list[Stratum]:
    step = timedelta(seconds=TICK_S)
    return [
        Stratum(T0 + index * step, T0 + (index + 1) * step, Tally(), Tally(float(total), float(bad)))
        for index, (total, bad) in enumerate(zip(n, y, strict=True))
    ]


@pytest.mark.parametrize("ratio", [2.0, 5.0])
def test_walds_test_needs_walds_number(ratio: float) -> None:
    """E[n] = ln(m/α)/[p(r ln r − r + 1)], and a little more because the last error overshoots."""
    wrong = Regression("worse", ratio=ratio)
    traffic = some(BY_NAME["independent"], per_s=50, releases=400, wrong=wrong)
    tick = wald.detected_at(BY_NAME["independent"], traffic, wrong, math.log(200))
    assert np.all(tick > 0)
    mean = np.cumsum(traffic.n_c, axis=1)[np.arange(400), tick - 1].mean()
    expected = wald.expected_samples(BASE, ratio, math.log(200))
    assert 0.95 * expected <= mean <= 1.35 * expected


@pytest.mark.parametrize("scenario", ["independent", "bursts-10", "bursts-3-spread", "wander-own"])
def test_walds_test_reverts_falsely_no_oftener_than_alpha(scenario: str) -> None:
    traffic = some(BY_NAME[scenario], releases=600)
    false = np.count_nonzero(wald.detected_at(BY_NAME[scenario], traffic, TWICE, math.log(20)))
    assert false <= 0.05 * 600 + 2 * math.sqrt(0.05 * 600)


@pytest.mark.parametrize(("bursts", "size"), [(0.3, 3.0), (40.0, 10.0), (800.0, 3.0), (2.0, 1.0 + 1e-9)])
def test_counts_of_bursts_have_the_law_that_wald_is_told(bursts: float, size: float) -> None:
    most = int(bursts * size + 60 * size + 20 * math.sqrt(bursts) * size)
    law = np.exp(wald.log_probabilities(bursts, size, most))
    count = np.arange(most + 1)
    assert law.sum() == pytest.approx(1, abs=1e-9)
    assert (law * count).sum() == pytest.approx(bursts * size, rel=1e-6)
    assert (law * count**2).sum() - (bursts * size) ** 2 == pytest.approx(bursts * size * (2 * size - 1), rel=1e-5)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_good_candidates_fail_as_often_as_stable_and_worse_ones_as_often_as_they_should(scenario: Scenario) -> None:
    for wrong in (NONE, TWICE, Regression("half", failing=0.5)):
        traffic = some(scenario, per_s=500, releases=40, wrong=wrong)
        assert traffic.n_c.sum() == pytest.approx(40 * 500 * TICK_S * WEIGHT.sum(), rel=0.02)
        candidate, stable = traffic.y_c.sum(axis=0), traffic.y_s.sum(axis=0)
        expected = (stable / traffic.n_s.sum(axis=0)) * traffic.n_c.sum(axis=0)
        share = 0.5 * traffic.n_c.sum() if wrong.failing else wrong.ratio * expected.sum()
        assert candidate.sum() == pytest.approx(share, rel=0.12)


def test_late_regressions_change_nothing_before_their_onset() -> None:
    late = next(each for each in REGRESSIONS if each.name == "50% late")
    traffic = some(BY_NAME["independent"], per_s=500, releases=5, wrong=late)
    before = traffic.y_c[:, : late.onset].sum() / traffic.n_c[:, : late.onset].sum()
    after = traffic.y_c[:, late.onset :].sum() / traffic.n_c[:, late.onset :].sum()
    assert (before, after) == (pytest.approx(0.01, rel=0.1), pytest.approx(0.5, rel=0.02))


@pytest.mark.parametrize(
    ("hits", "runs", "bound"), [(0, 100, 0.0), (20, 2000, 0.005552), (32, 2000, 0.010189), (5, 5, 0.398107)]
)
def test_the_lower_bound_is_that_of_clopper_and_pearson(hits: int, runs: int, bound: float) -> None:
    """From scipy.stats.beta.ppf(0.01, hits, runs − hits + 1)."""
    assert goals.lower_bound(hits, runs) == pytest.approx(bound, abs=1e-6)


def test_a_cell_has_what_was_asked_for_and_is_the_same_each_time() -> None:
    cell = next(each for each in CELLS if each.name == "independent@500")
    found = run(cell, releases=8, worse=3, seed=3)
    assert found == run(cell, releases=8, worse=3, seed=3)
    assert [each["judge"] for each in found["cells"]] == list(JUDGES)
    for each in found["cells"]:
        assert {"scenario", "judge", "alpha", "releases", "false_reverts", "detect"} <= set(each)
        assert set(each["detect"]) == {wrong.name for wrong in REGRESSIONS}
        for detection in each["detect"].values():
            assert {"samples_p50", "ratio_to_wald", "minutes_p50", "detected"} == set(detection)
    wald_cell = found["cells"][0]
    assert wald_cell["detect"]["5x"]["ratio_to_wald"] == 1


def test_a_candidate_at_the_margin_hardly_ever_passes() -> None:
    """β is 5 %; 60 releases of each kind."""
    for name, per_s in (("independent", 500), ("bursts-3-spread", 50), ("wander-own", 500)):
        traffic = some(BY_NAME[name], per_s=per_s, releases=60, wrong=REGRESSIONS[0])
        first, _ = passed(traffic, *habits(traffic.before_n, traffic.before_y), 1.5, math.log(20))
        assert np.count_nonzero(first) <= 0.05 * 60 + 4


def test_the_bench_writes_its_file_and_shows_what_was_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(figures, "OUT", tmp_path)
    monkeypatch.setattr(
        "sys.argv", ["judging", "--cells", "independent@500", "--quick", "--releases", "40", "--jobs", "1"]
    )
    assert bench.main() == 0
    written = json.loads((tmp_path / "judging.json").read_text())
    assert {"cells", "goals", "passing", "settings", "machine", "seconds"} <= set(written)
    assert all({"goal", "value", "bound", "met", "missed"} <= set(goal) for goal in written["goals"])
    assert "independent@500" in capsys.readouterr().out


def test_a_wrong_name_of_a_cell_is_refused_with_the_right_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["judging", "--cells", "nonsense"])
    with pytest.raises(SystemExit):
        bench.main()
