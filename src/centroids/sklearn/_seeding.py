"""Initial centers, drawn with scikit-learn's random states."""

from __future__ import annotations

import functools
from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions, validate_params

from centroids.clustering import (
    distinct_rows,
    given_centers,
    kmeans_plus_plus_rows,
    kmeans_rejection_rows,
)
from centroids.kernels import Points, num_rows, take_rows
from centroids.rows import dense
from centroids.sklearn._inputs import check_initial_centers, check_points_of, check_weights


class Drawing:
    """Different rows by their weights, which initial centers are drawn from.

    What is drawn depends neither on the order of the rows nor on whether one comes twice or weighs
    twice as much.

    Args:
        points: [n, d], dense or compressed sparse rows.
        weights: [n], of the rows; None: 1.
        cosine: Whether the distance is cosine.
    """

    def __init__(
        self, points: Points, weights: NDArray[np.float64] | None, *, cosine: bool
    ) -> None:
        self._all_points, self._cosine = points, cosine
        self._rows, self._weights = distinct_rows(points, weights)
        self._points = take_rows(points, self._rows)

    def rows(
        self, num_clusters: int, method: str, random: np.random.RandomState, *, retries: int = -1
    ) -> NDArray[np.intp]:
        """Which rows become centers, [num_clusters]; different ones as far as there are any."""
        size = self._rows.size
        if size <= num_clusters:
            return self._rows[np.arange(num_clusters) % size]
        if method == "random":
            shares = None if self._weights is None else self._weights / self._weights.sum()
            return self._rows[random.choice(size, num_clusters, replace=False, p=shares)]
        choose: Callable[..., NDArray[np.intp]] = kmeans_rejection_rows
        if method == "k-means++":
            choose = functools.partial(kmeans_plus_plus_rows, num_retries=retries)
        generator = np.random.Generator(random._bit_generator)
        chosen = choose(
            self._points, num_clusters, generator, cosine=self._cosine, weights=self._weights
        )
        return self._rows[chosen]

    def centers(
        self, num_clusters: int, method: str, random: np.random.RandomState
    ) -> NDArray[Any]:
        """These rows, [num_clusters, d]."""
        return dense(self._all_points[self.rows(num_clusters, method, random)])


def initial_centers(
    init: Any,
    points: Points,
    drawing: Drawing | None,
    random: np.random.RandomState,
    *,
    num_clusters: int,
    dtype: np.dtype[Any],
    cosine: bool,
) -> NDArray[Any]:
    """[num_clusters, d] of `dtype`, by the method that `init` names, calls or gives.

    Raises:
        ValueError: If what is given or returned is not so many rows of d finite numbers.
    """
    if isinstance(init, str):
        assert drawing is not None, "whoever names a method draws"
        return given_centers(drawing.centers(num_clusters, init, random), dtype, cosine=cosine)
    if callable(init):
        init = init(points, num_clusters, random_state=random)
    centers = check_initial_centers(init, dtype, num_clusters, int(points.shape[1]))
    return given_centers(centers, dtype, cosine=cosine)


_EXPORTED = [HasMethods("__dlpack__"), HasMethods("__arrow_c_stream__")]


@validate_params(
    {
        "X": ["array-like", "sparse matrix", *_EXPORTED],
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "sample_weight": ["array-like", None, *_EXPORTED],
        "x_squared_norms": ["array-like", None],
        "random_state": ["random_state"],
        "n_local_trials": [Interval(Integral, 1, None, closed="left"), None],
        "metric": [StrOptions({"squared_euclidean", "cosine"})],
    },
    prefer_skip_nested_validation=True,
)
def kmeans_plusplus(
    X: Any,
    n_clusters: int,
    *,
    sample_weight: Any = None,
    x_squared_norms: Any = None,
    random_state: Any = None,
    n_local_trials: int | None = None,
    metric: str = "squared_euclidean",
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Chooses rows as initial centers by greedy k-means++.

    Args:
        X: [n, d], the points.
        n_clusters: How many to choose.
        sample_weight: [n], the weights of the rows; None: 1.
        x_squared_norms: [n], checked; no effect: distances are computed from differences.
        random_state: An int, a RandomState, or None for NumPy's global one.
        n_local_trials: The candidates of each choice, of which the best one is taken; None:
            2 + log(n_clusters).
        metric: "squared_euclidean" or "cosine".

    Returns:
        The centers, [n_clusters, d], in the type of X; and their rows, [n_clusters].

    Raises:
        ValueError: If X or the weights are wrong, or there are fewer rows than clusters.

    Source: Arthur and Vassilvitskii, k-means++: the advantages of careful seeding, SODA 2007.

    >>> X = np.array([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> centers, indices = kmeans_plusplus(X, 2, random_state=0)
    >>> centers.tolist() == X[indices].tolist(), sorted(centers[:, 0].tolist())
    (True, [1, 10])
    """
    points = check_points_of(None, X)
    n = num_rows(points)
    if x_squared_norms is not None:
        norms = check_array(x_squared_norms, dtype=points.dtype, ensure_2d=False)
        if (found := len(norms)) != n:
            raise ValueError(
                f"The length of x_squared_norms {found} should be equal to the length of "
                f"n_samples {n}."
            )
    if n < n_clusters:
        raise ValueError(f"n_samples={n} should be >= n_clusters={n_clusters}.")
    drawing = Drawing(points, check_weights(sample_weight, n), cosine=metric == "cosine")
    retries = -1 if n_local_trials is None else int(n_local_trials) - 1
    rows = drawing.rows(
        int(n_clusters), "k-means++", check_random_state(random_state), retries=retries
    )
    return dense(points[rows]), rows
