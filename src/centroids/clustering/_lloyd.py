"""Iterations of Lloyd's algorithm over one batch, for those who decide themselves when to stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids import kernels
from centroids.clustering._relocation import relocate_empty_clusters
from centroids.clustering._sharded import AnyPoints, assign
from centroids.clustering._state import ClusterState
from centroids.clustering._update import full_batch_update


def lloyd_iterations(
    points: AnyPoints,
    centers: NDArray[Any],
    *,
    memory: kernels.AssignmentMemory,
    cosine: bool = False,
    labels: bool = False,
    weights: NDArray[np.float64] | None = None,
    relocate: bool = False,
) -> Iterator[tuple[kernels.Assignment, NDArray[Any]]]:
    """Iterates without an end.

    Args:
        points: [n, d].
        centers: [k, d], the first ones.
        memory: What is remembered of the points between iterations.
        cosine: The distance is cosine.
        labels: Also find labels.
        weights: [n], of the rows; None: 1. Points in shards have theirs with them.
        relocate: Empty clusters take the farthest points.

    Yields:
        The assignment of an iteration, and the centers that it leads to.

    >>> points, centers = np.array([[0.0], [2.0], [9.0]]), np.array([[0.0], [3.0]])
    >>> found = lloyd_iterations(points, centers, memory=kernels.AssignmentMemory())
    >>> [next(found)[1].ravel().tolist() for _ in range(3)]
    [[0.0, 5.5], [1.0, 9.0], [1.0, 9.0]]
    """
    while True:
        found = assign(
            points,
            centers,
            cosine=cosine,
            update=True,
            labels=labels,
            weights=weights,
            memory=memory,
        )
        assert found.counts is not None, "an update was asked for"
        state, living = ClusterState(centers, found.counts, centers, 0), found
        if relocate and not found.counts.all():
            living = relocate_empty_clusters(
                points, centers, found, cosine=cosine, weights=weights, memory=memory
            )
        centers = full_batch_update(state, living, cosine=cosine).centers
        yield found, centers
