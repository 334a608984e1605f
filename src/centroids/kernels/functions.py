"""The k-means kernels: assignment, update, and all distances.

Distances are squared Euclidean, or cosine: 1 - cos(x, c), where a zero vector is at distance 1
from everything. Labels are exact: nearest in exact arithmetic, the lowest index on ties, whatever
the instruction set, the layout, the batch, the tile sizes and the number of threads. For cosine
they are those of the distances that `all_distances` gives.
"""

from __future__ import annotations

import logging
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from centroids.kernels import _native
from centroids.kernels._partial import Assignment, ExactSums, PartialAssignment
from centroids.kernels.dense_or_sparse import (
    Points,
    Sparse,
    check_points,
    element_type,
    is_real,
    is_sparse,
    num_rows,
    result_dtype,
)
from centroids.kernels.float_mode import in_usual_float_mode
from centroids.kernels.normalization import l2_normalize

AssignmentMemory = _native.AssignmentMemory

Search = Literal["automatic", "panels", "lanes", "grid", "float_filter", "byte_filter"]

_SEARCHES = _native.Search.__members__

_log = logging.getLogger(__name__)


class NonFiniteError(ValueError):
    """A point has no finite distance to any center.

    Attributes:
        row: The first such row.
        column: Its first column that is NaN or infinite; None when all are finite but so large
            that squared distances overflow.
        value: The value there.
        dtype: The type that squared distances overflow then.
    """

    def __init__(
        self, row: int, column: int | None, value: float | None, dtype: str = "float64"
    ) -> None:
        self.row, self.column, self.value, self.dtype = row, column, value, dtype
        place = f"row {row}" if column is None else f"row {row}, column {column}"
        what = (
            f"squared distances overflow {dtype}"
            if column is None
            else f"the value {value} is not finite"
        )
        super().__init__(f"{what} at {place}")


@in_usual_float_mode
def assign(
    points: Points,
    centers: NDArray[Any],
    *,
    cosine: bool = False,
    update: bool = False,
    labels: bool = True,
    memory: AssignmentMemory | None = None,
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
        memory: Pass the same one whenever the same points are assigned again, as in the iterations
            of Lloyd's algorithm: the bounds it keeps save most of the work while the centers move
            little. Results are the same with any memory or none; with other points it starts over.
            It takes up to a fifth of the size of the points.
        search: Forces one of the kernels, for tests and measurements. A grid needs one to three
            dimensions and the squared Euclidean distance; "lanes" stands in elsewhere.
        block_rows: Forces the number of rows in a block, likewise; 0 chooses.

    Raises:
        NonFiniteError: If a point has a NaN, an infinity, or no finite distance.
        ValueError: If the widths differ or there is no center.

    Source: the shift and the two-stage search are described in docs/decisions/exact-labels.md; the
    bound is the textbook one for inner products (Higham, Accuracy and Stability of Numerical
    Algorithms, 2nd ed., section 3.1).

    >>> import numpy as np
    >>> result = assign(np.array([[0.0], [1.0], [9.0]]), np.array([[0.0], [10.0]]), update=True)
    >>> result.cluster_index.tolist(), result.inertia
    ([0, 0, 1], 2.0)
    >>> result.sums.tolist(), result.counts.tolist()
    ([[1.0], [9.0]], [2, 1])
    """
    points = check_points(points)
    cluster_index = np.empty(num_rows(points) if labels else 0, np.int32)
    k, d = centers.shape if centers.ndim == 2 else (0, 0)
    sums = np.empty((k, d)) if update else None
    counts = np.zeros(k, np.int64) if update else None
    inertia: float = _assign(
        points,
        centers,
        cosine,
        cluster_index if labels else None,
        None,
        sums,
        counts,
        True,
        memory,
        search,
        block_rows,
    )
    return Assignment(cluster_index, inertia * (0.5 if cosine else 1.0), sums, counts)


@in_usual_float_mode
def assign_partial(
    points: Points,
    centers: NDArray[Any],
    *,
    cosine: bool = False,
    update: bool = True,
    memory: AssignmentMemory | None = None,
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
        memory: As for `assign`, one for each share of the points.
        search: As for `assign`.
        block_rows: As for `assign`.

    Raises:
        NonFiniteError: If a point has a NaN, an infinity, or no finite distance.
        ValueError: If the widths differ or there is no center.

    >>> import numpy as np
    >>> points, centers = np.array([[0.0], [1.0], [9.0]]), np.array([[0.0], [10.0]])
    >>> parts = [assign_partial(share, centers) for share in (points[2:], points[:2])]
    >>> sum(parts).finish().inertia == assign(points, centers).inertia
    True
    """
    points = check_points(points)
    sums = ExactSums() if update else None
    counts = np.zeros(centers.shape[0] if centers.ndim else 0, np.int64) if update else None
    total: _native.ExactTotal = _assign(
        points, centers, cosine, None, sums, None, counts, False, memory, search, block_rows
    )
    # The kernels' squared distances of unit vectors are twice the cosine distances; both are
    # multiples of the unit.
    inertia = int.from_bytes(total.to_bytes(), "little", signed=True) >> int(cosine)
    return PartialAssignment(num_rows(points), inertia, sums, counts)


def _assign(
    points: Points,
    centers: NDArray[Any],
    cosine: bool,
    cluster_index: NDArray[np.int32] | None,
    sums: ExactSums | None,
    rounded: NDArray[np.float64] | None,
    counts: NDArray[np.int64] | None,
    finish: bool,
    memory: AssignmentMemory | None,
    search: Search,
    block_rows: int,
) -> Any:
    """Fills what is not None; returns the sum of squared distances, rounded if `finish`."""
    prepared, penalties, units = _centers_of_kernels(points, centers, cosine)
    if is_sparse(points):
        if cluster_index is None:
            cluster_index = np.empty(num_rows(points), np.int32)
        bad_row, inertia = _native.assign_sparse(
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
            finish,
            _SEARCHES[search],
            block_rows,
            memory,
        )
        bad_row, inertia = answer[:2]
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("%s", _describe_search(points, len(prepared), *answer[2:]))
    raise_if_bad(points, bad_row)
    return inertia


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


def find_nonfinite(points: Points) -> NonFiniteError | None:
    """Looks for a NaN or an infinity, without a temporary of the size of the points.

    Returns:
        The error that describes the first one in row-major order, or None.

    >>> import numpy as np
    >>> print(find_nonfinite(np.array([[1.0, 2.0], [3.0, np.nan]])))
    the value nan is not finite at row 1, column 1
    """
    points = check_points(points)
    if points.dtype.kind in "iu":
        return None
    if is_sparse(points):
        bad = np.flatnonzero(~np.isfinite(points.data))
        row = int(np.searchsorted(points.indptr, bad[0], side="right")) - 1 if bad.size else -1
    else:
        place = _native.find_nonfinite(*dense_parts(points))
        row = -1 if place is None else place[0]
    return _describe_bad_row(points, row) if row >= 0 else None


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


def dense_parts(points: NDArray[Any]) -> tuple[NDArray[Any], _native.ElementType]:
    """The extension's arguments for dense points: the array and its type."""
    element = element_type(points.dtype)
    assert element is not None, "check_points lets no other type through"
    # DLPack and nanobind know no bfloat16 of NumPy's: the bits travel as integers.
    half = points.dtype.itemsize == 2 and points.dtype.kind not in "iu"
    return points.view(np.uint16) if half else points, element


def _sparse_parts(points: Sparse) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    return points.data, points.indices, points.indptr


def raise_if_bad(points: Points, bad_row: int, dtype: str = "float64") -> None:
    """Raises a NonFiniteError for what the extension reported; -1 is nothing."""
    if bad_row >= 0:
        raise _describe_bad_row(points, bad_row, dtype)


def _describe_bad_row(points: Points, bad_row: int, dtype: str = "float64") -> NonFiniteError:
    row = points[[bad_row]]
    values = np.asarray(row.toarray() if is_sparse(row) else row, np.float64)[0]
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        return NonFiniteError(bad_row, int(bad[0]), float(values[bad[0]]))
    return NonFiniteError(bad_row, None, None, dtype)


def _describe_search(
    points: NDArray[Any],
    num_centers: int,
    search: _native.Search,
    with_bounds: bool,
    rows: int,
    questioned: int,
    panels: int,
    compared: int,
    followed: int,
) -> str:
    """Which kernel ran and what it did, for the log."""
    n, d = points.shape
    text = f"assigned {n} x {d} {points.dtype} to {num_centers} centers by {search.name}"
    if with_bounds:
        text += f" with bounds, which settled {1 - questioned / max(rows, 1):.1%} of the points"
    if rows:
        text += f"; per point {panels / rows:.2f} panels searched, {compared / rows:.2f} compared"
    if followed >= 0:
        text += f"; sums followed {followed} points"
    return text
