"""The rows that tests of inputs write into files and read again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

BAD_VALUES = (np.nan, np.inf, -np.inf)


def rows_of(
    num_rows: int, bad: Iterable[int] = (), width: int = 2, dtype: Any = np.float32
) -> NDArray[Any]:
    """[n, width], the first column tells the row; the others are written in various lengths.

    Args:
        num_rows: The rows.
        bad: The rows of which one column is not finite.
        width: The columns.
        dtype: The element type; there are no bad rows of integers.
    """
    random = np.random.default_rng(num_rows)
    rows: NDArray[Any] = random.normal(size=(num_rows, width)).round(3).astype(dtype)
    rows[:, 0] = np.arange(num_rows)
    for row in bad if rows.dtype.kind == "f" else ():
        rows[row, row % width] = BAD_VALUES[row % 3]
    return rows
