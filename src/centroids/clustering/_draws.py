"""Which rows are drawn at random: each alike, or by weights.

Weights that are whole numbers stand for equal rows one after the other, which are drawn each alike:
results are those of the rows repeated so often, to the bit. Other weights lie side by side in row
order, and a target, the exact share of a random multiple of 2^-53, falls on one of them.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from centroids.kernels import RowWeights, in_usual_float_mode
from centroids.kernels.row_weights import UNIT_EXPONENT

_ONE = 1 << -UNIT_EXPONENT  # in the units of totals
_MOST_COPIES = 1 << 63  # that a generator draws from


class Draws(Protocol):
    """Draws rows.

    Attributes:
        num_points: How many points the rows count as: themselves, or their copies where weights are
            whole numbers; else those that have a weight.
    """

    num_points: int

    def draw(
        self, count: int, random: np.random.Generator, *, repeatedly: bool = True
    ) -> NDArray[np.int64]:
        """Draws so many rows; the same one more than once, or not if it counts as one point."""

    def within(self, begin: int, end: int) -> NDArray[np.int64]:
        """The rows of the points [begin, end), each of them once."""


class EqualDraws:
    """Rows that count once each; see `Draws`.

    Args:
        num_rows: How many there are.
    """

    def __init__(self, num_rows: int) -> None:
        self.num_points = num_rows

    def draw(
        self, count: int, random: np.random.Generator, *, repeatedly: bool = True
    ) -> NDArray[np.int64]:
        """See `Draws`."""
        if repeatedly:
            return random.integers(self.num_points, size=count)
        return random.choice(self.num_points, count, replace=False)

    def within(self, begin: int, end: int) -> NDArray[np.int64]:
        """See `Draws`."""
        return np.arange(begin, end)


class WeightTotals:
    """What there is to know of the weights of some rows; those of parts add up.

    Attributes:
        total: Their exact sum, in units of 2^-1074.
        positive: How many are not 0.
        whole: Whether all are whole numbers.
    """

    def __init__(self, total: int, positive: int, whole: bool) -> None:
        self.total, self.positive, self.whole = total, positive, whole

    @classmethod
    @in_usual_float_mode
    def of(cls, weights: NDArray[np.float64]) -> WeightTotals:
        """Those of a part, [n]."""
        whole = bool((weights == np.floor(weights)).all())
        return cls(total_weights(weights).total, int(np.count_nonzero(weights)), whole)

    def __add__(self, other: WeightTotals) -> WeightTotals:
        """Those of both parts together."""
        return WeightTotals(
            self.total + other.total,
            self.positive + other.positive,
            self.whole and other.whole,
        )

    @property
    def in_copies(self) -> bool:
        """Whether rows are drawn as if they were there several times."""
        return self.whole and self.total // _ONE < _MOST_COPIES

    @property
    def num_points(self) -> int:
        """See `Draws`."""
        return self.total // _ONE if self.in_copies else self.positive


class WeightedDraws:
    """Rows that have weights; see `Draws`.

    Args:
        totals: Those of all rows.
        find: The rows that targets fall on, if the weights lie side by side from 0 in row order.
        positive: The rows from one up to another that have a weight, in their order.
    """

    def __init__(
        self,
        totals: WeightTotals,
        find: Callable[[Sequence[int]], NDArray[np.int64]],
        positive: Callable[[int, int | None], NDArray[np.int64]],
    ) -> None:
        self.num_points = totals.num_points
        self._totals, self._find, self._positive = totals, find, positive

    @classmethod
    def of(cls, weights: NDArray[np.float64]) -> WeightedDraws:
        """Of rows that are all here, by their weights [n]."""
        return cls(
            WeightTotals.of(weights),
            total_weights(weights).find,
            lambda begin, end: begin + np.flatnonzero(weights[begin:end]),
        )

    def draw(
        self, count: int, random: np.random.Generator, *, repeatedly: bool = True
    ) -> NDArray[np.int64]:
        """See `Draws`."""
        if not self._totals.total:
            raise ValueError("all weights are 0: there is no point to choose centers from")
        if self._totals.in_copies:
            copies = EqualDraws(self.num_points).draw(count, random, repeatedly=repeatedly)
            return self._find([copy * _ONE for copy in copies.tolist()])
        return self._find(draw_targets(self._totals.total, count, random))

    def within(self, begin: int, end: int) -> NDArray[np.int64]:
        """See `Draws`."""
        if begin >= end:
            return np.empty(0, np.int64)
        if not self._totals.in_copies:
            return self._positive(0, None)[begin:end]
        first, last = self._find([begin * _ONE, (end - 1) * _ONE]).tolist()
        return self._positive(first, last + 1)


def total_weights(weights: NDArray[np.float64]) -> RowWeights:
    """The weights [n] themselves as what rows are drawn by."""
    return RowWeights(np.array(weights, np.float64))


def draw_targets(total: int, count: int, random: np.random.Generator) -> list[int]:
    """Random whole numbers from 0 up to the total, each the exact share of a multiple of 2^-53."""
    return [int(share * 2.0**53) * total >> 53 for share in random.random(count).tolist()]


def share_out(
    totals: Mapping[int, int], targets: Sequence[int]
) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """Targets by the part that each falls into, and the places that they have among all.

    Args:
        totals: Of each part, by its first row.
        targets: Below the sum of the totals.

    Returns:
        By the first row of a part what its own targets are, and which of all they are.
    """
    within: dict[int, list[int]] = {}
    places: dict[int, list[int]] = {}
    parts = sorted(totals)
    ends = list(itertools.accumulate(totals[part] for part in parts))
    for place, target in enumerate(targets):
        at = bisect.bisect_right(ends, target)
        part = parts[at]
        within.setdefault(part, []).append(target - ends[at] + totals[part])
        places.setdefault(part, []).append(place)
    return within, places
