"""What an input function returns decides: a stream to iterate, or one batch and a call for each."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import inspect
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from centroids.inputs.bad_rows import Mask
from centroids.inputs.convert import is_one_batch, length_of_vector
from centroids.inputs.errors import NoPositionError, PositionError, is_end_of_input
from centroids.inputs.source import EpochSource, Origin, Position, Source, copy_position


@dataclass(frozen=True, slots=True)
class RawBatch:
    """A batch as it came.

    Attributes:
        value: Features, or (features, labels).
        position: Where the source stands after it; None if that cannot be saved.
        good: Which of its rows to keep; None: all.
        may_change: Whether who gave it may write the next one into the same memory.
        epoch: Which pass over the data it is of, counted from 0; None if the source does not tell.
        origin: Says where a row of it came from; None if that is not known.
        names: The names of its columns, where the source knows them: a matrix has none.
    """

    value: Any
    position: Position | None = None
    good: Mask | None = None
    may_change: bool = True
    epoch: int | None = None
    origin: Origin | None = None
    names: Sequence[str] | None = None


RawBatches: TypeAlias = Generator[RawBatch]

_REMEDY = (
    "it must return a batch (array, sparse matrix, dict or (features, labels)) or an iterable of "
    "batches"
)


def bind_input_fn(input_fn: object, arguments: Mapping[str, Any]) -> Callable[[], Any]:
    """`input_fn` as a function of no arguments.

    Args:
        input_fn: A function that may take any of `arguments`.
        arguments: What it is called with, as far as its signature names them.

    Raises:
        TypeError: If it is not callable.
    """
    if not callable(input_fn):
        raise TypeError(
            f"input_fn must be a function that returns batches, got {type(input_fn).__name__}; "
            "write input_fn=lambda: ..."
        )
    try:
        parameters = set(inspect.signature(input_fn).parameters)
    except (TypeError, ValueError):  # built-in functions may have no signature
        parameters = set()
    named = {name: value for name, value in arguments.items() if name in parameters}
    function: Callable[..., Any] = input_fn
    return lambda: function(**named)


def read_raw_batches(call: Callable[[], Any], position: Position | None) -> tuple[RawBatches, bool]:
    """Calls the input function and reads what it returns.

    Args:
        call: The input function.
        position: Where to begin; None begins at the beginning.

    Returns:
        A generator of unconverted batches; and whether it calls the input function for each of
        them.

    Raises:
        TypeError: If the input function returns nothing that can be a batch.
        PositionError: If there is a position, but what is returned cannot be restored to it.
    """
    try:
        returned = call()
    except Exception as error:
        if is_end_of_input(error):
            return _nothing(), False
        raise
    _check_returned(returned)
    if isinstance(returned, tuple) and len(returned) == 2 and _is_stream(returned[0]):
        return _read_pair(*returned, position), False
    if _is_stream(returned):
        _restore(returned, position)
        return _read_stream(returned), False
    _restore(returned, position)
    return _call_again(call, returned), True


def _nothing() -> RawBatches:
    yield from ()


def _check_returned(returned: Any) -> None:
    if returned is None:
        raise TypeError(f"input_fn returned None; {_REMEDY}")
    if isinstance(returned, (str, bytes)):
        raise TypeError(
            f"input_fn returned the string {returned!r}; {_REMEDY}. For a file, use "
            "input_fn=centroids.inputs.file_input_fn(path)"
        )
    if inspect.isroutine(returned):
        raise TypeError(
            f"input_fn returned the function {returned.__name__}; pass that function itself as "
            "input_fn"
        )


def _is_stream(value: Any) -> bool:
    return isinstance(value, (Source, Iterator)) or not is_one_batch(value)


def _restore(returned: Any, position: Position | None) -> None:
    if position is None:
        return
    if not isinstance(returned, Source):
        raise NoPositionError(
            "the last training stopped in the middle of another input, and input_fn returned "
            f"{type(returned).__name__}, which cannot go on there (as sources such as "
            "centroids.inputs.numpy_input_fn can)"
        )
    try:
        returned.restore(copy.deepcopy(position))  # the source may go on counting in it
    except ValueError as error:
        raise PositionError(str(error)) from error


def _read_pair(features: Any, labels: Any, position: Position | None) -> RawBatches:
    """The batches of (stream, None), or of (stream, stream)."""
    if labels is None:
        _restore(features, position)
        return _read_stream(features)
    if not _is_stream(labels):
        raise TypeError(
            f"input_fn returned a stream of features with labels of type {type(labels).__name__}; "
            "labels must be None or a stream too"
        )
    if position is not None:
        if not isinstance(position, Mapping) or set(position) != {"features", "labels"}:
            raise PositionError(
                "the last training stopped in the middle of another input, and input_fn returned a "
                "stream of features with one of labels, each of which needs a position of its own"
            )
        _restore(features, position["features"])
        _restore(labels, position["labels"])
    return _zip_streams(_read_batches(features), _read_batches(labels))


def _zip_streams(features: RawBatches, labels: RawBatches) -> RawBatches:
    with contextlib.closing(features), contextlib.closing(labels):
        for batch, label in zip(features, labels, strict=False):
            position = None
            if batch.position is not None and label.position is not None:
                position = {"features": batch.position, "labels": label.position}
            good = _both(batch.good, label.good)
            may_change = batch.may_change or label.may_change
            value = (batch.value, label.value)
            yield RawBatch(
                value, position, good, may_change, batch.epoch, batch.origin, batch.names
            )


def _both(first: Mask | None, second: Mask | None) -> Mask | None:
    if first is None or second is None:
        return second if first is None else first
    if len(first) != len(second):
        raise ValueError(
            "features and labels must have equally many rows, got a batch with "
            f"{len(first)} and {len(second)}"
        )
    return first & second


def _read_stream(stream: Iterable[Any]) -> RawBatches:
    """The batches of a stream that has no labels beside it, which would tell how many points."""
    batches = _read_batches(stream)
    with contextlib.closing(batches):
        if isinstance(stream, EpochSource) or _makes_batches(stream):
            yield from batches
        else:
            yield from _check_vectors(batches)


def _read_batches(stream: Iterable[Any]) -> RawBatches:
    if isinstance(stream, EpochSource):
        names: Sequence[str] | None = getattr(stream, "column_names", None)
        with contextlib.closing(stream.read_marked()) as marked:
            for value, good, origin in marked:
                position = stream.position()
                yield RawBatch(value, position, good, False, position["epoch"], origin, names)
        return
    source = stream if isinstance(stream, Source) else None
    iterator = iter(stream)
    try:
        for value in iterator:
            yield RawBatch(value, None if source is None else copy_position(source.position()))
    except Exception as error:
        if not is_end_of_input(error):
            raise
    finally:
        if isinstance(iterator, Generator):
            iterator.close()


def _check_vectors(batches: RawBatches) -> RawBatches:
    """Passes batches on; refuses them if the first two are [n] with one n above 1.

    These may be n points of one column each, or one point each of n columns: nobody can tell.
    """
    first = next(batches, None)
    if first is None:
        return
    length = length_of_vector(first.value)
    if length is not None and length > 1:
        if isinstance(first.value, np.ndarray):  # the next one may be written over it
            first = dataclasses.replace(first, value=first.value.copy())
        second = next(batches, None)
        if second is not None and length_of_vector(second.value) == length:
            raise ValueError(
                f"the input is a stream of arrays [{length}]: is each of them a point of {length} "
                f"columns, or a batch of {length} points of one column? Yield matrices: "
                "array[None, :] for the former (or many at once, with numpy.stack), array[:, None] "
                "for the latter"
            )
        yield first
        if second is None:
            return
        first = second
    yield first
    yield from batches


def _makes_batches(stream: Any) -> bool:
    """Whether a stream says of itself that what it yields are batches, not single points."""
    if getattr(stream, "batch_size", None) is not None:  # a torch DataLoader
        return True
    shape = getattr(getattr(stream, "element_spec", None), "shape", None)  # a tf.data.Dataset
    return shape is not None and getattr(shape, "rank", None) == 1 and shape[0] is None


def _call_again(call: Callable[[], Any], first: Any) -> RawBatches:
    raw = first
    while True:
        yield RawBatch(raw)
        try:
            raw = call()
        except Exception as error:
            if is_end_of_input(error):
                return
            raise
        if raw is None:
            _check_returned(raw)
