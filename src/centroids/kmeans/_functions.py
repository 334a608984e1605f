"""What a k-means model computes of a batch."""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from centroids import clustering, kernels
from centroids.clustering.points import check_width
from centroids.distribute import is_sharded
from centroids.estimator import Batch
from centroids.kmeans._points import PointsOfBatches, points_of
from centroids.kmeans._updates import Updates
from centroids.kmeans.variables import (
    CLUSTERS,
    NO_CLUSTER,
    PREVIOUS_LOSS,
    state_of,
    variables_of,
)

if TYPE_CHECKING:
    from centroids.kmeans.model import KMeansModel


class BatchFunctions:
    """The functions of a batch that an EstimatorSpec is made of; each runs only when fetched."""

    def __init__(self, model: KMeansModel, training: bool, *, passes_over: bool = False) -> None:
        self._model, self._training = model, training
        self._points = PointsOfBatches(model, passes_over=passes_over and model.missing == "drop")
        # Full batches come again: what one iteration knows saves the next most of the work.
        repeated = training and not model.use_mini_batch
        self._memory = kernels.AssignmentMemory() if repeated else None
        # The features that it has seen last, where the input will not change them.
        self._remembered: weakref.ref[Any] | None = None
        self.updates = Updates(model, self.assignment, self._points_and_centers, self._memory)

    def assignment(self, batch: Batch) -> kernels.Assignment:
        # Training needs no labels; if somebody fetches them, they are computed separately.
        return self._assign(batch, update=self._training)

    def labelled(self, batch: Batch) -> kernels.Assignment:
        return self._assign(batch, update=False)

    def _assign(self, batch: Batch, *, update: bool) -> kernels.Assignment:
        points, centers = self._points_and_centers(batch)
        features, known, self._remembered = batch.features, self._remembered, None
        remember = self._memory is not None and isinstance(features, np.ndarray)
        stays = remember and not batch.may_change
        same_points = stays and known is not None and known() is features
        with clustering.locate_bad_points(batch.index):
            assignment = clustering.assign(
                points,
                centers,
                cosine=self._model.cosine,
                update=update,
                labels=not update,
                weights=batch.weights,
                memory=self._memory,
                same_points=same_points,
            )
        if stays:
            self._remembered = weakref.ref(features)
        return assignment

    def all_distances(self, batch: Batch) -> NDArray[Any]:
        points, centers = self._points_and_centers(batch)
        with clustering.locate_bad_points(batch.index):
            distances = clustering.all_distances(points, centers, cosine=self._model.cosine)
        if (rows := batch.get(self._points.unanswered)).size:
            distances[rows] = np.nan
        return distances

    def cluster_index(self, batch: Batch) -> NDArray[np.int32]:
        points, centers = self._points_and_centers(batch)
        sharded = is_sharded(points)  # labels travel only if somebody wants them
        if sharded or not self._training:
            with clustering.locate_bad_points(batch.index):
                index = clustering.cluster_index(points, centers, cosine=self._model.cosine)
            if sharded:
                return index
        else:
            index = batch.get(self.labelled).cluster_index
        if (rows := batch.get(self._points.unanswered)).size:
            index = index.copy()
            index[rows] = NO_CLUSTER
        return index

    def loss(self, batch: Batch) -> float:
        loss = batch.get(self.assignment).inertia
        if not math.isfinite(loss):  # each distance is finite, or the assignment had failed
            raise ValueError(
                "points are too large: the sum of their squared distances overflows float64 in "
                f"batch {batch.index}; scale the points down"
            )
        return loss

    def num_examples(self, batch: Batch) -> int:
        return kernels.num_rows(batch.get(points_of))

    def total_weight(self, batch: Batch) -> float:
        return clustering.total_weight(batch.get(points_of), batch.weights)

    def mean_distance(self, batch: Batch) -> float:
        return _quotient(self.loss(batch), batch.get(self.total_weight))

    def update(self, batch: Batch) -> None:
        # Everything is computed before the first variable changes: a bad batch changes nothing.
        loss = self.loss(batch)
        _, after = batch.get(self.updates.states)
        batch.variables.update(variables_of(after))
        batch.variables[PREVIOUS_LOSS] = np.array(loss, np.float64)

    @property
    def updates_many(self) -> bool:
        """Whether `update_many` may do something."""
        return self.updates.are_plain and not self._model.cosine

    def update_many(self, batches: Sequence[Batch]) -> int:
        """As `update` for each of the first batches, one after the other; returns how many.

        It takes small batches of dense points without weights that are computed in the type of the
        centers, up to the first that something is wrong with.
        """
        variables = batches[0].variables
        state = state_of(variables)
        if state.counts.dtype != np.int64:
            return 0
        points = []
        for batch in batches:
            found = self._small_points(batch, state.centers)
            if found is None:
                break
            points.append(found)
        if not points:
            return 0
        after, losses = clustering.mini_batch_updates(state, points)
        if losses:
            variables.update(variables_of(after))
            variables[PREVIOUS_LOSS] = np.array(losses[-1], np.float64)
        return len(losses)

    def _small_points(self, batch: Batch, centers: NDArray[Any]) -> NDArray[Any] | None:
        try:
            points = batch.get(self._points.points)
        except (TypeError, ValueError):
            return None  # its own step says why
        if batch.weights is not None or not clustering.is_small_step(points, centers):
            return None
        return np.asarray(points)

    def _points_and_centers(self, batch: Batch) -> tuple[kernels.Points, NDArray[Any]]:
        centers = batch.variables[CLUSTERS]
        check_width(batch.get(points_of), centers.shape[1], batch.index)
        return batch.get(self._points.points), centers


@kernels.in_usual_float_mode
def _quotient(dividend: float, divisor: float) -> float:
    return dividend / divisor if divisor else math.nan
