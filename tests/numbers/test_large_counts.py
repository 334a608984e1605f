"""Counts and sums far beyond what float32 can count."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import centroids
from centroids import clustering, kernels
from tests.numbers import modes

MANY = 2**25


def exact_sum(points: np.ndarray) -> float:
    """The sum of all values, rounded once."""
    return math.fsum(math.fsum(part.tolist()) for part in np.array_split(points.ravel(), 64))


@pytest.mark.slow
@pytest.mark.parametrize("mode", modes.MODES)
def test_a_cluster_of_2_to_the_25_points(mode: str) -> None:
    # Float32 counts stop at 2^24, float32 sums much earlier.
    random = np.random.default_rng(0)
    points = random.random((MANY, 1), np.float32) + np.float32(1)
    total = exact_sum(points)
    batches = [points] if mode == "full" else np.array_split(points, 8)
    first = np.array([[1.5], [99.0]], np.float32)
    sums, counts = 0.0, 0
    for batch, state in modes.run(mode, first, batches):
        assert batch.sums is not None and batch.counts is not None
        sums, counts = sums + batch.sums[0, 0], counts + int(batch.counts[0])
        if mode == "mini":
            assert state.counts.tolist() == [1 + counts, 1]
    assert counts == MANY
    assert sums == pytest.approx(total, rel=1e-14)
    mean = (total + 1.5) / (MANY + 1) if mode == "mini" else total / MANY
    if mode == "multi":
        mean = exact_sum(np.concatenate(batches[-modes.STEPS_PER_ITERATION :])) / (MANY // 4)
    # Mini-batch centers are rounded to float32 after each of the 8 steps.
    ulp = float(np.spacing(np.float32(mean)))
    assert abs(float(state.centers[0, 0]) - mean) <= (4.5 if mode == "mini" else 1) * ulp
    assert state.centers[1, 0] == 99


@pytest.mark.slow
def test_the_estimator_counts_2_to_the_25_points() -> None:
    # From input to variables: 8 batches, each larger than the one that float32 could add up.
    batch = np.full((MANY // 8, 1), np.float32(1.1))
    model = centroids.KMeansClustering(2, initial_clusters=np.array([[1.0], [9.0]], np.float32))
    model.train(lambda: iter([batch] * 8))
    assert model.get_variable_value("cluster_counts").tolist() == [MANY + 1, 1]
    assert model.cluster_centers()[0, 0] == pytest.approx(np.float32(1.1), rel=1e-7)
    values = model.evaluate(lambda: iter([batch] * 8))
    assert values["num_examples"] == MANY


@pytest.mark.parametrize("seen", [2**24, 2**31 - 1, 2**31, 2**53 - 1, 2**53])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_counts_go_on_from_any_number(seen: int, dtype: type) -> None:
    state = clustering.ClusterState(
        centers=np.array([[1.0], [8.0]], dtype),
        counts=np.array([seen, seen], np.int64),
        updated_centers=np.array([[1.0], [8.0]], dtype),
        steps_in_iteration=0,
    )
    points: Any = np.array([[2.0], [2.0], [2.0]], dtype)
    for round_ in range(1, 4):
        _, state = modes.step("mini", state, points)
        assert state.counts.tolist() == [seen + 3 * round_, seen]
    # The mean of `seen` ones and nine twos, rounded three times to the type of the centers.
    ulp = float(np.spacing(dtype(1)))
    assert abs(float(state.centers[0, 0]) - (1 + 9 / (seen + 9))) <= 1.5 * ulp
    assert state.centers[1, 0] == 8


@pytest.mark.parametrize("num_threads", [1, 3])
def test_sums_are_those_of_exact_arithmetic(num_threads: int) -> None:
    # Alternating signs and four orders of magnitude: what a float32 sum would lose.
    random = np.random.default_rng(1)
    size = 10.0 ** random.integers(-2, 3, (50_001, 3))
    points = (random.normal(size=size.shape) * size).astype(np.float32)
    kernels.set_num_threads(num_threads)
    result = kernels.assign(points, points[:5], update=True)
    kernels.set_num_threads(0)
    assert result.sums is not None
    for cluster in range(5):
        own = points[result.cluster_index == cluster].astype(np.float64)
        for column in range(3):
            error = abs(result.sums[cluster, column] - exact_sum(own[:, column]))
            assert error <= 1e-13 * np.abs(own[:, column]).sum()


@pytest.mark.parametrize("value", [0.1, 7.7])
@pytest.mark.parametrize("num_clusters", [1, 40])
def test_sums_of_float64_points_keep_their_bound(value: float, num_clusters: int) -> None:
    # Equal values are the worst case: their rounding errors do not cancel.
    points = np.full((2**20, 1), value)
    points[::3] = -value / 3
    centers = np.vstack([[[value]], [[-value / 3]], np.arange(2, num_clusters + 1)[:, None] * 1e3])
    result = kernels.assign(points, centers[:num_clusters], update=True)
    assert result.sums is not None and result.counts is not None
    for cluster in range(num_clusters):
        own = points[result.cluster_index == cluster]
        error = abs(result.sums[cluster, 0] - exact_sum(own))
        assert error <= max(len(own) - 1, 0) * 2.0**-53 * np.abs(own).sum()
