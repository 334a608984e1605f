"""One rule for labels: no kernel, level, layout, type, batch or memory can change them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from centroids import kernels
from tests.fuzz.damage import SLOW

LEVELS = kernels.supported_instruction_sets()
SEARCHES: list[Any] = ["automatic", "panels", "lanes", "grid", "float_filter", "byte_filter"]


def scaled_problem(random: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any]]:
    """Points and centers whose columns have any scale from 1e-30 to 1e17, with ties and outliers."""
    n, d, k = int(random.integers(1, 300)), int(random.integers(1, 70)), int(random.integers(1, 150))
    dtype = random.choice([np.float32, np.float64])
    kind = random.choice(["normal", "integers", "two groups", "subset"])
    points = random.normal(size=(n, d))
    centers = random.normal(size=(k, d))
    if kind == "integers":
        points, centers = np.rint(points), np.rint(centers)
    if kind == "two groups":
        points[::2] += 1e8
        centers[::2] += 1e8
    scales = 10.0 ** random.integers(-30, 18, d) if random.random() < 0.5 else np.ones(d)
    if random.random() < 0.3:
        scales[random.integers(d)] = 10.0 ** random.integers(-30, 18)
    points, centers = points * scales, centers * scales
    if kind == "subset":
        centers = points[random.integers(n, size=k)]
    for _ in range(int(random.integers(3))):  # far from everything
        points[random.integers(n)] *= 10.0 ** random.integers(1, 18)
    if random.random() < 0.5:
        points[random.random(points.shape) < random.random()] = 0
    most = 1e30  # squares must fit float64
    return np.clip(points, -most, most).astype(dtype), np.clip(centers, -most, most).astype(dtype)


def all_labels(
    points: NDArray[Any], centers: NDArray[Any], cosine: bool
) -> dict[str, NDArray[np.int32]]:
    """The labels of each kernel at each level, in one batch and in halves, dense and sparse."""
    found = {}
    half = len(points) // 2
    sparse = scipy.sparse.csr_array(points)
    memories = {search: kernels.AssignmentMemory() for search in SEARCHES}
    for level in LEVELS:
        kernels.set_instruction_set(level)
        for search in SEARCHES:

            def assign(rows: Any, search: Any = search, **options: Any) -> NDArray[np.int32]:
                result = kernels.assign(rows, centers, cosine=cosine, search=search, **options)
                return result.cluster_index

            name = f"{level} {search}"
            found[name] = assign(points)
            found[f"{name} in halves"] = np.concatenate([assign(points[:half]), assign(points[half:])])
            found[f"{name} remembered"] = assign(points, memory=memories[search])
        found[f"{level} sparse"] = kernels.assign(sparse, centers, cosine=cosine).cluster_index
        if cosine:
            distances = kernels.all_distances(points, centers, cosine=True)
            found[f"{level} all_distances"] = distances.argmin(axis=1)
            distances = kernels.all_distances(sparse, centers, cosine=True)
            found[f"{level} sparse all_distances"] = distances.argmin(axis=1)
    kernels.set_instruction_set("")
    return found


def check_rounds(seed: int) -> None:
    random = np.random.default_rng(seed)
    points, centers = scaled_problem(random)
    for cosine in (False, True):
        found = all_labels(points, centers, cosine)
        first = found["scalar panels"]
        different = {name: (labels != first).sum() for name, labels in found.items()}
        assert not any(different.values()), (seed, cosine, different)


@settings(max_examples=12)
@given(seed=st.integers(0, 2**32 - 1))
def test_labels_are_the_same_everywhere(seed: int) -> None:
    check_rounds(seed)


@pytest.mark.slow
@settings(max_examples=SLOW // 20)
@given(seed=st.integers(0, 2**32 - 1))
def test_labels_are_the_same_everywhere_in_many_rounds(seed: int) -> None:
    check_rounds(seed)
