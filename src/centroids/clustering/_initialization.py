"""Choosing the initial centers from the first batches of a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from centroids.clustering._chosen_rows import RowChoice, check_weighted, different_rows
from centroids.clustering._distinct_rows import DistinctRows, KeysOfPoints
from centroids.clustering._plus_plus import parallel_rows, plus_plus_rows
from centroids.clustering._point_count import (
    MOST_FRUITLESS_ROWS,
    PointCount,
    Weighable,
    num_points_of,
)
from centroids.clustering._rejection import rejection_rows
from centroids.clustering._shards import (
    KeysOfShards,
    LocalShards,
    Shards,
    check_finite_shards,
    draws_of,
    rows_of,
)
from centroids.clustering.points import check_finite, locate_bad_points
from centroids.errors import Argument, WordedError
from centroids.kernels import (
    Points,
    in_usual_float_mode,
    l2_normalize,
    num_rows,
    result_dtype,
)
from centroids.kernels.dense_or_sparse import is_real
from centroids.rows import WeightedPoints, is_sparse, split_weights

# Random initialisation looks for further different rows until MOST_FRUITLESS_ROWS in a row are
# known, or the batches that it holds for training take this much memory.
_MOST_HELD_BYTES = 64 << 20

InitialMethod: TypeAlias = Literal[
    "random", "kmeans_plus_plus", "kmeans_parallel", "kmeans_rejection"
]
_CHOOSE_ROWS: dict[str, RowChoice] = {
    "kmeans_plus_plus": plus_plus_rows,
    "kmeans_parallel": parallel_rows,
    "kmeans_rejection": rejection_rows,
}
_WORDS = {
    "kmeans_plus_plus": "k-means++",
    "kmeans_parallel": "k-means||",
    "kmeans_rejection": "k-means++",
}
InitialCenters: TypeAlias = InitialMethod | Callable[[Any, int], Any]


class TooFewPointsError(ValueError):
    """There are fewer points than centers to choose.

    Attributes:
        num_clusters: The number of centers.
        num_points: How many points there are in the whole input, or in the first batch.
        batches_too_small: Whether the input has enough points, but not its first batch, from which
            k-means++ and k-means|| take all centers. Larger batches help then.
    """

    def __init__(
        self, message: str, num_clusters: int, num_points: int, *, batches_too_small: bool = False
    ) -> None:
        super().__init__(message)
        self.num_clusters, self.num_points = num_clusters, num_points
        self.batches_too_small = batches_too_small


def choose_initial_centers(
    batches: Iterable[Points | WeightedPoints],
    num_clusters: int,
    method: InitialCenters,
    *,
    seed: int | np.random.Generator = 0,
    cosine: bool = False,
    num_retries: int = 2,
    whole_input_in_batch: bool = False,
    batches_end: bool = False,
) -> NDArray[Any]:
    """Takes batches until `num_clusters` centers are chosen, and no more.

    Args:
        batches: Batches of points, [n, d] each, none of them empty; one pass over the input, except
            for a callable. Points with weights are drawn by these, and those of weight 0 never.
        num_clusters: How many centers to choose.
        method: "random": rows drawn without replacement; a batch smaller than what remains is
            taken whole. Of equal rows only one is taken while there are others. "kmeans_plus_plus",
            "kmeans_parallel" and "kmeans_rejection": all from the first batch. A callable
            `f(points, k)`: it is shown one batch after the other, without weights, with the number
            of centers that remain, and returns from 0 to k rows.
        seed: Of the random generator; or a generator, which is drawn from.
        cosine: The distance is cosine: chosen centers are L2-normalised.
        num_retries: See `kmeans_plus_plus`.
        whole_input_in_batch: The first batch holds the whole input (full-batch mode).
        batches_end: Whether `batches` are known to end. Otherwise one batch that keeps coming is
            taken for the whole input.

    Returns:
        [num_clusters, d] in the type that the points are computed in: float32 or float64.

    Raises:
        TooFewPointsError: If the input has fewer points than clusters, or the first batch has for
            k-means++; a ValueError.
        ValueError: If the callable returns anything but 0 to k rows of d finite numbers, or a point
            is NaN or infinite.
    """
    random = np.random.default_rng(seed)
    checked = _finite_batches(batches)
    if callable(method):
        return _choose_by(method, checked, num_clusters, cosine)
    count = PointCount(batches_end)
    if method == "random" and not whole_input_in_batch:
        return _choose_at_random(checked, count, num_clusters, random, cosine)
    points = next(checked, None)
    if points is None:
        raise _too_few(0, num_clusters)
    count.add(points)
    num_points = num_points_of(points)
    if num_points < num_clusters:
        if whole_input_in_batch:
            raise _full_batch_too_small(num_points, num_clusters)
        raise _batch_too_small(method, num_points, num_clusters, count, checked)
    with locate_bad_points(0):
        shards = LocalShards([points], cosine=cosine)
        return _choose_of_shards(shards, num_clusters, method, random, cosine, num_retries)


def choose_initial_centers_of_shards(
    shards: Shards,
    num_clusters: int,
    method: InitialMethod,
    *,
    seed: int | np.random.Generator = 0,
    cosine: bool = False,
    num_retries: int = 2,
    whole_input_in_batch: bool = False,
) -> NDArray[Any]:
    """Chooses centers from points that several workers hold.

    They are those of `choose_initial_centers` for the same points in one batch which is the whole
    input, to the bit, however the points are cut into parts and wherever the parts are.

    Args:
        shards: The points.
        num_clusters: How many centers to choose.
        method: "random", "kmeans_plus_plus", "kmeans_parallel" or "kmeans_rejection".
        seed: Of the random generator; or a generator, which is drawn from.
        cosine: The distance is cosine, as the shards must know: chosen centers are L2-normalised.
        num_retries: See `kmeans_plus_plus`.
        whole_input_in_batch: See `choose_initial_centers`: it words the error.

    Returns:
        [num_clusters, d] in the type that the points are computed in: float32 or float64.

    Raises:
        NonFiniteError: If a point is NaN or infinite; its row is counted among all.
        TooFewPointsError: If there are fewer points than clusters; a ValueError.
    """
    num_points = draws_of(shards).num_points
    if num_points < num_clusters:
        too_few = _full_batch_too_small if whole_input_in_batch else _too_few
        raise too_few(num_points, num_clusters)
    check_finite_shards(shards)
    random = np.random.default_rng(seed)
    return _choose_of_shards(shards, num_clusters, method, random, cosine, num_retries)


def _choose_of_shards(
    shards: Shards,
    num_clusters: int,
    method: InitialMethod,
    random: np.random.Generator,
    cosine: bool,
    num_retries: int,
) -> NDArray[Any]:
    if method == "random":
        keys = KeysOfShards(shards, cosine=cosine)
        rows = DistinctRows(cosine=cosine).take(keys, num_clusters, random)
        return _repeat(
            given_centers(rows_of(shards, rows), shards.dtype, cosine=cosine), num_clusters
        )
    rows = _CHOOSE_ROWS[method](
        shards, num_clusters, random, cosine=cosine, num_retries=num_retries
    )
    return different_rows(shards, rows, num_clusters, random, cosine=cosine)


@in_usual_float_mode
def given_centers(
    centers: NDArray[Any], dtype: np.dtype[Any], *, cosine: bool = False
) -> NDArray[Any]:
    """Centers that were given or chosen, as a training run begins with them.

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
        raise WordedError(
            Argument("initial_clusters"),
            f" has {centers[row, column]} at row {row}, column {column}, which overflows {dtype}, "
            "the type that the points are computed in",
        )
    return converted


def _finite_batches(batches: Iterable[Weighable]) -> Iterator[Weighable]:
    for index, batch in enumerate(batches):
        points, weights = split_weights(batch)
        check_finite(points, index)
        yield check_weighted(points, weights)


def _choose_by(
    choose: Callable[[Any, int], Any],
    batches: Iterator[Weighable],
    num_clusters: int,
    cosine: bool,
) -> NDArray[Any]:
    chosen: list[NDArray[Any]] = []
    remaining, seen = num_clusters, 0
    count = PointCount(False)
    for batch in batches:
        count.add(batch)
        points, _ = split_weights(batch)
        # Shown the same points again, it may pick others, but not forever.
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
    batches: Iterator[Weighable],
    count: PointCount,
    num_clusters: int,
    random: np.random.Generator,
    cosine: bool,
) -> NDArray[Any]:
    different = DistinctRows(cosine=cosine)
    chosen: list[NDArray[Any]] = []
    missing, fruitless, held = num_clusters, 0, 0
    for batch in batches:
        count.add(batch)
        points, weights = split_weights(batch)
        keys = KeysOfPoints(points, cosine=cosine, weights=weights)
        rows = different.take(keys, missing, random)
        chosen.append(given_centers(_rows(points, rows), result_dtype(points), cosine=cosine))
        missing -= rows.size
        held += points.data.nbytes
        fruitless = 0 if rows.size else fruitless + num_rows(points)
        given_up = fruitless >= MOST_FRUITLESS_ROWS or held >= _MOST_HELD_BYTES
        if not missing or count.is_constant or (given_up and count.points_for_sure >= num_clusters):
            break
    if count.points < num_clusters:
        raise _too_few(count.points, num_clusters)
    return _repeat(np.concatenate(chosen), num_clusters)


def _repeat(centers: NDArray[Any], num_clusters: int) -> NDArray[Any]:
    if not len(centers):  # cosine, and all points are zero vectors
        return np.zeros((num_clusters, centers.shape[1]), centers.dtype)
    return np.asarray(centers[np.arange(num_clusters) % len(centers)])


def _full_batch_too_small(num_points: int, num_clusters: int) -> TooFewPointsError:
    return TooFewPointsError(
        f"a full batch needs at least num_clusters={num_clusters} points in the first batch, "
        f"which has {num_points}; use fewer clusters, or batches that hold the whole input",
        num_clusters,
        num_points,
    )


def _batch_too_small(
    method: InitialMethod,
    in_batch: int,
    num_clusters: int,
    count: PointCount,
    more_batches: Iterator[Weighable],
) -> TooFewPointsError:
    """The error for a first batch of `in_batch` points, which is counted already."""
    name = _WORDS[method]
    for points in more_batches:
        count.add(points)
        if count.is_constant:
            break
        if count.points_for_sure >= num_clusters:
            return TooFewPointsError(
                f"{name} initialisation needs at least num_clusters={num_clusters} points in "
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
def _rows(points: Points, rows: NDArray[np.intp]) -> NDArray[Any]:
    """Rows as a dense copy in the kernels' type."""
    chosen: NDArray[Any] = points[rows].toarray() if is_sparse(points) else points[rows]
    return chosen.astype(result_dtype(points))
