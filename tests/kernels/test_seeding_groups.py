"""Groups of points that k-means++ leaves out: the same rows as without them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from centroids import kernels
from centroids.clustering import kmeans_plus_plus_rows

LEVELS = kernels.supported_instruction_sets()


def grouped(n: int, d: int, kind: str) -> NDArray[Any]:
    random = np.random.default_rng(0)
    centers = random.normal(size=(60, d)) * 8
    points = centers[random.integers(60, size=n)] + random.normal(size=(n, d)) * 0.3
    if kind == "copies":
        points[n // 2 :] = points[: n - n // 2]
    if kind == "outlier":
        points[n // 3] = 1e25
        points[n // 5] = 0
    if kind == "tiny":
        points *= 1e-25
    return points


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("kind", ["plain", "copies", "outlier", "tiny"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_are_those_of_a_level_without_groups(dtype: Any, kind: str, cosine: bool) -> None:
    """300 centers of 17,000 points: places were dealt out at 256."""
    points = grouped(17_000, 9, kind).astype(dtype)
    rows = {}
    try:
        for name in LEVELS:
            kernels.set_instruction_set(name)
            for threads in (1, 3):
                kernels.set_num_threads(threads)
                rows[name, threads] = kmeans_plus_plus_rows(
                    points, 300, np.random.default_rng(2), cosine=cosine
                ).tolist()
    finally:
        kernels.set_instruction_set("")
        kernels.set_num_threads(0)
    assert "scalar" in LEVELS
    for found in rows.values():
        assert found == rows["scalar", 1]
