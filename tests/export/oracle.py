"""Cosine distances to all centers in float64, by NumPy alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def cosine_distances(points: NDArray[Any], centers: NDArray[Any]) -> NDArray[np.float64]:
    """[n, k]: 1 - xc of unit vectors, or |x - c|^2 / 2 where 1 - xc would cancel."""
    x, units = _units(points), _units(centers)
    distances = 1 - x @ units.T
    for column, unit in enumerate(units):
        near = distances[:, column] <= 0.5
        distances[near, column] = ((x[near] - unit) ** 2).sum(axis=1) / 2
    return distances


def _units(rows: NDArray[Any]) -> NDArray[np.float64]:
    wide = rows.astype(np.float64)
    largest = np.abs(wide).max(axis=1, keepdims=True, initial=0)
    # By a power of two: squares can overflow or vanish.
    wide = np.ldexp(wide, -np.frexp(largest)[1])
    norms = np.sqrt((wide**2).sum(axis=1, keepdims=True))
    return wide / np.where(norms == 0, 1, norms)
