"""Centers that mini-batches hardly ever find, moved to points of the batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from centroids.clustering._relocation import rows_by_number
from centroids.clustering._sharded import AnyPoints, weights_of_shards
from centroids.clustering._state import ClusterState
from centroids.distribute import ShardedPoints
from centroids.kernels import in_usual_float_mode, l2_normalize
from centroids.keyed_permutation import KeyedPermutation
from centroids.rows import dense

_ROWS_FOR_EACH_CLUSTER = 10  # from one reassignment to the next


def is_reassignment_due(
    state: ClusterState, num_rows: int, step: int, *, initial_count: int = 0
) -> bool:
    """Whether a mini-batch is to be followed by a reassignment.

    It is as long as a cluster has had no point, and each time that 10 k rows have gone by, where
    all batches have as many rows as this one. It follows from the number of the step: there is
    nothing to remember.

    Args:
        state: The state before the batch.
        num_rows: The rows of the batch, without those of weight 0.
        step: How many batches there were before.
        initial_count: What the counts began with.

    >>> is_reassignment_due(ClusterState(np.eye(2), np.array([7, 9]), np.eye(2), 0), 8, step=2)
    True
    """
    if (state.counts <= initial_count).any():
        return True
    period = -(-_ROWS_FOR_EACH_CLUSTER * len(state.counts) // max(num_rows, 1))
    return (step + 1) % period == 0


def rows_with_weight(
    points: AnyPoints, weights: NDArray[np.float64] | None = None
) -> NDArray[np.intp]:
    """The rows that count: all, or those whose weight is not 0. Points in shards have theirs."""
    if isinstance(points, ShardedPoints):
        weights = weights_of_shards(points)
    return np.arange(points.shape[0]) if weights is None else np.flatnonzero(weights)


@in_usual_float_mode
def reassign_low_count_centers(
    state: ClusterState,
    points: AnyPoints,
    ratio: float,
    *,
    key: Sequence[int],
    cosine: bool = False,
    weights: NDArray[np.float64] | None = None,
    initial_count: int = 0,
) -> ClusterState:
    """Moves centers of clusters that have had few points to points of the batch, drawn at random.

    They are those with fewer points than the share `ratio` of what the largest cluster has had, at
    most half as many as there are rows in the batch. Rows are drawn without replacement, all with
    the same probability, and the counts become the lowest one of the other clusters, so that the
    centers are not moved again at once.

    Args:
        state: The state after the update by the batch.
        points: [n, d], the batch.
        ratio: From 0 to 1.
        key: Integers from 0 up, such as a seed and the number of the step: rows that are drawn
            depend on nothing else but n.
        cosine: The distance is cosine: rows are L2-normalised. Where a zero vector is drawn, the
            center stays.
        weights: [n], how much each row counts; None: once. Of points in shards they are with them.
            Rows of weight 0 are as good as not there; among the others weights do not matter.
        initial_count: What the counts began with, which is no point.

    Returns:
        The new state; `state` itself if no center was moved.

    Source: this is what scikit-learn's MiniBatchKMeans does by its reassignment_ratio.

    >>> state = ClusterState(np.array([[0.0], [99.0]]), np.array([500, 1]), np.zeros((2, 1)), 0)
    >>> after = reassign_low_count_centers(state, np.array([[7.0], [7.0]]), 0.01, key=(0, 3))
    >>> after.centers.tolist(), after.counts.tolist()
    ([[0.0], [7.0]], [500, 500])
    """
    seen = np.maximum(state.counts - initial_count, 0)
    low = seen < ratio * seen.max()
    candidates = rows_with_weight(points, weights)
    most = candidates.size // 2
    if low.sum() > most:
        low[np.argsort(seen, kind="stable")[most:]] = False
    clusters = np.flatnonzero(low)
    if not clusters.size or low.all():
        return state
    drawn = KeyedPermutation(candidates.size, key)(np.arange(clusters.size))
    rows = dense(rows_by_number(points, candidates[drawn]))
    if cosine:
        has_direction = rows.any(axis=1)
        clusters, rows = clusters[has_direction], l2_normalize(rows[has_direction])
        if not clusters.size:
            return state
    centers, counts = state.centers.copy(), state.counts.copy()
    centers[clusters] = rows
    counts[clusters] = state.counts[~low].min()
    return ClusterState(centers, counts, centers, state.steps_in_iteration)
