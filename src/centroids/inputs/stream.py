"""From an input function to a stream of converted batches, read ahead where that gains time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

import numpy as np

from centroids.errors import BadRowError
from centroids.inputs.bad_rows import find_bad_value, find_good_rows, keep_rows
from centroids.inputs.convert import Columns, column_names, convert_batch, num_rows
from centroids.inputs.errors import ReadingInterrupted
from centroids.inputs.raw_batches import RawBatch, RawBatches, bind_input_fn, read_raw_batches
from centroids.inputs.read_ahead import ReadAhead
from centroids.inputs.source import Origin, Position

logger = logging.getLogger(__name__)

# A hand-over between threads costs some 50 microseconds; reads that take longer than this gain.
_SLOW_SECONDS = 0.001
# One slow read may be the set-up of a source whose other reads are cheap.
_SLOW_READS_IN_A_ROW = 2
_INTERRUPTED_SECONDS = 1.0
# Of an input function that is called for each batch; more are no gap in the data but an error.
_MAX_EMPTY_BATCHES = 10_000


@dataclass(frozen=True, slots=True)
class InputBatch:
    """One batch of an input.

    Attributes:
        features: [n, ...] with n at least 1, dense or compressed sparse rows, or a dict of such.
        labels: Converted likewise, of any type; None if there are none.
        position: Where the source stands after this batch, as JSON can hold it; None when that
            cannot be saved.
        num_dropped_rows: The bad rows that were left out since the batch before, of this one and
            of those between that had no others; always 0 unless the source drops them.
        may_change: Whether the input may write a later batch into the same memory.
        epoch: Which pass over the data it is of, counted from 0; None if the source does not tell.
        origin: Says where a row came from, by its number in the batch and that of a column, if it
            is one column: "points.csv, line 7, column 'height'". None if that is not known.
        names: Of the first batch, the names of the columns in their order; None if it has none.
    """

    features: Columns
    labels: Any
    position: Position | None
    num_dropped_rows: int = 0
    may_change: bool = field(default=False, compare=False)
    epoch: int | None = None
    origin: Origin | None = field(default=None, compare=False)
    names: tuple[str, ...] | None = None

    def kept(self) -> InputBatch:
        """The batch as it is now, for who keeps it while the input goes on."""
        if not self.may_change:
            return self
        features, labels = _copy(self.features), _copy(self.labels)
        return replace(self, features=features, labels=labels, may_change=False)


def open_stream(
    input_fn: Callable[..., Any],
    *,
    mode: str | None = None,
    params: Mapping[str, Any] | None = None,
    config: Any = None,
    position: Position | None = None,
    read_ahead: bool = True,
) -> BatchStream:
    """Calls an input function and streams the batches that it stands for.

    What it returns decides. An iterator or iterable of batches (a generator, a source, a torch
    DataLoader, a tf.data.Dataset; also in a tuple with None or with one of labels) is iterated to
    its end. For one batch (an array, a sparse matrix, a table, a dict, or (features, labels)) it
    is called again for each next one, until it raises StopIteration or OutOfRangeError. Batches
    of 0 rows are skipped. A stream whose first two batches are [n], of one n above 1 and without
    labels, is refused: they could also be single points.

    Args:
        input_fn: It is called with those of `mode`, `params` and `config` that it names.
        mode: What the batches are for.
        params: Parameters of the model.
        config: Configuration of the run.
        position: The position of a batch of an earlier stream, to go on after it; None begins at
            the beginning.
        read_ahead: Whether slow sources are read in a background thread, up to two batches ahead.

    Returns:
        The stream. Close it, or use it as a context manager: that ends its thread.

    Raises:
        TypeError: If `input_fn` is not callable or returns nothing that can be a batch.
        PositionError: If `position` is not one of this input; a ValueError.

    While reading, the stream raises a ValueError for batches that cannot be such.

    >>> with open_stream(lambda: iter([[1, 2], [3]])) as stream:
    ...     [batch.features.tolist() for batch in stream]
    [[1, 2], [3]]
    """
    call = bind_input_fn(input_fn, {"mode": mode, "params": params, "config": config})
    raw_batches, endless = read_raw_batches(call, position)
    batches = _convert_batches(raw_batches, endless)
    return BatchStream(batches, read_ahead=read_ahead, calls_again=endless)


class BatchStream:
    """An iterator of InputBatch; a context manager that ends the reading.

    The first batches are read when they are asked for. Once that proves slow, a thread reads ahead.
    The thread has ended when the stream is exhausted, has raised, or is closed.

    Attributes:
        calls_again: Whether the input function gives one batch and is called for each next one.
    """

    def __init__(
        self, batches: Generator[InputBatch], *, read_ahead: bool, calls_again: bool = False
    ) -> None:
        self.calls_again = calls_again
        self._batches = batches
        self._interrupted = False
        self._ahead: ReadAhead[InputBatch] | None = None
        self._reads_until_ahead = _SLOW_READS_IN_A_ROW if read_ahead else -1

    def __iter__(self) -> Iterator[InputBatch]:
        """The stream itself."""
        return self

    def __next__(self) -> InputBatch:
        """The next batch.

        Raises:
            Exception: What the source raised, unchanged; the stream has then ended.
        """
        try:
            return self._read() if self._ahead is None else next(self._ahead)
        except ReadingInterrupted:
            self._interrupted = True
            raise
        except BaseException as error:
            self._interrupted = not isinstance(error, Exception)
            self.close()
            raise

    def interrupt(self) -> None:
        """Lets `close` wait no longer than for an interrupted reading: the program is to end."""
        self._interrupted = True

    def close(self) -> None:
        """Ends the thread, if any, and closes the source's generators. May be called again.

        It waits for the batch being read; but only for a second if reading was interrupted.
        """
        self._reads_until_ahead = -1
        if self._ahead is not None:
            timeout = _INTERRUPTED_SECONDS if self._interrupted else None
            try:
                ended = self._ahead.close(timeout)
            except BaseException:
                self._interrupted = True
                raise
            if not ended:
                logger.warning("The input does not answer: its thread is left behind.")
                self._batches = _no_batches()  # that thread still uses the others
            self._ahead = None
        self._batches.close()

    def __enter__(self) -> Self:
        """The stream itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the stream."""
        if kind is not None and issubclass(kind, (KeyboardInterrupt, SystemExit)):
            self._interrupted = True
        try:
            self.close()
        finally:
            self.close()  # an interrupt may have cut the first one short

    def _read(self) -> InputBatch:
        if self._reads_until_ahead < 0:
            return next(self._batches)
        started = time.perf_counter()
        batch = next(self._batches)
        slow = time.perf_counter() - started > _SLOW_SECONDS
        self._reads_until_ahead = self._reads_until_ahead - 1 if slow else _SLOW_READS_IN_A_ROW
        if self._reads_until_ahead == 0:
            batch = batch.kept()
            self._start_reading_ahead()
        return batch

    def _start_reading_ahead(self) -> None:
        kept = (batch.kept() for batch in self._batches)
        self._ahead = ReadAhead(kept)  # known before there is a thread to end
        try:
            self._ahead.start()
        except RuntimeError:  # no room for another thread: it is read here
            self._ahead, self._reads_until_ahead = None, -1


def _copy(columns: Any) -> Any:
    if columns is None:
        return None
    if isinstance(columns, dict):
        return {key: _copy(column) for key, column in columns.items()}
    if isinstance(columns, np.ndarray):
        return np.array(columns, order="K")
    return columns.copy()


def check_finite_rows(batch: InputBatch, index: int) -> None:
    """Refuses a batch with NaN or infinity, before anyone computes with it.

    Args:
        batch: A batch of a matrix.
        index: Its number, for batches that don't know where their rows came from.

    Raises:
        ValueError: If a value is not finite; it names the place.
    """
    good = find_good_rows(batch.features)
    if good is None:
        return
    row = int(np.argmin(good))
    column, value = find_bad_value(batch.features, row)
    error = BadRowError(
        f"points must be finite, got {value}",
        "remove or replace such rows",
        batch=index,
        row=row,
        column=column,
    )
    raise error.at_origin(batch.origin)


def _no_batches() -> Generator[InputBatch]:
    yield from ()


def _convert_batches(raw_batches: RawBatches, endless: bool) -> Generator[InputBatch]:
    index = num_empty = num_dropped = 0
    empty: Any = None
    try:
        for raw in raw_batches:
            try:
                features, labels = convert_batch(raw.value)
                if raw.good is not None:
                    num_dropped += int((~raw.good).sum())
                    features, labels = keep_rows((features, labels), raw.good)
            except (TypeError, ValueError) as error:
                if type(error) not in (TypeError, ValueError):
                    raise
                raise type(error)(f"batch {index}: {error}") from error
            if num_rows(features) == 0:
                num_empty += 1
                if endless:
                    _check_not_empty_for_ever(num_empty, index, raw.value is empty)
                empty = raw.value
                continue
            num_empty = 0
            index += 1
            yield InputBatch(
                features,
                labels,
                raw.position,
                num_dropped,
                raw.may_change,
                raw.epoch,
                _origin_of_kept(raw),
                _names_of(raw) if index == 1 else None,
            )
            num_dropped = 0
    finally:
        raw_batches.close()


def _check_not_empty_for_ever(num_empty: int, num_batches: int, is_the_same: bool) -> None:
    """Raises a ValueError if an input function will return batches of no rows for ever."""
    if num_batches == 0 and (is_the_same or num_empty > _MAX_EMPTY_BATCHES):
        raise ValueError(
            "the input has 0 points: what input_fn returns has 0 rows, each time it is called"
        )
    if num_empty > _MAX_EMPTY_BATCHES:
        raise ValueError(
            f"input_fn returned {num_empty} batches of 0 rows in a row; raise StopIteration or "
            "OutOfRangeError at the end of the input"
        )


def _names_of(raw: RawBatch) -> tuple[str, ...] | None:
    return column_names(raw.value) if raw.names is None else tuple(raw.names)


def _origin_of_kept(raw: RawBatch) -> Origin | None:
    """Where the rows that are left of a batch came from."""
    origin, good = raw.origin, raw.good
    if origin is None or good is None:
        return origin
    return lambda row, column: origin(int(np.flatnonzero(good)[row]), column)
