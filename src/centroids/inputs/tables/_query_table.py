"""What DuckDB answers a query with: of SQL, or over files that it reads."""

from __future__ import annotations

import contextlib
import datetime
import functools
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from centroids.inputs.tables._local_copy import LocalCopy, local_copy
from centroids.inputs.tables.location import is_remote, schemes_in
from centroids.inputs.tables.table import Table, one_line, skip_rows
from centroids.packages import import_package

_BATCH_ROWS = 1 << 15
_LOOKED_AT = 100_000  # rows: to look at all of them takes longer than to read them
# It would be written to standard output, among labels.
_NO_BAR = "SET enable_progress_bar = false"
# Of what DuckDB keeps of the files that it has read: without a limit, most of the memory.
_SMALL = "SET memory_limit = '128MB'"
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
        copy: The copy that stands for the file in the query; None: there is none.
    """

    def __init__(
        self,
        name: str,
        query: str,
        setup: Sequence[str] = (),
        file: Path | None = None,
        copy: LocalCopy | None = None,
    ) -> None:
        self.name, self._query, self._setup = name, query, tuple(setup)
        self._file, self._copy = file, copy
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
            for system in self._file_systems():
                connection.register_filesystem(system)
            for statement in (_NO_BAR, *self._setup):
                connection.execute(statement)
            relation = connection.sql(self._query)
            if relation is None:
                raise ValueError(f"{self.name} gives no rows: it is not a SELECT")
            yield relation

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Replaces errors of DuckDB by ones in one line that name the query.

        Raises:
            KeyboardInterrupt: If a signal ended the query, whose exception DuckDB keeps to itself.
        """
        duckdb = import_package("duckdb", f"reading {self.name}", "centroids[tables]")
        try:
            with super().errors():
                yield
        except (RuntimeError, duckdb.InterruptException) as error:
            if "interrupted" not in str(error).lower():
                raise
            raise KeyboardInterrupt from error
        except duckdb.Error as error:
            told = one_line(error) if self._copy is None else self._copy.say(one_line(error))
            raise ValueError(f"{self.name} fails: {told}{_advice(error)}") from error

    def _read(self, columns: list[str], first_row: int) -> Iterator[Any]:
        with self._relation() as relation:
            chosen = ", ".join(map(quoted, columns))
            reader = relation.project(chosen).to_arrow_reader(_BATCH_ROWS)
            yield from skip_rows(reader, first_row)

    def _file_systems(self) -> list[Any]:
        if self._file is None:
            return [_file_system(scheme) for scheme in schemes_in(self._query)]
        if self._copy is not None or not is_remote(self._file):
            return []
        remote: Any = self._file
        return [_file_system(remote.protocol, **remote.storage_options)]


def _file_system(scheme: str, **options: Any) -> Any:
    """What reads addresses for DuckDB, which else downloads an extension for that."""
    fsspec = import_package("fsspec", f"reading {scheme}://", "centroids[tables]")
    system = fsspec.filesystem(scheme, skip_instance_cache=True, **options)
    if type(system).modified is fsspec.AbstractFileSystem.modified:  # that of HTTP does not know
        system.modified = lambda path: datetime.datetime.fromtimestamp(0, datetime.UTC)
    return system


def json_lines(file: Path) -> QueryTable:
    """The rows of a file with one JSON object per line.

    The first 100,000 decide about the columns and their types, or all if a later one has a column
    that those have not. A value that does not fit is an error with its line.
    """
    status = file.stat()
    if status.st_size == 0:
        raise ValueError(f"{file} has no rows")
    version = (status.st_size, getattr(status, "st_mtime_ns", None))
    columns = _columns_of_json(file, version)
    query = f"FROM read_ndjson({quoted_text(str(file))}, columns={{{columns}}})"
    return QueryTable(str(file), query, file=file)


@functools.lru_cache(maxsize=64)
def _columns_of_json(file: Path, version: tuple[int, int | None]) -> str:
    """The columns of a file and their types, in SQL; kept, as finding them takes a while."""
    path = quoted_text(str(file))
    found = _described(file, f"FROM read_ndjson({path}, sample_size={_LOOKED_AT})")
    keys = f"SELECT DISTINCT unnest(json_keys(json)) AS key FROM read_ndjson_objects({path})"
    named = _rows_of(QueryTable(str(file), f"FROM ({keys}) WHERE key IS NOT NULL", file=file))
    if not {row["key"] for row in named} <= found.keys():
        found = _described(file, f"FROM read_ndjson({path}, sample_size=-1)")
    return ", ".join(f"{quoted_text(name)}: {quoted_text(kind)}" for name, kind in found.items())


def _described(file: Path, query: str) -> dict[str, str]:
    """The columns that a query gives, each with its type."""
    described = f"SELECT column_name, column_type FROM (DESCRIBE {query})"
    rows = _rows_of(QueryTable(str(file), described, file=file))
    return {row["column_name"]: row["column_type"] for row in rows}


def _rows_of(table: QueryTable) -> list[dict[str, Any]]:
    return [row for batch in table.batches() for row in batch.to_pylist()]


def table_of_duckdb(file: Path, part: str | None) -> QueryTable:
    """A table of a DuckDB database: the one that is named, or its only one."""
    copy = local_copy(file) if is_remote(file) else None
    path = file if copy is None else copy.path
    attach = f"ATTACH {quoted_text(str(path))} AS source (READ_ONLY)"
    if part is None:
        names = QueryTable(
            str(file),
            "SELECT table_name FROM information_schema.tables WHERE table_catalog = 'source'",
            [attach],
            file,
            copy,
        )
        found = [name for batch in names.batches() for name in batch.column(0).to_pylist()]
        part = only_part(file, "tables", found)
    name = ".".join(map(quoted, ["source", *part.split(".")]))
    return QueryTable(f"{file}#{part}", f"FROM {name}", [_SMALL, attach], file, copy)


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
