"""What is wrong with a line whose quotation marks do not make fields."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from centroids.errors import BadLineError
from centroids.inputs.text._csv_fields import is_whole
from centroids.inputs.text._text_bytes import open_bytes
from centroids.inputs.text.csv_layout import Layout, decode_line, read_line

_MOST_LINES, _MOST_CHARACTERS = 1000, 1 << 20


def bad_quotes(file: Path, layout: Layout, line: int, text: str, reason: str) -> BadLineError:
    """The error about a line that cannot be split.

    If a field of it has a line break and ends in a later line, it says so.

    Args:
        file: The file.
        layout: What it looks like.
        line: The number of the line.
        text: The line.
        reason: Why it cannot be split.
    """
    last = _last_line(file, layout, line) if _is_open(text, layout.delimiter) else None
    if last is None:
        return BadLineError(file, line, f": {reason}")
    return BadLineError(
        file,
        line,
        f": a field in quotation marks has a line break in it and ends in line {last}, but a row "
        "must be one line",
        f"take the line break out, or let DuckDB read the file: give the query \"FROM '{file}'\" "
        "in its place",
    )


def _is_open(text: str, delimiter: str | None) -> bool:
    """Whether the last field of a line begins with a quotation mark that is not closed.

    >>> [_is_open(text, ",") for text in ('1,"a', '1,a"b', '"a","b', '"a"')]
    [True, False, True, False]
    """
    if delimiter is None:
        return False
    field = rf'(?:\A|{re.escape(delimiter)})[^\S{re.escape(delimiter)}]*"(?:[^"]|"")*\Z'
    return re.search(field, text) is not None


def _last_line(file: Path, layout: Layout, first: int) -> int | None:
    """The line in which the row ends that begins in a line; None if no row begins there."""
    whole = ""
    with open_bytes(file, layout.text.encoding) as handle:
        handle.seek(layout.first_byte)
        for number in itertools.count(layout.first_line):
            line = read_line(handle, file, number)
            if not line or number >= first + _MOST_LINES or len(whole) > _MOST_CHARACTERS:
                return None
            if number < first:
                continue
            whole += "\n" * bool(whole) + decode_line(line)
            if whole.count('"') % 2 == 0:
                return number if is_whole(whole, layout.delimiter, layout.num_fields) else None
    return None
