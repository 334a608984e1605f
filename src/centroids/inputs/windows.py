"""What the sources over files share: rows read in order, or shuffled window by window."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from centroids.checks import check_bool, check_integer
from centroids.errors import Part
from centroids.inputs._epochs import BatchPlace, EpochSource
from centroids.inputs.arguments import check_num_epochs
from centroids.inputs.bad_rows import check_bad_rows
from centroids.inputs.batch import Position
from centroids.inputs.row_count import RowCount
from centroids.rows import gather_rows

Windows: TypeAlias = Generator[tuple[NDArray[Any], Position]]

WINDOW_BYTES = 64 << 20


@dataclass(frozen=True)
class Reading:
    """How a file is read: the arguments that all file input functions share.

    Attributes:
        batch_size: The rows of a batch.
        num_epochs: How often to read the file; None: forever.
        shuffle: Whether to shuffle its rows.
        seed: Of the shuffling.
        drop_bad_rows: Whether to leave bad rows out.
    """

    batch_size: int
    num_epochs: int | None
    shuffle: bool
    seed: int
    drop_bad_rows: bool


def check_reading(
    batch_size: object, num_epochs: object, shuffle: object, seed: object, bad_rows: object
) -> Reading:
    """Validates them; raises a ValueError that names the argument and what is allowed."""
    return Reading(
        check_integer("batch_size", batch_size, 1),
        check_num_epochs(num_epochs),
        check_bool("shuffle", shuffle),
        check_integer("seed", seed, 0),
        check_bad_rows(bad_rows),
    )


class WindowedSource(EpochSource):
    """Batches of the rows of a file, which is read window by window.

    Without shuffling a window is a batch. With it, a window is as many batches as fit into 64 MiB
    (at least one); its rows are permuted in memory, so that a file is never read row by row.

    Attributes:
        row_count: How many rows an epoch has, as far as that is known; whoever reads the file more
            than once may set it.

    Args:
        kind: The name of the kind of source.
        file: The file, or what else is read; as text it is its name.
        reading: How to read.
        row_bytes: The bytes of a row in memory.
        identity: What must be equal for a saved position to mean the same place.
    """

    # How much of the file has been read for the window that was yielded last; None: not known.
    _share: float | None = None

    def __init__(
        self,
        kind: str,
        file: object,
        reading: Reading,
        row_bytes: int,
        identity: Mapping[str, Any],
    ) -> None:
        self._reading = reading
        self.row_count = RowCount()
        self._window_rows = reading.batch_size
        order: dict[str, Any] = {"shuffle": reading.shuffle}
        if reading.shuffle:
            window_batches = WINDOW_BYTES // max(row_bytes, 1) // reading.batch_size
            self._window_rows = max(window_batches, 1) * reading.batch_size
            # A window is a whole number of batches: their size decides what it holds.
            order["shuffle_seed"] = reading.seed
            order["batch_size"] = reading.batch_size
            order["window_rows"] = self._window_rows
        super().__init__(
            kind, str(file), reading.num_epochs, {**identity, **order}, reading.drop_bad_rows
        )

    @abc.abstractmethod
    def _read_windows(self, epoch: int, place: Position) -> Windows:
        """Yields the rows of an epoch in windows of `_window_rows` rows (the last may be smaller).

        Each comes with the place after it, of which `offset` is the number of rows so far.

        Args:
            epoch: Counted from 0; where shuffling permutes parts of the file, it decides how.
            place: Such a place, to begin there; or empty for the beginning.
        """

    @abc.abstractmethod
    def _limits_of_window(self) -> Mapping[str, int]:
        """As `_limits`, of the places that `_read_windows` yields."""

    @abc.abstractmethod
    def _locate_row(self, epoch: int, window: Position, row: int, column: int | None) -> str:
        """Where a row is in the file, as messages name it.

        Args:
            epoch: The epoch.
            window: The place before its window.
            row: The row in the window.
            column: The column in the matrix; None: the whole row.
        """

    def _describe_row(self, epoch: int, window: Position, row: int, reason: str) -> Part:
        """Where a bad row is in the file, and what is wrong with it.

        Args:
            epoch: The epoch.
            window: The place before its window.
            row: The row in the window.
            reason: What is wrong, as far as the matrix of numbers tells.
        """
        return f"{self._locate_row(epoch, window, row, None)}: {reason}"

    def _limits(self) -> Mapping[str, int]:
        within = {"rows_of_window": self._window_rows} if self._reading.shuffle else {}
        return {**self._limits_of_window(), **within}

    def _locate(self, at: BatchPlace, row: int, column: int | None) -> str:
        return self._locate_row(at.epoch, *_row_of_window(at, row), column)

    def _describe_bad_row(self, at: BatchPlace, row: int, reason: str) -> Part:
        return self._describe_row(at.epoch, *_row_of_window(at, row), reason)

    def _read_epoch(self, epoch: int, place: Position) -> Generator[tuple[Any, Position]]:
        done = place.get("rows_of_window", 0)
        start = {key: value for key, value in place.items() if key != "rows_of_window"}
        windows = self._counted(self._read_windows(epoch, start), start)
        with contextlib.closing(windows):
            if not self._reading.shuffle:
                yield from windows
                return
            for rows, after in windows:
                # SeedSequence pads with zeros: + 1 tells the first window from the epoch itself.
                seeds = [self._reading.seed, epoch, start.get("offset", 0) + 1]
                count = rows.shape[0]
                order = np.random.default_rng(seeds).permutation(count)
                for first in range(done, count, self._reading.batch_size):
                    stop = min(first + self._reading.batch_size, count)
                    self._order = order[first:stop]
                    within = {**start, "rows_of_window": stop}
                    batch = gather_rows(rows, order[first:stop])
                    yield batch, after if stop == count else within
                start, done = after, 0
                del rows  # the next window is read into memory that this one held

    def _counted(self, windows: Windows, start: Position) -> Windows:
        """Hands on windows, from a place on, and counts their rows."""
        offset = start.get("offset", 0)
        with contextlib.closing(windows):
            for rows, after in windows:
                offset = after["offset"]
                self.row_count.estimate(offset, self._share)
                yield rows, after
                del rows
        self.row_count.know(offset)


def _row_of_window(at: BatchPlace, row: int) -> tuple[Position, int]:
    """The place before the window of a row of a batch, and the row in the window."""
    window = {key: value for key, value in at.place.items() if key != "rows_of_window"}
    return window, row if at.order is None else int(at.order[row])


def join_pieces(pieces: Iterable[NDArray[Any]], num_rows: int) -> Generator[NDArray[Any]]:
    """Cuts and joins arrays of any numbers of rows to arrays of `num_rows`; the last has the rest.

    >>> [rows.tolist() for rows in join_pieces([np.arange(3), np.arange(4)], 2)]
    [[0, 1], [2, 0], [1, 2], [3]]
    """
    waiting: list[NDArray[Any]] = []
    count = 0
    for piece in pieces:
        start = 0
        while start < len(piece):
            part = piece[start : start + num_rows - count]
            waiting.append(part)
            start, count = start + len(part), count + len(part)
            if count == num_rows:
                yield _join(waiting)
                waiting, count = [], 0
    if waiting:
        yield _join(waiting)


def _join(parts: list[NDArray[Any]]) -> NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
