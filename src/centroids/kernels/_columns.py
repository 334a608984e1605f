"""Exact sums of the columns of points, from which means and variances follow in any order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.kernels import _native
from centroids.kernels._nonfinite import raise_if_bad
from centroids.kernels._weights import check_weights
from centroids.kernels.dense_or_sparse import Points, check_points, dense_parts, is_sparse


@dataclass(frozen=True)
class ColumnSums:
    """What some of the points contribute to the means and variances of their columns.

    Those of several parts of the points add up, in any order. A value that is NaN is missing, and
    counts nowhere.

    Attributes:
        weights: [d], the sums of the weights of the values that are there, 1 each if there are
            none; integers in units of 2^-1088.
        values: [d], the sums of w x likewise.
        squares: [d], the sums of w x^2 likewise.
    """

    weights: tuple[int, ...]
    values: tuple[int, ...]
    squares: tuple[int, ...]

    def __add__(self, other: ColumnSums) -> ColumnSums:
        """Those of the points of both."""
        return ColumnSums(
            tuple(map(int.__add__, self.weights, other.weights)),
            tuple(map(int.__add__, self.values, other.values)),
            tuple(map(int.__add__, self.squares, other.squares)),
        )

    def means(self) -> NDArray[np.float64]:
        """[d], the mean of each column, rounded once; NaN where there is no value of any weight."""
        pairs = zip(self.values, self.weights, strict=True)
        # Python rounds the quotient of two integers once.
        return np.array([value / weight if weight else math.nan for value, weight in pairs])

    def deviations(self) -> NDArray[np.float64]:
        """[d], the standard deviation of each column: the root of the variance, rounded once.

        The variance is the exact sum of w (x - mean)^2 over that of w, and 0 where bits below
        2^-1088, which no w x^2 keeps, would make it negative. NaN where there is no value.

        >>> sum_columns(np.array([[1.0], [2.0], [np.nan], [6.0]])).deviations().tolist() == [
        ...     math.sqrt(14 / 3)
        ... ]
        True
        """
        sums = zip(self.weights, self.values, self.squares, strict=True)
        return np.array(
            [
                math.sqrt(max(square * weight - value * value, 0) / (weight * weight))
                if weight
                else math.nan
                for weight, value, square in sums
            ]
        )


def sum_columns(points: Points, weights: NDArray[Any] | None = None) -> ColumnSums:
    """Adds up the columns of points.

    Args:
        points: [n, d], dense. NaN is a missing value.
        weights: [n], how much each row counts; None: all count as one.

    Raises:
        TypeError: If the points are sparse, or elements are not real numbers.
        ValueError: If a shape or a weight is wrong.
        NonFiniteError: If a value is infinite, or its square is.

    >>> sum_columns(np.array([[1.0, np.nan], [4.0, 6.0]]), np.array([2.0, 1.0])).means().tolist()
    [2.0, 6.0]
    """
    if is_sparse(points):
        raise TypeError("the columns of sparse points cannot be added up: make them dense")
    points = np.asarray(check_points(points))
    wide = None if weights is None else check_weights(weights, len(points))
    bad_row, *sums = _native.sum_columns(*dense_parts(points), wide)
    raise_if_bad(points, bad_row)
    return ColumnSums(*(tuple(map(_integer, totals)) for totals in sums))


def _integer(total: _native.ExactTotal) -> int:
    return int.from_bytes(total.to_bytes(), "little", signed=True)
