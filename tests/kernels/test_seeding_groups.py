"""Groups of points that k-means++ leaves out: the same rows as without them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from centroids import kernels
from centroids.clustering import kmeans_plus_plus_rows
from tests.plain_seeding import PlainSeeding, exact_sum

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


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("kind", ["plain", "copies", "outlier", "tiny"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounds_with_groups_agree_with_the_plain_version(
    dtype: Any, kind: str, cosine: bool
) -> None:
    """Distances and reductions around the round in which places are dealt out, and long after."""
    points = grouped(8_400, 9, kind).astype(dtype)
    rounds = np.random.default_rng(4).integers(len(points), size=(290, 2))
    plain = PlainSeeding(points, cosine=cosine)
    plain.start(0)
    expected: dict[int, tuple[list[int], NDArray[np.float64], int]] = {}
    for turn, rows in enumerate(rounds):
        looked_at = turn % 9 == 5 or 252 <= turn <= 260
        reductions = plain.propose(rows) if looked_at else []
        closest = np.minimum(plain.closest, plain._distances(rows[turn % 2]))
        plain.closest = closest
        if looked_at:
            expected[turn] = reductions, closest, exact_sum(closest)
    try:
        for at, name in enumerate(LEVELS):
            kernels.set_instruction_set(name)
            kernels.set_num_threads((1, 3, 2)[at % 3])
            seeding = kernels.Seeding(points, cosine=cosine)
            seeding.start(points[0])
            for turn, rows in enumerate(rounds):
                found = seeding.propose(points[rows])
                seeding.take(turn % 2)
                if turn in expected:
                    reductions, closest, total = expected[turn]
                    assert found == reductions, (name, turn)
                    np.testing.assert_array_equal(seeding.closest, closest)
                    assert seeding.weights.total == total
    finally:
        kernels.set_instruction_set("")
        kernels.set_num_threads(0)
