"""Tables of SQLite and Postgres, which ADBC gives as Arrow.

DuckDB reads them too, by extensions that it downloads when they are first used. These drivers are
packages as any other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from centroids.inputs.arrow import import_arrow
from centroids.inputs.tables._local_copy import LocalCopy, local_copy
from centroids.inputs.tables._query_table import only_part, quoted
from centroids.inputs.tables.location import Text, is_query, is_remote
from centroids.inputs.tables.table import Table, one_line, skip_rows
from centroids.packages import import_package

_TABLES_OF_SQLITE = (
    "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') "
    "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
)
_TABLES_OF_POSTGRES = (
    "SELECT CASE table_schema WHEN 'public' THEN table_name ELSE table_schema || '.' || table_name "
    "END FROM information_schema.tables "
    "WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
)
# A scan begins where another one is, or is shared by workers: rows would come in any order.
_IN_ORDER = ("SET synchronize_seqscans = off", "SET max_parallel_workers_per_gather = 0")


class DatabaseTable(Table):
    """The rows of a table, or of a query to a database.

    Args:
        where: A file of SQLite, or the address of a database.
        part: The table or the query; None: the only table.
    """

    def __init__(self, where: Path | Text, part: str | None) -> None:
        self._copy: LocalCopy | None = None
        if isinstance(where, Text):
            address = where.text
        elif not is_remote(where):
            address = str(where)
        else:
            self._copy = local_copy(where)
            address = str(self._copy.path)
        self._driver = "postgresql" if address.startswith("postgres") else "sqlite"
        self._uri = address.removeprefix("sqlite:///")
        self.name = str(where)
        identity = {} if isinstance(where, Text) else {"bytes": where.stat().st_size}
        with self.errors():
            part = part or only_part(where, "tables", self._tables())
            self._query = part
            if not is_query(part):
                self._query = f"SELECT * FROM {'.'.join(map(quoted, part.split('.')))}"
            self.name = f"{where}#{part}"
            with self._reader(self._query) as reader:
                schema = _with_numbers(reader.schema)
        super().__init__(self.name, schema, None, {**identity, "query": self._query})

    @contextlib.contextmanager
    def _reader(self, query: str) -> Iterator[Any]:
        module = f"adbc_driver_{self._driver}"
        import_package(module, f"reading {self.name}", "centroids[databases]")
        dbapi = import_package(f"{module}.dbapi", f"reading {self.name}", "centroids[databases]")
        with dbapi.connect(self._uri) as connection, connection.cursor() as cursor:
            if self._driver == "postgresql":
                for statement in _IN_ORDER:
                    cursor.execute(statement)
            cursor.execute(query)
            with cursor.fetch_record_batch() as reader:
                yield reader

    def _tables(self) -> list[str]:
        of_sqlite = self._driver == "sqlite"
        with self._reader(_TABLES_OF_SQLITE if of_sqlite else _TABLES_OF_POSTGRES) as reader:
            return [str(name) for name in reader.read_all().column(0).to_pylist()]

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Replaces errors of a driver by ones in one line that name the table."""
        manager = import_package(
            "adbc_driver_manager", f"reading {self.name}", "centroids[databases]"
        )
        try:
            with super().errors():
                yield
        except manager.Error as error:
            told = one_line(str(error).partition("query: " + _TABLES_OF_SQLITE)[0])
            told = told if self._copy is None else self._copy.say(told)
            raise ValueError(f"{self.name} cannot be read: {told}") from error

    def _read(self, columns: list[str], first_row: int) -> Iterator[Any]:
        with self._reader(self._query) as reader:
            for batch in skip_rows(reader, first_row):
                yield batch.cast(self.schema).select(columns)


def _with_numbers(schema: Any) -> Any:
    """A schema in which decimal numbers of Postgres, which come as text, are numbers."""
    arrow = import_arrow()
    for place, field in enumerate(schema):
        if (field.metadata or {}).get(b"ADBC:postgresql:typname") == b"numeric":
            schema = schema.set(place, arrow.field(field.name, arrow.float64()))
    return schema
