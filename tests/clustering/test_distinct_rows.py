"""Initial centers differ from each other as far as the points do."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from centroids.clustering import choose_initial_centers, kmeans_plus_plus

DTYPES = ["float16", "float32", "float64", "uint8", "int16", "int64", "bool"]


def layout(points: np.ndarray, sparse: bool) -> Any:
    possible = points.dtype != np.float16  # scipy has no such matrix
    return scipy.sparse.csr_array(points) if sparse and possible else points


def num_different(rows: np.ndarray) -> int:
    return len(np.unique(np.asarray(rows, np.float64) + 0.0, axis=0))


def directions(rows: np.ndarray) -> set[tuple[int, ...]]:
    """Whole-numbered rows without what they have in common, and without zero vectors."""
    return {tuple(value // math.gcd(*row) for value in row) for row in rows.tolist() if any(row)}


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 120),
    batch=st.integers(1, 120),
    k=st.integers(1, 20),
    values=st.integers(1, 4),
    d=st.integers(1, 3),
    dtype=st.sampled_from(DTYPES),
    sparse=st.booleans(),
    seed=st.integers(0, 99),
)
def test_random_takes_different_rows_as_far_as_there_are_any(
    n: int, batch: int, k: int, values: int, d: int, dtype: str, sparse: bool, seed: int
) -> None:
    k = min(k, n)
    points = np.random.default_rng(seed).integers(0, values, size=(n, d)).astype(dtype)
    batches = [layout(points[at : at + batch], sparse) for at in range(0, n, batch)]
    centers = choose_initial_centers(batches, k, "random", seed=seed)
    assert len(centers) == k
    assert num_different(centers) == min(k, num_different(points))
    again = choose_initial_centers(batches, k, "random", seed=seed)
    np.testing.assert_array_equal(centers, again)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    "method", ["random", "kmeans_plus_plus", "kmeans_parallel", "kmeans_rejection"]
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_one_row_in_a_thousand_is_another(dtype: str, method: Any, sparse: bool) -> None:
    points = np.zeros((20_000, 2), np.float64)
    points[:, 1] = 1
    points[::1000] = np.array([[1, 0], [0, 0]] * 10)
    given = layout(points.astype(dtype), sparse)
    for seed in range(3):
        centers = choose_initial_centers([given], 3, method, seed=seed)
        assert num_different(centers) == 3


@settings(max_examples=40, deadline=None)
@given(
    k=st.integers(1, 12),
    wide=st.booleans(),
    sparse=st.booleans(),
    seed=st.integers(0, 99),
    method=st.sampled_from(["random", "kmeans_plus_plus", "kmeans_parallel", "kmeans_rejection"]),
)
def test_for_cosine_rows_of_one_direction_are_equal(
    k: int, wide: bool, sparse: bool, seed: int, method: Any
) -> None:
    random = np.random.default_rng(seed)
    whole = random.integers(-1, 3, size=(60, 3))
    # Powers of two leave the direction as it is to the bit; small factors do but for rounding.
    scale = 2.0 ** random.integers(-100, 50, size=(60, 1)) * random.integers(1, 8, size=(60, 1))
    points = (whole * scale).astype(np.float64 if wide else np.float32)
    centers = choose_initial_centers([layout(points, sparse)], k, method, seed=seed, cosine=True)
    parallel = np.isclose(centers @ centers.T, 1, atol=1e-6).sum(axis=1)
    different = len(directions(whole))
    if k <= different:
        assert (parallel == 1).all() and centers.any(axis=1).all()
    else:
        assert len(centers) == k


@pytest.mark.parametrize("scale", [1e-170, 1e-30, 1e17, 1e140])
@pytest.mark.parametrize("sparse", [False, True])
def test_plus_plus_takes_different_rows_at_any_scale(scale: float, sparse: bool) -> None:
    # At 1e-170 every squared distance is 0.
    points = np.repeat(np.random.default_rng(0).normal(size=(12, 3)), 9, axis=0) * scale
    centers = kmeans_plus_plus(layout(points, sparse), 12, np.random.default_rng(1))
    assert num_different(centers / scale) == 12


def test_plus_plus_repeats_rows_only_when_there_are_no_others() -> None:
    points = np.repeat(np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]), 5, axis=0)
    centers = kmeans_plus_plus(points, 7, np.random.default_rng(0))
    assert len(centers) == 7 and num_different(centers) == 3


def test_rows_that_differ_are_chosen_as_ever() -> None:
    points = np.random.default_rng(0).normal(size=(500, 3))
    rows = np.random.default_rng(7).choice(500, 30, replace=False)
    np.testing.assert_array_equal(
        choose_initial_centers([points], 30, "random", seed=7), points[rows]
    )


def test_minus_zero_is_zero() -> None:
    points = np.array([[0.0, 1.0], [-0.0, 1.0], [2.0, 0.0], [2.0, -0.0]])
    centers = choose_initial_centers([points], 2, "random")
    assert num_different(centers) == 2


def test_cosine_takes_zero_vectors_only_when_there_is_nothing_else() -> None:
    points = np.zeros((50, 2))
    points[7], points[40] = [3, 0], [0, 5]
    for method in ("random", "kmeans_plus_plus"):
        centers = choose_initial_centers([points], 2, method, cosine=True)
        assert sorted(centers.tolist()) == [[0, 1], [1, 0]]
        nothing = choose_initial_centers([points[:5]], 2, method, cosine=True)
        np.testing.assert_array_equal(nothing, np.zeros((2, 2)))


def test_the_search_for_other_rows_in_a_stream_ends() -> None:
    pulled = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal pulled
        for number in itertools.count():
            pulled += 1
            yield np.full((100, 2), float(number and 1 + number % 2))

    centers = choose_initial_centers(endless(), 8, "random")
    assert len(centers) == 8 and num_different(centers) == 3
    assert 100 <= pulled <= 110  # ten thousand rows that brought nothing new


def test_equal_batches_are_not_a_constant_input_if_others_follow() -> None:
    batches = [np.zeros((1, 2))] * 300 + [np.ones((1, 2))]
    centers = choose_initial_centers(batches, 200, "random")
    assert len(centers) == 200 and num_different(centers) == 2
    centers = choose_initial_centers(
        [np.zeros((1, 2))] * 20_000, 15_000, "random", batches_end=True
    )
    assert centers.shape == (15_000, 2)


def test_a_few_other_rows_far_on_in_a_stream_are_found() -> None:
    batches = [np.zeros((100, 2)) for _ in range(50)]
    batches[0][0] = 9  # no constant input
    batches[47][3] = batches[49][99] = [4.0, 5.0]
    batches[49][0] = [6.0, 7.0]
    centers = choose_initial_centers(batches, 4, "random")
    assert num_different(centers) == 4


def test_plus_plus_draws_by_distance_where_the_sum_overflows() -> None:
    # Three groups so far apart that the sum of all squared distances is not a float64.
    points = np.repeat([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], 3000, axis=0) * 4e152
    points += np.random.default_rng(0).normal(size=points.shape) * 1e140
    for seed in range(5):
        centers = kmeans_plus_plus(points, 3, np.random.default_rng(seed)) / 4e152
        assert sorted(np.round(centers).tolist()) == [[0, 0], [0, 1], [1, 0]]
