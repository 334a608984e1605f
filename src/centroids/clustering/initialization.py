"""Choosing the initial centers from the first batches of a stream."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from centroids import kernels
from centroids.clustering.distinct_rows import DistinctRows
from centroids.clustering.points import check_finite, locate_bad_points
from centroids.kernels import (
    SAMPLING_BLOCK,
    Points,
    in_usual_float_mode,
    l2_normalize,
    num_rows,
    result_dtype,
)
from centroids.kernels.dense_or_sparse import is_real, is_sparse

# Random initialisation looks on for rows that differ until so many in a row are all known, or the
# batches that it holds, as they are trained on later, take so much memory.
_MOST_FRUITLESS_ROWS = 10_000
_MOST_HELD_BYTES = 64 << 20

InitialMethod: TypeAlias = Literal["random", "kmeans_plus_plus"]
InitialCenters: TypeAlias = InitialMethod | Callable[[Any, int], Any]


class TooFewPointsError(ValueError):
    """There are fewer points than centers to choose.

    Attributes:
        num_clusters: The number of centers.
        num_points: The points that there are: those of the whole input, or of the first batch.
        batches_too_small: Whether the input has enough points, but the first batch, which
            k-means++ takes all centers from, has not: larger batches are the remedy.
    """

    def __init__(
        self, message: str, num_clusters: int, num_points: int, *, batches_too_small: bool = False
    ) -> None:
        super().__init__(message)
        self.num_clusters, self.num_points = num_clusters, num_points
        self.batches_too_small = batches_too_small


def choose_initial_centers(
    batches: Iterable[Points],
    num_clusters: int,
    method: InitialCenters,
    *,
    seed: int | np.random.Generator = 0,
    cosine: bool = False,
    num_retries: int = 2,
    whole_input_in_batch: bool = False,
    batches_end: bool = False,
) -> NDArray[Any]:
    """Takes batches until `num_clusters` centers are chosen, and no batch more.

    Args:
        batches: Batches of points, [n, d] each, none of them empty; one pass over the input, except
            for a callable.
        num_clusters: How many centers to choose.
        method: "random": rows drawn without replacement; a batch smaller than what remains is
            taken whole. Of equal rows one is taken, as far as there are others.
            "kmeans_plus_plus": all from the first batch. A callable `f(points, k)`: it is shown one
            batch after the other with the number of centers that remain, and returns from 0 to k
            rows.
        seed: Of the random generator; or a generator, which is drawn from.
        cosine: The distance is cosine: chosen centers are L2-normalised.
        num_retries: See `kmeans_plus_plus`.
        whole_input_in_batch: The first batch holds the whole input (full-batch mode).
        batches_end: It is known that `batches` come to an end. Otherwise one batch that comes again
            and again is taken for the whole input.

    Returns:
        [num_clusters, d] in the type that the points are computed in: float32 or float64.

    Raises:
        TooFewPointsError: If the input has fewer points than clusters, or the first batch has for
            k-means++; a ValueError.
        ValueError: If the callable returns something else than 0 to k rows of d finite numbers, or
            a point is NaN or infinite.
    """
    random = np.random.default_rng(seed)
    checked = _finite_batches(batches)
    if callable(method):
        return _choose_by(method, checked, num_clusters, cosine)
    count = _PointCount(batches_end)
    if method == "random" and not whole_input_in_batch:
        return _choose_at_random(checked, count, num_clusters, random, cosine)
    points = next(checked, None)
    if points is None:
        raise _too_few(0, num_clusters)
    count.add(points)
    num_points = num_rows(points)
    if num_points < num_clusters and whole_input_in_batch:
        raise TooFewPointsError(
            f"a full batch needs at least num_clusters={num_clusters} points in the first batch, "
            f"which has {num_points}; use fewer clusters, or batches that hold the whole input",
            num_clusters,
            num_points,
        )
    if num_points < num_clusters:
        raise _batch_too_small(num_points, num_clusters, count, checked)
    if method == "random":
        return _choose_at_random(iter([points]), _PointCount(True), num_clusters, random, cosine)
    with locate_bad_points(0):
        centers = kmeans_plus_plus(
            points, num_clusters, random, cosine=cosine, num_retries=num_retries
        )
    return given_centers(centers, result_dtype(points), cosine=cosine)


@in_usual_float_mode
def given_centers(
    centers: NDArray[Any], dtype: np.dtype[Any], *, cosine: bool = False
) -> NDArray[Any]:
    """Centers that were given or chosen, as a training begins with them.

    Args:
        centers: [k, d], finite, of any real type.
        dtype: The type that the points are computed in: float32 or float64.
        cosine: The distance is cosine: they are L2-normalised.

    Raises:
        ValueError: If a value overflows `dtype`.

    >>> given_centers(np.array([[300, 400]]), np.dtype(np.float32), cosine=True).tolist()
    [[0.6000000238418579, 0.800000011920929]]
    """
    with np.errstate(over="ignore"):
        converted: NDArray[Any] = (l2_normalize(centers) if cosine else centers).astype(dtype)
    if not np.isfinite(converted).all():
        row, column = np.argwhere(~np.isfinite(converted))[0]
        raise ValueError(
            f"initial_clusters has {centers[row, column]} at row {row}, column {column}, which "
            f"overflows {dtype}, the type that the points are computed in"
        )
    return converted


@in_usual_float_mode
def kmeans_plus_plus(
    points: Points,
    num_clusters: int,
    random: np.random.Generator,
    *,
    cosine: bool = False,
    num_retries: int = 2,
) -> NDArray[Any]:
    """Greedy k-means++: draws each next center with probability D(x)^2 / sum of D^2.

    D(x) is the distance of x to the nearest center so far. Of each draw's candidates the one is
    kept that leaves the smallest sum of D^2.

    Args:
        points: [n, d], dense or compressed sparse rows, n at least `num_clusters`.
        num_clusters: How many centers to choose, k.
        random: The generator to draw from.
        cosine: Points are L2-normalised first; D^2 is then twice the cosine distance.
        num_retries: r + 1 candidates per center for r >= 0; 2 + log(k) for r < 0.

    Returns:
        [num_clusters, d], rows of `points` (L2-normalised for cosine).

    Source: Arthur and Vassilvitskii, k-means++: the advantages of careful seeding, SODA 2007.

    >>> corners = np.array([[0.0, 0.0], [0.0, 9.0], [9.0, 0.0], [9.0, 9.0]])
    >>> sorted(kmeans_plus_plus(corners, 4, np.random.default_rng(0)).sum(axis=1).tolist())
    [0.0, 9.0, 9.0, 18.0]
    """
    num_candidates = num_retries + 1 if num_retries >= 0 else 2 + int(math.log(num_clusters))
    chosen = [int(random.integers(num_rows(points), size=1)[0])]
    if num_clusters > 1:
        seeding = kernels.Seeding(points, cosine=cosine)
        seeding.start(chosen[0])
    while len(chosen) < num_clusters:
        rows = _draw_by_weight(seeding.closest, seeding.block_sums, num_candidates, random)
        if rows is None:  # every point coincides with a center
            break
        chosen.append(int(rows[seeding.add_best(rows)]))
    different = _fill_up(points, np.array(chosen), num_clusters, random, cosine)
    return _rows(points, different, cosine)


def _finite_batches(batches: Iterable[Points]) -> Iterator[Points]:
    for index, points in enumerate(batches):
        check_finite(points, index)
        yield points


def _choose_by(
    choose: Callable[[Any, int], Any], batches: Iterator[Points], num_clusters: int, cosine: bool
) -> NDArray[Any]:
    chosen: list[NDArray[Any]] = []
    remaining, seen = num_clusters, 0
    count = _PointCount(False)
    for points in batches:
        count.add(points)
        # Shown the same points again it may pick others of them; but not for ever.
        if count.is_constant and not len(chosen[-1]):
            break
        seen += num_rows(points)
        centers = _check_chosen(choose(points, remaining), points, remaining)
        chosen.append(given_centers(centers, result_dtype(points), cosine=cosine))
        remaining -= len(centers)
        if remaining == 0:
            return np.concatenate(chosen)
    raise ValueError(
        f"initial_clusters chose {num_clusters - remaining} of num_clusters={num_clusters} "
        f"centers before the input ended, after {seen} points"
    )


def _choose_at_random(
    batches: Iterator[Points],
    count: _PointCount,
    num_clusters: int,
    random: np.random.Generator,
    cosine: bool,
) -> NDArray[Any]:
    different = DistinctRows(cosine=cosine)
    chosen: list[NDArray[Any]] = []
    missing, fruitless, held = num_clusters, 0, 0
    for points in batches:
        count.add(points)
        rows = different.take(points, missing, random)
        chosen.append(given_centers(_rows(points, rows), result_dtype(points), cosine=cosine))
        missing -= rows.size
        held += points.data.nbytes
        fruitless = 0 if rows.size else fruitless + num_rows(points)
        given_up = fruitless >= _MOST_FRUITLESS_ROWS or held >= _MOST_HELD_BYTES
        if not missing or count.is_constant or (given_up and count.points_for_sure >= num_clusters):
            break
    if count.points < num_clusters:
        raise _too_few(count.points, num_clusters)
    centers = np.concatenate(chosen)
    if not len(centers):  # cosine, and all points are zero vectors
        return np.zeros((num_clusters, centers.shape[1]), centers.dtype)
    return np.asarray(centers[np.arange(num_clusters) % len(centers)])


def _fill_up(
    points: Points,
    chosen: NDArray[np.intp],
    num_clusters: int,
    random: np.random.Generator,
    cosine: bool,
) -> NDArray[np.intp]:
    """`num_clusters` rows: those chosen, others in place of equal ones as far as there are any."""
    different = DistinctRows(cosine=cosine)
    rows = different.keep_new(points, chosen)
    if rows.size < num_clusters:
        rows = np.concatenate([rows, different.take(points, num_clusters - rows.size, random)])
    rows = rows if rows.size else chosen
    return rows[np.arange(num_clusters) % rows.size]


def _batch_too_small(
    in_batch: int, num_clusters: int, count: _PointCount, more_batches: Iterator[Points]
) -> TooFewPointsError:
    """The error for k-means++ and a first batch of `in_batch` points, which is counted already."""
    for points in more_batches:
        count.add(points)
        if count.is_constant:
            break
        if count.points_for_sure >= num_clusters:
            return TooFewPointsError(
                f"k-means++ initialisation needs at least num_clusters={num_clusters} points in "
                f"the first batch, which has {in_batch}; use batches of at least {num_clusters} "
                "points",
                num_clusters,
                in_batch,
                batches_too_small=True,
            )
    return _too_few(count.points, num_clusters)


def _too_few(num_points: int, num_clusters: int) -> TooFewPointsError:
    return TooFewPointsError(
        f"num_clusters={num_clusters}, but the whole input has only {num_points} points; "
        "use fewer clusters or more points",
        num_clusters,
        num_points,
    )


@in_usual_float_mode
def _check_chosen(centers: Any, points: Points, remaining: int) -> NDArray[Any]:
    width = points.shape[1]
    allowed = f"initial_clusters must return from 0 to {remaining} rows of {width} columns"
    if centers is None:
        raise ValueError(f"{allowed}, it returned None")
    try:
        dense = centers.toarray() if is_sparse(centers) else np.asarray(centers)
    except ValueError:
        raise ValueError(f"{allowed}, it returned rows of different lengths") from None
    if dense.size == 0:
        return np.empty((0, width), result_dtype(points))
    if dense.ndim != 2 or dense.shape[1] != width or len(dense) > remaining:
        raise ValueError(f"{allowed}, it returned an array of shape {dense.shape}")
    if not is_real(dense.dtype):
        raise ValueError(f"{allowed} of real numbers, it returned elements of type {dense.dtype}")
    if not np.isfinite(dense).all():
        raise ValueError("initial_clusters returned a center that is not finite")
    return dense


@in_usual_float_mode
def _rows(points: Points, rows: NDArray[np.intp], normalize: bool = False) -> NDArray[Any]:
    """Rows as a dense copy in the kernels' type, L2-normalised if asked."""
    chosen: NDArray[Any] = points[rows].toarray() if is_sparse(points) else points[rows]
    dtype = result_dtype(points)
    return l2_normalize(chosen).astype(dtype) if normalize else chosen.astype(dtype)


def _draw_by_weight(
    weights: NDArray[np.float64],
    block_sums: NDArray[np.float64],
    count: int,
    random: np.random.Generator,
) -> NDArray[np.intp] | None:
    """Draws rows with probability proportional to their weight, by way of the sums of blocks.

    Returns:
        [count], or None if all weights are 0.
    """
    with np.errstate(over="ignore"):
        block_ends = np.cumsum(block_sums)
    total = block_ends[-1]
    if not total > 0:
        return None
    if total == np.inf:
        weights = weights / weights.max()
        block_sums = np.add.reduceat(weights, np.arange(0, len(weights), SAMPLING_BLOCK))
        return _draw_by_weight(weights, block_sums, count, random)
    rows = np.empty(count, np.intp)
    for i, target in enumerate(random.random(count) * total):
        block = min(int(np.searchsorted(block_ends, target, side="right")), len(block_sums) - 1)
        begin = block * SAMPLING_BLOCK
        ends = np.cumsum(weights[begin : begin + SAMPLING_BLOCK])
        rest = target - (block_ends[block] - block_sums[block])
        row = begin + min(int(np.searchsorted(ends, rest, side="right")), len(ends) - 1)
        rows[i] = row if weights[row] > 0 else int(np.argmax(weights))
    return rows


class _PointCount:
    """How many points an input has had so far, of which a constant input repeats always the same.

    Args:
        batches_end: The input is known to end, so that it is not constant.

    Attributes:
        points_for_sure: The number of points without those that a constant input may have repeated.
    """

    def __init__(self, batches_end: bool) -> None:
        self._batches_end = batches_end
        self._first: Points | None = None
        self.points_for_sure = self._repeated = 0

    @in_usual_float_mode
    def add(self, points: Points) -> None:
        """Counts a batch."""
        if self._first is None:
            self._first = points
        elif not self._batches_end and _same_points(points, self._first):
            self._repeated += num_rows(points)
            return
        self.points_for_sure += self._repeated + num_rows(points)
        self._repeated = 0

    @property
    def is_constant(self) -> bool:
        """Whether the latest batches, of so many points, were all equal to the first."""
        return self._repeated >= _MOST_FRUITLESS_ROWS

    @property
    def points(self) -> int:
        """The number of points if nothing follows."""
        return self.points_for_sure + (0 if self.is_constant else self._repeated)


def _same_points(points: Points, first: Points) -> bool:
    if points is first:
        return True
    if is_sparse(points) != is_sparse(first) or points.shape != first.shape:
        return False
    if not is_sparse(points):
        return bool(np.array_equal(points, np.asarray(first)))
    parts = ("indptr", "indices", "data")
    return all(np.array_equal(getattr(points, part), getattr(first, part)) for part in parts)
