"""Batches from a Parquet file, read row group by row group."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import logging
import os
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.errors import Argument, Message, MissingColumnError, WordedError
from centroids.inputs.arguments import check_file
from centroids.inputs.arrow import (
    check_column_type,
    columns_of_table,
    holds_numbers,
    import_arrow,
    matrix_of_table,
)
from centroids.inputs.bad_rows import BadRows
from centroids.inputs.batch import Position, TableColumn
from centroids.inputs.text._csv_header import is_unnamed
from centroids.inputs.windows import Reading, WindowedSource, Windows, check_reading, join_pieces

_INDEX_NAME = re.compile(r"__index_level_\d+__")  # of an index without a name
_PIECE_BYTES = 4 << 20
_BUFFER_BYTES = 64 << 10

logger = logging.getLogger(__name__)


def parquet_input_fn(
    path: str | os.PathLike[str],
    batch_size: int = 128,
    num_epochs: int | None = 1,
    shuffle: bool = False,
    seed: int = 0,
    *,
    columns: Sequence[str] | None = None,
    bad_rows: BadRows = "raise",
) -> Callable[[], ParquetSource]:
    """Makes an input function that feeds the rows of a Parquet file, in bounded memory.

    The columns are put side by side in the dtype that holds them all; a column of lists of d
    numbers counts as d columns. With `shuffle`, the row groups are permuted, and rows within
    windows of 64 MiB.

    Args:
        path: The file.
        batch_size: The rows of a batch. The last one of an epoch may have fewer.
        num_epochs: How often to read the file; None: forever.
        shuffle: Whether to shuffle the rows, differently in each epoch.
        seed: Of the shuffling.
        columns: The names of the columns to take, in this order; None: all but the index of a
            pandas table; the log says so.
        bad_rows: "drop" leaves out rows with a missing number, NaN or infinity and says so in the
            log; see `numpy_input_fn`.

    Returns:
        A function that returns a new source at each call. Batches are [n, d].

    Raises:
        ImportError: If pyarrow is not installed.
        OSError: If the file cannot be read; FileNotFoundError if it is not there.
        TypeError: If a column holds no numbers.
        ValueError: If it is not a Parquet file, a column is missing, or an argument has a value
            that is not allowed. While reading: if the lists of a column differ in length.
    """
    file = check_file(path)
    reading = check_reading(batch_size, num_epochs, shuffle, seed, bad_rows)
    if columns is not None and (isinstance(columns, str) or not columns):
        raise ValueError(f"columns must be a list of names, got {columns!r}")
    with open_parquet(file) as parquet:
        chosen = _choose_columns(file, parquet.schema_arrow, columns)
    ParquetSource(file, reading, chosen)  # raises errors now, not at the first batch
    return functools.partial(ParquetSource, file, reading, chosen)


class ParquetSource(WindowedSource):
    """Rows of a Parquet file; see `parquet_input_fn`."""

    def __init__(self, file: Path, reading: Reading, columns: list[str]) -> None:
        self._file = file
        with open_parquet(file) as parquet:
            schema = parquet.schema_arrow
            self._columns = _check_columns(file, schema, columns)
            metadata = parquet.metadata
            groups = range(metadata.num_row_groups)
            self._group_rows = [int(metadata.row_group(group).num_rows) for group in groups]
            self._width, row_bytes = self._measure_row(parquet)
        self._num_rows = sum(self._group_rows)
        self._piece_rows = max(_PIECE_BYTES // row_bytes, 1)
        identity = {
            "rows": self._num_rows,
            "columns": self._columns,
            "types": [str(schema.field(name).type) for name in self._columns],
            "bytes": file.stat().st_size,  # another order of the row groups has other bytes too
        }
        super().__init__("parquet", file, reading, row_bytes, identity)

    @property
    def column_names(self) -> list[str]:
        """The names of the columns that are taken."""
        return list(self._columns)

    @property
    def num_rows(self) -> int:
        """The rows of the file."""
        return self._num_rows

    def _limits_of_window(self) -> Mapping[str, int]:
        return {"offset": self._num_rows}

    def _locate_row(self, epoch: int, window: Position, row: int, column: int | None) -> str:
        row += window.get("offset", 0)
        for group in self._order_of_groups(epoch):
            if row < self._group_rows[group]:
                row += sum(self._group_rows[:group])
                break
            row -= self._group_rows[group]
        return f"row {row}" if column is None else f"row {row}, column {self._name_of(column)}"

    def _name_of(self, column: int) -> str:
        """A column of the matrix by its name in the file, where lists are several of the former."""
        if self._width == len(self._columns):
            return repr(self._columns[column])
        for name, width, _ in self._table_columns():
            if column < width:
                return f"{column} of {name!r}" if width > 1 else repr(name)
            column -= width
        return str(column)

    def _table_columns(self) -> list[TableColumn]:
        groups = [group for group, num_rows in enumerate(self._group_rows) if num_rows]
        if not groups:
            return []
        with open_parquet(self._file) as parquet:
            return columns_of_table(next(self._read_tables(parquet, groups[0], 1)))

    def _order_of_groups(self, epoch: int) -> list[int]:
        groups = np.arange(len(self._group_rows))
        if self._reading.shuffle:
            groups = np.random.default_rng([self._reading.seed, epoch]).permutation(groups)
        return groups.tolist()

    def _read_windows(self, epoch: int, place: Position) -> Windows:
        offset = place.get("offset", 0)
        groups = self._order_of_groups(epoch)
        with contextlib.closing(self._read_pieces(groups, offset)) as pieces:
            for rows in join_pieces(pieces, self._window_rows):
                offset += len(rows)
                yield rows, {"offset": offset}

    def _read_pieces(self, groups: list[int], skip: int) -> Generator[NDArray[Any]]:
        """The rows of row groups, without the first `skip`, in arrays of a few MiB."""
        with open_parquet(self._file) as parquet:
            for group in groups:
                if skip >= self._group_rows[group]:
                    skip -= self._group_rows[group]
                    continue
                first_row = row = sum(self._group_rows[:group])
                for table in self._read_tables(parquet, group, self._piece_rows):
                    matrix = self._matrix_of(table, row)
                    row += len(matrix)
                    if skip < len(matrix):
                        yield matrix[skip:]
                    skip = max(skip - len(matrix), 0)
                self._check_group(group, row - first_row)

    def _matrix_of(self, table: Any, first_row: int) -> NDArray[Any]:
        matrix = matrix_of_table(table, str(self._file), first_row)
        if matrix.shape[1] != self._width:
            raise ValueError(
                f"the rows of {self._file} must have equal lengths: row 0 has {self._width} "
                f"elements, row {first_row} has {matrix.shape[1]}"
            )
        return matrix

    def _check_group(self, group: int, num_rows: int) -> None:
        if num_rows != self._group_rows[group]:
            raise ValueError(
                f"{self._file} is damaged: row group {group} has {num_rows} rows, but the "
                f"footer says {self._group_rows[group]}"
            )

    def _measure_row(self, parquet: Any) -> tuple[int, int]:
        """The number of columns and the bytes of the first row; (0, 1) without rows."""
        for group, num_rows in enumerate(self._group_rows):
            if num_rows:
                table = next(self._read_tables(parquet, group, 1), None)
                if table is None:
                    self._check_group(group, 0)
                row = matrix_of_table(table, str(self._file))
                return row.shape[1], max(row.nbytes, 1)
        return 0, 1

    def _read_tables(self, parquet: Any, group: int, num_rows: int) -> Iterator[Any]:
        batches = parquet.iter_batches(num_rows, row_groups=[group], columns=self._columns)
        return (batch.select(self._columns) for batch in batches if batch.num_rows)


@contextlib.contextmanager
def open_parquet(file: Path) -> Iterator[Any]:
    """A file opened by Arrow, whose errors are replaced by ones that name the file."""
    arrow, parquet = import_arrow(), import_arrow("pyarrow.parquet")
    try:
        # A buffer keeps Arrow from loading whole column chunks.
        with parquet.ParquetFile(
            file,
            buffer_size=_BUFFER_BYTES,
            pre_buffer=False,
            page_checksum_verification=True,  # where the writer has put checksums
        ) as opened:
            yield opened
    except arrow.ArrowException as error:
        raise ValueError(f"{file} is not a Parquet file or damaged: {error}") from error
    except OSError as error:
        if error.filename is None:  # Arrow's own: the system's errors have a name
            raise OSError(f"{file} is damaged: {error}") from error
        raise


def _choose_columns(file: Path, schema: Any, columns: Sequence[str] | None) -> list[str]:
    """The columns that were asked for, or all but the index."""
    if columns is not None:
        return list(columns)
    names: list[str] = list(schema.names)
    index = [name for name in names if name in _index_columns(schema)]
    if not index:
        return names
    take_it = Message("to take it, name it in ", Argument("columns", []))
    if len(index) == len(names):
        shown = ", ".join(map(repr, index))
        raise WordedError(f"{file} has no columns but its index, {shown}", remedy=take_it)
    logger.warning(
        "%s: %s, the index of a pandas table, is not taken; %s",
        file,
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


def _check_columns(file: Path, schema: Any, columns: list[str]) -> list[str]:
    names: list[str] = list(schema.names)
    if not columns:
        raise ValueError(f"{file} has no columns")
    for name in columns:
        if names.count(name) > 1:
            raise ValueError(
                f"{file} has {names.count(name)} columns called {name!r}; give them different names"
            )
        if name not in names:
            raise MissingColumnError(file, name, names)
        kind = schema.field(name).type
        others = [] if holds_numbers(kind) else _columns_of_numbers(schema, columns)
        check_column_type(kind, f"{file}[{name!r}]", others)
    return columns


def _columns_of_numbers(schema: Any, columns: list[str]) -> list[str]:
    names = [each for each in columns if schema.names.count(each) == 1]
    return [each for each in names if holds_numbers(schema.field(each).type)]
