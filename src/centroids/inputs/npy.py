"""Batches from a .npy file, which is memory-mapped."""

from __future__ import annotations

import functools
import io
import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.inputs.arguments import check_file
from centroids.inputs.bad_rows import BadRows
from centroids.inputs.source import Position
from centroids.inputs.windows import WINDOW_BYTES, Reading, WindowedSource, Windows, check_reading

_BLOCK_BYTES = 1 << 20
_PAGE_BYTES = 4096
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
        num_epochs: How often to read the file; None: for ever.
        shuffle: Whether to shuffle the rows, in each epoch anew.
        seed: Of the shuffling.
        bad_rows: "drop" leaves out rows with NaN or infinity and says so in the log; see
            `numpy_input_fn`.

    Returns:
        A function that returns a new source at each call.

    Raises:
        OSError: If the file cannot be read; FileNotFoundError if it is not there.
        TypeError: If it does not hold numbers.
        ValueError: If it is no .npy file, or an argument has a value that is not allowed.
    """
    file = check_file(path)
    reading = check_reading(batch_size, num_epochs, shuffle, seed, bad_rows)
    NpySource(file, reading)  # what is wrong with the file shall be told now
    return functools.partial(NpySource, file, reading)


class NpySource(WindowedSource):
    """Rows of a memory-mapped array; see `npy_input_fn`."""

    def __init__(self, file: Path, reading: Reading) -> None:
        self._array = _open_array(file)
        row_bytes = self._array[:1].nbytes
        identity = {"shape": list(self._array.shape), "dtype": self._array.dtype.str}
        super().__init__("npy", file, reading, row_bytes, identity)
        self._block_rows = max(_BLOCK_BYTES // max(row_bytes, 1), 1)

    def _limits_of_window(self) -> Mapping[str, int]:
        return {"offset": len(self._array)}

    def _describe_row(self, epoch: int, window: Position, row: int, reason: str) -> str:
        row += window.get("offset", 0)
        if self._reading.shuffle:
            row = next(self._blocks(epoch).find(row, row + 1)).start
        return f"row {row}: {reason}"

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
                rows = self._array[start:stop]
                _read_pages(rows)
                yield rows, {"offset": stop}

    def _gather(self, slices: Iterator[slice], num_rows: int) -> NDArray[Any]:
        rows = np.empty((num_rows, *self._array.shape[1:]), self._array.dtype)
        start = 0
        for part in slices:
            stop = start + part.stop - part.start
            rows[start:stop] = self._array[part]
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


def _open_array(file: Path) -> NDArray[Any]:
    with file.open("rb") as handle:
        start = io.BytesIO(handle.read(_MAX_HEADER_BYTES))
        num_bytes = handle.seek(0, os.SEEK_END)
    if not start.getvalue().startswith(np.lib.format.MAGIC_PREFIX):
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
    if min(shape) < 0:
        raise ValueError(f"{file} has a damaged header: no array has the shape {shape}")
    offset = start.tell()
    needed = offset + math.prod(shape) * dtype.itemsize
    if needed > num_bytes:
        raise ValueError(
            f"{file} is cut off: it has {num_bytes} bytes, the shape {shape} needs {needed}"
        )
    try:
        if 0 in shape:
            return np.empty(shape, dtype)  # nothing that could be mapped
        return np.asarray(np.memmap(file, dtype, "r", offset, shape, "F" if by_column else "C"))
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{file} has a damaged header: no array has the shape {shape}") from error


def _read_header(start: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(start)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"its version is {version}, known are (1, 0), (2, 0) and (3, 0)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that Python 2 wrote a file is no concern of its reader
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(start)
        # Version 3 differs in the names of fields alone, which are refused anyway.
        return np.lib.format.read_array_header_2_0(start)


def _read_pages(rows: NDArray[Any]) -> None:
    """Has the system read the rows now: in the thread that reads ahead, not inside a kernel."""
    if rows.flags.c_contiguous and rows.nbytes <= WINDOW_BYTES:
        rows.reshape(-1).view(np.uint8)[::_PAGE_BYTES].max(initial=0)
