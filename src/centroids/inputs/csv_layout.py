"""What a text file of numbers looks like: delimiter, header and columns."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MAX_LINE_BYTES = 64 << 20
_DELIMITERS = ("\t", ";", ",")  # in this order: decimals and names may have commas
_QUOTED = r'"[^"]*+(?:""[^"]*+)*+"'
_QUOTED_FIELD = re.compile(rf"(?<![^\t;,\s]){_QUOTED}")


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
    line has one; or if it is a comment with as many fields as the rows, as numpy.savetxt writes. A
    line that is malformed is no header, but a row, which is refused or dropped when it is read.

    Args:
        file: The file.
        delimiter: Given, or None to find out.
        header: Whether there is a header; None to find out.

    Raises:
        ValueError: If the file has no line, or if the header that there is to be is malformed.
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
        delimiter = _find_delimiter(first)
    try:
        fields = _split_names(first, delimiter)
    except ValueError as error:
        if header:
            raise ValueError(f"{file}, line {first_line}: {error}") from None
        fields, header = first.split(delimiter), False
    names = _split_names_or_none(comment.lstrip("#").strip(), delimiter) if comment else None
    if header is None:
        second = _split_names_or_none(rows[-1][0], delimiter)
        header = _looks_like_header(fields, second or [], len(rows))
    if header:
        names = fields
        first_byte, first_line = first_byte + rows[0][1], first_line + 1
    known = tuple(names) if names is not None and len(names) == len(fields) else None
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
    """The fields of a line, without outer white space.

    A field that begins with a quotation mark ends at the next one that is not doubled. Between
    white space, quotation marks are characters like others: they are words of word vectors.

    >>> split_fields('"1","a ""b"", c", 5', ",")
    ['1', 'a "b", c', '5']
    >>> split_fields('" 1 5', None)
    ['"', '1', '5']

    Raises:
        ValueError: If a quotation mark has no second one, or if its field goes on after that.
    """
    if delimiter is None:
        return text.split()
    if '"' not in text:
        return [field.strip() for field in text.split(delimiter)]
    if not _has_closed_quotes(text):
        raise ValueError("a quotation mark is not closed")
    if not _pattern_of_line(delimiter, "*").fullmatch(text):
        raise ValueError("a quoted field is not closed, or goes on after its second quotation mark")
    return [_unquote(field).strip() for field in _pattern_of_field(delimiter).findall(text)]


def is_whole(text: str, layout: Layout) -> bool:
    """Whether a line has the fields of a row, and none of them is malformed."""
    delimiter, others = layout.delimiter, layout.num_fields - 1
    if delimiter is None:
        return len(text.split()) == layout.num_fields
    if '"' not in text:
        return text.count(delimiter) == others
    pattern = _pattern_of_line(delimiter, f"{{{others}}}")
    return _has_closed_quotes(text) and pattern.fullmatch(text) is not None


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


def _find_delimiter(first: str) -> str | None:
    """What separates the fields of the first line; a comma if it has only one."""
    outside = _QUOTED_FIELD.sub('""', first)
    for candidate in _DELIMITERS:
        if candidate in outside:
            return candidate
    return None if re.search(r"\s", outside.strip()) else ","


def _split_names(text: str, delimiter: str | None) -> list[str]:
    """The fields of a line that may be a header; R quotes names between white space too."""
    fields = split_fields(text, delimiter)
    return fields if delimiter is not None else [field.strip('"') for field in fields]


def _split_names_or_none(text: str, delimiter: str | None) -> list[str] | None:
    try:
        return _split_names(text, delimiter)
    except ValueError:
        return None


def _has_closed_quotes(text: str) -> bool:
    """Whether each quotation mark has its second one: else the text may go on in the next line."""
    return text.count('"') % 2 == 0


@functools.cache
def _pattern_of_line(delimiter: str, repeat: str) -> re.Pattern[str]:
    """Of a first field, and others as `repeat` says."""
    field = _field(delimiter)
    return re.compile(rf"{field}(?:{re.escape(delimiter)}{field}){repeat}")


@functools.cache
def _pattern_of_field(delimiter: str) -> re.Pattern[str]:
    """Of a field of a line that is not malformed, with the delimiter before it."""
    return re.compile(rf"(?:\A|{re.escape(delimiter)})({_field(delimiter)})")


def _field(delimiter: str) -> str:
    mark = re.escape(delimiter)
    return rf'(?>{_QUOTED}[^\S{mark}]*+|[^"{mark}][^{mark}]*+|)'


def _unquote(field: str) -> str:
    return field.rstrip()[1:-1].replace('""', '"') if field.startswith('"') else field
