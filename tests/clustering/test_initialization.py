"""Initial centers from streams of batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from centroids import kernels
from centroids.clustering import choose_initial_centers, kmeans_plus_plus
from tests.plain_seeding import plus_plus_rows


def distinct_points(n: int, d: int = 2) -> np.ndarray:
    return np.random.default_rng(n).normal(size=(n, d)).astype(np.float32)


@settings(max_examples=50, deadline=None)
@given(
    n=st.integers(1, 60),
    batch=st.integers(1, 30),
    k=st.integers(1, 60),
    seed=st.integers(0, 1000),
    sparse=st.booleans(),
)
def test_random_takes_distinct_rows_and_small_batches_whole(
    n: int, batch: int, k: int, seed: int, sparse: bool
) -> None:
    points = distinct_points(n)
    pulled = []

    def batches() -> Iterator[Any]:
        for at in range(0, n, batch):
            pulled.append(at)
            part = points[at : at + batch]
            yield scipy.sparse.csr_array(part) if sparse else part

    if n < k:
        with pytest.raises(ValueError, match=f"num_clusters={k}, but .* only {n} points"):
            choose_initial_centers(batches(), k, "random", seed=seed)
        return
    centers = choose_initial_centers(batches(), k, "random", seed=seed)
    rows = {tuple(row) for row in points.tolist()}
    chosen = [tuple(row) for row in centers.tolist()]
    assert len(chosen) == len(set(chosen)) == k and rows.issuperset(chosen)
    assert len(pulled) == -(-k // batch)  # not one batch more than needed
    whole = k // batch * batch
    np.testing.assert_array_equal(centers[:whole], points[:whole])


def test_equal_seeds_choose_equal_centers_and_others_do_not() -> None:
    points = distinct_points(1000)
    for method in ("random", "kmeans_plus_plus"):
        first = choose_initial_centers([points], 20, method, seed=1)
        np.testing.assert_array_equal(first, choose_initial_centers([points], 20, method, seed=1))
        assert (first != choose_initial_centers([points], 20, method, seed=2)).any()


@pytest.mark.parametrize("retries", [0, 2, 9, -1])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("cosine", [False, True])
def test_plus_plus_finds_well_separated_groups(retries: int, sparse: bool, cosine: bool) -> None:
    directions = np.eye(8) * 50
    random = np.random.default_rng(0)
    group = random.integers(0, 8, 800)
    points = (directions[group] + random.normal(size=(800, 8)) * 0.1).astype(np.float32)
    given: Any = scipy.sparse.csr_array(points) if sparse else points
    centers = kmeans_plus_plus(
        given, 8, np.random.default_rng(3), cosine=cosine, num_retries=retries
    )
    assert sorted(centers.argmax(axis=1).tolist()) == list(range(8))


def test_plus_plus_draws_in_proportion_to_squared_distance() -> None:
    # From the point at 0 the others are drawn with weights 1, 4, 9 of 14.
    points = np.array([[0.0], [1.0], [2.0], [3.0]])
    drawn = np.zeros(4)
    random = np.random.default_rng(0)
    runs = 0
    while runs < 4000:
        centers = kmeans_plus_plus(points, 2, random, num_retries=0)[:, 0]
        if centers[0] == 0:
            drawn[int(centers[1])] += 1
            runs += 1
    np.testing.assert_allclose(drawn / runs, np.array([0, 1, 4, 9]) / 14, atol=0.03)


def test_plus_plus_survives_fewer_distinct_points_than_centers() -> None:
    centers = kmeans_plus_plus(np.ones((10, 2)), 4, np.random.default_rng(0))
    np.testing.assert_array_equal(centers, np.ones((4, 2)))


def test_plus_plus_needs_a_large_enough_first_batch() -> None:
    with pytest.raises(ValueError, match=r"num_clusters=5 points in the first batch, .* has 3"):
        choose_initial_centers([distinct_points(3), distinct_points(9)], 5, "kmeans_plus_plus")


def test_a_full_batch_must_hold_as_many_points_as_clusters() -> None:
    with pytest.raises(ValueError, match=r"a full batch needs .*num_clusters=5 .* has 3"):
        choose_initial_centers([distinct_points(3)], 5, "random", whole_input_in_batch=True)


def test_a_constant_input_never_gets_larger() -> None:
    def constant() -> Iterator[np.ndarray]:
        while True:
            yield distinct_points(3)

    with pytest.raises(ValueError, match="num_clusters=5, but the whole input has only 3 points"):
        choose_initial_centers(constant(), 5, "random")


def test_a_callable_sees_successive_batches_and_what_remains() -> None:
    calls = []

    def pick(points: np.ndarray, remaining: int) -> Any:
        calls.append((points[0, 0], remaining))
        return [] if len(calls) == 1 else points[: min(2, remaining)]

    batches = [np.full((4, 2), float(i)) for i in range(9)]
    centers = choose_initial_centers(batches, 5, pick)
    assert calls == [(0, 5), (1, 5), (2, 3), (3, 1)]
    assert centers[:, 0].tolist() == [1, 1, 2, 2, 3]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (np.zeros((6, 2)), r"from 0 to 5 rows of 2 columns, .* shape \(6, 2\)"),
        (np.zeros((1, 3)), r"from 0 to 5 rows of 2 columns, .* shape \(1, 3\)"),
        (np.zeros(2), r"shape \(2,\)"),
        (np.full((1, 2), np.nan), "not finite"),
        (None, "from 0 to 5 rows of 2 columns, it returned None"),
        ([[1.0, 2.0], [3.0]], "returned rows of different lengths"),
        (np.full((1, 2), 1j), "real numbers, it returned elements of type complex128"),
        ([["a", "b"]], "real numbers, it returned elements of type <U1"),
    ],
)
def test_what_a_callable_returns_is_checked(returned: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose_initial_centers([distinct_points(9)], 5, lambda points, k: returned)


def test_a_callable_that_never_finishes_names_both_numbers() -> None:
    with pytest.raises(ValueError, match=r"chose 1 of num_clusters=2 .* after 4 points"):
        choose_initial_centers(
            [distinct_points(2), distinct_points(2) + 1],
            2,
            lambda points, k: points[:1] if k == 2 else [],
        )


def test_bad_values_are_located() -> None:
    points = distinct_points(6)
    points[4, 1] = np.inf
    for bad in (points, scipy.sparse.csr_array(points)):
        with pytest.raises(ValueError, match="got inf in batch 1, row 4, column 1"):
            choose_initial_centers([distinct_points(2), bad], 5, "random")


def test_cosine_centers_are_unit_vectors() -> None:
    for method in ("random", "kmeans_plus_plus"):
        centers = choose_initial_centers([distinct_points(50)], 5, method, cosine=True)
        np.testing.assert_allclose(np.linalg.norm(centers, axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize(
    ("n", "d", "k", "retries"), [(60, 3, 60, 2), (2500, 16, 40, 7), (5000, 8, 30, 0), (1, 2, 1, 2)]
)
def test_plus_plus_chooses_what_the_plain_version_chooses(
    n: int, d: int, k: int, retries: int, cosine: bool, dtype: Any
) -> None:
    points = (np.random.default_rng(n).normal(size=(n, d)) * 40 + 120).clip(0, 255).astype(dtype)
    points[n // 3] = 0
    rows = plus_plus_rows(points, k, 5, cosine=cosine, num_retries=retries)
    chosen = points[rows].astype(kernels.result_dtype(points))
    centers = kmeans_plus_plus(
        points, k, np.random.default_rng(5), cosine=cosine, num_retries=retries
    )
    expected = kernels.l2_normalize(chosen).astype(chosen.dtype) if cosine else chosen
    if len(np.unique(expected, axis=0)) == k:  # else others stand in for equal ones
        np.testing.assert_array_equal(centers, expected)
