"""Batches from a text file of numbers, read in bounded memory."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
from numpy.typing import DTypeLike, NDArray

from centroids.errors import Argument, BadLineError, Message, Part
from centroids.inputs.arguments import check_file
from centroids.inputs.bad_rows import BadRows
from centroids.inputs.batch import Position, TableColumn
from centroids.inputs.text._csv_doubts import tell_doubts
from centroids.inputs.text._csv_fields import MISSING_FIELDS, blank_fields, is_whole, split_fields
from centroids.inputs.text._csv_problems import Line, bad_field
from centroids.inputs.text._csv_quotes import bad_quotes
from centroids.inputs.text._text_bytes import bytes_taken, is_plain, open_bytes
from centroids.inputs.text._text_format import (
    DecimalMark,
    TextFormat,
    ThousandsMark,
)
from centroids.inputs.text.csv_layout import (
    FirstLines,
    Layout,
    choose_columns,
    decode_line,
    detect_layout,
    read_first_lines,
    read_line,
    tell_layout,
)
from centroids.inputs.windows import Reading, WindowedSource, Windows, check_reading

_CHUNK_LINES = 4096
_CHECKED_BYTES = 64
_LINES_OF_A_TITLE = 8
# Reads numbers with decimal commas, and refuses those with points.
_DECIMAL_COMMAS = str.maketrans({",": ".", ".": "\0"})


def csv_input_fn(
    path: str | os.PathLike[str],
    batch_size: int = 128,
    num_epochs: int | None = 1,
    shuffle: bool = False,
    seed: int = 0,
    *,
    columns: Sequence[str | int] | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    dtype: DTypeLike | None = None,
    bad_rows: BadRows = "raise",
    decimal: DecimalMark = ".",
    thousands: ThousandsMark | None = None,
    skip_lines: int = 0,
    encoding: str | None = None,
) -> Callable[[], CsvSource]:
    """Makes an input function that feeds the rows of a CSV file, in bounded memory.

    Blank lines are skipped, and so are lines before the first row that begin with #, unless
    `header` is False or they begin with what spreadsheets write for an error, such as #N/A; the log
    says which, if they are not the names of the columns. A field may stand in quotation marks,
    except between white space, where they are characters like others; a line with one that is not
    closed, or with text after the second one, is not a row. Nor is a first line `sep=;`, by which
    Excel names the delimiter. With `shuffle`, the rows are permuted within windows of 64 MiB; the
    windows come in the order of the file.

    Args:
        path: A text file of numbers in UTF-8, one row per line.
        batch_size: The rows of a batch. The last one of an epoch may have fewer.
        num_epochs: How often to read the file; None: forever.
        shuffle: Whether to shuffle the rows, differently in each epoch.
        seed: Of the shuffling.
        columns: The names or numbers (from 0) of the columns to take, in this order; None: all but
            an index that was written without a name; the log says so.
        delimiter: What separates the fields; None detects it in the first line: a tab, a semicolon,
            a comma, or else any white space.
        header: Whether the first line holds the names of the columns; None decides by the columns
            that are taken. If the guess could be wrong, the log says what was assumed.
        dtype: The floating-point type of the batches; None: float64, which holds the digits of
            whole numbers up to 2^53. float32 takes half the memory.
        bad_rows: "raise" raises an error at a line that is not a row of numbers (nan and inf are
            numbers here, but refused where points are computed with); "drop" leaves out such lines,
            and rows with NaN or infinity too, and says so in the log.
        decimal: The decimal mark, "." or ",".
        thousands: What groups the digits of large numbers, such as ","; None: nothing does.
        skip_lines: How many lines to skip at the beginning of the file.
        encoding: How its characters are written, such as "cp1252"; None: as UTF-8, or as UTF-16 or
            UTF-32 if it begins with their byte order mark.

    Returns:
        A function that returns a new source at each call. Batches are [n, columns].

    Raises:
        OSError: If the file cannot be read; FileNotFoundError if it is not there.
        ValueError: If the file is empty or not text in UTF-8, a column is missing or two have its
            name, `header=True` but the first line is malformed, or an argument has a value that is
            not allowed. While reading: if a field is not a number; it names file, line and column.
    """
    file = check_file(path)
    reading = check_reading(batch_size, num_epochs, shuffle, seed, bad_rows)
    type_name = None if dtype is None else np.dtype(dtype).name
    text = TextFormat(header, delimiter, decimal, thousands, skip_lines, type_name, encoding)
    return open_text(file, reading, read_first_lines(file, text), columns)


def open_text(
    file: Path, reading: Reading, start: FirstLines, columns: Sequence[str | int] | None
) -> Callable[[], CsvSource]:
    """As `csv_input_fn`, for a file whose first lines were read already."""
    layout = detect_layout(start, columns)
    chosen = choose_columns(file, layout, columns)
    tell_layout(file, layout, without_index=columns is None and chosen is not None)
    tell_doubts(file, layout, chosen, asked=columns is not None)
    return functools.partial(CsvSource, file, reading, layout, chosen)


class CsvSource(WindowedSource):
    """Rows of a text file; see `csv_input_fn`.

    A position holds the byte to continue from, and a checksum of what precedes it: a file that has
    grown since is the same input, if it is read in order.
    """

    def __init__(
        self,
        file: Path,
        reading: Reading,
        layout: Layout,
        columns: tuple[int, ...] | None,
    ) -> None:
        self._file = file
        self._layout, self._columns, self._text = layout, columns, layout.text
        dtype = self._dtype = layout.text.element_type
        self._num_bytes = file.stat().st_size
        self._width = layout.num_fields if columns is None else len(columns)
        identity: dict[str, Any] = {
            "columns": self._width if columns is None else list(columns),
            "dtype": dtype.name,
        }
        if not self._text.has_plain_numbers:
            identity["numbers"] = [self._text.decimal, self._text.thousands]
        # Bytes of the text, not of the file, are what a position counts.
        self._is_plain = is_plain(file, layout.text.encoding)
        if reading.shuffle or not self._is_plain:
            identity["bytes"] = self._num_bytes
        super().__init__("csv", file, reading, self._width * dtype.itemsize, identity)

    @property
    def column_names(self) -> list[str] | None:
        """The names of the columns that are taken; None if the file has no names."""
        names = self._layout.names
        if names is None:
            return None
        return list(names) if self._columns is None else [names[i] for i in self._columns]

    def _table_columns(self) -> list[TableColumn]:
        taken = range(self._width) if self._columns is None else self._columns
        names = self.column_names or [""] * self._width
        columns = zip(taken, names, strict=True)
        return [TableColumn(name or str(number), 1, self._dtype) for number, name in columns]

    def _limits_of_window(self) -> Mapping[str, int]:
        num_bytes = self._num_bytes if self._is_plain else sys.maxsize - 1
        return {
            "offset": num_bytes,
            "byte": num_bytes,
            "line": num_bytes + 1,
            "checksum": 0xFFFFFFFF,
        }

    def _check_place(self, place: Position) -> None:
        super()._check_place(place)
        if "byte" not in place:
            return
        byte, saved = place["byte"], place["checksum"]
        with open_bytes(self._file, self._text.encoding) as handle:
            handle.seek(byte)
            before = _read_before(handle)
        if zlib.crc32(before) != saved:
            raise ValueError(
                f"the saved position is of another input: the text of {self._file} before byte "
                f"{byte} had the checksum {saved}, now it has {zlib.crc32(before)}"
            )
        if self._is_plain and byte < self._num_bytes and not before.endswith(b"\n"):
            raise ValueError(
                f"the saved position is at byte {byte}, the end of {self._file} then; now the "
                f"line continues there and the file has {self._num_bytes} bytes"
            )

    def _read_windows(self, epoch: int, place: Position) -> Windows:
        offset = place.get("offset", 0)
        line = place.get("line", self._layout.first_line)
        with self._open_at(place) as handle:
            while True:
                rows, line = self._read_rows(handle, line)
                if not len(rows):
                    return
                offset += len(rows)
                checksum = zlib.crc32(_read_before(handle))
                self._share = bytes_taken(handle) / max(self._num_bytes, 1)
                after = {"offset": offset, "byte": handle.tell(), "line": line}
                yield rows, {**after, "checksum": checksum}

    def _open_at(self, place: Position) -> IO[bytes]:
        handle = open_bytes(self._file, self._text.encoding)
        handle.seek(place.get("byte", self._layout.first_byte))
        return handle

    def _read_rows(self, handle: IO[bytes], line: int) -> tuple[NDArray[Any], int]:
        """The rows of a window and the number of the line after them."""
        parts: list[NDArray[Any]] = []
        missing = self._window_rows
        # Lines are objects of many times their size: only a few of them exist at a time.
        while missing:
            texts = self._take_lines(handle, line, min(missing, _CHUNK_LINES))
            if not texts:
                break
            part = self._parse(texts, line)
            parts.append(part)
            line, missing = line + len(texts), missing - len(part)
        if len(parts) == 1:
            return parts[0], line
        return np.concatenate(parts) if parts else np.empty((0, 0), self._dtype), line

    def _take_lines(self, handle: IO[bytes], first_line: int, count: int) -> list[str]:
        texts: list[str] = []
        while len(texts) < count:
            line = read_line(handle, self._file, first_line + len(texts))
            if not line:
                break
            texts.append(decode_line(line))
        return texts

    def _parse(self, texts: list[str], first_line: int) -> NDArray[Any]:
        """[n, columns] of n lines that are not blank; dropped ones are not finite."""
        is_row = self._layout.is_row
        rows = [text for text in texts if text.strip() or is_row(text)]
        try:
            matrix = self._load(rows)
        except ValueError as error:
            if self.keeps_missing:
                rows = [self._fill_blanks(text) for text in rows]
                texts = [self._fill_blanks(text) if is_row(text) else text for text in texts]
                with contextlib.suppress(ValueError):
                    return self._load(rows).astype(self._dtype, copy=False)
            if not self._drop_bad_rows:
                self._raise_bad_line(texts, first_line, error)
            matrix = self._load_good(rows)
        with np.errstate(over="ignore"):
            return matrix.astype(self._dtype, copy=False)

    def _fill_blanks(self, text: str) -> str:
        """A line whose fields without a value are nan, which stands for what is missing."""
        return blank_fields(self._layout.delimiter).sub("nan", text)

    def _load(self, texts: list[str]) -> NDArray[np.float64]:
        if not texts:
            return np.empty((0, self._width))
        layout = self._layout
        # NumPy counts the fields itself if it takes all of them and none is quoted.
        if layout.delimiter is not None and self._columns is None:
            unsure = [text for text in texts if '"' in text]
        else:
            unsure = texts
        if not all(is_whole(text, layout.delimiter, layout.num_fields) for text in unsure):
            raise ValueError(f"a line does not have {layout.num_fields} fields")
        if not self._text.has_plain_numbers:
            if self._text.thousands is not None or layout.delimiter == self._text.decimal:
                return self._load_fields(texts)
            texts = [text.translate(_DECIMAL_COMMAS) for text in texts]
        matrix = np.loadtxt(
            texts,
            dtype=np.float64,
            comments=None,
            delimiter=layout.delimiter,
            usecols=self._columns,
            ndmin=2,
            quotechar=None if layout.delimiter is None else '"',
        )
        if matrix.shape != (len(texts), self._width):
            raise ValueError(f"a line does not have {self._width} fields")
        return matrix

    def _load_fields(self, texts: list[str]) -> NDArray[np.float64]:
        """As `_load`, for numbers that NumPy cannot read."""
        rows = []
        for text in texts:
            fields = split_fields(text, self._layout.delimiter)
            if len(fields) != self._layout.num_fields:
                raise ValueError(f"a line does not have {self._layout.num_fields} fields")
            taken = fields if self._columns is None else [fields[each] for each in self._columns]
            rows.append([self._text.number(field) for field in taken])
        return np.array(rows)

    def _load_good(self, texts: list[str]) -> NDArray[np.float64]:
        """As `_load`, with NaN for each line that is not a row; found by halving."""
        try:
            return self._load(texts)
        except ValueError:
            if len(texts) == 1:
                # Where NaN is a missing value, it does not mark a bad line.
                bad = np.inf if self.keeps_missing else np.nan
                return np.full((1, self._width), bad)
        half = len(texts) // 2
        return np.concatenate([self._load_good(texts[:half]), self._load_good(texts[half:])])

    def _raise_bad_line(self, texts: list[str], first_line: int, error: ValueError) -> NoReturn:
        """Raises a ValueError that names file, line and column of what is not a number."""
        for number, text in enumerate(texts, first_line):
            problem = self._find_problem(text, number) if self._layout.is_row(text) else None
            if problem is not None:
                raise problem from error
        last_line = first_line + len(texts) - 1
        raise ValueError(f"{self._file}, lines {first_line} to {last_line}: {error}") from error

    def _find_problem(self, text: str, number: int) -> BadLineError | None:
        """What keeps a line from being a row of numbers; None if it is one."""
        layout = self._layout
        try:
            fields = split_fields(text, layout.delimiter)
        except ValueError as error:
            return bad_quotes(self._file, layout, number, text, str(error))
        if len(fields) != layout.num_fields:
            return self._describe_count(len(fields), number)
        taken = range(len(fields)) if self._columns is None else self._columns
        for column in taken:
            if not self._text.is_number(fields[column]) and not self._is_missing(fields[column]):
                line = Line(self._file, number, text, fields)
                return bad_field(line, layout, taken, column)
        try:
            self._load([text])
        except ValueError as error:
            return BadLineError(self._file, number, f": {error}")
        return None

    def _is_missing(self, field: str) -> bool:
        return self.keeps_missing and field in MISSING_FIELDS

    def _describe_count(self, count: int, number: int) -> BadLineError:
        """Says that a line has more or fewer fields than the first, which may be a title."""
        layout = self._layout
        fields = f"{count} field{'' if count == 1 else 's'}"
        problem = f": {fields}, but the first line has {layout.num_fields}"
        if len(layout.sample) > 1 or not 0 <= number - layout.first_line <= _LINES_OF_A_TITLE:
            return BadLineError(self._file, number, problem)
        title = f"if the table begins at line {number}, below a title, say "
        remedy = Message(title, Argument("skip_lines", number - 1))
        return BadLineError(self._file, number, problem, remedy, can_be_dropped=False)

    def _locate_row(self, epoch: int, window: Position, row: int, column: int | None) -> str:
        number, _ = self._find_line(window, row)
        if column is None:
            return f"line {number}"
        taken = column if self._columns is None else self._columns[column]
        return f"line {number}, column {self._layout.describe(taken)}"

    def _describe_row(self, epoch: int, window: Position, row: int, reason: str) -> Part:
        number, text = self._find_line(window, row)
        problem = self._find_problem(text, number)
        return f"line {number}: {reason}" if problem is None else problem.in_file

    def _find_line(self, window: Position, row: int) -> tuple[int, str]:
        """The number and the text of the line that is a row of a window."""
        number = window.get("line", self._layout.first_line) - 1
        text = ""
        with self._open_at(window) as handle:
            while line := read_line(handle, self._file, number + 1):
                number, text = number + 1, decode_line(line)
                if self._layout.is_row(text):
                    if row == 0:
                        break
                    row -= 1
        return number, text  # the last one, if the file was cut off in the meantime


def _read_before(handle: IO[bytes]) -> bytes:
    """The last bytes before the place of a file, which stays where it is."""
    place = handle.tell()
    count = min(place, _CHECKED_BYTES)
    handle.seek(place - count)
    return handle.read(count)
