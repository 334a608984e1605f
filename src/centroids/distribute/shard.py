"""What lives on a worker: the points of some partitions, and what is remembered of them."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids import kernels

# Rows of a partition, or a function that reads them when they are too many to be kept.
Rows = Any


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one partition that belong to a batch, as functions that are folded get them.

    Attributes:
        points: [m, d], dense or compressed sparse rows.
        rows: Their numbers in the batch: that of the first where they follow each other, else [m].
        kept: What functions remember of the partition from call to call. It is empty again when the
            worker was lost and another one took its place.
        stays: Whether `points` are the same object in each call.
    """

    points: kernels.Points
    rows: int | NDArray[np.int64]
    kept: dict[Any, Any]
    stays: bool


@dataclass(frozen=True, slots=True)
class PartitionInfo:
    """What the driver knows of a partition."""

    rows: int
    columns: int
    dtype: np.dtype[Any]
    sparse: bool


@dataclass(frozen=True, slots=True)
class BadPoint:
    """The first row of a partition that a kernel refused; see NonFiniteError."""

    number: int
    row: int
    column: int | None
    value: float | None
    dtype: str


@dataclass(frozen=True, slots=True)
class Want:
    """Which rows of a partition a batch has.

    Attributes:
        number: The partition.
        rows: See Part.
        local: The rows within the partition, in the order of `rows`; None: all.
    """

    number: int
    rows: int | NDArray[np.int64]
    local: NDArray[np.int64] | None = None


@dataclass
class Shard:
    """The partitions of one worker. Each engine keeps one in an actor.

    Args:
        numbers: Which partitions these are.
        partitions: Their rows.
        threads: How many threads the kernels may use here; 0 leaves that as it is.
    """

    numbers: Sequence[int]
    partitions: Sequence[Rows]
    threads: int = 0
    objects: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rows = dict(zip(self.numbers, self.partitions, strict=True))
        self._kept: dict[int, dict[Any, Any]] = {number: {} for number in self.numbers}
        if self.threads:
            kernels.set_num_threads(self.threads)

    def run(self, call: bytes, more: bytes) -> bytes:
        """Calls a function with this shard, and returns what it returns or raises, all pickled.

        Args:
            call: The function and its first arguments, which are the same for all shards.
            more: The last argument, which is this shard's own.
        """
        try:
            function, arguments = pickle.loads(call)
            answer = function(self, *arguments, pickle.loads(more))
        except Exception as error:
            answer = Raised(error)
        return pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL)

    def rows(self, number: int) -> Rows:
        """The points of a partition, or what reads them."""
        return self._rows[number]

    def points(self, number: int) -> kernels.Points:
        """The points of a partition."""
        rows = self._rows[number]
        points: kernels.Points = rows() if callable(rows) else rows
        return points

    def part(self, want: Want) -> Part:
        """The rows of a partition that a batch wants."""
        points, stays = self.points(want.number), not callable(self._rows[want.number])
        if want.local is not None:
            return Part(points[want.local], want.rows, {}, False)
        return Part(points, want.rows, self._kept[want.number], stays)


@dataclass(frozen=True, slots=True)
class Raised:
    """What a function raised on a worker."""

    error: Exception


def fold(
    shard: Shard, function: Callable[..., Any], arguments: Sequence[Any], wants: Iterable[Want]
) -> Any:
    """The sum of `function(part, *arguments)` over the parts, or the first BadPoint."""
    total = None
    for want in wants:
        part = shard.part(want)
        try:
            value = function(part, *arguments)
        except kernels.NonFiniteError as error:
            row = error.row if want.local is None else int(want.local[error.row])
            return BadPoint(want.number, row, error.column, error.value, error.dtype)
        total = value if total is None else total + value
    return total


def ask(
    shard: Shard,
    name: str,
    make: Callable[..., Any],
    method: str,
    arguments: Sequence[Any],
    wants: Iterable[Want],
) -> list[Any]:
    """Calls a method of an object that is made of the whole shard, and lives with it."""
    if name not in shard.objects:
        shard.objects.clear()  # the latest is enough
        shard.objects[name] = make([(want.rows, shard.points(want.number)) for want in wants])
    return [getattr(shard.objects[name], method)(*arguments)]


def pieces(
    part: Part, function: Callable[..., Any], *arguments: Any
) -> list[tuple[int | NDArray[np.int64], Any]]:
    """What a function gives for a part, with the numbers of its rows: lists of these add up."""
    return [(part.rows, function(part, *arguments))]


def rows_of(part: Part) -> kernels.Points:
    """The points themselves."""
    return part.points


def describe(shard: Shard, numbers: Sequence[int]) -> tuple[str, dict[int, PartitionInfo]]:
    """The version of this package there, and what the driver has to know of partitions."""
    import centroids
    from centroids.kernels.dense_or_sparse import is_sparse

    found = {}
    for number in numbers:
        info = getattr(shard.rows(number), "info", None)
        if info is not None:
            found[number] = info()
            continue
        points = shard.points(number)
        rows, columns = points.shape
        found[number] = PartitionInfo(int(rows), int(columns), points.dtype, is_sparse(points))
    return centroids.__version__, found


def load(block: Any, number: int, convert: Callable[[Any], kernels.Points]) -> kernels.Points:
    """A block of a collection as points; errors name the partition."""
    if not block.shape[0]:  # of no type that means anything
        return np.empty((0, block.shape[1] if len(block.shape) > 1 else 1), np.float32)
    try:
        return kernels.check_points(convert(block))
    except (TypeError, ValueError) as error:
        raise type(error)(f"partition {number}: {error}") from None
