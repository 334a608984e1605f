"""Initial centers, drawn with scikit-learn's random states."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.clustering import (
    InitialMethod,
    choose_initial_centers,
    distinct_rows,
    given_centers,
)
from centroids.kernels import Points, num_rows
from centroids.rows import is_sparse
from centroids.sklearn._inputs import check_initial_centers

METHODS: dict[str, InitialMethod] = {"k-means++": "kmeans_plus_plus", "random": "random"}


class Drawing:
    """Different rows by their weights, which initial centers are drawn from.

    Args:
        points: [n, d], dense or compressed sparse rows.
        weights: [n], of the rows; None: 1.
        cosine: Whether the distance is cosine.
    """

    def __init__(
        self, points: Points, weights: NDArray[np.float64] | None, *, cosine: bool
    ) -> None:
        self.rows, self.weights = distinct_rows(points, weights)
        self.points: Points = points[self.rows]
        self._cosine = cosine

    def centers(self, num_clusters: int, init: str, random: np.random.RandomState) -> NDArray[Any]:
        """[num_clusters, d], different as far as there are different rows."""
        if num_rows(self.points) <= num_clusters:
            every = self.points.toarray() if is_sparse(self.points) else self.points
            return np.asarray(every[np.arange(num_clusters) % len(every)])
        return choose_initial_centers(
            [self.points],
            num_clusters,
            METHODS[init],
            seed=generator_of(random),
            cosine=self._cosine,
            num_retries=-1,
            whole_input_in_batch=True,
        )


def generator_of(random: np.random.RandomState) -> np.random.Generator:
    """A generator that draws from a random state, and so moves it on."""
    return np.random.Generator(random._bit_generator)


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
        return drawing.centers(num_clusters, init, random).astype(dtype)
    if callable(init):
        init = init(points, num_clusters, random_state=random)
    centers = check_initial_centers(init, dtype, num_clusters, int(points.shape[1]))
    return given_centers(centers, dtype, cosine=cosine)


def kmeans_plusplus() -> None:
    """TODO."""
