"""Points that several workers hold: what choosing centers asks of them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from centroids.clustering._distinct_rows import Keys
from centroids.clustering._draws import (
    Draws,
    EqualDraws,
    WeightedDraws,
    WeightTotals,
    share_out,
)
from centroids.clustering._seeding_shard import BadValue, SeedingShard
from centroids.kernels import NonFiniteError, Points, num_rows, result_dtype
from centroids.rows import WeightedPoints, split_weights

_MOST_TOLD = 1 << 22  # numbers at a time, to a shard that was rebuilt

# Rows of all, and the place of the one that became a center; None: all of them did.
Taken: TypeAlias = tuple[NDArray[np.int64], int | None]


class Shards(Protocol):
    """Points in parts, which one or more `SeedingShard`s hold between them.

    A part is a run of consecutive rows. Results depend on the rows and their numbers alone: not on
    how they are cut into parts, nor on which shard holds which.

    Attributes:
        num_rows: The number of rows of all shards.
        dimensions: The number of columns.
        dtype: What the points are computed in, float32 or float64; the same in all parts.
        weighted: Whether the rows have weights.
    """

    num_rows: int
    dimensions: int
    dtype: np.dtype[Any]
    weighted: bool

    def ask(self, method: str, *arguments: Any) -> list[Any]:
        """Calls a method of every `SeedingShard`.

        A lost shard may be rebuilt from its parts and asked again. It is then told what it must
        remember.

        Returns:
            The answers, in any order.
        """


class LocalShards:
    """Shards of this process.

    Args:
        points: The parts, in the order of their rows: [n, d] each, at least one. All have
            weights, or none has.
        cosine: The distance is cosine.
        num_shards: Parts are dealt to the shards in turn.

    Attributes:
        parts: As they were given.

    >>> shards = LocalShards([np.zeros((2, 3)), np.ones((4, 3))], num_shards=2)
    >>> shards.num_rows, rows_of(shards, np.array([5, 0])).tolist()
    (6, [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    """

    def __init__(
        self,
        points: Sequence[Points | WeightedPoints],
        *,
        cosine: bool = False,
        num_shards: int = 1,
    ) -> None:
        rows = [split_weights(part)[0] for part in points]
        firsts = np.cumsum([0, *map(num_rows, rows)]).tolist()
        self.num_rows, self.dimensions = firsts[-1], int(rows[0].shape[1])
        self.dtype, self.weighted = result_dtype(rows[0]), rows[0] is not points[0]
        self.parts = list(points)
        placed = list(zip(firsts, points, strict=False))
        self._shards = [
            SeedingShard(placed[at::num_shards], cosine=cosine) for at in range(num_shards)
        ]

    def ask(self, method: str, *arguments: Any) -> list[Any]:
        """See `Shards`."""
        return [getattr(shard, method)(*arguments) for shard in self._shards]


def rows_of(shards: Shards, rows: NDArray[np.integer[Any]]) -> NDArray[Any]:
    """Rows by their numbers, [m, d] dense, in the type that they are computed in."""
    found = np.empty((rows.size, shards.dimensions), shards.dtype)
    for answer in shards.ask("rows", rows):
        for places, vectors in answer:
            found[places] = vectors
    return found


def ask_after(shards: Shards, steps: Sequence[Taken], method: str, *arguments: Any) -> list[Any]:
    """Asks what builds on the steps; shards that were rebuilt are told them first."""
    answers = shards.ask(method, len(steps), *arguments)
    while any(answer is None for answer in answers):
        _catch_up(shards, steps)
        answers = shards.ask(method, len(steps), *arguments)
    return answers


def _catch_up(shards: Shards, steps: Sequence[Taken]) -> None:
    done = min(shards.ask("steps_made"))
    while done < len(steps):
        end, num_rows_told = done, 0
        while end < len(steps) and (end == done or num_rows_told * shards.dimensions < _MOST_TOLD):
            num_rows_told += steps[end][0].size
            end += 1
        vectors = rows_of(shards, np.concatenate([rows for rows, _ in steps[done:end]]))
        ends = np.cumsum([rows.size for rows, _ in steps[done:end]])[:-1]
        places = [place for _, place in steps[done:end]]
        told = list(zip(np.split(vectors, ends), places, strict=True))
        shards.ask("catch_up", done, told)
        done = end


def draws_of(shards: Shards) -> Draws:
    """What rows are drawn by: each alike, or by their weights."""
    if not shards.weighted:
        return EqualDraws(shards.num_rows)
    known: dict[int, WeightTotals] = {}
    for answer in shards.ask("weights"):
        known |= answer
    totals = {first: part.total for first, part in known.items()}

    def find(targets: Sequence[int]) -> NDArray[np.int64]:
        within, places = share_out(totals, targets)
        rows = np.empty(len(targets), np.int64)
        for found in shards.ask("find_weights", within):
            for part, own in found.items():
                rows[places[part]] = own
        return rows

    def positive(begin: int, end: int | None) -> NDArray[np.int64]:
        return np.sort(np.concatenate(shards.ask("positive", begin, end)))

    return WeightedDraws(sum(known.values(), WeightTotals(0, 0, True)), find, positive)


def start_seeding(shards: Shards, step: Taken) -> dict[int, int]:
    """Starts with the first centers. Returns the totals of the parts' weights."""
    answers = shards.ask("start", (rows_of(shards, step[0]), step[1]))
    raise_first_bad([bad for bad, _ in answers])
    totals: dict[int, int] = {}
    for _, of_shard in answers:
        totals |= of_shard
    return totals


class KeysOfShards:
    """The hashes of rows that shards hold; see `DistinctRows`."""

    def __init__(self, shards: Shards, *, cosine: bool = False) -> None:
        self._shards = shards
        self.num_rows, self.dimensions = shards.num_rows, shards.dimensions
        self._num_keys = 2 if cosine else 1

    @functools.cached_property
    def draws(self) -> Draws:
        """What rows are drawn by."""
        return draws_of(self._shards)

    def keys(self, rows: NDArray[np.integer[Any]]) -> Keys:
        """See `RowKeys`."""
        keys = [np.empty(rows.size, np.uint64) for _ in range(self._num_keys)]
        for answer in self._shards.ask("keys", rows):
            for places, parts in answer:
                for whole, part in zip(keys, parts, strict=True):
                    whole[places] = part
        return keys


def check_finite_shards(shards: Shards) -> None:
    """Raises a NonFiniteError for the first row of all that has a NaN or an infinity."""
    raise_first_bad(shards.ask("find_bad"))


def raise_first_bad(found: Sequence[BadValue | None]) -> None:
    """Raises a NonFiniteError for the first row among those that shards have found."""
    bad = [value for value in found if value is not None]
    if bad:
        raise NonFiniteError(*min(bad, key=lambda value: value[0]))
