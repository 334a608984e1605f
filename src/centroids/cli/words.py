"""Names for rows; only those that are shown are kept."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from centroids.inputs.arrow import import_arrow
from centroids.inputs.tables.parquet_table import open_parquet

_CHUNK_BYTES = 1 << 20
_READ_ROWS = 4096


class Words:
    """The names in a file: the lines of a text file, or a column of a Parquet file.

    Args:
        path: The file.
        column: The column of a Parquet file; None takes the first that holds text.

    Raises:
        OSError: If the file cannot be read.
        ImportError: If it is Parquet and pyarrow is missing.
        ValueError: If the column is not there, or there is none of text, or the file has no
            columns to choose from.
    """

    def __init__(self, path: Path, column: str | None = None) -> None:
        self._path = path
        self._is_parquet = path.suffix.lower() == ".parquet"
        if self._is_parquet:
            with open_parquet(path) as parquet:
                self.column: str | None = _choose_column(path, parquet.schema_arrow, column)
                self.count = int(parquet.metadata.num_rows)
            return
        if column is not None:
            raise ValueError(
                f"--words-column is for a .parquet file; {path} is read as text, a name in each "
                "line: leave it out"
            )
        self.column = None
        self.count = _count_lines(path)

    def read(self, rows: Iterable[int]) -> dict[int, str]:
        """The names of some rows, in bounded memory."""
        wanted = set(rows)
        return self._read_column(wanted) if self._is_parquet else self._read_lines(wanted)

    def _read_lines(self, wanted: set[int]) -> dict[int, str]:
        found = {}
        with self._path.open("rb") as handle:
            # Not as text: that would also break lines at characters that names have.
            for number, line in enumerate(handle):
                if number in wanted:
                    text = line.removeprefix(codecs.BOM_UTF8) if number == 0 else line
                    found[number] = text.decode("utf-8", errors="replace").rstrip("\r\n")
        return found

    def _read_column(self, wanted: set[int]) -> dict[int, str]:
        found: dict[int, str] = {}
        with open_parquet(self._path) as parquet:
            first = 0
            for group in range(parquet.metadata.num_row_groups):
                end = first + parquet.metadata.row_group(group).num_rows
                if wanted.isdisjoint(range(first, end)):
                    first = end
                    continue
                batches = parquet.iter_batches(
                    _READ_ROWS, row_groups=[group], columns=[self.column]
                )
                for batch in batches:
                    names = batch.column(0)
                    for row in wanted.intersection(range(first, first + len(names))):
                        found[row] = str(names[row - first].as_py())
                    first += len(names)
        return found


def _choose_column(path: Path, schema: Any, column: str | None) -> str:
    names: list[str] = list(schema.names)
    if column is not None:
        if column not in names:
            raise ValueError(f"{path} has no column {column!r}; it has {_list(names)}")
        return column
    texts = [name for name in names if _is_text(schema.field(name).type)]
    if not texts:
        raise ValueError(
            f"{path} has no column of text; choose another with --words-column: it has "
            f"{_list(names)}"
        )
    return texts[0]


def _is_text(kind: Any) -> bool:
    types = import_arrow("pyarrow.types")
    if types.is_dictionary(kind):
        kind = kind.value_type
    return str(kind) in ("string", "large_string", "string_view")


def _list(names: list[str]) -> str:
    return ", ".join(map(repr, names[:20])) + (", ..." if len(names) > 20 else "")


def _count_lines(path: Path) -> int:
    count, last = 0, b"\n"
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK_BYTES):
            count += chunk.count(b"\n")
            last = chunk[-1:]
    return count + (last != b"\n")
