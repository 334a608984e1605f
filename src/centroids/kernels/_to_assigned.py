"""How far each point is from the one center that it was assigned to."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.kernels import _native
from centroids.kernels.dense_or_sparse import (
    Points,
    check_points,
    dense_parts,
    is_sparse,
    num_rows,
)
from centroids.kernels.float_mode import in_usual_float_mode
from centroids.kernels.functions import prepare_centers

_BLOCK_ELEMENTS = 1 << 20


@in_usual_float_mode
def distances_to_assigned(
    points: Points,
    centers: NDArray[Any],
    cluster_index: NDArray[np.int32],
    *,
    cosine: bool = False,
) -> NDArray[np.float64]:
    """The squared distance of each point to its center.

    The distance of a row depends on the row and its center alone, to the bit: not on the rows
    around it, threads or instruction sets. Of dense points it is a sum of squared differences; of
    sparse ones it is |c|^2 + sum of (x_j - c_j)^2 - c_j^2 over the entries of the row.

    Args:
        points: [n, d], dense of any real type or compressed sparse rows.
        centers: [k, d].
        cluster_index: [n], the center of each point.
        cosine: Of L2-normalised vectors, which is twice the cosine distance. A zero vector has the
            distance 0: no center is nearer to it than another one.

    Returns:
        [n] float64.

    >>> points, centers = np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[0.0, 0.0], [9.0, 9.0]])
    >>> distances_to_assigned(points, centers, np.array([0, 0], np.int32)).tolist()
    [25.0, 1.0]
    """
    points = check_points(points)
    prepared, _ = prepare_centers(points, centers, cosine)
    labels = np.ascontiguousarray(cluster_index, np.int32)
    if is_sparse(points):
        return _of_sparse(points, prepared.astype(np.float64), labels, cosine)
    distances = np.empty(num_rows(points))
    vectors = np.ascontiguousarray(centers, prepared.dtype)  # normalised there
    _native.distances_to(*dense_parts(points), cosine, vectors, labels, distances)
    if cosine:
        distances[~_any_in_rows(points)] = 0
    return distances


def _of_sparse(
    points: Any, centers: NDArray[np.float64], labels: NDArray[np.int32], cosine: bool
) -> NDArray[np.float64]:
    count = points.shape[0]
    row_of = np.repeat(np.arange(count), np.diff(points.indptr))
    values = points.data.astype(np.float64)
    if cosine:
        largest = np.zeros(count)
        np.maximum.at(largest, row_of, np.abs(values))
        values /= np.where(largest == 0, 1, largest)[row_of]
        lengths = np.sqrt(np.bincount(row_of, np.square(values), minlength=count))
        values /= np.where(lengths == 0, 1, lengths)[row_of]
    own = centers[labels[row_of], points.indices]
    # bincount adds up one after the other, so that a row has the same sum wherever it stands.
    changes = np.bincount(row_of, np.square(values - own) - np.square(own), minlength=count)
    distances = np.maximum(np.square(centers).sum(axis=1)[labels] + changes, 0)
    if cosine:
        distances[largest == 0] = 0
    return np.asarray(distances)


def _any_in_rows(points: NDArray[Any]) -> NDArray[np.bool_]:
    """Which dense rows are not zero vectors, without a temporary of the size of the points."""
    found = np.zeros(len(points), bool)
    size = max(_BLOCK_ELEMENTS // points.shape[1], 1)
    for at in range(0, len(points), size):
        found[at : at + size] = (points[at : at + size] != 0).any(axis=1)
    return found
