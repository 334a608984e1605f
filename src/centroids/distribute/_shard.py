"""What lives on a worker: the points of some partitions, and what is remembered about them."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids import kernels
from centroids.errors import at_place
from centroids.rows import WeightedPoints, split_weights, with_weights

# Partitions below the first size are put together, up to the second one.
_SMALL_BYTES = 32 << 20
_LARGE_BYTES = 256 << 20

# Rows of a partition, with or without weights; or a function that reads them when they are too many
# to be kept.
Rows = Any


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that belong to a batch, of one partition or of several, as functions get them.

    Attributes:
        points: [m, d], dense or compressed sparse rows.
        runs: Their numbers in the batch: (first, count) of rows that follow each other, or [m].
        kept: What functions remember about them from call to call. It is empty again if the worker
            was lost and another one took its place.
        stays: Whether `points` are the same object in each call.
        weights: [m], how much each point counts; None: once.
    """

    points: kernels.Points
    runs: tuple[tuple[int, int], ...] | NDArray[np.int64]
    kept: dict[Any, Any]
    stays: bool
    weights: NDArray[np.float64] | None = None

    @property
    def rows(self) -> NDArray[np.int64]:
        """[m], the numbers of the rows in the batch."""
        if isinstance(self.runs, np.ndarray):
            return self.runs
        return np.concatenate([np.arange(first, first + count) for first, count in self.runs])


@dataclass(frozen=True, slots=True)
class PartitionInfo:
    """What the driver knows about a partition."""

    rows: int
    columns: int
    dtype: np.dtype[Any]
    weighted: bool = False


@dataclass(frozen=True, slots=True)
class BadPoint:
    """The first row of a partition that a kernel refused; see NonFiniteError."""

    number: int
    row: int
    column: int | None
    value: float | None
    dtype: str


@dataclass(frozen=True, slots=True)
class Place:
    """Says where a row of a partition is.

    Attributes:
        number: The partition; None: nobody knows.
        first: The number of its first row among all; None: nobody knows.
        names: Those of the columns, or None.

    >>> Place(1, 1713)(123, 4)
    'partition 1, row 123 (row 1,836 of all), column 4'
    """

    number: int | None
    first: int | None
    names: Sequence[str] | None = None

    def __call__(self, row: int, column: int | None) -> str:
        """The place in words."""
        partition = "a partition" if self.number is None else f"partition {self.number}"
        total = "of it" if self.first is None else f"(row {self.first + row:,} of all)"
        place = f"{partition}, row {row:,} {total}"
        if column is None:
            return place
        name = "" if self.names is None else f" ({self.names[column]!r})"
        return f"{place}, column {column}{name}"


def columns_without(skipped: str | None, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The names of columns, as they are counted."""
    return None if names is None else tuple(name for name in names if name != skipped)


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


@dataclass(frozen=True, slots=True)
class Block:
    """Partitions that are treated as one: many small ones would take many calls."""

    numbers: tuple[int, ...]
    points: Rows
    kept: dict[Any, Any] = field(default_factory=dict)


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
        self.partitions = ()
        self.blocks = [Block(numbers, points) for numbers, points in _merged(self._rows)]
        for block in self.blocks:
            start = 0
            for number in block.numbers if len(block.numbers) > 1 else ():
                stop = start + self._rows[number].shape[0]
                self._rows[number], start = block.points[start:stop], stop
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

    def points(self, number: int) -> kernels.Points | WeightedPoints:
        """The points of a partition."""
        rows = self._rows[number]
        points: kernels.Points | WeightedPoints = rows() if callable(rows) else rows
        return points

    def parts(self, wants: Iterable[Want]) -> Iterator[tuple[Part, list[Want]]]:
        """The rows that a batch wants, in parts as large as possible, and the wants of each."""
        wanted = {want.number: want for want in wants}
        for block in self.blocks:
            mine = [wanted[number] for number in block.numbers if number in wanted]
            if len(mine) == len(block.numbers) and all(want.local is None for want in mine):
                points, stays = block.points, not callable(block.points)
                points = points if stays else points()
                counts = (
                    [self._rows[want.number].shape[0] for want in mine]
                    if stays
                    else [points.shape[0]]
                )
                firsts = [int(want.rows) for want in mine]
                runs: Any = tuple(zip(firsts, counts, strict=True))
                yield _part_of(points, runs, block.kept, stays), mine
                continue
            for want in mine:
                points = self.points(want.number)
                if want.local is None:
                    runs = ((int(want.rows), points.shape[0]),)
                else:
                    points, runs = points[want.local], want.rows
                yield _part_of(points, runs, {}, False), [want]

    def bad_point(self, error: kernels.NonFiniteError, wants: Sequence[Want]) -> BadPoint:
        """Where the bad row of a part with these wants is."""
        row = error.row
        for want in wants:
            local = want.local
            count = self.points(want.number).shape[0] if local is None else len(local)
            if row < count:
                break
            row -= count
        row = row if local is None else int(local[row])
        return BadPoint(want.number, row, error.column, error.value, error.dtype)


def _merged(partitions: Mapping[int, Rows]) -> Iterator[tuple[tuple[int, ...], Rows]]:
    """Small dense partitions of one type and width side by side, and the others as they are."""
    numbers: list[int] = []
    size = 0

    def group() -> tuple[tuple[int, ...], Rows]:
        rows = [partitions[number] for number in numbers]
        return tuple(numbers), rows[0] if len(rows) == 1 else _joined(rows)

    for number, rows in partitions.items():
        points, _ = split_weights(rows)
        if not isinstance(points, np.ndarray) or points.nbytes >= _SMALL_BYTES:
            yield (number,), rows
            continue
        last, _ = split_weights(partitions[numbers[-1]] if numbers else rows)
        alike = (points.dtype, points.shape[1]) == (last.dtype, last.shape[1])
        if numbers and (not alike or size + points.nbytes > _LARGE_BYTES):
            yield group()
            numbers, size = [], 0
        if points.shape[0]:
            numbers.append(number)
            size += points.nbytes
    if numbers:
        yield group()


def _joined(rows: Sequence[Rows]) -> Rows:
    points, weights = zip(*map(split_weights, rows), strict=True)
    return with_weights(
        np.concatenate(points), None if weights[0] is None else np.concatenate(weights)
    )


def _part_of(rows: Rows, runs: Any, kept: dict[Any, Any], stays: bool) -> Part:
    points, weights = split_weights(rows)
    return Part(points, runs, kept, stays, weights)


@dataclass(frozen=True, slots=True)
class Raised:
    """What a function raised on a worker."""

    error: Exception


def fold(
    shard: Shard, function: Callable[..., Any], arguments: Sequence[Any], wants: Iterable[Want]
) -> Any:
    """The sum of `function(part, *arguments)` over the parts, or the first BadPoint."""
    total = bad = None
    for part, mine in shard.parts(wants):
        try:
            value = function(part, *arguments)
        except kernels.NonFiniteError as error:
            found = shard.bad_point(error, mine)
            bad = found if bad is None or found.number < bad.number else bad
            continue
        total = value if total is None else total + value
    return total if bad is None else bad


def ask(
    shard: Shard,
    name: str,
    make: Callable[..., Any],
    method: str,
    arguments: Sequence[Any],
    wants: Iterable[Want],
) -> list[Any]:
    """Calls a method of an object that is made from the whole shard and lives as long."""
    if name not in shard.objects:
        shard.objects.clear()  # the latest is enough
        shard.objects[name] = make([(want.rows, shard.points(want.number)) for want in wants])
    return [getattr(shard.objects[name], method)(*arguments)]


def pieces(
    part: Part, function: Callable[..., Any], *arguments: Any
) -> list[tuple[NDArray[np.int64], Any]]:
    """What a function gives for a part, with the numbers of its rows: lists of these add up."""
    return [(part.rows, function(part, *arguments))]


def rows_of(part: Part) -> kernels.Points:
    """The points themselves."""
    return part.points


def describe(shard: Shard, numbers: Sequence[int]) -> tuple[str, dict[int, PartitionInfo]]:
    """The version of this package there, and what the driver has to know of partitions."""
    import centroids

    found = {}
    for number in numbers:
        info = getattr(shard.rows(number), "info", None)
        if info is not None:
            found[number] = info()
            continue
        found[number] = info_of(shard.points(number))
    return centroids.__version__, found


def info_of(rows: kernels.Points | WeightedPoints) -> PartitionInfo:
    """What the driver has to know of such rows."""
    points, weights = split_weights(rows)
    count, columns = points.shape
    return PartitionInfo(int(count), int(columns), points.dtype, weights is not None)


def checked(rows: kernels.Points | WeightedPoints) -> kernels.Points | WeightedPoints:
    """Rows in the form that the kernels take."""
    points, weights = split_weights(rows)
    points = kernels.check_points(points)
    if weights is not None:
        weights = kernels.check_weights(weights, kernels.num_rows(points))
    return with_weights(points, weights)


def load(
    block: Any, number: int, convert: Callable[[Any], kernels.Points | WeightedPoints]
) -> kernels.Points | WeightedPoints:
    """A block of a collection as points; errors name the partition."""
    if not block.shape[0]:  # of no type that means anything
        return np.empty((0, block.shape[1] if len(block.shape) > 1 else 1), np.float32)
    try:
        return checked(convert(block))
    except (TypeError, ValueError) as error:
        raise at_place(f"partition {number}", error) from None
