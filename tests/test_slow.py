"""What takes longer: every level on larger shapes, streams far larger than their batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import centroids
from centroids import kernels
from tests import oracle

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("level", kernels.supported_instruction_sets())
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_larger_shapes_are_exact(level: str, offset: float) -> None:
    random = np.random.default_rng(0)
    kernels.set_instruction_set(level)
    for n, d, k in [(3000, 768, 300), (50_000, 16, 100), (20_000, 100, 500), (200_000, 2, 50)]:
        points = (random.normal(size=(n, d)) + offset).astype(np.float32)
        centers = points[:k] + np.float32(0.01)
        index = kernels.assign(points, centers).cluster_index
        wide = points.astype(np.float64) - offset
        shifted = centers.astype(np.float64) - offset
        scores = (shifted**2).sum(axis=1) - 2 * wide @ shifted.T
        best = scores.argmin(axis=1)
        differ = np.flatnonzero(index != best)
        own = oracle.distances(points[differ], centers, "squared_euclidean")
        rows = np.arange(len(differ))
        np.testing.assert_allclose(own[rows, index[differ]], own[rows, best[differ]], rtol=1e-12)
    kernels.set_instruction_set("")


def test_a_stream_far_larger_than_its_batches_follows_the_oracle(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    points = (random.normal(size=(200_000, 8)) * 3).astype(np.float32)
    np.save(tmp_path / "points.npy", points)
    model = centroids.KMeansClustering(30, initial_clusters=points[:30])
    model.train(centroids.inputs.npy_input_fn(tmp_path / "points.npy", batch_size=1000))
    truth = oracle.Oracle(points[:30], "squared_euclidean", mini_batch=True)
    for at in range(0, len(points), 1000):
        truth.step(points[at : at + 1000])
    np.testing.assert_array_equal(model.get_variable_value("cluster_counts"), truth.counts)
    np.testing.assert_allclose(model.cluster_centers(), truth.centers, atol=1e-4)
