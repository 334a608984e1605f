"""What the event files of a k-means say beside the loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from centroids.clustering import ClusterState


def cluster_sizes(
    before: ClusterState, batch_counts: NDArray[np.int64], batches_per_update: int | None
) -> NDArray[np.int64]:
    """How many points each cluster has had.

    Args:
        before: The state before the step.
        batch_counts: [k], the points of each cluster in the step.
        batches_per_update: None for full batches: the points of the step. 1 for mini-batches: those
            of all steps so far. More: those of the iteration so far.

    Returns:
        [k].
    """
    if batches_per_update is None:
        return batch_counts
    if batches_per_update == 1:
        # The initial center counts as one point in an update, but it is none.
        return np.maximum(before.counts - 1, 0) + batch_counts
    return before.counts + batch_counts if before.steps_in_iteration else batch_counts


def center_shift(before: ClusterState, after: ClusterState) -> float:
    """sqrt(sum_c |x_c - y_c|^2): how far the centers have moved together.

    It is the Frobenius norm of the change, in float64. x are the centers that the step used, y what
    it made of them; with several batches to an iteration, what the iteration has gathered so far.

    >>> from centroids.clustering.state import initial_state
    >>> old = initial_state(np.array([[0.0, 0.0], [1.0, 1.0]]))
    >>> new = initial_state(np.array([[3.0, 0.0], [1.0, 5.0]]))
    >>> center_shift(old, new)
    5.0
    """
    change = np.subtract(after.updated_centers, before.centers, dtype=np.float64)
    return float(np.linalg.norm(change))
