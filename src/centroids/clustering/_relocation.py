"""Centers of clusters without points, moved to where points are far from any center."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids import kernels
from centroids.clustering._sharded import (
    AnyPoints,
    memory_of,
    partial_assignment,
    weights_of_shards,
)
from centroids.distribute import Part, ShardedPoints
from centroids.kernels import in_usual_float_mode
from centroids.rows import dense, is_sparse

_BLOCK_ROWS = 1 << 18
_MOST_ROUNDINGS = 4  # of a mean of equal points


def relocate_empty_clusters(
    points: AnyPoints,
    centers: NDArray[Any],
    assignment: kernels.Assignment,
    *,
    cosine: bool = False,
    weights: NDArray[np.float64] | None = None,
    memory: kernels.AssignmentMemory | None = None,
) -> kernels.Assignment:
    """Gives each cluster without points the point that is farthest from its own center.

    Such a point leaves the cluster that it was in: its values and its count are taken out of that
    one's, exactly. The lowest empty cluster gets the farthest point, the next one the second, and
    so on; of equal distances the lowest row comes first. A point that is where its center is, as
    far as rounding lets it be, helps nobody: where there are no others, clusters stay empty.

    The sum of the distances to means of what is returned is never larger than to those of what was
    given. It depends on the points and their order alone, to the bit: not on how they are divided.

    Args:
        points: [n, d]; those that were assigned.
        centers: [k, d]; those that they were assigned to.
        assignment: Of all the points to the centers, with sums and counts. Labels are used if it
            has them.
        cosine: The distance is cosine. Zero vectors have no direction, and are not taken.
        weights: Those of the assignment, [n]; None: every point once. Points in shards have theirs
            with them. A point takes its weight along, and one without weight is not taken.
        memory: That of the assignment, or None.

    Returns:
        The assignment with the sums and counts that new centers are made of; labels and inertia are
        those that were given. If no cluster gets a point, it is `assignment` itself.

    Raises:
        ValueError: If the assignment has no sums and counts.

    Source: this is how scikit-learn's KMeans treats empty clusters, which leaves the order among
    several of them open.

    >>> points, centers = np.array([[0.0], [1.0], [8.0]]), np.array([[1.0], [99.0]])
    >>> assignment = kernels.assign(points, centers, update=True)
    >>> relocated = relocate_empty_clusters(points, centers, assignment)
    >>> relocated.sums.tolist(), relocated.counts.tolist()
    ([[1.0], [8.0]], [2, 1])
    """
    if assignment.counts is None:
        raise ValueError("assignment has no sums and counts: call assign(..., update=True)")
    empty = np.flatnonzero(assignment.counts == 0)
    if not empty.size:
        return assignment
    far = _find_farthest(points, centers, assignment, empty.size, cosine, weights, memory).rows
    if far.size:
        far = far[_are_apart(rows_by_number(points, far), centers, cosine)]
    if not far.size:
        return assignment
    return _move(far, empty, points, centers, assignment, cosine, weights, memory)


def _move(
    rows: NDArray[np.int64],
    empty: NDArray[np.intp],
    points: AnyPoints,
    centers: NDArray[Any],
    assignment: kernels.Assignment,
    cosine: bool,
    weights: NDArray[np.float64] | None,
    memory: kernels.AssignmentMemory | None,
) -> kernels.Assignment:
    """The assignment where these rows are the only points of empty clusters."""
    taken = rows_by_number(points, rows)
    if isinstance(points, ShardedPoints):
        own = weights_of_shards(points[rows])
    else:
        own = None if weights is None else weights[rows]
    every = partial_assignment(points, centers, cosine=cosine, weights=weights, memory=memory)
    rest = (every - kernels.assign_partial(taken, centers, cosine=cosine, weights=own)).finish()
    assert rest.sums is not None and rest.counts is not None
    counts = rest.counts.copy()
    for place in range(rows.size):
        weight = None if own is None else own[[place]]
        alone = kernels.assign(
            taken[[place]], centers[:1], cosine=cosine, update=True, weights=weight
        )
        assert alone.sums is not None and alone.counts is not None
        rest.sums[empty[place]], counts[empty[place]] = alone.sums[0], alone.counts[0]
    return dataclasses.replace(assignment, sums=rest.sums, counts=counts)


@dataclass(frozen=True)
class _Farthest:
    """The rows of the largest distances, in falling order; those of parts add up.

    Attributes:
        most: How many rows are wanted.
        distances: [m], all above 0, m up to `most`.
        rows: [m], their numbers among all.
    """

    most: int
    distances: NDArray[np.float64]
    rows: NDArray[np.int64]

    @classmethod
    @in_usual_float_mode
    def of(cls, most: int, distances: NDArray[np.float64], rows: NDArray[np.int64]) -> _Farthest:
        """The farthest of some rows."""
        may_be = distances > 0
        if may_be.sum() > most:
            may_be &= distances >= np.partition(distances, -most)[-most]
        distances, rows = distances[may_be], rows[may_be]
        order = np.lexsort((rows, -distances))[:most]
        return cls(most, distances[order], rows[order])

    def __add__(self, other: _Farthest) -> _Farthest:
        """The farthest of the rows of both."""
        distances = np.concatenate([self.distances, other.distances])
        return self.of(self.most, distances, np.concatenate([self.rows, other.rows]))


def _find_farthest(
    points: AnyPoints,
    centers: NDArray[Any],
    assignment: kernels.Assignment,
    most: int,
    cosine: bool,
    weights: NDArray[np.float64] | None,
    memory: kernels.AssignmentMemory | None,
) -> _Farthest:
    if isinstance(points, ShardedPoints):
        remember = memory is not None and points.is_whole
        found: _Farthest = points.fold(_farthest_of_part, centers, most, cosine, remember)
        return found
    labels = assignment.cluster_index
    if labels.size != kernels.num_rows(points):
        labels = kernels.assign(points, centers, cosine=cosine, memory=memory).cluster_index
    rows = np.arange(labels.size)
    return _farthest_of(points, centers, labels, rows, weights, most, cosine)


def _farthest_of_part(
    part: Part, centers: NDArray[Any], most: int, cosine: bool, remember: bool
) -> _Farthest:
    memory = memory_of(part, remember)
    labels = kernels.assign(part.points, centers, cosine=cosine, memory=memory).cluster_index
    return _farthest_of(part.points, centers, labels, part.rows, part.weights, most, cosine)


def _farthest_of(
    points: kernels.Points,
    centers: NDArray[Any],
    labels: NDArray[np.int32],
    rows: NDArray[np.int64],
    weights: NDArray[np.float64] | None,
    most: int,
    cosine: bool,
) -> _Farthest:
    """Of points by blocks, as distances in float64 may be larger than the points."""
    farthest = _Farthest(most, np.empty(0), np.empty(0, np.int64))
    for at in range(0, labels.size, _BLOCK_ROWS):
        block = slice(at, at + _BLOCK_ROWS)
        distances = kernels.distances_to_assigned(
            points[block], centers, labels[block], cosine=cosine
        )
        if weights is not None:
            distances[weights[block] == 0] = 0  # as good as not there
        farthest += _Farthest.of(most, distances, rows[block])
    return farthest


@in_usual_float_mode
def _are_apart(rows: kernels.Points, centers: NDArray[Any], cosine: bool) -> NDArray[np.bool_]:
    """Which rows are not where their centers are: the mean of equal points may differ from them.

    Without this, clusters that are one too many would be moved to and fro for ever.
    """
    own = centers[kernels.assign(rows, centers, cosine=cosine, inertia=False).cluster_index].astype(
        np.float64
    )
    types = (kernels.result_dtype(rows), kernels.result_dtype(centers))
    epsilon = max(float(np.finfo(dtype).eps) for dtype in types)
    wide = dense(rows).astype(np.float64)
    if cosine:
        own, wide = kernels.l2_normalize(own), kernels.l2_normalize(wide)
    apart = np.abs(wide - own).max(axis=1)
    return np.asarray(apart > _MOST_ROUNDINGS * epsilon * np.abs(wide).max(axis=1))


def rows_by_number(points: AnyPoints, rows: NDArray[np.int64]) -> kernels.Points:
    """Rows by their numbers, in this process and in this order."""
    if isinstance(points, ShardedPoints):
        return points[rows].gather()
    return points[rows] if is_sparse(points) else np.asarray(points)[rows]
