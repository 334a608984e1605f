"""Sparse batches: from the coordinates that TensorFlow gives to compressed sparse rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from centroids.packages import import_package
from centroids.rows import Sparse


class SparseTensorValue(NamedTuple):
    """A sparse matrix by coordinates, as TensorFlow's class of this name.

    Attributes:
        indices: [m, 2] integers, row and column of each value, in any order.
        values: [m] numbers; values of equal indices are added.
        dense_shape: (n, d).

    >>> value = SparseTensorValue(indices=[[1, 0], [0, 2]], values=[5.0, 7.0], dense_shape=(2, 3))
    >>> csr_of_coordinates(value, "features").toarray().tolist()
    [[0.0, 0.0, 7.0], [5.0, 0.0, 0.0]]
    """

    indices: Any
    values: Any
    dense_shape: Any


def csr_of_scipy(value: Any, name: str) -> Sparse:
    """Any scipy sparse container as compressed sparse rows; a sparse [n] becomes [n, 1]."""
    if value.ndim == 1:
        value = value.tocoo().reshape((-1, 1))
    if value.format in ("csc", "bsr"):
        check_sparse(value, name)
    csr: Sparse = value.tocsr()
    return csr


def check_sparse(value: Any, name: str) -> None:
    """Raises a ValueError if indices lie outside the shape: scipy itself would crash."""
    try:
        value.check_format(full_check=True)
    except ValueError as error:
        raise ValueError(f"{name} is a damaged sparse matrix: {error}") from None


def csr_of_coordinates(value: Any, name: str) -> Sparse:
    """Anything with `indices`, `values` and `dense_shape` as compressed sparse rows.

    Args:
        value: A SparseTensorValue, or a TensorFlow sparse tensor of eager mode.
        name: What error messages call it.

    Returns:
        [n, d] in the dtype of `values`; a shape [n] counts as [n, 1].

    Raises:
        ValueError: If the parts do not fit together, or an index lies outside the shape.
    """
    sparse = import_package(
        "scipy.sparse", f"{name}, which is sparse,", "centroids[sparse]", "scipy"
    )
    indices, values, shape = (
        np.asarray(part) for part in (value.indices, value.values, value.dense_shape)
    )
    if shape.ndim != 1 or shape.size not in (1, 2) or shape.dtype.kind not in "iu":
        raise ValueError(f"{name}.dense_shape must be [n, d] or [n], got {shape.tolist()}")
    if indices.size == 0:
        indices = np.empty((0, shape.size), np.int64)
    if indices.dtype.kind not in "iu" or indices.ndim != 2 or indices.shape[1] != shape.size:
        raise ValueError(
            f"{name}.indices must be integers of shape [m, {shape.size}], one for each value; got "
            f"shape {indices.shape} and type {indices.dtype}"
        )
    if values.ndim != 1 or len(values) != len(indices):
        raise ValueError(
            f"{name}.values must have one value for each of the {len(indices)} rows of indices, "
            f"got shape {values.shape}"
        )
    outside = ((indices < 0) | (indices >= shape)).any(axis=1)
    if outside.any():
        row = int(np.argmax(outside))
        raise ValueError(
            f"{name}.indices[{row}] is {indices[row].tolist()}, which is outside dense_shape "
            f"{shape.tolist()}"
        )
    columns = indices[:, 1] if shape.size == 2 else np.zeros(len(indices), np.int64)
    full_shape = (int(shape[0]), int(shape[1]) if shape.size == 2 else 1)
    rows: Sparse = sparse.csr_array((values, (indices[:, 0], columns)), shape=full_shape)
    return rows


def csr_of_torch(value: Any, name: str) -> Sparse:
    """A sparse torch tensor of any layout as compressed sparse rows."""
    coordinates = (value if value.is_sparse else value.to_sparse()).coalesce()
    triple = SparseTensorValue(
        coordinates.indices().numpy().T, coordinates.values().numpy(), tuple(coordinates.shape)
    )
    return csr_of_coordinates(triple, name)
