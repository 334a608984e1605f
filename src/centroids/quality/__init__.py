"""How good a clustering is, and how many clusters points have."""

from centroids.quality._num_clusters import choose_num_clusters
from centroids.quality._results import Candidate, NumClusters

__all__ = ["Candidate", "NumClusters", "choose_num_clusters"]
