"""Assignment of points wherever they are: in this process, or in shards on workers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids import kernels
from centroids.distribute import Part, ShardedPoints

AnyPoints = kernels.Points | ShardedPoints


def assign(
    points: AnyPoints,
    centers: NDArray[Any],
    *,
    cosine: bool = False,
    update: bool = False,
    labels: bool = True,
    memory: kernels.AssignmentMemory | None = None,
) -> kernels.Assignment:
    """As `kernels.assign`; of points in shards only sums, counts and inertia travel, no labels.

    Sums have no order, so that what is returned is equal to the bit wherever the points are.
    """
    if not isinstance(points, ShardedPoints):
        return kernels.assign(
            points, centers, cosine=cosine, update=update, labels=labels, memory=memory
        )
    remember = memory is not None and points.is_whole
    partial = points.fold(_assign_part, centers, cosine, update, remember)
    found: kernels.Assignment = partial.finish()
    return found


def cluster_index(
    points: ShardedPoints, centers: NDArray[Any], *, cosine: bool = False
) -> NDArray[np.int32]:
    """The labels of points in shards, [n], in this process."""
    index: NDArray[np.int32] = points.map(_index_of_part, centers, cosine)
    return index


def all_distances(
    points: AnyPoints, centers: NDArray[Any], *, cosine: bool = False
) -> NDArray[Any]:
    """As `kernels.all_distances`."""
    if not isinstance(points, ShardedPoints):
        return kernels.all_distances(points, centers, cosine=cosine)
    distances: NDArray[Any] = points.map(_distances_of_part, centers, cosine)
    return distances


def _assign_part(
    part: Part, centers: NDArray[Any], cosine: bool, update: bool, remember: bool
) -> kernels.PartialAssignment:
    memory = None
    if remember and part.stays:
        memory = part.kept.setdefault("assignment", kernels.AssignmentMemory())
    return kernels.assign_partial(part.points, centers, cosine=cosine, update=update, memory=memory)


def _index_of_part(part: Part, centers: NDArray[Any], cosine: bool) -> NDArray[np.int32]:
    return kernels.assign(part.points, centers, cosine=cosine).cluster_index


def _distances_of_part(part: Part, centers: NDArray[Any], cosine: bool) -> NDArray[Any]:
    return kernels.all_distances(part.points, centers, cosine=cosine)
