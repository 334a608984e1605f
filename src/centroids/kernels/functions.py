"""The k-means kernels: assignment, update, and all distances.

Distances are squared Euclidean, or cosine: 1 - cos(x, c), where a zero vector is at distance 1
from everything. Labels are exact: nearest in exact arithmetic, the lowest index on ties, whatever
the instruction set, the layout, the batch, the tile sizes and the number of threads. For cosine
they are those of the distances that `all_distances` gives.
"""

from __future__ import annotations

import logging
import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from centroids.kernels import _native
from centroids.kernels._nonfinite import NonFiniteError, raise_if_bad
from centroids.kernels._partial import Assignment, ExactSums, PartialAssignment, rounded_sums
from centroids.kernels._search_log import describe_search
from centroids.kernels._weights import check_weights
from centroids.kernels.dense_or_sparse import (
    Points,
    Sparse,
    check_points,
    dense_parts,
    is_real,
    is_sparse,
    num_rows,
    result_dtype,
)
from centroids.kernels.float_mode import in_usual_float_mode
from centroids.kernels.normalization import l2_normalize

AssignmentMemory = _native.AssignmentMemory
"""What an assignment remembers for the next one with the same points: bounds, labels and sums."""

Search = Literal[
    "automatic", "panels", "lanes", "words", "grid", "float_filter", "byte_filter", "axes_filter"
]

_SEARCHES = _native.Search.__members__

_log = logging.getLogger(__name__)


@in_usual_float_mode
def assign(
    points: Points,
    centers: NDArray[Any],
    *,
    cosine: bool = False,
    update: bool = False,
    labels: bool = True,
    inertia: bool = True,
    weights: ArrayLike | None = None,
    memory: AssignmentMemory | None = None,
    same_points: bool = False,
    search: Search = "automatic",
    block_rows: int = 0,
) -> Assignment:
    r"""Finds argmin_c |x - c|^2 for every point x, and what an update of the centers needs.

    The scores |c|^2 - 2xc are taken in the precision of the points, points and centers shifted by
    the mean of the centers, in a register tile that keeps the two lowest; where these are closer
    than the rounding bound, the centers in question are compared again in float64 by direct
    differences.

    Args:
        points: [n, d], dense of any real type or compressed sparse rows. Neither is converted as
            a whole.
        centers: [k, d], k at least 1.
        cosine: Use the cosine distance.
        update: Also return sums and counts.
        labels: Whether the indices are wanted. In few dimensions they are as large as the points.
        inertia: Whether the sum of distances is wanted: else it is NaN, and labels of dense points
            come sooner, by up to a sixth in few dimensions.
        weights: [n], how much each point counts in sums, counts and inertia: 2 as much as two
            equal points, 0 as none. Labels do not depend on them. None: every point once.
        memory: Pass the same one whenever the same points are assigned again, as in the iterations
            of Lloyd's algorithm: the bounds it keeps save most of the work while the centers move
            little. Results are the same with any memory or none; with other points it starts over.
            It takes up to two fifths of the size of the points.
        same_points: A promise that the points are those of the last call with this memory, to the
            bit. Then only those are read whose label or distance may have changed; otherwise all
            are read, to see whether they are the same. A broken promise gives wrong results.
        search: Forces one of the kernels, for tests and measurements. A grid needs one to three
            dimensions and the squared Euclidean distance; "lanes" stands in elsewhere. "words"
            needs an instruction set that has it, and centers that words can hold.
        block_rows: Forces the number of rows in a block, likewise; 0 chooses.

    Raises:
        NonFiniteError: If a point has a NaN, an infinity, or no finite distance, whatever its
            weight.
        ValueError: If the widths differ or there is no center; or if a weight is negative, NaN or
            infinite, there are not n of them, or one is so large that its product with a value or
            a squared distance overflows.

    Source: the shift and the two-stage search are described in docs/decisions/exact-labels.md; the
    bound is the textbook one for inner products (Higham, Accuracy and Stability of Numerical
    Algorithms, 2nd ed., section 3.1).

    >>> import numpy as np
    >>> result = assign(np.array([[0.0], [1.0], [9.0]]), np.array([[0.0], [10.0]]), update=True)
    >>> result.cluster_index.tolist(), result.inertia
    ([0, 0, 1], 2.0)
    >>> result.sums.tolist(), result.counts.tolist()
    ([[1.0], [9.0]], [2, 1])
    >>> heavier = assign(np.array([[0.0], [1.0]]), np.zeros((1, 1)), update=True, weights=[1, 2.5])
    >>> heavier.sums.tolist(), heavier.counts.tolist(), heavier.inertia
    ([[2.5]], [3.5], 2.5)
    """
    points = check_points(points)
    cluster_index = np.empty(num_rows(points) if labels else 0, np.int32)
    sums = np.empty(centers.shape if centers.ndim == 2 else (0, 0)) if update else None
    counts, own_weights, weight_sums = _counts_for(points, centers, update, weights)
    total: float = _assign(
        points,
        centers,
        cosine,
        cluster_index if labels else None,
        None,
        sums,
        counts,
        inertia,
        True,
        memory,
        same_points,
        search,
        block_rows,
        own_weights,
        weight_sums,
    )
    total = (total / 2 if cosine else total) if inertia else math.nan
    counted = counts if weight_sums is None else rounded_sums(weight_sums)[:, 0]
    return Assignment(cluster_index, total, sums, counted)


@in_usual_float_mode
def assign_partial(
    points: Points,
    centers: NDArray[Any],
    *,
    cosine: bool = False,
    update: bool = True,
    weights: ArrayLike | None = None,
    memory: AssignmentMemory | None = None,
    same_points: bool = False,
    search: Search = "automatic",
    block_rows: int = 0,
) -> PartialAssignment:
    """What some points contribute to the assignment of all of them: `assign` without its end.

    Partial results of any division of the points, added in any order, give the bits of `assign`,
    as long as all are computed in one type, that of `common_dtype`: give the centers in the type
    that all points together ask for.

    Args:
        points: Some of the points, as for `assign`; there may be none.
        centers: [k, d], k at least 1.
        cosine: Use the cosine distance.
        update: Also find sums and counts.
        weights: As for `assign`, [n]. Results with weights and without do not add up.
        memory: As for `assign`, one for each share of the points.
        same_points: As for `assign`.
        search: As for `assign`.
        block_rows: As for `assign`.

    Raises:
        NonFiniteError: As `assign`.
        ValueError: As `assign`.

    >>> import numpy as np
    >>> points, centers = np.array([[0.0], [1.0], [9.0]]), np.array([[0.0], [10.0]])
    >>> parts = [assign_partial(share, centers) for share in (points[2:], points[:2])]
    >>> sum(parts).finish().inertia == assign(points, centers).inertia
    True
    """
    points = check_points(points)
    sums = ExactSums() if update else None
    counts, own_weights, weight_sums = _counts_for(points, centers, update, weights)
    total: _native.ExactTotal = _assign(
        points,
        centers,
        cosine,
        None,
        sums,
        None,
        counts,
        True,
        False,
        memory,
        same_points,
        search,
        block_rows,
        own_weights,
        weight_sums,
    )
    # The kernels' squared distances of unit vectors are twice the cosine distances; both are
    # multiples of the unit.
    inertia = int.from_bytes(total.to_bytes(), "little", signed=True) >> int(cosine)
    return PartialAssignment(
        num_rows(points), inertia, sums, counts if weight_sums is None else weight_sums
    )


def _counts_for(
    points: Points, centers: NDArray[Any], update: bool, weights: ArrayLike | None
) -> tuple[NDArray[np.int64] | None, NDArray[np.float64] | None, ExactSums | None]:
    """What an update counts points in, their weights, and what it adds up these in."""
    if weights is None:
        num_clusters = centers.shape[0] if centers.ndim else 0
        return np.zeros(num_clusters, np.int64) if update else None, None, None
    return None, check_weights(weights, num_rows(points)), ExactSums() if update else None


def _assign(
    points: Points,
    centers: NDArray[Any],
    cosine: bool,
    cluster_index: NDArray[np.int32] | None,
    sums: ExactSums | None,
    rounded: NDArray[np.float64] | None,
    counts: NDArray[np.int64] | None,
    inertia: bool,
    finish: bool,
    memory: AssignmentMemory | None,
    same_points: bool,
    search: Search,
    block_rows: int,
    weights: NDArray[np.float64] | None,
    weight_sums: ExactSums | None,
) -> Any:
    """Fills what is not None; returns the sum of squared distances, rounded if `finish`."""
    prepared, penalties, units = _centers_of_kernels(points, centers, cosine)
    if is_sparse(points):
        if cluster_index is None:
            cluster_index = np.empty(num_rows(points), np.int32)
        bad_row, total = _native.assign_sparse(
            *_sparse_parts(points),
            cosine,
            prepared,
            penalties,
            units,
            cluster_index,
            sums,
            rounded,
            counts,
            finish,
            weights,
            weight_sums,
        )
    else:
        answer = _native.assign(
            *dense_parts(points),
            cosine,
            prepared,
            penalties,
            units,
            cluster_index,
            sums,
            rounded,
            counts,
            inertia,
            finish,
            _SEARCHES[search],
            block_rows,
            memory,
            same_points,
            weights,
            weight_sums,
        )
        bad_row, total = answer[:2]
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("%s", describe_search(points, len(prepared), *answer[2:]))
    _raise_if_refused(points, centers, cosine, bad_row, weights)
    return total


def _raise_if_refused(
    points: Points,
    centers: NDArray[Any],
    cosine: bool,
    row: int,
    weights: NDArray[np.float64] | None,
) -> None:
    """Raises what is wrong with a row that the extension refused, or with its weight; -1 is none.

    Raises:
        NonFiniteError: If the row has no finite distance, whatever its weight.
        ValueError: If the row is fine but for its weight.
    """
    if weights is None or row < 0:
        return raise_if_bad(points, row)
    try:
        assign(points[[row]], centers, cosine=cosine)
    except NonFiniteError:
        return raise_if_bad(points, row)
    raise ValueError(
        f"weights are too large: {weights[row]} times a value or a squared distance overflows "
        f"float64 at row {row}; scale the weights down"
    )


@in_usual_float_mode
def all_distances(points: Points, centers: NDArray[Any], *, cosine: bool = False) -> NDArray[Any]:
    """The distance of every point to every center: squared Euclidean, or cosine.

    Args:
        points: [n, d], dense of any real type or compressed sparse rows.
        centers: [k, d], k at least 1.
        cosine: Use the cosine distance.

    Returns:
        [n, k] in float64 if `common_dtype` is, else float32. Sums of squared differences
        for dense points: the relative error is a few roundings wherever the data sits.

    Raises:
        NonFiniteError: If a point has a NaN, an infinity, or no finite distance.
        ValueError: If the widths differ or there is no center.

    >>> import numpy as np
    >>> all_distances(np.array([[3.0, 4.0]]), np.array([[0.0, 0.0], [3.0, 5.0]])).tolist()
    [[25.0, 1.0]]
    """
    points = check_points(points)
    prepared, penalties, units = _centers_of_kernels(points, centers, cosine)
    distances = np.empty((num_rows(points), prepared.shape[0]), prepared.dtype)
    if is_sparse(points):
        bad_row = _native.all_distances_sparse(
            *_sparse_parts(points), cosine, prepared, penalties, units, distances
        )
    else:
        bad_row = _native.all_distances(
            *dense_parts(points), cosine, prepared, penalties, units, distances
        )
    raise_if_bad(points, bad_row, distances.dtype.name)
    return np.multiply(distances, 0.5, out=distances) if cosine else distances


def common_dtype(points: Points, centers: NDArray[Any]) -> np.dtype[Any]:
    """The type that points and centers are computed in: float64 if that of one of them is."""
    return np.result_type(result_dtype(points), result_dtype(centers))


def prepare_centers(
    points: Points, centers: NDArray[Any], cosine: bool
) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
    """Centers in the kernels' type; for cosine normalised, with a penalty of 1 on zero centers.

    A zero center is at cosine distance 1, which is a squared distance of 2 to a unit vector: one
    more than the squared length of the vector itself.

    Args:
        points: [n, d], of which only the width and the type count.
        centers: [k, d], k at least 1.
        cosine: Whether the distance is cosine.

    Returns:
        [k, d] float32 or float64, in rows one after the other; and [k] float64, what to add to the
        squared distances to each center, or None for nothing.

    Raises:
        TypeError: If the elements of the centers are not real numbers.
        ValueError: If the widths differ or there is no center.
    """
    return _centers_of_kernels(points, centers, cosine)[:2]


def _centers_of_kernels(
    points: Points, centers: NDArray[Any], cosine: bool
) -> tuple[NDArray[Any], NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """As `prepare_centers`; and for cosine the unit vectors in float64, which decide on labels."""
    _check_centers(points, centers)
    dtype = common_dtype(points, centers)
    if not cosine:
        return np.ascontiguousarray(centers, dtype), None, None
    units = np.ascontiguousarray(l2_normalize(centers))
    normalized: NDArray[Any] = units.astype(dtype, copy=False)
    zero = (normalized == 0).all(axis=1)
    return normalized, zero.astype(np.float64) if zero.any() else None, units


def _check_centers(points: Points, centers: NDArray[Any]) -> None:
    if not is_real(centers.dtype):
        raise TypeError(f"centers must hold real numbers, got elements of type {centers.dtype}")
    if centers.ndim != 2 or centers.shape[0] == 0:
        raise ValueError(
            f"centers must have the shape [k, d] with k at least 1; got {centers.shape}"
        )
    if points.shape[1] != centers.shape[1]:
        raise ValueError(f"points have {points.shape[1]} columns, centers have {centers.shape[1]}")


def _sparse_parts(points: Sparse) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    return points.data, points.indices, points.indptr
