"""Batches from a text file of numbers, read in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from centroids.inputs.arguments import check_bool, check_file
from centroids.inputs.csv_layout import (
    Layout,
    choose_columns,
    decode_line,
    detect_layout,
    is_number,
    split_fields,
)
from centroids.inputs.source import Position, check_offset
from centroids.inputs.windows import Reading, WindowedSource, Windows, check_reading

_CHUNK_LINES = 4096


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
    dtype: DTypeLike = np.float32,
) -> Callable[[], CsvSource]:
    """Makes an input function that feeds the rows of a CSV file, in bounded memory.

    Blank lines, and lines before the first row that begin with #, are skipped. With `shuffle`, the
    rows are permuted within windows of 64 MiB; the windows come in the order of the file.

    Args:
        path: A text file of numbers in UTF-8, one row a line.
        batch_size: The rows of a batch. The last one of an epoch may have fewer.
        num_epochs: How often to read the file; None: for ever.
        shuffle: Whether to shuffle the rows, in each epoch anew.
        seed: Of the shuffling.
        columns: The names or numbers (from 0) of the columns to take, in this order; None: all.
        delimiter: What separates the fields; None finds out: a tab, a semicolon, a comma, or else
            any white space.
        header: Whether the first line holds the names of the columns; None finds out.
        dtype: The floating-point type of the batches.

    Returns:
        A function that returns a new source at each call. Batches are [n, columns].

    Raises:
        OSError: If the file cannot be read; FileNotFoundError if it is not there.
        ValueError: If the file is empty, a column is not there, or an argument has a value that is
            not allowed. While reading: if a field is no number; it names file, line and column.
    """
    file, reading = check_file(path), check_reading(batch_size, num_epochs, shuffle, seed)
    if header is not None:
        check_bool("header", header)
    if delimiter is not None and (not isinstance(delimiter, str) or len(delimiter) != 1):
        raise ValueError(f"delimiter must be a single character or None, got {delimiter!r}")
    element_type = np.dtype(dtype)
    if element_type.kind != "f":
        raise ValueError(f"dtype must be a floating-point type, got {element_type}")
    layout = detect_layout(file, delimiter, header)
    chosen = choose_columns(file, layout, columns)
    return lambda: CsvSource(file, reading, layout, chosen, element_type)


class CsvSource(WindowedSource):
    """Rows of a text file; see `csv_input_fn`. A position holds the byte to go on from."""

    def __init__(
        self,
        file: Path,
        reading: Reading,
        layout: Layout,
        columns: tuple[int, ...] | None,
        dtype: np.dtype[Any],
    ) -> None:
        self._file, self._layout, self._columns, self._dtype = file, layout, columns, dtype
        self._num_bytes = file.stat().st_size
        width = layout.num_fields if columns is None else len(columns)
        identity = {
            "bytes": self._num_bytes,
            "columns": list(range(width)) if columns is None else list(columns),
        }
        super().__init__("csv", reading, width * dtype.itemsize, identity)

    def _check_place(self, place: Position) -> None:
        check_offset(place, self._num_bytes)
        byte = place.get("byte", 0)
        if not isinstance(byte, int) or not 0 <= byte <= self._num_bytes:
            raise ValueError(
                f"the saved position is at byte {byte!r}, but {self._file} has {self._num_bytes} "
                "bytes"
            )

    def _read_windows(self, epoch: int, place: Position) -> Windows:
        offset = place.get("offset", 0)
        line = place.get("line", self._layout.first_line)
        with self._file.open("rb", buffering=1 << 20) as handle:
            handle.seek(place.get("byte", self._layout.first_byte))
            while True:
                rows, line = self._read_rows(handle, line)
                if not len(rows):
                    return
                offset += len(rows)
                yield rows, {"offset": offset, "byte": handle.tell(), "line": line}

    def _read_rows(self, handle: IO[bytes], line: int) -> tuple[NDArray[Any], int]:
        """The rows of a window and the number of the line after them."""
        parts: list[NDArray[Any]] = []
        missing = self._window_rows
        # Lines are objects of many times their size: only a few of them exist at a time.
        while missing:
            lines = _take_lines(handle, min(missing, _CHUNK_LINES))
            if not lines:
                break
            part = self._parse(lines, line)
            parts.append(part)
            line, missing = line + len(lines), missing - len(part)
        if len(parts) == 1:
            return parts[0], line
        return np.concatenate(parts) if parts else np.empty((0, 0), self._dtype), line

    def _parse(self, lines: list[bytes], first_line: int) -> NDArray[Any]:
        texts = [decode_line(line) for line in lines if line.strip()]
        if not texts:
            return np.empty((0, self._width), self._dtype)
        try:
            rows = np.loadtxt(
                texts,
                dtype=np.float64,
                comments=None,
                delimiter=self._layout.delimiter,
                usecols=self._columns,
                ndmin=2,
                quotechar=None if self._layout.delimiter is None else '"',
            )
        except ValueError as error:
            self._raise_bad_line(lines, first_line, error)
        if rows.shape[1] != self._width:
            self._raise_bad_line(lines, first_line, None)
        with np.errstate(over="ignore"):
            return rows.astype(self._dtype, copy=False)

    @property
    def _width(self) -> int:
        return self._layout.num_fields if self._columns is None else len(self._columns)

    def _raise_bad_line(
        self, lines: list[bytes], first_line: int, error: ValueError | None
    ) -> None:
        """Raises a ValueError that names file, line and column of what is no number."""
        layout = self._layout
        for number, line in enumerate(lines, first_line):
            if not line.strip():
                continue
            fields = split_fields(decode_line(line), layout.delimiter)
            if len(fields) != layout.num_fields:
                raise ValueError(
                    f"{self._file}, line {number}: {len(fields)} fields, but the first line has "
                    f"{layout.num_fields}"
                ) from error
            for column in range(len(fields)) if self._columns is None else self._columns:
                if not is_number(fields[column]):
                    raise ValueError(
                        f"{self._file}, line {number}, column {layout.describe(column)}: "
                        f"{fields[column]!r} is not a number; correct it, or choose other columns "
                        "with columns=[...]"
                    ) from error
        last_line = first_line + len(lines) - 1
        raise ValueError(f"{self._file}, lines {first_line} to {last_line}: {error}") from error


def _take_lines(handle: IO[bytes], count: int) -> list[bytes]:
    lines: list[bytes] = []
    for line in handle:
        lines.append(line)
        if len(lines) == count:
            break
    return lines
