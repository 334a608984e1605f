"""What the event files of a k-means model say besides its loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from centroids.clustering import ClusterState
from centroids.estimator import Batch, BatchFunction
from centroids.kernels import Assignment, Counts, in_usual_float_mode

CLUSTER_SIZES = "cluster_sizes"
# What TensorBoard calls summaries and metrics. What stands before a slash is a group; HPARAMS ticks
# the first five by the alphabet, so that loss and mean distance come before the rest.
TAGS = {
    "mean_distance": "loss/mean_distance",
    "empty_clusters": "model/empty_clusters",
    "center_shift": "model/center_shift",
    "relocated_clusters": "model/relocated_clusters",
    "reassigned_clusters": "model/reassigned_clusters",
    CLUSTER_SIZES: "model/cluster_sizes",
    "num_examples": "rows/number",
    "total_weight": "rows/total_weight",
}


@dataclass(frozen=True)
class TrainingSummaries:
    """Functions of the batches of a training run.

    Attributes:
        assignment: The assigned batch, with counts.
        states: The states before and after the update of the batch.
        batches_per_update: None for full batches, 1 for mini-batches, more for several mini-batches
            to an iteration.
    """

    assignment: Callable[[Batch], Assignment]
    states: Callable[[Batch], tuple[ClusterState, ClusterState]]
    batches_per_update: int | None

    def scalars(self) -> dict[str, BatchFunction]:
        """The scalars by tag."""
        return {"empty_clusters": self.num_empty_clusters, "center_shift": self.center_shift}

    def histograms(self) -> dict[str, BatchFunction]:
        """The arrays whose histograms are written, by tag."""
        return {CLUSTER_SIZES: self.cluster_sizes}

    def cluster_sizes(self, batch: Batch) -> Counts:
        """How many points each cluster has had.

        Returns:
            [k]: for full batches the points of the step, for mini-batches those of all steps so
            far, for several mini-batches to an iteration those of the iteration so far.
        """
        counts = batch.get(self.assignment).counts
        assert counts is not None  # as in every training
        before, _ = batch.get(self.states)
        if self.batches_per_update is None:
            return counts
        if self.batches_per_update == 1:
            # The initial center counts as one point in an update, but it is not one.
            return np.maximum(before.counts - 1, 0) + counts
        return before.counts + counts if before.steps_in_iteration else counts

    def num_empty_clusters(self, batch: Batch) -> int:
        """How many clusters have the size 0."""
        return int((batch.get(self.cluster_sizes) == 0).sum())

    def center_shift(self, batch: Batch) -> float:
        """How far the centers have moved."""
        return center_shift(*batch.get(self.states))


@in_usual_float_mode
def center_shift(before: ClusterState, after: ClusterState) -> float:
    """sqrt(sum_c |x_c - y_c|^2): how far the centers have moved together.

    It is the Frobenius norm of the change, in float64. x are the centers that the step used, y what
    it made of them; with several batches to an iteration, what the iteration has gathered so far.

    >>> from centroids.clustering._state import initial_state
    >>> old = initial_state(np.array([[0.0, 0.0], [1.0, 1.0]]))
    >>> new = initial_state(np.array([[3.0, 0.0], [1.0, 5.0]]))
    >>> center_shift(old, new)
    5.0
    """
    with np.errstate(over="ignore"):
        change = np.subtract(after.updated_centers, before.centers, dtype=np.float64)
    # Scaled by the largest element first, so that squares neither overflow nor vanish.
    largest = float(np.abs(change).max(initial=0))
    if largest == 0 or not np.isfinite(largest):
        return largest
    # Not by numpy.linalg.norm: the threads of its BLAS would go on spinning on the kernels' CPUs.
    return largest * float(np.sqrt(np.square(change / largest).sum()))
