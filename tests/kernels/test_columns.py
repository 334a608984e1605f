"""Means and deviations of columns, compared with exact arithmetic and with scikit-learn."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from centroids import kernels
from centroids.kernels import ColumnSums, NonFiniteError, sum_columns


def _exact(column: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    seen = [(Fraction(x), Fraction(w)) for x, w in zip(column, weights, strict=True) if x == x]
    total = sum((w for _, w in seen), Fraction(0))
    mean = sum((w * x for x, w in seen), Fraction(0)) / total
    variance = sum((w * (x - mean) ** 2 for x, w in seen), Fraction(0)) / total
    return float(mean), math.sqrt(float(variance))


@pytest.mark.parametrize("scale", [1.0, 1e-140, 1e140])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16, np.int64])
def test_means_and_deviations_are_those_of_exact_arithmetic(
    scale: float, weighted: bool, dtype: type
) -> None:
    random = np.random.default_rng(3)
    points = random.normal(5, 3, (200, 4))
    points[:, 1] += 1e9  # where one pass in float64 would lose all digits
    if np.issubdtype(dtype, np.floating):
        points *= scale if dtype is np.float64 else 1.0
        points[random.random(points.shape) < 0.1] = np.nan
    points = points.clip(-30000, 30000).astype(dtype) if dtype is np.int16 else points.astype(dtype)
    weights = random.exponential(size=200) * (random.random(200) < 0.9) if weighted else None
    sums = sum_columns(points, weights)
    wide = points.astype(np.float64)
    for column in range(4):
        expected = _exact(wide[:, column], np.ones(200) if weights is None else weights)
        assert (sums.means()[column], sums.deviations()[column]) == expected


def test_parts_threads_levels_and_order_change_no_bit() -> None:
    random = np.random.default_rng(4)
    points = random.normal(size=(5000, 3)) * 10.0 ** random.integers(-30, 30, (5000, 3))
    points[random.random(points.shape) < 0.1] = np.nan
    expected = sum_columns(points)
    assert sum_columns(random.permutation(points)) == expected
    cut = [sum_columns(part) for part in np.split(points, [1, 77, 3000])]
    assert cut[3] + cut[1] + cut[0] + cut[2] == expected
    assert sum_columns(np.asfortranarray(points)) == expected
    before = kernels.num_threads()
    try:
        for threads in (1, 2, 7):
            kernels.set_num_threads(threads)
            assert sum_columns(points) == expected
    finally:
        kernels.set_num_threads(before)


def test_a_column_without_values_has_no_mean() -> None:
    sums = sum_columns(np.array([[1.0, np.nan], [3.0, np.nan]]), np.array([0.0, 2.0]))
    assert sums.means().tolist()[0] == 3.0 and math.isnan(sums.means()[1])
    assert isinstance(sums, ColumnSums) and math.isnan(sums.deviations()[1])


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e200])
def test_values_whose_squares_are_not_finite_are_located(value: float) -> None:
    points = np.ones((20, 3))
    points[7, 1] = points[9, 0] = value
    with pytest.raises(NonFiniteError) as raised:
        sum_columns(points)
    assert raised.value.row == 7


@pytest.mark.parametrize(("value", "weight"), [(1e-12, 1e-308), (1e-170, 1.0), (0.1, 5e-324)])
def test_equal_values_do_not_deviate_however_little_is_kept_of_their_squares(
    value: float, weight: float
) -> None:
    (deviation,) = sum_columns(np.full((3, 1), value), np.full(3, weight)).deviations()
    assert 0 <= deviation < 1e-2 and math.copysign(1, deviation) == 1
