"""Which columns of a table are points, and the matrix of them."""

from __future__ import annotations

import itertools
import json
import logging
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from centroids.errors import Argument, Message, TextColumnsError, WordedError
from centroids.inputs.arrow import holds_numbers, matrix_of_table
from centroids.inputs.tables.table import Table, check_columns
from centroids.inputs.text._csv_header import is_name_of_ids, is_unnamed

_INDEX_NAME = re.compile(r"__index_level_\d+__")  # of an index without a name

logger = logging.getLogger(__name__)


def numeric_columns(
    table: Table, columns: Sequence[str] | None = None, id_column: str | None = None
) -> list[str]:
    """The columns that points are made of.

    Args:
        table: The table.
        columns: Those that were asked for; None: all but that of the ids and an index.
        id_column: The column that names the rows; None: there is none.

    Raises:
        MissingColumnError: If one is missing.
        TextColumnsError: If some do not hold numbers or lists of numbers; it says which ones do.
        ValueError: If there is none.
    """
    if columns is not None and (isinstance(columns, str) or not columns):
        raise ValueError(f"columns must be a list of names, got {columns!r}")
    chosen = check_columns(table, _all_but_index(table, id_column) if columns is None else columns)
    if not chosen:
        raise ValueError(f"{table.name} has no columns")
    types = {name: table.schema.field(name).type for name in chosen}
    refused = {name: kind for name, kind in types.items() if not holds_numbers(kind)}
    if not refused:
        return chosen
    numbers = [name for name in chosen if name not in refused]
    if not numbers:
        schema = table.schema
        numbers = [name for name in schema.names if holds_numbers(schema.field(name).type)]
    ids = [name for name in numbers if is_name_of_ids(name)]
    others = [name for name in numbers if name not in ids]
    raise TextColumnsError(table.name, refused, others or numbers, ids if others else [])


def points_of(
    batch: Any,
    columns: Sequence[str],
    dtype: DTypeLike | None = None,
    *,
    name: str = "the table",
    first_row: int = 0,
) -> NDArray[Any]:
    """The columns of a record batch side by side; a missing number is NaN.

    Args:
        batch: A pyarrow RecordBatch of n rows.
        columns: The columns to take, in this order. Columns of lists are several.
        dtype: The type of the points; None: one that holds the types of all columns.
        name: What messages call the table.
        first_row: What they call the first row of the batch.

    Returns:
        [n, d].

    Raises:
        TypeError: If a column does not hold numbers.
        ValueError: If the lists of a column differ in length.
    """
    points = matrix_of_table(batch.select(list(columns)), name, first_row)
    return points if dtype is None else points.astype(np.dtype(dtype), copy=False)


def _all_but_index(table: Table, id_column: str | None) -> list[str]:
    """The names of all columns, but that of the ids and the index of a pandas table."""
    names = [name for name in table.default_columns() if name != id_column]
    index = [name for name in names if name in _index_columns(table.schema)]
    if not index or not table.has_names:
        return names
    take_it = Message("to take it, name it in ", Argument("columns", []))
    if len(index) == len(names):
        shown = ", ".join(map(repr, index))
        raise WordedError(
            f"{table.name} has no columns other than its index, {shown}", remedy=take_it
        )
    logger.warning(
        "%s: %s, the index of a pandas table, is not taken; %s",
        table.name,
        ", ".join(map(repr, index)),
        take_it,
    )
    return [name for name in names if name not in index]


def _index_columns(schema: Any) -> set[str]:
    """The names of the columns that are the index of a pandas table."""
    index = {name for name in schema.names if _INDEX_NAME.fullmatch(name)}
    # Of a CSV file that was read with its index.
    index |= set(itertools.takewhile(is_unnamed, schema.names))
    try:
        told = json.loads((schema.metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
        # A range is described by a dict, and is not a column.
        return index | {name for name in told if isinstance(name, str)}
    except (ValueError, AttributeError, TypeError):  # written by something else than pandas
        return index
