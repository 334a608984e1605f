"""K-means as an Estimator."""

from centroids.kmeans._estimator import KMeansClustering
from centroids.kmeans.model import (
    COSINE_DISTANCE,
    KMEANS_PARALLEL_INIT,
    KMEANS_PLUS_PLUS_INIT,
    KMEANS_REJECTION_INIT,
    RANDOM_INIT,
    SQUARED_EUCLIDEAN_DISTANCE,
)

__all__ = [
    "COSINE_DISTANCE",
    "KMEANS_PARALLEL_INIT",
    "KMEANS_PLUS_PLUS_INIT",
    "KMEANS_REJECTION_INIT",
    "RANDOM_INIT",
    "SQUARED_EUCLIDEAN_DISTANCE",
    "KMeansClustering",
]
