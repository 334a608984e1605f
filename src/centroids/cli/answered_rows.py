"""The rows that are to be labelled, where each has an answer, if only that it has none."""

from __future__ import annotations

import collections
import contextlib
import functools
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import numpy as np

from centroids.cli.points_file import PointsFile
from centroids.inputs.bad_rows import IsGood, find_good_rows, with_zeros
from centroids.inputs.batch import Batch, Mask, Origin, Position
from centroids.inputs.row_count import RowCount
from centroids.inputs.tables.columns import points_of
from centroids.inputs.tables.table import BAD_LINE, Table
from centroids.rows import num_rows


class AnsweredRows:
    """A source that hands rows on, those that cannot be labelled as zeros.

    Attributes:
        waiting: For each batch that was handed on, which rows can be labelled (None: all), the
            columns that go with them, and where they came from (None: not known).

    Args:
        source: Where the rows come from: a BatchSource. What goes with the rows of a batch is in
            the place of its labels.
        is_good: What can be labelled, by element.
    """

    def __init__(self, source: Any, is_good: IsGood) -> None:
        self.waiting: collections.deque[tuple[Mask | None, Any, Origin | None]]
        self.waiting = collections.deque()
        self._source, self._is_good = source, is_good
        source.keeps_missing = source.hands_on_bad_rows = True

    def __iter__(self) -> Iterator[Any]:
        """Yields the points of the batches."""
        return (batch.features for batch in self.batches())

    def position(self) -> Position | None:
        """Where the source stands."""
        position: Position | None = self._source.position()
        return position

    def restore(self, position: Position) -> None:
        """Makes the source begin there; see `Source`."""
        self._source.restore(position)

    def batches(self) -> Generator[Batch]:
        """Yields the batches."""
        with contextlib.closing(self._source.batches()) as batches:
            for batch in batches:
                points, beside = batch.features, batch.labels
                batch.labels = None
                if num_rows(points) == 0:
                    continue
                good = find_good_rows(points, self._is_good)
                if good is not None:
                    batch.features = with_zeros(points, self._is_good)
                self.waiting.append((good, beside, batch.origin))
                yield batch


class TableRows:
    """The points of a table, with other columns beside them: a BatchSource.

    Args:
        table: The table. Where it marks bad lines, they become infinite points.
        columns: The columns of the points.
        beside: The columns that go with them.
        batch_size: The most rows of a batch.
        row_count: What is known of the number of rows; None: nothing yet.
    """

    def __init__(
        self,
        table: Table,
        columns: Sequence[str],
        beside: Sequence[str],
        batch_size: int,
        row_count: RowCount | None = None,
    ) -> None:
        self._table, self._columns, self._beside = table, list(columns), list(beside)
        self._batch_size, self._row = batch_size, 0
        self.row_count = RowCount() if row_count is None else row_count

    def __iter__(self) -> Iterator[Any]:
        """Yields the points of the batches."""
        return (batch.features for batch in self.batches())

    def position(self) -> Position:
        """The number of rows so far."""
        return {"source": "table", "row": self._row}

    def restore(self, position: Position) -> None:
        """Makes the next iteration begin after so many rows."""
        row = position.get("row")
        if type(row) is not int or row < 0:
            raise ValueError(f"the saved position is of another input: {position}")
        self._row = row

    def batches(self) -> Generator[Batch]:
        """Yields the batches, with the columns beside the points as labels."""
        marks = [BAD_LINE] if BAD_LINE in self._table.schema.names else []
        columns = list(dict.fromkeys([*self._columns, *self._beside, *marks]))
        with contextlib.closing(self._table.batches(columns, first_row=self._row)) as read:
            for piece in read:
                for start in range(0, piece.num_rows, self._batch_size):
                    batch = piece.slice(start, self._batch_size)
                    first, name = self._row, self._table.name
                    points = points_of(batch, self._columns, name=name, first_row=first)
                    if marks and (bad := np.asarray(batch.column(BAD_LINE))).any():
                        points = np.where(bad[:, None], np.inf, points)
                    self._row += batch.num_rows
                    self.row_count.estimate(self._row, self._table.share_read)
                    yield Batch(
                        points,
                        batch.select(self._beside),
                        position=self.position(),
                        origin=functools.partial(self._origin, first),
                    )
        self.row_count.know(self._row)

    def _origin(self, first: int, row: int, column: int | None) -> str:
        place = f"{self._table.name}, {self._table.place(first + row)}"
        single = column is not None and column < len(self._columns)
        return f"{place}, column {self._columns[column or 0]!r}" if single else place


def table_columns(file: PointsFile, table: Table) -> list[str]:
    """The columns of the points of a file, as the table of it calls them."""
    chosen = file.columns if file.columns is not None else file.column_names()
    names = list(table.schema.names)
    if chosen is None:
        return names
    return [names[column] if isinstance(column, int) else column for column in chosen]


def answered(make: Callable[[], Any], is_good: IsGood) -> Callable[[], AnsweredRows]:
    """An input function of answered rows, for one that makes sources."""
    return lambda: AnsweredRows(make(), is_good)
