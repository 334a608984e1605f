"""What happens to points before they are clustered: missing values are filled, columns scaled.

    x' = (x - mean) / scale, or 0 where x is missing; without scales x' = x, or the mean

In float64, and rounded once to the type that the points are computed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.errors import Argument, EmptyColumnError, Message, WordedTypeError
from centroids.kernels._columns import ColumnSums
from centroids.kernels.dense_or_sparse import Points, is_sparse, result_dtype
from centroids.kernels.float_mode import in_usual_float_mode

# Told of the rows so far while points are read for their means and deviations.
pass_watchers: list[Callable[[int], None]] = []

_BLOCK_ELEMENTS = 1 << 18


@dataclass(frozen=True, eq=False)
class Preparation:
    """What is done to points, fitted to those of training.

    Attributes:
        means: [d], the mean of each column.
        scales: [d], what each column is divided by; None: columns are neither shifted nor scaled.
        fills: Whether a missing value becomes the mean of its column; else it stays NaN.
    """

    means: NDArray[np.float64]
    scales: NDArray[np.float64] | None
    fills: bool

    @in_usual_float_mode
    def prepare(self, points: Points) -> Points:
        """Points as they are clustered; the same object where nothing is to be done.

        Args:
            points: [n, d], as `join_columns` gives them.

        Returns:
            [n, d] in the type that they are computed in.

        Raises:
            TypeError: If they are sparse, where the zeros would not stay zeros.

        >>> standardize = Preparation(np.array([5.0, 0.0]), np.array([2.0, 1.0]), fills=True)
        >>> standardize.prepare(np.array([[1.0, 7.0], [np.nan, 0.0]])).tolist()
        [[-2.0, 7.0], [0.0, 0.0]]
        """
        check_dense(points)
        array = np.asarray(points)
        if self.scales is None and (not self.fills or not _has_missing(array)):
            return points
        prepared = np.empty(array.shape, result_dtype(array))
        count = max(_BLOCK_ELEMENTS // array.shape[1], 1)
        for start in range(0, len(array), count):
            block: NDArray[np.float64] = array[start : start + count].astype(np.float64)
            if self.scales is not None:
                with np.errstate(over="ignore"):  # an infinite value is a bad one, with its place
                    block = (block - self.means) / self.scales
            if self.fills:
                np.copyto(block, self.filling, where=np.isnan(block))
            with np.errstate(over="ignore"):
                prepared[start : start + count] = block
        return prepared

    @in_usual_float_mode
    def prepare_centers(self, centers: NDArray[Any]) -> NDArray[Any]:
        """Centers among points as they came, as centers among prepared ones: [k, d] float64."""
        if self.scales is None:
            return centers
        return np.asarray((centers.astype(np.float64) - self.means) / self.scales)

    @in_usual_float_mode
    def undo(self, centers: NDArray[Any]) -> NDArray[Any]:
        """Centers among prepared points, as centers among those that came, in the same type.

        >>> standardize = Preparation(np.array([5.0]), np.array([2.0]), fills=False)
        >>> standardize.undo(np.array([[-2.0], [0.5]])).tolist()
        [[1.0], [6.0]]
        """
        if self.scales is None:
            return centers
        return (centers.astype(np.float64) * self.scales + self.means).astype(centers.dtype)

    @property
    def filling(self) -> NDArray[np.float64]:
        """[d], what a missing value becomes."""
        return self.means if self.scales is None else np.zeros_like(self.means)


@in_usual_float_mode
def fit_preparation(
    sums: ColumnSums, *, standardize: bool, fills: bool, names: Sequence[str] | None = None
) -> Preparation:
    """The preparation for points whose columns add up to these sums.

    Scales are standard deviations, of the values that are there; a constant column is divided by 1.

    Args:
        sums: Those of the columns of all points.
        standardize: Whether columns are scaled.
        fills: Whether missing values become means.
        names: The names of the columns, for messages.

    Raises:
        EmptyColumnError: If a column has no value.
    """
    means = sums.means()
    if (empty := np.flatnonzero(np.isnan(means))).size:
        raise EmptyColumnError(empty.tolist(), len(means), names)
    scales = None
    if standardize:
        deviations = sums.deviations()
        scales = np.where(deviations > 0, deviations, 1.0)
    return Preparation(means, scales, fills)


def check_dense(points: Points) -> None:
    """Raises a TypeError for points whose zeros would not stay zeros."""
    if is_sparse(points):
        raise WordedTypeError(
            "sparse points cannot be standardized or filled with means, as their zeros would not "
            "stay zeros",
            remedy=Message(
                "leave out ",
                Argument("standardize"),
                " and ",
                Argument("missing", "mean"),
                ", or make the points dense",
            ),
        )


def _has_missing(points: NDArray[Any]) -> bool:
    if points.dtype.kind in "biu":
        return False
    count = max(_BLOCK_ELEMENTS // points.shape[1], 1)
    starts = range(0, len(points), count)
    return any(np.isnan(points[start : start + count]).any() for start in starts)
