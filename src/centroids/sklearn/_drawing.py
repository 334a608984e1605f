"""Rows that mini-batches are drawn from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.clustering import distinct_rows
from centroids.kernels import Points, in_usual_float_mode, num_rows
from centroids.rows import gather_rows

Weights = NDArray[np.float64] | None


class Population:
    """Rows by their weights. Where initial centers are chosen from all rows, equal ones are one.

    Then results depend neither on the order of the rows nor on whether one comes twice or weighs
    twice as much.

    Args:
        points: [n, d], dense or compressed sparse rows.
        weights: [n], of the rows; None: 1.
        init_size: How many rows initial centers are chosen from.
        random: What is drawn from.

    Attributes:
        points: The rows, or the different ones.
        size: How many these are.
        random: See above.
    """

    def __init__(
        self,
        points: Points,
        weights: Weights,
        init_size: int,
        random: np.random.RandomState,
    ) -> None:
        if init_size >= num_rows(points):
            rows, weights = distinct_rows(points, weights)
            points = points[rows]
        self.points, self._weights, self._init_size = points, weights, init_size
        self.size, self.random = num_rows(points), random
        self._ends = None if weights is None else _ends(weights)

    def for_centers(self) -> tuple[Points, Weights]:
        """Rows to choose initial centers from, with their weights."""
        if self._init_size >= self.size:
            return self.points, self._weights
        return self.draw(self._init_size), None

    def draw(self, count: int) -> Any:
        """Rows drawn with replacement, by their weights."""
        shares = self.random.random_sample(count)
        if self._ends is None:
            rows = (shares * self.size).astype(np.intp)
        else:
            rows = self._ends.searchsorted(shares, side="right")
        return gather_rows(self.points, rows)


@in_usual_float_mode
def _ends(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    ends: NDArray[Any] = np.cumsum(weights)
    return np.asarray(ends / ends[-1])
