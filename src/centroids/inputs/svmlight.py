"""Sparse points from files of SVMLight (LibSVM), which scikit-learn parses."""

from __future__ import annotations

import functools
import io
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from centroids.errors import BadLineError
from centroids.inputs.arguments import check_file
from centroids.inputs.batch import Position
from centroids.inputs.text._text_bytes import is_plain, open_bytes
from centroids.inputs.windows import Reading, WindowedSource, Windows
from centroids.packages import import_package

_CHUNK_LINES = 1 << 14


def open_svmlight(path: Path, reading: Reading) -> Callable[[], SvmlightSource]:
    """Makes an input function that feeds the rows of a file of SVMLight as sparse matrices.

    The file is read once before, to see how many columns it has and whether it counts them from
    0 or 1. Its labels are left out.

    Raises:
        ImportError: If scikit-learn is not installed.
        OSError: If the file cannot be read.
        ValueError: If a line is malformed; it names the line.
    """
    file = check_file(path)
    num_rows, lowest, highest = 0, sys.maxsize, -1
    for first_line, lines in _chunks(file):
        rows = _parse(file, first_line, lines, None, zero_based=True)
        num_rows += rows.shape[0]
        if rows.nnz:
            lowest = min(lowest, int(rows.indices.min()))
            highest = max(highest, int(rows.indices.max()))
    if num_rows == 0:
        raise ValueError(f"{file} has no rows")
    zero_based = lowest == 0
    width = max(highest + zero_based, 1)
    return functools.partial(SvmlightSource, file, reading, num_rows, width, zero_based)


class SvmlightSource(WindowedSource):
    """Rows of a file of SVMLight; see `open_svmlight`."""

    def __init__(
        self, file: Path, reading: Reading, num_rows: int, width: int, zero_based: bool
    ) -> None:
        self._path, self._width, self._zero_based = file, width, zero_based
        self.num_rows = num_rows
        num_bytes = file.stat().st_size
        # In memory a number takes about as much as in the file.
        row_bytes = max(num_bytes // num_rows, 1) * (1 if is_plain(file, None) else 4)
        identity = {"rows": num_rows, "width": width, "bytes": num_bytes}
        super().__init__("svmlight", file, reading, row_bytes, identity)

    def _limits_of_window(self) -> Mapping[str, int]:
        return {"offset": self.num_rows, "byte": sys.maxsize, "line": sys.maxsize}

    def _locate_row(self, epoch: int, window: Position, row: int, column: int | None) -> str:
        with self._open_at(window) as handle:
            lines = itertools.count(window.get("line", 1))
            numbers = (number for number, text in zip(lines, handle, strict=False) if _is_row(text))
            line = next(itertools.islice(numbers, row, None), 0)
        return f"line {line}" if column is None else f"line {line}, column {column}"

    def _open_at(self, place: Position) -> IO[bytes]:
        handle = open_bytes(self._path, None)
        handle.seek(place.get("byte", 0))
        return handle

    def _read_windows(self, epoch: int, place: Position) -> Windows:
        offset, line = place.get("offset", 0), place.get("line", 1)
        with self._open_at(place) as handle:
            while lines := _take_rows(handle, self._window_rows):
                rows = _parse(self._path, line, lines, self._width, self._zero_based)
                line += len(lines)
                if rows.shape[0]:
                    offset += rows.shape[0]
                    yield rows, {"offset": offset, "byte": handle.tell(), "line": line}


def _chunks(file: Path) -> Iterator[tuple[int, list[bytes]]]:
    line = 1
    with open_bytes(file, None) as handle:
        while lines := _take_rows(handle, _CHUNK_LINES):
            yield line, lines
            line += len(lines)


def _take_rows(handle: IO[bytes], count: int) -> list[bytes]:
    """The next lines of a file, of which this many are rows."""
    lines: list[bytes] = []
    while count and (line := handle.readline()):
        lines.append(line)
        count -= _is_row(line)
    return lines


def _is_row(line: bytes) -> bool:
    return line.partition(b"#")[0].strip() != b""


def _parse(
    file: Path, first_line: int, lines: list[bytes], width: int | None, zero_based: bool
) -> Any:
    what = "reading a file of SVMLight"
    svmlight = import_package("sklearn.datasets", what, "centroids[sklearn]", "scikit-learn")
    load = functools.partial(
        svmlight.load_svmlight_file, n_features=width, zero_based=zero_based, dtype="float64"
    )
    try:
        return load(io.BytesIO(b"".join(lines)))[0]
    except ValueError as error:
        for number, line in enumerate(lines, first_line):
            try:
                load(io.BytesIO(line))
            except ValueError as reason:
                told = f" is not a label and pairs such as 3:0.5, which SVMLight has: {reason}"
                raise BadLineError(file, number, told, can_be_dropped=False) from error
        raise
