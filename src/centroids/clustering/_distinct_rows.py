"""Rows that differ from each other, found by a hash of each row."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from centroids.clustering._draws import Draws, EqualDraws, WeightedDraws
from centroids.kernels import Points, in_usual_float_mode, num_rows, result_dtype
from centroids.rows import is_sparse

_BLOCK_ELEMENTS = 1 << 18  # in the cache
_MOST_DRAWS = 64  # for each row that is wanted, before all rows are looked at
_MOST_BLOCKS = 256  # in which all rows are looked at
_FEW_COLUMNS = 8  # which tell most rows apart

# One or more hashes of each row, [m] each; rows are equal where any of their hashes are.
Keys: TypeAlias = list[NDArray[np.uint64]]


class RowKeys(Protocol):
    """Rows, wherever they are, by the hashes of their values."""

    num_rows: int
    dimensions: int

    @property
    def draws(self) -> Draws:
        """What rows are drawn by."""

    def keys(self, rows: NDArray[np.integer[Any]]) -> Keys:
        """The hashes of these rows."""


class KeysOfPoints:
    """The hashes of rows of an array; see `RowKeys`.

    Args:
        points: [n, d], dense or compressed sparse rows.
        cosine: The distance is cosine.
        weights: [n], what rows are drawn by; None: each alike.
    """

    def __init__(
        self,
        points: Points,
        *,
        cosine: bool = False,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        self._points, self._cosine = points, cosine
        self.num_rows, self.dimensions = num_rows(points), int(points.shape[1])
        self.draws: Draws = (
            EqualDraws(self.num_rows) if weights is None else WeightedDraws.of(weights)
        )

    @in_usual_float_mode
    def keys(self, rows: NDArray[np.integer[Any]]) -> Keys:
        """See `RowKeys`."""
        keys = np.empty((2 if self._cosine else 1, rows.size), np.uint64)
        size = _block_rows(self._points)
        for at in range(0, rows.size, size):
            keys[:, at : at + size] = self._keys_of_block(self._points[rows[at : at + size]])
        return list(keys)

    def _keys_of_block(self, block: Points) -> Keys:
        entries = _SparseEntries(block) if is_sparse(block) else _DenseEntries(block)
        dtype = result_dtype(block)
        if not self._cosine:
            return [entries.hash(entries.values.astype(dtype))]
        # The quotients of proportional rows are equal numbers, and so is what they are rounded to.
        wide = entries.values.astype(np.float64)
        scaled = wide / _not_zero(entries.spread(entries.largest(np.abs(wide))))
        lengths = np.sqrt(entries.sums(np.square(scaled)))
        units = (scaled / _not_zero(entries.spread(lengths))).astype(dtype)
        return [entries.hash(scaled), entries.hash(units)]


class DistinctRows:
    """Takes rows that differ from all that were taken before, over any number of batches.

    Rows are equal if their values are, once converted to the type that they are computed in. For
    the cosine distance also those of one direction are, and a zero vector, which has none, is never
    taken. Hashes of 64 bits stand for the values: among a million rows, two different ones are
    taken for equal with a probability of 3e-8.

    Args:
        cosine: The distance is cosine.

    >>> rows, random = DistinctRows(), np.random.default_rng(0)
    >>> rows.take(KeysOfPoints(np.array([[1.0], [1.0], [2.0]])), 3, random).tolist()
    [0, 2]
    >>> rows.take(KeysOfPoints(np.array([[2.0], [3.0], [2.0]])), 3, random).tolist()
    [1]
    """

    def __init__(self, *, cosine: bool = False) -> None:
        # A zero vector has the key 0.
        self._taken = np.zeros(1 if cosine else 0, np.uint64)

    @in_usual_float_mode
    def take(self, points: RowKeys, count: int, random: np.random.Generator) -> NDArray[np.intp]:
        """Chooses rows at random, without any that are equal.

        Args:
            points: n rows, at least one.
            count: How many to choose.
            random: The generator to draw from.

        Returns:
            Up to `count` rows; fewer only if no others differ. If `points` are at most `count`, the
            different ones in their order.
        """
        draws, n = points.draws, points.draws.num_points
        if n <= count:
            return self.keep_new(points, draws.within(0, n))
        found = [self.keep_new(points, draws.draw(count, random, repeatedly=False))]
        missing, drawn, more = count - found[0].size, count, count
        while missing and drawn < min(n, _MOST_DRAWS * count):
            more = min(2 * more, n)
            found.append(self.keep_new(points, draws.draw(more, random), missing))
            missing, drawn = missing - found[-1].size, drawn + more
        if missing:
            found.extend(self._search(points, missing, random))
        return np.concatenate(found)

    @in_usual_float_mode
    def keep_new(
        self, points: RowKeys, rows: NDArray[np.intp], most: int | None = None
    ) -> NDArray[np.intp]:
        """Takes the given rows, except for those that are equal to one that was taken.

        Args:
            points: n rows.
            rows: The rows to look at, in order of preference.
            most: How many to take; None: all.

        Returns:
            Those taken, in their order.
        """
        every = points.keys(rows)
        new = np.ones(rows.size, bool)
        for keys in every:
            new &= ~_is_among(keys, self._taken)
        for keys in every:
            candidates = np.flatnonzero(new)
            first = np.unique(keys[candidates], return_index=True)[1]
            new[:] = False
            new[candidates[first]] = True
        kept = np.flatnonzero(new)[:most]
        if kept.size:
            self._taken = np.sort(np.concatenate([self._taken, *(keys[kept] for keys in every)]))
        return rows[kept]

    def _search(
        self, points: RowKeys, missing: int, random: np.random.Generator
    ) -> list[NDArray[np.intp]]:
        """Looks at all rows, block by block in random order."""
        n = points.draws.num_points
        size = max(_BLOCK_ELEMENTS // max(points.dimensions, 1), -(-n // _MOST_BLOCKS), 1)
        found = []
        for block in random.permutation(-(-n // size)).tolist():
            rows = points.draws.within(block * size, min((block + 1) * size, n))
            found.append(self.keep_new(points, rows, missing))
            missing -= found[-1].size
            if not missing:
                break
        return found


@in_usual_float_mode
def distinct_rows(
    points: Points, weights: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.intp], NDArray[np.float64] | None]:
    """One row of each value that weighs anything, in an order that follows from the values.

    What is drawn from them depends neither on the order of the points nor on whether a row comes
    twice or weighs twice as much. The order is that of hashes: first of a few columns in float32,
    so that it is the same in float64; where these are equal, of the whole row.

    Args:
        points: [n, d], dense or compressed sparse rows.
        weights: [n], finite and not negative; None: 1 for every row.

    Returns:
        The lowest row of each value, [m]; and the weights of its rows together, [m], or None if
        they are all equal.

    >>> points = np.array([[5.0], [7.0], [5.0], [9.0]])
    >>> rows, weights = distinct_rows(points, np.array([1.0, 1.0, 2.0, 0.0]))
    >>> sorted(zip(points[rows, 0].tolist(), weights.tolist()))
    [(5.0, 3.0), (7.0, 1.0)]
    """
    rows = np.arange(num_rows(points)) if weights is None else np.flatnonzero(weights > 0)
    width = int(points.shape[1])
    few: Any = points
    if width > _FEW_COLUMNS:
        few = points[:, np.linspace(0, width - 1, _FEW_COLUMNS).astype(np.intp)]
    with np.errstate(over="ignore"):
        few = few.astype(np.float32)
    first = KeysOfPoints(few).keys(rows)[0]
    order = np.argsort(first)
    new = np.ones(rows.size, bool)
    np.not_equal(first[order[1:]], first[order[:-1]], out=new[1:])
    if not new.all():
        tied = ~new
        tied[:-1] |= tied[1:]
        second = np.zeros(rows.size, np.uint64)
        second[order[tied]] = KeysOfPoints(points).keys(rows[order[tied]])[0]
        order = np.lexsort((second, first))
        new[1:] |= second[order[1:]] != second[order[:-1]]
    starts = np.flatnonzero(new)
    if weights is None:
        totals = np.diff(starts, append=rows.size).astype(np.float64)
    else:
        totals = np.add.reduceat(weights[rows[order]], starts) if rows.size else np.empty(0)
    equal = not totals.size or bool((totals == totals[0]).all())
    return rows[order[starts]], None if equal else totals


class _DenseEntries:
    """The values of dense rows, and what is reduced over each row."""

    def __init__(self, rows: NDArray[Any]) -> None:
        self.values = np.ascontiguousarray(rows)  # one order of sums in any layout

    def hash(self, values: NDArray[Any]) -> NDArray[np.uint64]:
        columns = np.arange(values.shape[1])
        return np.asarray(_mix(columns, values).sum(axis=1, dtype=np.uint64))

    def largest(self, values: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(values.max(axis=1))

    def sums(self, values: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(values.sum(axis=1))

    def spread(self, of_rows: NDArray[Any]) -> NDArray[Any]:
        return of_rows[:, None]


class _SparseEntries:
    """The same of compressed sparse rows."""

    def __init__(self, rows: Any) -> None:
        self.values = rows.data
        self._columns, self._count = rows.indices, rows.shape[0]
        self._row_of = np.repeat(np.arange(self._count), np.diff(rows.indptr))

    def hash(self, values: NDArray[Any]) -> NDArray[np.uint64]:
        keys = np.zeros(self._count, np.uint64)
        np.add.at(keys, self._row_of, _mix(self._columns, values))
        return keys

    def largest(self, values: NDArray[Any]) -> NDArray[Any]:
        largest = np.zeros(self._count)
        np.maximum.at(largest, self._row_of, values)
        return largest

    def sums(self, values: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.bincount(self._row_of, values, minlength=self._count))

    def spread(self, of_rows: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(of_rows[self._row_of])


def _not_zero(divisors: NDArray[Any]) -> NDArray[Any]:
    return np.where(divisors == 0, 1, divisors)


def _block_rows(points: Points) -> int:
    width = points.nnz // max(num_rows(points), 1) if is_sparse(points) else points.shape[1]
    return max(_BLOCK_ELEMENTS // max(width, 1), 1)


def _is_among(keys: NDArray[np.uint64], sorted_keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    if not sorted_keys.size:
        return np.zeros(keys.size, bool)
    places = np.minimum(np.searchsorted(sorted_keys, keys), sorted_keys.size - 1)
    return np.asarray(sorted_keys[places] == keys)


def _mix(columns: NDArray[Any], values: NDArray[Any]) -> NDArray[np.uint64]:
    """A hash of each value with its column; 0 for 0.

    Source: Steele, Lea and Flood, Fast splittable pseudorandom number generators, OOPSLA 2014, for
    the constants.
    """
    mixed = values.astype(np.float64).view(np.uint64)
    mixed += (columns.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    mixed[values == 0] = 0
    return mixed
