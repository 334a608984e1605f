"""Clustering of points wherever they are: in this process, or in shards on workers."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from centroids import kernels
from centroids.clustering._initialization import (
    InitialCenters,
    choose_initial_centers,
    choose_initial_centers_of_shards,
)
from centroids.clustering._seeding_shard import SeedingShard
from centroids.clustering.points import locate_bad_points
from centroids.distribute import Part, ShardedPoints

AnyPoints: TypeAlias = kernels.Points | ShardedPoints


def assign(
    points: AnyPoints,
    centers: NDArray[Any],
    *,
    cosine: bool = False,
    update: bool = False,
    labels: bool = True,
    memory: kernels.AssignmentMemory | None = None,
) -> kernels.Assignment:
    """As `kernels.assign`; of points in shards only sums, counts and inertia travel, not labels.

    Sums do not depend on order, so the result is equal to the bit wherever the points are.
    """
    if not isinstance(points, ShardedPoints):
        return kernels.assign(
            points, centers, cosine=cosine, update=update, labels=labels, memory=memory
        )
    remember = memory is not None and points.is_whole
    partial = points.fold(_assign_part, centers, cosine, update, remember)
    found: kernels.Assignment = partial.finish()
    return found


def cluster_index(
    points: ShardedPoints, centers: NDArray[Any], *, cosine: bool = False
) -> NDArray[np.int32]:
    """The labels of points in shards, [n], in this process."""
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


def choose_initial_centers_anywhere(
    batches: Iterable[AnyPoints],
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
        self.dtype = kernels.result_dtype(np.empty(0, points.dtype))

    def ask(self, method: str, *arguments: Any) -> list[Any]:
        """Calls a method of every SeedingShard."""
        return self._points.ask(self._name, self._make, method, *arguments)


def _assign_part(
    part: Part, centers: NDArray[Any], cosine: bool, update: bool, remember: bool
) -> kernels.PartialAssignment:
    memory = None
    if remember and part.stays:
        memory = part.kept.setdefault("assignment", kernels.AssignmentMemory())
    return kernels.assign_partial(part.points, centers, cosine=cosine, update=update, memory=memory)


def _index_of_part(part: Part, centers: NDArray[Any], cosine: bool) -> NDArray[np.int32]:
    return kernels.assign(part.points, centers, cosine=cosine).cluster_index


def _distances_of_part(part: Part, centers: NDArray[Any], cosine: bool) -> NDArray[Any]:
    return kernels.all_distances(part.points, centers, cosine=cosine)
