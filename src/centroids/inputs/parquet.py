"""Batches from Parquet files, read row group by row group."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.inputs._read_ahead import all_but_first_ahead
from centroids.inputs.arguments import check_file
from centroids.inputs.bad_rows import BadRows
from centroids.inputs.batch import Position
from centroids.inputs.tables.columns import numeric_columns
from centroids.inputs.tables.parquet_table import ParquetTable
from centroids.inputs.tables.source import TableSource
from centroids.inputs.windows import Reading, check_reading

_PIECE_BYTES = 6 << 20
_PIECES_UNTIL_AHEAD = 2  # a file of fewer needs no thread, nor does who reads no more


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
    return open_groups(functools.partial(ParquetTable, str(file), [file]), reading, columns)


def open_groups(
    open_table: Callable[[], ParquetTable],
    reading: Reading,
    columns: Sequence[str] | None,
    table: ParquetTable | None = None,
) -> Callable[[], ParquetSource]:
    """As `parquet_input_fn`, for any files, whose footers are read anew for each source.

    Args:
        open_table: Opens the files.
        reading: How to read.
        columns: Those to take; see `parquet_input_fn`.
        table: The files, if they are open already.
    """
    table = open_table() if table is None else table
    chosen = numeric_columns(table, columns)
    ParquetSource(table, reading, chosen)  # raises errors now, not at the first batch
    return functools.partial(_open_source, open_table, reading, chosen)


def _open_source(
    open_table: Callable[[], ParquetTable], reading: Reading, columns: list[str]
) -> ParquetSource:
    return ParquetSource(open_table(), reading, columns)


class ParquetSource(TableSource):
    """Rows of Parquet files; see `parquet_input_fn`."""

    _table: ParquetTable

    def __init__(self, table: ParquetTable, reading: Reading, columns: list[str]) -> None:
        super().__init__(table, reading, columns, kind="parquet")
        self._group_rows = table.group_rows

    def _locate_row(self, epoch: int, window: Position, row: int, column: int | None) -> str:
        row += window.get("offset", 0)
        for group in self._order_of_groups(epoch):
            if row < self._group_rows[group]:
                row += sum(self._group_rows[:group])
                break
            row -= self._group_rows[group]
        return super()._locate_row(epoch, {}, row, column)

    def _order_of_groups(self, epoch: int) -> list[int]:
        groups = np.arange(len(self._group_rows))
        if self._reading.shuffle:
            groups = np.random.default_rng([self._reading.seed, epoch]).permutation(groups)
        return groups.tolist()

    def _read_points(self, epoch: int, offset: int) -> Generator[NDArray[Any]]:
        """The rows of row groups, without the first ones, in arrays of a few MiB."""
        pieces = self._record_batches(epoch, offset)
        if sum(self._group_rows) * self._row_bytes > _PIECES_UNTIL_AHEAD * _PIECE_BYTES:
            # Arrow decodes a piece while the one before it becomes a matrix and is worked on.
            pieces = all_but_first_ahead(pieces, _PIECES_UNTIL_AHEAD)
        with contextlib.closing(pieces):
            for first_row, batch in pieces:
                points = self._matrix_of(batch, first_row)
                del batch  # three at a time: one that is decoded, one that waits, and this one
                yield points

    def _record_batches(self, epoch: int, offset: int) -> Generator[tuple[int, Any]]:
        """Record batches of the rows of an epoch from an offset on, each with its first row."""
        skip = offset
        for group in self._order_of_groups(epoch):
            if skip >= self._group_rows[group]:
                skip -= self._group_rows[group]
                continue
            row = sum(self._group_rows[:group])
            batches = self._table.read_group(group, self._columns, self._piece_rows)
            with contextlib.closing(batches):
                for batch in batches:
                    if skip < batch.num_rows:
                        yield row + skip, batch.slice(skip)
                    row += batch.num_rows
                    skip = max(skip - batch.num_rows, 0)

    @property
    def _piece_rows(self) -> int:
        """The rows of a piece: whole windows where they fit, so that few have to be joined."""
        rows = max(_PIECE_BYTES // self._row_bytes, 1)
        return max(round(rows / self._window_rows), 1) * min(rows, self._window_rows)
