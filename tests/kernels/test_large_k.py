"""Many centers: looks along leading axes exclude most of them, and never the nearest one."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from centroids import kernels


def nested(n: int, d: int, seed: int, decay: float = 0.6) -> NDArray[np.float32]:
    """Groups within groups, whose spread falls from axis to axis, turned at random."""
    random = np.random.default_rng(seed)
    spread = np.arange(1, d + 1) ** -decay
    wide, narrow = random.normal(size=(7, d)), 0.6 * random.normal(size=(60, d))
    group = random.integers(60, size=n)
    points = (wide[group % 7] + narrow[group] + 0.4 * random.normal(size=(n, d))) * spread
    turn, _ = np.linalg.qr(random.normal(size=(d, d)))
    return (points @ turn).astype(np.float32)


def nearest(points: NDArray[Any], centers: NDArray[Any]) -> NDArray[np.float64]:
    """The squared distance of each point to its nearest center, by differences in float64."""
    wide = centers.astype(np.float64)
    return np.array([((wide - row) ** 2).sum(axis=1).min() for row in points.astype(np.float64)])


def check_labels(points: NDArray[Any], centers: NDArray[Any], found: NDArray[np.int32]) -> None:
    own = ((points.astype(np.float64) - centers[found].astype(np.float64)) ** 2).sum(axis=1)
    np.testing.assert_allclose(own, nearest(points, centers), rtol=1e-12, atol=1e-300)


def spoil(points: NDArray[np.float32], kind: str) -> NDArray[np.float32]:
    random = np.random.default_rng(5)
    points = points.copy()
    if kind == "far groups":
        points[::2] += 1e4
    elif kind == "duplicates":
        points[1::2] = points[: len(points) // 2 * 2 : 2][: len(points[1::2])]
    elif kind == "one huge column":
        points[:, 3] *= 1e6
    elif kind == "zeros":
        points[random.random(len(points)) < 0.3] = 0
    elif kind == "integers":
        points = np.rint(4 * points)
    elif kind == "one center far away":
        points[7] *= 1e8
    elif kind == "tiny":
        points *= np.float32(1e-30)
    elif kind == "huge":
        points *= np.float32(1e15)
    elif kind == "at the end of the range":
        points *= np.float32(10) ** random.integers(-30, 30, points.shape[1])
    elif kind == "in few dimensions":
        points[:, 5:] = 0
    return points.astype(np.float32)


KINDS = [
    "plain", "far groups", "duplicates", "one huge column", "zeros", "integers",
    "one center far away", "tiny", "huge", "in few dimensions",
    "at the end of the range",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cosine", [False, True])
def test_labels_are_those_of_panels(level: str, kind: str, cosine: bool) -> None:
    points = spoil(nested(700, 70, seed=1), kind)
    centers = points[np.random.default_rng(2).choice(700, 300, replace=False)]
    found = kernels.assign(points, centers, cosine=cosine, update=True, search="axes_filter")
    plain = kernels.assign(points, centers, cosine=cosine, update=True, search="panels")
    np.testing.assert_array_equal(found.cluster_index, plain.cluster_index)
    np.testing.assert_array_equal(found.sums, plain.sums)
    assert found.inertia == plain.inertia
    if not cosine:
        check_labels(points, centers, found.cluster_index)


def lloyd(
    points: NDArray[Any], k: int, search: Any, iterations: int, memory: Any
) -> list[kernels.Assignment]:
    centers = points[np.random.default_rng(3).choice(len(points), k, replace=False)].copy()
    results = []
    for _ in range(iterations):
        result = kernels.assign(points, centers, update=True, memory=memory, search=search)
        results.append(result)
        assert result.counts is not None
        assert result.sums is not None
        some = result.counts > 0
        centers[some] = (result.sums[some] / result.counts[some, None]).astype(points.dtype)
    return results


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_iterations_have_the_bits_of_plain_ones(
    level: str, threads: None, dtype: type[np.floating[Any]]
) -> None:
    points = nested(1500, 64, seed=4).astype(dtype)
    expected = lloyd(points, 200, "panels", 6, None)
    for count in (1, 2, 3):
        kernels.set_num_threads(count)
        found = lloyd(points, 200, "axes_filter", 6, kernels.AssignmentMemory())
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.cluster_index, other.cluster_index)
            np.testing.assert_array_equal(one.sums, other.sums)
            assert one.inertia == other.inertia


@pytest.mark.parametrize("k", [1023, 1024, 1025])
def test_chosen_where_the_spread_is_gathered(k: int, caplog: pytest.LogCaptureFixture) -> None:
    if "avx2" not in kernels.supported_instruction_sets():
        pytest.skip("no filter in bytes")
    points = nested(4200, 128, seed=6)
    with caplog.at_level(logging.DEBUG, "centroids.kernels"):
        found = lloyd(points, k, "automatic", 3, kernels.AssignmentMemory())
    assert ("axes_filter" in caplog.text) == (k >= 1024)
    for one, other in zip(found, lloyd(points, k, "panels", 3, None), strict=True):
        np.testing.assert_array_equal(one.cluster_index, other.cluster_index)
        assert one.inertia == other.inertia


def test_not_chosen_for_unstructured_points(caplog: pytest.LogCaptureFixture) -> None:
    if "avx2" not in kernels.supported_instruction_sets():
        pytest.skip("no filter in bytes")
    points = np.random.default_rng(7).normal(size=(4200, 128)).astype(np.float32)
    with caplog.at_level(logging.DEBUG, "centroids.kernels"):
        kernels.assign(points, points[:1100], memory=kernels.AssignmentMemory())
    assert "byte_filter" in caplog.text
    assert "axes_filter" not in caplog.text


@pytest.mark.parametrize("num_points, expected", [(8192, "byte_filter"), (32768, "axes_filter")])
def test_points_that_come_once_must_be_many(
    num_points: int, expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    if "avx2" not in kernels.supported_instruction_sets():
        pytest.skip("no filter in bytes")
    points = nested(num_points, 128, seed=6)
    with caplog.at_level(logging.DEBUG, "centroids.kernels"):
        kernels.assign(points, points[:4096])
    assert f"by {expected}" in caplog.text


@pytest.mark.parametrize("k", [4095, 4096, 4097])
def test_around_four_thousand_centers(k: int) -> None:
    points = nested(4500, 64, seed=8)
    centers = points[:k] + np.float32(0.01)
    found = kernels.assign(points, centers, search="axes_filter").cluster_index
    np.testing.assert_array_equal(
        found, kernels.assign(points, centers, search="panels").cluster_index
    )
    some = np.random.default_rng(9).choice(len(points), 150, replace=False)
    check_labels(points[some], centers, found[some])


@given(
    seed=st.integers(0, 2**32 - 1),
    d=st.integers(26, 100),
    k=st.integers(2, 200),
    decay=st.floats(0, 2),
    offset=st.sampled_from([0.0, 1.0, 1e4, 1e7]),
)
@settings(max_examples=40, deadline=None)
def test_any_shape(seed: int, d: int, k: int, decay: float, offset: float) -> None:
    points = nested(250, d, seed, decay) + np.float32(offset)
    centers = points[np.random.default_rng(seed).integers(250, size=k)]
    found = kernels.assign(points, centers, search="axes_filter").cluster_index
    check_labels(points, centers, found)
    np.testing.assert_array_equal(
        found, kernels.assign(points, centers, search="panels").cluster_index
    )
