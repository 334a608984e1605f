"""From what an input function returns to converted batches.

What it returns decides: a stream is iterated; if it returns one batch, it is called again for each
next one.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import numpy as np

from centroids import distribute
from centroids.errors import at_place, message_of
from centroids.inputs._epochs import EpochSource
from centroids.inputs.bad_rows import keep_rows
from centroids.inputs.batch import Batch, BatchSource, Mask, Origin, Position, Source, copy_position
from centroids.inputs.collections import in_weighted_shards
from centroids.inputs.convert import (
    column_names,
    convert_batch,
    is_one_batch,
    length_of_vector,
    table_columns,
    with_table,
)
from centroids.inputs.errors import NoPositionError, PositionError, is_end_of_input
from centroids.inputs.missing import MissingRows, Treatment, leaving_out_missing
from centroids.inputs.tables._frame_table import is_torch_dataset
from centroids.inputs.weights import PointOrigin, WeightColumn, check_weights
from centroids.rows import num_rows

Batches: TypeAlias = Generator[Batch]

# For an input function that is called for each batch; more are an error, not a gap in the data.
_MAX_EMPTY_BATCHES = 10_000
_REMEDY = (
    "it must return a batch (array, sparse matrix, dict or (features, labels)) or an iterable of "
    "batches"
)


def bind_input_fn(input_fn: object, arguments: Mapping[str, Any]) -> Callable[[], Any]:
    """`input_fn` as a function of no arguments.

    Args:
        input_fn: A function that may take any of `arguments`.
        arguments: What it is called with, if its signature names them.

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


def read_batches(
    call: Callable[[], Any],
    position: Position | None,
    where: Any = None,
    weights: WeightColumn | None = None,
    missing: Treatment = "raise",
) -> tuple[Batches, bool, Any]:
    """Calls the input function and reads what it returns.

    Args:
        call: The input function.
        position: Where to begin; None begins at the beginning.
        where: The engine that takes collections; None: the current one of the collection's kind.
        weights: The column that holds the weights of the rows; None: there is none.
        missing: What becomes of rows with missing values.

    Returns:
        A generator of batches, converted, without bad rows and empty batches; whether it calls
        the input function again for each of them; and what the first call returned.

    Raises:
        TypeError: If the input function returns nothing that can be a batch.
        PositionError: If there is a position, but what is returned cannot be restored to it.
    """
    try:
        returned = call()
    except Exception as error:
        if is_end_of_input(error):
            return no_batches(), False, None
        raise
    _check_returned(returned)
    rows = leaving_out_missing(begins=position is None) if missing == "drop" else None
    convert = functools.partial(_convert, where=where, weights=weights, leaving_out=rows)
    if isinstance(returned, tuple) and len(returned) == 2 and _is_stream(returned[0]):
        _tell_source(returned[0], where, weights, missing)
        return convert(_read_pair(*returned, position), calls_again=False), False, returned
    _tell_source(returned, where, weights, missing)
    _restore(returned, position)
    if _is_stream(returned):
        return convert(_read_points(returned), calls_again=False), False, returned
    return convert(_call_again(call, returned), calls_again=True), True, None


def no_batches() -> Batches:
    """No batches."""
    yield from ()


def _tell_source(stream: Any, where: Any, weights: WeightColumn | None, missing: Treatment) -> None:
    """A source of ours takes the weights out itself: a bad one is a bad row, which it may drop."""
    if isinstance(stream, EpochSource):
        stream.weight_column, stream.keeps_missing = weights, missing != "raise"
        stream.where = where


def _convert(
    batches: Batches,
    where: Any,
    weights: WeightColumn | None,
    leaving_out: AbstractContextManager[MissingRows] | None,
    *,
    calls_again: bool,
) -> Batches:
    """Converts batches as they came; leaves out their bad rows, and those that have no others."""
    index = num_empty = num_dropped = 0
    empty: Any = None
    with contextlib.closing(batches), leaving_out or contextlib.nullcontext() as incomplete:
        for batch in batches:
            came = batch.features = with_table(batch.features)
            _convert_one(batch, came, index, where, weights)
            if incomplete is not None:
                incomplete.leave_out(batch, index)
            num_dropped += batch.num_dropped_rows
            if num_rows(batch.features) == 0:
                num_empty += 1
                if calls_again:
                    _check_not_empty_for_ever(num_empty, index, came is empty)
                empty = came
                continue
            if batch.names is None and index == 0:
                sharded = distribute.is_sharded(batch.features)
                batch.names = column_names(batch.features if sharded else came)
                batch.names = batch.names if weights is None else weights.without(batch.names)
            elif index > 0:
                batch.names = None
            batch.num_dropped_rows, num_dropped, num_empty = num_dropped, 0, 0
            index += 1
            yield batch


def _convert_one(
    batch: Batch, came: Any, index: int, where: Any, weights: WeightColumn | None
) -> None:
    keep = batch.keep
    try:
        if weights is not None:
            came = in_weighted_shards(came, where, weights)
        batch.features, batch.labels = convert_batch(came, where)
        if weights is not None and not distribute.is_sharded(batch.features):
            _take_weights(batch, came, weights)
        if keep is not None:
            kept = keep_rows((batch.features, batch.labels, batch.weights), keep)
            batch.features, batch.labels, batch.weights = kept
            batch.num_dropped_rows = int((~keep).sum())
            batch.keep, batch.origin = None, _origin_of_kept(batch.origin, keep)
    except (TypeError, ValueError) as error:
        raise at_place(f"batch {index}", error) from error
    if batch.origin is None:
        batch.origin = getattr(batch.features, "origin", None)
    if weights is not None and batch.weights is not None:
        check_weights(batch.weights, weights, index, batch.origin)


def _take_weights(batch: Batch, came: Any, weights: WeightColumn) -> None:
    """Takes the weights out of the features of a batch, unless its source has done so."""
    if batch.weights is not None:
        return
    split = weights.split(batch.features, table_columns(came))
    batch.features, batch.weights = split.features, split.weights
    if split.place is not None and batch.origin is not None:
        batch.origin = PointOrigin(batch.origin, split.place)


def _origin_of_kept(origin: Origin | None, keep: Mask) -> Origin | None:
    """Where the rows that are left of a batch came from."""
    if origin is None:
        return None
    return lambda row, column: origin(int(np.flatnonzero(keep)[row]), column)


def _check_not_empty_for_ever(num_empty: int, num_batches: int, is_the_same: bool) -> None:
    """Raises a ValueError if an input function will return batches of no rows forever."""
    if num_batches == 0 and (is_the_same or num_empty > _MAX_EMPTY_BATCHES):
        raise ValueError(
            "the input has 0 points: what input_fn returns has 0 rows, each time it is called"
        )
    if num_empty > _MAX_EMPTY_BATCHES:
        raise ValueError(
            f"input_fn returned {num_empty} batches of 0 rows in a row; raise StopIteration or "
            "OutOfRangeError at the end of the input"
        )


def _check_returned(returned: Any) -> None:
    if returned is None:
        raise TypeError(f"input_fn returned None; {_REMEDY}")
    if isinstance(returned, (str, bytes)):
        raise TypeError(
            f"input_fn returned the string {returned!r}; {_REMEDY}. For a file, use "
            "input_fn=centroids.inputs.file_input_fn(path)"
        )
    if type(returned).__module__.startswith("dask.delayed"):
        raise TypeError(
            "input_fn returned a Delayed, which has neither rows nor partitions; make a collection "
            "of it (dask.array.from_delayed, dask.dataframe.from_delayed)"
        )
    if is_torch_dataset(returned) and not isinstance(returned, Iterable):
        raise TypeError(
            f"input_fn returned a {type(returned).__name__}, whose items are single points; return "
            "a torch DataLoader of it, or use input_fn=centroids.inputs.table_input_fn(dataset)"
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
            "the last run stopped in the middle of another input, and input_fn returned "
            f"{type(returned).__name__}, which cannot continue there (as sources such as "
            "centroids.inputs.numpy_input_fn can)"
        )
    try:
        returned.restore(copy.deepcopy(position))  # the source may continue counting in it
    except PositionError:
        raise
    except ValueError as error:
        raise PositionError(message_of(error)) from error


def _read_pair(features: Any, labels: Any, position: Position | None) -> Batches:
    """The batches of (stream, None), or of (stream, stream)."""
    if labels is None:
        _restore(features, position)
        return _read_points(features)
    if not _is_stream(labels):
        raise TypeError(
            f"input_fn returned a stream of features with labels of type {type(labels).__name__}; "
            "labels must be None or also a stream"
        )
    if position is not None:
        if not isinstance(position, Mapping) or set(position) != {"features", "labels"}:
            raise PositionError(
                "the last run stopped in the middle of another input, and input_fn returned a "
                "stream of features with one of labels, each of which needs a position of its own"
            )
        _restore(features, position["features"])
        _restore(labels, position["labels"])
    return _zip_streams(_read_stream(features), _read_stream(labels))


def _zip_streams(features: Batches, labels: Batches) -> Batches:
    with contextlib.closing(features), contextlib.closing(labels):
        for batch, label in zip(features, labels, strict=False):
            both = batch.position is not None and label.position is not None
            position = {"features": batch.position, "labels": label.position}
            batch.position = position if both else None
            batch.keep = _both(batch.keep, label.keep)
            batch.may_change = batch.may_change or label.may_change
            batch.features = (batch.features, label.features)
            yield batch


def _both(first: Mask | None, second: Mask | None) -> Mask | None:
    if first is None or second is None:
        return second if first is None else first
    if len(first) != len(second):
        raise ValueError(
            "features and labels must have the same number of rows, got a batch with "
            f"{len(first)} and {len(second)}"
        )
    return first & second


def _read_points(stream: Iterable[Any]) -> Batches:
    """The batches of a stream without labels, which would tell how many points there are."""
    batches = _read_stream(stream)
    if isinstance(stream, BatchSource) or _makes_batches(stream):
        return batches
    return _check_vectors(batches)


def _read_stream(stream: Iterable[Any]) -> Batches:
    if isinstance(stream, BatchSource):
        return stream.batches()
    return _read_plain(stream)


def _read_plain(stream: Iterable[Any]) -> Batches:
    source = stream if isinstance(stream, Source) else None
    iterator = iter(stream)
    try:
        for value in iterator:
            position = None if source is None else copy_position(source.position())
            yield Batch(value, position=position, may_change=True)
    except Exception as error:
        if not is_end_of_input(error):
            raise
    finally:
        if isinstance(iterator, Generator):
            iterator.close()


def _check_vectors(batches: Batches) -> Batches:
    """Passes batches on; refuses them if the first two are [n] with the same n above 1.

    These may be n points of one column each, or one point each of n columns: nobody can tell.
    """
    with contextlib.closing(batches):
        first = next(batches, None)
        if first is None:
            return
        length = length_of_vector(first.features)
        if length is not None and length > 1:
            if isinstance(first.features, np.ndarray):  # the next one may be written over it
                first.features = first.features.copy()
            second = next(batches, None)
            if second is not None and length_of_vector(second.features) == length:
                raise ValueError(
                    f"the input is a stream of arrays [{length}]: is each of them a point of "
                    f"{length} columns, or a batch of {length} points of one column? Yield "
                    "matrices: array[None, :] for the former (or many at once, with numpy.stack), "
                    "array[:, None] for the latter"
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


def _call_again(call: Callable[[], Any], first: Any) -> Batches:
    raw = first
    while True:
        yield Batch(raw, may_change=True)
        try:
            raw = call()
        except Exception as error:
            if is_end_of_input(error):
                return
            raise
        if raw is None:
            _check_returned(raw)
