"""What the algorithm carries from one batch to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.kernels import Counts


@dataclass(frozen=True)
class ClusterState:
    """The centers and what their next update needs. Updates return a new state.

    Attributes:
        centers: [k, d], the centers that points are assigned to.
        counts: [k] int64, how many points each center stands for, or float64, the sum of their
            weights, once there were weights: all points seen so far for
            mini-batches, those of the iteration (until the next one begins) for several
            mini-batches per iteration, those of the last batch for full batches.
        updated_centers: [k, d], where an iteration of several mini-batches gathers its updates;
            equal to `centers` otherwise.
        steps_in_iteration: How many mini-batches the current iteration has had.
    """

    centers: NDArray[Any]
    counts: Counts
    updated_centers: NDArray[Any]
    steps_in_iteration: int


def initial_state(centers: NDArray[Any], steps_per_iteration: int = 1) -> ClusterState:
    """The state before the first batch.

    Args:
        centers: [k, d], the initial centers.
        steps_per_iteration: Mini-batches per iteration. With 1 every center counts as one point
            seen, so that the first batch does not sweep it away; with more the counts start at 0.
    """
    counts = np.full(centers.shape[0], 1 if steps_per_iteration == 1 else 0, np.int64)
    return ClusterState(centers, counts, centers, 0)
