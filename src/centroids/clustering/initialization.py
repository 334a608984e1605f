"""Choosing the initial centers from the first batches of a stream."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from centroids import kernels
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

InitialCenters: TypeAlias = Literal["random", "kmeans_plus_plus"] | Callable[[Any, int], Any]


def choose_initial_centers(
    batches: Iterable[Points],
    num_clusters: int,
    method: InitialCenters,
    *,
    seed: int | np.random.Generator = 0,
    cosine: bool = False,
    num_retries: int = 2,
    whole_input_in_batch: bool = False,
) -> NDArray[Any]:
    """Takes batches until `num_clusters` centers are chosen, and no batch more.

    Args:
        batches: Batches of points, [n, d] each, none of them empty.
        num_clusters: How many centers to choose.
        method: "random": rows drawn without replacement; a batch smaller than what remains is
            taken whole. "kmeans_plus_plus": all from the first batch. A callable `f(points, k)`:
            it is shown one batch after the other with the number of centers that remain, and
            returns from 0 to k rows.
        seed: Of the random generator; or a generator, which is drawn from.
        cosine: The distance is cosine: chosen centers are L2-normalised.
        num_retries: See `kmeans_plus_plus`.
        whole_input_in_batch: The first batch holds the whole input (full-batch mode).

    Returns:
        [num_clusters, d] in the type that the points are computed in: float32 or float64.

    Raises:
        ValueError: If the input has fewer points than clusters, the first batch is too small for
            k-means++, the callable returns something else than 0 to k rows of d finite numbers,
            or a point is NaN or infinite.
    """
    random = np.random.default_rng(seed)
    chosen: list[NDArray[Any]] = []
    remaining, seen = num_clusters, 0
    first: Points | None = None
    for index, points in enumerate(batches):
        # A constant input never has more points; a callable may still pick others of them.
        fruitless = not callable(method) or not (chosen and len(chosen[-1]))
        if first is not None and fruitless and _same_points(points, first):
            break
        check_finite(points, index)
        first = points if first is None else first
        seen += num_rows(points)
        if method == "kmeans_plus_plus" or whole_input_in_batch:
            _check_enough(num_rows(points), num_clusters, method)
        with locate_bad_points(index):
            centers = _choose_from(points, remaining, method, random, cosine, num_retries)
        chosen.append(l2_normalize(centers).astype(centers.dtype) if cosine else centers)
        remaining -= len(centers)
        if remaining == 0:
            return np.concatenate(chosen)
    if callable(method):
        raise ValueError(
            f"initial_clusters chose {num_clusters - remaining} of num_clusters={num_clusters} "
            f"centers before the input ended, after {seen} points"
        )
    raise ValueError(
        f"num_clusters={num_clusters}, but the whole input has only {seen} points; "
        "use fewer clusters or more points"
    )


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
        chosen.append(int(rows[seeding.add_best(rows)]))
    return _rows(points, np.array(chosen), cosine)


def _choose_from(
    points: Points,
    remaining: int,
    method: InitialCenters,
    random: np.random.Generator,
    cosine: bool,
    num_retries: int,
) -> NDArray[Any]:
    if callable(method):
        return _check_chosen(method(points, remaining), points, remaining)
    if method == "kmeans_plus_plus":
        return kmeans_plus_plus(points, remaining, random, cosine=cosine, num_retries=num_retries)
    if num_rows(points) <= remaining:
        return _rows(points, np.arange(num_rows(points)))
    return _rows(points, random.choice(num_rows(points), remaining, replace=False))


def _check_enough(num_points: int, num_clusters: int, method: InitialCenters) -> None:
    if num_points >= num_clusters:
        return
    what = "k-means++ initialisation" if method == "kmeans_plus_plus" else "a full batch"
    raise ValueError(
        f"{what} needs at least num_clusters={num_clusters} points in the first batch, "
        f"which has {num_points}"
    )


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
    return dense.astype(result_dtype(points))


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
) -> NDArray[np.intp]:
    """Draws rows with probability proportional to their weight, by way of the sums of blocks."""
    block_ends = np.cumsum(block_sums)
    total = block_ends[-1]
    if not total > 0:  # every point coincides with a center: all are equally good
        return random.integers(len(weights), size=count)
    rows = np.empty(count, np.intp)
    for i, target in enumerate(random.random(count) * total):
        block = min(int(np.searchsorted(block_ends, target, side="right")), len(block_sums) - 1)
        begin = block * SAMPLING_BLOCK
        ends = np.cumsum(weights[begin : begin + SAMPLING_BLOCK])
        rest = target - (block_ends[block] - block_sums[block])
        row = begin + min(int(np.searchsorted(ends, rest, side="right")), len(ends) - 1)
        rows[i] = row if weights[row] > 0 else int(np.argmax(weights))
    return rows


def _same_points(points: Points, first: Points) -> bool:
    if points is first:
        return True
    if is_sparse(points) or is_sparse(first) or points.shape != first.shape:
        return False
    return bool(np.array_equal(points, first))
