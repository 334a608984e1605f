"""How many points an input has, as far as batches have come."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from centroids.clustering._draws import WeightTotals
from centroids.kernels import Points, in_usual_float_mode, num_rows
from centroids.rows import WeightedPoints, is_sparse, split_weights

# Where so many points in a row bring nothing new, the input is taken to be constant.
MOST_FRUITLESS_ROWS = 10_000

Weighable: TypeAlias = Points | WeightedPoints


def num_points_of(batch: Weighable) -> int:
    """How many points a batch counts as: one of weight 0 is none."""
    points, weights = split_weights(batch)
    return num_rows(points) if weights is None else WeightTotals.of(weights).num_points


class PointCount:
    """How many points an input has had so far. A constant input repeats the same ones.

    Args:
        batches_end: The input is known to end, so that it is not constant.

    Attributes:
        points_for_sure: The number of points without those that a constant input may have repeated.
    """

    def __init__(self, batches_end: bool) -> None:
        self._batches_end = batches_end
        self._first: Weighable | None = None
        self.points_for_sure = self._repeated = 0

    @in_usual_float_mode
    def add(self, batch: Weighable) -> None:
        """Counts a batch."""
        if self._first is None:
            self._first = batch
        elif not self._batches_end and _same_batch(batch, self._first):
            self._repeated += num_points_of(batch)
            return
        self.points_for_sure += self._repeated + num_points_of(batch)
        self._repeated = 0

    @property
    def is_constant(self) -> bool:
        """Whether the latest batches have been equal to the first for long enough."""
        return self._repeated >= MOST_FRUITLESS_ROWS

    @property
    def points(self) -> int:
        """The number of points if nothing follows."""
        return self.points_for_sure + (0 if self.is_constant else self._repeated)


def _same_batch(batch: Weighable, first: Weighable) -> bool:
    (points, weights), (others, other_weights) = split_weights(batch), split_weights(first)
    if weights is None or other_weights is None:
        return weights is other_weights and _same_points(points, others)
    return np.array_equal(weights, other_weights) and _same_points(points, others)


def _same_points(points: Points, first: Points) -> bool:
    if points is first:
        return True
    if is_sparse(points) != is_sparse(first) or points.shape != first.shape:
        return False
    if not is_sparse(points):
        return bool(np.array_equal(points, np.asarray(first)))
    parts = ("indptr", "indices", "data")
    return all(np.array_equal(getattr(points, part), getattr(first, part)) for part in parts)
