"""What both estimators share: parameters, checks, and everything after the fit."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from centroids.kernels import (
    Assignment,
    Points,
    all_distances,
    assign,
    in_usual_float_mode,
    num_rows,
)
from centroids.sklearn._inputs import check_points_of, check_weights, computed_of
from centroids.sklearn._lloyd import mean_variance
from centroids.sklearn._seeding import Drawing, initial_centers
from centroids.sklearn._warning import warn

Metric: TypeAlias = Literal["squared_euclidean", "cosine"]
Weights: TypeAlias = "NDArray[np.float64] | None"


class BaseKMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):
    """What `KMeans` and `MiniBatchKMeans` share."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "init": [StrOptions({"k-means++", "kmeans_rejection", "random"}), callable, "array-like"],
        "n_init": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
        "metric": [StrOptions({"squared_euclidean", "cosine"})],
    }
    _default_n_init: ClassVar[int]

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> NDArray[np.int32]:
        """Fits, and gives the label of every row: `fit(X).labels_`.

        Args:
            X: [n, d], the points.
            y: Ignored.
            sample_weight: [n], the weights of the rows; None: 1.

        Returns:
            [n] int32.
        """
        labels: NDArray[np.int32] = self.fit(X, sample_weight=sample_weight).labels_
        return labels

    def fit_transform(self, X: Any, y: Any = None, sample_weight: Any = None) -> NDArray[Any]:
        """Fits, and gives the distances of every row: `fit(X).transform(X)`.

        Args:
            X: [n, d], the points.
            y: Ignored.
            sample_weight: [n], the weights of the rows; None: 1.

        Returns:
            [n, k]; see `transform`.
        """
        distances: NDArray[Any] = self.fit(X, sample_weight=sample_weight).transform(X)
        return distances

    def predict(self, X: Any) -> NDArray[np.int32]:
        """The label of every row: the index of the nearest center, the lowest on ties.

        Args:
            X: [n, d], the points.

        Returns:
            [n] int32.

        Raises:
            NotFittedError: Before a fit.
            ValueError: If X is not n finite rows of as many columns as in the fit.
        """
        check_is_fitted(self)
        centers, cosine = self.cluster_centers_, self._cosine
        found = computed_of(
            self, X, lambda points: assign(points, centers, cosine=cosine, inertia=False)
        )
        return found.cluster_index

    def transform(self, X: Any) -> NDArray[Any]:
        """The distance of every row to every center: Euclidean, or cosine.

        Args:
            X: [n, d], the points.

        Returns:
            [n, k], float32 if X and the centers are no wider, else float64. Euclidean distances
            are roots, as in scikit-learn.

        Raises:
            NotFittedError: Before a fit.
            ValueError: If X is not n finite rows of as many columns as in the fit.
        """
        check_is_fitted(self)
        centers, cosine = self.cluster_centers_, self._cosine
        distances = computed_of(
            self, X, lambda points: all_distances(points, centers, cosine=cosine)
        )
        return distances if cosine else _roots(distances)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The negative of the sum of the distances to the nearest centers: higher is better.

        Args:
            X: [n, d], the points.
            y: Ignored.
            sample_weight: [n], the weights of the rows; None: 1.

        Returns:
            Minus the inertia of X; of squared Euclidean distances, or of cosine distances.

        Raises:
            NotFittedError: Before a fit.
            ValueError: If X or the weights are wrong.
        """
        check_is_fitted(self)
        points = check_points_of(self, X, reset=False)
        weights = check_weights(sample_weight, num_rows(points))
        return -self._nearest(points, weights).inertia

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _more_tags(self) -> dict[str, Any]:  # scikit-learn 1.5
        return {"preserves_dtype": [np.float64, np.float32]}

    @property
    def _cosine(self) -> bool:
        return bool(self.metric == "cosine")

    def _nearest(self, points: Points, weights: Weights, *, labels: bool = False) -> Assignment:
        centers, cosine = self.cluster_centers_, self._cosine
        return assign(points, centers, cosine=cosine, labels=labels, weights=weights)

    def _check_params_vs_input(self, points: Points) -> None:
        """Checks what depends on the points, and sets what follows from both."""
        n = num_rows(points)
        if n < self.n_clusters:
            raise ValueError(f"n_samples={n} should be >= n_clusters={self.n_clusters}.")
        dtype = np.dtype(np.float32 if points.dtype in (np.float32, np.float16) else np.float64)
        self._dtype = dtype
        self._tol = self.tol and self.tol * mean_variance(points, dtype, cosine=self._cosine)
        several = callable(self.init) or (isinstance(self.init, str) and self.init == "random")
        self._n_init = self.n_init
        if isinstance(self.n_init, str):
            self._n_init = self._default_n_init if several else 1
        given = not callable(self.init) and not isinstance(self.init, str)
        if given and self._n_init != 1:
            warn(
                "Explicit initial center position passed: performing only one init in "
                f"{type(self).__name__} instead of n_init={self._n_init}",
                RuntimeWarning,
            )
            self._n_init = 1

    def _initial_centers(
        self, points: Points, drawing: Drawing | None, random: np.random.RandomState
    ) -> NDArray[Any]:
        return initial_centers(
            self.init,
            points,
            drawing,
            random,
            num_clusters=int(self.n_clusters),
            dtype=self._dtype,
            cosine=self._cosine,
        )


@in_usual_float_mode
def _roots(distances: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.sqrt(distances, out=distances))
