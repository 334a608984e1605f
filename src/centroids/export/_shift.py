"""Where to put the origin, so that distances keep their digits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def shift_of(centers: NDArray[Any]) -> NDArray[np.float64]:
    """About the mean of the centers, [d]: multiples of a power of two near their spread.

    Integers and other numbers with few digits stay such when it is subtracted. Their products are
    then exact, and ties are ties. It is zero where the origin is about as near as the centers are
    to each other.

    >>> shift_of(np.array([[1001.0], [1002.0], [1006.0]])).tolist(), shift_of(np.eye(2)).tolist()
    ([1004.0], [0.0, 0.0])
    """
    wide = centers.astype(np.float64)
    mean = wide.mean(axis=0)
    _, exponent = np.frexp(np.abs(wide - mean).max())
    unit = np.ldexp(1.0, exponent)
    return np.asarray(np.rint(mean / unit) * unit) + 0.0  # no -0.0
