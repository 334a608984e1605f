"""k-means++ by rejection sampling: many centers in a pass, with the probabilities of k-means++.

The weights of the rows, their squared distances to the centers so far, are renewed once for a whole
round of draws. Within it a row that is drawn counts by a weight that may be outdated: the chance
that it is kept is what is left of that weight, given the centers kept before it in the same round.
So each center is the row x with the probability D(x)^2 / sum of D^2, where D is the distance to
all centers before it: the law of k-means++ with one candidate.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from centroids.clustering._chosen_rows import (
    centers_here,
    check_weighted,
    which_different_rows,
)
from centroids.clustering._draws import draw_targets, share_out
from centroids.clustering._shards import (
    LocalShards,
    Shards,
    Taken,
    ask_after,
    draws_of,
    start_seeding,
)
from centroids.kernels import Points, accept_draws

# Draws of a round. While there are few centers, distances fall fast: more draws would be in vain.
_LEAST, _MOST = 32, 1024


def kmeans_rejection(
    points: Points,
    num_clusters: int,
    random: np.random.Generator,
    *,
    cosine: bool = False,
    weights: ArrayLike | None = None,
) -> NDArray[Any]:
    """k-means++ with one candidate for each center, in a pass over the points for many centers.

    Rows are drawn with probability D(x)^2 / sum of D^2 by the distances D to the centers that
    there were when a round began, and kept with probability D'(x)^2 / D(x)^2, where D' is the
    distance to those kept meanwhile, too. So the k centers have the distribution of plain
    k-means++. A round draws up to 1,024 rows, and takes a pass over the points.

    Args:
        points: [n, d], dense or compressed sparse rows, n at least `num_clusters`.
        num_clusters: How many centers to choose, k.
        random: The generator to draw from.
        cosine: Points are L2-normalised first; D^2 is then twice the cosine distance.
        weights: [n], how much each point counts: w D^2 takes the place of D^2. None: once.

    Returns:
        [num_clusters, d], rows of `points` (L2-normalised for cosine).

    Source: Cohen-Addad, Lattanzi, Norouzi-Fard, Sohler and Svensson, Fast and accurate k-means++
    via rejection sampling, NeurIPS 2020; here the distances that are drawn by are exact ones of
    before, not those of a tree.

    >>> corners = np.array([[0.0, 0.0], [0.0, 9.0], [9.0, 0.0], [9.0, 9.0]])
    >>> sorted(kmeans_rejection(corners, 4, np.random.default_rng(0)).sum(axis=1).tolist())
    [0.0, 9.0, 9.0, 18.0]
    """
    return centers_here(
        rejection_rows, points, num_clusters, random, cosine=cosine, weights=weights
    )


def kmeans_rejection_rows(
    points: Points,
    num_clusters: int,
    random: np.random.Generator,
    *,
    cosine: bool = False,
    weights: ArrayLike | None = None,
) -> NDArray[np.intp]:
    """As `kmeans_rejection`: which rows they are, [num_clusters]."""
    shards = LocalShards([check_weighted(points, weights)], cosine=cosine)
    rows = rejection_rows(shards, num_clusters, random, cosine=cosine, num_retries=0)
    return which_different_rows(shards, rows, num_clusters, random, cosine=cosine)


def rejection_rows(
    shards: Shards,
    num_clusters: int,
    random: np.random.Generator,
    *,
    cosine: bool,
    num_retries: int,
) -> NDArray[np.intp]:
    """The rows that are chosen; fewer than k where all points coincide with one of them.

    Raises:
        NonFiniteError: If a row has a NaN, an infinity or no finite distance.
    """
    del num_retries  # there is one candidate for each center
    rows = draws_of(shards).draw(1, random)
    if num_clusters == 1:
        return np.asarray(rows)
    steps: list[Taken] = [(rows, None)]
    totals = start_seeding(shards, steps[0])
    while (missing := num_clusters - len(rows)) and (total := sum(totals.values())):
        # The first of them is kept for sure.
        count = min(max(2 * len(rows), _LEAST), 2 * missing, _MOST)
        within, places = share_out(totals, draw_targets(total, count, random))
        shares = random.random(count)
        drawn, vectors, distances = _draw(shards, steps, within, places)
        kept = accept_draws(vectors, distances, shares, missing, cosine=cosine)
        rows = np.concatenate([rows, drawn[kept]])
        steps.append((drawn[kept], None))
        if len(rows) == num_clusters:
            break
        totals = {}
        for answer in ask_after(shards, steps, "add", vectors[kept]):
            totals |= answer
    shards.ask("forget")
    return np.asarray(rows)


def _draw(
    shards: Shards,
    steps: list[Taken],
    within: dict[int, list[int]],
    places: dict[int, list[int]],
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.float64]]:
    """The rows that targets fall on, their vectors and distances, in the order of the targets."""
    count = sum(map(len, places.values()))
    rows = np.empty(count, np.int64)
    vectors = np.empty((count, shards.dimensions), shards.dtype)
    distances = np.empty(count)
    for answer in ask_after(shards, steps, "draw", within):
        for part, found in answer.items():
            own = places[part]
            rows[own], vectors[own], distances[own] = found
    return rows, vectors, distances
