"""The algorithm: functions over arrays and a small state. Knows no files, hooks or steps."""

from centroids.clustering.initialization import (
    InitialCenters,
    InitialMethod,
    TooFewPointsError,
    choose_initial_centers,
    given_centers,
    kmeans_plus_plus,
)
from centroids.clustering.points import join_columns, locate_bad_points
from centroids.clustering.state import ClusterState, initial_state
from centroids.clustering.update import (
    full_batch_update,
    mini_batch_update,
    multi_step_update,
)
from centroids.kernels import l2_normalize

__all__ = [
    "ClusterState",
    "InitialCenters",
    "InitialMethod",
    "TooFewPointsError",
    "choose_initial_centers",
    "full_batch_update",
    "given_centers",
    "initial_state",
    "join_columns",
    "kmeans_plus_plus",
    "l2_normalize",
    "locate_bad_points",
    "mini_batch_update",
    "multi_step_update",
]
