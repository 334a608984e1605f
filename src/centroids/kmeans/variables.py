"""What a k-means model keeps in checkpoints: its variables by name, and what it must agree with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.clustering import ClusterState, Preparation
from centroids.estimator import Checkpoint

CLUSTERS = "clusters"
COUNTS = "cluster_counts"
UPDATED_CLUSTERS = "clusters_updated"
UPDATE_IN_STEPS = "update_in_steps"
INITIALIZED = "initialized"
PREVIOUS_LOSS = "previous_loss"
# Of models that prepare points.
COLUMN_MEANS = "column_means"
COLUMN_SCALES = "column_scales"

NO_CLUSTER = -1  # the index of a row of predictions that has missing values
_FILLS = ("missing", "mean")


def identity_of(
    distance_metric: str, *, fills: bool = False, standardize: bool = False
) -> dict[str, str]:
    """What a checkpoint and a model must agree on.

    Args:
        distance_metric: How distances are measured.
        fills: Whether missing values become means.
        standardize: Whether columns are scaled.
    """
    identity = {"model": "KMeansClustering", "distance_metric": distance_metric}
    identity |= {_FILLS[0]: _FILLS[1]} if fills else {}
    return identity | ({"standardize": "True"} if standardize else {})


def fills_missing(identity: Mapping[str, str]) -> bool:
    """Whether a model of this identity fills missing values with means."""
    return identity.get(_FILLS[0]) == _FILLS[1]


def preparation_of(
    variables: Mapping[str, NDArray[Any]], *, fills: bool = False
) -> Preparation | None:
    """What a model does to points before it clusters them; None for one that does nothing.

    Args:
        variables: Those of a checkpoint.
        fills: Whether missing values become means; see `fills_missing`.
    """
    if COLUMN_MEANS not in variables:
        return None
    return Preparation(variables[COLUMN_MEANS], variables.get(COLUMN_SCALES), fills)


def variables_of_preparation(preparation: Preparation) -> dict[str, NDArray[Any]]:
    """The named variables that hold a preparation."""
    scales = {} if preparation.scales is None else {COLUMN_SCALES: preparation.scales}
    return {COLUMN_MEANS: preparation.means, **scales}


def centers_in_units(variables: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """The centers in the units of the points, where a model scales columns.

    >>> variables = {CLUSTERS: np.array([[0.0], [1.0]]), COLUMN_MEANS: np.array([5.0])}
    >>> centers_in_units({**variables, COLUMN_SCALES: np.array([2.0])}).tolist()
    [[5.0], [7.0]]
    """
    preparation = preparation_of(variables)
    centers = variables[CLUSTERS]
    return centers if preparation is None else preparation.undo(centers)


def with_centers_in_units(checkpoint: Checkpoint) -> Checkpoint:
    """A checkpoint whose centers are in the units of the points, for a model of other scales."""
    preparation = preparation_of(checkpoint.variables)
    if preparation is None or preparation.scales is None:
        return checkpoint
    held = dict(checkpoint.variables)
    for name in (CLUSTERS, UPDATED_CLUSTERS):
        held[name] = preparation.undo(held[name])
    return dataclasses.replace(checkpoint, variables=held)


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
