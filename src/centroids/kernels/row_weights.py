"""Weights that rows are drawn by, and their exact sums."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from centroids.kernels import _native
from centroids.kernels._weights import check_weights

# Sums are whole numbers of the least float64, 2^-1074.
UNIT_EXPONENT = -1074
_DIGITS: int = _native.TOTAL_DIGITS  # of 32 bits


class RowWeights:
    """Row i is drawn by distances[i] * weights[i]; sums have no rounding and no order.

    Products are exact but for bits below 2^-1074, the least float64, which are left out. Sums are
    integers that count units of that size: those of parts add up to that of the whole, in any
    order.

    Args:
        distances: [n] float64, finite and not negative; changes count after `add_up`.
        weights: [n], as for `assign`; None: 1 for every row.

    >>> weights = RowWeights(np.array([1.0, 0.0, 3.0]))
    >>> weights.total == 4 << 1074
    True
    >>> weights.find([0, (1 << 1074) - 1, 1 << 1074]).tolist()
    [0, 0, 2]
    """

    def __init__(self, distances: NDArray[np.float64], weights: ArrayLike | None = None) -> None:
        own = None if weights is None else check_weights(weights, len(distances))
        self.native = _native.RowWeights(distances, own)
        self.add_up()

    def add_up(self) -> None:
        """Takes changed distances into account."""
        self.native.add_up()

    @property
    def total(self) -> int:
        """The sum of all weights."""
        digits = empty_digits(1)
        self.native.total(digits)
        return totals_of(digits)[0]

    def find(self, targets: Sequence[int]) -> NDArray[np.int64]:
        """The rows that targets fall on, if the weights lie side by side from 0 in row order.

        Args:
            targets: At least 0, and below the total.

        Returns:
            [len(targets)]; no row of weight 0.
        """
        rows = np.empty(len(targets), np.int64)
        text = b"".join(target.to_bytes(4 * _DIGITS, "little") for target in targets)
        self.native.find(np.frombuffer(text, "<u4").reshape(-1, _DIGITS), rows)
        return rows


def totals_of(digits: NDArray[np.uint32]) -> list[int]:
    """The integers whose digits the extension gave, [m, TOTAL_DIGITS]."""
    return [int.from_bytes(row.tobytes(), "little") for row in digits]


def empty_digits(count: int) -> NDArray[np.uint32]:
    """Room for the digits of `count` integers."""
    return np.empty((count, _DIGITS), np.uint32)
