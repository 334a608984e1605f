"""What one worker does while initial centers are chosen from the points of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from centroids import kernels
from centroids.clustering._distinct_rows import Keys, KeysOfPoints
from centroids.clustering._draws import WeightTotals, total_weights
from centroids.kernels import (
    NonFiniteError,
    Points,
    RowWeights,
    in_usual_float_mode,
    num_rows,
    result_dtype,
)
from centroids.keyed_permutation import keyed_uniform
from centroids.rows import WeightedPoints, is_sparse, split_weights

# Row of all, column, value, and the type that distances overflow: as in NonFiniteError.
BadValue: TypeAlias = tuple[int, int | None, float | None, str]
# Vectors, and the place of the one that becomes a center; None: all of them do.
Step: TypeAlias = tuple[NDArray[Any], int | None]
# Rows of all, or places among rows that were asked for, and what belongs to each.
RowsAnd: TypeAlias = tuple[NDArray[np.int64], NDArray[Any]]


class SeedingShard:
    """Some parts of the points, and how far each point is from the centers chosen so far.

    It may be lost and rebuilt at any time: calls say how many steps they build on, and a shard that
    has not made them answers None until `catch_up` hands them on.

    Args:
        parts: The number of its first row among all rows and the points, [n, d], of each part.
        cosine: The distance is cosine.
    """

    def __init__(
        self, parts: Sequence[tuple[int, Points | WeightedPoints]], *, cosine: bool = False
    ) -> None:
        every = [_Part(first, points, cosine) for first, points in parts]
        self._parts = [part for part in every if num_rows(part.points)]
        self._steps = 0

    def find_bad(self) -> BadValue | None:
        """The first NaN or infinity."""
        errors = [(part.first, kernels.find_nonfinite(part.points)) for part in self._parts]
        return _first_bad(errors)

    def rows(self, rows: NDArray[np.integer[Any]]) -> list[RowsAnd]:
        """Those of the rows that are here: their places in `rows` and their vectors."""
        return [(places, part.rows(rows[places])) for part, places in self._places_of(rows)]

    def keys(self, rows: NDArray[np.integer[Any]]) -> list[tuple[NDArray[np.int64], Keys]]:
        """Those of the rows that are here: their places in `rows` and their hashes."""
        return [(places, part.keys(rows[places])) for part, places in self._places_of(rows)]

    def weights(self) -> dict[int, WeightTotals]:
        """What there is to know of the weights of each part, by its first row."""
        return {part.first: WeightTotals.of(part.own_weights) for part in self._parts}

    def find_weights(self, targets: Mapping[int, Sequence[int]]) -> dict[int, NDArray[np.int64]]:
        """The rows that targets fall on, for each part that is here and has some."""
        return {
            part.first: part.first + total_weights(part.own_weights).find(targets[part.first])
            for part in self._parts
            if part.first in targets
        }

    def positive(self, begin: int, end: int | None) -> NDArray[np.int64]:
        """The rows here from one up to another that have a weight."""
        found = [
            part.first + np.flatnonzero(part.own_weights).astype(np.int64) for part in self._parts
        ]
        rows = np.concatenate([np.empty(0, np.int64), *found])
        return rows[(rows >= begin) & (rows < end)] if end is not None else rows[rows >= begin]

    def _places_of(
        self, rows: NDArray[np.integer[Any]]
    ) -> Iterator[tuple[_Part, NDArray[np.int64]]]:
        order = np.argsort(rows, kind="stable")
        in_order = rows[order]
        for part in self._parts:
            end = part.first + num_rows(part.points)
            begin, stop = np.searchsorted(in_order, [part.first, end])
            if begin < stop:
                yield part, order[begin:stop]

    def start(self, step: Step) -> tuple[BadValue | None, dict[int, int]]:
        """Starts over with the first step.

        Returns:
            The first row without a finite distance; the exact total of the weights of each part,
            by its first row.
        """
        errors: list[tuple[int, NonFiniteError | None]] = []
        for part in self._parts:
            try:
                part.start(step)
            except NonFiniteError as error:
                errors.append((part.first, error))
        self._steps = 1
        return _first_bad(errors), {} if errors else self._totals()

    def steps_made(self) -> int:
        """How many steps it has made since it was made."""
        return self._steps

    def catch_up(self, before: int, steps: Sequence[Step]) -> None:
        """Makes the steps after the first `before`, except those that it has made already."""
        for step in steps[max(self._steps - before, 0) :]:
            if self._steps == 0:
                self.start(step)
                continue
            for part in self._parts:
                part.apply(step)
            self._steps += 1

    def add(self, steps: int, vectors: NDArray[Any]) -> dict[int, int] | None:
        """Makes all of these vectors centers, in the step that ends the first `steps`."""
        if self._steps == steps - 1 and self._steps > 0:
            for part in self._parts:
                part.apply((vectors, None))
            self._steps = steps
        return self._totals() if self._steps == steps else None

    def find(
        self, steps: int, place: int | None, targets: Mapping[int, Sequence[int]]
    ) -> list[RowsAnd] | None:
        """Makes a candidate of the last proposal a center, then finds the rows that were drawn.

        Args:
            steps: How many steps there are then.
            place: Of the candidate; None: none is to become one.
            targets: What `RowWeights.find` takes, for each part that rows are drawn from.

        Returns:
            For each such part that is here the rows and their vectors.
        """
        if place is not None and self._steps == steps - 1 and self._steps > 0:
            for part in self._parts:
                part.seeding.take(place)
            self._steps = steps
        if self._steps != steps:
            return None
        drawn = [part for part in self._parts if part.first in targets]
        rows = [part.first + part.shares.find(targets[part.first]) for part in drawn]
        return [(own, part.rows(own)) for part, own in zip(drawn, rows, strict=True)]

    def draw(
        self, steps: int, targets: Mapping[int, Sequence[int]]
    ) -> dict[int, tuple[NDArray[np.int64], NDArray[Any], NDArray[np.float64]]] | None:
        """As `find`, where steps make all vectors centers.

        Returns:
            By the first row of a part the rows, their vectors and their squared distances.
        """
        found = self.find(steps, None, targets)
        if found is None:
            return None
        drawn = [part for part in self._parts if part.first in targets]
        return {
            part.first: (rows, vectors, part.distances(rows))
            for part, (rows, vectors) in zip(drawn, found, strict=True)
        }

    def propose(self, steps: int, candidates: NDArray[Any]) -> dict[int, list[int]] | None:
        """What each candidate would take off the weights of each part, exactly."""
        if self._steps != steps:
            return None
        return {part.first: part.seeding.propose(candidates) for part in self._parts}

    def sample(
        self, steps: int, key: Sequence[int], share: float, exponent: int
    ) -> list[RowsAnd] | None:
        """Draws each row independently, with the probability share * weight / 2^exponent."""
        if self._steps != steps:
            return None
        rows = [part.sample(key, share, exponent) for part in self._parts]
        return [(own, part.rows(own)) for part, own in zip(self._parts, rows, strict=True)]

    def counts(
        self, steps: int, num_centers: int, weighted: bool
    ) -> NDArray[np.int64] | kernels.ExactSums | None:
        """How many rows each center is the nearest of, where steps make all vectors centers.

        Of rows that weigh it is the exact sum of their weights, [num_centers, 1].
        """
        if self._steps != steps:
            return None
        if weighted:
            sums = kernels.ExactSums(num_centers, 1)
            for part in self._parts:
                sums = sums + kernels.add_weights(part.own_weights, part.nearest, num_centers)
            return sums
        counts = np.zeros(num_centers, np.int64)
        for part in self._parts:
            counts += np.bincount(part.nearest, minlength=num_centers)
        return counts

    def forget(self) -> None:
        """Frees memory; the next call starts over."""
        self._parts = [part.anew() for part in self._parts]
        self._steps = 0

    def _totals(self) -> dict[int, int]:
        return {part.first: part.shares.total for part in self._parts}


class _Part:
    """Consecutive rows, at least one."""

    shares: RowWeights  # what rows are drawn by next
    seeding: kernels.Seeding

    def __init__(self, first: int, points: Points | WeightedPoints, cosine: bool) -> None:
        self.first, self.given, self.cosine = first, points, cosine
        self.points, weights = split_weights(points)
        self.weights = (
            None if weights is None else kernels.check_weights(weights, num_rows(self.points))
        )

    def anew(self) -> _Part:
        return _Part(self.first, self.given, self.cosine)

    @property
    def own_weights(self) -> NDArray[np.float64]:
        return np.ones(num_rows(self.points)) if self.weights is None else self.weights

    def keys(self, rows: NDArray[np.integer[Any]]) -> Keys:
        return KeysOfPoints(self.points, cosine=self.cosine).keys(rows - self.first)

    @in_usual_float_mode
    def rows(self, rows: NDArray[np.integer[Any]]) -> NDArray[Any]:
        chosen = self.points[rows - self.first]
        dense = chosen.toarray() if is_sparse(chosen) else np.asarray(chosen)
        return dense.astype(result_dtype(self.points))

    def distances(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        return np.asarray(self._closest[rows - self.first])

    def start(self, step: Step) -> None:
        vectors, place = step
        if place is not None:
            self.seeding = kernels.Seeding(self.points, cosine=self.cosine, weights=self.weights)
            self.shares = self.seeding.weights
            self.seeding.start(vectors[place])
            return
        self._first_center, self._num_centers = vectors[:1], len(vectors)
        self.nearest, self._closest = kernels.nearest_vectors(
            self.points, vectors, cosine=self.cosine
        )
        kernels.check_products(self._closest, self.weights)
        self.shares = RowWeights(self._closest, self.weights)

    def apply(self, step: Step) -> None:
        vectors, place = step
        if place is not None:
            self.seeding.propose(vectors)
            self.seeding.take(place)
            return
        # The first center is at a finite distance of every row.
        among = np.concatenate([vectors, self._first_center])
        labels, distances = kernels.nearest_vectors(self.points, among, cosine=self.cosine)
        nearer = (distances < self._closest) & (labels < len(vectors))
        self._closest[nearer] = distances[nearer]
        self.nearest[nearer] = labels[nearer] + self._num_centers
        self._num_centers += len(vectors)
        self.shares.add_up()

    @in_usual_float_mode
    def sample(self, key: Sequence[int], share: float, exponent: int) -> NDArray[np.int64]:
        rows = self.first + np.flatnonzero(self._closest).astype(np.int64)
        with np.errstate(under="ignore"):
            probability = np.ldexp(self._closest[rows - self.first], -exponent) * share
            if self.weights is not None:
                probability *= self.weights[rows - self.first]
        return rows[keyed_uniform(key, rows) < probability]


def _first_bad(errors: Sequence[tuple[int, NonFiniteError | None]]) -> BadValue | None:
    bad = [
        (first + error.row, error.column, error.value, error.dtype)
        for first, error in errors
        if error is not None
    ]
    return min(bad, key=lambda value: value[0], default=None)
