"""Points as the kernels take them: a dense array of any real type, or compressed sparse rows."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.kernels import _native
from centroids.kernels.float_mode import in_usual_float_mode
from centroids.rows import Rows as Points
from centroids.rows import Sparse, is_sparse, num_rows

__all__ = ["Points", "Sparse", "is_sparse", "num_rows"]


@functools.lru_cache(maxsize=64)  # NumPy takes microseconds for the name of a dtype
def element_type(dtype: np.dtype[Any]) -> _native.ElementType | None:
    """The extension's name of an element type; None if the kernels cannot read it in place."""
    return _native.ElementType.__members__.get(dtype.name) if dtype.isnative else None


def is_real(dtype: np.dtype[Any]) -> bool:
    """Whether elements of this type are real numbers; bfloat16 is not a kind that NumPy knows."""
    return dtype.kind in "biuf" or dtype.name == "bfloat16"


def result_dtype(points: Points) -> np.dtype[Any]:
    """The type that kernels compute such points in: float32 if it holds all of their values.

    It does for floats of up to 32 bits, booleans and integers of up to 16 bits; else it is float64.
    Integers of 64 bits beyond 2^53 are rounded to it.
    """
    kind, size = points.dtype.kind, points.dtype.itemsize
    wide = size >= 8 if kind == "f" else kind in "iu" and size >= 4
    return np.dtype(np.float64 if wide else np.float32)


def check_points(points: Points, name: str = "points") -> Points:
    """Brings points to a form that the kernels take, copying only if needed.

    Args:
        points: [n, d], or [n], which counts as [n, 1]; a dense array of real numbers or any
            scipy sparse container.
        name: What error messages call them.

    Returns:
        A dense [n, d] array of native byte order, or compressed sparse rows of float32 or float64
        without duplicate entries.

    Raises:
        TypeError: If the elements are not real numbers.
        ValueError: If the shape is neither [n] nor [n, d] with d at least 1, or a sparse matrix
            has indices outside its shape.
    """
    if not is_real(points.dtype):
        raise TypeError(f"{name} must hold real numbers, got elements of type {points.dtype}")
    if points.ndim == 1:
        points = points.reshape((-1, 1))
    if points.ndim != 2 or points.shape[1] == 0:
        raise ValueError(
            f"{name} must have the shape [n, d] with d at least 1, or [n]; each point has the "
            f"shape {points.shape[1:]}"
        )
    return _check_sparse(points) if is_sparse(points) else _check_dense(points)


@in_usual_float_mode
def _as_dtype(points: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    return points.astype(dtype)


def _check_dense(points: NDArray[Any]) -> NDArray[Any]:
    # Masked arrays, matrices and the like would change the meaning of indexing.
    points = np.asarray(points)
    if points.dtype == np.bool_:
        points = points.view(np.uint8)
    elif element_type(points.dtype) is None:
        points = _as_dtype(points, result_dtype(points))  # long double, foreign byte order
    itemsize = points.dtype.itemsize
    if not points.flags.aligned or any(stride % itemsize for stride in points.strides):
        points = points.copy()
    return points


@in_usual_float_mode
def _check_sparse(points: Sparse) -> Sparse:
    rows = points.tocsr()
    try:
        rows.check_format(full_check=True)  # the kernels trust the indices
        if (rows.indptr[1:] < rows.indptr[:-1]).any():  # not looked at if the last one is 0
            raise ValueError("index pointer values must form a non-decreasing sequence")
    except ValueError as error:
        raise ValueError(f"points are a damaged sparse matrix: {error}") from None
    if rows.dtype not in (np.float32, np.float64):
        rows = rows.astype(result_dtype(rows))
    if not rows.has_canonical_format:
        rows = rows.copy()  # the caller's matrix is not ours to sort
        rows.sum_duplicates()
    return rows


def dense_parts(points: NDArray[Any]) -> tuple[NDArray[Any], _native.ElementType]:
    """The extension's arguments for dense points: the array and its type."""
    element = element_type(points.dtype)
    assert element is not None, "check_points lets no other type through"
    # DLPack and nanobind know no bfloat16 of NumPy's: the bits travel as integers.
    half = points.dtype.itemsize == 2 and points.dtype.kind not in "iu"
    return points.view(np.uint16) if half else points, element
