"""What DuckDB answers a query with: of SQL, or over files that it reads."""

from __future__ import annotations

import contextlib
import datetime
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from centroids.inputs.tables.location import import_package, schemes_in
from centroids.inputs.tables.table import Table, one_line, skip_rows

_BATCH_ROWS = 1 << 15
_NEEDS_NETWORK = "extension"


class QueryTable(Table):
    """The rows that a query gives, which runs anew for each pass.

    It runs on one thread: only then does DuckDB give equal rows in an equal order each time, as a
    position needs. (A scan alone would keep it, a join or a GROUP BY on several threads does not.)

    Args:
        name: What messages call it.
        query: In SQL.
        setup: Statements that run before it.
        file: What it reads, if it is a single file.
    """

    def __init__(
        self, name: str, query: str, setup: Sequence[str] = (), file: Path | None = None
    ) -> None:
        self.name, self._query, self._setup = name, query, tuple(setup)
        with self.errors(), self._relation() as relation:
            schema = relation.limit(0).to_arrow_table().schema
        identity = {"query": query} if file is None else {"bytes": file.stat().st_size}
        super().__init__(name, schema, None, identity)

    @contextlib.contextmanager
    def _relation(self) -> Iterator[Any]:
        duckdb = import_package("duckdb", f"reading {self.name}", "centroids[tables]")
        with (
            tempfile.TemporaryDirectory(prefix="centroids-") as folder,
            duckdb.connect(config={"threads": 1, "temp_directory": folder}) as connection,
        ):
            for scheme in schemes_in(self._query):
                connection.register_filesystem(_file_system(scheme))
            for statement in self._setup:
                connection.execute(statement)
            relation = connection.sql(self._query)
            if relation is None:
                raise ValueError(f"{self.name} gives no rows: it is not a SELECT")
            yield relation

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Replaces errors of DuckDB by ones in one line that name the query."""
        duckdb = import_package("duckdb", f"reading {self.name}", "centroids[tables]")
        try:
            with super().errors():
                yield
        except duckdb.Error as error:
            raise ValueError(f"{self.name} fails: {one_line(error)}{_advice(error)}") from error

    def _read(self, columns: list[str], first_row: int) -> Iterator[Any]:
        with self._relation() as relation:
            chosen = ", ".join(map(quoted, columns))
            reader = relation.project(chosen).to_arrow_reader(_BATCH_ROWS)
            yield from skip_rows(reader, first_row)


def _file_system(scheme: str) -> Any:
    """What reads addresses for DuckDB, which else downloads an extension for that."""
    fsspec = import_package("fsspec", f"reading {scheme}://", "centroids[tables]")
    system = fsspec.filesystem(scheme, skip_instance_cache=True)
    if type(system).modified is fsspec.AbstractFileSystem.modified:  # that of HTTP does not know
        system.modified = lambda path: datetime.datetime.fromtimestamp(0, datetime.UTC)
    return system


def json_lines(file: Path) -> QueryTable:
    """The rows of a file with one JSON object per line; types are those that hold all rows."""
    if file.stat().st_size == 0:
        raise ValueError(f"{file} has no rows")
    # Looked at as a whole: a column that begins late would be left out.
    read = f"SELECT * FROM read_ndjson({quoted_text(str(file))}, sample_size=-1)"
    return QueryTable(str(file), read, file=file)


def table_of_duckdb(file: Path, part: str | None) -> QueryTable:
    """A table of a DuckDB database: the one that is named, or its only one."""
    attach = f"ATTACH {quoted_text(str(file))} AS source (READ_ONLY)"
    if part is None:
        names = QueryTable(
            str(file),
            "SELECT table_name FROM information_schema.tables WHERE table_catalog = 'source'",
            [attach],
            file,
        )
        found = [name for batch in names.batches() for name in batch.column(0).to_pylist()]
        part = only_part(file, "tables", found)
    name = ".".join(map(quoted, ["source", *part.split(".")]))
    return QueryTable(f"{file}#{part}", f"FROM {name}", [attach], file)


def only_part(file: object, kind: str, names: Sequence[str]) -> str:
    """The only one of the parts of a file; with several, an error names them."""
    if len(names) == 1:
        return names[0]
    if not names:
        raise ValueError(f"{file} has no {kind}")
    shown = ", ".join(f"{file}#{name}" for name in names[:20])
    raise ValueError(f"{file} has {len(names)} {kind}; name one of them: {shown}")


def quoted(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"


def _advice(error: Exception) -> str:
    if _NEEDS_NETWORK not in str(error).lower() or "download" not in str(error).lower():
        return ""
    return (
        ". DuckDB downloads its extensions when they are first used, and could not: install it "
        "where there is a network, or read the file itself instead of a query"
    )
