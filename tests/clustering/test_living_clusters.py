"""Empty and starved clusters that get points: as in scikit-learn, and the same bits anywhere."""

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
from numpy.typing import NDArray

from centroids import kernels
from centroids.clustering import (
    ClusterState,
    PulledBatches,
    assign,
    choose_best_centers,
    full_batch_update,
    initial_state,
    reassign_low_count_centers,
    relocate_empty_clusters,
)
from centroids.distribute import ShardedPoints
from centroids.distribute._workers import LocalWorkers
from centroids.rows import WeightedPoints
from tests.oracle import distances, unit_rows

KINDS = ["float32", "float64", "sparse"]


@pytest.fixture
def other_threads_and_levels() -> Iterator[None]:
    yield
    kernels.set_num_threads(0)
    kernels.set_instruction_set("")


def groups(n: int, d: int, seed: int) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    middles = random.normal(size=(6, d)) * 5
    return np.asarray(middles[random.integers(6, size=n)] + random.normal(size=(n, d)))


def of_kind(points: NDArray[Any], kind: str) -> Any:
    return scipy.sparse.csr_array(points) if kind == "sparse" else points.astype(kind)


def far_centers(points: NDArray[Any], k: int, num_far: int, seed: int) -> NDArray[Any]:
    """Of k centers the last ones are so far away that no point comes to them."""
    random = np.random.default_rng(seed)
    centers = points[random.choice(len(points), k, replace=False)].copy()
    centers[k - num_far :] += 1e3 * (1 + np.arange(num_far))[:, None]
    return centers[random.permutation(k)]


def step(points: Any, centers: NDArray[Any], *, cosine: bool = False, memory: Any = None) -> Any:
    """One iteration as a fit has it: the labels, the relocated assignment and the new centers."""
    found = assign(points, centers, cosine=cosine, update=True, memory=memory)
    moved = relocate_empty_clusters(points, centers, found, cosine=cosine, memory=memory)
    return found, moved, full_batch_update(initial_state(centers), moved, cosine=cosine).centers


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_far", [1, 2, 5])
def test_centers_and_labels_are_those_of_scikit_learn(kind: str, num_far: int) -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    threadpools = pytest.importorskip("threadpoolctl")
    for seed in range(2):
        points = groups(300, 4, seed)
        points = np.where(points > 1, points, 0) if kind == "sparse" else points
        start = far_centers(points, 9, num_far, seed)
        x = of_kind(points, kind)
        centers = start.astype(x.dtype)
        for iterations in range(1, 6):
            _, _, centers = step(x, centers)
            theirs = cluster.KMeans(9, init=start, n_init=1, max_iter=iterations, tol=0)
            with threadpools.threadpool_limits(1):
                theirs.fit(scipy.sparse.csr_matrix(x) if kind == "sparse" else x)
            np.testing.assert_allclose(centers, theirs.cluster_centers_, rtol=1e-4, atol=1e-4)
            labels = kernels.assign(x, centers).cluster_index
            np.testing.assert_array_equal(labels, theirs.labels_)
        assert np.unique(labels).size == 9


def test_what_is_moved_can_be_computed_by_hand() -> None:
    # 9 is at 81 from 0, and so is -9; the lower row comes first, and goes to the lower cluster.
    points = np.array([[1.0], [9.0], [2.0], [-9.0], [-3.0]])
    centers = np.array([[500.0], [0.0], [600.0]])
    found, moved, new = step(points, centers)
    assert found.counts.tolist() == [0, 5, 0]
    assert moved.counts.tolist() == [1, 3, 1]
    assert moved.sums.ravel().tolist() == [9.0, 0.0, -9.0]
    assert new.ravel().tolist() == [9.0, 0.0, -9.0]
    assert (moved.inertia, found.counts.tolist()) == (found.inertia, [0, 5, 0])


def test_a_cluster_may_lose_its_only_point() -> None:
    points, centers = np.array([[0.0], [0.0], [40.0]]), np.array([[0.0], [30.0], [900.0]])
    _, moved, new = step(points, centers)
    assert moved.counts.tolist() == [2, 0, 1]
    assert new.ravel().tolist() == [0.0, 30.0, 40.0]


def test_points_that_are_where_their_center_is_stay() -> None:
    points = np.array([[1.0], [1.0], [2.0]])
    nothing, moved, _ = step(points[:2], np.array([[1.0], [7.0]]))
    assert moved is nothing
    _, moved, new = step(points, np.array([[1.0], [7.0], [8.0]]))
    assert moved.counts.tolist() == [2, 1, 0]
    assert new.ravel().tolist() == [1.0, 2.0, 8.0]


def test_a_point_is_taken_out_without_a_trace() -> None:
    points = np.array([[1.0], [1e30], [0.25], [3.0]])
    _, moved, _ = step(points, np.array([[0.0], [-1e100]]))
    assert moved.sums.ravel().tolist() == [4.25, 1e30]


@pytest.mark.parametrize("kind", KINDS)
def test_cosine_takes_the_most_different_direction_and_no_zero_vector(kind: str) -> None:
    points = np.array([[2.0, 0.0], [0.0, 0.0], [1.0, 1.0], [0.0, 8.0], [3.0, 0.1]])
    centers = np.array([[1.0, 0.0], [-1.0, -0.5]])
    _, moved, new = step(of_kind(points, kind), centers, cosine=True)
    assert moved.counts.tolist() == [4, 1]
    np.testing.assert_array_equal(new[1], [0.0, 1.0])
    np.testing.assert_allclose(moved.sums[0], unit_rows(points)[[0, 1, 2, 4]].sum(axis=0), 1e-6)


def test_nothing_happens_without_an_empty_cluster() -> None:
    points = groups(50, 2, 0)
    found, moved, _ = step(points, points[:5])
    assert moved is found


def test_an_assignment_without_counts_is_refused() -> None:
    points = np.zeros((3, 1))
    with pytest.raises(ValueError, match="no sums and counts"):
        relocate_empty_clusters(points, points, kernels.assign(points, points))


@pytest.mark.usefixtures("other_threads_and_levels")
@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_threads_levels_parts_and_memory_change_no_bit(kind: str, cosine: bool) -> None:
    points = groups(3000, 5, 1)
    points[[7, 2900]] = 0
    points[5::100] = points[5]  # equal distances
    start = far_centers(points, 20, 6, 2)
    if cosine:
        start[np.abs(start).max(axis=1) > 500] = -points.mean(axis=0)
    x = of_kind(points, kind)
    start = start.astype(x.dtype)

    def fit(x: Any, memory: Any = None) -> list[Any]:
        centers, every = start, []
        for _ in range(4):
            _, moved, centers = step(x, centers, cosine=cosine, memory=memory)
            every += [moved.sums, moved.counts, centers]
        return every

    expected = fit(x)
    assert (assign(x, start, cosine=cosine, update=True).counts == 0).sum() >= 5
    levels = kernels.supported_instruction_sets()
    for turn, ends in enumerate(([], [1000], [1, 1, 250, 2999], [700, 701])):
        kernels.set_num_threads(1 + turn)
        kernels.set_instruction_set(levels[turn % len(levels)])
        parts = [x[a:b] for a, b in zip([0, *ends], [*ends, 3000], strict=True)]
        for batch in (x, ShardedPoints(LocalWorkers(parts))):
            for memory in (None, kernels.AssignmentMemory()):
                for mine, other in zip(fit(batch, memory), expected, strict=True):
                    np.testing.assert_array_equal(mine, other, strict=True)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 60),
    k=st.integers(1, 12),
    spread=st.sampled_from([1, 3, 1000]),
    cosine=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_the_loss_never_rises(n: int, k: int, spread: int, cosine: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    points = random.integers(-spread, spread + 1, size=(n, 2)).astype(float)
    centers = random.normal(size=(k, 2)) * 100
    metric = "cosine" if cosine else "squared_euclidean"
    losses = []
    for _ in range(12):
        losses.append(distances(points, centers, metric).min(axis=1).sum())
        found, moved, centers = step(points, centers, cosine=cosine)
        num_moved = ((found.counts == 0) & (moved.counts > 0)).sum()
        assert moved.counts.sum() == n
        assert num_moved <= (found.counts == 0).sum()
    slack = 1e-9 * (1 + losses[0])
    assert (np.diff(losses) <= slack).all()


@settings(max_examples=60, deadline=None)
@given(
    num_values=st.integers(1, 3),
    too_many=st.integers(1, 4),
    exponent=st.integers(-3, 5),
    kind=st.sampled_from(KINDS),
    cosine=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_more_clusters_than_different_points_come_to_rest(
    num_values: int, too_many: int, exponent: int, kind: str, cosine: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(size=(num_values, 2)) * 10.0**exponent
    points = of_kind(values[random.integers(num_values, size=random.integers(5, 200))], kind)
    centers = random.normal(size=(num_values + too_many, 2)).astype(points.dtype)
    for _ in range(20):  # means of equal float64 numbers may be others
        before = centers
        _, _, centers = step(points, before, cosine=cosine)
        if np.array_equal(before, centers):
            break
    assert np.array_equal(before, centers)


@pytest.mark.parametrize("kind", KINDS)
def test_weighted_centers_and_labels_are_those_of_scikit_learn(kind: str) -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    threadpools = pytest.importorskip("threadpoolctl")
    points = groups(200, 3, 3)
    points = np.where(points > 1, points, 0) if kind == "sparse" else points
    start = far_centers(points, 8, 3, 1)
    weights = np.random.default_rng(0).integers(1, 9, 200) / 4
    x = of_kind(points, kind)
    centers = start.astype(x.dtype)
    for iterations in (1, 2, 3):
        found = assign(x, centers, update=True, weights=weights)
        moved = relocate_empty_clusters(x, centers, found, weights=weights)
        centers = full_batch_update(initial_state(centers), moved).centers
        theirs = cluster.KMeans(8, init=start, n_init=1, max_iter=iterations, tol=0)
        with threadpools.threadpool_limits(1):
            given = scipy.sparse.csr_matrix(x) if kind == "sparse" else x
            theirs.fit(given, sample_weight=weights)
        np.testing.assert_allclose(centers, theirs.cluster_centers_, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_without_weight_are_as_good_as_not_there(kind: str, cosine: bool) -> None:
    points = groups(300, 4, 2)
    centers = np.concatenate([points[:4], -3 * points[:4], points[:2] + 1e6])
    weights = np.random.default_rng(1).integers(0, 3, 300) / 2.0
    x, there = of_kind(points, kind), weights > 0
    centers = centers.astype(x.dtype)

    def relocated(x: Any, weights: Any) -> Any:
        found = assign(x, centers, cosine=cosine, update=True, weights=weights)
        return relocate_empty_clusters(x, centers, found, cosine=cosine, weights=weights)

    every, few = relocated(x, weights), relocated(x[there], weights[there])
    ends = [0, 70, 70, 200, 300]
    parts = [WeightedPoints(x[a:b], weights[a:b]) for a, b in itertools.pairwise(ends)]
    shards: Any = ShardedPoints(LocalWorkers(parts))
    for other in (few, relocated(shards, None)):
        np.testing.assert_array_equal(every.sums, other.sums)
        np.testing.assert_array_equal(every.counts, other.counts)
    assert (every.counts > 0).all() and (assign(x, centers, update=True).counts == 0).any()
    counts = np.concatenate([np.full(5, 400.0), np.full(5, 1.0)])
    state = ClusterState(centers, counts, centers, 0)
    batches: list[tuple[Any, Any]] = [(x, weights), (x[there], weights[there]), (shards, None)]
    moved = [
        reassign_low_count_centers(state, batch, 0.1, key=(4, 2), cosine=cosine, weights=of_rows)
        for batch, of_rows in batches
    ]
    assert (moved[0].centers[5:] != centers[5:]).any(axis=1).all()
    for another in moved[1:]:
        np.testing.assert_array_equal(moved[0].centers, another.centers)


def test_the_best_choice_is_that_by_weights() -> None:
    points, weights = np.array([[0.0], [10.0], [50.0]]), np.array([1.0, 9.0, 0.0])
    choices = [np.array([[0.0], [50.0]]), np.array([[10.0], [-9.0]])]

    def best(batch: Any) -> list[float]:
        batches, coming = PulledBatches(iter([batch])), iter(choices)

        def choose() -> NDArray[Any]:
            assert next(iter(batches)) is batch
            return next(coming)

        return list(choose_best_centers(choose, 2, batches).ravel())

    assert best(points) == [0.0, 50.0]
    assert best(WeightedPoints(points, weights)) == [10.0, -9.0]


def test_distances_to_assigned_are_exact_to_a_few_roundings() -> None:
    random = np.random.default_rng(4)
    points = random.normal(size=(40, 7)) * 3 + 100
    points[random.random((40, 7)) < 0.5] = 0
    centers = random.normal(size=(3, 7)) * 50
    labels = random.integers(3, size=40).astype(np.int32)
    expected = [math.fsum((x - c) ** 2) for x, c in zip(points, centers[labels], strict=True)]
    for kind in ("float64", "sparse"):
        found = kernels.distances_to_assigned(of_kind(points, kind), centers, labels)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    with pytest.raises(ValueError, match="columns"):
        kernels.distances_to_assigned(points, centers[:, :6], labels)
