"""What a k-means model keeps in checkpoints: its variables by name, and what it must agree with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.clustering import ClusterState

CLUSTERS = "clusters"
COUNTS = "cluster_counts"
UPDATED_CLUSTERS = "clusters_updated"
UPDATE_IN_STEPS = "update_in_steps"
INITIALIZED = "initialized"
PREVIOUS_LOSS = "previous_loss"


def identity_of(distance_metric: str) -> dict[str, str]:
    """What a checkpoint and a model must agree on."""
    return {"model": "KMeansClustering", "distance_metric": distance_metric}


def state_of(variables: Mapping[str, NDArray[Any]]) -> ClusterState:
    """The clustering state that the named variables hold."""
    return ClusterState(
        variables[CLUSTERS],
        variables[COUNTS],
        variables[UPDATED_CLUSTERS],
        int(variables[UPDATE_IN_STEPS]),
    )


def variables_of(state: ClusterState) -> dict[str, NDArray[Any]]:
    """The named variables that hold a clustering state."""
    return {
        CLUSTERS: state.centers,
        COUNTS: state.counts,
        UPDATED_CLUSTERS: state.updated_centers,
        UPDATE_IN_STEPS: np.array(state.steps_in_iteration, np.int64),
    }


def variables_before_training(state: ClusterState) -> dict[str, NDArray[Any]]:
    """All named variables of a model that has not been trained yet."""
    return {
        **variables_of(state),
        INITIALIZED: np.array(False),
        PREVIOUS_LOSS: np.array(np.nan, np.float64),
    }


def num_empty_clusters(
    variables: Mapping[str, NDArray[Any]], params: Mapping[str, Any]
) -> int | None:
    """How many clusters have no points after a training run.

    Args:
        variables: Those of a checkpoint.
        params: The arguments of the model that trained, as `KMeansClustering.params` or a
            checkpoint has them.

    Returns:
        For full batches the clusters that no point of the last step was nearest to; for
        mini-batches those that have had no point so far; for several mini-batches to an iteration
        those that had none in it, and None in the middle of one, when nobody knows yet.

    >>> variables = {COUNTS: np.array([7, 0, 1])}
    >>> num_empty_clusters(variables, {"use_mini_batch": False})
    1
    """
    counts = variables[COUNTS]
    if not params["use_mini_batch"]:
        return int((counts == 0).sum())
    if params["mini_batch_steps_per_iteration"] == 1:
        # The initial center counts as one point in an update, but it is not one.
        return int((counts <= 1).sum())
    return None if variables[UPDATE_IN_STEPS] else int((counts == 0).sum())


def has_converged(variables: Mapping[str, NDArray[Any]]) -> bool:
    """Whether the training that left these variables was stopped by its tolerance.

    A run that stops for another reason leaves the loss of its last step, for the next one to
    compare with. Before the first step there is none: then the answer is False. For a model that
    was imported from TensorFlow and not trained since, nobody knows: then it is True.
    """
    return bool(np.isnan(variables[PREVIOUS_LOSS])) and int(variables["global_step"]) > 0
