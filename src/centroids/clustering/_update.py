"""The three updates of the centers from one assigned batch.

All arithmetic is in float64; the result is rounded once to the type of the centers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from centroids.clustering._state import ClusterState
from centroids.kernels import (
    Assignment,
    Counts,
    in_usual_float_mode,
    l2_normalize,
    mini_batch_steps,
    move_centers,
    result_dtype,
)

# Multiply-adds of a batch: a few milliseconds, so that a signal does not wait long for many.
_SMALL_WORK = 1 << 26


@in_usual_float_mode
def full_batch_update(
    state: ClusterState, assignment: Assignment, *, cosine: bool = False
) -> ClusterState:
    """Center = sum / count, or of points that weigh the sum of w x / that of w: Lloyd's algorithm.

    An empty cluster keeps its center, and so does, for cosine, one whose points cancel out. For
    cosine the new center is L2-normalised.

    Args:
        state: The state before the batch.
        assignment: The batch against `state.centers`, with sums and counts.
        cosine: Whether the points were assigned by cosine distance.

    Returns:
        The new state; its counts are those of this batch.

    Source: Lloyd, Least squares quantization in PCM, IEEE Transactions on Information Theory 28,
    1982; for cosine Dhillon and Modha, Concept decompositions for large sparse text data using
    clustering, Machine Learning 42, 2001.

    >>> from centroids import kernels
    >>> from centroids.clustering._state import initial_state
    >>> state = initial_state(np.array([[0.0], [10.0], [99.0]]))
    >>> batch = kernels.assign(np.array([[1.0], [2.0], [11.0]]), state.centers, update=True)
    >>> full_batch_update(state, batch).centers.ravel().tolist()
    [1.5, 11.0, 99.0]
    """
    sums, counts = _sums_and_counts(assignment)
    if counts.all():
        means = sums / counts[:, None]
    else:
        means = sums / np.where(counts > 0, counts, 1)[:, None]
        means[counts == 0] = state.centers[counts == 0]
    if cosine:
        directions = l2_normalize(means)
        moved = (counts > 0) & directions.any(axis=1)
        means = np.where(moved[:, None], directions, state.centers)
    centers = means.astype(state.centers.dtype, copy=False)
    _check_finite(centers)
    return ClusterState(centers, counts, centers, 0)


@in_usual_float_mode
def mini_batch_update(state: ClusterState, assignment: Assignment) -> ClusterState:
    """X += (s - m x) / (n + m); n += m: each center becomes the mean of all points it ever had.

    Args:
        state: The state before the batch; n is its counts.
        assignment: The batch against `state.centers`; s and m are its sums and counts.

    Returns:
        The new state.

    Source: Sculley, Web-scale k-means clustering, WWW 2010, with the points of a batch taken
    together instead of one by one.

    >>> from centroids import kernels
    >>> from centroids.clustering._state import initial_state
    >>> state = initial_state(np.array([[0.0], [10.0]]))
    >>> batch = kernels.assign(np.array([[3.0], [3.0]]), state.centers, update=True)
    >>> after = mini_batch_update(state, batch)
    >>> after.centers.ravel().tolist(), after.counts.tolist()
    ([2.0, 10.0], [3, 1])
    """
    centers, counts = _move_towards(state.centers, state.counts, assignment)
    return ClusterState(centers, counts, centers, 0)


def mini_batch_updates(
    state: ClusterState, batches: Sequence[NDArray[Any]]
) -> tuple[ClusterState, list[float]]:
    """Assigns batches one after the other and updates the centers by each, in one call.

    Args:
        state: The state before the first of them; its counts are int64.
        batches: Dense points, as `kernels.mini_batch_steps` takes them.

    Returns:
        The state after those that were done, with the bits of `mini_batch_update` after each, and
        the inertia of each of them before its update. It stops before a batch that `kernels.assign`
        or `mini_batch_update` would refuse.

    >>> from centroids.clustering._state import initial_state
    >>> state = initial_state(np.array([[0.0], [10.0]]))
    >>> after, losses = mini_batch_updates(state, [np.array([[3.0], [3.0]]), np.array([[2.0]])])
    >>> after.centers.ravel().tolist(), after.counts.tolist(), losses
    ([2.0, 10.0], [4, 1], [18.0, 0.0])
    """
    before = cast("NDArray[np.int64]", state.counts)
    centers, counts, losses = mini_batch_steps(batches, state.centers, before)
    return ClusterState(centers, counts, centers, 0), losses


def is_small_step(points: Any, centers: NDArray[Any]) -> bool:
    """Whether `mini_batch_updates` takes a batch, and a signal need not wait long for many such.

    Args:
        points: [n, d], as `kernels.check_points` returns them.
        centers: [k, d'].
    """
    return (
        isinstance(points, np.ndarray)
        and points.shape[1] == centers.shape[1]
        and result_dtype(points) == centers.dtype
        and points.size * len(centers) <= _SMALL_WORK
    )


@in_usual_float_mode
def multi_step_update(
    state: ClusterState, assignment: Assignment, steps_per_iteration: int, *, cosine: bool = False
) -> ClusterState:
    """Gathers updates over several mini-batches, then puts them into force together.

    Points are assigned to `centers`; `updated_centers` moves. After every `steps_per_iteration`
    batches it becomes `centers` (L2-normalised for cosine; a center whose points cancel out stays);
    the counts stay, to show the sizes of the clusters, and begin at 0 in the next iteration.

    Args:
        state: The state before the batch.
        assignment: The batch against `state.centers`, with sums and counts.
        steps_per_iteration: At least 2.
        cosine: Whether the points were assigned by cosine distance.

    Returns:
        The new state.
    """
    if state.steps_in_iteration >= steps_per_iteration:  # TensorFlow stops before it does this
        state = _end_iteration(state, cosine)
    # Every iteration starts from nothing, even in a state that was trained in another mode.
    counts = state.counts if state.steps_in_iteration else np.zeros_like(state.counts)
    gathered, counts = _move_towards(state.updated_centers, counts, assignment)
    steps = state.steps_in_iteration + 1
    state = ClusterState(state.centers, counts, gathered, steps)
    return state if steps < steps_per_iteration else _end_iteration(state, cosine)


def _end_iteration(state: ClusterState, cosine: bool) -> ClusterState:
    centers = state.updated_centers
    if cosine:
        # A center whose points cancel out stays where it was.
        moved = (centers != 0).any(axis=1, keepdims=True)
        centers = np.where(moved, l2_normalize(centers), state.centers).astype(centers.dtype)
    return ClusterState(centers, state.counts, centers, 0)


def _move_towards(
    centers: NDArray[Any], counts: Counts, assignment: Assignment
) -> tuple[NDArray[Any], Counts]:
    sums, new_counts = _sums_and_counts(assignment)
    total: Counts = counts + new_counts
    moved = move_centers(centers, sums, new_counts, total)
    _check_finite(moved)
    return moved, total


def _check_finite(centers: NDArray[Any]) -> None:
    # Of float32 points neither sums nor means can overflow.
    if centers.dtype == np.float64 and not np.isfinite(centers).all():
        cluster, column = np.argwhere(~np.isfinite(centers))[0]
        raise ValueError(
            "points or centers are too large: the update overflows float64 in cluster "
            f"{cluster}, column {column}; scale them down"
        )


def _sums_and_counts(assignment: Assignment) -> tuple[NDArray[np.float64], Counts]:
    if assignment.sums is None or assignment.counts is None:
        raise ValueError("assignment has no sums and counts: call assign(..., update=True)")
    return assignment.sums, assignment.counts
