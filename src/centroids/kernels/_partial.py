"""Partial results of an assignment: exact, so that they add up in any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from centroids.kernels import _native
from centroids.kernels.float_mode import in_usual_float_mode

ExactSums = _native.ExactSums
"""Sums of rows without a rounding error, in whatever order they are added."""

Counts: TypeAlias = NDArray[np.int64] | NDArray[np.float64]
"""[k], the points of each cluster; or the sums of their weights."""

_UNITS_OF_ONE = 1 << -_native.LAST_BIT


@dataclass(frozen=True)
class Assignment:
    """Points assigned to their nearest centers.

    Sums and inertia are the exact sums of floating-point numbers, rounded once: they depend neither
    on the order of the points nor on how they were divided.

    Attributes:
        cluster_index: [n] int32, the index of the nearest center; [0] with `labels=False`.
        inertia: The sum of the distances to the nearest centers, in float64.
        sums: [k, d] float64, the sum of the points of each center (L2-normalised first for
            cosine); None unless asked for.
        counts: [k] int64, the number of points of each center; with weights [k] float64, the sum
            of their weights; None unless asked for.
    """

    cluster_index: NDArray[np.int32]
    inertia: float
    sums: NDArray[np.float64] | None
    counts: Counts | None


@dataclass(frozen=True, eq=False)
class PartialAssignment:
    """What some of the points contribute to an assignment, without any rounding.

    Partial results of the same centers add up to that of all their points. Addition is associative
    and commutative, and subtraction removes points without a trace: `finish` gives the same bits
    however the points were divided, and in whatever order they came.

    Attributes:
        num_rows: The number of points.
        inertia: The sum of the distances to the nearest centers, in units of 2^-1088.
        sums: [k, d], the sums of the points of each center; None unless asked for.
        counts: [k] int64, the number of points of each center; with weights exact sums [k, 1] of
            these; None unless asked for.

    >>> from centroids.kernels import assign_partial
    >>> centers = np.array([[0.0], [10.0]])
    >>> left = assign_partial(np.array([[0.1], [9.0]]), centers)
    >>> right = assign_partial(np.array([[0.2]]), centers)
    >>> result = (left + right).finish()
    >>> result.sums.tolist(), result.counts.tolist()
    ([[0.30000000000000004], [9.0]], [2, 1])
    """

    num_rows: int
    inertia: int
    sums: ExactSums | None
    counts: NDArray[np.int64] | ExactSums | None

    @classmethod
    def empty(
        cls, num_clusters: int, dimensions: int, *, update: bool = True, weighted: bool = False
    ) -> PartialAssignment:
        """The partial result of no points.

        Args:
            num_clusters: k.
            dimensions: d.
            update: Whether it has sums and counts.
            weighted: Whether it is to be added to those of points with weights.
        """
        if not update:
            return cls(0, 0, None, None)
        counts: NDArray[np.int64] | ExactSums = (
            ExactSums(num_clusters, 1) if weighted else np.zeros(num_clusters, np.int64)
        )
        return cls(0, 0, ExactSums(num_clusters, dimensions), counts)

    def __add__(self, other: PartialAssignment) -> PartialAssignment:
        """The partial result of the points of both.

        Raises:
            ValueError: If one has sums of another shape, or has none, or only one has weights.
        """
        return self._combined(other, 1) if isinstance(other, PartialAssignment) else NotImplemented

    def __radd__(self, other: Literal[0]) -> PartialAssignment:
        """For sum(), which begins with 0."""
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __sub__(self, other: PartialAssignment) -> PartialAssignment:
        """Takes points out again: the inverse of addition.

        Raises:
            ValueError: If one has sums of another shape, or has none, or only one has weights.
        """
        return self._combined(other, -1) if isinstance(other, PartialAssignment) else NotImplemented

    def _combined(self, other: PartialAssignment, sign: Literal[1, -1]) -> PartialAssignment:
        sums = None
        if self.sums is not None and other.sums is not None:
            sums = self.sums + other.sums if sign > 0 else self.sums - other.sums
        elif self.sums is not other.sums:
            raise ValueError("partial assignments with and without sums cannot be added")
        counts: NDArray[np.int64] | ExactSums | None = None
        if isinstance(self.counts, np.ndarray) and isinstance(other.counts, np.ndarray):
            counts = self.counts + sign * other.counts
        elif isinstance(self.counts, ExactSums) and isinstance(other.counts, ExactSums):
            counts = self.counts + other.counts if sign > 0 else self.counts - other.counts
        elif self.counts is not other.counts:
            raise ValueError(
                "partial assignments with and without weights cannot be added: give weights of 1 "
                "to those without"
            )
        rows, inertia = self.num_rows, self.inertia
        return PartialAssignment(
            rows + sign * other.num_rows, inertia + sign * other.inertia, sums, counts
        )

    @in_usual_float_mode
    def finish(self) -> Assignment:
        """Rounds each sum once, to the nearest float64; one beyond float64 is infinite.

        Returns:
            What `assign` gives for all the points together, without labels.
        """
        sums = None if self.sums is None else rounded_sums(self.sums)
        exact = self.counts
        counts = rounded_sums(exact)[:, 0] if isinstance(exact, ExactSums) else exact
        return Assignment(np.empty(0, np.int32), _rounded(self.inertia), sums, counts)


def rounded_sums(sums: ExactSums) -> NDArray[np.float64]:
    """Each sum rounded once."""
    rounded = np.empty(sums.shape)
    sums.round(rounded)
    return rounded


def _rounded(inertia: int) -> float:
    try:
        return inertia / _UNITS_OF_ONE  # Python rounds the quotient of two integers once
    except OverflowError:
        return float("inf")
