"""The vectorised twin says what the judge says, window by window, for every metric and rule."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelrelease.backtest import twin
from modelrelease.backtest.twin import windows as arrays
from modelrelease.domain.gate import Absolute, AgainstStable, Gate, Kind, Rule
from modelrelease.domain.verdict import Outcome
from modelrelease.gates.judge import JudgeSettings, machine_of
from modelrelease.gates.value import Sample, value_machine
from tests.backtest.windows import Traffic, folded, random_histograms, random_sums, random_windows
from tests.gates.builders import COST, LATENCY, RATIO, SCORE, gate

ROWS, COLUMNS = 2, 90

RATIO_RULES: dict[str, Rule] = {
    "maximum": Absolute(maximum="0.03"),
    "minimum": Absolute(minimum="0.9"),
    "both bounds": Absolute(maximum="0.5", minimum="0.01"),
    "a bound of zero": Absolute(maximum="0"),
    "ratio": AgainstStable(max_ratio="1.5"),
    "an improvement": AgainstStable(max_ratio="0.8"),
    "difference": AgainstStable(max_difference="0.01"),
    "no difference": AgainstStable(max_difference="0"),
    "ratio and difference": AgainstStable(max_ratio="1.2", max_difference="0.005"),
    "ratio with floor": AgainstStable(max_ratio="1.5", floor="0.01"),
    "difference with floor": AgainstStable(max_difference="0.01", floor="0.005"),
}
MEAN_RULES: dict[str, Rule] = {
    "maximum": Absolute(maximum="0.85"),
    "bounds": Absolute(maximum="0.9", minimum="0.7"),
    "ratio": AgainstStable(max_ratio="1.1"),
    "difference": AgainstStable(max_difference="0.05"),
    "ratio and difference": AgainstStable(max_ratio="1.1", max_difference="0.05"),
    "ratio with floor": AgainstStable(max_ratio="1.1", floor="0.7"),
}
QUANTILE_RULES: dict[str, Rule] = {
    "maximum": Absolute(maximum="1.2"),
    "ratio": AgainstStable(max_ratio="1.5"),
    "difference": AgainstStable(max_difference="0.05"),
    "ratio with floor": AgainstStable(max_ratio="1.5", floor="0.02"),
}
TRAFFIC = {
    "calm": Traffic(),
    "worse": Traffic(worse=3.0),
    "better": Traffic(worse=0.3),
    "few": Traffic(candidate=0.6, stable=8.0, rate=0.1, worse=2.0, quiet=0.3),
    "busy": Traffic(candidate=3000.0, stable=9000.0, rate=0.01, worse=1.4),
    "fractions": Traffic(fractions=True, worse=2.0),
    "segments": Traffic(segments=3, worse=1.5, quiet=0.2),
}


def assert_same(of: Gate, windows: twin.Windows, *, window_s: int = 0, phi: float | None = None) -> None:
    """Both directions of evidence, and the sentence and figures of a revert."""
    known = JudgeSettings(window_s=window_s, phi=phi)
    revert = twin.log_revert(of, windows, window_s=window_s, phi=phi)
    passing = twin.log_pass(of, windows, window_s=window_s, phi=phi)
    machine = machine_of(of)
    for row in range(windows.shape[0]):
        wanted_revert, wanted_pass, state = folded(of, windows, row, known)
        assert revert[row] == pytest.approx(wanted_revert, rel=1e-9, abs=1e-9)
        assert passing[row] == pytest.approx(wanted_pass, rel=1e-9, abs=1e-9)
        assert twin.peak(revert)[row, -1] == pytest.approx(state.tracks[0].peak, rel=1e-9, abs=1e-9)
        ours = twin.state(of, windows.part(slice(row, row + 1)), window_s=window_s, phi=phi)
        for outcome in (Outcome.REVERT, Outcome.UNDECIDED)[state.tracks[0].peak == 0 :]:
            said = machine.sentence(ours, outcome, known.bars)
            assert said == machine.sentence(state.tracks[0].machine, outcome, known.bars)


@pytest.mark.parametrize(("rule", "traffic"), [*itertools.product(RATIO_RULES, TRAFFIC)])
def test_ratios(rule: str, traffic: str) -> None:
    assert_same(gate(RATIO, RATIO_RULES[rule]), random_windows(1, ROWS, COLUMNS, TRAFFIC[traffic]))


@pytest.mark.parametrize(("rule", "traffic"), [*itertools.product(RATIO_RULES, ["few", "segments"])])
@pytest.mark.parametrize(("window_s", "phi"), [(45, 1.2), (0, 4.0), (60, 4.0), (60, 50.0)])
def test_ratios_with_a_known_habit(rule: str, traffic: str, window_s: int, phi: float) -> None:
    windows = random_windows(21, ROWS, COLUMNS, TRAFFIC[traffic])
    assert_same(gate(RATIO, RATIO_RULES[rule]), windows, window_s=window_s, phi=phi)


@pytest.mark.parametrize("rule", QUANTILE_RULES)
def test_quantiles_with_a_known_habit(rule: str) -> None:
    windows = random_histograms(22, ROWS, COLUMNS, Traffic(worse=2.0))
    assert_same(gate(LATENCY, QUANTILE_RULES[rule]), windows, window_s=30, phi=2.0)


@pytest.mark.parametrize("rule", ["maximum", "ratio", "ratio with floor", "difference"])
def test_each_release_may_have_its_own_habit(rule: str) -> None:
    windows, of = random_windows(23, 5, COLUMNS, Traffic(worse=2.0)), gate(RATIO, RATIO_RULES[rule])
    lengths, noise = np.array([0.0, 45.0, 60.0, 0.0, 90.0]), np.array([1.0, np.nan, 3.0, 7.0, 1.1])
    revert = twin.log_revert(of, windows, window_s=lengths, phi=noise)
    passing = twin.log_pass(of, windows, window_s=lengths, phi=noise)
    for row, (window_s, phi) in enumerate(zip(lengths.tolist(), noise.tolist(), strict=True)):
        one, habit = windows.part(slice(row, row + 1)), None if math.isnan(phi) else phi
        assert revert[row] == pytest.approx(twin.log_revert(of, one, window_s=window_s, phi=habit)[0])
        assert passing[row] == pytest.approx(twin.log_pass(of, one, window_s=window_s, phi=habit)[0])


@pytest.mark.parametrize(("rule", "traffic"), [*itertools.product(QUANTILE_RULES, ["calm", "worse", "few", "busy"])])
def test_quantiles(rule: str, traffic: str) -> None:
    assert_same(gate(LATENCY, QUANTILE_RULES[rule]), random_histograms(2, ROWS, COLUMNS, TRAFFIC[traffic]))


@pytest.mark.parametrize(("rule", "traffic"), [*itertools.product(MEAN_RULES, TRAFFIC)])
@pytest.mark.parametrize("kind", [Kind.OPERATIONAL, Kind.QUALITY])
def test_means(rule: str, traffic: str, kind: Kind) -> None:
    assert_same(gate(SCORE, MEAN_RULES[rule], kind=kind), random_sums(3, ROWS, COLUMNS, TRAFFIC[traffic]))


@pytest.mark.parametrize(("rule", "traffic"), [*itertools.product(MEAN_RULES, ["calm", "worse", "few", "segments"])])
@pytest.mark.parametrize("late", [0.0, 0.4])
def test_costs(rule: str, traffic: str, late: float) -> None:
    rates = MEAN_RULES[rule]
    if isinstance(rates, Absolute):
        rates = Absolute(maximum="850", minimum=rates.minimum)
    assert_same(gate(COST, rates), random_sums(4, ROWS, COLUMNS, TRAFFIC[traffic], late=late))


@pytest.mark.parametrize("warm_up_s", [0, 100, 100_000])
@pytest.mark.parametrize("window_s", [0, 40, 60, 100_000])
def test_warm_up_and_longer_windows(warm_up_s: int, window_s: int) -> None:
    for segments in (1, 2):
        traffic = Traffic(worse=2.0, quiet=0.4, segments=segments)
        for rule in (Absolute(maximum="0.03"), AgainstStable(max_ratio="1.5")):
            of = gate(RATIO, rule, warm_up_s=warm_up_s)
            assert_same(of, random_windows(5, ROWS, COLUMNS, traffic), window_s=window_s)
        sums = random_sums(6, ROWS, COLUMNS, traffic)
        assert_same(gate(SCORE, Absolute(maximum="0.85"), warm_up_s=warm_up_s), sums, window_s=window_s)
    of = gate(LATENCY, AgainstStable(max_ratio="1.5"), warm_up_s=warm_up_s)
    assert_same(of, random_histograms(7, ROWS, COLUMNS, Traffic(worse=2.0)), window_s=window_s)


@pytest.mark.parametrize("rule", ["maximum", "ratio with floor"])
def test_sums_start_anew_every_so_many_windows_and_lose_nothing(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = random_windows(8, 5, 700, Traffic(worse=1.3))
    of = gate(RATIO, RATIO_RULES[rule])
    revert, passing = twin.log_revert(of, windows), twin.log_pass(of, windows)
    monkeypatch.setattr(arrays, "BLOCK", 40 * 100)
    assert twin.log_revert(of, windows) == pytest.approx(revert, rel=1e-12, abs=1e-12)
    assert twin.log_pass(of, windows) == pytest.approx(passing, rel=1e-12, abs=1e-12)
    assert_same(of, windows.part(slice(0, 1)))


def test_windows_after_which_nothing_happens_change_nothing() -> None:
    windows = random_windows(9, 2, 40, Traffic(worse=2.0))
    nothing = np.zeros((2, 20))
    longer = twin.Windows(
        *(np.concatenate([values, nothing], axis=1) for values in (windows.n_c, windows.y_c, windows.n_s, windows.y_s))
    )
    for rule in RATIO_RULES.values():
        found = twin.log_revert(gate(RATIO, rule), longer)
        assert np.all(found[:, 40:] == found[:, 39:40])


def test_a_quantile_whose_bound_no_bucket_ends_at_is_refused_with_the_bounds_that_exist() -> None:
    with pytest.raises(ValueError, match=r"bounds that exist: 0\.1, 0\.3, 1\.2, 5, \+Inf"):
        twin.log_revert(gate(LATENCY, Absolute(maximum="2")), random_histograms(1, 1, 5, Traffic()))


def test_a_quantile_above_the_largest_bucket_is_never_judged() -> None:
    windows = random_histograms(1, 1, 50, Traffic(worse=5.0))
    assert windows.buckets_s is not None
    beyond = windows.buckets_s * np.array([1, 1, 1, 1, 2.0])
    windows = replace(windows, buckets_s=beyond)
    assert_same(gate(LATENCY, AgainstStable(max_ratio="1.5")), windows)
    found = twin.log_revert(gate(LATENCY, AgainstStable(max_ratio="1.5")), windows)
    assert found == pytest.approx(np.zeros(windows.shape), abs=1e-12)


counts = st.one_of(st.just(0.0), st.floats(1e-3, 1e6), st.integers(0, 50).map(float))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(counts, counts, counts, counts), min_size=1, max_size=25),
    st.sampled_from([*RATIO_RULES.values()]),
)
def test_any_counts(steps: list[tuple[float, float, float, float]], rule: Rule) -> None:
    columns = [np.array([values]) for values in zip(*steps, strict=True)]
    start = np.arange(len(steps), dtype=float)[None, :] * 15
    windows = twin.Windows(*columns, start_s=start, end_s=start + 15)
    of = gate(RATIO, rule)
    revert, passing, _ = folded(of, windows, 0, JudgeSettings())
    assert twin.log_revert(of, windows)[0] == pytest.approx(revert, rel=1e-9, abs=1e-9)
    assert twin.log_pass(of, windows)[0] == pytest.approx(passing, rel=1e-9, abs=1e-9)


samples = st.one_of(st.just(math.nan), st.sampled_from([0.1, 0.5, 0.9]))


@given(st.lists(st.tuples(samples, st.integers(0, 2)), min_size=1, max_size=30))
def test_values(steps: list[tuple[float, int]]) -> None:
    machine = value_machine(Absolute(maximum="0.6", minimum="0.2"))
    state, wanted, taken, at = Sample(), [], [], 0
    for value, later in steps:
        at += later
        taken.append(float(at))
        if not math.isnan(value):
            state = machine.sample(state, value, at)  # type: ignore[arg-type]
        wanted.append(state.breaches)
    found = twin.breaches(machine, np.array([[value for value, _ in steps]]), np.array([taken]))
    assert found[0].tolist() == wanted
