"""`KMeans`: Lloyd's algorithm over all points, behind scikit-learn's interface."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import StrOptions

from centroids.kernels import num_rows
from centroids.sklearn._base import BaseKMeans, Metric
from centroids.sklearn._inputs import check_points_of, check_weights
from centroids.sklearn._lloyd import Fit, lloyd
from centroids.sklearn._seeding import Drawing
from centroids.sklearn._warning import warn


class KMeans(BaseKMeans):
    """k-means clustering: a drop-in for `sklearn.cluster.KMeans`, with exact labels.

    Sums, labels and inertia are exact: they depend on neither the number of threads, nor the
    instruction set, nor the order of the rows. From equal initial centers a fit stops at
    scikit-learn's iteration with its labels.

    Args:
        n_clusters: k.
        init: "k-means++" (greedy, as in scikit-learn), "kmeans_rejection" (k-means++ with one
            candidate for each center, in far less time for thousands of clusters), "random"
            (different rows), the centers [k, d], or a function
            `f(X, n_clusters, random_state=...)` that returns them.
        n_init: How many fits are made, of which the one with the lowest inertia is kept. "auto": 10
            for "random" and for a function, else 1.
        max_iter: The most iterations of a fit.
        tol: A fit ends when the squared shift of all centers in an iteration is at most `tol`
            times the mean of the variances of the columns; or when no label changes.
        verbose: Print each iteration. Terminals and notebooks then also show the time left.
        random_state: An int, a RandomState, or None for NumPy's global one.
        copy_x: No effect: X is never changed.
        algorithm: "lloyd" or "elkan"; no effect on results.
        metric: "squared_euclidean" or "cosine".

    Attributes:
        cluster_centers_: [k, d]; unit vectors for cosine.
        labels_: [n] int32.
        inertia_: The sum of the distances to the nearest centers, by weight: squared Euclidean,
            or cosine.
        n_iter_: The number of iterations of the best fit.
        n_features_in_: d.
        feature_names_in_: [d], if X was a table with columns named by strings.

    Source: Lloyd, Least squares quantization in PCM, IEEE Transactions on Information Theory 28,
    1982; Arthur and Vassilvitskii, k-means++: the advantages of careful seeding, SODA 2007.

    >>> X = np.array([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> kmeans = KMeans(n_clusters=2, init=[[0, 0], [9, 9]]).fit(X)
    >>> kmeans.labels_.tolist(), kmeans.cluster_centers_.tolist()
    ([0, 0, 0, 1, 1, 1], [[1.0, 2.0], [10.0, 2.0]])
    >>> kmeans.predict([[0, 0], [12, 3]]).tolist()
    [0, 1]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseKMeans._parameter_constraints,
        "copy_x": ["boolean"],
        "algorithm": [StrOptions({"lloyd", "elkan"})],
    }
    _default_n_init = 10

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "k-means++",
        n_init: Any = "auto",
        max_iter: int = 300,
        tol: float = 1e-4,
        verbose: int = 0,
        random_state: Any = None,
        copy_x: bool = True,
        algorithm: str = "lloyd",
        metric: Metric = "squared_euclidean",
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.verbose = verbose
        self.random_state = random_state
        self.copy_x = copy_x
        self.algorithm = algorithm
        self.metric = metric

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> KMeans:
        """Finds the centers.

        Args:
            X: [n, d], the points: an array, a table, a tensor or a sparse matrix.
            y: Ignored.
            sample_weight: [n], the weights of the rows; None: 1. A row of weight 2 counts as two
                rows, and a row of weight 0 does not count.

        Returns:
            The estimator.

        Raises:
            ValueError: If X or the weights are wrong, or there are fewer rows than clusters.
        """
        points = check_points_of(self, X, reset=True, order="C")
        self._check_params_vs_input(points)
        if self.algorithm == "elkan" and self.n_clusters == 1:
            warn(
                "algorithm='elkan' doesn't make sense for a single cluster; it has no effect",
                RuntimeWarning,
            )
        weights = check_weights(sample_weight, num_rows(points))
        random = check_random_state(self.random_state)
        drawing = None
        if isinstance(self.init, str):
            drawing = Drawing(points, weights, cosine=self._cosine)
        best: Fit | None = None
        for _ in range(self._n_init):
            centers = self._initial_centers(points, drawing, random)
            if self.verbose:
                print("Initialization complete")
            fit = lloyd(
                points,
                centers,
                weights=weights,
                cosine=self._cosine,
                most_iterations=self.max_iter,
                tolerance=self._tol,
                verbose=bool(self.verbose),
            )
            if best is None or fit.inertia < best.inertia:
                best = fit
        assert best is not None, "n_init is at least 1"
        self._set_fitted(best)
        return self

    def _set_fitted(self, fit: Fit) -> None:
        found = np.count_nonzero(np.bincount(fit.labels))
        if found < self.n_clusters:
            warn(
                f"Number of distinct clusters ({found}) found smaller than n_clusters "
                f"({self.n_clusters}). Possibly due to duplicate points in X.",
                ConvergenceWarning,
            )
        self.cluster_centers_ = fit.centers
        self._n_features_out = len(fit.centers)
        self.labels_ = fit.labels
        self.inertia_ = fit.inertia
        self.n_iter_ = fit.iterations
