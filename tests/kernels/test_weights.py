"""Weights of points: exact sums of products, rounded once; 2 is a row twice, and 0 is no row."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from numpy.typing import NDArray

from centroids import kernels
from tests.kernels.test_exact_sums import hard

LEVELS = kernels.supported_instruction_sets()


@pytest.fixture(autouse=True)
def usual_machine() -> Iterator[None]:
    yield
    kernels.set_num_threads(0)
    kernels.set_instruction_set("")


def rounded(total: Fraction) -> float:
    try:
        return total.numerator / total.denominator
    except OverflowError:
        return float("inf") if total > 0 else -float("inf")


def weighted_sum(weights: NDArray[Any], values: NDArray[Any]) -> float:
    products = (
        Fraction(float(weight)) * Fraction(float(value))
        for weight, value in zip(weights, values, strict=True)
    )
    return rounded(sum(products, Fraction(0)))


def check_against_fractions(
    points: Any, centers: NDArray[Any], weights: NDArray[Any], **options: Any
) -> kernels.Assignment:
    result = kernels.assign(points, centers, update=True, weights=weights, **options)
    rows = points.toarray() if scipy.sparse.issparse(points) else points
    assert result.sums is not None and result.counts is not None
    assert result.counts.dtype == np.float64
    for cluster in range(len(centers)):
        own = result.cluster_index == cluster
        ones = np.ones(int(own.sum()))
        assert result.counts[cluster] == weighted_sum(weights[own], ones)
        for column in range(rows.shape[1]):
            assert result.sums[cluster, column] == weighted_sum(weights[own], rows[own, column])
    return result


def some_weights(kind: str, n: int) -> NDArray[np.float64]:
    random = np.random.default_rng(n)
    return {
        "ones": np.ones(n),
        "whole": random.integers(0, 5, n).astype(np.float64),
        "uniform": random.random(n),
        "lognormal": np.exp(8 * random.normal(size=n)),
        "float32": random.random(n).astype(np.float32).astype(np.float64),
        "many scales": 10.0 ** random.integers(-30, 17, n),
        "few": np.where(random.random(n) < 0.9, 0.0, random.random(n)),
        "zero": np.zeros(n),
    }[kind]


KINDS = ["ones", "whole", "uniform", "lognormal", "float32", "many scales", "few", "zero"]
POINTS = ["normal", "offset", "lognormal", "one outlier", "tiny beside large", "zeros", "late"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("values", POINTS)
def test_sums_are_those_of_exact_products(values: str, kind: str, dtype: Any) -> None:
    points = hard(values, 60, 3, dtype)
    weights = some_weights(kind, 60)
    check_against_fractions(points, points[:4].copy(), weights)
    check_against_fractions(scipy.sparse.csr_array(points), points[:4].copy(), weights)
