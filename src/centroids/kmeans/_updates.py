"""The update by a batch, and what it does for clusters that have no points, or hardly any."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from centroids import clustering, kernels
from centroids.clustering import ClusterState
from centroids.estimator import Batch, BatchFunction
from centroids.kmeans.variables import state_of

if TYPE_CHECKING:
    from centroids.kmeans.model import KMeansModel

EmptyClusters: TypeAlias = Literal["keep", "relocate"]

RELOCATED_CLUSTERS = "relocated_clusters"
REASSIGNED_CLUSTERS = "reassigned_clusters"
_INITIAL_COUNT = 1  # of a center of mini-batches, which is no point


class Updates:
    """Functions of the batches of a training run that say what an update makes of the centers.

    Args:
        model: Its arguments.
        assignment: The assigned batch, with sums and counts.
        points_and_centers: The points of a batch, and the centers that they were assigned to.
        memory: That of the assignments, or None.
    """

    def __init__(
        self,
        model: KMeansModel,
        assignment: Callable[[Batch], kernels.Assignment],
        points_and_centers: Callable[[Batch], tuple[kernels.Points, NDArray[Any]]],
        memory: kernels.AssignmentMemory | None,
    ) -> None:
        self._model, self._memory = model, memory
        self._assignment, self._points_and_centers = assignment, points_and_centers

    def states(self, batch: Batch) -> tuple[ClusterState, ClusterState]:
        """The states before and after the update of the batch."""
        before, updated = batch.get(self._updated)
        return before, self._reassign(batch, before, updated)

    def scalars(self) -> dict[str, BatchFunction]:
        """How many clusters an update has moved, by tag; nothing where it moves none."""
        if self._model.empty_clusters == "relocate":
            return {RELOCATED_CLUSTERS: self._count_relocated}
        return {REASSIGNED_CLUSTERS: self._count_reassigned} if self._reassigns else {}

    @property
    def are_plain(self) -> bool:
        """Whether each mini-batch moves the centers that it was assigned to, and nothing else."""
        model = self._model
        each = model.use_mini_batch and model.mini_batch_steps_per_iteration == 1
        return each and model.empty_clusters == "keep" and not self._reassigns

    @property
    def _reassigns(self) -> bool:
        return self._model.reassignment_ratio > 0

    def _relocated(self, batch: Batch) -> kernels.Assignment:
        found = batch.get(self._assignment)
        if self._model.empty_clusters == "keep":
            return found
        points, centers = self._points_and_centers(batch)
        with clustering.locate_bad_points(batch.index):
            return clustering.relocate_empty_clusters(
                points,
                centers,
                found,
                cosine=self._model.cosine,
                weights=batch.weights,
                memory=self._memory,
            )

    def _updated(self, batch: Batch) -> tuple[ClusterState, ClusterState]:
        """The states before and after the update, where no center is reassigned yet."""
        before, found = state_of(batch.variables), batch.get(self._relocated)
        model, cosine = self._model, self._model.cosine
        if not model.use_mini_batch:
            return before, clustering.full_batch_update(before, found, cosine=cosine)
        steps = model.mini_batch_steps_per_iteration
        if steps == 1:
            return before, clustering.mini_batch_update(before, found)
        return before, clustering.multi_step_update(before, found, steps, cosine=cosine)

    def _reassign(self, batch: Batch, before: ClusterState, updated: ClusterState) -> ClusterState:
        if not self._reassigns:
            return updated
        points, _ = self._points_and_centers(batch)
        count = clustering.rows_with_weight(points, batch.weights).size
        step = int(batch.variables["global_step"])
        if not clustering.is_reassignment_due(before, count, step, initial_count=_INITIAL_COUNT):
            return updated
        return clustering.reassign_low_count_centers(
            updated,
            points,
            self._model.reassignment_ratio,
            key=(*_key_of(batch.random), step),
            cosine=self._model.cosine,
            weights=batch.weights,
            initial_count=_INITIAL_COUNT,
        )

    def _count_relocated(self, batch: Batch) -> int:
        before, after = batch.get(self._assignment).counts, batch.get(self._relocated).counts
        assert before is not None and after is not None  # as in every training
        return int(((before == 0) & (after > 0)).sum())

    def _count_reassigned(self, batch: Batch) -> int:
        _, updated = batch.get(self._updated)
        _, after = batch.get(self.states)
        return int((after.centers != updated.centers).any(axis=1).sum())


def _key_of(random: np.random.Generator) -> tuple[int, int]:
    """The state of a generator, which does not change by looking at it.

    Drawing from it would: a step that is interrupted after the draw and made again later would
    draw other rows.
    """
    state = random.bit_generator.state["state"]
    return int(state["state"]), int(state["inc"])
