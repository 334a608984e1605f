"""Whole fits of Lloyd's algorithm: iterations until nothing changes, or little does."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.clustering import lloyd_iterations
from centroids.kernels import AssignmentMemory, Points, assign, in_usual_float_mode, num_rows
from centroids.progress import Activity


@dataclass(frozen=True)
class Fit:
    """What a fit ends with.

    Attributes:
        centers: [k, d], after the last update.
        labels: [n] int32, of the nearest of these centers.
        inertia: The sum of the distances to them, by weight.
        iterations: The number of updates.
    """

    centers: NDArray[Any]
    labels: NDArray[np.int32]
    inertia: float
    iterations: int


def lloyd(
    points: Points,
    centers: NDArray[Any],
    *,
    weights: NDArray[np.float64] | None,
    cosine: bool,
    most_iterations: int,
    tolerance: float,
    verbose: bool,
) -> Fit:
    """Iterates until no label changes, the centers' squared shift is small, or it is the last.

    Args:
        points: [n, d], dense or compressed sparse rows.
        centers: [k, d], the initial ones.
        weights: [n], of the rows; None: 1.
        cosine: Whether the distance is cosine.
        most_iterations: At least 1.
        tolerance: Of the sum of the squared distances that the centers move in an iteration.
        verbose: Print what happens, as scikit-learn does, and show how far the fit has come.
    """
    memory = AssignmentMemory()
    before: NDArray[np.int32] | None = None
    iterations = lloyd_iterations(
        points, centers, memory=memory, cosine=cosine, labels=True, weights=weights, relocate=True
    )
    shown = Activity("fitting k-means", most_iterations, "iterations")
    with shown if verbose else contextlib.nullcontext():
        for iteration, (found, moved) in enumerate(itertools.islice(iterations, most_iterations)):
            shown.update(iteration, values={"inertia": float(found.inertia)})
            if verbose:
                print(f"Iteration {iteration}, inertia {found.inertia}.")
            if before is not None and np.array_equal(found.cluster_index, before):
                if verbose:
                    print(f"Converged at iteration {iteration}: strict convergence.")
                if np.array_equal(moved, centers):
                    return Fit(centers, found.cluster_index, found.inertia, iteration + 1)
                centers = moved
                break
            shift, centers = squared_shift(centers, moved), moved
            if shift <= tolerance:
                if verbose:
                    within = f"within tolerance {tolerance}"
                    print(f"Converged at iteration {iteration}: center shift {shift} {within}.")
                break
            before = found.cluster_index
    found = assign(points, centers, cosine=cosine, weights=weights, memory=memory)
    return Fit(centers, found.cluster_index, found.inertia, iteration + 1)


@in_usual_float_mode
def mean_variance(points: Points, dtype: np.dtype[Any], *, cosine: bool) -> float:
    """The mean of the variances of the columns, which `tol` is in units of.

    Args:
        points: [n, d], dense or compressed sparse rows.
        dtype: Of the centers.
        cosine: Those of the L2-normalised points; a zero vector counts as one of length 1 that
            is at right angles to all others.
    """
    n, d = num_rows(points), int(points.shape[1])
    found = assign(points, np.zeros((1, d), dtype), cosine=cosine, update=True, labels=False)
    assert found.sums is not None, "an update was asked for"
    mean = found.sums / n
    if cosine:
        return max(1.0 - float(np.square(mean).sum()), 0.0) / d
    return assign(points, mean.astype(dtype), labels=False).inertia / n / d


@in_usual_float_mode
def squared_shift(before: NDArray[Any], after: NDArray[Any]) -> float:
    """The sum of the squared distances that centers have moved."""
    return float(np.square(after - before, dtype=np.float64).sum())
