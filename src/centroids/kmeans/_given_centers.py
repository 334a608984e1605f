"""Centers that the user gives: as arrays, with the columns in the order of the points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from centroids import kernels
from centroids.inputs.convert import convert_features
from centroids.inputs.pandas_table import keys_of
from centroids.rows import is_sparse


class SupportsArray(Protocol):
    """What NumPy can make an array of."""

    def __array__(self) -> NDArray[Any]: ...


# Unlike NumPy's ArrayLike not a string: a method that does not exist is an error of type checkers.
Rows: TypeAlias = SupportsArray | Sequence[SupportsArray | Sequence[float]]


def centers_of(value: Any, name: str) -> NDArray[Any]:
    """Centers that the user gave, in any form that a batch may have, as an array.

    Raises:
        TypeError: If they are not numbers.
        ValueError: If a shape is wrong.
    """
    rows = convert_features(value, name)
    if isinstance(rows, dict):
        raise TypeError(f"{name} must not be a dict: its columns have no order")
    return _dense(rows)


@kernels.in_usual_float_mode
def _dense(rows: kernels.Points) -> NDArray[Any]:
    return rows.toarray() if is_sparse(rows) else np.asarray(rows)


def column_names_of(value: Any) -> tuple[str | int, ...] | None:
    """The names of the columns of a table of pandas, polars or Arrow; None for anything else."""
    names = getattr(value, "column_names", None)  # Arrow's, whose `columns` are the values
    if names is None and hasattr(value, "to_numpy"):
        names = getattr(value, "columns", None)
    if names is None or callable(names):
        return None
    return tuple(name if isinstance(name, str) else int(name) for name in names)


def in_order_of(
    features: Any, centers: NDArray[Any], names: tuple[str | int, ...] | None
) -> NDArray[Any]:
    """Centers with their columns in the order in which the features of a batch are joined.

    Args:
        features: Those of a batch. Only a dict has names.
        centers: [k, d].
        names: Those of the d columns. Whole numbers, as pandas gives where there are none, may
            be the names of the features or say nothing; then positions count.

    Raises:
        ValueError: If both have names, and they differ.

    >>> in_order_of({"b": 0, "a": 0}, np.array([[1, 2]]), ("b", "a")).tolist()
    [[2, 1]]
    """
    if not isinstance(features, Mapping) or names is None:
        return centers
    if any(len(getattr(part, "shape", ())) > 1 and part.shape[1] > 1 for part in features.values()):
        return centers  # a name stands for several columns
    columns, wanted = keys_of(list(names)), sorted(features)
    if sorted(map(str, columns)) == wanted:
        order = {str(name): position for position, name in enumerate(columns)}
        return centers[:, [order[name] for name in wanted]]
    if not any(isinstance(name, str) for name in names):
        return centers
    raise ValueError(
        f"initial_clusters has the columns {', '.join(map(repr, names))}, but the points have "
        f"{', '.join(map(repr, wanted))}; give them the same names, or give an array with its "
        "columns in that order"
    )
