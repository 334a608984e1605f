"""The points of batches as a model clusters them, and what is fitted to points for that."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from centroids import clustering, kernels
from centroids.clustering import Preparation
from centroids.distribute import is_sharded
from centroids.errors import Argument, WordedTypeError
from centroids.estimator import Batch
from centroids.inputs.bad_rows import find_good_rows, with_zeros
from centroids.inputs.missing import is_there
from centroids.kmeans.variables import variables_of_preparation

if TYPE_CHECKING:
    from centroids.kmeans.model import KMeansModel


class PointsOfBatches:
    """Functions of batches that give their points: joined, filled and scaled.

    Args:
        model: Its arguments.
        passes_over: Whether rows with missing values are passed over, not refused: those of
            predictions, where each row has an answer.
    """

    def __init__(self, model: KMeansModel, *, passes_over: bool = False) -> None:
        self._model, self._passes_over = model, passes_over
        # The features that it has seen last, and what was made of them, where the input will not
        # change them.
        self._known: tuple[weakref.ref[Any], kernels.Points] | None = None

    def points(self, batch: Batch) -> kernels.Points:
        """The points of a batch, [n, d]; in a row that is passed over, what is missing is 0."""
        points = batch.get(points_of)
        if self._passes_over and batch.get(self.unanswered).size:
            points = with_zeros(points, is_there)
        preparation = self._model.preparation(batch.variables)
        if preparation is None:
            return points
        features, stays = batch.features, not batch.may_change
        if self._known is not None and self._known[0]() is features and stays:
            return self._known[1]
        prepared = prepare(preparation, points)
        if isinstance(features, np.ndarray) and stays:
            self._known = weakref.ref(features), prepared
        return prepared

    def unanswered(self, batch: Batch) -> NDArray[np.int64]:
        """The rows of a batch that are passed over."""
        points = batch.get(points_of)
        if not self._passes_over or is_sharded(points):
            return np.empty(0, np.int64)
        complete = find_good_rows(points, is_there)
        return np.empty(0, np.int64) if complete is None else np.flatnonzero(~complete)


def points_of(batch: Batch) -> kernels.Points:
    """The points of a batch as a [n, d] matrix; its errors name the batch."""
    try:
        return clustering.join_columns(batch.features)
    except (TypeError, ValueError) as error:
        raise type(error)(f"batch {batch.index}: {error}") from None


def prepare(preparation: Preparation, points: kernels.Points) -> kernels.Points:
    """Points as they are clustered.

    Raises:
        TypeError: If they are sparse, or on workers.
    """
    _check_here(points)
    return preparation.prepare(points)


def fitted(model: KMeansModel, batches: Iterable[Batch]) -> dict[str, NDArray[Any]]:
    """The variables of the preparation that fits the points of batches.

    Args:
        model: Its arguments.
        batches: All batches of a pass over the input.

    Raises:
        ValueError: If a column has no value.
    """
    names: tuple[str, ...] | None = None

    def parts() -> Iterator[tuple[int, kernels.Points, NDArray[np.float64] | None]]:
        nonlocal names
        for batch in batches:
            points = batch.get(points_of)
            _check_here(points)
            names = names or batch.names
            yield batch.index, points, batch.weights

    total = clustering.sum_columns_of_batches(parts())
    if total is None:
        return {}
    preparation = clustering.fit_preparation(
        total, standardize=model.standardize, fills=model.fills, names=names
    )
    return variables_of_preparation(preparation)


def _check_here(points: kernels.Points) -> None:
    if is_sharded(points):
        raise WordedTypeError(
            Argument("missing", "mean"),
            " and ",
            Argument("standardize", True),
            " are not for collections, whose points stay on workers: fill and scale their columns "
            "there, as with fillna() of a dask data frame or map_batches() of a Ray Dataset",
        )
    clustering.check_dense(points)
