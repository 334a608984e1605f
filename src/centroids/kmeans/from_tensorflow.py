"""Our variables from those of a KMeansClustering that TensorFlow trained.

The names are those of `tf.contrib.factorization` since r1.4 and of
`tf.compat.v1.estimator.experimental.KMeans`, which is the same code:

    global_step        int64 []
    clusters           float32 [k, d]
    initialized        bool []
    Variable           int64 [k], the counts of mini-batches; it has no name of its own
    clusters_updated   float32 [k, d]    only with several mini-batches per iteration
    update_in_steps    int64 []          likewise: how many are left of the iteration

`tf.contrib.learn.KMeansClustering`, which came before, has the same variables. What the variables
do not tell, the graph beside the checkpoint does.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.checkpoints.tensorflow import TensorFlowCheckpoint, open_tensorflow_checkpoint
from centroids.clustering import ClusterState, initial_state
from centroids.errors import Argument, WordedError
from centroids.estimator import Checkpoint
from centroids.kernels import Counts, in_usual_float_mode
from centroids.kmeans._tensorflow_graph import read_graph
from centroids.kmeans.variables import (
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


@dataclass(frozen=True)
class TrainingSettings:
    """How a model is trained, by the names of KMeansClustering's arguments; None: not known.

    Attributes:
        distance_metric: "squared_euclidean" or "cosine".
        use_mini_batch: Whether mini-batches are trained on, or full batches.
        mini_batch_steps_per_iteration: Mini-batches per iteration; 1 for full batches.
    """

    distance_metric: str | None
    use_mini_batch: bool | None
    mini_batch_steps_per_iteration: int | None


class ContradictionError(ValueError):
    """An argument contradicts the model that TensorFlow trained."""

    def __init__(self, argument: str, given: object, stored: object, path: str) -> None:
        remedy = "give that"
        if argument != "distance_metric":
            remedy += ", or make a folder of it with centroids import, and change the mode there"
        super().__init__(
            f"{argument} is {given!r}, but {path} was trained with {argument}={stored!r}; {remedy}"
        )
        self.argument, self.given, self.stored, self.path = argument, given, stored, path

    def __reduce__(self) -> tuple[Any, ...]:
        """For passing errors between processes."""
        return type(self), (self.argument, self.given, self.stored, self.path)


@in_usual_float_mode
def load_kmeans_from_tensorflow(
    path: str | os.PathLike[str], given: TrainingSettings | None
) -> tuple[Checkpoint, TrainingSettings]:
    """Reads what TensorFlow trained as a checkpoint that training can continue from.

    Args:
        path: A model folder of TensorFlow, or the prefix of a checkpoint there.
        given: The settings of the model as far as the caller knows them. None takes the variables
            alone, for a model that is trained in its own way: an iteration of several mini-batches
            is then left where its centers were last put into force.

    Returns:
        The checkpoint, and what the graph beside TensorFlow's checkpoint says of the settings:
        nothing if there is no graph. If the graph says nothing, the checkpoint's identity and
        params have the given settings; the metric is then squared Euclidean by default.

    Raises:
        ContradictionError: If the graph contradicts `given`; a ValueError too.
        ValueError: If there is no checkpoint, it belongs to another model, or it needs a number of
            mini-batches per iteration.
        DamagedCheckpointError: If it is torn or altered; a ValueError too.
        OSError: If it cannot be read.
    """
    source = open_tensorflow_checkpoint(path)
    centers = _read_centers(source)
    counts: Counts | None = _read_counts(source, len(centers))
    stored = _stored_settings(source, has_counts=counts is not None)
    settings = stored if given is None else _agreed(given, stored, source.path)
    if settings.use_mini_batch is None:
        mode = _mode_of_variables(source, has_counts=counts is not None)
        settings = _agreed(settings, mode, source.path)
    steps_per_iteration = 1 if given is None else settings.mini_batch_steps_per_iteration
    if counts is None:
        counts = initial_state(centers, steps_per_iteration or 1).counts
    updated, steps = _read_iteration(source, centers, counts, steps_per_iteration)
    state = ClusterState(centers, counts, updated, steps)
    metric = settings.distance_metric or "squared_euclidean"
    checkpoint = Checkpoint(
        variables={
            **variables_before_training(state),
            INITIALIZED: np.array(True),
            _STEP: np.array(_read_scalar(source, _STEP), np.int64),
        },
        identity=identity_of(metric),
        params=_params(len(centers), metric, settings),
        path=source.path,
    )
    return checkpoint, stored


def _stored_settings(source: TensorFlowCheckpoint, *, has_counts: bool) -> TrainingSettings:
    graph = read_graph(source.path, _REMAINING)
    if graph is None:
        return TrainingSettings(None, None, None)
    mode = _mode_of_variables(source, has_counts=has_counts)
    steps = graph.steps_per_iteration or mode.mini_batch_steps_per_iteration
    return replace(
        mode, distance_metric=graph.distance_metric, mini_batch_steps_per_iteration=steps
    )


def _agreed(given: TrainingSettings, stored: TrainingSettings, path: str) -> TrainingSettings:
    """What is given or stored; if both are, they must agree."""
    merged: dict[str, Any] = {}
    for name in ("distance_metric", "use_mini_batch", "mini_batch_steps_per_iteration"):
        ours, theirs = getattr(given, name), getattr(stored, name)
        if ours is not None and theirs is not None and ours != theirs:
            raise ContradictionError(name, ours, theirs, path)
        merged[name] = ours if theirs is None else theirs
    return TrainingSettings(**merged)


def _mode_of_variables(source: TensorFlowCheckpoint, *, has_counts: bool) -> TrainingSettings:
    """What the variables alone show."""
    several = _REMAINING in source.variables
    return TrainingSettings(None, has_counts or several, None if several else 1)


def _params(num_clusters: int, metric: str, settings: TrainingSettings) -> dict[str, Any]:
    """The params of an Estimator that would have trained the model, as far as they are known."""
    params = {
        "num_clusters": num_clusters,
        "distance_metric": metric,
        "use_mini_batch": settings.use_mini_batch,
        "mini_batch_steps_per_iteration": settings.mini_batch_steps_per_iteration,
    }
    return {name: value for name, value in params.items() if value is not None}


def _read_centers(source: TensorFlowCheckpoint) -> NDArray[Any]:
    missing = [name for name in (CLUSTERS, _STEP) if name not in source.variables]
    if missing:
        raise ValueError(
            f"{source.path} is not a checkpoint of KMeansClustering: it has no variable "
            f"{missing[0]!r}, only {_list(source)}"
        )
    if INITIALIZED in source.variables and not _read_scalar(source, INITIALIZED):
        raise ValueError(
            f"{source.path} was saved before all initial centers were chosen, so there is no model "
            "to import; train it with TensorFlow for a step first"
        )
    centers = source.read(CLUSTERS)
    if centers.dtype not in (np.float32, np.float64) or centers.ndim != 2 or 0 in centers.shape:
        raise ValueError(
            f"{source.path} is not a checkpoint of KMeansClustering: {CLUSTERS} should be "
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
    counts: Counts,
    steps_per_iteration: int | None,
) -> tuple[NDArray[Any], int]:
    """Where an iteration of several mini-batches stands: its centers and number of steps."""
    if _REMAINING not in source.variables or UPDATED_CLUSTERS not in source.variables:
        return centers, 0
    remaining = max(_read_scalar(source, _REMAINING), 0)
    fewest = remaining + (1 if counts.any() else 0)
    if steps_per_iteration is None or 1 < steps_per_iteration < fewest:
        given = "was not given" if steps_per_iteration is None else f"is {steps_per_iteration}"
        raise WordedError(
            Argument("mini_batch_steps_per_iteration"),
            f" {given}, but {source.path} was trained with several "
            f"mini-batches per iteration and is {remaining} before the end of one",
            remedy="give the number that it was trained with",
        )
    if steps_per_iteration == 1:
        return centers, 0
    updated = source.read(UPDATED_CLUSTERS)
    if updated.shape != centers.shape or updated.dtype != centers.dtype:
        raise ValueError(
            f"{source.path} is not a checkpoint of KMeansClustering: {UPDATED_CLUSTERS} is "
            f"{updated.dtype} of shape {list(updated.shape)}, but {CLUSTERS} is {centers.dtype} "
            f"of shape {list(centers.shape)}"
        )
    _check_finite(source, UPDATED_CLUSTERS, updated)
    return updated, steps_per_iteration - remaining


def _read_scalar(source: TensorFlowCheckpoint, name: str) -> int:
    value = source.read(name)
    if value.shape != () or value.dtype.kind not in "biu":
        raise ValueError(
            f"{source.path} is not a checkpoint of KMeansClustering: {name} should be one "
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
