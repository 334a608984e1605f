"""What a text file of numbers looks like: delimiter, header and columns."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MAX_LINE_BYTES = 64 << 20
_DELIMITERS = ("\t", ";", ",")  # in this order: decimals and names may have commas


@dataclass(frozen=True)
class Layout:
    """Where the rows of a text file begin and how they are split.

    Attributes:
        delimiter: One character; None: any white space.
        names: The names of the columns; None if the file has none.
        num_fields: The fields of a row.
        first_byte: Where the rows begin.
        first_line: The number of that line, from 1.
    """

    delimiter: str | None
    names: tuple[str, ...] | None
    num_fields: int
    first_byte: int
    first_line: int

    def describe(self, column: int) -> str:
        """A column as messages name it: its number from 0, with its name if it has one."""
        return f"{column}" if self.names is None else f"{column} ({self.names[column]!r})"


def detect_layout(file: Path, delimiter: str | None, header: bool | None) -> Layout:
    """Looks at the first lines of a file.

    The first line is a header if it has no number, or if a field of it is no number where the next
    line has one; or if it is a comment with as many fields as the rows, as numpy.savetxt writes.

    Args:
        file: The file.
        delimiter: Given, or None to find out.
        header: Whether there is a header; None to find out.

    Raises:
        ValueError: If the file has no line.
    """
    first_byte, first_line, comment = 0, 1, ""
    rows: list[tuple[str, int]] = []
    with file.open("rb") as handle:
        while line := read_line(handle, file, first_line):
            text = decode_line(line).strip()
            if not rows and (not text or text.startswith("#")):
                first_byte, first_line = first_byte + len(line), first_line + 1
                comment = text or comment
            elif text:
                rows.append((decode_line(line), len(line)))
            if len(rows) == 2:
                break
    if not rows:
        raise ValueError(f"{file} has no rows")
    first = rows[0][0]
    if delimiter is None:
        delimiter = next((candidate for candidate in _DELIMITERS if candidate in first), None)
    fields = split_fields(first, delimiter)
    names = split_fields(comment.lstrip("#").strip(), delimiter) if comment else []
    if header is None:
        header = _looks_like_header(fields, split_fields(rows[-1][0], delimiter), len(rows))
    if header:
        names = fields
        first_byte, first_line = first_byte + rows[0][1], first_line + 1
    known = tuple(names) if len(names) == len(fields) else None
    return Layout(delimiter, known, len(fields), first_byte, first_line)


def choose_columns(
    file: Path, layout: Layout, columns: Sequence[str | int] | None
) -> tuple[int, ...] | None:
    """The numbers of the chosen columns; None for all.

    Raises:
        ValueError: If a column is not there.
    """
    if columns is None:
        return None
    if isinstance(columns, str) or not columns:
        raise ValueError(f"columns must be a list of names or numbers, got {columns!r}")
    available = range(layout.num_fields) if layout.names is None else layout.names
    numbers = []
    for column in columns:
        if isinstance(column, str) and layout.names is not None and column in layout.names:
            numbers.append(layout.names.index(column))
        elif not isinstance(column, str) and column in range(layout.num_fields):
            numbers.append(int(column))
        else:
            names = ", ".join(map(repr, itertools.islice(available, 20)))
            more = ", ..." if len(available) > 20 else ""
            raise ValueError(f"{file} has no column {column!r}; it has the columns {names}{more}")
    return tuple(numbers)


def decode_line(line: bytes) -> str:
    """The text of a line; what is not UTF-8 is replaced, as it may be in a column not taken."""
    return line.removeprefix(_BYTE_ORDER_MARK).decode("utf-8", errors="replace").rstrip("\r\n")


def split_fields(text: str, delimiter: str | None) -> list[str]:
    """The fields of a line, without quotation marks and outer white space."""
    if delimiter is None:
        return [field.strip('"') for field in text.split()]
    try:
        fields = next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:  # a carriage return within the line, or a field of more than 128 KiB
        fields = text.split(delimiter)
    return [field.strip() for field in fields]


def is_whole(text: str, layout: Layout) -> bool:
    """Whether a line has the fields of a row, none of them with an open quotation mark."""
    delimiter = layout.delimiter
    if delimiter is None:
        return len(text.split()) == layout.num_fields
    if '"' in text:
        return has_closed_quotes(text) and len(split_fields(text, delimiter)) == layout.num_fields
    return text.count(delimiter) + 1 == layout.num_fields


def has_closed_quotes(text: str) -> bool:
    """Whether each quotation mark of a line has its second one."""
    return text.count('"') % 2 == 0


def is_number(field: str) -> bool:
    """Whether a field is a number; Python's underscores and other scripts do not count."""
    try:
        float(field)
    except ValueError:
        return False
    return "_" not in field and field.strip().isascii()


def read_line(handle: IO[bytes], file: Path, number: int) -> bytes:
    """The next line of a file; empty at its end.

    Raises:
        ValueError: If it is longer than 64 MiB; it names the file and the given number.
    """
    line = handle.readline(_MAX_LINE_BYTES)
    if len(line) == _MAX_LINE_BYTES and not line.endswith(b"\n"):
        raise ValueError(
            f"{file}, line {number} has more than {_MAX_LINE_BYTES >> 20} MiB; a row may have less"
        )
    return line


def _looks_like_header(first: list[str], second: list[str], num_rows: int) -> bool:
    if not any(map(is_number, first)):
        return True
    if num_rows < 2:
        return False
    return any(
        not is_number(above) and is_number(below)
        for above, below in zip(first, second, strict=False)
    )
