"""What one pass over the points tells of clusters, in memory that depends on the model alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.clustering import Preparation
from centroids.kernels import l2_normalize
from centroids.quality import ExtremeMembers, distances_to_own
from centroids.rows import dense

NUM_MEMBERS = 5


def prepared(preparation: Preparation | None, rows: NDArray[Any]) -> NDArray[Any]:
    """Rows as they are clustered."""
    return rows if preparation is None else dense(preparation.prepare(rows))


class Tally:
    """Sizes, distances, means and members of clusters, gathered batch by batch.

    Points of weight 0 count as none.

    Attributes:
        counts: [k], the points of each cluster.
        sizes: [k], how much they count: the sums of their weights; without weights their counts.
        totals: [k], the sums of their distances to the center, each by its weight.
        nearest: Those nearest to each center.
        farthest: Those farthest from it.

    Args:
        centers: [k, d], among prepared points.
        cosine: Use the cosine distance.
        weighted: Whether points have weights.
        preparation: What the model does to points; None: nothing. Distances are those of prepared
            points; means and members have the units of the points, and a missing value counts as
            the mean that fills it.

    >>> tally = Tally(np.array([[0.0], [10.0]]), cosine=False)
    >>> points, index = np.array([[0.0], [2.0], [13.0]]), np.array([0, 0, 1], np.int32)
    >>> tally.add(points, np.arange(3), index)
    >>> tally.sizes.tolist(), tally.totals.tolist(), tally.means().tolist()
    ([2, 1], [4.0, 9.0], [[1.0], [13.0]])
    """

    def __init__(
        self,
        centers: NDArray[Any],
        *,
        cosine: bool,
        weighted: bool = False,
        preparation: Preparation | None = None,
    ) -> None:
        exact = np.asarray(centers, np.float64)
        self._centers, self._cosine = l2_normalize(exact) if cosine else exact, cosine
        k, d = self._centers.shape
        self.counts, self.totals, self.weighted = np.zeros(k, np.int64), np.zeros(k), weighted
        self._weights, self._preparation = np.zeros(k), preparation
        self.nearest = ExtremeMembers(k, NUM_MEMBERS, d)
        self.farthest = ExtremeMembers(k, NUM_MEMBERS, d, farthest=True)
        self._sums, self._squares = np.zeros((k, d)), np.zeros(d)
        self._shift: NDArray[np.float64] | None = None

    def add(
        self,
        rows: NDArray[Any],
        numbers: NDArray[np.int64],
        index: NDArray[np.int32],
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        """Takes a batch into account.

        Args:
            rows: [n, d], the points.
            numbers: [n], their places in the file.
            index: [n], their clusters.
            weights: [n], if points have weights.
        """
        if weights is None:
            weights = np.ones(len(index))
        elif not weights.all():
            kept = np.flatnonzero(weights)
            rows, numbers, index, weights = rows[kept], numbers[kept], index[kept], weights[kept]
        k, count = len(self.counts), len(index)
        if not count:
            return
        distances = distances_to_own(
            prepared(self._preparation, rows), self._centers, index, cosine=self._cosine
        )
        self.counts += np.bincount(index, minlength=k)
        self._weights += np.bincount(index, weights, minlength=k)
        self.totals += np.bincount(index, distances * weights, minlength=k)
        self.nearest.add(index, distances, numbers, rows)
        self.farthest.add(index, distances, numbers, rows)
        exact = rows.astype(np.float64)
        if self._preparation is not None and self._preparation.fills:
            np.copyto(exact, self._preparation.means, where=np.isnan(exact))
        if self._shift is None:  # squares of small numbers: nothing cancels in the deviations
            self._shift = exact.mean(axis=0)
        exact -= self._shift
        for column, values in enumerate(exact.T):
            self._sums[:, column] += np.bincount(index, weights * values, minlength=k)
        with np.errstate(over="ignore"):  # then there is no deviation to show
            self._squares += weights @ np.square(exact)

    @property
    def sizes(self) -> NDArray[Any]:
        """[k], see above."""
        return self._weights if self.weighted else self.counts

    @property
    def num_points(self) -> int:
        """The points so far."""
        return int(self.counts.sum())

    @property
    def total(self) -> float:
        """How much all points count."""
        return float(self.sizes.sum())

    def means(self) -> NDArray[np.float64]:
        """[k, d], the means of the clusters; NaN for those without points."""
        shift = 0.0 if self._shift is None else self._shift
        sizes = np.where(self.sizes == 0, np.nan, self.sizes)
        return np.asarray(shift + self._sums / sizes[:, None])

    def mean(self) -> NDArray[np.float64]:
        """[d], the mean of all points."""
        shift = 0.0 if self._shift is None else self._shift
        return np.asarray(shift + self._sums.sum(axis=0) / (self.total or 1))

    def deviation(self) -> NDArray[np.float64]:
        """[d], the standard deviations of all points (of the population)."""
        count = self.total or 1
        moved = self._sums.sum(axis=0) / count
        return np.asarray(np.sqrt(np.maximum(self._squares / count - moved**2, 0)))

    def profile(self) -> NDArray[np.float64]:
        """[k, d]: how far each cluster's mean is from that of all points, in their deviations.

        It is 0 in a column that does not vary, and NaN for a cluster without points.
        """
        deviation, away = self.deviation(), self.means() - self.mean()
        # A column of equal numbers may come out with a deviation of some roundings.
        varies = deviation > 1e-12 * np.maximum(np.abs(self.mean()), np.finfo(float).tiny)
        return np.where(varies, away / np.where(varies, deviation, 1), away * 0)
