"""Some rows of a matrix, in any order."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from centroids.kernels import _native
from centroids.kernels.dense_or_sparse import Points, is_sparse
from centroids.kernels.float_mode import in_usual_float_mode


@in_usual_float_mode
def take_rows(points: Points, rows: NDArray[np.intp]) -> Points:
    """Rows by their numbers: `points[rows]`, but with all threads.

    Args:
        points: [n, d], dense or compressed sparse rows.
        rows: [m], from 0 to n - 1.

    Returns:
        [m, d], a copy.

    Raises:
        IndexError: If there is no such row.

    >>> take_rows(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1, 0, 1])).tolist()
    [[3.0, 4.0], [1.0, 2.0], [3.0, 4.0]]
    """
    any_kind: Any = points
    if is_sparse(points) or points.dtype.hasobject or not points.flags.c_contiguous:
        return cast(Points, any_kind[rows])
    if rows.size and not 0 <= int(rows.min()) <= int(rows.max()) < len(points):
        return points[rows]  # numbers from the end, or an error in NumPy's words
    taken = np.empty((rows.size, *points.shape[1:]), points.dtype)
    if taken.size:
        _native.take_rows(
            points.view(np.uint8).reshape(len(points), -1),
            np.ascontiguousarray(rows, np.int64),
            taken.view(np.uint8).reshape(rows.size, -1),
        )
    return taken
