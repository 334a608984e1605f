"""What a text file of numbers looks like: delimiter, header and columns.

Over 400 lines: what the first lines mean is decided together.
"""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from centroids.errors import Argument, BadLineError, Message, MissingColumnError, WordedError
from centroids.inputs._file_kinds import check_is_text
from centroids.inputs.arguments import check_file
from centroids.inputs.arrow import check_different_names
from centroids.inputs.text._csv_comments import is_comment, say_lines
from centroids.inputs.text._csv_fields import (
    MISSING_FIELDS,
    empty_quoted_fields,
    is_blank,
    split_fields,
)
from centroids.inputs.text._csv_header import guess_header, is_index, is_unnamed
from centroids.inputs.text._text_bytes import open_bytes
from centroids.inputs.text._text_format import TextFormat

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MAX_LINE_BYTES = 64 << 20
_DELIMITERS = ("\t", ";", ",")  # in this order: decimals and names may have commas
_DELIMITER_LINE = re.compile(r"sep=(.)", re.IGNORECASE)
_LOOKED_AT, _LOOKED_AT_BYTES = 8, 1 << 20  # lines

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Layout:
    """Where the rows of a text file begin and how they are split.

    Attributes:
        text: How it is written, as far as the caller said.
        delimiter: One character; None: any white space.
        names: The names of the columns; None if the file has none.
        num_fields: The fields of a row.
        first_byte: Where the rows begin.
        first_line: The number of that line, from 1.
        guessed_row: Whether the first row could also be a header, by all that the caller said.
        indices: The numbers of the columns that are an index, which has no name.
        sample: The fields of the first few rows that are well-formed.
        remarks: What the log should say about it: guesses that could be wrong, lines skipped.
    """

    text: TextFormat
    delimiter: str | None
    names: tuple[str, ...] | None
    num_fields: int
    first_byte: int
    first_line: int
    guessed_row: bool = False
    indices: tuple[int, ...] = ()
    sample: tuple[tuple[str, ...], ...] = ()
    remarks: tuple[Message, ...] = ()

    def describe(self, column: int) -> str:
        """A column as messages name it: by its name, or else by its number from 0."""
        return repr(self.names[column]) if self.names and self.names[column] else f"{column}"

    def name_of(self, column: int) -> str | int:
        """The name of a column; its number from 0 if it has none."""
        return (self.names[column] if self.names else "") or column

    def has_numbers(self, column: int) -> bool:
        """Whether a column has a number in the first rows."""
        return any(self.text.is_number(row[column]) for row in self.sample)

    def is_row(self, text: str) -> bool:
        """Whether a line is a row, if only a malformed one, and not blank."""
        return not is_blank(text, self.delimiter, self.num_fields)

    def columns_of_numbers(self, columns: Sequence[int] | None) -> list[str | int]:
        """Those of the columns (None: of all) that hold numbers in the first rows.

        Returns:
            Their names if all of them have names, else their numbers.
        """
        taken = range(self.num_fields) if columns is None else columns
        found = [
            column
            for column in (taken if self.sample else ())
            if self._holds_numbers([row[column] for row in self.sample])
        ]
        names = [self.names[column] if self.names else "" for column in found]
        return [*names] if all(names) else [*found]

    def _holds_numbers(self, fields: list[str]) -> bool:
        known = [field for field in fields if field not in MISSING_FIELDS]
        return bool(known) and all(map(self.text.is_number, known))


@dataclass(frozen=True)
class FirstLines:
    """The first lines of a file, without blank ones and comments before them.

    Attributes:
        file: The file.
        text: How it is written, as far as the caller said.
        first_byte: Where the first of them begins.
        first_line: Its number, from 1.
        comment: The last comment before them; empty if there is none.
        comments: The numbers of all lines that are such comments.
        delimiter: What the file itself says separates fields; None if it says nothing.
        lines: The text of each; the first one has line breaks in it if a name of a column has.
        next_byte: Where the second of them begins.
        next_line: Its number.
    """

    file: Path
    text: TextFormat
    first_byte: int
    first_line: int
    comment: str
    comments: list[int]
    delimiter: str | None
    lines: list[str]
    next_byte: int
    next_line: int


def detect_layout(start: FirstLines, columns: Sequence[str | int] | None = None) -> Layout:
    """What a file looks like, judged by its first lines.

    `csv_header` says how a header is told from a row; a guess that could be wrong is remarked.
    Names are also taken from a comment with as many fields as the rows, as numpy.savetxt writes.
    A malformed line is not a header, but a row, which is refused or dropped when it is read.
    A line with a name that is asked for is a header.

    Args:
        start: Its first lines.
        columns: The names or numbers of the columns that are taken; None: all.

    Raises:
        ValueError: If the line that must be a header is malformed.
    """
    file, text, first = start.file, start.text, start.lines[0]
    delimiter = text.delimiter or start.delimiter or _find_delimiter(first, text)
    if delimiter is None and text.thousands is not None and text.thousands.isspace():
        raise WordedError(
            Argument("thousands", text.thousands),
            " needs another delimiter than white space, which is what separates the fields of "
            f"{file}",
        )
    header, remarks = text.header, []
    try:
        fields = _split_names(first, delimiter)
    except ValueError as error:
        if header:
            raise BadLineError(file, start.first_line, f": {error}", can_be_dropped=False) from None
        fields, header = first.split(delimiter), False
    following = [row for line in start.lines[1:] if (row := _split_or_none(line, delimiter))]
    names = _split_or_none(start.comment, delimiter) if start.comment else None
    if header is None:
        header, certain = _find_header(fields, following, names, columns, text)
        if not certain:
            remarks.append(_say_guess(start, header))
    comments = start.comments
    if header:
        names = fields
    elif names is not None and not len(set(names)) == len(names) == len(fields):
        names = None  # words of a comment that are not names
    elif names is not None and not any(map(text.is_number, names)):
        comments = comments[:-1]
    if comments:
        told = (
            "is skipped as a comment; if it is a row"
            if len(comments) == 1
            else "are skipped as comments; if they are rows"
        )
        said = f"{say_lines(comments)} with # and {told}, say "
        remarks.append(Message(said, Argument("header", False)))
    return Layout(
        text,
        delimiter,
        tuple(names) if names is not None else None,
        len(fields),
        start.next_byte if header else start.first_byte,
        start.next_line if header else start.first_line,
        not header and text.header is None and names is None,
        _find_indices(names, rows := following if header else [fields, *following]),
        tuple(tuple(row) for row in rows if len(row) == len(fields)),
        tuple(remarks),
    )


def choose_columns(
    file: Path, layout: Layout, columns: Sequence[str | int] | None
) -> tuple[int, ...] | None:
    """The numbers of the chosen columns; None for all.

    An index without a name is not among them unless it is asked for.

    Raises:
        ValueError: If a column is missing, or two have its name.
    """
    if columns is None:
        check_different_names(layout.names or (), str(file))
        others = tuple(each for each in range(layout.num_fields) if each not in layout.indices)
        return others if layout.indices and others else None
    if isinstance(columns, str) or not columns:
        raise ValueError(f"columns must be a list of names or numbers, got {columns!r}")
    available = range(layout.num_fields) if layout.names is None else layout.names
    numbers = []
    for column in columns:
        if isinstance(column, str) and layout.names is not None and column in layout.names:
            check_different_names([each for each in layout.names if each == column], str(file))
            numbers.append(layout.names.index(column))
        elif not isinstance(column, str) and column in range(layout.num_fields):
            numbers.append(int(column))
        else:
            is_broken = any("\ufffd" in str(each) for each in available)
            hint = Message(
                "; it is not in UTF-8: say how it is written, such as ",
                Argument("encoding", "cp1252"),
                ", or save it as UTF-8",
            )
            raise MissingColumnError(file, column, available, hint if is_broken else "")
    return tuple(numbers)


def tell_layout(file: Path, layout: Layout, *, without_index: bool) -> None:
    """Logs what was guessed or skipped, once it is the layout that is used.

    Args:
        file: The file.
        layout: What it looks like.
        without_index: Whether an index is left out.
    """
    for remark in layout.remarks:
        logger.warning("%s: %s", file, remark)
    if without_index:
        logger.warning(
            "%s: column %s has no name, as the index of a table, and is not taken; to take it, "
            "name it in %s",
            file,
            " and column ".join(map(layout.describe, layout.indices)),
            Argument("columns", []),
        )


def columns_of_words(start: FirstLines, words: Sequence[str]) -> list[str | int]:
    """What words mean that may be names or numbers of columns.

    A word of digits is the number of a column, unless the file has a column of that name.

    Args:
        start: The first lines of a text file.
        words: Such words, as the command line has them.
    """
    num_fields = detect_layout(start).num_fields
    # The number of a column that is not there may be a name of digits, such as a year.
    numbers = [int(word) if word.isdecimal() and int(word) < num_fields else word for word in words]
    names = detect_layout(start, numbers).names or ()
    columns = zip(words, numbers, strict=True)
    chosen = [word if word in names else number for word, number in columns]
    # Digits that are neither are refused as the number of a column.
    return [
        int(word) if isinstance(word, str) and word.isdecimal() and word not in names else word
        for word in chosen
    ]


def decode_line(line: bytes) -> str:
    """The text of a line; what is not UTF-8 is replaced, as it may be in a column not taken."""
    return line.removeprefix(_BYTE_ORDER_MARK).decode("utf-8", errors="replace").rstrip("\r\n")


def read_line(handle: IO[bytes], file: Path, number: int) -> bytes:
    """The next line of a file; empty at its end.

    Raises:
        ValueError: If it is longer than 64 MiB; it names the file and the given number.
    """
    line = handle.readline(_MAX_LINE_BYTES)
    if len(line) == _MAX_LINE_BYTES and not line.endswith(b"\n"):
        raise ValueError(
            f"{file}, line {number} has more than {_MAX_LINE_BYTES >> 20} MiB; a row must have less"
        )
    return line


def read_first_lines(file: Path, text: TextFormat) -> FirstLines:
    """Reads the layout of a file from its first lines; one reading serves any choice of columns.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is not text, or has no lines.
    """
    check_file(file)
    with open_bytes(file, text.encoding) as handle:
        check_is_text(file, handle)
    number, place, comment, delimiter = 0, 0, "", None
    comments: list[int] = []
    first = (0, 1)
    lines: list[str] = []
    nexts: list[tuple[int, int]] = []  # where the line after each begins, and its number
    with open_bytes(file, text.encoding) as handle:
        while line := read_line(handle, file, number + 1):
            number, begin, place = number + 1, place, place + len(line)
            content = decode_line(line)
            if number == 1 and (told := _DELIMITER_LINE.fullmatch(content)):
                delimiter = told[1]  # a line by which Excel names the delimiter
            elif number <= text.skip_lines:
                pass
            elif not (lines or text.header is False) and is_comment(content, text.delimiter):
                comment = content.strip()
                comments.append(number)
            elif content.strip():
                if not lines:
                    first = (begin, number)
                lines.append(content)
                nexts.append((place, number + 1))
                if len(lines) == _LOOKED_AT or (len(lines) > 1 and place > _LOOKED_AT_BYTES):
                    break
    if not lines:
        raise ValueError(f"{file} has no rows")
    comment = comment.lstrip("#").strip()
    count = _lines_of_names(lines, text, delimiter)
    lines = ["\n".join(lines[:count]), *lines[count:]]
    return FirstLines(file, text, *first, comment, comments, delimiter, lines, *nexts[count - 1])


def _lines_of_names(lines: list[str], text: TextFormat, told: str | None) -> int:
    r"""How many lines the names of the columns take: one in quotation marks may have several.

    >>> _lines_of_names(['"age","income', 'per year"', "31,1200"], TextFormat(), None)
    2
    """
    if text.header is False:
        return 1
    closed = (n for n in range(1, len(lines) + 1) if "\n".join(lines[:n]).count('"') % 2 == 0)
    count = next(closed, 1)
    names = "\n".join(lines[:count])
    delimiter = text.delimiter or told or _find_delimiter(names, text)
    fields = None if delimiter is None else _split_or_none(names, delimiter)
    if fields is None or (text.header is None and any(map(text.is_number, fields))):
        return 1
    return count


def _find_header(
    fields: list[str],
    following: list[list[str]],
    comment: list[str] | None,
    columns: Sequence[str | int] | None,
    text: TextFormat,
) -> tuple[bool, bool]:
    """Whether the first line is a header, and whether that is certain."""
    names = [column for column in columns or () if isinstance(column, str)]
    if names and comment is not None and set(names) <= set(comment):
        return False, True
    if names and set(names) <= set(fields):
        return True, True
    numbers = [column for column in columns or () if column in range(len(fields))]
    guess = guess_header(fields, following, [int(each) for each in numbers] or None, text)
    return guess.header, guess.certain


def _say_guess(start: FirstLines, header: bool) -> Message:
    line = start.lines[0].strip()
    taken = (
        "for the names of the columns; if it is a row, say "
        if header
        else "for a row; if it holds the names of the columns, say "
    )
    shown = repr(line if len(line) <= 60 else line[:57] + "...")
    return Message(
        f"line {start.first_line}, {shown}, is taken {taken}", Argument("header", not header)
    )


def _find_indices(names: Sequence[str] | None, rows: list[list[str]]) -> tuple[int, ...]:
    """The columns that are an index; only files with names have one.

    The first ones without a name are, whatever they hold: chosen or shuffled rows do not count up.
    Others are if they count up.
    """
    first = list(itertools.takewhile(is_unnamed, names or ()))
    return tuple(
        column
        for column, name in enumerate(names or ())
        if column < len(first) or is_index(name, column, rows)
    )


def _find_delimiter(first: str, text: TextFormat) -> str | None:
    """What separates the fields of the first line; a comma if it has only one."""
    outside = empty_quoted_fields(first)
    # A decimal comma can stand beside delimiting commas only if its field is in quotes.
    is_mark = text.decimal == "," and '"' not in first
    for candidate in _DELIMITERS:
        if candidate in outside and not (is_mark and candidate == ","):
            return candidate
    if re.search(r"\s", outside.strip()):
        return None
    return ";" if is_mark else ","


def _split_names(text: str, delimiter: str | None) -> list[str]:
    """The fields of a line that may be a header; R quotes names between white space too."""
    fields = split_fields(text, delimiter)
    return fields if delimiter is not None else [_without_pair(field) for field in fields]


def _without_pair(field: str) -> str:
    """What is between quotation marks; one alone is a character of a name."""
    return field[1:-1] if re.fullmatch('".*"', field) else field


def _split_or_none(text: str, delimiter: str | None) -> list[str] | None:
    try:
        return _split_names(text, delimiter)
    except ValueError:
        return None
