"""Bounds between assignments: never a different bit, whatever changes in between."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from centroids import kernels
from centroids.clustering import full_batch_update, initial_state
from centroids.kernels import _native
from tests.kernels.test_assign import make

Filter = Literal["float_filter", "byte_filter", "axes_filter"]
FILTERS: list[Filter] = ["float_filter", "byte_filter", "axes_filter"]
# Around the blocks of 128 and 256 rows, the panels of 48 and fewer, and the groups of 4 bytes.
SHAPES = [
    (1, 1, 1),
    (5, 3, 2),
    (127, 63, 47),
    (128, 600, 49),
    (256, 16, 48),
    (257, 5, 97),
    (513, 65, 150),
    (700, 129, 20),
]


def assert_same(a: kernels.Assignment, b: kernels.Assignment) -> None:
    np.testing.assert_array_equal(a.cluster_index, b.cluster_index)
    np.testing.assert_array_equal(a.sums, b.sums)
    np.testing.assert_array_equal(a.counts, b.counts)
    assert a.inertia == b.inertia


def check_lloyd(
    points: NDArray[Any],
    num_clusters: int,
    search: Filter,
    *,
    cosine: bool = False,
    iterations: int = 6,
) -> None:
    """Iterations with a memory against iterations without one."""
    centers = points[:num_clusters].astype(kernels.result_dtype(points))
    state, memory = initial_state(centers), kernels.AssignmentMemory()
    for _ in range(iterations):
        remembered = kernels.assign(
            points, state.centers, cosine=cosine, update=True, memory=memory, search=search
        )
        plain = kernels.assign(points, state.centers, cosine=cosine, update=True, search="panels")
        assert_same(remembered, plain)
        state = full_batch_update(state, plain, cosine=cosine)


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("search", FILTERS)
def test_iterations_give_the_same_bits(
    level: str, shape: tuple[int, int, int], dtype: Any, cosine: bool, search: Filter
) -> None:
    n, d, k = shape
    points, _ = make(n, d, 1, dtype)
    points[n // 2] = 0
    check_lloyd(points, min(n, k), search, cosine=cosine)


@pytest.mark.parametrize("offset", [1e3, 1e4, 1e5])
@pytest.mark.parametrize("search", FILTERS)
def test_iterations_give_the_same_bits_far_from_the_origin(
    level: str, offset: float, search: Filter
) -> None:
    check_lloyd(make(600, 40, 1, offset=offset)[0], 70, search)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e17, 1e30])
@pytest.mark.parametrize("search", FILTERS)
def test_iterations_give_the_same_bits_at_extreme_scales(
    level: str, scale: float, search: Filter
) -> None:
    check_lloyd(make(300, 20, 1)[0] * np.float32(scale), 60, search)


@pytest.mark.parametrize("search", FILTERS)
def test_ties_and_duplicates_give_the_same_bits(level: str, search: Filter) -> None:
    points = np.random.default_rng(0).integers(0, 3, (900, 12)).astype(np.uint8)
    check_lloyd(points, 100, search)


@pytest.mark.parametrize("search", FILTERS)
def test_one_wide_column_gives_the_same_bits(search: Filter) -> None:
    points, _ = make(1000, 64, 1)
    points[:, 5] *= 1e4
    check_lloyd(points, 120, search)


@pytest.mark.parametrize("search", FILTERS)
def test_converted_rows_give_the_same_bits(search: Filter) -> None:
    points, _ = make(600, 33, 1)
    check_lloyd(points.astype(np.float16), 60, search)
    check_lloyd(np.asfortranarray(points), 60, search)
    check_lloyd(np.repeat(points, 2, axis=1)[:, ::2], 60, search)
    check_lloyd(points[::-1, 1:], 60, search)


@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_the_number_of_threads_changes_no_bit(threads: None, num_threads: int) -> None:
    kernels.set_num_threads(num_threads)
    points, _ = make(40_000, 32, 1)
    check_lloyd(points, 300, "byte_filter", iterations=4)


@pytest.mark.parametrize("search", FILTERS)
@pytest.mark.parametrize(("row", "column"), [(0, 0), (300, 7), (599, 39), (128, 16)])
def test_a_single_changed_value_is_noticed(search: Filter, row: int, column: int) -> None:
    points, _ = make(600, 40, 1)
    centers = points[:80].copy()
    memory = kernels.AssignmentMemory()
    kernels.assign(points, centers, memory=memory, search=search)
    points[row, column] += 50
    far = centers.copy()
    far[7] = points[row]
    remembered = kernels.assign(points, far, update=True, memory=memory, search=search)
    assert remembered.cluster_index[row] == 7
    assert_same(remembered, kernels.assign(points, far, update=True, search="panels"))


@pytest.mark.parametrize("search", FILTERS)
def test_swapped_rows_and_columns_are_noticed(search: Filter) -> None:
    points, _ = make(500, 24, 1)
    centers = points[:60].copy()
    memory = kernels.AssignmentMemory()
    changes: list[Callable[[Any], Any]] = [
        lambda p: p,
        lambda p: p[::-1],
        lambda p: p[:, ::-1],
        lambda p: -p,
        lambda p: np.roll(p, 1, axis=0),
    ]
    for change in changes:
        points = np.ascontiguousarray(change(points))
        remembered = kernels.assign(points, centers, update=True, memory=memory, search=search)
        assert_same(remembered, kernels.assign(points, centers, update=True, search="panels"))


def test_one_memory_may_see_any_points() -> None:
    memory = kernels.AssignmentMemory()
    for n, d, k, dtype in [
        (300, 20, 60, np.float32),
        (300, 20, 60, np.float64),
        (300, 20, 61, np.float32),
        (299, 20, 60, np.float32),
        (300, 21, 60, np.float32),
        (0, 21, 60, np.float32),
        (300, 20, 60, np.float32),
    ]:
        points, centers = make(n, d, k, dtype)
        for _ in range(2):
            remembered = kernels.assign(
                points, centers, update=True, memory=memory, search="float_filter"
            )
            assert_same(remembered, kernels.assign(points, centers, update=True, search="panels"))


@pytest.mark.parametrize("search", FILTERS)
def test_bad_values_are_reported_at_any_time(level: str, search: Filter) -> None:
    points, centers = make(700, 30, 70)
    memory = kernels.AssignmentMemory()
    good = kernels.assign(points, centers, update=True, memory=memory, search=search)
    for value in (np.nan, np.inf, -np.inf):
        bad = points.copy()
        bad[400, 3] = bad[650, 1] = value
        with pytest.raises(kernels.NonFiniteError) as error:
            kernels.assign(bad, centers, memory=memory, search=search)
        assert (error.value.row, error.value.column) == (400, 3)
        again = kernels.assign(points, centers, update=True, memory=memory, search=search)
        assert_same(again, good)


def test_one_memory_may_see_any_levels(threads: None) -> None:
    """Their panels of centers, of which the groups of bounds are made, have other widths."""
    random = np.random.default_rng(3)
    points = random.normal(size=(700, 20)).astype(np.float32)
    levels = kernels.supported_instruction_sets()
    memory = kernels.AssignmentMemory()
    try:
        for step, name in enumerate(levels[::-1] + levels):
            centers = points[step : step + 90]
            kernels.set_instruction_set(name)
            kernels.set_num_threads(1 + step % 3)
            remembered = kernels.assign(
                points,
                centers,
                update=True,
                memory=memory,
                same_points=step > 0,
                search="float_filter",
            )
            assert_same(remembered, kernels.assign(points, centers, update=True, search="panels"))
    finally:
        kernels.set_instruction_set("")


@pytest.mark.parametrize("num_dimensions, bounded", [(768, True), (64, False)])
def test_few_clusters_are_bounded_in_many_dimensions(
    num_dimensions: int, bounded: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if "avx2" not in kernels.supported_instruction_sets():
        pytest.skip("no filter in bytes")
    random = np.random.default_rng(5)
    points = random.normal(size=(5000, num_dimensions)).astype(np.float32)
    memory = kernels.AssignmentMemory()
    with caplog.at_level(logging.DEBUG, "centroids.kernels"):
        found = [kernels.assign(points, points[:8], update=True, memory=memory) for _ in range(3)]
    assert ("with bounds" in caplog.text) == bounded
    expected = kernels.assign(points, points[:8], update=True, search="panels")
    for one in found:
        assert_same(one, expected)


def test_zero_vectors_and_zero_centers_under_cosine(level: str) -> None:
    points, centers = make(400, 20, 70)
    points[::7] = 0
    centers[3] = centers[50] = 0
    memory = kernels.AssignmentMemory()
    for step in range(4):
        moved = centers + np.float32(0.01 * step) * (centers != 0)
        if step == 3:
            moved[3], moved[4] = moved[4], 0
        remembered = kernels.assign(
            points, moved, cosine=True, update=True, memory=memory, search="byte_filter"
        )
        plain = kernels.assign(points, moved, cosine=True, update=True, search="panels")
        assert_same(remembered, plain)
        assert (remembered.cluster_index[::7] == 0).all()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_sequence_of_moves_gives_the_same_bits(data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 1000))
    random = np.random.default_rng(seed)
    n, d, k = random.integers(1, 400), random.integers(1, 40), random.integers(1, 120)
    points = random.normal(size=(n, d)).astype(np.float32)
    if data.draw(st.booleans()):
        points = np.round(points)
    centers = random.normal(size=(k, d)).astype(np.float32)
    memory = kernels.AssignmentMemory()
    search = data.draw(st.sampled_from(FILTERS))
    cosine = data.draw(st.booleans())
    for _ in range(6):
        move = data.draw(st.sampled_from(["none", "small", "one", "swap", "all", "points"]))
        if move == "small":
            centers = centers + random.normal(size=centers.shape).astype(np.float32) * 0.01
        elif move == "one":
            centers[random.integers(k)] = points[random.integers(n)]
        elif move == "swap":
            centers = random.permutation(centers)
        elif move == "all":
            centers = random.normal(size=centers.shape).astype(np.float32) * 3
        elif move == "points":
            points[random.integers(n)] = random.normal(size=d)
        centers = centers.astype(np.float32)
        remembered = kernels.assign(
            points, centers, cosine=cosine, update=True, memory=memory, search=search
        )
        plain = kernels.assign(points, centers, cosine=cosine, update=True, search="panels")
        assert_same(remembered, plain)


def test_threads_that_share_a_memory_do_not_disturb_each_other() -> None:
    points, centers = make(5000, 40, 200)
    want = kernels.assign(points, centers, update=True)
    memory = kernels.AssignmentMemory()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(10):
                assert_same(kernels.assign(points, centers, update=True, memory=memory), want)
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures


def test_the_log_says_which_kernel_ran(caplog: pytest.LogCaptureFixture) -> None:
    points, centers = make(5000, 64, 300)
    memory = kernels.AssignmentMemory()
    with caplog.at_level(logging.DEBUG, logger="centroids.kernels"):
        for _ in range(2):
            kernels.assign(points, centers, memory=memory, search="float_filter")
        kernels.assign(points[:, :2], centers[:, :2])
    first, second, third = (record.getMessage() for record in caplog.records)
    assert "5000 x 64 float32 to 300 centers by float_filter with bounds" in first
    assert "settled 0.0% of the points" in first
    settled = re.search(r"settled ([0-9.]+)% of the points", second)
    assert settled is not None
    assert float(settled[1]) > 90
    assert "5000 x 2" in third
    assert "bounds" not in third


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("kind", ["binary", "one-hot", "signs"])
@pytest.mark.parametrize("strided", [False, True])
def test_reordered_rows_of_few_values_are_noticed(kind: str, dtype: Any, strided: bool) -> None:
    # Sums with keys in arithmetic progressions do not see which row of a block is where.
    random = np.random.default_rng(0)
    points: NDArray[Any] = random.integers(0, 2, (4096, 32)).astype(dtype)
    if kind == "one-hot":
        points = np.eye(32, dtype=dtype)[random.integers(0, 32, 4096)]
    if kind == "signs" and dtype != np.uint8:
        points = 2 * points - 1  # two flipped bits of sign cancel in sums modulo 2^64
    centers = random.random((64, 32)).astype(kernels.result_dtype(points))
    memory = kernels.AssignmentMemory()
    for _ in range(6):
        held = np.repeat(points, 2, axis=0)[::2] if strided else points
        remembered = kernels.assign(
            held, centers, update=True, memory=memory, search="float_filter"
        )
        assert_same(remembered, kernels.assign(held, centers, update=True, search="panels"))
        for block in range(0, 4096, 256):
            points[block : block + 256] = random.permutation(points[block : block + 256])


def test_keys_are_drawn_anew_in_each_process() -> None:
    code = "from centroids.kernels import _native; print(_native.fingerprint_keys()[:4])"
    seen = {subprocess.check_output([sys.executable, "-c", code]) for _ in range(2)}
    assert len(seen) == 2
    keys = _native.fingerprint_keys()
    assert len(keys) == 1024 + 16 + 1
    # Two of 1,040 numbers of 32 bits are equal once in 8,000 processes.
    assert len(set(keys)) >= len(keys) - 2
