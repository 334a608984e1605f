"""The algorithm: functions over arrays and a small state. Knows no files, hooks or steps."""

from centroids.clustering._distinct_rows import distinct_rows
from centroids.clustering._initialization import (
    InitialCenters,
    InitialMethod,
    TooFewPointsError,
    choose_initial_centers,
    choose_initial_centers_of_shards,
    given_centers,
)
from centroids.clustering._lloyd import lloyd_iterations
from centroids.clustering._plus_plus import (
    kmeans_parallel,
    kmeans_plus_plus,
    kmeans_plus_plus_rows,
)
from centroids.clustering._reassignment import (
    is_reassignment_due,
    reassign_low_count_centers,
    rows_with_weight,
)
from centroids.clustering._rejection import kmeans_rejection, kmeans_rejection_rows
from centroids.clustering._relocation import relocate_empty_clusters
from centroids.clustering._restarts import PulledBatches, choose_best_centers, restart_watchers
from centroids.clustering._sharded import (
    all_distances,
    assign,
    choose_initial_centers_anywhere,
    cluster_index,
    total_weight,
    weights_of_shards,
)
from centroids.clustering._state import ClusterState, initial_state
from centroids.clustering._update import (
    full_batch_update,
    is_small_step,
    mini_batch_update,
    mini_batch_updates,
    multi_step_update,
)
from centroids.clustering.points import (
    check_finite,
    join_columns,
    locate_bad_points,
    sum_columns_of_batches,
)
from centroids.kernels import l2_normalize
from centroids.kernels.preparation import (
    Preparation,
    check_dense,
    fit_preparation,
    pass_watchers,
)
from centroids.rows import WeightedPoints

__all__ = [
    "ClusterState",
    "InitialCenters",
    "InitialMethod",
    "Preparation",
    "PulledBatches",
    "TooFewPointsError",
    "WeightedPoints",
    "all_distances",
    "assign",
    "check_dense",
    "check_finite",
    "choose_best_centers",
    "choose_initial_centers",
    "choose_initial_centers_anywhere",
    "choose_initial_centers_of_shards",
    "cluster_index",
    "distinct_rows",
    "fit_preparation",
    "full_batch_update",
    "given_centers",
    "initial_state",
    "is_reassignment_due",
    "is_small_step",
    "join_columns",
    "kmeans_parallel",
    "kmeans_plus_plus",
    "kmeans_plus_plus_rows",
    "kmeans_rejection",
    "kmeans_rejection_rows",
    "l2_normalize",
    "lloyd_iterations",
    "locate_bad_points",
    "mini_batch_update",
    "mini_batch_updates",
    "multi_step_update",
    "pass_watchers",
    "reassign_low_count_centers",
    "relocate_empty_clusters",
    "restart_watchers",
    "rows_with_weight",
    "sum_columns_of_batches",
    "total_weight",
    "weights_of_shards",
]
