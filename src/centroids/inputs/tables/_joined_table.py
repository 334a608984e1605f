"""Tables of equal columns, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from centroids.inputs.arrow import import_arrow
from centroids.inputs.tables.table import Table, skip_rows


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
        arrow = import_arrow()
        self._tables = list(tables)
        self.name, self.has_names = name, first.has_names
        with self.errors():
            schemas = [table.schema for table in tables]
            schema = arrow.unify_schemas(schemas, promote_options="permissive")
        counts = [table.num_rows for table in tables]
        num_rows = None if None in counts else sum(count or 0 for count in counts)
        identity = {"parts": [table.identity for table in tables]}
        super().__init__(name, schema, num_rows, identity)

    def as_written(self, columns: Sequence[str]) -> Table:
        """The table with these columns of its parts as they are written."""
        return JoinedTable(self.name, [each.as_written(columns) for each in self._tables])

    def as_numbers(self, columns: Sequence[str]) -> Table:
        """The table with these columns of its parts as numbers."""
        return JoinedTable(self.name, [each.as_numbers(columns) for each in self._tables])

    def _read(self, columns: list[str], first_row: int) -> Iterator[Any]:
        arrow = import_arrow()
        schema = arrow.schema([self.schema.field(name) for name in columns])
        for table in self._tables:
            if table.num_rows is not None and first_row >= table.num_rows:
                first_row -= table.num_rows
                continue
            count = 0
            for batch in table.batches(columns):
                count += batch.num_rows
                yield from skip_rows(
                    [batch.cast(schema)], max(first_row - count + batch.num_rows, 0)
                )
            first_row = max(first_row - count, 0)
