"""Distances to centers as a graph, as exact as those of the kernels, for any number of points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.export.graph import (
    Tensor,
    cast,
    compare,
    constant,
    matmul,
    operation,
    reduce,
    while_loop,
)
from centroids.kernels.functions import prepare_centers

# A product below this multiple of its rounding bound is computed again: what remains has a relative
# error of less than 1e-5.
_SURE = 2.0**17
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
    parts = [_as_columns(cast(named[name], dtype)) for name in sorted(named)]
    if len(parts) == 1:
        return parts[0]
    axis = constant(1, np.int32)
    shape = (parts[0].shape[0], sum(part.shape[1] or 0 for part in parts))
    return operation(
        "ConcatV2", [*parts, axis], dtype, shape, N=len(parts), T=dtype, Tidx=axis.dtype
    )


def all_distances(points: Tensor, centers: NDArray[Any], *, cosine: bool) -> Tensor:
    """The distance of every point to every center, as `centroids.kernels.all_distances` gives it.

    Args:
        points: [n, d] float32 or float64.
        centers: [k, d].
        cosine: Cosine distances in place of squared Euclidean ones.

    Returns:
        [n, k] float64. The lowest of a row belongs to the center that the kernels choose.
    """
    empty = np.empty((0, *centers.shape[1:]), points.dtype)
    prepared, penalties = prepare_centers(empty, centers, cosine)
    if not cosine:
        return squared_distances(cast(points, np.float64), prepared)
    units, zero = _unit_rows(cast(points, np.float64))
    # The kernels keep unit vectors in the type of the points, and so must whoever agrees with them.
    units = cast(cast(units, points.dtype), np.float64)
    if penalties is not None:
        # A zero center is at right angles to everything: it gets an axis of its own.
        prepared = np.concatenate([prepared, penalties[:, None].astype(prepared.dtype)], axis=1)
        units = _pad_column(units)
    chords = squared_distances(units, prepared)
    return _select(zero, constant(1.0), chords * 0.5)


def squared_distances(points: Tensor, centers: NDArray[Any]) -> Tensor:
    """|x - c|^2 by |x|^2 - 2xc + |c|^2, and by differences where that is not exact enough.

    Points and centers are shifted by the mean of the centers. Then the products are formed, and
    compared to the bound of their rounding errors. Pairs with a small distance, and pairs that
    compete for being the nearest, are computed again by direct differences: as many pairs at a
    time as there are points, so that no intermediate is larger than the points or the result.

    Args:
        points: [n, d] float64.
        centers: [k, d].

    Returns:
        [n, k] float64, with a relative error below 1e-5; the order of the lowest is exact up to
        the rounding of float64 differences.

    Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1.
    """
    origin = constant(centers.mean(axis=0, dtype=np.float64))
    all_centers = cast(constant(centers), np.float64)
    shifted, shifted_centers = points - origin, all_centers - origin
    squares = _check_finite(reduce("Sum", shifted * shifted, keep=True))
    sizes = squares + reduce("Sum", shifted_centers * shifted_centers)
    products = matmul(shifted, shifted_centers, transpose_right=True)
    rough = sizes - products * 2.0
    error = sizes * ((centers.shape[1] + 6) * 2.0**-52)
    nearest = compare("LessEqual", rough - error, reduce("Min", rough + error, keep=True))
    num_nearest = reduce("Sum", cast(nearest, np.int32), keep=True)
    tied = _logical("LogicalAnd", nearest, compare("Greater", num_nearest, constant(1, np.int32)))
    unsure = _logical("LogicalOr", tied, compare("Less", rough, error * _SURE))
    pairs = operation("Where", [unsure], np.int64, (None, 2), output="index", T=unsure.dtype)
    return _by_differences(rough, pairs, points, all_centers)


def nearest_center(distances: Tensor) -> Tensor:
    """The index of the lowest distance of each row, [n] int64; the lowest index on ties."""
    axis = constant(1, np.int32)
    return operation(
        "ArgMin",
        [distances, axis],
        np.int64,
        distances.shape[:1],
        T=distances.dtype,
        Tidx=axis.dtype,
        output_type=np.dtype(np.int64),
    )


def _by_differences(distances: Tensor, pairs: Tensor, points: Tensor, centers: Tensor) -> Tensor:
    """Distances [n, k], those of `pairs` [m, 2] (point and center) replaced by exact ones."""

    def unfinished(start: Tensor, _: Tensor, pairs: Tensor, *rest: Tensor) -> Tensor:
        return compare("Less", start, _num_rows(pairs))

    def replace(
        start: Tensor, distances: Tensor, pairs: Tensor, points: Tensor, centers: Tensor
    ) -> list[Tensor]:
        count = _binary_max(_num_rows(points), constant(_LEAST_PAIRS, np.int64))
        chosen = _slice_rows(pairs, start, start + count)
        rows, columns = _unpack_pairs(chosen)
        differences = _gather(points, rows) - _gather(centers, columns)
        exact = reduce("Sum", differences * differences)
        replaced = operation(
            "TensorScatterUpdate",
            [distances, chosen, exact],
            distances.dtype,
            distances.shape,
            T=distances.dtype,
            Tindices=chosen.dtype,
        )
        return [start + count, replaced, pairs, points, centers]

    first = constant(0, np.int64)
    return while_loop(unfinished, replace, [first, distances, pairs, points, centers])[1]


def _unit_rows(points: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of length 1, rows of zeros as they are; and which these are, [n, 1]."""
    largest = reduce("Max", _elementwise("Abs", points), keep=True)
    zero = compare("LessEqual", largest, constant(0.0))
    # Squares of float64 can overflow or vanish: hence the division before.
    scaled = points / _select(zero, constant(1.0), largest)
    squares = reduce("Sum", scaled * scaled, keep=True)
    lengths = _elementwise("Sqrt", _select(zero, constant(1.0), squares))
    return scaled * (1.0 / lengths), zero


def _check_finite(tensor: Tensor) -> Tensor:
    message = b"points must be finite, and so small that squared distances are finite"
    return operation(
        "CheckNumerics", [tensor], tensor.dtype, tensor.shape, T=tensor.dtype, message=message
    )


def _as_columns(tensor: Tensor) -> Tensor:
    if len(tensor.shape) == 2:
        return tensor
    axis = constant(1, np.int32)
    attributes: dict[str, Any] = {"T": tensor.dtype, "Tdim": axis.dtype}
    shape = (*tensor.shape, 1)
    return operation("ExpandDims", [tensor, axis], tensor.dtype, shape, **attributes)


def _pad_column(points: Tensor) -> Tensor:
    """[n, d + 1]: points with a column of zeros."""
    widths = constant([[0, 0], [0, 1]], np.int32)
    shape = (points.shape[0], None if points.shape[1] is None else points.shape[1] + 1)
    attributes: dict[str, Any] = {"T": points.dtype, "Tpaddings": widths.dtype}
    return operation("Pad", [points, widths], points.dtype, shape, **attributes)


def _elementwise(op: str, tensor: Tensor) -> Tensor:
    return operation(op, [tensor], tensor.dtype, tensor.shape, output="y", T=tensor.dtype)


def _logical(op: str, left: Tensor, right: Tensor) -> Tensor:
    return operation(op, [left, right], np.bool_, left.shape, output="z")


def _binary_max(left: Tensor, right: Tensor) -> Tensor:
    return operation("Maximum", [left, right], left.dtype, left.shape, output="z", T=left.dtype)


def _select(condition: Tensor, chosen: Tensor, other: Tensor) -> Tensor:
    return operation(
        "SelectV2", [condition, chosen, other], other.dtype, other.shape, T=other.dtype
    )


def _gather(rows: Tensor, indices: Tensor) -> Tensor:
    axis = constant(0, np.int32)
    return operation(
        "GatherV2",
        [rows, indices, axis],
        rows.dtype,
        (*indices.shape, *rows.shape[1:]),
        batch_dims=0,
        Tparams=rows.dtype,
        Tindices=indices.dtype,
        Taxis=axis.dtype,
    )


def _num_rows(tensor: Tensor) -> Tensor:
    shape = operation(
        "Shape",
        [tensor],
        np.int64,
        (len(tensor.shape),),
        T=tensor.dtype,
        out_type=np.dtype(np.int64),
    )
    first = constant(0, np.int32)
    return _gather(shape, first)


def _slice_rows(tensor: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Rows from start to end, or to the last one."""
    bounds = [_as_vector(start), _as_vector(end), constant([1], np.int64)]
    masks = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    shape = (None, *tensor.shape[1:])
    attributes: dict[str, Any] = {
        "T": tensor.dtype,
        "Index": start.dtype,
        **dict.fromkeys(masks, 0),
    }
    return operation("StridedSlice", [tensor, *bounds], tensor.dtype, shape, **attributes)


def _as_vector(number: Tensor) -> Tensor:
    shape = constant([1], np.int32)
    attributes: dict[str, Any] = {"T": number.dtype, "Tshape": shape.dtype}
    return operation("Reshape", [number, shape], number.dtype, (1,), **attributes)


def _unpack_pairs(pairs: Tensor) -> tuple[Tensor, Tensor]:
    """The two columns of [m, 2]."""
    first = operation("Unpack", [pairs], pairs.dtype, (None,), T=pairs.dtype, num=2, axis=1)
    return first, Tensor(first.node, first.dtype, first.shape, 1)
