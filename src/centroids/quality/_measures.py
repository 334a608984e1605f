"""Measures of a clustering, each in float64 and by its author's formula."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids import kernels

Labels = NDArray[np.signedinteger[Any]]
Weights = NDArray[np.float64]


def pair_distances(points: NDArray[Any], *, cosine: bool) -> NDArray[np.float64]:
    """[m, m]: the distance of each point to each, Euclidean or cosine.

    >>> pair_distances(np.array([[0.0, 0.0], [3.0, 4.0]]), cosine=False).tolist()
    [[0.0, 5.0], [5.0, 0.0]]
    """
    distances = kernels.all_distances(points, points, cosine=cosine).astype(np.float64)
    return distances if cosine else np.asarray(np.sqrt(distances), np.float64)


def silhouette(
    distances: NDArray[np.float64], labels: Labels, weights: Weights | None = None
) -> float:
    """The mean silhouette of all points, from -1 to 1: near 1 where clusters are far apart.

    Args:
        distances: [m, m], from each point to each.
        labels: [m], the cluster of each.
        weights: [m], how much each counts, above 0; None: 1.

    Returns:
        The mean of `silhouettes`; NaN if there are fewer than two clusters.

    >>> places = np.array([0.0, 1.0, 10.0, 11.0])
    >>> distances = abs(places[:, None] - places)
    >>> round(silhouette(distances, np.array([0, 0, 1, 1])), 3)
    0.9
    """
    return float(np.average(silhouettes(distances, labels, weights), weights=weights))


def silhouettes(
    distances: NDArray[np.float64], labels: Labels, weights: Weights | None = None
) -> NDArray[np.float64]:
    """The silhouette of each point.

    It is (b - a) / max(a, b): a is the point's mean distance to the others of its cluster, b the
    least mean distance to the points of another cluster. It is 0 for a point that is alone in its
    cluster. Whole weights count as so many equal points. Of a point whose weight is below 1 nothing
    is left to be one of the others.

    Args:
        distances: [m, m], from each point to each.
        labels: [m], the cluster of each.
        weights: [m], how much each counts, above 0; None: 1.

    Returns:
        [m]; NaN if there are fewer than two clusters.

    Source: Rousseeuw, Silhouettes, Journal of Computational and Applied Mathematics 20, 1987.

    >>> places = np.array([0.0, 1.0, 10.0])
    >>> silhouettes(abs(places[:, None] - places), np.array([0, 0, 1])).round(3).tolist()
    [0.9, 0.889, 0.0]
    """
    clusters, labels = np.unique(labels, return_inverse=True)
    if len(clusters) < 2:
        return np.full(len(labels), math.nan)
    every, counts = np.arange(len(labels)), _counts(labels, weights)
    members = np.zeros((len(labels), len(clusters)))
    members[every, labels] = counts
    sizes = members.sum(axis=0)
    sums = distances @ members
    others = sizes[labels] - np.minimum(counts, 1)
    within = sums[every, labels] / np.where(others > 0, others, 1)
    means = sums / sizes
    means[every, labels] = np.inf
    between = means.min(axis=1)
    larger = np.maximum(within, between)
    scores = np.divide(between - within, larger, out=np.zeros_like(within), where=larger > 0)
    scores[others <= 0] = 0
    return np.asarray(scores)


def _counts(labels: Labels, weights: Weights | None) -> Weights:
    return np.ones(len(labels)) if weights is None else weights


def davies_bouldin(
    points: NDArray[np.float64], labels: Labels, weights: Weights | None = None
) -> float:
    """The mean over clusters of how much the most similar other cluster overlaps; 0 is best.

    Args:
        points: [m, d].
        labels: [m], the cluster of each.
        weights: [m], how much each counts, above 0; None: 1.

    Returns:
        The mean; NaN if there are fewer than two clusters.

    Source: Davies and Bouldin, A cluster separation measure, IEEE Transactions on Pattern Analysis
    and Machine Intelligence 1, 1979.

    >>> points = np.array([[0.0], [2.0], [10.0], [12.0]])
    >>> davies_bouldin(points, np.array([0, 0, 1, 1]))
    0.2
    """
    clusters, labels = np.unique(labels, return_inverse=True)
    if len(clusters) < 2:
        return math.nan
    counts = _counts(labels, weights)
    sizes = np.bincount(labels, counts)
    means = np.zeros((len(clusters), points.shape[1]))
    np.add.at(means, labels, points * counts[:, None])
    means /= sizes[:, None]
    away = np.linalg.norm(points - means[labels], axis=1)
    spread = np.bincount(labels, away * counts) / sizes
    apart = np.linalg.norm(means[:, None] - means[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        overlap = np.nan_to_num((spread[:, None] + spread) / apart, nan=0.0, posinf=np.inf)
    np.fill_diagonal(overlap, 0)
    return float(overlap.max(axis=1).mean())


def calinski_harabasz(total: float, within: float, num_points: float, num_clusters: int) -> float:
    """The variance between clusters over that within them, by their degrees of freedom.

    Args:
        total: The sum of squared distances to the mean of all points.
        within: The sum of squared distances to the mean of each point's cluster.
        num_points: How many points there are; the sum of their weights, if they have some.
        num_clusters: How many clusters have points.

    Returns:
        The ratio; NaN if there are fewer than two clusters, or not fewer than points.

    Source: Calinski and Harabasz, A dendrite method for cluster analysis, Communications in
    Statistics 3, 1974.

    >>> calinski_harabasz(total=104.0, within=4.0, num_points=4, num_clusters=2)
    50.0
    """
    if not 2 <= num_clusters < num_points:
        return math.nan
    between = max(total - within, 0.0) / (num_clusters - 1)
    left = within / (num_points - num_clusters)
    return between / left if left > 0 else math.inf


def adjusted_rand(one: Labels, other: Labels, weights: Weights | None = None) -> float:
    """How far two clusterings of the same points agree: 1 where they are equal, 0 as by chance.

    A pair of points counts by the product of their weights. A point makes no pair with itself,
    however heavy it is: on that any two clusterings agree.

    Args:
        one: [m], the cluster of each point.
        other: [m], likewise.
        weights: [m], how much each counts; None: 1.

    Source: Hubert and Arabie, Comparing partitions, Journal of Classification 2, 1985.

    >>> adjusted_rand(np.array([0, 0, 1, 1]), np.array([5, 5, 2, 2]))
    1.0
    """
    counts = _counts(one, weights)
    alone = float(np.square(counts).sum())

    def pairs(labels: Labels) -> float:
        _, places = np.unique(labels, return_inverse=True)
        return float((np.square(np.bincount(places, counts)).sum() - alone) / 2)

    width = int(other.max()) + 1
    both, first, second = pairs(one * width + other), pairs(one), pairs(other)
    expected = first * second / (pairs(np.zeros_like(one)) or 1)
    highest = (first + second) / 2
    return 1.0 if highest == expected else (both - expected) / (highest - expected)


def knee(values: list[float]) -> int | None:
    """Where a falling curve bends most: its point farthest below the line between its ends.

    Args:
        values: The curve at equal steps.

    Returns:
        The place; None if the curve has fewer than three points or never lies below that line.

    Source: Satopaa et al., Finding a "kneedle" in a haystack, ICDCS Workshops, 2011.

    >>> knee([100.0, 40.0, 10.0, 8.0, 6.0])
    2
    """
    if len(values) < 3 or values[0] <= values[-1]:
        return None
    curve = np.array(values)
    line = np.linspace(curve[0], curve[-1], len(curve))
    below = (line - curve) / (curve[0] - curve[-1])
    place = int(below.argmax())
    return place if below[place] > 0 else None
