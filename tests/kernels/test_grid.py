"""The grid of cells for one to three dimensions: exact, and equal to the other kernels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from centroids import kernels
from tests import oracle

Arrays = tuple[NDArray[Any], NDArray[Any]]


@pytest.fixture(params=kernels.supported_instruction_sets(), autouse=True)
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    kernels.set_instruction_set(request.param)
    yield request.param
    kernels.set_instruction_set("")


def check(points: NDArray[Any], centers: NDArray[Any], **options: Any) -> None:
    grid = kernels.assign(points, centers, update=True, search="grid", **options)
    lanes = kernels.assign(points, centers, update=True, search="lanes")
    truth = oracle.distances(points, centers, "squared_euclidean")
    own = truth[np.arange(len(points)), grid.cluster_index]
    assert (own <= truth.min(axis=1) * (1 + 1e-14)).all()
    np.testing.assert_array_equal(grid.cluster_index, lanes.cluster_index)
    np.testing.assert_array_equal(grid.sums, lanes.sums)
    np.testing.assert_array_equal(grid.counts, lanes.counts)
    assert grid.inertia == lanes.inertia


def make(n: int, d: int, k: int, dtype: Any, seed: int = 0) -> Arrays:
    random = np.random.default_rng(seed)
    points = random.normal(size=(n, d)).astype(dtype)
    return points, points[random.permutation(n)[:k]].copy()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 8, 9, 50, 300])
def test_labels_and_update_equal_those_of_lanes(d: int, k: int, dtype: Any) -> None:
    check(*make(20_011, d, k, dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("offset", [1e3, 1e4, 1e6])
def test_far_from_the_origin(d: int, offset: float, dtype: Any) -> None:
    points, centers = make(9000, d, 40, np.float64)
    check((points + offset).astype(dtype), (centers + offset).astype(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e-40, 1e-30, 1e-18, 1e15, 1e18, 1e30, 1e150])
def test_extreme_scales(scale: float, dtype: Any) -> None:
    if dtype is np.float32 and not 1e-40 <= scale <= 1e30:
        return
    points, centers = make(5000, 2, 30, np.float64)
    points, centers = (points * scale).astype(dtype), (centers * scale).astype(dtype)
    grid = kernels.assign(points, centers, search="grid").cluster_index
    np.testing.assert_array_equal(
        grid, oracle.distances(points, centers, "squared_euclidean").argmin(axis=1)
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("offset", [0, 5000])
def test_integers_with_ties_and_points_on_the_borders_of_cells(
    d: int, offset: int, dtype: Any
) -> None:
    # The box is [0, 64] in each dimension, so that cells begin at integers.
    random = np.random.default_rng(d)
    points = random.integers(0, 65, (12_000, d)) + offset
    centers = random.integers(0, 65, (70, d)) + offset
    centers[40:50] = centers[:10]  # copies
    points[::50] = centers[random.integers(0, 70, 240)]
    truth = ((points[:, None, :] - centers[None]) ** 2).sum(axis=2)
    got = kernels.assign(points.astype(dtype), centers.astype(dtype), search="grid")
    np.testing.assert_array_equal(got.cluster_index, truth.argmin(axis=1))
    check(points.astype(dtype), centers.astype(dtype))


@pytest.mark.parametrize("d", [1, 2, 3])
def test_points_beyond_the_box_and_centers_beyond_the_points(d: int) -> None:
    points, centers = make(6000, d, 60, np.float32)
    points[1::977] *= 10  # in the outermost cells
    points[2::977] *= 1000  # outside
    points[3::977] *= np.float32(1e12)
    centers[7] *= 50
    centers[8] *= np.float32(1e10)
    check(points, centers)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_all_centers_near_one_spot(d: int) -> None:
    points, centers = make(6000, d, 100, np.float32)
    check(points, (centers * np.float32(1e-4) + np.float32(0.5)).astype(np.float32))
    check(points, np.repeat(centers[:2], 40, axis=0))


def test_a_grid_that_does_not_pay_is_given_up() -> None:
    # 150 copies of 2 centers: every cell would have a list of 75.
    points, centers = make(150_000, 2, 2, np.float32)
    centers = np.repeat(centers, 75, axis=0)
    got = kernels.assign(points, centers, update=True)
    expected = kernels.assign(points, centers, update=True, search="lanes")
    np.testing.assert_array_equal(got.cluster_index, expected.cluster_index)
    np.testing.assert_array_equal(got.sums, expected.sums)


def test_no_spread_in_one_dimension_is_left_to_lanes() -> None:
    points, centers = make(3000, 2, 20, np.float32)
    points[:, 1] = 7
    check(points, centers)
    check(np.ones((50, 2), np.float32), centers)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_first_bad_row_is_reported(bad: float, d: int) -> None:
    points, centers = make(5000, d, 30, np.float32)
    points[[1234, 1240, 4000], d - 1] = bad
    with pytest.raises(kernels.NonFiniteError) as caught:
        kernels.assign(points, centers, update=True, search="grid")
    assert (caught.value.row, caught.value.column) == (1234, d - 1)


def test_squares_beyond_float64_are_reported() -> None:
    points, centers = make(4000, 2, 20, np.float64)
    points[77, 0] = 1e200
    with pytest.raises(kernels.NonFiniteError, match="overflow float64 at row 77"):
        kernels.assign(points, centers, search="grid")


@pytest.mark.parametrize("dtype", ["float16", "int8", "uint8", "int32", "uint64"])
def test_other_element_types(dtype: str) -> None:
    random = np.random.default_rng(3)
    points = random.integers(0, 100, (4000, 3)).astype(dtype)
    centers = points[:25].astype(np.float32) + np.float32(0.25)
    check(points, centers)


def test_strides_do_not_matter() -> None:
    base, centers = make(4000, 3, 30, np.float32)
    wide = np.zeros((8000, 9), np.float32)
    wide[::2, 1:7:2] = base
    padded = np.zeros((4000, 5), np.float32)
    padded[:, :3] = base
    expected = kernels.assign(base, centers, search="grid").cluster_index
    for points in (
        wide[::2, 1:7:2],
        padded[:, :3],
        np.asfortranarray(base),
        base[::-1].copy()[::-1],
    ):
        check(points, centers)
        got = kernels.assign(points, centers, search="grid").cluster_index
        np.testing.assert_array_equal(got, expected)


def test_cosine_is_left_to_lanes() -> None:
    points, centers = make(3000, 2, 20, np.float32)
    grid = kernels.assign(points, centers, cosine=True, search="grid")
    lanes = kernels.assign(points, centers, cosine=True, search="lanes")
    np.testing.assert_array_equal(grid.cluster_index, lanes.cluster_index)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_threads_blocks_and_levels_give_equal_bits(d: int) -> None:
    points, centers = make(70_000, d, 60, np.float32)
    seen = []
    for level in kernels.supported_instruction_sets():
        kernels.set_instruction_set(level)
        for threads, rows in ((1, 0), (2, 0), (3, 13), (7, 0)):
            kernels.set_num_threads(threads)
            got = kernels.assign(points, centers, update=True, search="grid", block_rows=rows)
            assert got.sums is not None and got.counts is not None
            seen.append((got.cluster_index.tobytes(), got.sums.tobytes(), got.inertia))
    kernels.set_num_threads(0)
    assert all(bits == seen[0] for bits in seen)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 3000),
    d=st.integers(1, 3),
    k=st.integers(1, 80),
    seed=st.integers(0, 2**20),
    spread=st.sampled_from([0.01, 1.0, 300.0]),
    dtype=st.sampled_from([np.float32, np.float64]),
    block_rows=st.sampled_from([0, 1, 7, 64]),
)
def test_random_shapes(
    n: int, d: int, k: int, seed: int, spread: float, dtype: Any, block_rows: int
) -> None:
    random = np.random.default_rng(seed)
    groups = random.uniform(-1, 1, (5, d))
    points = (groups[random.integers(0, 5, n)] + spread * random.normal(size=(n, d))).astype(dtype)
    centers = random.normal(size=(k, d)).astype(dtype)
    check(points, centers, block_rows=block_rows)
