"""Clustering of points wherever they are: in this process, or in shards on workers."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from centroids import kernels
from centroids.clustering._draws import WeightTotals
from centroids.clustering._initialization import (
    InitialCenters,
    choose_initial_centers,
    choose_initial_centers_of_shards,
)
from centroids.clustering._seeding_shard import SeedingShard
from centroids.clustering.points import locate_bad_points
from centroids.distribute import Part, ShardedPoints
from centroids.kernels.row_weights import UNIT_EXPONENT
from centroids.rows import WeightedPoints

AnyPoints: TypeAlias = kernels.Points | ShardedPoints
AnyBatch: TypeAlias = AnyPoints | WeightedPoints


def assign(
    points: AnyPoints,
    centers: NDArray[Any],
    *,
    cosine: bool = False,
    update: bool = False,
    labels: bool = True,
    weights: NDArray[np.float64] | None = None,
    memory: kernels.AssignmentMemory | None = None,
    same_points: bool = False,
) -> kernels.Assignment:
    """As `kernels.assign`; of points in shards only sums, counts and inertia travel, not labels.

    Sums do not depend on order, so the result is equal to the bit wherever the points are. Points
    in shards have their weights with them: `weights` is None then.
    """
    if not isinstance(points, ShardedPoints):
        return kernels.assign(
            points,
            centers,
            cosine=cosine,
            update=update,
            labels=labels,
            weights=weights,
            memory=memory,
            same_points=same_points,
        )
    return partial_assignment(points, centers, cosine=cosine, update=update, memory=memory).finish()


def partial_assignment(
    points: AnyPoints,
    centers: NDArray[Any],
    *,
    cosine: bool = False,
    update: bool = True,
    weights: NDArray[np.float64] | None = None,
    memory: kernels.AssignmentMemory | None = None,
) -> kernels.PartialAssignment:
    """As `kernels.assign_partial`, of all the points; those in shards have their weights."""
    if not isinstance(points, ShardedPoints):
        return kernels.assign_partial(
            points, centers, cosine=cosine, update=update, weights=weights, memory=memory
        )
    remember = memory is not None and points.is_whole
    found: kernels.PartialAssignment = points.fold(_assign_part, centers, cosine, update, remember)
    return found


def weights_of_shards(points: ShardedPoints) -> NDArray[np.float64] | None:
    """The weights that points in shards have with them, [n] in this process; None: they have none.

    Take few of the points: `points[rows]`.
    """
    if not points.weighted:
        return None
    weights: NDArray[np.float64] = points.map(_weights_of_part)
    return weights


def cluster_index(
    points: AnyPoints, centers: NDArray[Any], *, cosine: bool = False
) -> NDArray[np.int32]:
    """The labels of points, [n], in this process."""
    if not isinstance(points, ShardedPoints):
        return kernels.assign(points, centers, cosine=cosine, inertia=False).cluster_index
    index: NDArray[np.int32] = points.map(_index_of_part, centers, cosine)
    return index


def all_distances(
    points: AnyPoints, centers: NDArray[Any], *, cosine: bool = False
) -> NDArray[Any]:
    """As `kernels.all_distances`."""
    if not isinstance(points, ShardedPoints):
        return kernels.all_distances(points, centers, cosine=cosine)
    distances: NDArray[Any] = points.map(_distances_of_part, centers, cosine)
    return distances


def total_weight(points: AnyPoints, weights: NDArray[np.float64] | None = None) -> float:
    """The sum of the weights of points, rounded once; their number where they have none."""
    if isinstance(points, ShardedPoints) and points.weighted:
        return float(Fraction(points.fold(_total_of_part)) * Fraction(2) ** UNIT_EXPONENT)
    return points.shape[0] if weights is None else math.fsum(weights)


def choose_initial_centers_anywhere(
    batches: Iterable[AnyBatch],
    num_clusters: int,
    method: InitialCenters,
    *,
    seed: int | np.random.Generator = 0,
    cosine: bool = False,
    num_retries: int = 2,
    whole_input_in_batch: bool = False,
    batches_end: bool = False,
) -> NDArray[Any]:
    """As `choose_initial_centers`; of points in shards only those that may be centers travel."""
    remaining: Any = iter(batches)
    first: Any = next(remaining, None)
    if isinstance(first, ShardedPoints) and not callable(method):
        with locate_bad_points(0):
            return choose_initial_centers_of_shards(
                _Seeding(first, cosine),
                num_clusters,
                method,
                seed=seed,
                cosine=cosine,
                num_retries=num_retries,
                whole_input_in_batch=whole_input_in_batch,
            )
    return choose_initial_centers(
        itertools.chain([] if first is None else [first], remaining),
        num_clusters,
        method,
        seed=seed,
        cosine=cosine,
        num_retries=num_retries,
        whole_input_in_batch=whole_input_in_batch,
        batches_end=batches_end,
    )


class _Seeding:
    """Points in shards as the `Shards` that initial centers are chosen from."""

    def __init__(self, points: ShardedPoints, cosine: bool) -> None:
        self._points, self._name = points, f"seeding, cosine={cosine}"
        self._make = functools.partial(SeedingShard, cosine=cosine)
        self.num_rows, self.dimensions = points.shape
        self.weighted = points.weighted
        self.dtype = kernels.result_dtype(np.empty(0, points.dtype))

    def ask(self, method: str, *arguments: Any) -> list[Any]:
        """Calls a method of every SeedingShard."""
        return self._points.ask(self._name, self._make, method, *arguments)


def _assign_part(
    part: Part, centers: NDArray[Any], cosine: bool, update: bool, remember: bool
) -> kernels.PartialAssignment:
    memory = memory_of(part, remember)
    return kernels.assign_partial(
        part.points,
        centers,
        cosine=cosine,
        update=update,
        weights=part.weights,
        memory=memory,
        same_points=memory is not None,
    )


def _total_of_part(part: Part) -> int:
    assert part.weights is not None
    return WeightTotals.of(part.weights).total


def memory_of(part: Part, remember: bool) -> kernels.AssignmentMemory | None:
    """What a part remembers of earlier assignments, if it is to."""
    if not (remember and part.stays):
        return None
    memory: kernels.AssignmentMemory = part.kept.setdefault(
        "assignment", kernels.AssignmentMemory()
    )
    return memory


def _weights_of_part(part: Part) -> NDArray[np.float64]:
    assert part.weights is not None
    return part.weights


def _index_of_part(part: Part, centers: NDArray[Any], cosine: bool) -> NDArray[np.int32]:
    return kernels.assign(part.points, centers, cosine=cosine, inertia=False).cluster_index


def _distances_of_part(part: Part, centers: NDArray[Any], cosine: bool) -> NDArray[Any]:
    return kernels.all_distances(part.points, centers, cosine=cosine)
