"""The update of mini-batches, and many small steps in one call."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.kernels import _native
from centroids.kernels._partial import Counts
from centroids.kernels.dense_or_sparse import dense_parts
from centroids.kernels.float_mode import in_usual_float_mode

_log = logging.getLogger("centroids.kernels.functions")


def move_centers(
    centers: NDArray[Any], sums: NDArray[np.float64], counts: Counts, totals: Counts
) -> NDArray[Any]:
    """Where each center x goes: x + (s - m x) / n, in float64 and rounded once to its own type.

    It computes in the floating-point mode of the caller, who has set the usual one.

    Args:
        centers: [k, d] float32 or float64.
        sums: [k, d], s: the sums of the points that each center got.
        counts: [k], m: how many these are, or what they weigh.
        totals: [k], n: likewise of all points that it ever had. Where that is 0, it stays.

    >>> centers, sums = np.array([[0.0], [7.0]]), np.array([[9.0], [0.0]])
    >>> move_centers(centers, sums, np.array([2, 0]), np.array([3, 0])).tolist()
    [[3.0], [7.0]]
    """
    moved = np.empty(centers.shape, centers.dtype)
    _native.move_centers(
        np.ascontiguousarray(centers),
        sums,
        counts.astype(np.float64),
        totals.astype(np.float64),
        moved,
    )
    return moved


@in_usual_float_mode
def mini_batch_steps(
    batches: Sequence[NDArray[Any]], centers: NDArray[Any], counts: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[np.int64], list[float]]:
    """Assigns batches one after the other, and moves the centers by each, in one call.

    Args:
        batches: Dense points as `check_points` returns them, as wide as the centers, each of the
            type of the centers or one that kernels compute in that type.
        centers: [k, d] float32 or float64.
        counts: [k], the points that each center stands for.

    Returns:
        The centers, the counts, and the inertia of each batch that was done before its update. A
        batch with a row without a finite distance, or whose inertia or update is not finite, is
        not done, nor are those after it; `assign` says what is wrong with it.

    >>> batches, centers = [np.array([[3.0]]), np.array([[4.0]])], np.array([[1.0]])
    >>> moved, counts, losses = mini_batch_steps(batches, centers, np.array([1]))
    >>> moved.tolist(), counts.tolist(), losses
    ([[2.6666666666666665]], [3], [4.0, 4.0])
    """
    if _log.isEnabledFor(logging.DEBUG):
        return centers, counts, []  # each assignment is to have its line
    moved, total = np.array(centers, order="C"), np.array(counts)
    losses = np.empty(len(batches))
    done = _native.mini_batch_steps([dense_parts(batch) for batch in batches], moved, total, losses)
    return moved, total, losses[:done].tolist()
