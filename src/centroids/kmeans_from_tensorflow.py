"""Our variables from those of a KMeansClustering that TensorFlow trained.

The names are those of `tf.contrib.factorization` since r1.4 and of
`tf.compat.v1.estimator.experimental.KMeans`, which is the same code:

    global_step        int64 []
    clusters           float32 [k, d]
    initialized        bool []
    Variable           int64 [k], the counts of mini-batches; it has no name of its own
    clusters_updated   float32 [k, d]    only with several mini-batches per iteration
    update_in_steps    int64 []          likewise: how many are left of the iteration
"""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.clustering import ClusterState, initial_state
from centroids.estimator import Checkpoint
from centroids.export.tensorflow_checkpoint import TensorFlowCheckpoint, open_tensorflow_checkpoint
from centroids.kmeans_variables import (
    CLUSTERS,
    INITIALIZED,
    UPDATED_CLUSTERS,
    identity_of,
    variables_before_training,
)

_REMAINING = "update_in_steps"
_STEP = "global_step"
# An input function that makes variables of its own takes the first numbers.
_UNNAMED = re.compile(r"Variable(?:_(\d{1,9}))?")


def load_kmeans_from_tensorflow(
    path: str | os.PathLike[str], distance_metric: str, steps_per_iteration: int | None
) -> Checkpoint:
    """Reads what TensorFlow trained as a checkpoint that training can go on from.

    Args:
        path: A model folder of TensorFlow, or the prefix of a checkpoint there.
        distance_metric: That of the model; TensorFlow's checkpoints do not tell it.
        steps_per_iteration: Mini-batches per iteration from now on, 1 for full batches. None if
            that is not known.

    Raises:
        ValueError: If there is no checkpoint, it is of another model, or it needs another
            `steps_per_iteration`.
        DamagedCheckpointError: If it is torn or altered; a ValueError too.
        OSError: If it cannot be read.
    """
    source = open_tensorflow_checkpoint(path)
    centers = _read_centers(source)
    counts = _read_counts(source, len(centers))
    if counts is None:
        counts = initial_state(centers, steps_per_iteration or 1).counts
    updated, steps = _read_iteration(source, centers, counts, steps_per_iteration)
    state = ClusterState(centers, counts, updated, steps)
    return Checkpoint(
        variables={
            **variables_before_training(state),
            INITIALIZED: np.array(True),
            _STEP: np.array(_read_scalar(source, _STEP), np.int64),
        },
        identity=identity_of(distance_metric),
        path=source.path,
    )


def _read_centers(source: TensorFlowCheckpoint) -> NDArray[Any]:
    missing = [name for name in (CLUSTERS, _STEP) if name not in source.variables]
    if missing:
        raise ValueError(
            f"{source.path} is of another model than KMeansClustering: it has no variable "
            f"{missing[0]!r}, only {_list(source)}"
        )
    if INITIALIZED in source.variables and not _read_scalar(source, INITIALIZED):
        raise ValueError(
            f"{source.path} was saved before all initial centers were chosen; train anew in "
            "another model_dir"
        )
    centers = source.read(CLUSTERS)
    if centers.dtype not in (np.float32, np.float64) or centers.ndim != 2 or 0 in centers.shape:
        raise ValueError(
            f"{source.path} is of another model than KMeansClustering: {CLUSTERS} should be "
            f"numbers of shape [k, d], and is {centers.dtype} of shape {list(centers.shape)}"
        )
    _check_finite(source, CLUSTERS, centers)
    return centers


def _read_counts(source: TensorFlowCheckpoint, num_clusters: int) -> NDArray[np.int64] | None:
    found = [
        (int(match[1] or 0), name)
        for name, variable in source.variables.items()
        if (match := _UNNAMED.fullmatch(name))
        and variable.dtype == np.int64
        and variable.shape == (num_clusters,)
    ]
    if not found:
        return None
    name = max(found)[1]
    counts = source.read(name)
    if (counts < 0).any():
        raise ValueError(f"{source.path}: the counts of points ({name}) should not be negative")
    return counts


def _read_iteration(
    source: TensorFlowCheckpoint,
    centers: NDArray[Any],
    counts: NDArray[np.int64],
    steps_per_iteration: int | None,
) -> tuple[NDArray[Any], int]:
    """Where an iteration of several mini-batches stands: its centers and number of steps."""
    if _REMAINING not in source.variables or UPDATED_CLUSTERS not in source.variables:
        return centers, 0
    remaining = max(_read_scalar(source, _REMAINING), 0)
    fewest = remaining + (1 if counts.any() else 0)
    if steps_per_iteration is None or 1 < steps_per_iteration < fewest:
        given = "was not given" if steps_per_iteration is None else f"is {steps_per_iteration}"
        raise ValueError(
            f"mini_batch_steps_per_iteration {given}, but {source.path} was trained with several "
            f"mini-batches per iteration and stands {remaining} before the end of one; give the "
            "number that it was trained with"
        )
    if steps_per_iteration == 1:
        return centers, 0
    updated = source.read(UPDATED_CLUSTERS)
    if updated.shape != centers.shape or updated.dtype != centers.dtype:
        raise ValueError(
            f"{source.path} is of another model than KMeansClustering: {UPDATED_CLUSTERS} is "
            f"{updated.dtype} of shape {list(updated.shape)}, but {CLUSTERS} is {centers.dtype} "
            f"of shape {list(centers.shape)}"
        )
    _check_finite(source, UPDATED_CLUSTERS, updated)
    return updated, steps_per_iteration - remaining


def _read_scalar(source: TensorFlowCheckpoint, name: str) -> int:
    value = source.read(name)
    if value.shape != () or value.dtype.kind not in "biu":
        raise ValueError(
            f"{source.path} is of another model than KMeansClustering: {name} should be one "
            f"number, and is {value.dtype} of shape {list(value.shape)}"
        )
    return int(value)


def _check_finite(source: TensorFlowCheckpoint, name: str, centers: NDArray[Any]) -> None:
    if not np.isfinite(centers).all():
        row, column = np.argwhere(~np.isfinite(centers))[0]
        raise ValueError(
            f"{source.path}: {name} has {centers[row, column]} in row {row}, column {column}; "
            "use an earlier checkpoint"
        )


def _list(source: TensorFlowCheckpoint) -> str:
    names = [
        f"{name} {list(variable.shape)}" for name, variable in list(source.variables.items())[:8]
    ]
    more = len(source.variables) - len(names)
    return ", ".join(names or ["none"]) + (f" and {more} more" if more > 0 else "")
