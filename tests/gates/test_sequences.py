import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrelease.gates.sequences import (
    best_rho,
    log_grid,
    log_mean_exp,
    normal_mixture_bound,
    normal_mixture_log_e,
    student_log_e,
    student_radius,
)


def test_the_normal_mixture_bound_is_the_one_that_confseq_publishes() -> None:
    assert normal_mixture_bound(100, best_rho(100, 0.05), 0.05) == pytest.approx(30.35209, abs=5e-6)


@given(st.floats(0.01, 1e6), st.floats(0.01, 1e6), st.floats(1e-6, 0.5))
def test_the_evidence_at_the_bound_is_one_over_alpha(v: float, rho: float, alpha: float) -> None:
    bound = normal_mixture_bound(v, rho, alpha)
    assert normal_mixture_log_e(bound, v, rho) == pytest.approx(math.log(1 / alpha), rel=1e-9)


@given(st.integers(12, 2000), st.floats(0.5, 1e4), st.floats(1, 10))
def test_the_student_radius_inverts_the_student_evidence(windows: int, information: float, threshold: float) -> None:
    radius = student_radius(threshold, windows, information)
    if math.isfinite(radius):
        assert student_log_e(radius, windows, information) == pytest.approx(threshold, rel=1e-6)
    else:
        assert student_log_e(math.inf, windows, information) <= threshold + 1e-9


def test_student_evidence_comes_close_to_the_normal_mixture_when_windows_are_many() -> None:
    windows, z = 20_000, 4.0
    student = student_log_e(z * z / (windows - 1), windows, windows)
    assert student == pytest.approx(normal_mixture_log_e(z * math.sqrt(windows), windows, 1.0), abs=0.01)


@given(st.lists(st.floats(-700, 700), min_size=1, max_size=50))
def test_the_log_mean_lies_between_smallest_and_largest(values: list[float]) -> None:
    assert min(values) - 1e-9 <= log_mean_exp(values) <= max(values) + 1e-9


@pytest.mark.parametrize(
    ("values", "mean"), [([], -math.inf), ([-math.inf, 0.0], -math.log(2)), ([1000.0, 1000.0], 1000.0)]
)
def test_the_log_mean_survives_extremes(values: list[float], mean: float) -> None:
    assert log_mean_exp(values) == pytest.approx(mean)


def test_a_log_grid_has_both_ends() -> None:
    grid = log_grid(1.1, 20, 40)
    assert len(grid) == 40
    assert [grid[0], grid[-1]] == pytest.approx([1.1, 20])
