"""The passes of k-means++ and k-means|| over the points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from centroids.kernels import _native
from centroids.kernels._nonfinite import raise_if_bad
from centroids.kernels._to_assigned import distances_to_assigned
from centroids.kernels._weights import check_products, check_weights
from centroids.kernels.dense_or_sparse import (
    Points,
    check_points,
    dense_parts,
    is_sparse,
    num_rows,
    result_dtype,
)
from centroids.kernels.float_mode import in_usual_float_mode
from centroids.kernels.functions import all_distances, assign
from centroids.kernels.row_weights import RowWeights, empty_digits, totals_of

_BLOCK_ELEMENTS = 1 << 20  # of a block of distances


class Seeding:
    """How far each point is from the nearest of the centers chosen so far.

    Distances are squared Euclidean; for cosine those of L2-normalised vectors, which is twice the
    cosine distance (a zero vector is at 2 from everything). Zero vectors themselves count as 0 for
    cosine: nothing is near them, and no center should be drawn from them.

    Of dense points they are sums of squared differences in float64, equal to the bit for every
    instruction set and number of threads. Sums of them are exact: choices and draws depend on the
    points alone.

    Args:
        points: [n, d], dense of any real type or compressed sparse rows. They must not change.
        cosine: Use the cosine distance.
        weights: [n], how much each point counts, as for `assign`; None: once.

    Attributes:
        closest: [n] float64, the squared distance of each point to the nearest center.
        weights: `closest` times the weights of the points, which the next center is drawn by.

    >>> points = np.array([[0.0], [1.0], [9.0], [10.0]])
    >>> seeding = Seeding(points)
    >>> seeding.start(points[0])
    >>> seeding.closest.tolist()
    [0.0, 1.0, 81.0, 100.0]
    >>> [reduction >> 1074 for reduction in seeding.propose(points[[1, 2]])]
    [37, 180]
    >>> seeding.take(1)
    >>> seeding.closest.tolist()
    [0.0, 1.0, 0.0, 1.0]
    """

    def __init__(
        self, points: Points, *, cosine: bool = False, weights: ArrayLike | None = None
    ) -> None:
        self._points, self._cosine = check_points(points), cosine
        self._own = None if weights is None else check_weights(weights, num_rows(self._points))
        self._dtype = result_dtype(self._points)
        self.closest = np.zeros(num_rows(self._points))
        self.weights = RowWeights(self.closest, self._own)
        self._distances = np.empty((self.closest.size, 0))  # of sparse points to the candidates
        self._native: Any = None
        if not is_sparse(self._points):
            double = self._dtype == np.float64
            kind = _native.SeedingFloat64 if double else _native.SeedingFloat32
            self._native = kind(*dense_parts(self._points), cosine)

    @in_usual_float_mode
    def start(self, center: NDArray[Any]) -> None:
        """Takes the first center.

        Args:
            center: [d], a row of these points or of others.

        Raises:
            NonFiniteError: If a point has a NaN, an infinity, or no finite distance.
            ValueError: If a weight is so large that its product with a distance overflows.
        """
        vector = self._vectors(center[None])
        if self._native is not None:
            raise_if_bad(self._points, self._native.start(vector, self.weights.native))
        else:
            self.closest[:] = _sparse_distances(self._points, vector, self._cosine)[:, 0]
            if self._cosine:
                self.closest[_has_zeros_only(self._points)] = 0
            self.weights.add_up()
        check_products(self.closest, self._own)

    @in_usual_float_mode
    def propose(self, candidates: NDArray[Any]) -> list[int]:
        """What each candidate would take off the sum of the weights, in units of 2^-1074.

        Args:
            candidates: [l, d], at least one.
        """
        vectors = self._vectors(candidates)
        if self._native is not None:
            digits = empty_digits(len(vectors))
            self._native.propose(vectors, self.weights.native, digits)
            return totals_of(digits)
        self._distances = _sparse_distances(self._points, vectors, self._cosine)
        total = self.weights.total
        nearer = np.minimum(self.closest[:, None], self._distances)
        return [
            total - RowWeights(np.ascontiguousarray(nearer[:, c]), self._own).total
            for c in range(len(vectors))
        ]

    @in_usual_float_mode
    def take(self, candidate: int) -> None:
        """Takes one of the candidates proposed last, by its place among them."""
        if self._native is not None:
            self._native.take(candidate, self.weights.native)
            return
        np.minimum(self.closest, self._distances[:, candidate], out=self.closest)
        self.weights.add_up()

    def _vectors(self, vectors: NDArray[Any]) -> NDArray[Any]:
        if vectors.ndim != 2 or not len(vectors) or vectors.shape[1] != self._points.shape[1]:
            raise ValueError(
                f"vectors must have the shape [l, {self._points.shape[1]}] with l at least 1; "
                f"got {vectors.shape}"
            )
        return np.ascontiguousarray(vectors, self._dtype)


@in_usual_float_mode
def accept_draws(
    drawn: NDArray[Any],
    distances: NDArray[np.float64],
    shares: NDArray[np.float64],
    most: int,
    *,
    cosine: bool = False,
) -> NDArray[np.int64]:
    """Which of the rows drawn by their distances before become centers, one after the other.

    A row is kept if its share of the distance before is below the distance that it has now: to the
    centers before, and to the rows kept before it.

    Args:
        drawn: [m, d] float32 or float64, in the order in which they were drawn.
        distances: [m], their squared distances to the nearest of the centers before.
        shares: [m], random numbers from 0 up to 1.
        most: How many to keep at most.
        cosine: Distances are those of L2-normalised vectors.

    Returns:
        Places among those drawn, ascending.

    >>> drawn = np.array([[3.0], [3.5], [-4.0]])
    >>> accept_draws(drawn, np.array([9.0, 12.25, 16.0]), np.array([0.9, 0.1, 0.9]), 3).tolist()
    [0, 2]
    """
    kept = np.empty(len(drawn), np.int64)
    count = _native.accept_draws(drawn, cosine, distances, shares, most, kept)
    return kept[:count]


@in_usual_float_mode
def nearest_vectors(
    points: Points, vectors: NDArray[Any], *, cosine: bool = False
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The nearest of some vectors for each point, and its distance as `Seeding` has it.

    Args:
        points: [n, d], dense of any real type or compressed sparse rows.
        vectors: [m, d], at least one.
        cosine: Use the cosine distance.

    Returns:
        [n] int32, places among the vectors; [n] float64.

    Raises:
        NonFiniteError: If a point has a NaN, an infinity, or no finite distance.

    >>> labels, distances = nearest_vectors(np.array([[1.0], [8.0]]), np.array([[0.0], [9.0]]))
    >>> labels.tolist(), distances.tolist()
    ([0, 1], [1.0, 1.0])
    """
    points = check_points(points)
    vectors = np.ascontiguousarray(vectors, result_dtype(points))
    if not is_sparse(points):
        labels = assign(points, vectors, cosine=cosine, inertia=False).cluster_index
        return labels, distances_to_assigned(points, vectors, labels, cosine=cosine)
    labels, distances = np.empty(num_rows(points), np.int32), np.empty(num_rows(points))
    size = max(_BLOCK_ELEMENTS // len(vectors), 1)
    for at in range(0, labels.size, size):
        every = _sparse_distances(points[at : at + size], vectors, cosine)
        labels[at : at + size] = every.argmin(axis=1)
        distances[at : at + size] = every.min(axis=1)
    if cosine:
        distances[_has_zeros_only(points)] = 0
    return labels, distances


def _sparse_distances(points: Points, vectors: NDArray[Any], cosine: bool) -> NDArray[np.float64]:
    # For unit vectors the squared distance is twice the cosine distance.
    distances = all_distances(points, vectors.astype(np.float64), cosine=cosine)
    return distances * 2.0 if cosine else distances


def _has_zeros_only(points: Any) -> NDArray[np.bool_]:
    """Which compressed sparse rows are zero vectors."""
    entries = np.concatenate([[0], np.cumsum(points.data != 0)])
    return np.asarray(entries[points.indptr[1:]] == entries[points.indptr[:-1]])
