"""Points as they are clustered: without missing values, and in one scale."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from centroids import kernels
from centroids.clustering import (
    Preparation,
    check_finite,
    fit_preparation,
    sum_columns_of_batches,
)
from centroids.errors import BadRowError
from centroids.inputs.bad_rows import find_good_rows, keep_rows
from centroids.inputs.convert import convert_features
from centroids.inputs.missing import MissingValues, is_there

Weights: TypeAlias = NDArray[np.float64] | None


class PreparedPoints:
    """All points, or a sample of them and a way to all of them in batches.

    Args:
        points: [n, d], an array or a sparse matrix.
        weights: [n], or None.
        batches: Makes all points in batches, in pairs with their weights if there are such; None:
            `points` are all.
        missing: What becomes of missing values.
        standardize: Whether columns are scaled.

    Attributes:
        points: Those given, as they are clustered.
        weights: Theirs, or None.
    """

    def __init__(
        self,
        points: Any,
        weights: ArrayLike | None,
        batches: Callable[[], Iterable[Any]] | None,
        *,
        missing: MissingValues,
        standardize: bool,
    ) -> None:
        self._make_batches, self._missing = batches, missing
        self._weighted = weights is not None
        self._preparation: Preparation | None = None
        rows, own = self._complete(0, points, weights)
        if standardize or missing == "mean":
            every = [(0, rows, own)] if batches is None else self._complete_batches(batches)
            total = sum_columns_of_batches(every)
            if total is not None:
                self._preparation = fit_preparation(
                    total, standardize=standardize, fills=missing == "mean"
                )
        self.points, self.weights = self._prepare(rows), own
        check_finite(self.points, 0)

    def batches(self) -> Iterator[tuple[kernels.Points, Weights]]:
        """All points, as they are clustered, with their weights."""
        if self._make_batches is None:
            yield self.points, self.weights
            return
        for _, rows, weights in self._complete_batches(self._make_batches):
            yield self._prepare(rows), weights

    def _complete_batches(
        self, batches: Callable[[], Iterable[Any]]
    ) -> Iterator[tuple[int, kernels.Points, Weights]]:
        for number, batch in enumerate(batches()):
            rows, weights = batch if self._weighted else (batch, None)
            yield number, *self._complete(number, rows, weights)

    def _complete(
        self, number: int, points: Any, weights: ArrayLike | None
    ) -> tuple[kernels.Points, Weights]:
        """Without rows that are to be left out."""
        rows = _matrix(points)
        own = None if weights is None else kernels.check_weights(weights, kernels.num_rows(rows))
        good = find_good_rows(rows, is_there) if self._missing == "drop" else None
        if good is None:
            return rows, own
        rows, own = keep_rows((rows, own), good)
        try:
            check_finite(rows, number)
        except BadRowError as error:  # it counts the rows that are left
            row = int(np.flatnonzero(good)[error.row])
            raise error.at(f"batch {number}, row {row}, column {error.column}") from None
        return rows, own

    def _prepare(self, points: kernels.Points) -> kernels.Points:
        return points if self._preparation is None else self._preparation.prepare(points)


def _matrix(points: Any) -> kernels.Points:
    features = convert_features(points)
    if isinstance(features, dict):
        raise TypeError("points must be one array, got a dict of several")
    return kernels.check_points(features)
