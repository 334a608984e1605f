"""How good a clustering is, how many clusters points have, and what is in a cluster."""

from centroids.quality._measures import pair_distances, silhouettes
from centroids.quality._members import ExtremeMembers, distances_to_own
from centroids.quality._num_clusters import choose_num_clusters
from centroids.quality._results import Candidate, NumClusters

__all__ = [
    "Candidate",
    "ExtremeMembers",
    "NumClusters",
    "choose_num_clusters",
    "distances_to_own",
    "pair_distances",
    "silhouettes",
]
