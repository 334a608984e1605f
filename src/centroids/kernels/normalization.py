"""Unit vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.kernels.float_mode import in_usual_float_mode


@in_usual_float_mode
def l2_normalize(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """Each row divided by its Euclidean norm, in float64; a zero row stays zero.

    >>> l2_normalize(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    wide = np.ascontiguousarray(vectors, np.float64)
    # Scaled by a power of two first: squares neither overflow nor vanish, and no digit is lost, so
    # that the same values give the same bits in any type.
    largest = np.abs(wide).max(axis=1, keepdims=True, initial=0)
    exponent = -np.frexp(largest)[1]
    half = exponent // 2  # the power itself may be beyond float64
    wide = wide * np.ldexp(1.0, half) * np.ldexp(1.0, exponent - half)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(wide / np.where(norms == 0, 1, norms))
