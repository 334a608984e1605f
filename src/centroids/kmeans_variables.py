"""What a k-means keeps in checkpoints: its variables by name, and what it must agree with."""

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
