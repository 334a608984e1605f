"""The source over any table: batches of points, with positions."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator, Mapping
from typing import Any

from numpy.typing import NDArray

from centroids.inputs.arrow import columns_of_table, import_arrow
from centroids.inputs.batch import Position, TableColumn
from centroids.inputs.tables.columns import points_of
from centroids.inputs.tables.table import Table
from centroids.inputs.windows import Reading, WindowedSource, Windows, join_pieces


class TableSource(WindowedSource):
    """Points of the rows of a table; a position is the number of rows before it.

    Args:
        table: The table.
        reading: How to read it. Shuffling permutes rows within windows of 64 MiB.
        columns: The columns to take, of numbers or lists of numbers.
    """

    def __init__(
        self, table: Table, reading: Reading, columns: list[str], kind: str = "table"
    ) -> None:
        self._table, self._columns = table, columns
        self._first = _first_row(table, columns)
        self._width, self._row_bytes = 0, 1
        if self._first is not None:
            row = points_of(self._first, columns, name=table.name)
            self._width, self._row_bytes = row.shape[1], max(row.shape[1] * row.itemsize, 1)
        identity = {
            "rows": table.num_rows,
            "columns": columns,
            "types": [str(table.schema.field(name).type) for name in columns],
            **table.identity,
        }
        super().__init__(kind, table, reading, self._row_bytes, identity)

    @property
    def column_names(self) -> list[str] | None:
        """The names of the columns that are taken; None if they have none."""
        return list(self._columns) if self._table.has_names else None

    @property
    def num_rows(self) -> int | None:
        """The rows of the table, where that is known."""
        return self._table.num_rows

    def _limits_of_window(self) -> Mapping[str, int]:
        known = self._table.num_rows
        return {"offset": sys.maxsize if known is None else known}

    def _locate_row(self, epoch: int, window: Position, row: int, column: int | None) -> str:
        place = self._table.place(row + window.get("offset", 0))
        return place if column is None else f"{place}, column {self._name_of(column)}"

    def _name_of(self, column: int) -> str:
        """A column of the matrix by its name in the table, where lists are several of them."""
        for name, width, _ in self._table_columns():
            if column < width:
                return f"{column} of {name!r}" if width > 1 and name else repr(name or column)
            column -= width
        return str(column)

    def _table_columns(self) -> list[TableColumn]:
        return [] if self._first is None else columns_of_table(self._first.select(self._columns))

    def _read_windows(self, epoch: int, place: Position) -> Windows:
        offset = place.get("offset", 0)
        with contextlib.closing(self._read_points(epoch, offset)) as pieces:
            for rows in join_pieces(pieces, self._window_rows):
                offset += len(rows)
                self._share = self._table.share_read
                yield rows, {"offset": offset}

    def _read_points(self, epoch: int, offset: int) -> Generator[NDArray[Any]]:
        """The rows of an epoch from an offset on, in arrays of a few MiB."""
        row = offset
        with contextlib.closing(self._table.batches(self._columns, first_row=row)) as batches:
            for batch in batches:
                points = self._matrix_of(batch, row)
                row += len(points)
                yield points

    def _matrix_of(self, batch: Any, first_row: int) -> NDArray[Any]:
        name = self._table.name
        points = points_of(batch, self._columns, name=name, first_row=first_row)
        if points.shape[1] != self._width:
            raise ValueError(
                f"the rows of {name} must have equal lengths: row 0 has {self._width} elements, "
                f"row {first_row} has {points.shape[1]}"
            )
        return points


def _first_row(table: Table, columns: list[str]) -> Any:
    """A record batch that shows how wide rows are; None if there are none."""
    arrow, types = import_arrow(), import_arrow("pyarrow.types")
    fields = [table.schema.field(name) for name in columns]
    if not any(types.is_list(each.type) or types.is_large_list(each.type) for each in fields):
        # The types say it: to begin a query or a file may take long.
        return arrow.RecordBatch.from_pylist([], arrow.schema(fields))
    with contextlib.closing(table.batches(columns)) as batches:
        first = next(batches, None)
    return None if first is None else first.slice(0, 1)
