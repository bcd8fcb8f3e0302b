"""The rules of others as their own documentation and tests have them.

Kayenta: spinnaker/kayenta at a69573b, MannWhitneySuite and ClassifierSuite (numbers only). Flagger: fluxcd/flagger,
docs/gitbook/usage/how-it-works.md. Argo Rollouts: argoproj/argo-rollouts, docs/features/analysis.md and
analysis/analysis_test.go (TestAssessMetricStatusFailureLimit, …ConsecutiveErrors).
"""

import numpy as np
import pytest
from benchmarks.judging import rivals
from benchmarks.judging.rivals import argo, deviation, flagger, is_high, kayenta, solve
from benchmarks.judging.traffic import Traffic

CONTROL_90 = (
    "1.5 6 5 2.5 2.5 2 2 3.5 3 3 3 2 3 8 4 2.5 3 2.5 2.5 2 2.5 2 2 2.5 3.5 3 1.5 5 2.5 5.5 2 2.5 3.5 2 2.5 4 2 "
    "2 2 2 5.5 4.5 4 3 3 3.5 2.5 3 2.5 4 6 2 5 6 3.5 3 54.5 3 5 6 3.5 4.5 2.5 2 6 5 2.5 3.5 2 3 2.5 3.5 3.5 "
    "2.5 3 4.5 3 15.5 5 2.5 3 4 3.5 4 4 2 4.5 2.5 4 3"
)
EXPERIMENT_90 = (
    "2.5 2.5 2 2.5 3.5 2 3.5 1.5 3 3 2.5 3.5 2 2.5 2 2 5 3 2 1.5 2 4 3 2.5 3 2 2 2 2.5 3.5 1.5 1.5 3.5 2 2.5 "
    "2.5 3 3.5 2.5 6.5 2.5 4 2.5 3 2.5 6.5 2.5 3 1.5 2 2.5 3 7.5 1.5 2 4 2.5 2 2.5 3.5 4 2.5 3 2.5 2 3.5 3 "
    "16.5 3 3 7 4.5 5 2 3.5 6 1.5 3 2.5 4 3 1.5 5 3 2.5 5.5 3 1.5 2.5 6"
)
AT_95 = 1.9599639845400536
"""The normal quantile for a confidence of 95 %."""


def numbers(text: str) -> np.ndarray:
    return np.array([float(word) for word in text.split()])


def test_the_interval_and_estimate_of_four_against_four_are_kayentas() -> None:
    """Its solver stops at 1e-4."""
    experiment, control = numbers("10 20 30 40"), numbers("1 2 3 4")
    found = [solve(experiment, control, each) for each in (AT_95, -AT_95, 0.0)]
    assert found == pytest.approx([6.0, 39.0, 22.5], abs=1e-4)


def test_the_interval_and_estimate_of_ninety_against_ninety_are_those_of_r_and_kayenta() -> None:
    experiment, control = numbers(EXPERIMENT_90), numbers(CONTROL_90)
    assert len(experiment) == len(control) == 90
    found = [solve(experiment, control, each) for each in (AT_95, -AT_95, 0.0)]
    assert found == pytest.approx([-0.500002521696696, -3.486287505871302e-5, -0.4999393907180323], abs=1e-4)


def test_all_observations_tied_have_no_interval() -> None:
    with pytest.raises(ValueError, match="tied"):
        deviation(numbers("1 1 1"), numbers("1 1"), 0.0)


@pytest.mark.parametrize(
    ("experiment", "control", "allowed", "high"),
    [
        ("20 22 21 25 30", "1 2.2 1.1 2.5 3", 1.0, True),
        ("20 22 21 25 30", "1 2.2 1.1 2.5 3", 1.2, True),
        ("20 22 21 25 30", "1 2.2 1.1 2.5 3", 5.0, True),
        ("20 22 21 25 30", "1 2.2 1.1 2.5 3", 13.0, False),
        ("2 2 2 2 3", "10 20.2 10.1 20.5 30", 1.0, False),
        ("1 1 1", "1 1", 1.0, False),
        ("1 2 3 4 5", "5 4 3 2 1", 1.0, False),
        ("0 1 1 1 1", "1 1 1 1 1", 1.0, False),
        ("1 1 1 1 10", "1 1 1 1 1", 1.0, False),
        ("10 10 10 10 10", "1 1 1 1 1", 1.0, True),
        ("10 10 10 10 10", "0 0 0 0 0", 1.0, True),
        ("54.9 54.5 55.1 55.6 57.4", "0 0 0 0 0", 1.2, True),
        ("0 0 0 0 0", "54.9 54.5 55.1 55.6 57.4", 1.2, False),
    ],
)
def test_metrics_are_high_where_kayentas_classifier_says_so(
    experiment: str, control: str, allowed: float, high: bool
) -> None:
    """Its tests use a tolerance of 0.10 and a confidence of 95 %; the judge itself 0.25 and 98 %."""
    found = is_high(numbers(experiment), numbers(control), tolerance=0.1, quantile=AT_95, allowed_increase=allowed)
    assert found is high


def test_the_judge_itself_wants_a_quarter_of_the_shift_and_98_percent() -> None:
    assert (rivals.KAYENTA_TOLERANCE, round(rivals.KAYENTA_QUANTILE, 6)) == (0.25, 2.326348)


def test_kayenta_judges_every_half_hour_and_is_blind_to_sparse_errors() -> None:
    rng = np.random.default_rng(1)
    n_s, y_s = np.full((2, 720), 1000.0), rng.poisson(10, (2, 720)).astype(float)
    n_c = np.array([np.full(720, 1000.0), np.full(720, 3.0)])
    y_c = np.array([rng.poisson(30, 720), rng.poisson(0.09, 720)], float)
    assert kayenta(_traffic(n_c, y_c, n_s, y_s)).tolist() == [120, 0], "three times the errors on both"


def _traffic(n_c: np.ndarray, y_c: np.ndarray, n_s: np.ndarray | None = None, y_s: np.ndarray | None = None) -> Traffic:
    nothing = np.zeros_like(n_c)
    arms = (n_c, y_c, nothing if n_s is None else n_s, nothing if y_s is None else y_s)
    return Traffic(*arms, nothing, nothing, nothing, nothing, nothing[0])


def minutes(*shares: float | None) -> Traffic:
    """A candidate with 100 requests in each minute, or none, of which so many fail; a minute is four ticks."""
    n = np.repeat([0.0 if share is None else 25.0 for share in shares], 4)[None, :]
    y = np.repeat([0.0 if share is None else 25.0 * share for share in shares], 4)[None, :]
    return _traffic(n, y)


def test_flagger_rolls_back_in_the_run_after_the_failed_checks_reached_the_threshold() -> None:
    assert flagger(minutes(*[0.05] * 12)).tolist() == [11 * 4]
    assert flagger(minutes(*[0.05] * 10)).tolist() == [0], "the tenth is only stored"
    assert flagger(minutes(*[0.05] * 3), threshold=1).tolist() == [2 * 4]


def test_flaggers_failed_checks_add_up_and_are_not_forgotten() -> None:
    assert flagger(minutes(*[0.05, 0.0] * 11)).tolist() == [20 * 4]
    assert flagger(minutes(*[0.02, None] * 30)).tolist() == [0], "at the bound, and no traffic"


def five_minutes(*shares: float | None) -> Traffic:
    return minutes(*(share for share in shares for _ in range(5)))


@pytest.mark.parametrize(("failures", "limit", "ended"), [(3, 2, True), (3, 3, False), (1, 0, True), (4, 3, True)])
def test_argo_fails_when_failures_exceed_the_limit(failures: int, limit: int, ended: bool) -> None:
    shares = [0.0, *[0.05, 0.0] * failures]
    found = argo(five_minutes(*shares), failure_limit=limit)
    assert found.tolist() == [2 * (limit + 1) * 20 if ended else 0]


def test_argo_ends_with_an_error_after_more_than_four_without_a_value_in_a_row() -> None:
    assert argo(five_minutes(*[None] * 5, 0.0)).tolist() == [5 * 20]
    assert argo(five_minutes(*[None] * 4, 0.0, *[None] * 4)).tolist() == [0]
