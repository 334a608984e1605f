"""Batches from a .npy file.

It is read, not mapped: if a mapped file is cut off meanwhile (which is how `numpy.save` to its path
begins), the process dies of SIGBUS.
"""

from __future__ import annotations

import functools
import io
import math
import os
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from centroids.inputs.arguments import check_file
from centroids.inputs.bad_rows import BadRows
from centroids.inputs.batch import Position
from centroids.inputs.windows import Reading, WindowedSource, Windows, check_reading

_BLOCK_BYTES = 1 << 20
_MAX_HEADER_BYTES = 12 + 10_000  # more is refused by NumPy, whose parser is slow and deep


def npy_input_fn(
    path: str | os.PathLike[str],
    batch_size: int = 128,
    num_epochs: int | None = 1,
    shuffle: bool = False,
    seed: int = 0,
    *,
    bad_rows: BadRows = "raise",
) -> Callable[[], NpySource]:
    """Makes an input function that feeds the rows of a .npy file, in bounded memory.

    With `shuffle`, blocks of 1 MiB are permuted over the whole file, and rows within a window of
    64 MiB of such blocks; a file of up to 64 MiB is thus shuffled fully.

    Args:
        path: A file as `numpy.save` writes it: an array [n, d] or [n] of numbers.
        batch_size: The rows of a batch. The last one of an epoch may have fewer.
        num_epochs: How often to read the file; None: forever.
        shuffle: Whether to shuffle the rows, differently in each epoch.
        seed: Of the shuffling.
        bad_rows: "drop" leaves out rows with NaN or infinity and says so in the log; see
            `numpy_input_fn`.

    Returns:
        A function that returns a new source at each call.

    Raises:
        OSError: If the file cannot be read; FileNotFoundError if it is not there.
        TypeError: If it does not hold numbers.
        ValueError: If it is not a .npy file, or an argument has a value that is not allowed.
    """
    file = check_file(path)
    reading = check_reading(batch_size, num_epochs, shuffle, seed, bad_rows)
    NpySource(file, reading)  # raises errors now, not at the first batch
    return functools.partial(NpySource, file, reading)


class NpySource(WindowedSource):
    """Rows of the array in a file; see `npy_input_fn`."""

    def __init__(self, file: Path, reading: Reading) -> None:
        self._array = NpyFile(file)
        self._whole: NDArray[Any] | None = None
        identity = {"shape": list(self._array.shape), "dtype": self._array.dtype.str}
        super().__init__("npy", file, reading, self._array.row_bytes, identity)
        self._block_rows = max(_BLOCK_BYTES // max(self._array.row_bytes, 1), 1)

    @property
    def num_rows(self) -> int:
        """The rows of the file."""
        return len(self._array)

    def _limits_of_window(self) -> Mapping[str, int]:
        return {"offset": len(self._array)}

    def _locate_row(self, epoch: int, window: Position, row: int, column: int | None) -> str:
        row += window.get("offset", 0)
        if self._reading.shuffle:
            row = next(self._blocks(epoch).find(row, row + 1)).start
        return f"row {row}" if column is None else f"row {row}, column {column}"

    def _blocks(self, epoch: int) -> _Blocks:
        return _Blocks(len(self._array), self._block_rows, [self._reading.seed, epoch])

    def _read_windows(self, epoch: int, place: Position) -> Windows:
        num_rows = len(self._array)
        blocks = self._blocks(epoch)
        for start in range(place.get("offset", 0), num_rows, self._window_rows):
            stop = min(start + self._window_rows, num_rows)
            if self._reading.shuffle:
                yield self._gather(blocks.find(start, stop), stop - start), {"offset": stop}
            else:
                yield self._read(start, stop), {"offset": stop}

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        if start > 0 or stop < len(self._array):
            return self._array.read(start, stop)
        if self._whole is None:  # a full batch, which comes again in each epoch
            self._whole = self._array.read(start, stop)
            self._whole.flags.writeable = False
        return self._whole

    def _gather(self, slices: Iterator[slice], num_rows: int) -> NDArray[Any]:
        rows = self._array.empty(num_rows)
        start = 0
        for part in slices:
            stop = start + part.stop - part.start
            self._array.read_into(rows[start:stop], part.start)
            start = stop
        return rows


class _Blocks:
    """The rows of a file in the order of its permuted blocks."""

    def __init__(self, num_rows: int, block_rows: int, seeds: list[int]) -> None:
        num_blocks = -(-num_rows // block_rows)
        self._starts = np.random.default_rng(seeds).permutation(num_blocks) * block_rows
        self._stops = np.minimum(self._starts + block_rows, num_rows)
        self._ends = np.cumsum(self._stops - self._starts)

    def find(self, start: int, stop: int) -> Iterator[slice]:
        """The slices of the file that are rows `start` to `stop` of this order."""
        block = int(np.searchsorted(self._ends, start, side="right"))
        while start < stop:
            first = int(self._stops[block] - (self._ends[block] - start))
            count = min(int(self._ends[block]), stop) - start
            yield slice(first, first + count)
            start, block = start + count, block + 1


class NpyFile:
    """The array in a .npy file, read by parts.

    Attributes:
        shape: Of the array, [n, ...].
        dtype: Of its elements, numbers.
        row_bytes: The bytes of a row.

    Args:
        file: The file; it stays open.

    Raises:
        OSError: If it cannot be read.
        TypeError: If it does not hold numbers.
        ValueError: If it is not a .npy file, or a damaged one.
    """

    def __init__(self, file: Path) -> None:
        self._path = file
        # A remote file is one of its library.
        self._file: Any = (
            file.open("rb", buffering=0) if isinstance(file, Path) else file.open("rb")
        )
        weakref.finalize(self, self._file.close)
        start = io.BytesIO(self._file.read(_MAX_HEADER_BYTES))
        self.shape, self._by_column, self.dtype = read_npy_header(str(file), start)
        self._offset = start.tell()
        self.row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        self._check_size(self._file.seek(0, os.SEEK_END))

    def __len__(self) -> int:
        """The number of rows."""
        return self.shape[0]

    def empty(self, num_rows: int) -> NDArray[Any]:
        """An array for that many rows, in the order of memory that the file has."""
        order: Literal["F", "C"] = "F" if self._by_column else "C"
        return np.empty((num_rows, *self.shape[1:]), self.dtype, order)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Reads the rows from `start` to `stop`.

        Raises:
            OSError: If they cannot be read.
            ValueError: If the file has been cut off since it was opened.
        """
        rows = self.empty(stop - start)
        self.read_into(rows, start)
        return rows

    def read_into(self, rows: NDArray[Any], start: int) -> None:
        """Reads rows from `start` on.

        Args:
            rows: OUT [n, ...] of `empty`, or some rows of it.
            start: The first row.

        Raises:
            OSError: If they cannot be read.
            ValueError: If the file has been cut off since it was opened.
        """
        if rows.size == 0:
            return
        if not self._by_column:
            self._read_bytes(rows.reshape(-1).view(np.uint8), start * self.row_bytes)
            return
        columns = rows.reshape((len(rows), -1), order="F")
        assert np.shares_memory(columns, rows)
        for column in range(columns.shape[1]):
            place = (column * len(self) + start) * self.dtype.itemsize
            self._read_bytes(columns[:, column].view(np.uint8), place)

    def _read_bytes(self, data: NDArray[np.uint8], place: int) -> None:
        done = 0
        while done < len(data):
            count = _read_at(self._file, data[done:], self._offset + place + done)
            if count == 0:
                self._check_size(self._file.seek(0, os.SEEK_END))
                raise ValueError(f"{self._path} was cut off while it was read")
            done += count

    def _check_size(self, num_bytes: int) -> None:
        needed = self._offset + len(self) * self.row_bytes
        if needed > num_bytes:
            raise ValueError(
                f"{self._path} is cut off: it has {num_bytes} bytes, the shape {self.shape} needs "
                f"{needed}"
            )


def _read_at(file: Any, data: NDArray[np.uint8], place: int) -> int:
    """Reads bytes into `data`, and returns how many; 0 at the end of the file."""
    if hasattr(os, "preadv") and isinstance(file, io.FileIO):
        # A forked process shares the file's own place.
        return os.preadv(file.fileno(), [data.data], place)
    file.seek(place)
    return int(file.readinto(data.data) or 0)


def read_npy_header(file: str, start: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """The shape of an array in a .npy file, whether it lies by columns, and its type.

    Args:
        file: What messages call it.
        start: Its beginning; left behind the header.

    Raises:
        TypeError: If it does not hold numbers.
        ValueError: If it is not such a file, or its header is damaged.
    """
    magic = start.read(len(np.lib.format.MAGIC_PREFIX))
    start.seek(0)
    if magic != np.lib.format.MAGIC_PREFIX:
        raise ValueError(f"{file} is not a .npy file; write it with numpy.save")
    try:
        shape, by_column, dtype = _read_header(start)
    except Exception as error:  # NumPy's parser lets errors of many kinds through
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"{file} has a damaged header: {reason}") from error
    if dtype.kind not in "biufc" or not shape:
        raise TypeError(
            f"{file} must hold an array [n, d] or [n] of numbers, got the type {dtype} and the "
            f"shape {shape}"
        )
    try:
        np.broadcast_to(np.empty((), dtype), shape)  # takes no memory
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{file} has a damaged header: no array has the shape {shape}") from error
    return shape, by_column, dtype


def _read_header(start: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(start)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"its version is {version}, known are (1, 0), (2, 0) and (3, 0)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it does not matter that Python 2 wrote the file
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(start)
        # Version 3 differs in the names of fields alone, which are refused anyway.
        return np.lib.format.read_array_header_2_0(start)
