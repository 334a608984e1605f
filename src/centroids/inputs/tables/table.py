"""What a table is, whatever it is read from."""

from __future__ import annotations

import abc
import contextlib
import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from centroids.errors import MissingColumnError
from centroids.inputs.arrow import import_arrow

_PIECE_BYTES = 4 << 20


class Table(abc.ABC):
    """Rows of a file, folder, query or frame, as Arrow record batches, in order, in bounded memory.

    A table holds nothing open between two calls, and can be pickled.

    Attributes:
        name: What messages call it: `points.parquet`, `the query "SELECT a FROM ..."`.
        schema: The pyarrow.Schema of all columns, known before any row is read.
        num_rows: The number of rows, where it is known without reading them; else None.
        identity: What must be equal for a saved position to mean the same row.
        has_names: Whether the columns have names of their own. Those of an array do not.
    """

    has_names = True

    def __init__(
        self,
        name: str,
        schema: Any,
        num_rows: int | None = None,
        identity: Mapping[str, Any] | None = None,
    ) -> None:
        self.name, self.schema, self.num_rows = name, schema, num_rows
        self.identity = dict(identity or {})

    @abc.abstractmethod
    def _read(self, columns: list[str], first_row: int) -> Iterator[Any]:
        """Yields record batches of these columns, from a row on."""

    def batches(
        self, columns: Sequence[str] | None = None, *, first_row: int = 0
    ) -> Generator[Any]:
        """Yields record batches of a few MiB at most; empty ones are left out.

        Args:
            columns: The names of the columns to read, in this order; None: all.
            first_row: The row to begin with.

        Raises:
            MissingColumnError: If there is no such column.
            OSError: If the table cannot be read.
            ValueError: If it is damaged, or a value does not fit its column.
        """
        names = check_columns(self, self.schema.names if columns is None else columns)
        with self.errors(), contextlib.closing(_as_generator(self._read(names, first_row))) as read:
            for batch in read:
                yield from _cut(batch)

    def default_columns(self) -> list[str]:
        """The columns to choose from where none is named."""
        return list(self.schema.names)

    def as_written(self, columns: Sequence[str]) -> Table:
        """The table with columns as they are written, where that is text and types are a guess.

        So names of rows keep their zeros in front, and all of their digits.
        """
        del columns
        return self

    def as_numbers(self, columns: Sequence[str]) -> Table:
        """The table with these columns as numbers, where types are a guess."""
        del columns
        return self

    def place(self, row: int) -> str:
        """A row as messages name it, counted from 0."""
        return f"row {row}"

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Replaces errors of Arrow by ones in one line that name the table."""
        arrow = import_arrow()
        try:
            yield
        except arrow.ArrowException as error:
            if isinstance(error, OSError) and error.filename is not None:
                raise
            raise ValueError(f"{self.name} is damaged: {one_line(error)}") from error
        except OSError as error:
            if error.filename is not None or error.errno is not None:
                raise
            # What a library says through a stream of Arrow.
            raise ValueError(f"{self.name} cannot be read: {one_line(error)}") from error

    def __str__(self) -> str:
        """The name."""
        return self.name


def one_line(error: object) -> str:
    r"""What an error says, in one line.

    >>> one_line("Binder Error: no such column\n\nLINE 1: SELECT a")
    'Binder Error: no such column: LINE 1: SELECT a'
    >>> one_line('Traceback (most recent call last):\n  File "a.py", line 1, in f\n\nE: no')
    'E: no'
    """
    text = str(error)
    begin, traceback, frames = text.partition("Traceback (most recent call last):\n")
    if traceback:  # of a Python function that a library has called
        text = begin + re.sub(r"^  .*\n?", "", frames, flags=re.MULTILINE)
    lines = (line.strip() for line in text.splitlines())
    return ": ".join(line.rstrip(":") for line in lines if line.strip(" ^"))


def skip_rows(batches: Iterable[Any], num_rows: int) -> Iterator[Any]:
    """Record batches without the first rows."""
    for batch in batches:
        if num_rows < batch.num_rows:
            yield batch.slice(num_rows)
        num_rows = max(num_rows - batch.num_rows, 0)


def check_columns(table: Table, columns: Sequence[str]) -> list[str]:
    """A list of the names, which the table must have once each.

    Raises:
        MissingColumnError: If one is missing.
        ValueError: If several columns have such a name.
    """
    names: list[str] = list(table.schema.names)
    for name in columns:
        if names.count(name) > 1:
            raise ValueError(
                f"{table.name} has {names.count(name)} columns called {name!r}; give them "
                "different names"
            )
        if name not in names:
            raise MissingColumnError(table.name, name, names)
    return list(columns)


def _cut(batch: Any) -> Iterator[Any]:
    """A record batch in pieces of a few MiB, which share its memory."""
    step = max(batch.num_rows * _PIECE_BYTES // max(batch.nbytes, 1), 1)
    for start in range(0, batch.num_rows, step):
        yield batch.slice(start, step)


def _as_generator(batches: Iterator[Any]) -> Generator[Any]:
    yield from batches
