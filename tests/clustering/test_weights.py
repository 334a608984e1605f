"""Weights in the algorithm: initial centers, updates, and points in parts or on workers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from centroids import distribute, kernels
from centroids.clustering import (
    ClusterState,
    InitialMethod,
    TooFewPointsError,
    WeightedPoints,
    all_distances,
    assign,
    choose_initial_centers,
    choose_initial_centers_anywhere,
    choose_initial_centers_of_shards,
    full_batch_update,
    initial_state,
    kmeans_parallel,
    kmeans_plus_plus,
    mini_batch_update,
    multi_step_update,
)
from tests.clustering.test_shards import METHODS, RemoteShards, clustered, cut

AS_REPEATED: list[InitialMethod] = ["random", "kmeans_plus_plus", "kmeans_rejection"]


def choose(
    points: Any, k: int, method: InitialMethod, *, weights: Any = None, **options: Any
) -> NDArray[Any]:
    batch = points if weights is None else WeightedPoints(points, np.asarray(weights, np.float64))
    return choose_initial_centers([batch], k, method, whole_input_in_batch=True, **options)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 120),
    k=st.integers(1, 12),
    most=st.sampled_from([1, 2, 5, 1000]),
    method=st.sampled_from(AS_REPEATED),
    kind=st.sampled_from(["normal", "equal rows", "sparse"]),
    cosine=st.booleans(),
    seed=st.integers(0, 99),
)
def test_whole_weights_choose_what_repeated_rows_do(
    n: int, k: int, most: int, method: InitialMethod, kind: str, cosine: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    points: Any = random.normal(size=(n, 3))
    if kind == "equal rows":
        points = np.round(points)
    elif kind == "sparse":
        points = scipy.sparse.csr_array(points * (random.random((n, 3)) < 0.5))
    weights = random.integers(0, most + 1, n)
    if weights.sum() < k:
        with pytest.raises(TooFewPointsError) as error:
            choose(points, k, method, weights=weights)
        assert error.value.num_points == weights.sum()
        return
    repeated = points[np.repeat(np.arange(n), weights)]
    np.testing.assert_array_equal(
        choose(points, k, method, weights=weights, cosine=cosine, seed=seed),
        choose(repeated, k, method, cosine=cosine, seed=seed),
    )


def test_batches_of_a_stream_choose_what_repeated_rows_do() -> None:
    random = np.random.default_rng(0)
    points, weights = random.normal(size=(60, 2)), random.integers(0, 3, 60).astype(np.float64)
    weights[:10] = 0
    cuts = [slice(0, 10), slice(10, 14), slice(14, 18), slice(18, 60)]
    weighted = [WeightedPoints(points[rows], weights[rows]) for rows in cuts]
    repeated = [np.repeat(part.points, part.weights.astype(int), axis=0) for part in weighted]
    for seed in range(10):
        np.testing.assert_array_equal(
            choose_initial_centers(weighted, 20, "random", seed=seed),
            choose_initial_centers(repeated[1:], 20, "random", seed=seed),
        )


@pytest.mark.parametrize("weights", [np.ones(300), np.full(300, 0.25)])
@pytest.mark.parametrize("method", METHODS)
def test_equal_weights_are_none_or_scaled(weights: NDArray[Any], method: InitialMethod) -> None:
    points = clustered(300, 4, np.random.default_rng(0))
    chosen = choose(points, 9, method, weights=weights)
    if weights[0] == 1:
        np.testing.assert_array_equal(chosen, choose(points, 9, method))
    doubled = choose(points, 9, method, weights=weights * 2.0**-40)
    if weights[0] != 1:
        np.testing.assert_array_equal(chosen, doubled)


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("kind", ["whole", "uniform"])
@pytest.mark.parametrize("method", METHODS)
def test_parts_and_lost_shards_change_no_bit(
    method: InitialMethod, kind: str, cosine: bool
) -> None:
    random = np.random.default_rng(0)
    points = clustered(1500, 5, random).astype(np.float32)
    weights = random.integers(0, 4, 1500) * 1.0 if kind == "whole" else random.random(1500) ** 4
    expected = choose(points, 12, method, weights=weights, seed=3, cosine=cosine)
    for num_parts in (1, 3, 8):
        parts = cut(WeightedPoints(points, weights), num_parts, random)
        holders = random.integers(0, 4, num_parts).tolist()
        shards = RemoteShards(
            parts, holders, cosine=cosine, lost=lambda: bool(random.random() < 0.05)
        )
        chosen = choose_initial_centers_of_shards(shards, 12, method, seed=3, cosine=cosine)
        np.testing.assert_array_equal(chosen, expected)


@pytest.mark.parametrize("method", METHODS)
def test_rows_of_weight_0_are_never_chosen(method: InitialMethod) -> None:
    points = np.arange(40.0).reshape(40, 1)
    weights = np.where(np.arange(40) % 3 == 0, 0.0, 0.7)
    for seed in range(30):
        chosen = choose(points, 26, method, weights=weights, seed=seed)[:, 0]
        assert (chosen % 3 != 0).all()
        assert len(set(chosen.tolist())) == 26


@pytest.mark.parametrize("method", METHODS)
def test_first_centers_are_drawn_by_weight(method: InitialMethod) -> None:
    points = np.array([[0.0], [1.0], [2.0], [3.0]])
    weights = np.array([0.1, 0.0, 2.5, 0.9])
    chosen = [
        int(choose(points, 1, method, weights=weights, seed=seed)[0, 0]) for seed in range(1200)
    ]
    counts = np.bincount(chosen, minlength=4)
    expected = 1200 * weights / weights.sum()
    assert counts[1] == 0
    assert (np.abs(counts - expected)[weights > 0] < 5 * np.sqrt(expected[weights > 0])).all()


def test_second_centers_are_drawn_by_weight_times_squared_distance() -> None:
    points = np.array([[0.0], [1.0], [3.0], [7.0]])
    weights = np.array([1e9, 9.0, 2.5, 0.2])
    seconds = [
        kmeans_plus_plus(points, 2, np.random.default_rng(seed), num_retries=0, weights=weights)[
            1, 0
        ]
        for seed in range(1200)
    ]
    counts = np.array([seconds.count(x) for x in points[1:, 0]])
    shares = (weights * points[:, 0] ** 2)[1:]
    expected = 1200 * shares / shares.sum()
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()


def test_candidates_of_kmeans_parallel_count_by_weight() -> None:
    """A few heavy points far away are worth more than many light ones."""
    random = np.random.default_rng(0)
    points = np.concatenate([random.normal(size=(2000, 2)), random.normal(size=(30, 2)) + 50])
    weights = np.where(np.arange(2030) < 2000, 1e-6, 1e3)
    losses = []
    for own in (None, weights):
        centers = kmeans_parallel(points, 8, np.random.default_rng(1), weights=own)
        losses.append(float((all_distances(points, centers).min(axis=1) * weights).sum()))
    assert losses[1] < losses[0] / 2


def test_all_weights_0_are_too_few_points() -> None:
    points = np.arange(6.0).reshape(3, 2)
    for method in METHODS:
        with pytest.raises(TooFewPointsError, match="0"):
            choose(points, 1, method, weights=np.zeros(3))
        shards = RemoteShards([WeightedPoints(points, np.zeros(3))], [0])
        with pytest.raises(TooFewPointsError, match="only 0 points"):
            choose_initial_centers_of_shards(shards, 1, method)
    with pytest.raises(ValueError, match="all weights are 0"):
        kmeans_plus_plus(points, 1, np.random.default_rng(0), weights=np.zeros(3))


def test_weights_that_are_no_weights_are_named() -> None:
    points = np.arange(6.0).reshape(3, 2)
    for function in (kmeans_plus_plus, kmeans_parallel):
        with pytest.raises(ValueError, match=r"not negative, got -1.0 at row 2"):
            function(points, 2, np.random.default_rng(0), weights=[1, 1, -1])
    with pytest.raises(ValueError, match="row 2 has none"):
        choose(points, 2, "random", weights=[1, 1])
    with pytest.raises(kernels.NonFiniteError):
        kmeans_plus_plus(points + np.inf, 2, np.random.default_rng(0), weights=[0, 1, 1])
    far = np.array([[0.0], [1e153], [-1e153]])
    with pytest.raises(ValueError, match=r"weights are too large: 1e\+300 times"):
        kmeans_plus_plus(far, 2, np.random.default_rng(0), weights=[1e300, 1e300, 1e300])


def fractions_mean(points: NDArray[Any], weights: NDArray[Any]) -> list[float]:
    total = sum(map(Fraction, weights.tolist()))
    return [
        float(
            sum(Fraction(w) * Fraction(x) for w, x in zip(weights.tolist(), column, strict=True))
            / total
        )
        for column in points.T.tolist()
    ]


def test_a_full_batch_moves_centers_to_weighted_means() -> None:
    random = np.random.default_rng(0)
    points, weights = random.normal(size=(50, 3)), random.random(50) * 1e-3
    weights[40:] = 0
    centers = np.concatenate([points[:3], points[45:46] + 100])
    points[45] = centers[3]  # the only point there has no weight
    batch = assign(points, centers, update=True, weights=weights)
    after = full_batch_update(initial_state(centers), batch)
    for cluster in range(3):
        own = batch.cluster_index == cluster
        expected = fractions_mean(points[own], weights[own])
        np.testing.assert_allclose(after.centers[cluster], expected, rtol=1e-15)
    np.testing.assert_array_equal(after.centers[3], centers[3])
    assert after.counts[3] == 0


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("cosine", [False, True])
def test_mini_batches_of_whole_weights_are_those_of_repeated_rows(steps: int, cosine: bool) -> None:
    random = np.random.default_rng(0)
    centers = random.normal(size=(4, 3))
    weighted = plain = initial_state(centers, steps)

    def updated(state: ClusterState, points: NDArray[Any], weights: Any) -> ClusterState:
        batch = assign(points, state.centers, update=True, weights=weights, cosine=cosine)
        if steps == 1:
            return mini_batch_update(state, batch)
        return multi_step_update(state, batch, steps, cosine=cosine)

    for _ in range(7):
        points, weights = random.normal(size=(30, 3)), random.integers(0, 4, 30)
        weighted = updated(weighted, points, weights)
        plain = updated(plain, np.repeat(points, weights, axis=0), None)
        assert weighted.counts.dtype == np.float64
        assert plain.counts.dtype == np.int64
        np.testing.assert_array_equal(weighted.centers, plain.centers)
        np.testing.assert_array_equal(weighted.counts, plain.counts)


def test_a_dask_array_with_weights_is_as_one_array_with_weights() -> None:
    dask_array = pytest.importorskip("dask.array")
    random = np.random.default_rng(0)
    table = np.concatenate([random.normal(size=(200, 3)), random.random((200, 1))], axis=1)
    points, weights = table[:, :3].copy(), table[:, 3].copy()
    collection = dask_array.from_array(table, chunks=(37, 4))
    sharded = distribute.shard(collection, points_and_weights, weight_column=3)
    without = distribute.shard(collection, np.asarray)
    assert sharded.weighted
    assert sharded.shape == (200, 3)
    assert not without.weighted
    centers = points[:6]
    for batch, rows in ((sharded, slice(None)), (sharded[20:150], slice(20, 150))):
        found = assign(batch, centers, update=True, memory=kernels.AssignmentMemory())
        expected = assign(points[rows], centers, update=True, weights=weights[rows])
        assert found.inertia == expected.inertia
        np.testing.assert_array_equal(found.sums, expected.sums)
        np.testing.assert_array_equal(found.counts, expected.counts)
    for method in METHODS:
        np.testing.assert_array_equal(
            choose_initial_centers_anywhere([sharded], 5, method, seed=2),
            choose(points, 5, method, weights=weights, seed=2),
        )
    table[100, 3] = -1
    with pytest.raises(ValueError, match=r"partition 2: weights must be .* got -1.0 at row 26"):
        distribute.shard(
            dask_array.from_array(table, chunks=(37, 4)), points_and_weights, weight_column=3
        )


def points_and_weights(block: NDArray[Any]) -> WeightedPoints:
    return WeightedPoints(block[:, :3], block[:, 3])
