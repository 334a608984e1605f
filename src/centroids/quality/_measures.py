"""Measures of a clustering, each in float64 and by its author's formula."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids import kernels

Labels = NDArray[np.signedinteger[Any]]


def pair_distances(points: NDArray[Any], *, cosine: bool) -> NDArray[np.float64]:
    """[m, m]: the distance of each point to each, Euclidean or cosine.

    >>> pair_distances(np.array([[0.0, 0.0], [3.0, 4.0]]), cosine=False).tolist()
    [[0.0, 5.0], [5.0, 0.0]]
    """
    distances = kernels.all_distances(points, points, cosine=cosine).astype(np.float64)
    return distances if cosine else np.asarray(np.sqrt(distances), np.float64)


def silhouette(distances: NDArray[np.float64], labels: Labels) -> float:
    """The mean silhouette of all points, from -1 to 1: near 1 where clusters are far apart.

    Args:
        distances: [m, m], from each point to each.
        labels: [m], the cluster of each.

    Returns:
        The mean of `silhouettes`; NaN if there are fewer than two clusters.

    >>> places = np.array([0.0, 1.0, 10.0, 11.0])
    >>> distances = abs(places[:, None] - places)
    >>> round(silhouette(distances, np.array([0, 0, 1, 1])), 3)
    0.9
    """
    return float(silhouettes(distances, labels).mean())


def silhouettes(distances: NDArray[np.float64], labels: Labels) -> NDArray[np.float64]:
    """The silhouette of each point.

    It is (b - a) / max(a, b): a is the point's mean distance to the others of its cluster, b the
    least mean distance to the points of another cluster. It is 0 for a point that is alone in its
    cluster.

    Args:
        distances: [m, m], from each point to each.
        labels: [m], the cluster of each.

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
    members = np.zeros((len(labels), len(clusters)))
    members[np.arange(len(labels)), labels] = 1
    sizes = members.sum(axis=0)
    sums = distances @ members
    own_size, every = sizes[labels], np.arange(len(labels))
    within = sums[every, labels] / np.maximum(own_size - 1, 1)
    means = sums / sizes
    means[every, labels] = np.inf
    between = means.min(axis=1)
    larger = np.maximum(within, between)
    scores = np.divide(between - within, larger, out=np.zeros_like(within), where=larger > 0)
    scores[own_size == 1] = 0
    return np.asarray(scores)


def davies_bouldin(points: NDArray[np.float64], labels: Labels) -> float:
    """The mean over clusters of how much the most similar other cluster overlaps; 0 is best.

    Args:
        points: [m, d].
        labels: [m], the cluster of each.

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
    sizes = np.bincount(labels)
    means = np.zeros((len(clusters), points.shape[1]))
    np.add.at(means, labels, points)
    means /= sizes[:, None]
    spread = np.bincount(labels, np.linalg.norm(points - means[labels], axis=1)) / sizes
    apart = np.linalg.norm(means[:, None] - means[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        overlap = np.nan_to_num((spread[:, None] + spread) / apart, nan=0.0, posinf=np.inf)
    np.fill_diagonal(overlap, 0)
    return float(overlap.max(axis=1).mean())


def calinski_harabasz(total: float, within: float, num_points: int, num_clusters: int) -> float:
    """The variance between clusters over that within them, by their degrees of freedom.

    Args:
        total: The sum of squared distances to the mean of all points.
        within: The sum of squared distances to the mean of each point's cluster.
        num_points: How many points there are.
        num_clusters: How many clusters have points.

    Returns:
        The ratio; NaN if there are fewer than two clusters, or as many as points.

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


def adjusted_rand(one: Labels, other: Labels) -> float:
    """How far two clusterings of the same points agree: 1 where they are equal, 0 as by chance.

    Source: Hubert and Arabie, Comparing partitions, Journal of Classification 2, 1985.

    >>> adjusted_rand(np.array([0, 0, 1, 1]), np.array([5, 5, 2, 2]))
    1.0
    """

    def pairs(counts: NDArray[np.int64]) -> float:
        return float((counts * (counts - 1)).sum() / 2)

    width = int(other.max()) + 1
    both = pairs(np.unique(one * width + other, return_counts=True)[1])
    first, second = (pairs(np.unique(labels, return_counts=True)[1]) for labels in (one, other))
    expected = first * second / max(pairs(np.array([len(one)])), 1)
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
