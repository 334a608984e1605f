"""How much each point counts: what callers may give."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.kernels import _native
from centroids.kernels._partial import ExactSums
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
    # In one pass over their bits: those of NaN, infinity and all with a sign are larger.
    if count and wide.view(np.uint64).max() >= np.float64(np.inf).view(np.uint64):
        if not (wide.min() >= 0 and wide.max() < np.inf):  # NaN is neither; and -0.0 is 0
            row = int(np.flatnonzero(~((wide >= 0) & (wide < np.inf)))[0])
            raise ValueError(
                f"{name} must be finite and not negative, got {wide[row]} at row {row}; a point of "
                "weight 0 does not count"
            )
    return wide


@in_usual_float_mode
def check_products(values: NDArray[np.float64], weights: NDArray[np.float64] | None) -> None:
    """Raises a ValueError for a weight so large that sums of products overflow.

    Args:
        values: [n], finite and not negative.
        weights: [n], as `check_weights` returns them; None: there is nothing to check.
    """
    if weights is None or not weights.size:
        return
    # In powers of two: the products themselves may be beyond float64.
    if np.frexp(weights.max())[1] + np.frexp(values.max())[1] + weights.size.bit_length() <= 1100:
        return
    largest = np.frexp(weights)[1] + np.frexp(values)[1]
    largest[(weights == 0) | (values == 0)] = 0
    row = int(largest.argmax())
    if largest[row] + weights.size.bit_length() > 1100:
        raise ValueError(
            f"weights are too large: {weights[row]} times the squared distance {values[row]} "
            f"overflows at row {row}; scale the weights down"
        )


@in_usual_float_mode
def add_weights(
    weights: NDArray[np.float64], labels: NDArray[np.int32], num_clusters: int
) -> ExactSums:
    """The exact sums [num_clusters, 1] of the weights of each cluster.

    Args:
        weights: [n], as `check_weights` returns them.
        labels: [n], from 0 to num_clusters - 1.
        num_clusters: k.

    >>> from centroids.kernels import rounded_sums
    >>> sums = add_weights(np.array([0.5, 1, 2]), np.array([1, 0, 1], np.int32), 2)
    >>> rounded_sums(sums).tolist()
    [[1.0], [2.5]]
    """
    return _native.add_weights(weights, labels, num_clusters)
