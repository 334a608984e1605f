"""The two passes of k-means++ against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse

from centroids import kernels
from tests import oracle


@pytest.mark.parametrize("level", kernels.supported_instruction_sets())
@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1, 1), (65, 3, 2), (5000, 17, 20), (2049, 40, 60)])
def test_potentials_and_closest_distances(
    level: str, cosine: bool, sparse: bool, dtype: Any, shape: tuple[int, int, int]
) -> None:
    n, d, num_candidates = shape
    random = np.random.default_rng(n)
    dense = random.normal(size=(n, d)).astype(dtype)
    dense[random.random(dense.shape) < 0.2] = 0
    candidates = random.normal(size=(num_candidates, d)).astype(dtype)
    if cosine:
        dense[n // 2] = 0  # a zero vector is at distance 1 from everything
        candidates = oracle.unit_rows(candidates).astype(dtype)
    metric = "cosine" if cosine else "squared_euclidean"
    truth = oracle.distances(dense, candidates, metric) * (2 if cosine else 1)
    points: Any = scipy.sparse.csr_array(dense) if sparse else dense
    kernels.set_instruction_set(level)
    closest = np.full(n, np.inf)
    sums = kernels.add_center(points, candidates[0], closest, cosine=cosine)
    tolerance = 1e-5 if dtype == np.float32 else 1e-10
    np.testing.assert_allclose(closest, truth[:, 0], rtol=tolerance, atol=tolerance)
    blocks = range(0, n, kernels.SAMPLING_BLOCK)
    expected = [closest[at : at + kernels.SAMPLING_BLOCK].sum() for at in blocks]
    np.testing.assert_allclose(sums, expected, rtol=1e-12)
    potentials = kernels.candidate_potentials(points, candidates, closest, cosine=cosine)
    wanted = np.minimum(closest[:, None], truth).sum(axis=0)
    np.testing.assert_allclose(potentials, wanted, rtol=tolerance, atol=tolerance)
    kernels.set_instruction_set("")
