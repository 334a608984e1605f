"""Data frames and series of pandas, polars and the like, as arrays."""

from __future__ import annotations

from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.inputs.arrow import check_different_names

_NUMBERS = "biufc"


def array_of_data_frame(value: Any, name: str) -> NDArray[Any]:
    """[n, d], the columns side by side; a missing number is NaN.

    Raises:
        TypeError: If one of several columns does not hold numbers.
        ValueError: If two columns have the same name.
    """
    labels = list(value.columns)
    check_different_names(labels, name)
    array = np.asarray(value.to_numpy())
    if array.dtype.kind != "O":
        return array
    # Columns of several kinds, or of pandas' own number types, come as objects.
    columns = []
    for label in labels:
        column = array_of_series(value[label], name)
        if column.dtype.kind not in _NUMBERS:
            other = next((value for value in column if not _is_number(value)), None)
            raise TypeError(
                f"the columns of {name} must hold numbers, but column {label!r} holds "
                f"{describe(other)}; leave it out"
            )
        columns.append(column)
    return np.column_stack(columns)


def array_of_series(value: Any, name: str) -> NDArray[Any]:
    """[n], a column, whose own number types would come as objects; a missing number is NaN."""
    del name
    array = np.asarray(value.to_numpy())
    if array.dtype.kind != "O":
        return array
    if getattr(value.dtype, "kind", "O") in _NUMBERS:
        return np.asarray(value.to_numpy(dtype=np.float64, na_value=np.nan))
    # Boolean ones of polars with missing ones; numbers in a column of any objects.
    return array.astype(np.float64) if all(map(_is_number, array)) else array


def _is_number(value: Any) -> bool:
    """Whether it is a real number, or a missing one."""
    return value is None or isinstance(value, (Real, Decimal, np.bool_))


def check_number_types(value: Any, name: str) -> None:
    """Refuses columns that NumPy would make numbers of, which mean something else than their value.

    Args:
        value: A data frame or a series.
        name: What the error calls it.

    Raises:
        TypeError: If a column is categorical, or holds times.
    """
    if not hasattr(value, "columns"):
        _check_type(getattr(value, "dtype", None), name)
        return
    types = getattr(value, "dtypes", ())  # which not every library has
    for label, dtype in zip(value.columns, types, strict=False):
        _check_type(dtype, f"column {label!r} of {name}")


def describe(value: Any) -> str:
    """A value with its type, as messages show it."""
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"


def _check_type(dtype: Any, name: str) -> None:
    if getattr(dtype, "name", None) == "category":
        raise TypeError(
            f"{name} must hold numbers, but is categorical; encode it as numbers or leave it out"
        )
    is_temporal = getattr(dtype, "is_temporal", None)  # of polars
    if getattr(dtype, "kind", None) in ("M", "m") or (callable(is_temporal) and is_temporal()):
        raise TypeError(
            f"{name} must hold numbers, but holds times ({dtype}); convert it to numbers, in the "
            "unit that you choose, or leave it out"
        )
