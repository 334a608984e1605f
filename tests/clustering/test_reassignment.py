"""Centers of starved clusters that become rows of a batch: as in scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse
from numpy.typing import NDArray

from centroids import kernels
from centroids.clustering import (
    ClusterState,
    initial_state,
    is_reassignment_due,
    mini_batch_update,
    reassign_low_count_centers,
)
from centroids.distribute import ShardedPoints
from centroids.distribute._workers import LocalWorkers
from tests.clustering.test_living_clusters import far_centers, groups, of_kind


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
