"""A random sample of rows that come in batches, in one pass and in the memory of two samples."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.rows import Rows, join_rows


class LowestNumbers:
    """Rows with random numbers: those with the lowest are a sample.

    Up to as many rows again wait to be compared.

    Args:
        size: How many rows to draw.

    >>> drawn = LowestNumbers(2)
    >>> drawn.add(np.array([0.3, 0.9]), 0, np.array([[1], [2]]))
    >>> drawn.add(np.array([0.1, 0.5]), 2, np.array([[3], [4]]))
    >>> drawn.rows().tolist()
    [[1], [3]]
    """

    def __init__(self, size: int) -> None:
        self._size, self._limit, self._waiting = size, np.inf, 0
        self._parts: list[tuple[NDArray[Any], NDArray[np.intp], Rows]] = []

    def add(self, numbers: NDArray[np.float64], first_row: int, rows: Rows) -> None:
        """Takes rows in the order of the input.

        Args:
            numbers: [n], a random number for each.
            first_row: How many rows came before.
            rows: [n, ...].
        """
        new = np.flatnonzero(numbers < self._limit)
        self._parts.append((numbers[new], first_row + new, rows[new]))
        self._waiting += len(new)
        if self._waiting > 2 * self._size:
            self._keep_lowest()

    def rows(self) -> Any:
        """The sample, in the order of the input."""
        self._keep_lowest()
        _, places, rows = self._parts[0]
        return rows[np.argsort(places)]

    def _keep_lowest(self) -> None:
        numbers, places, rows = zip(*self._parts, strict=True)
        numbers, places, rows = np.concatenate(numbers), np.concatenate(places), join_rows([*rows])
        lowest = np.argsort(numbers, kind="stable")[: self._size]
        self._parts = [(numbers[lowest], places[lowest], rows[lowest])]
        self._waiting = len(lowest)
        if len(lowest) == self._size:
            self._limit = numbers[lowest[-1]]
