"""The order in which an epoch goes through the rows of arrays that it shuffles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from centroids.keyed_permutation import KeyedPermutation

# With more rows than this, an order is not kept but found as far as it is needed.
MOST_KEPT = 1 << 20

_TOGETHER = 1 << 14  # rows: finding a few takes as long as finding a thousand


def shuffled_order(
    num_rows: int, seed: int, epoch: int, keyed: bool
) -> Callable[[int, int], NDArray[np.int64]]:
    """What gives the rows at the positions `[start, stop)` of an order, for increasing positions.

    Args:
        num_rows: How many rows there are.
        seed: Of the shuffling.
        epoch: Which one it is.
        keyed: Whether it takes the memory of a few batches, not that of all numbers.
    """
    if not keyed:
        order = np.random.default_rng([seed, epoch]).permutation(num_rows)
        return lambda start, stop: order[start:stop]
    permutation = KeyedPermutation(num_rows, (seed, epoch))
    first, found = 0, np.empty(0, np.int64)

    def rows(start: int, stop: int) -> NDArray[np.int64]:
        nonlocal first, found
        if start < first or stop > first + len(found):
            end = min(max(stop, start + _TOGETHER), num_rows)
            first, found = start, permutation(np.arange(start, end))
        return found[start - first : stop - first]

    return rows
