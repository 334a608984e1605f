"""From the features of a batch to a matrix of points, and errors that say where a point is bad."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray

from centroids.distribute import is_sharded
from centroids.errors import BadRowError, WidthError
from centroids.kernels import (
    ColumnSums,
    NonFiniteError,
    Points,
    check_points,
    find_nonfinite,
    in_usual_float_mode,
    num_rows,
    sum_columns,
)
from centroids.kernels.preparation import check_dense, pass_watchers
from centroids.kernels.side_by_side import side_by_side
from centroids.rows import is_sparse


def join_columns(features: Points | Mapping[str, Points]) -> Points:
    """The points of a batch: its features, or a dict's columns joined in sorted key order.

    Args:
        features: [n, d] or [n], dense or sparse; or a dict of such.

    Returns:
        [n, d], dense unless a part is sparse. [n] counts as [n, 1].

    Raises:
        TypeError: If elements are not real numbers.
        ValueError: If a shape is wrong, the dict is empty, or its numbers of rows differ.

    >>> import numpy as np
    >>> join_columns({"b": np.array([1, 2]), "a": np.array([[3, 4], [5, 6]])}).tolist()
    [[3, 4, 1], [5, 6, 2]]
    """
    if is_sharded(features):
        return features
    if not isinstance(features, Mapping):
        return check_points(features, "features")
    if not features:
        raise ValueError("features is an empty dict: there is no column to cluster")
    names = sorted(features)
    parts = [check_points(features[name], f"features[{name!r}]") for name in names]
    rows = {name: num_rows(part) for name, part in zip(names, parts, strict=True)}
    if len(set(rows.values())) > 1:
        raise ValueError(f"features must have the same number of rows, got {rows}")
    return parts[0] if len(parts) == 1 else _side_by_side(parts)


@in_usual_float_mode
def _side_by_side(parts: list[Points]) -> Points:
    dense = [part for part in parts if not is_sparse(part)]
    if len(dense) == len(parts):
        return side_by_side(dense)
    import scipy.sparse

    blocks: Any = [scipy.sparse.csr_array(part) for part in parts]
    return check_points(scipy.sparse.hstack(blocks, format="csr"))


def check_width(points: Points, dimensions: int, batch: int) -> None:
    """Raises a WidthError that names both widths if `points` have another number of columns."""
    if points.shape[1] != dimensions:
        raise WidthError(
            f"batch {batch} has points with {points.shape[1]} columns, the centers have "
            f"{dimensions} columns"
        )


@contextmanager
def locate_bad_points(batch: int) -> Iterator[None]:
    """Turns the kernels' NonFiniteError into a BadRowError that also names the batch (from 0)."""
    try:
        yield
    except NonFiniteError as error:
        raise _describe(batch, error) from None


def check_finite(points: Points, batch: int) -> None:
    """Raises a ValueError that names batch, row and column of the first NaN or infinity."""
    error = find_nonfinite(points)
    if error is not None:
        raise _describe(batch, error)


def sum_columns_of_batches(
    batches: Iterable[tuple[int, Points, NDArray[Any] | None]],
) -> ColumnSums | None:
    """Adds up the columns of the points of a whole pass, for `fit_preparation`.

    Args:
        batches: The number of each batch, its points, and their weights or None.

    Returns:
        The sums; None where there is no batch.

    Raises:
        TypeError: If points are sparse.
        BadRowError: If a value is infinite; it names the batch.
    """
    total: ColumnSums | None = None
    rows = 0
    for number, points, weights in batches:
        check_dense(points)
        with locate_bad_points(number):
            sums = sum_columns(points, weights)
        total = sums if total is None else total + sums
        rows += num_rows(points)
        for watcher in pass_watchers:
            watcher(rows)
    return total


def _describe(batch: int, error: NonFiniteError) -> BadRowError:
    if error.column is None:
        return BadRowError(
            f"points are too large: squared distances overflow {error.dtype}",
            "scale the points down",
            batch=batch,
            row=error.row,
            can_be_dropped=False,
        )
    return BadRowError(
        f"points must be finite, got {error.value}",
        "remove or replace such rows",
        batch=batch,
        row=error.row,
        column=error.column,
        is_missing=error.value is not None and math.isnan(error.value),
    )
