"""k-means++ and k-means||: centers spread over the points, which one or more workers hold.

Weights are squared distances, float64 numbers whose sums are exact. A row is drawn by a target,
the total times a random multiple of 2^-53 below 1, rounded down to a whole number of units: the
rows' weights lie side by side in row order, and the target falls on one of them. The row depends on
points and seed alone. A target falls into one part by the totals of the parts, and on one row of it
by its own weights.

A row with the share p of the total is drawn for the multiples m 2^-53 in an interval of length p: a
number of them that is less than 1 from 2^53 p. So its probability is less than 2^-53 from p, and
one of weight 0 is never drawn.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from centroids import kernels
from centroids.clustering._chosen_rows import (
    centers_here,
    check_weighted,
    which_different_rows,
)
from centroids.clustering._draws import EqualDraws, WeightedDraws, draw_targets, share_out
from centroids.clustering._shards import (
    LocalShards,
    Shards,
    Taken,
    ask_after,
    draws_of,
    rows_of,
    start_seeding,
)
from centroids.kernels import Points, in_usual_float_mode, num_rows
from centroids.kernels.row_weights import UNIT_EXPONENT
from centroids.rows import dense, split_weights

_ROUNDS = 5  # of k-means||
_OVERSAMPLING = 2  # candidates drawn in a round, in multiples of the clusters


def kmeans_plus_plus(
    points: Points,
    num_clusters: int,
    random: np.random.Generator,
    *,
    cosine: bool = False,
    num_retries: int = 2,
    weights: ArrayLike | None = None,
) -> NDArray[Any]:
    """Greedy k-means++: draws each next center with probability D(x)^2 / sum of D^2.

    D(x) is the distance of x to the nearest center so far. Of the candidates of each draw, the one
    that leaves the smallest sum of D^2 is kept.

    Args:
        points: [n, d], dense or compressed sparse rows, n at least `num_clusters`.
        num_clusters: How many centers to choose, k.
        random: The generator to draw from.
        cosine: Points are L2-normalised first; D^2 is then twice the cosine distance.
        num_retries: r + 1 candidates per center for r >= 0; 2 + log(k) for r < 0.
        weights: [n], how much each point counts: it is drawn with probability w D(x)^2 / sum of
            w D^2, the first center by w. Whole numbers choose what the points repeated so often,
            one after the other, would. None: once.

    Returns:
        [num_clusters, d], rows of `points` (L2-normalised for cosine).

    Source: Arthur and Vassilvitskii, k-means++: the advantages of careful seeding, SODA 2007.

    >>> corners = np.array([[0.0, 0.0], [0.0, 9.0], [9.0, 0.0], [9.0, 9.0]])
    >>> sorted(kmeans_plus_plus(corners, 4, np.random.default_rng(0)).sum(axis=1).tolist())
    [0.0, 9.0, 9.0, 18.0]
    """
    return centers_here(
        plus_plus_rows,
        points,
        num_clusters,
        random,
        cosine=cosine,
        num_retries=num_retries,
        weights=weights,
    )


def kmeans_plus_plus_rows(
    points: Points,
    num_clusters: int,
    random: np.random.Generator,
    *,
    cosine: bool = False,
    num_retries: int = 2,
    weights: ArrayLike | None = None,
) -> NDArray[np.intp]:
    """As `kmeans_plus_plus`: which rows they are, [num_clusters]."""
    shards = LocalShards([check_weighted(points, weights)], cosine=cosine)
    rows = plus_plus_rows(shards, num_clusters, random, cosine=cosine, num_retries=num_retries)
    if rows.size == num_clusters and not cosine:
        return rows  # at a distance from each other: they differ
    return which_different_rows(shards, rows, num_clusters, random, cosine=cosine)


def kmeans_parallel(
    points: Points,
    num_clusters: int,
    random: np.random.Generator,
    *,
    cosine: bool = False,
    num_retries: int = 2,
    weights: ArrayLike | None = None,
) -> NDArray[Any]:
    """k-means||: draws many candidates at once in a few rounds, and k of them by k-means++.

    In each of 5 rounds every point is drawn independently, with the probability 2 k D(x)^2 / sum of
    D^2. Each candidate then counts as often as there are points that it is nearest to, and
    k-means++ chooses among them. For large k it takes less time than k-means++ on all points, and a
    handful of passes over them instead of one for each center.

    Args:
        points: [n, d], dense or compressed sparse rows, n at least `num_clusters`.
        num_clusters: How many centers to choose, k.
        random: The generator to draw from.
        cosine: Points are L2-normalised first; D^2 is then twice the cosine distance.
        num_retries: Those of `kmeans_plus_plus` among the candidates.
        weights: [n], how much each point counts: w D^2 takes the place of D^2. None: once.

    Returns:
        [num_clusters, d], rows of `points` (L2-normalised for cosine).

    Source: Bahmani, Moseley, Vattani, Kumar and Vassilvitskii, Scalable k-means++, VLDB 2012.

    >>> corners = np.array([[0.0, 0.0], [0.0, 9.0], [9.0, 0.0], [9.0, 9.0]])
    >>> sorted(kmeans_parallel(corners, 4, np.random.default_rng(0)).sum(axis=1).tolist())
    [0.0, 9.0, 9.0, 18.0]
    """
    return centers_here(
        parallel_rows,
        points,
        num_clusters,
        random,
        cosine=cosine,
        num_retries=num_retries,
        weights=weights,
    )


def plus_plus_rows(
    shards: Shards,
    num_clusters: int,
    random: np.random.Generator,
    *,
    cosine: bool,
    num_retries: int,
) -> NDArray[np.intp]:
    """The rows that k-means++ chooses; fewer than k where all points coincide with one of them.

    Raises:
        NonFiniteError: If a row has a NaN, an infinity or no finite distance.
    """
    if isinstance(shards, LocalShards) and len(shards.parts) == 1:  # nobody else to ask
        points, weights = split_weights(shards.parts[0])
        return np.array(_plus_plus_here(points, weights, num_clusters, random, cosine, num_retries))
    count = _num_candidates(num_clusters, num_retries)
    chosen = draws_of(shards).draw(1, random).tolist()
    if num_clusters == 1:
        return np.array(chosen)
    steps: list[Taken] = [(np.array(chosen), 0)]
    totals = start_seeding(shards, steps[0])
    place = None
    while len(chosen) < num_clusters and (total := sum(totals.values())):
        targets = draw_targets(total, count, random)
        rows, candidates = _find(shards, steps, place, totals, targets)
        reductions: dict[int, list[int]] = {}
        for answer in ask_after(shards, steps, "propose", candidates):
            reductions |= answer
        place = _largest([sum(each) for each in zip(*reductions.values(), strict=True)])
        for part, reduction in reductions.items():
            totals[part] -= reduction[place]
        chosen.append(int(rows[place]))
        steps.append((rows, place))
    shards.ask("forget")
    return np.array(chosen)


def parallel_rows(
    shards: Shards,
    num_clusters: int,
    random: np.random.Generator,
    *,
    cosine: bool,
    num_retries: int,
) -> NDArray[np.intp]:
    """The rows that k-means|| chooses; fewer than k where all points coincide with one of them.

    Raises:
        NonFiniteError: If a row has a NaN, an infinity or no finite distance.
    """
    rows = draws_of(shards).draw(1, random)
    key = random.integers(1 << 63, size=1).tolist()
    steps: list[Taken] = [(rows, None)]
    candidates = [rows_of(shards, rows)]
    totals = start_seeding(shards, steps[0])
    turn = 0
    while (turn < _ROUNDS or len(rows) < num_clusters) and (total := sum(totals.values())):
        turn += 1
        found = _sample(shards, steps, [*key, turn], _OVERSAMPLING * num_clusters, total)
        if not found[0].size:
            continue
        rows = np.concatenate([rows, found[0]])
        steps.append((found[0], None))
        candidates.append(found[1])
        totals = {}
        for answer in ask_after(shards, steps, "add", found[1]):
            totals |= answer
    counts = ask_after(shards, steps, "counts", len(rows), shards.weighted)
    times = np.sum(counts, axis=0) if not shards.weighted else _sum_of(counts)
    shards.ask("forget")
    if len(rows) <= num_clusters:
        return np.asarray(rows)
    weights = times.astype(np.float64)
    places = _plus_plus_here(
        np.concatenate(candidates), weights, num_clusters, random, cosine, num_retries
    )
    return np.asarray(rows[places])


def _find(
    shards: Shards,
    steps: list[Taken],
    place: int | None,
    totals: Mapping[int, int],
    targets: list[int],
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The rows that targets fall on, and their vectors, in the order of the targets."""
    within, turns = share_out(totals, targets)
    rows = np.empty(len(targets), np.int64)
    vectors = np.empty((len(targets), shards.dimensions), shards.dtype)
    first = np.array(sorted(totals))
    for answer in ask_after(shards, steps, "find", place, within):
        for found, own in answer:
            part = int(first[np.searchsorted(first, found[0], side="right") - 1])
            rows[turns[part]], vectors[turns[part]] = found, own
    return rows, vectors


def _sample(
    shards: Shards, steps: list[Taken], key: list[int], wanted: int, total: int
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The rows of one round of k-means|| and their vectors, in the order of the rows."""
    answers = ask_after(shards, steps, "sample", key, *_rate(wanted, total))
    found = [part for answer in answers for part in answer]
    rows = np.concatenate([rows for rows, _ in found])
    order = np.argsort(rows)
    return rows[order], np.concatenate([vectors for _, vectors in found])[order]


@in_usual_float_mode
def _rate(wanted: int, total: int) -> tuple[float, int]:
    """Wanted / total as a number and a power of two: the total may be beyond float64."""
    bits = total.bit_length()
    return wanted / (total / (1 << bits)), bits + UNIT_EXPONENT


def _plus_plus_here(
    points: Points,
    weights: NDArray[np.float64] | None,
    num_clusters: int,
    random: np.random.Generator,
    cosine: bool,
    num_retries: int,
) -> list[int]:
    """As `plus_plus_rows`, among points of this process."""
    count = _num_candidates(num_clusters, num_retries)
    draws = EqualDraws(num_rows(points)) if weights is None else WeightedDraws.of(weights)
    chosen: list[int] = draws.draw(1, random).tolist()
    if num_clusters == 1:
        return chosen
    seeding = kernels.Seeding(points, cosine=cosine, weights=weights)
    seeding.start(dense(points[chosen])[0])
    while len(chosen) < num_clusters and (total := seeding.weights.total):
        rows = seeding.weights.find(draw_targets(total, count, random))
        place = _largest(seeding.propose(dense(points[rows])))
        seeding.take(place)
        chosen.append(int(rows[place]))
    return chosen


def _sum_of(parts: list[kernels.ExactSums]) -> NDArray[np.float64]:
    return kernels.rounded_sums(functools.reduce(operator.add, parts))[:, 0]


def _num_candidates(num_clusters: int, num_retries: int) -> int:
    """How many candidates are drawn for each center."""
    return num_retries + 1 if num_retries >= 0 else 2 + int(math.log(num_clusters))


def _largest(numbers: list[int]) -> int:
    """The place of the first of the largest."""
    return numbers.index(max(numbers))
