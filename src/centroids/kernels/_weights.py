"""How much each point counts: what callers may give."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.kernels.dense_or_sparse import is_real
from centroids.kernels.float_mode import in_usual_float_mode


@in_usual_float_mode
def check_weights(weights: Any, count: int, name: str = "weights") -> NDArray[np.float64]:
    """Brings weights to the form that the kernels take.

    Args:
        weights: [count], finite real numbers, none negative. A point of weight 2 counts as two
            equal points, and one of weight 0 as none.
        count: The number of points.
        name: What error messages call them.

    Returns:
        [count] float64, in one piece; the same array where it is so already.

    Raises:
        TypeError: If the elements are not real numbers.
        ValueError: If the shape is another, or a weight is negative, NaN or infinite; it names the
            first such row.

    >>> check_weights([1, 0, 2], 3).tolist()
    [1.0, 0.0, 2.0]
    """
    array = np.asarray(weights)
    if not is_real(array.dtype):
        raise TypeError(f"{name} must hold real numbers, got elements of type {array.dtype}")
    if array.ndim != 1:
        raise ValueError(f"{name} must have the shape [n]; got {array.shape}")
    if len(array) != count:
        raise ValueError(
            f"{name} must have one number for each of the {count} points, got {len(array)}: "
            + (f"row {len(array)} has none" if len(array) < count else f"there is no row {count}")
        )
    wide: NDArray[np.float64] = np.ascontiguousarray(array, np.float64)
    # NaN is neither.
    if count and not (wide.min() >= 0 and wide.max() < np.inf):
        row = int(np.flatnonzero(~((wide >= 0) & (wide < np.inf)))[0])
        raise ValueError(
            f"{name} must be finite and not negative, got {wide[row]} at row {row}; a point of "
            "weight 0 does not count"
        )
    return wide
