"""Points in lanes in words of 16 bits: what words cannot tell apart is compared exactly."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from centroids import kernels
from tests import oracle

LEVELS = [
    level
    for level in ("avx2", "avxvnni", "avx512", "avx512vnni")
    if level in kernels.supported_instruction_sets()
]
if not LEVELS:
    pytest.skip("no instruction set with products of words", allow_module_level=True)


@pytest.fixture(params=LEVELS, autouse=True)
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    kernels.set_instruction_set(request.param)
    yield request.param
    kernels.set_instruction_set("")


@pytest.fixture
def dtype(level: str) -> Any:
    """One that has words on the level: where they need an addition, float32 takes no less time."""
    return np.float64 if level == "avx512" else np.float32


def check(points: NDArray[Any], centers: NDArray[Any], *, cosine: bool = False) -> None:
    found = kernels.assign(points, centers, cosine=cosine, update=True, search="words")
    plain = kernels.assign(points, centers, cosine=cosine, update=True, search="panels")
    np.testing.assert_array_equal(found.cluster_index, plain.cluster_index)
    assert found.inertia == plain.inertia
    assert found.sums is not None and plain.sums is not None
    assert found.sums.tobytes() == plain.sums.tobytes()


def search_that_ran(points: NDArray[Any], centers: NDArray[Any], log: Any, **options: Any) -> str:
    log.clear()
    with log.at_level(logging.DEBUG, logger="centroids.kernels"):
        kernels.assign(points, centers, **options)
    return str(log.text.split(" by ")[1].split()[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dimensions", [1, 2, 3, 7, 8, 17, 40, 127, 1024, 1025])
def test_points_of_every_scale_far_and_near(dtype: Any, dimensions: int) -> None:
    random = np.random.default_rng(dimensions)
    for k in (1, 2, 3, 8, 17, 65, 300):
        for n in (1, 15, 16, 33, 500):
            size = 10.0 ** random.uniform(-20, 17)
            mean = random.normal(size=dimensions) * size * 10.0 ** random.uniform(-2, 4)
            points = (mean + size * random.normal(size=(n, dimensions))).astype(dtype)
            centers = (mean + size * random.normal(size=(k, dimensions))).astype(dtype)
            centers[-1] = centers[0]  # the lower index wins
            points[0] = centers[0]
            check(points, centers, cosine=bool(random.integers(2)))


def test_labels_are_those_of_exact_arithmetic() -> None:
    random = np.random.default_rng(3)
    points = (1e4 + random.normal(size=(3_000, 9))).astype(np.float32)
    centers = (1e4 + random.normal(size=(70, 9))).astype(np.float32)
    truth = oracle.distances(points, centers, "squared_euclidean").argmin(axis=1)
    found = kernels.assign(points, centers, search="words").cluster_index
    np.testing.assert_array_equal(found, truth)


def test_more_places_than_bits_of_a_byte() -> None:
    random = np.random.default_rng(4)
    centers = random.normal(size=(5_000, 4)).astype(np.float32)
    check(random.normal(size=(100, 4)).astype(np.float32), centers)


@pytest.mark.parametrize("far", [1e3, 1e9, 1e19, 1e30])
def test_a_far_row_takes_the_digits_of_its_neighbours(far: float, dtype: Any) -> None:
    random = np.random.default_rng(5)
    points = random.normal(size=(300, 12)).astype(dtype)
    points[::20] *= dtype(far)
    check(points, points[1:40].copy())


def test_a_huge_column_hides_the_others(dtype: Any) -> None:
    random = np.random.default_rng(6)
    points = random.normal(size=(2_000, 12)).astype(dtype)
    points[:, 3] *= 1e7
    centers = points[:64].copy()
    centers[:, 3] = 0
    check(points, centers)  # nearly all of them are open: floats take over


def test_centers_that_words_cannot_hold(caplog: pytest.LogCaptureFixture, dtype: Any) -> None:
    points = np.random.default_rng(7).normal(size=(200, 8)).astype(dtype)
    assert search_that_ran(points, points[:40], caplog, search="words") == "words"
    for scale in (1e-15, 1e15):
        few = (points[:40] * scale).astype(dtype)
        assert search_that_ran(points, few, caplog, search="words") != "words"
        check((points * scale).astype(dtype), few)
    equal = np.repeat(points[:1], 3, axis=0)
    assert search_that_ran(points, equal, caplog, search="words") != "words"
    check(points, equal)


def test_words_that_fail_are_not_tried_again_with_the_same_points(
    caplog: pytest.LogCaptureFixture, dtype: Any
) -> None:
    random = np.random.default_rng(8)
    points = random.normal(size=(3_000, 40)).astype(dtype)
    memory = kernels.AssignmentMemory()
    options = {"memory": memory, "update": True}
    assert search_that_ran(points, points[:60], caplog, **options) == "words"
    assert search_that_ran(points, points[:60], caplog, **options) == "words"
    points[:, 0] *= 1e7
    centers = points[:60].copy()
    centers[:, 0] = 0
    search_that_ran(points, centers, caplog, **options)
    assert search_that_ran(points, centers, caplog, **options) != "words"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("inertia", [True, False])
def test_the_first_bad_row_is_named(bad: float, inertia: bool, dtype: Any) -> None:
    points = np.random.default_rng(9).normal(size=(900, 10)).astype(dtype)
    points[[517, 800], 9] = bad
    with pytest.raises(kernels.NonFiniteError, match="row 517, column 9"):
        kernels.assign(points, points[:30].copy(), search="words", inertia=inertia)


@pytest.mark.parametrize("search", ["automatic", "panels", "lanes", "byte_filter", "grid"])
def test_bad_rows_are_found_without_distances(search: Any) -> None:
    points = np.random.default_rng(10).normal(size=(5_000, 3)).astype(np.float32)
    points[4_321, 1] = np.nan
    with pytest.raises(kernels.NonFiniteError, match="row 4321, column 1"):
        kernels.assign(points, points[:300].copy(), search=search, inertia=False)
    large = np.full((2, 3), 1e200)
    with pytest.raises(kernels.NonFiniteError, match="row 0"):
        kernels.assign(large, -large, search=search, inertia=False)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_and_layouts_agree(threads: int) -> None:
    random = np.random.default_rng(11)
    points = random.normal(size=(20_000, 21))
    kernels.set_num_threads(threads)
    try:
        for given in (points, np.asfortranarray(points), points[::-3], points.astype(np.float16)):
            check(given, points[:90].astype(given.dtype))
    finally:
        kernels.set_num_threads(0)


class Sequence:
    """Calls with one memory, each compared with one that has none. Words find its bounds."""

    def __init__(self, points: NDArray[Any], *, cosine: bool) -> None:
        self.points, self.cosine = points, cosine
        self.memory, self.same = kernels.AssignmentMemory(), False

    def check(self, centers: NDArray[Any]) -> kernels.Assignment:
        found = kernels.assign(
            self.points,
            centers,
            cosine=self.cosine,
            update=True,
            memory=self.memory,
            same_points=self.same,
            search="words",
        )
        plain = kernels.assign(
            self.points, centers, cosine=self.cosine, update=True, search="panels"
        )
        np.testing.assert_array_equal(found.cluster_index, plain.cluster_index)
        assert found.sums is not None and plain.sums is not None
        assert found.sums.tobytes() == plain.sums.tobytes()
        np.testing.assert_array_equal(found.counts, plain.counts)
        assert found.inertia == plain.inertia
        self.same = True
        return plain

    def change(self, rows: NDArray[Any], first: int) -> None:
        self.points = self.points.copy()
        self.points[first : first + len(rows)] = rows
        self.same = False


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bounds_hold_where_the_second_center_is_hardly_farther(
    dtype: Any, cosine: bool, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Few centers move, and a little: a row's bound of a group that did not move must be low."""
    random = np.random.default_rng(12)
    centers = random.normal(size=(240, 24)).astype(dtype)

    def between(n: int) -> NDArray[Any]:  # two centers
        first, second = random.integers(len(centers), size=(2, n))
        share = 0.5 + 0.005 * random.normal(size=(n, 1))
        return np.asarray(centers[first] + share * (centers[second] - centers[first]), dtype=dtype)

    points = between(6_000)
    points[::500] = 0
    points[1::64] *= dtype(300)  # take the digits of their neighbours
    sequence = Sequence(points, cosine=cosine)
    with caplog.at_level(logging.DEBUG, logger="centroids.kernels"):
        sequence.check(centers)
        for call in range(24):
            moved = random.integers(len(centers), size=6)
            centers = centers.copy()
            centers[moved] *= 1 + dtype(0.005) * random.normal(size=(6, 1)).astype(dtype)
            centers[moved] += dtype(0.005) * random.normal(size=(6, 24)).astype(dtype)
            if call % 6 == 4:
                sequence.change(between(300), 900)
            if call == 12:  # all bounds are void, and found again
                centers = centers[::-1].copy()
            sequence.check(centers)
    if level == "avx512" and dtype == np.float32:  # has no words
        return
    settled = [float(share) for share in re.findall(r"settled ([0-9.]+)% of", caplog.text)]
    assert len(settled) == 25
    assert settled[0] == settled[13] == 0
    assert min(settled[1:4] + settled[14:17]) > 25


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bounds_hold_through_iterations_among_ties(dtype: Any, cosine: bool) -> None:
    random = np.random.default_rng(13)
    lattice = random.integers(-1, 2, size=(3_000, 18)).astype(dtype)  # many are equally far
    noisy = lattice + dtype(1e-4) * random.normal(size=lattice.shape).astype(dtype)
    for points in (lattice, noisy):
        sequence = Sequence(points, cosine=cosine)
        centers = points[:150].copy()
        centers[100:] = centers[:50]
        for call in range(14):
            plain = sequence.check(centers)
            assert plain.sums is not None and plain.counts is not None
            means = plain.sums / np.maximum(plain.counts, 1)[:, None]
            centers = np.where(plain.counts[:, None] > 0, means, centers).astype(dtype)
            if call % 5 == 3:
                sequence.change(points[300 * call :: -1][:500], 700)
            if call == 8:
                centers[7] *= dtype(1e3)
