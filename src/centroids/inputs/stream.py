"""The stream of batches of an input function: peeked into, and read ahead if that saves time."""

from __future__ import annotations

import collections
import logging
import operator
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from centroids.errors import BadRowError
from centroids.inputs._read_ahead import INTERRUPTED_SECONDS, ReadAhead
from centroids.inputs._read_ahead import LEFT_BEHIND as LEFT_BEHIND
from centroids.inputs.bad_rows import IsGood, find_bad_value, find_good_rows
from centroids.inputs.batch import Batch, Position
from centroids.inputs.errors import ReadingInterrupted
from centroids.inputs.missing import Treatment
from centroids.inputs.repeats import RepeatWatch
from centroids.inputs.returned import bind_input_fn, no_batches, read_batches
from centroids.inputs.weights import WeightColumn

logger = logging.getLogger(__name__)

# A hand-over between threads costs some 50 microseconds; reads that take longer than this gain.
_SLOW_SECONDS = 0.001
# One slow read may be the set-up of a source whose other reads are cheap.
_SLOW_READS_IN_A_ROW = 2
# Beside the computation of a batch that is larger everything else is nothing.
_SMALL_BYTES = 1 << 20


def open_stream(
    input_fn: Callable[..., Any],
    *,
    mode: str | None = None,
    params: Mapping[str, Any] | None = None,
    config: Any = None,
    position: Position | None = None,
    read_ahead: bool = True,
    weights: WeightColumn | None = None,
    missing: Treatment = "raise",
) -> BatchStream:
    """Calls an input function and streams the batches that it stands for.

    What it returns decides. An iterator or iterable of batches (a generator, a source, a torch
    DataLoader, a tf.data.Dataset; also in a tuple with None or with one of labels) is iterated to
    its end. For one batch (an array, a sparse matrix, a table, a dict, or (features, labels)) it
    is called again for each next one, until it raises StopIteration or OutOfRangeError. Batches
    of 0 rows are skipped. A stream whose first two batches are [n], of one n above 1 and without
    labels, is refused: they could also be single points.

    Args:
        input_fn: Called with those of `mode`, `params` and `config` that its signature names.
        mode: What the batches are for.
        params: Parameters of the model.
        config: Configuration of the run.
        position: The position of a batch of an earlier stream, to continue after it; None: from the
            beginning.
        read_ahead: Whether slow sources are read in a background thread, up to two batches ahead.
        weights: The column of the features that holds the weights of the rows; None: there is none.
        missing: What becomes of rows with missing values, which are NaN: "drop" leaves them out,
            and says so in the log; "keep" says that whoever takes them knows what to do.

    Returns:
        The stream. Close it, or use it as a context manager: that ends its thread.

    Raises:
        TypeError: If `input_fn` is not callable or returns nothing that can be a batch.
        PositionError: If `position` does not belong to this input; a ValueError.

    While reading, the stream raises a ValueError for what cannot be a batch.

    >>> with open_stream(lambda: iter([[1, 2], [3]])) as stream:
    ...     [batch.features.tolist() for batch in stream]
    [[1, 2], [3]]
    """
    call = bind_input_fn(input_fn, {"mode": mode, "params": params, "config": config})
    where = getattr(config, "train_distribute", None)
    batches, calls_again, returned = read_batches(call, position, where, weights, missing)
    stream = BatchStream(batches, read_ahead=read_ahead, calls_again=calls_again)
    stream.iterator = returned if isinstance(returned, Iterator) else None
    return stream


class BatchStream:
    """An iterator of batches, which can be looked at before their turn.

    The first batches are read when they are asked for. Once that proves slow, a thread reads ahead.
    The thread has ended when the stream is exhausted, has raised, or is closed; as a context
    manager the stream closes itself.

    Attributes:
        calls_again: Whether the input function returns one batch and is called again for each next
            one: such an input has no position.
        iterator: What the input function returned if that is an iterator, which is used up; else
            None.
    """

    iterator: Iterator[Any] | None = None

    def __init__(self, batches: Generator[Batch], *, read_ahead: bool, calls_again: bool) -> None:
        self.calls_again = calls_again
        self._batches = batches
        self._looked_at: collections.deque[Batch] = collections.deque()
        self._watch: RepeatWatch | None = None
        self._wait: Callable[[Callable[[], Batch]], Batch] = operator.call
        self._interrupted = False
        self._failure: Exception | None = None  # of a batch that nobody has asked for yet
        self._stays = False
        self._ahead: ReadAhead[Batch] | None = None
        self._reads_until_ahead = _SLOW_READS_IN_A_ROW if read_ahead else -1

    def __iter__(self) -> Iterator[Batch]:
        """The stream itself."""
        return self

    def __next__(self) -> Batch:
        """The next batch.

        Raises:
            Exception: What the source raised, unchanged; the stream has then ended.
        """
        batch = self._looked_at.popleft() if self._looked_at else self._wait(self._take)
        self._stays = _is_small(batch)
        if self._watch is not None:
            self._watch.see(batch.features, batch.weights)
        return batch

    def peek(self) -> Batch | None:
        """The next batch, which stays in its place; None at the end of the input."""
        return next(self.look_ahead(), None)

    def look_ahead(self) -> Iterator[Batch]:
        """Yields the coming batches, which stay in their places."""
        index = 0
        while True:
            if index == len(self._looked_at):
                if self._looked_at:
                    self._looked_at[-1] = self._looked_at[-1].kept()
                try:
                    self._looked_at.append(self._wait(self._take))
                except StopIteration:
                    return
            yield self._looked_at[index]
            index += 1

    def take_ready(self, most: int) -> list[Batch]:
        """Takes small batches that are there at once, where taking them early disturbs nobody.

        Args:
            most: How many at most. One more stays in its place.

        Returns:
            The batches; none of a source that may change them, is slow, or is called for each.
        """
        waiting = self._looked_at
        while len(waiting) <= most and self._ahead is None and not self.calls_again:
            if not (_is_small(waiting[-1]) if waiting else self._stays):
                break
            try:
                waiting.append(self._wait(self._take))
            except (StopIteration, ReadingInterrupted):
                break  # raised again for who asks for this one
            except Exception as error:
                self._failure = error
                break
        return [waiting.popleft() for _ in range(min(most, len(waiting) - 1))]

    def put_back(self, batches: Sequence[Batch]) -> None:
        """Puts batches that were taken last to where they were."""
        self._looked_at.extendleft(reversed(batches))

    def locate(self, error: BadRowError) -> ValueError:
        """The error about a row of a batch that was looked at ahead, with where it came from."""
        known = error.batch < len(self._looked_at)
        return error.at_origin(self._looked_at[error.batch].origin if known else None)

    def wait_by(self, wait: Callable[[Callable[[], Batch]], Batch]) -> None:
        """Has `wait` call what waits for a batch, so that signals can interrupt it."""
        self._wait = wait

    def warn_of_repeats(self, consequence: str) -> None:
        """Makes the log say so if the one batch of an input function comes again.

        Args:
            consequence: What that means, and what to do; see `repeats`.
        """
        if self.calls_again:
            self._watch = RepeatWatch(consequence)

    def interrupt(self) -> None:
        """Lets `close` wait no longer than for an interrupted reading: the program is to end."""
        self._interrupted = True

    def close(self) -> None:
        """Ends the thread, if any, and closes the source's generators. May be called again.

        It waits for the batch being read, but for only a second if reading was interrupted.
        """
        self._reads_until_ahead = -1
        if self._ahead is not None:
            timeout = INTERRUPTED_SECONDS if self._interrupted else None
            try:
                ended = self._ahead.close(timeout)
            except BaseException:
                self._interrupted = True
                raise
            if not ended:
                logger.warning("The input does not respond: its thread is left behind.")
                self._batches = no_batches()  # that thread still uses the others
            self._ahead = None
        self._batches.close()

    def __enter__(self) -> Self:
        """The stream itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Closes the stream."""
        if kind is not None and issubclass(kind, (KeyboardInterrupt, SystemExit)):
            self._interrupted = True
        try:
            self.close()
        finally:
            self.close()  # an interrupt may have cut the first one short

    def _take(self) -> Batch:
        if self._failure is not None:
            error, self._failure = self._failure, None
            raise error
        try:
            return self._read() if self._ahead is None else next(self._ahead)
        except ReadingInterrupted:
            self._interrupted = True
            raise
        except BaseException as error:
            self._interrupted = not isinstance(error, Exception)
            self.close()
            raise

    def _read(self) -> Batch:
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


def _is_small(batch: Batch) -> bool:
    """Whether a batch is one of few bytes, which its source does not change."""
    features = batch.features
    parts = features.values() if isinstance(features, dict) else [features]
    sizes = [getattr(part, "nbytes", _SMALL_BYTES + 1) for part in parts]
    return not batch.may_change and sum(sizes) <= _SMALL_BYTES


def check_finite_rows(batch: Batch, index: int, is_good: IsGood = np.isfinite) -> None:
    """Refuses a batch with NaN or infinity, before anyone computes with it.

    Args:
        batch: A batch of a matrix.
        index: Its number, for batches that don't know where their rows came from.
        is_good: Another rule of what is good, by element.

    Raises:
        ValueError: If a value is not finite; it names the place.
    """
    good = find_good_rows(batch.features, is_good)
    if good is None:
        return
    row = int(np.argmin(good))
    column, value = find_bad_value(batch.features, row, is_good)
    error = BadRowError(
        f"points must be finite, got {value}",
        "remove or replace such rows",
        batch=index,
        row=row,
        column=column,
        is_missing=bool(np.isnan(value)),
    )
    raise error.at_origin(batch.origin)
