"""Tables of equal columns, one after the other."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

from centroids.inputs.arrow import import_arrow
from centroids.inputs.tables.table import BAD_LINE, Table, skip_rows


class JoinedTable(Table):
    """The rows of several tables.

    Args:
        name: What messages call it.
        tables: The tables, whose columns have the same names.
    """

    def __init__(self, name: str, tables: Sequence[Table]) -> None:
        first = tables[0]
        for table in tables:
            if table.schema.names != first.schema.names:
                raise ValueError(
                    f"{table.name} has the columns {table.schema.names}, but {first.name} has "
                    f"{first.schema.names}"
                )
        arrow, types = import_arrow(), import_arrow("pyarrow.types")
        # What is a number in one file and a word in another is a column of text.
        words = [
            name
            for number, name in enumerate(first.schema.names)
            if len({types.is_string(table.schema.types[number]) for table in tables}) > 1
        ]
        self._tables = [table.as_written(words) if words else table for table in tables]
        self.name, self.has_names = name, first.has_names
        with self.errors():
            schemas = [table.schema for table in self._tables]
            schema = arrow.unify_schemas(schemas, promote_options="permissive")
        counts = [table.num_rows for table in tables]
        num_rows = None if None in counts else sum(count or 0 for count in counts)
        identity = {"parts": [table.identity for table in tables]}
        self._starts: list[int] = []  # the first rows of the parts, as far as they have been read
        super().__init__(name, schema, num_rows, identity)

    def as_written(self, columns: Sequence[str]) -> Table:
        """The table with these columns of its parts as they are written."""
        return JoinedTable(self.name, [each.as_written(columns) for each in self._tables])

    def as_numbers(self, columns: Sequence[str]) -> Table:
        """The table with these columns of its parts as numbers."""
        return JoinedTable(self.name, [each.as_numbers(columns) for each in self._tables])

    def with_bad_lines(self) -> Table:
        """The table with lines that are not rows of its parts; see `Table`."""
        tables = [each.with_bad_lines() for each in self._tables]
        marked = [BAD_LINE in each.schema.names for each in tables]
        return JoinedTable(self.name, tables) if all(marked) else self

    def place(self, row: int) -> str:
        """A row of one of the parts."""
        part = bisect.bisect(self._starts, row) - 1
        if part < 0:
            return super().place(row)
        table = self._tables[part]
        return f"{PurePath(table.name).name}, {table.place(row - self._starts[part])}"

    def _read(self, columns: list[str], first_row: int) -> Iterator[Any]:
        start, self._starts = 0, []
        arrow = import_arrow()
        schema = arrow.schema([self.schema.field(name) for name in columns])
        for number, table in enumerate(self._tables):
            self._starts.append(start)
            if table.num_rows is not None and first_row >= table.num_rows:
                first_row -= table.num_rows
                start += table.num_rows
                continue
            count = 0
            for batch in table.batches(columns):
                count += batch.num_rows
                self.share_read = (number + (table.share_read or 0.0)) / len(self._tables)
                yield from skip_rows(
                    [batch.cast(schema)], max(first_row - count + batch.num_rows, 0)
                )
            first_row = max(first_row - count, 0)
            start += count
