"""The members of clusters: their distances, and the nearest and farthest of each cluster."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.kernels import l2_normalize

_BLOCK_ELEMENTS = 1 << 18


def distances_to_own(
    rows: NDArray[Any], centers: NDArray[np.float64], index: NDArray[np.int32], *, cosine: bool
) -> NDArray[np.float64]:
    """The distance of each row to the center of its cluster, in blocks that leave memory free.

    Args:
        rows: [n, d].
        centers: [k, d]; for cosine, L2-normalised.
        index: [n], the cluster of each row.
        cosine: Use the cosine distance; else it is the squared Euclidean one.

    >>> rows, centers = np.array([[1.0], [5.0]]), np.array([[0.0], [4.0]])
    >>> distances_to_own(rows, centers, np.array([0, 1], np.int32), cosine=False).tolist()
    [1.0, 1.0]
    """
    points = rows.reshape(len(rows), -1)
    distances = np.empty(len(points))
    count = max(_BLOCK_ELEMENTS // max(points.shape[1], 1), 1)
    for start in range(0, len(points), count):
        part = slice(start, start + count)
        block, nearest = points[part].astype(np.float64), centers[index[part]]
        if cosine:
            distances[part] = 1 - np.einsum("ij,ij->i", l2_normalize(block), nearest)
        else:
            distances[part] = np.square(block - nearest).sum(axis=1)
    return distances


class ExtremeMembers:
    """The nearest members of each cluster so far; of equal distances the first in the file.

    Attributes:
        numbers: [k, m], the numbers of their rows; -1 where there are no more.
        values: [k, m, width], the rows themselves.

    Args:
        num_clusters: k.
        count: m, how many members of each cluster to keep.
        width: How many columns of the rows to keep.
        farthest: Keep the farthest members instead, the farthest first.

    >>> members = ExtremeMembers(2, 1)
    >>> members.add(np.array([0, 1, 1]), np.array([4.0, 9.0, 1.0]), np.arange(3))
    >>> members.numbers.tolist(), members.distances.tolist()
    ([[0], [2]], [[4.0], [1.0]])
    """

    def __init__(
        self, num_clusters: int, count: int, width: int = 0, *, farthest: bool = False
    ) -> None:
        self.numbers = np.full((num_clusters, count), -1, np.int64)
        self.values = np.zeros((num_clusters, count, width))
        self._sign = -1.0 if farthest else 1.0
        self._ranked = np.full((num_clusters, count), np.inf)

    @property
    def distances(self) -> NDArray[np.float64]:
        """[k, m], the distances to the centers; infinite where there are no more."""
        return np.where(self.numbers < 0, np.inf, self._sign * self._ranked)

    def add(
        self,
        index: NDArray[Any],
        distances: NDArray[np.float64],
        numbers: NDArray[np.int64],
        rows: NDArray[Any] | None = None,
    ) -> None:
        """Takes a batch into account, whose rows have these clusters, distances and numbers."""
        ranked, count = self._sign * distances, self.numbers.shape[1]
        order = np.lexsort((ranked, index))
        clusters, starts = np.unique(index[order], return_index=True)
        # Within its cluster each point has a rank; those of the first few compete.
        ranks = np.arange(len(order)) - np.repeat(starts, np.diff([*starts, len(order)]))
        order, ranks = order[ranks < count], ranks[ranks < count]
        places = np.searchsorted(clusters, index[order])
        new = np.full((len(clusters), count), np.inf)
        new_numbers = np.full((len(clusters), count), -1, np.int64)
        new[places, ranks], new_numbers[places, ranks] = ranked[order], numbers[order]
        both = np.concatenate([self._ranked[clusters], new], axis=1)
        best = np.argsort(both, axis=1, kind="stable")[:, :count]
        self._ranked[clusters] = np.take_along_axis(both, best, axis=1)
        every = np.concatenate([self.numbers[clusters], new_numbers], axis=1)
        self.numbers[clusters] = np.take_along_axis(every, best, axis=1)
        if rows is not None:
            new_values = np.zeros((len(clusters), count, self.values.shape[2]))
            new_values[places, ranks] = rows[order]
            all_values = np.concatenate([self.values[clusters], new_values], axis=1)
            self.values[clusters] = np.take_along_axis(all_values, best[:, :, None], axis=1)
