"""The passes of k-means++ over the points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.kernels import _native
from centroids.kernels.dense_or_sparse import (
    Points,
    check_points,
    is_sparse,
    num_rows,
    result_dtype,
)
from centroids.kernels.float_mode import in_usual_float_mode
from centroids.kernels.functions import all_distances, dense_parts, raise_if_bad

SAMPLING_BLOCK: int = _native.SAMPLING_BLOCK


class Seeding:
    """How far each point is from the nearest of the centers chosen so far; centers are rows.

    Distances are squared Euclidean; for cosine those of L2-normalised vectors, which is twice the
    cosine distance (a zero vector is at 2 from everything). Zero vectors themselves count as 0 for
    cosine: nothing is near to them, and no center should be drawn from among them.

    Of dense points they are sums of squared differences in float64, equal to the bit for every
    instruction set and number of threads, and so are the choices; `centroids/seeding.h` says which
    sums are taken in which order.

    Args:
        points: [n, d], dense of any real type or compressed sparse rows. They must not change.
        cosine: Use the cosine distance.

    Attributes:
        closest: [n] float64, the squared distance of each point to the nearest center.
        block_sums: [ceil(n / SAMPLING_BLOCK)] float64, its sums over blocks of rows.

    >>> seeding = Seeding(np.array([[0.0], [1.0], [9.0], [10.0]]))
    >>> seeding.start(0)
    >>> seeding.closest.tolist()
    [0.0, 1.0, 81.0, 100.0]
    >>> seeding.add_best(np.array([1, 2])), seeding.closest.tolist()
    (1, [0.0, 1.0, 0.0, 1.0])
    """

    def __init__(self, points: Points, *, cosine: bool = False) -> None:
        self._points, self._cosine = check_points(points), cosine
        self.closest = np.empty(num_rows(self._points))
        self.block_sums = np.empty(-(-self.closest.size // SAMPLING_BLOCK))
        self._native: Any = None
        if not is_sparse(self._points):
            double = result_dtype(self._points) == np.float64
            kind = _native.SeedingFloat64 if double else _native.SeedingFloat32
            self._native = kind(*dense_parts(self._points), cosine)

    @in_usual_float_mode
    def start(self, center: int) -> None:
        """Takes the first center.

        Args:
            center: A row of the points.

        Raises:
            NonFiniteError: If a point has a NaN, an infinity, or no finite distance.
        """
        self._check_rows(np.array([center]))
        if self._native is None:
            self.closest[:] = self._distances(np.array([center]))[:, 0]
            if self._cosine:
                self.closest[_has_zeros_only(self._points)] = 0
            self._add_up()
        else:
            raise_if_bad(self._points, self._native.start(center, self.closest, self.block_sums))

    @in_usual_float_mode
    def add_best(self, candidates: NDArray[np.integer[Any]]) -> int:
        """Takes the candidate that leaves the smallest sum of `closest`, the first of equals.

        Args:
            candidates: [l], rows of the points, at least one.

        Returns:
            Its place among the candidates.
        """
        self._check_rows(candidates)
        if self._native is None:
            distances = self._distances(candidates)
            reductions = np.maximum(self.closest[:, None] - distances, 0).sum(axis=0)
            best = int(reductions.argmax())
            np.minimum(self.closest, distances[:, best], out=self.closest)
            self._add_up()
            return best
        rows = np.ascontiguousarray(candidates, np.int64)
        return int(self._native.add_best(rows, self.closest, self.block_sums))

    def _check_rows(self, rows: NDArray[np.integer[Any]]) -> None:
        if rows.size == 0 or rows.min() < 0 or rows.max() >= self.closest.size:
            raise ValueError(f"rows must be from 0 to {self.closest.size - 1}; got {rows}")

    def _distances(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        # For unit vectors the squared distance is twice the cosine distance.
        centers = self._points[rows].toarray().astype(np.float64)
        distances = all_distances(self._points, centers, cosine=self._cosine)
        return distances * 2.0 if self._cosine else distances

    def _add_up(self) -> None:
        starts = np.arange(0, self.closest.size, SAMPLING_BLOCK)
        with np.errstate(over="ignore"):
            self.block_sums[:] = np.add.reduceat(self.closest, starts)


def _has_zeros_only(points: Any) -> NDArray[np.bool_]:
    """Which compressed sparse rows are zero vectors."""
    entries = np.concatenate([[0], np.cumsum(points.data != 0)])
    return np.asarray(entries[points.indptr[1:]] == entries[points.indptr[:-1]])
