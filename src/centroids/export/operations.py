"""Single TensorFlow operations, with their attributes filled in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from centroids.export.graph import Tensor, broadcast, constant, operation


def reduce(op: str, tensor: Tensor, *, keep: bool = False) -> Tensor:
    """Reduces the last axis by the operation `op`: "Sum", "Min", "Max".

    Args:
        op: The name of the operation.
        tensor: What to reduce.
        keep: Leave an axis of size 1 in place of the last one.
    """
    axis = constant(len(tensor.shape) - 1, np.int32)
    shape = (*tensor.shape[:-1], 1) if keep else tensor.shape[:-1]
    attributes: dict[str, Any] = {"T": tensor.dtype, "Tidx": axis.dtype, "keep_dims": keep}
    return operation(op, [tensor, axis], tensor.dtype, shape, **attributes)


def compare(op: str, left: Tensor, right: Tensor) -> Tensor:
    """Compares two tensors by "Less", "LessEqual", "Greater"; gives booleans."""
    shape = broadcast(left.shape, right.shape)
    return operation(op, [left, right], np.bool_, shape, output="z", T=left.dtype)


def as_columns(tensor: Tensor) -> Tensor:
    """[n] as [n, 1]; [n, d] as it is."""
    if len(tensor.shape) == 2:
        return tensor
    axis = constant(1, np.int32)
    attributes: dict[str, Any] = {"T": tensor.dtype, "Tdim": axis.dtype}
    shape = (*tensor.shape, 1)
    return operation("ExpandDims", [tensor, axis], tensor.dtype, shape, **attributes)


def elementwise(op: str, tensor: Tensor) -> Tensor:
    """A function of each element: "Abs", "Sqrt"."""
    return operation(op, [tensor], tensor.dtype, tensor.shape, output="y", T=tensor.dtype)


def is_nan(tensor: Tensor) -> Tensor:
    """Whether each element is NaN; gives booleans."""
    return operation("IsNan", [tensor], np.bool_, tensor.shape, output="y", T=tensor.dtype)


def logical(op: str, left: Tensor, right: Tensor) -> Tensor:
    """Two tensors of booleans combined: "LogicalAnd", "LogicalOr"."""
    return operation(op, [left, right], np.bool_, left.shape, output="z")


def maximum(left: Tensor, right: Tensor) -> Tensor:
    """The larger of each two elements."""
    return operation("Maximum", [left, right], left.dtype, left.shape, output="z", T=left.dtype)


def select(condition: Tensor, chosen: Tensor, other: Tensor) -> Tensor:
    """`chosen` where the condition holds, else `other`; the result has the shape of `other`."""
    return operation(
        "SelectV2", [condition, chosen, other], other.dtype, other.shape, T=other.dtype
    )


def gather(rows: Tensor, indices: Tensor, axis_of: int = 0) -> Tensor:
    """Rows by their indices, or columns by theirs with the axis 1."""
    axis = constant(axis_of, np.int32)
    shape = (*rows.shape[:axis_of], *indices.shape, *rows.shape[axis_of + 1 :])
    return operation(
        "GatherV2",
        [rows, indices, axis],
        rows.dtype,
        shape,
        batch_dims=0,
        Tparams=rows.dtype,
        Tindices=indices.dtype,
        Taxis=axis.dtype,
    )


def num_rows(tensor: Tensor) -> Tensor:
    """The size of the first axis, int64 of shape []."""
    shape = operation(
        "Shape",
        [tensor],
        np.int64,
        (len(tensor.shape),),
        T=tensor.dtype,
        out_type=np.dtype(np.int64),
    )
    first = constant(0, np.int32)
    return gather(shape, first)


def slice_rows(tensor: Tensor, start: Tensor, end: Tensor) -> Tensor:
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


def unpack_pairs(pairs: Tensor) -> tuple[Tensor, Tensor]:
    """The two columns of [m, 2]."""
    first = operation("Unpack", [pairs], pairs.dtype, (None,), T=pairs.dtype, num=2, axis=1)
    return first, Tensor(first.node, first.dtype, first.shape, 1)


def concat_columns(parts: Sequence[Tensor]) -> Tensor:
    """Matrices [n, d_i] of one type side by side: [n, sum of d_i]."""
    axis, dtype = constant(1, np.int32), parts[0].dtype
    shape = (parts[0].shape[0], sum(part.shape[1] or 0 for part in parts))
    attributes: dict[str, Any] = {"N": len(parts), "T": dtype, "Tidx": axis.dtype}
    return operation("ConcatV2", [*parts, axis], dtype, shape, **attributes)


def find_true(condition: Tensor) -> Tensor:
    """[m, 2] int64: the places where a matrix of booleans holds true, in row-major order."""
    attributes: dict[str, Any] = {"T": condition.dtype}
    return operation("Where", [condition], np.int64, (None, 2), output="index", **attributes)


def replace_at(tensor: Tensor, places: Tensor, values: Tensor) -> Tensor:
    """The matrix with `values` [m] at `places` [m, 2]."""
    return operation(
        "TensorScatterUpdate",
        [tensor, places, values],
        tensor.dtype,
        tensor.shape,
        T=tensor.dtype,
        Tindices=places.dtype,
    )


def arg_min(rows: Tensor) -> Tensor:
    """The index of the lowest element of each row, [n] int64; the lowest index on ties."""
    axis = constant(1, np.int32)
    return operation(
        "ArgMin",
        [rows, axis],
        np.int64,
        rows.shape[:1],
        T=rows.dtype,
        Tidx=axis.dtype,
        output_type=np.dtype(np.int64),
    )


def check_finite(tensor: Tensor, message: str) -> Tensor:
    """The tensor itself; answering fails with the message if an element is NaN or infinite."""
    attributes: dict[str, Any] = {"T": tensor.dtype, "message": message.encode()}
    return operation("CheckNumerics", [tensor], tensor.dtype, tensor.shape, **attributes)
