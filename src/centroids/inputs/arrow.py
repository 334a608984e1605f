"""Arrow tables to matrices: the columns side by side, list columns as several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.errors import Argument, Message, WordedTypeError
from centroids.inputs.batch import TableColumn
from centroids.kernels.side_by_side import side_by_side
from centroids.packages import import_package


def import_arrow(module: str = "pyarrow", what: str = "reading Parquet files") -> Any:
    """Imports pyarrow or a module of it, or raises an ImportError that says how to install it."""
    return import_package(module, what, "centroids[arrow]", called="pyarrow")


def table_of_stream(value: Any) -> Any:
    """What an object with `__arrow_c_stream__` hands over: a table, or an array in chunks."""
    arrow = import_arrow(what="reading a stream of Arrow")
    try:
        return arrow.table(value)
    except arrow.ArrowInvalid:  # not of rows with fields
        return arrow.chunked_array(value)


def matrix_of_table(table: Any, name: str, first_row: int = 0) -> NDArray[Any]:
    """Joins the columns of an Arrow table in their order.

    Args:
        table: A pyarrow Table or RecordBatch of n rows. Columns are numbers, or lists with the same
            number of numbers each. A missing number becomes NaN.
        name: What error messages call it.
        first_row: What they call its first row.

    Returns:
        [n, d], in the dtype that holds those of all columns.

    Raises:
        TypeError: If a column holds no numbers.
        ValueError: If the lists of a column differ in length, there is no column, or two have the
            same name.
    """
    if not table.column_names:
        raise ValueError(f"{name} is a table without columns")
    check_different_names(table.column_names, name)
    parts = [
        _matrix_of_column(table.column(index), f"{name}[{label!r}]", first_row)
        for index, label in enumerate(table.column_names)
    ]
    return side_by_side(parts)


def array_of_column(column: Any, name: str) -> NDArray[Any]:
    """An Arrow array in chunks: [n], or [n, d] of lists; of no numbers, as NumPy takes it."""
    if not holds_numbers(column.type):
        return np.asarray(column)
    return _matrix_of_column(column, name, 0) if _is_list(column.type) else _numbers_of(column)


def columns_of_table(table: Any) -> list[TableColumn]:
    """What the columns of an Arrow table become in the matrix of it, by its first row."""
    columns = []
    for name in table.column_names:
        first = matrix_of_table(table.select([name]).slice(0, 1), name)
        columns.append(TableColumn(name, first.shape[1], first.dtype))
    return columns


def check_different_names(names: Sequence[Any], name: str) -> None:
    """Raises a ValueError if two columns of a table have the same name; empty ones do not count."""
    seen: set[Any] = set()
    for each in names:
        if each in seen and each != "":
            raise ValueError(
                f"{name} has {list(names).count(each)} columns called {each!r}; give them "
                "different names"
            )
        seen.add(each)


def _check_column_type(kind: Any, name: str) -> None:
    """Raises a TypeError unless `kind`, that of a column, is numbers or lists of numbers."""
    if not holds_numbers(kind):
        leave_out = Message("leave it out; of a file choose others with ", Argument("columns", []))
        raise WordedTypeError(
            f"{name} must hold numbers or lists of numbers, got {kind}", remedy=leave_out
        )


def holds_numbers(kind: Any) -> bool:
    """Whether a type is numbers or lists of numbers."""
    types = import_arrow("pyarrow.types")
    element = kind.value_type if _is_list(kind) or types.is_dictionary(kind) else kind
    return bool(
        types.is_integer(element)
        or types.is_floating(element)
        or types.is_boolean(element)
        or types.is_decimal(element)
    )


def _is_list(kind: Any) -> bool:
    types = import_arrow("pyarrow.types")
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _matrix_of_column(column: Any, name: str, row: int) -> NDArray[Any]:
    _check_column_type(column.type, name)
    if not _is_list(column.type):
        return _numbers_of(column).reshape(-1, 1)
    chunks = column.chunks if hasattr(column, "chunks") else [column]
    matrices = []
    for chunk in chunks:
        matrices.append(_matrix_of_lists(chunk, name, row))
        row += len(chunk)
    widths = {matrix.shape[1] for matrix in matrices if len(matrix)}
    if len(widths) > 1:
        raise ValueError(f"the lists of {name} must have equal lengths, got {sorted(widths)}")
    matrices = [matrix for matrix in matrices if len(matrix)] or matrices[:1]
    if not matrices:
        return np.empty((0, max(getattr(column.type, "list_size", 1), 1)))
    return matrices[0] if len(matrices) == 1 else np.concatenate(matrices)


def _numbers_of(column: Any) -> NDArray[Any]:
    if import_arrow("pyarrow.types").is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count and import_arrow("pyarrow.types").is_boolean(column.type):
        column = column.cast("uint8")  # Arrow would make objects of booleans and missing ones
    if import_arrow("pyarrow.types").is_decimal(column.type):
        column = column.cast("string").cast("float64")  # by itself Arrow rounds twice
    return np.asarray(column)


def _matrix_of_lists(chunk: Any, name: str, first_row: int) -> NDArray[Any]:
    """[n, width] of an Arrow array of n lists; `first_row` is the row of its first."""
    if chunk.null_count:
        row = first_row + int(np.argmax(np.asarray(chunk.is_null())))
        raise ValueError(f"{name} has no list in row {row}")
    values = _numbers_of(chunk.flatten())
    if hasattr(chunk.type, "list_size"):
        return values.reshape(len(chunk), chunk.type.list_size)
    lengths = np.asarray(chunk.value_lengths())
    different = lengths != (lengths[0] if len(lengths) else 0)
    if different.any():
        row = int(np.argmax(different))
        raise ValueError(
            f"the lists of {name} must have equal lengths: row {first_row} has {lengths[0]} "
            f"elements, row {first_row + row} has {lengths[row]}"
        )
    return values.reshape(len(chunk), int(lengths[0]) if len(lengths) else 1)
