"""Empty and starved clusters that get points: as in scikit-learn, and the same bits anywhere."""

from __future__ import annotations

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
    assign,
    full_batch_update,
    initial_state,
    is_reassignment_due,
    mini_batch_update,
    reassign_low_count_centers,
    relocate_empty_clusters,
)
from centroids.distribute import ShardedPoints
from centroids.distribute._workers import LocalWorkers
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


class Drawn:
    """Stands for a random state: gives out the rows that it is told to."""

    def __init__(self, rows: NDArray[np.intp]) -> None:
        self._rows = rows

    def choice(self, n: int, replace: bool, size: int) -> NDArray[np.intp]:
        assert not replace and size == self._rows.size <= n
        return self._rows


@pytest.mark.parametrize("kind", ["float64", "sparse"])
@pytest.mark.parametrize("ratio", [0.01, 0.5, 1.0])
def test_a_reassignment_is_that_of_scikit_learn(kind: str, ratio: float) -> None:
    theirs = pytest.importorskip("sklearn.cluster._kmeans")
    points = groups(200, 3, 5)
    centers = far_centers(points, 12, 4, 6)
    counts = np.random.default_rng(7).integers(1, 400, size=12)
    x = of_kind(points, kind)
    state = mini_batch_update(
        ClusterState(centers, counts, centers, 0), kernels.assign(x, centers, update=True)
    )
    after = reassign_low_count_centers(state, x, ratio, key=(3, 9))
    changed = (after.centers != state.centers).any(axis=1)
    rows = [int(np.flatnonzero((points == row).all(axis=1))[0]) for row in after.centers[changed]]
    new, sums = centers.copy(), counts.astype(float)
    given = scipy.sparse.csr_matrix(x) if kind == "sparse" else x
    weights = np.ones(200)
    drawn: Any = Drawn(np.array(rows, np.intp))
    theirs._mini_batch_step(given, weights, centers, new, sums, drawn, True, ratio)
    np.testing.assert_allclose(after.centers, new, rtol=1e-12)
    np.testing.assert_array_equal(after.counts, sums)
    assert changed.sum() == (state.counts < ratio * state.counts.max()).sum()
    assert (ratio == 0.01) or changed.sum() > 3


def test_at_most_half_as_many_centers_as_rows_are_moved() -> None:
    counts = np.array([900, 3, 1, 2, 1, 4])
    state = initial_state(np.arange(6.0)[:, None] * 100)
    state = ClusterState(state.centers, counts, state.centers, 0)
    batch = np.arange(5.0)[:, None]
    after = reassign_low_count_centers(state, batch, 0.5, key=(1, 1))
    assert (after.centers != state.centers).ravel().tolist() == [0, 0, 1, 0, 1, 0]
    assert after.counts.tolist() == [900, 3, 2, 2, 2, 4]
    moved = after.centers[[2, 4], 0]
    assert moved[0] != moved[1] and set(moved) <= set(range(5))


def test_the_count_of_the_initial_center_is_no_point() -> None:
    state = ClusterState(np.eye(2), np.array([11, 2]), np.eye(2), 0)
    batch = np.full((4, 2), 7.0)
    as_seen = reassign_low_count_centers(state, batch, 0.15, key=(0,), initial_count=1)
    assert as_seen.centers.tolist() == [[1.0, 0.0], [7.0, 7.0]]
    assert as_seen.counts.tolist() == [11, 11]
    assert reassign_low_count_centers(state, batch, 0.15, key=(0,)) is state


def test_equal_clusters_and_a_ratio_of_0_move_nothing() -> None:
    state = ClusterState(np.eye(3), np.array([4, 4, 4]), np.eye(3), 0)
    batch = np.zeros((9, 3))
    assert reassign_low_count_centers(state, batch, 1.0, key=(0,)) is state
    starved = ClusterState(np.eye(3), np.array([4, 0, 4]), np.eye(3), 0)
    assert reassign_low_count_centers(starved, batch, 0.0, key=(0,)) is starved
    one_row = reassign_low_count_centers(starved, batch[:1], 1.0, key=(0,))
    assert one_row is starved


def test_cosine_moves_to_unit_vectors_and_never_to_zero_vectors() -> None:
    state = ClusterState(np.eye(2) * 5, np.array([400, 1]), np.eye(2) * 5, 0)
    after = reassign_low_count_centers(
        state, np.array([[3.0, 4.0], [6.0, 8.0]]), 0.1, key=(2,), cosine=True
    )
    assert after.centers.tolist() == [[5.0, 0.0], [0.6, 0.8]]
    assert reassign_low_count_centers(state, np.zeros((2, 2)), 0.1, key=(2,), cosine=True) is state


def test_rows_are_drawn_by_the_key_alone_with_equal_chances() -> None:
    state = ClusterState(np.array([[-1.0], [-2.0]]), np.array([400, 1]), np.zeros((2, 1)), 0)
    batch = np.arange(10.0)[:, None]

    def drawn(key: tuple[int, ...], points: Any = batch) -> float:
        return float(reassign_low_count_centers(state, points, 0.1, key=key).centers[1, 0])

    counts = np.bincount([int(drawn((5, step))) for step in range(1000)], minlength=10)
    assert ((counts - 100) ** 2 / 100).sum() < 9 + 6 * np.sqrt(18)
    parts = ShardedPoints(LocalWorkers([batch[:3], batch[3:3], batch[3:]]))
    for step_ in range(20):
        assert drawn((5, step_)) == drawn((5, step_), parts) == drawn((5, step_), batch)


def test_a_reassignment_is_due_as_in_scikit_learn() -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    for k, num_rows in ((3, 7), (10, 100), (8, 64), (2, 1000)):
        theirs = cluster.MiniBatchKMeans(k)
        theirs._batch_size, theirs._n_since_last_reassign = num_rows, 0
        theirs._counts = np.ones(k)
        state = ClusterState(np.zeros((k, 1)), np.full(k, 5), np.zeros((k, 1)), 0)
        for number in range(30):
            assert is_reassignment_due(state, num_rows, number) == theirs._random_reassign()
    empty = ClusterState(np.zeros((2, 1)), np.array([1, 50]), np.zeros((2, 1)), 0)
    assert is_reassignment_due(empty, 1, 0, initial_count=1)
    assert not is_reassignment_due(empty, 1, 0)
