"""The interface of scikit-learn's `KMeans` on this engine: change the import, keep the program.

It needs scikit-learn 1.5 or later: pip install 'centroids[sklearn]'.
"""

try:
    import sklearn as _scikit_learn
except ImportError as error:
    raise ImportError(
        "centroids.sklearn needs scikit-learn; install it with: pip install 'centroids[sklearn]'"
    ) from error

from centroids.sklearn._kmeans import KMeans
from centroids.sklearn._mini_batch import MiniBatchKMeans
from centroids.sklearn._seeding import kmeans_plusplus

del _scikit_learn

__all__ = ["KMeans", "MiniBatchKMeans", "kmeans_plusplus"]
