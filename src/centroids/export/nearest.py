"""Distances to centers as a graph, as exact as those of the kernels, for any number of points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.export.graph import Tensor, cast, constant, matmul, while_loop
from centroids.export.operations import (
    as_columns,
    check_finite,
    compare,
    concat_columns,
    elementwise,
    find_true,
    gather,
    logical,
    maximum,
    num_rows,
    reduce,
    replace_at,
    select,
    slice_rows,
    unpack_pairs,
)
from centroids.kernels.float_mode import in_usual_float_mode
from centroids.kernels.functions import prepare_centers
from centroids.kernels.normalization import l2_normalize

# A product below this multiple of its rounding bound is computed again: what remains has a relative
# error of less than 1e-5.
SURE = 2.0**17
# How many pairs of point and center are compared at a time, if there are not more points.
_LEAST_PAIRS = 1024


def join_columns(features: Tensor | Mapping[str, Tensor], dtype: np.dtype[Any]) -> Tensor:
    """The points of a batch: its features, or a dict's columns joined in sorted key order.

    Args:
        features: [n, d] or [n], which counts as [n, 1]; or a dict of such.
        dtype: What to convert them to.

    Returns:
        [n, d].
    """
    named = {"": features} if isinstance(features, Tensor) else features
    parts = [as_columns(cast(named[name], dtype)) for name in sorted(named)]
    return parts[0] if len(parts) == 1 else concat_columns(parts)


@in_usual_float_mode
def all_distances(points: Tensor, centers: NDArray[Any], *, cosine: bool) -> Tensor:
    """The distance of every point to every center, as `centroids.kernels.all_distances` gives it.

    Args:
        points: [n, d] float32 or float64.
        centers: [k, d].
        cosine: Cosine distances instead of squared Euclidean ones.

    Returns:
        [n, k], float64 for squared Euclidean ones, the type of the points for cosine ones. The
        lowest of a row, the first on ties, belongs to the center that the kernels choose.
    """
    first, place = np.unique(centers + 0, axis=0, return_index=True, return_inverse=True)[1:]
    if len(first) < len(centers):
        # Equal distances would not always be equal: the order of sums may follow their place.
        distances = _distances(points, centers[first], cosine)
        return gather(distances, constant(place.ravel(), np.int64), 1)
    return _distances(points, centers, cosine)


def _distances(points: Tensor, centers: NDArray[Any], cosine: bool) -> Tensor:
    if not cosine:
        prepared, _ = prepare_centers(
            np.empty((0, *centers.shape[1:]), points.dtype), centers, False
        )
        return squared_distances(cast(points, np.float64), prepared)
    # Unit vectors are of float64 whatever the type of the points: far from the origin they are so
    # near each other that float32 cannot tell them apart. A zero vector's products are all 0.
    units, unit_centers = _unit_rows(cast(points, np.float64)), l2_normalize(centers)
    tie = 4 * float(np.finfo(points.dtype).eps)
    chords = squared_distances(units, unit_centers, tie=tie)
    cosines = matmul(units, constant(unit_centers), transpose_right=True)
    far = compare("Less", cosines, constant(0.5))
    return cast(select(far, 1.0 - cosines, chords * 0.5), points.dtype)


def squared_distances(points: Tensor, centers: NDArray[Any], *, tie: float = 0.0) -> Tensor:
    """|x - c|^2 by |x|^2 - 2xc + |c|^2, or by differences where that is not exact enough.

    Points and centers are shifted by the mean of the centers. Then the products are formed, and
    compared to the bound of their rounding errors. Pairs with a small distance, and pairs that
    compete for being the nearest, are computed again by direct differences: as many pairs at a
    time as there are points, so that no intermediate is larger than the points or the result.

    Args:
        points: [n, d] float64.
        centers: [k, d].
        tie: Centers compete too if they are farther than the nearest one by up to this, relatively.

    Returns:
        [n, k] float64, with a relative error below 1e-5; the order of the lowest is exact up to
        the rounding of float64 differences.

    Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1.
    """
    origin = constant(centers.mean(axis=0, dtype=np.float64))
    all_centers = cast(constant(centers), np.float64)
    shifted, shifted_centers = points - origin, all_centers - origin
    squares = check_finite(
        reduce("Sum", shifted * shifted, keep=True),
        "points must be finite, and so small that squared distances are finite",
    )
    sizes = squares + reduce("Sum", shifted_centers * shifted_centers)
    products = matmul(shifted, shifted_centers, transpose_right=True)
    rough = sizes - products * 2.0
    error = sizes * ((centers.shape[1] + 6) * 2.0**-52)
    limit = reduce("Min", rough + error, keep=True) * (1.0 + tie)
    nearest = compare("LessEqual", rough - error, limit)
    num_nearest = reduce("Sum", cast(nearest, np.int32), keep=True)
    tied = logical("LogicalAnd", nearest, compare("Greater", num_nearest, constant(1, np.int32)))
    unsure = logical("LogicalOr", tied, compare("Less", rough, error * SURE))
    return _by_differences(rough, find_true(unsure), points, all_centers)


def _by_differences(distances: Tensor, pairs: Tensor, points: Tensor, centers: Tensor) -> Tensor:
    """Distances [n, k], those of `pairs` [m, 2] (point and center) replaced by exact ones."""

    def unfinished(start: Tensor, _: Tensor, pairs: Tensor, *rest: Tensor) -> Tensor:
        return compare("Less", start, num_rows(pairs))

    def replace(
        start: Tensor, distances: Tensor, pairs: Tensor, points: Tensor, centers: Tensor
    ) -> list[Tensor]:
        count = maximum(num_rows(points), constant(_LEAST_PAIRS, np.int64))
        chosen = slice_rows(pairs, start, start + count)
        rows, columns = unpack_pairs(chosen)
        differences = gather(points, rows) - gather(centers, columns)
        exact = reduce("Sum", differences * differences)
        replaced = replace_at(distances, chosen, exact)
        return [start + count, replaced, pairs, points, centers]

    first = constant(0, np.int64)
    return while_loop(unfinished, replace, [first, distances, pairs, points, centers])[1]


def _unit_rows(points: Tensor) -> Tensor:
    """Rows of float64 of length 1, rows of zeros as they are."""
    largest = reduce("Max", elementwise("Abs", points), keep=True)
    # Squares of float64 can overflow or vanish. A power of two changes no other bit.
    up = select(
        compare("Less", largest, constant(2.0**-400)), constant(2.0**600), constant([[1.0]])
    )
    huge = compare("Greater", largest, constant(2.0**400))
    scaled = points * select(huge, constant(2.0**-600), up)
    squares = reduce("Sum", scaled * scaled, keep=True)
    zero = compare("LessEqual", squares, constant(0.0))
    return scaled / elementwise("Sqrt", select(zero, constant(1.0), squares))
