"""Sources over data in memory."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import numpy as np

from centroids import distribute
from centroids.checks import check_bool, check_integer
from centroids.inputs._epochs import BatchPlace, EpochSource
from centroids.inputs._shuffled_order import MOST_KEPT, shuffled_order
from centroids.inputs._sparse import check_sparse
from centroids.inputs.arguments import check_num_epochs
from centroids.inputs.bad_rows import BadRows, check_bad_rows
from centroids.inputs.batch import Batch, Position, TableColumn
from centroids.inputs.collections import in_weighted_shards
from centroids.inputs.convert import (
    Columns,
    convert_batch,
    convert_features,
    convert_labels,
    table_columns,
    with_table,
)
from centroids.inputs.weights import WeightColumn
from centroids.rows import gather_rows, is_sparse_type, num_rows


def numpy_input_fn(
    x: Any,
    y: Any = None,
    batch_size: int = 128,
    num_epochs: int | None = 1,
    shuffle: bool | None = None,
    queue_capacity: int = 1000,
    num_threads: int = 1,
    *,
    seed: int = 0,
    bad_rows: BadRows = "raise",
) -> Callable[[], ArraySource]:
    """Makes an input function that feeds data in memory in batches.

    With `shuffle`, epoch e goes through all rows in the order of a permutation that depends on
    (seed, e) and the number of rows only, for arrays and collections alike. (TensorFlow shuffles
    within a queue of `queue_capacity` rows.)

    Args:
        x: [n, ...] array, memory map, sparse matrix, table or tensor, or a dict of these. It must
            not change while batches are read: when a full batch comes again, training examines only
            those points whose labels may have changed.
        y: [n, ...] labels, or a dict of these; None for batches of features alone.
        batch_size: The rows of a batch. The last one of an epoch may have fewer.
        num_epochs: How often to go through the data; None: forever.
        shuffle: Whether to shuffle the rows. It must be given.
        queue_capacity: Has no effect, nor has `num_threads`: batches come in a fixed order.
        num_threads: See `queue_capacity`.
        seed: Of the shuffling.
        bad_rows: What to do with rows of `x` that have NaN or infinity. "raise" leaves them in the
            batches, so that computing with them is an error; "drop" leaves them out, with their
            labels, and says so in the log.

    Returns:
        A function that returns a new source at each call.

    Raises:
        TypeError: If `x` holds no numbers, or is a collection whose bad rows are to be dropped.
        ValueError: If `shuffle` is not given, numbers of rows differ, or an argument has a value
            that is not allowed.

    >>> input_fn = numpy_input_fn(np.arange(5), batch_size=2, shuffle=False)
    >>> [batch.tolist() for batch in input_fn()]
    [[0, 1], [2, 3], [4]]
    """
    if shuffle is None:
        raise ValueError("shuffle must be explicitly set as boolean (True or False); got None")
    check_integer("queue_capacity", queue_capacity, 1)
    check_integer("num_threads", num_threads, 1)
    x = with_table(x)
    labels = convert_labels(y, "y")
    _check_sparse_parts("y", labels)
    source: Callable[..., ArraySource]
    if distribute.is_collection(type(x)):
        source = functools.partial(CollectionSource, "numpy", _Collection(x, bad_rows))
    else:
        features = convert_features(x, "x")
        _check_sparse_parts("x", features)
        _check_equal_rows(features, labels)
        source = functools.partial(ArraySource, "numpy", features)
    batch_size = check_integer("batch_size", batch_size, 1)
    num_epochs = check_num_epochs(num_epochs)
    shuffled = check_bool("shuffle", shuffle)
    seed = check_integer("seed", seed, 0)
    drop, columns = check_bad_rows(bad_rows), table_columns(x)
    # No lambda: what can be pickled can be given to another process.
    return functools.partial(
        source, labels, batch_size, num_epochs, shuffled, seed, drop, columns=columns
    )


def limit_epochs(x: Any, num_epochs: int | None = 1, *, bad_rows: BadRows = "raise") -> ArraySource:
    """The whole of `x` as one batch, `num_epochs` times.

    For use inside an input function: `input_fn=lambda: limit_epochs(points, num_epochs=1)`.

    Args:
        x: A batch: features, or (features, labels). It must not change while it is read; see
            `numpy_input_fn`.
        num_epochs: How often; None: forever.
        bad_rows: "drop" leaves out rows with NaN or infinity; see `numpy_input_fn`.

    Raises:
        TypeError: If `x` holds no numbers, or is a collection whose bad rows are to be dropped.
        ValueError: If `num_epochs` is not positive, or `bad_rows` is neither value.

    >>> [batch.tolist() for batch in limit_epochs([1, 2, 3], num_epochs=2)]
    [[1, 2, 3], [1, 2, 3]]
    """
    epochs, drop = check_num_epochs(num_epochs), check_bad_rows(bad_rows)
    x = with_table(x)
    source: Callable[..., ArraySource]
    collection = x[0] if isinstance(x, tuple) and x else x
    if distribute.is_collection(type(collection)):
        rows, labels = sys.maxsize, None
        source = functools.partial(
            CollectionSource, "limit_epochs", _Collection(collection, bad_rows)
        )
    else:
        features, labels = convert_batch(x)
        rows = max(num_rows(features), 1)
        source = functools.partial(ArraySource, "limit_epochs", features)
    return source(labels, rows, epochs, False, 0, drop, columns=table_columns(x))


class ArraySource(EpochSource):
    """Batches of rows of converted arrays, in order or shuffled; see `numpy_input_fn`."""

    def __init__(
        self,
        kind: str,
        features: Columns,
        labels: Any,
        batch_size: int,
        num_epochs: int | None,
        shuffle: bool,
        seed: int,
        drop_bad_rows: bool,
        columns: Sequence[TableColumn] | None = None,
    ) -> None:
        self._features, self._labels, self._batch_size = features, labels, batch_size
        self._columns = columns
        self._num_rows = num_rows(features)
        self._shuffle, self._seed = shuffle, seed
        identity = {"shape": _shape_of(features), "dtype": _dtype_of(features), "shuffle": shuffle}
        if shuffle:
            identity["shuffle_seed"] = seed
            if self._num_rows > MOST_KEPT:
                identity["order"] = "keyed"
        super().__init__(kind, "x", num_epochs, identity, drop_bad_rows)

    @property
    def column_names(self) -> list[str] | None:
        """The names of the columns of the table, or the dict, that it feeds; else None."""
        if isinstance(self._features, dict):
            return sorted(self._features)
        return None if self._columns is None else [column.name for column in self._columns]

    def _table_columns(self) -> Sequence[TableColumn] | None:
        return self._columns

    def restore(self, position: Position) -> None:
        """See `EpochSource`; a position of an earlier version goes on in the order of then."""
        earlier = isinstance(position, Mapping) and "order" not in position
        if earlier and "order" in self._identity:
            super().restore({**position, "order": self._identity["order"]})
            del self._identity["order"]
        else:
            super().restore(position)

    def _limits(self) -> Mapping[str, int]:
        return {"offset": self._num_rows}

    def _read_epoch(self, epoch: int, place: Position) -> Generator[tuple[Any, Position]]:
        order = None
        if self._shuffle:
            keyed = "order" in self._identity
            order = shuffled_order(self._num_rows, self._seed, epoch, keyed)
        for start in range(place.get("offset", 0), self._num_rows, self._batch_size):
            stop = min(start + self._batch_size, self._num_rows)
            if stop - start == self._num_rows and order is None:
                batch = (self._features, self._labels)
            else:
                self._order = None if order is None else order(start, stop)
                rows = slice(start, stop) if self._order is None else self._order
                batch = (_take(self._features, rows), _take(self._labels, rows))
            yield batch if self._labels is not None else batch[0], {"offset": stop}

    def _locate(self, at: BatchPlace, row: int, column: int | None) -> str:
        if isinstance(self._features, distribute.ShardedPoints):
            return self._features.origin(_row_of(at, row), column)
        place = f"row {_row_of(at, row)}"
        if column is None:
            return place
        if isinstance(self._features, dict):
            for key, part in sorted(self._features.items()):
                width = int(np.prod(part.shape[1:]))
                if column < width:
                    return f"{place}, column {column} of {key!r}"
                column -= width
        return f"{place}, column {column}"

    def _describe_bad_row(self, at: BatchPlace, row: int, reason: str) -> str:
        return f"row {_row_of(at, row)}: {reason}"


class _Collection:
    """A collection that is put into shards when somebody reads it; they stay there as long as it.

    Args:
        collection: What `distribute.is_collection` knows.
        bad_rows: See `numpy_input_fn`.

    Raises:
        TypeError: If bad rows are to be left out: they stay on workers.
    """

    def __init__(self, collection: Any, bad_rows: BadRows) -> None:
        if bad_rows == "drop":
            raise TypeError(
                "bad_rows='drop' is not for collections, whose rows stay on workers: leave such "
                "rows out there, as with dropna()"
            )
        self._collection = collection

    def shards(self, where: Any, weights: WeightColumn | None) -> Any:
        """Its points, on the workers of an engine; None: of the current one."""
        if weights is None:
            self._kept = distribute.shard(self._collection, convert_features, where)
        else:
            self._kept = in_weighted_shards(self._collection, where, weights)
        return self._kept


class CollectionSource(ArraySource):
    """Batches of the rows of a collection, which is put into shards by the engine of its reader."""

    def __init__(
        self, kind: str, collection: _Collection, labels: Any, *arguments: Any, **named: Any
    ) -> None:
        self._collection, self._is_open = collection, False
        self._arguments = kind, labels, arguments, named

    def batches(self) -> Generator[Batch]:
        """See `EpochSource`."""
        self._open()
        return super().batches()

    def position(self) -> Position:
        """See `EpochSource`."""
        if not self._is_open:
            self._open()
        return super().position()

    def restore(self, position: Position) -> None:
        """See `EpochSource`."""
        self._open()
        super().restore(position)

    def _open(self) -> None:
        features = self._collection.shards(self.where, self.weight_column)
        if self._is_open:
            self._features = features
            return
        kind, labels, arguments, named = self._arguments
        _check_equal_rows(features, labels)
        super().__init__(kind, features, labels, *arguments, **named)
        self._is_open = True


def _row_of(at: BatchPlace, row: int) -> int:
    return at.place.get("offset", 0) + row if at.order is None else int(at.order[row])


def _take(columns: Any, rows: Any) -> Any:
    if columns is None:
        return None
    if isinstance(columns, dict):
        return {key: _take(column, rows) for key, column in columns.items()}
    return columns[rows] if isinstance(rows, slice) else gather_rows(columns, rows)


def _check_sparse_parts(name: str, columns: Any) -> None:
    parts = columns if isinstance(columns, dict) else {None: columns}
    for key, part in parts.items():
        if is_sparse_type(type(part)):
            check_sparse(part, name if key is None else f"{name}[{key!r}]")


def _shape_of(columns: Columns) -> Any:
    """The shape as JSON gives it back: a list, or a dict of lists."""
    if isinstance(columns, dict):
        return {key: list(column.shape) for key, column in columns.items()}
    return list(columns.shape)


def _dtype_of(columns: Columns) -> Any:
    if isinstance(columns, dict):
        return {key: column.dtype.name for key, column in columns.items()}
    return columns.dtype.name


def _check_equal_rows(features: Columns, labels: Any) -> None:
    rows: dict[str, int] = {}
    for name, part in (("x", features), ("y", labels)):
        if isinstance(part, Mapping):
            rows |= {f"{name}[{key!r}]": column.shape[0] for key, column in part.items()}
        elif part is not None:
            rows[name] = part.shape[0]
    if len(set(rows.values())) > 1:
        raise ValueError(f"all of x and y must have the same number of rows, got {rows}")
