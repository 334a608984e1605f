"""Points that are not finite, or have no finite distance: which row, and what is wrong with it."""

from __future__ import annotations

import numpy as np

from centroids.kernels import _native
from centroids.kernels.dense_or_sparse import Points, check_points, dense_parts, is_sparse


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
