"""From rows that a method chooses to as many centers, different ones as far as there are any."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from centroids import kernels
from centroids.clustering._distinct_rows import DistinctRows
from centroids.clustering._shards import KeysOfShards, LocalShards, Shards, rows_of
from centroids.kernels import Points, in_usual_float_mode, l2_normalize
from centroids.rows import WeightedPoints


class RowChoice(Protocol):
    """A method that chooses rows as centers, wherever they are."""

    def __call__(
        self,
        shards: Shards,
        num_clusters: int,
        random: np.random.Generator,
        *,
        cosine: bool,
        num_retries: int,
    ) -> NDArray[np.intp]:
        """The rows; fewer than `num_clusters` where all points coincide with one of them."""


def centers_here(
    choose: RowChoice,
    points: Points,
    num_clusters: int,
    random: np.random.Generator,
    *,
    cosine: bool,
    num_retries: int = 0,
    weights: ArrayLike | None,
) -> NDArray[Any]:
    """[num_clusters, d]: the rows that a method chooses from points of this process."""
    shards = LocalShards([check_weighted(points, weights)], cosine=cosine)
    rows = choose(shards, num_clusters, random, cosine=cosine, num_retries=num_retries)
    return different_rows(shards, rows, num_clusters, random, cosine=cosine)


def check_weighted(points: Points, weights: ArrayLike | None) -> Points | WeightedPoints:
    """Points with their weights, if they have any."""
    if weights is None:
        return points
    return WeightedPoints(points, kernels.check_weights(weights, kernels.num_rows(points)))


def different_rows(
    shards: Shards,
    chosen: NDArray[np.intp],
    num_clusters: int,
    random: np.random.Generator,
    *,
    cosine: bool,
) -> NDArray[Any]:
    """[num_clusters, d]: the rows chosen, with others in place of equal ones where possible."""
    rows = which_different_rows(shards, chosen, num_clusters, random, cosine=cosine)
    vectors = rows_of(shards, rows)
    return _unit_vectors(vectors) if cosine else vectors


def which_different_rows(
    shards: Shards,
    chosen: NDArray[np.intp],
    num_clusters: int,
    random: np.random.Generator,
    *,
    cosine: bool,
) -> NDArray[np.intp]:
    """As `different_rows`: which rows they are."""
    different, keys = DistinctRows(cosine=cosine), KeysOfShards(shards, cosine=cosine)
    rows = different.keep_new(keys, chosen)
    if rows.size < num_clusters:
        rows = np.concatenate([rows, different.take(keys, num_clusters - rows.size, random)])
    rows = rows if rows.size else chosen
    return rows[np.arange(num_clusters) % rows.size]


@in_usual_float_mode
def _unit_vectors(vectors: NDArray[Any]) -> NDArray[Any]:
    return l2_normalize(vectors).astype(vectors.dtype)
