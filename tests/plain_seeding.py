"""k-means++ without any pruning, in float64 NumPy and in the order of additions that
`native/api/seeding.h` promises: every number must be equal to the bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids import kernels

Array = NDArray[np.float64]
BLOCK = kernels.SAMPLING_BLOCK


def eight_sums(terms: Array) -> Array:
    """The sum over the last axis: term j goes to part j mod 8, the parts to one fixed tree."""
    missing = -terms.shape[-1] % 8
    padded = np.concatenate([terms, np.zeros((*terms.shape[:-1], missing))], axis=-1)
    parts = np.zeros((*terms.shape[:-1], 8))
    for at in range(0, padded.shape[-1], 8):
        parts = parts + padded[..., at : at + 8]
    a, b, c, d, e, f, g, h = np.moveaxis(parts, -1, 0)
    return np.asarray(((a + e) + (c + g)) + ((b + f) + (d + h)))


def in_order(terms: Array) -> float:
    """The sum one after the other; NumPy's own adds pairs."""
    return float(np.add.accumulate(terms)[-1]) if terms.size else 0.0


def prepared(points: NDArray[Any], cosine: bool) -> NDArray[Any]:
    """Points in the kernels' type, L2-normalised if asked."""
    dtype = kernels.result_dtype(points)
    rows = np.asarray(points).astype(dtype)
    if not cosine:
        return rows
    wide = rows.astype(np.float64)
    squares = eight_sums(wide * wide)
    inverse = 1 / np.sqrt(np.where(squares == 0, 1, squares))
    return (wide * inverse[:, None]).astype(dtype)


class PlainSeeding:
    """The same methods and attributes as `kernels.Seeding`."""

    def __init__(self, points: NDArray[Any], *, cosine: bool = False) -> None:
        self.rows = prepared(points, cosine).astype(np.float64)
        self.zero = cosine & ~self.rows.any(axis=1)
        self.closest = np.empty(len(self.rows))
        self.block_sums = np.empty(math.ceil(len(self.rows) / BLOCK))
        self.chunk = max(math.ceil(len(self.rows) / (64 * BLOCK)), 1) * BLOCK

    def start(self, center: int) -> None:
        self.closest = np.where(self.zero, 0.0, self._distances(center))
        self._add_up()

    def add_best(self, candidates: NDArray[np.integer[Any]]) -> int:
        distances = [self._distances(row) for row in candidates]
        best = int(np.argmax([self._reduction(every) for every in distances]))
        self.closest = np.minimum(self.closest, distances[best])
        self._add_up()
        return best

    def _reduction(self, distances: Array) -> float:
        less = np.maximum(self.closest - distances, 0)
        chunks = range(0, len(less), self.chunk)
        return in_order(np.array([in_order(less[at : at + self.chunk]) for at in chunks]))

    def _distances(self, center: int) -> Array:
        every = eight_sums((self.rows - self.rows[center]) ** 2)
        return np.where(self.zero | self.zero[center], 2.0, every)

    def _add_up(self) -> None:
        starts = range(0, len(self.closest), BLOCK)
        self.block_sums = np.array([eight_sums(self.closest[at : at + BLOCK]) for at in starts])
