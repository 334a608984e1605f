"""Points that live in shards on workers, as a batch of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids import kernels
from centroids.distribute import _shard as on_worker
from centroids.distribute._shard import BadPoint, Place, Want
from centroids.distribute._workers import Workers
from centroids.rows import is_sparse


class ShardedPoints:
    """[n, d] points in partitions on workers, or some rows of them. They stay where they are.

    It has the shape and the type of an array, and `points[rows]` are some of its rows, still on the
    workers. To compute with them, a function goes to where the points are.

    Args:
        workers: What holds them.
        rows: The numbers of the rows among all, in the order of this batch; None: all.

    Raises:
        ValueError: If the partitions differ in type or width; it names two of them.
    """

    ndim = 2

    def __init__(self, workers: Workers, rows: NDArray[np.int64] | None = None) -> None:
        self.workers, self._rows = workers, rows
        sizes = [info.rows for info in workers.partitions]
        self._starts = np.cumsum([0, *sizes])
        first = _first_with_rows(workers)
        self.dtype, self.weighted = first.dtype, first.weighted
        count = int(self._starts[-1]) if rows is None else len(rows)
        self.shape = (count, first.columns)
        self.nbytes = count * first.columns * first.dtype.itemsize

    def __repr__(self) -> str:
        return (
            f"<{self.shape[0]:,} x {self.shape[1]} points of {self.dtype} in "
            f"{len(self.workers.partitions)} partitions on {len(self.workers.shards)} workers>"
        )

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def names(self) -> tuple[str, ...] | None:
        """The names of the columns, or None."""
        return self.workers.names

    @property
    def is_whole(self) -> bool:
        """Whether these are all rows."""
        return self._rows is None

    def fold(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The sum of `function(part, *arguments)` over all parts, in no order.

        Args:
            function: A function at the top of a module, of a Part and `arguments`; its results can
                be added.
            arguments: Small values, which go to all workers.

        Raises:
            NonFiniteError: What the function raised about the first bad row; its number is that in
                this batch.
        """
        total, bad = None, None
        for answer in self.workers.run(on_worker.fold, (function, arguments), self._wants()):
            if isinstance(answer, BadPoint):
                place = (answer.number, answer.row)
                bad = answer if bad is None or place < (bad.number, bad.row) else bad
            else:
                total = answer if total is None else total + answer
        if bad is not None:
            raise self._with_row_of_batch(bad)
        return total

    def map(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The arrays [m, ...] that `function(part, *arguments)` gives, in the order of rows."""
        found = self.fold(on_worker.pieces, function, *arguments)
        order = np.concatenate([rows for rows, _ in found])
        return _joined([value for _, value in found])[np.argsort(order)]

    def ask(self, name: str, make: Callable[..., Any], method: str, *arguments: Any) -> list[Any]:
        """Calls a method of an object on every shard; the object is made where it is missing.

        Args:
            name: The name of the object; only the one asked last is kept.
            make: Makes it from the shard's [(number of the first row, points), ...].
            method: The name of the method.
            arguments: Small values, which go to all workers.

        Returns:
            What the method returns on each shard, in no order.
        """
        assert self._rows is None, "rows of a batch are gathered instead"
        if self.workers.streamed:
            raise ValueError(
                "initial centers cannot be chosen from files that are streamed: give them as "
                "initial_clusters (of a model trained on a sample, say), or a function that takes "
                "some of the rows"
            )
        run = self.workers.run(on_worker.ask, (name, make, method, arguments), self._wants())
        return [answer for answers in run for answer in answers]

    def __getitem__(self, rows: Any) -> ShardedPoints:
        """Some of the rows, by a slice, numbers or a mask. They stay on the workers."""
        chosen = _numbers(rows, self.shape[0])
        return ShardedPoints(self.workers, chosen if self._rows is None else self._rows[chosen])

    def gather(self) -> kernels.Points:
        """The points themselves, as an array or a sparse matrix of this process."""
        if not self.shape[0]:
            return np.empty(self.shape, self.dtype)
        points: kernels.Points = self.map(on_worker.rows_of)
        return points

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The points as a dense array of this process."""
        points: Any = self.gather()
        return np.asarray(points.toarray() if is_sparse(points) else points, dtype)

    def copy(self) -> ShardedPoints:
        """Itself: nothing changes it."""
        return self

    def origin(self, row: int, column: int | None) -> str:
        """Where a row of this batch is: "partition 1, row 123 (row 1,836 of all), column 4"."""
        total = row if self._rows is None else int(self._rows[row])
        number = int(np.searchsorted(self._starts, total, side="right")) - 1
        first = int(self._starts[number])
        # A column of lists is several columns with one name.
        names = self.names if self.names and len(self.names) == self.shape[1] else None
        return Place(number, first, names)(total - first, column)

    def _with_row_of_batch(self, bad: BadPoint) -> kernels.NonFiniteError:
        total = int(self._starts[bad.number]) + bad.row
        row = total if self._rows is None else int(np.flatnonzero(self._rows == total)[0])
        return kernels.NonFiniteError(row, bad.column, bad.value, bad.dtype)

    def _wants(self) -> Mapping[int, Want]:
        if self._rows is None:
            return {
                number: Want(number, int(self._starts[number]))
                for number, info in enumerate(self.workers.partitions)
                if info.rows
            }
        return dict(self._wants_of_rows(self._rows))

    def _wants_of_rows(self, rows: NDArray[np.int64]) -> Iterator[tuple[int, Want]]:
        of = np.searchsorted(self._starts, rows, side="right") - 1
        order = np.argsort(of, kind="stable")
        numbers, begins = np.unique(of[order], return_index=True)
        for number, positions in zip(numbers.tolist(), np.split(order, begins[1:]), strict=True):
            yield number, Want(number, positions, rows[positions] - self._starts[number])


def _numbers(rows: Any, count: int) -> NDArray[np.int64]:
    """The numbers that an index stands for, without memory for all."""
    if isinstance(rows, slice):
        return np.arange(*rows.indices(count))
    chosen = np.asarray(rows)
    if chosen.dtype.kind not in "iu" or chosen.ndim != 1:
        return np.asarray(np.arange(count)[rows])
    if chosen.size and not -count <= chosen.min() <= chosen.max() < count:
        raise IndexError(f"rows must be from {-count} to {count - 1}, got {rows}")
    return np.where(chosen < 0, chosen + count, chosen).astype(np.int64)


def _first_with_rows(workers: Workers) -> on_worker.PartitionInfo:
    filled = [(n, info) for n, info in enumerate(workers.partitions) if info.rows]
    if not filled:
        raise ValueError("the input has 0 points: all of its partitions are empty")
    number, first = filled[0]
    for other, info in filled[1:]:
        if (info.columns, info.dtype) != (first.columns, first.dtype):
            raise ValueError(
                "all partitions must have points of one type and width, but partition "
                f"{number} has {first.columns} columns of {first.dtype}, and partition {other} "
                f"has {info.columns} columns of {info.dtype}"
            )
    return first


def _joined(values: list[Any]) -> Any:
    if len(values) == 1:
        return values[0]
    if is_sparse(values[0]):
        import scipy.sparse

        return scipy.sparse.vstack(values, format="csr")
    return np.concatenate(values)
