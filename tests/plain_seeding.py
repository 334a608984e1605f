"""k-means++ without any pruning, in float64 NumPy and in whole numbers: every number must be equal
to the bit, as `native/api/seeding.h` promises."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids import kernels

Array = NDArray[np.float64]


def eight_sums(terms: Array) -> Array:
    """The sum over the last axis: term j goes to part j mod 8, the parts to one fixed tree."""
    missing = -terms.shape[-1] % 8
    padded = np.concatenate([terms, np.zeros((*terms.shape[:-1], missing))], axis=-1)
    parts = np.zeros((*terms.shape[:-1], 8))
    for at in range(0, padded.shape[-1], 8):
        parts = parts + padded[..., at : at + 8]
    a, b, c, d, e, f, g, h = np.moveaxis(parts, -1, 0)
    return np.asarray(((a + e) + (c + g)) + ((b + f) + (d + h)))


def in_units(value: float) -> int:
    """A number as a count of the least float64, 2^-1074."""
    numerator, denominator = value.as_integer_ratio()
    return numerator * ((1 << 1074) // denominator)


def exact_sum(values: Array) -> int:
    """The same for the sum of numbers from 0 up: for each exponent the sum of two halves."""
    fractions, exponents = np.frexp(values)
    mantissas = np.ldexp(fractions, 53).astype(np.int64)
    total = 0
    for exponent in np.unique(exponents):
        own = mantissas[exponents == exponent]
        whole = (int((own >> 27).sum()) << 27) + int((own & (1 << 27) - 1).sum())
        place = int(exponent) - 53 + 1074
        total += whole << place if place >= 0 else whole >> -place
    return total


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
    """The same methods and attributes as `kernels.Seeding`, with rows in place of vectors."""

    def __init__(self, points: NDArray[Any], *, cosine: bool = False) -> None:
        self.rows = prepared(points, cosine).astype(np.float64)
        self.zero = cosine & ~self.rows.any(axis=1)
        self.closest = np.zeros(len(self.rows))

    def start(self, center: int) -> None:
        self.closest = np.where(self.zero, 0.0, self._distances(center))

    def propose(self, candidates: NDArray[np.integer[Any]]) -> list[int]:
        self.distances = [self._distances(row) for row in candidates]
        nearer = [np.minimum(self.closest, every) for every in self.distances]
        return [exact_sum(self.closest) - exact_sum(every) for every in nearer]

    def take(self, candidate: int) -> None:
        self.closest = np.minimum(self.closest, self.distances[candidate])

    def _distances(self, center: int) -> Array:
        every = eight_sums((self.rows - self.rows[center]) ** 2)
        return np.where(self.zero | self.zero[center], 2.0, every)


def plus_plus_rows(
    points: NDArray[Any], num_clusters: int, seed: int, *, cosine: bool, num_retries: int
) -> list[int]:
    """The rows that k-means++ draws, by sums of whole numbers in row order."""
    random = np.random.default_rng(seed)
    count = num_retries + 1 if num_retries >= 0 else 2 + int(math.log(num_clusters))
    chosen = [int(random.integers(len(points)))]
    seeding = PlainSeeding(points, cosine=cosine)
    seeding.start(chosen[0])
    while len(chosen) < num_clusters:
        ends = list(itertools.accumulate(map(in_units, seeding.closest.tolist())))
        if not ends[-1]:
            break
        shares = [int(share * 2**53) for share in random.random(count).tolist()]
        targets = [share * ends[-1] // 2**53 for share in shares]
        rows = [next(row for row, end in enumerate(ends) if end > target) for target in targets]
        reductions = seeding.propose(np.array(rows))
        best = reductions.index(max(reductions))
        seeding.take(best)
        chosen.append(rows[best])
    return chosen
