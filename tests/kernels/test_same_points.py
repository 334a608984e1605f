"""Points that are promised to be the same are not read where nothing can have happened to them.

Only breaking the promise shows what is not read: values that are put there change nothing.
"""

from __future__ import annotations

import logging
import re
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from centroids import kernels
from tests.kernels.test_moved_rows import groups

Filter = Literal["float_filter", "byte_filter", "axes_filter"]
FILTERS: list[Filter] = ["float_filter", "byte_filter", "axes_filter"]


def assert_same(a: kernels.Assignment, b: kernels.Assignment) -> None:
    assert a.sums is not None and b.sums is not None
    np.testing.assert_array_equal(a.cluster_index, b.cluster_index)
    assert a.sums.tobytes() == b.sums.tobytes()
    np.testing.assert_array_equal(a.counts, b.counts)
    assert a.inertia == b.inertia


def means(found: kernels.Assignment, centers: NDArray[Any]) -> NDArray[Any]:
    assert found.sums is not None and found.counts is not None
    filled = found.counts > 0
    means = found.sums / np.maximum(found.counts, 1)[:, None]
    return np.where(filled[:, None], means, centers).astype(centers.dtype)


class Lloyd:
    """Iterations with a memory and the promise, each compared with one that has neither."""

    def __init__(self, points: NDArray[Any], k: int, search: Filter, **options: Any) -> None:
        self.points, self.options = points, options
        self.centers: NDArray[Any] = points[:k].astype(kernels.result_dtype(points))
        self.memory, self.search, self.calls = kernels.AssignmentMemory(), search, 0

    def remembered(self, *, same_points: bool) -> kernels.Assignment:
        return kernels.assign(
            self.points,
            self.centers,
            update=True,
            memory=self.memory,
            same_points=same_points,
            search=self.search,
            **self.options,
        )

    def plain(self) -> kernels.Assignment:
        return kernels.assign(
            self.points, self.centers, update=True, search="panels", **self.options
        )

    def step(self) -> None:
        plain = self.plain()
        assert_same(self.remembered(same_points=self.calls > 0), plain)
        self.calls += 1
        self.centers = means(plain, self.centers)

    def settle(self) -> None:
        """Goes on until nothing changes."""
        for _ in range(100):
            before = self.centers
            self.step()
            if np.array_equal(before, self.centers):
                self.step()
                return
        raise AssertionError("these points do not settle")


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("search", FILTERS)
def test_bits_are_the_same(level: str, search: Filter, dtype: Any, cosine: bool) -> None:
    points = groups(700, 33, 20, np.float64).astype(dtype)
    points[350] = 0
    lloyd = Lloyd(points, 60, search, cosine=cosine)
    for _ in range(10):
        lloyd.step()


@pytest.mark.parametrize("layout", ["rows", "columns", "strided", "backwards"])
@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_layouts_and_threads_change_no_bit(layout: str, num_threads: int) -> None:
    points = groups(3000, 24, 40)
    if layout == "columns":
        points = np.asfortranarray(points)
    elif layout == "strided":
        points = np.repeat(points, 2, axis=0)[::2]
    elif layout == "backwards":
        points = points[::-1]
    kernels.set_num_threads(num_threads)
    try:
        lloyd = Lloyd(points, 40, "float_filter")
        for _ in range(12):
            lloyd.step()
    finally:
        kernels.set_num_threads(0)


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("search", FILTERS)
def test_settled_points_are_not_read(search: Filter, dtype: Any, cosine: bool) -> None:
    lloyd = Lloyd(groups(2000, 20, 30, np.float64).astype(dtype), 30, search, cosine=cosine)
    lloyd.settle()
    expected = lloyd.plain()
    lloyd.points[:] = np.nan
    assert_same(lloyd.remembered(same_points=True), expected)
    with pytest.raises(kernels.NonFiniteError, match="row 0, column 0"):
        lloyd.remembered(same_points=False)


def test_only_points_of_centers_that_moved_are_read(caplog: Any) -> None:
    lloyd = Lloyd(groups(4000, 20, 30), 30, "float_filter")
    lloyd.settle()
    moved = 7
    lloyd.centers = lloyd.centers.copy()
    lloyd.centers[moved, 3] += 1e-4
    expected = lloyd.plain()
    own = expected.cluster_index == moved
    assert own.any()
    with caplog.at_level(logging.DEBUG, "centroids.kernels.functions"):
        assert_same(lloyd.remembered(same_points=True), expected)
    read = re.search(r"with ([0-9.]+)% read", caplog.text)
    assert read is not None
    assert own.mean() <= float(read[1]) / 100 < 0.5


def test_a_point_that_leaves_its_cluster_is_found() -> None:
    points = groups(4000, 20, 30)
    lloyd = Lloyd(points, 30, "float_filter")
    lloyd.settle()
    for center in range(30):  # to places of points, so that others change their clusters
        lloyd.centers = lloyd.centers.copy()
        lloyd.centers[center] = points[17 * center + 5]
        lloyd.step()


def test_one_promise_is_not_taken_for_another() -> None:
    first, second = groups(1000, 20, 30), groups(1000, 20, 30)[::-1].copy() + np.float32(3)
    centers = first[:30].copy()
    memory = kernels.AssignmentMemory()

    def check(points: NDArray[Any], *, same_points: bool, **options: Any) -> None:
        remembered = kernels.assign(
            points,
            centers,
            update=True,
            memory=memory,
            same_points=same_points,
            **{"search": "float_filter", **options},
        )
        options.pop("search", None)
        assert_same(
            remembered, kernels.assign(points, centers, update=True, search="panels", **options)
        )

    check(first, same_points=True)  # of nothing
    check(first, same_points=True)
    check(second, same_points=False)
    check(second, same_points=True)
    check(second, same_points=True, cosine=True)
    check(second, same_points=True)
    check(first, same_points=False, search="panels")  # keeps no bounds
    check(first, same_points=True)
    check(second.astype(np.float64), same_points=False)  # bounds of their own
    check(second.astype(np.float64), same_points=True)
    check(second, same_points=True)
    check(first[:900], same_points=False)
    check(first[:900], same_points=True)


def test_a_call_that_fails_breaks_no_promise() -> None:
    lloyd = Lloyd(groups(2000, 20, 30), 30, "float_filter")
    for _ in range(4):
        lloyd.step()
    good, value = lloyd.points, lloyd.points[700, 3]
    lloyd.points = good.copy()
    lloyd.points[700, 3] = np.nan
    for same_points in (False, True):
        with pytest.raises(kernels.NonFiniteError, match="row 700, column 3"):
            lloyd.remembered(same_points=same_points)
    assert good[700, 3] == value
    lloyd.points = good
    lloyd.calls = 0
    for _ in range(4):
        lloyd.step()


def test_unit_vectors_that_round_to_the_same_decide_anew_under_cosine() -> None:
    # What is compared are unit vectors in float64, which scaling changes in their last digits.
    random = np.random.default_rng(0)
    points = random.normal(size=(2000, 2)).astype(np.float32)
    directions = np.repeat(random.normal(size=(20, 2)), 2, axis=0)

    def rounded(centers: NDArray[Any]) -> NDArray[Any]:
        return kernels.l2_normalize(centers).astype(np.float32)

    def scaled() -> NDArray[Any]:
        return (directions * random.uniform(0.5, 2, size=(40, 1))).astype(np.float32)

    centers = first = scaled()
    memory, flips, before = kernels.AssignmentMemory(), 0, None
    for step in range(8):
        remembered = kernels.assign(
            points,
            centers,
            cosine=True,
            update=True,
            memory=memory,
            same_points=step > 0,
            search="float_filter",
        )
        plain = kernels.assign(points, centers, cosine=True, update=True, search="panels")
        assert_same(remembered, plain)
        flips += 0 if before is None else int((plain.cluster_index != before).sum())
        before = plain.cluster_index
        centers = first.copy()
        for _ in range(20):
            other = scaled()
            same = (rounded(other) == rounded(first)).all(axis=1)
            centers[same] = other[same]
    assert flips > 0  # although the centers that the kernels compute with have not moved


def test_the_metric_may_change_between_promises() -> None:
    points = (groups(2000, 32, 33) * np.float32(0.3)).clip(0, None) + np.float32(0.1)
    points *= np.random.default_rng(1).uniform(0.1, 4, size=(2000, 1)).astype(np.float32)
    centers = np.concatenate([np.eye(32), np.zeros((1, 32))]).astype(np.float32)
    memory = kernels.AssignmentMemory()
    for call, cosine in enumerate([False, False, True, True, False, True]):
        remembered = kernels.assign(
            points,
            centers,
            cosine=cosine,
            update=True,
            memory=memory,
            same_points=call > 0,
            search="float_filter",
        )
        plain = kernels.assign(points, centers, cosine=cosine, update=True, search="panels")
        assert_same(remembered, plain)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_sequence_of_moves_gives_the_same_bits(data: st.DataObject) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    n, d, k = random.integers(1, 700), random.integers(1, 40), random.integers(1, 120)
    points = random.normal(size=(n, d)).astype(np.float32)
    if data.draw(st.booleans()):
        points = np.round(points)
    centers = random.normal(size=(k, d)).astype(np.float32)
    memory = kernels.AssignmentMemory()
    search = data.draw(st.sampled_from(FILTERS))
    cosine = data.draw(st.booleans())
    same_points = False
    for _ in range(8):
        move = data.draw(st.sampled_from(["none", "small", "one", "swap", "all", "points"]))
        if move == "small":
            some = random.random(k) < 0.2
            step = random.normal(size=centers.shape) * 0.01
            centers = (centers + step * some[:, None]).astype(np.float32)
        elif move == "one":
            centers = centers.copy()
            centers[random.integers(k)] = points[random.integers(n)]
        elif move == "swap":
            centers = random.permutation(centers)
        elif move == "all":
            centers = random.normal(size=centers.shape).astype(np.float32) * 3
        elif move == "points":
            points = points.copy()
            points[random.integers(n)] = random.normal(size=d)
            same_points = False
        remembered = kernels.assign(
            points,
            centers,
            cosine=cosine,
            update=True,
            memory=memory,
            same_points=same_points,
            search=search,
        )
        plain = kernels.assign(points, centers, cosine=cosine, update=True, search="panels")
        assert_same(remembered, plain)
        same_points = True


def test_partial_sums_of_the_same_points() -> None:
    points = groups(3000, 20, 30)
    centers = points[:30].copy()
    shares = [points[:1100], points[1100:]]
    memories = [kernels.AssignmentMemory() for _ in shares]
    for step in range(10):
        parts = [
            kernels.assign_partial(share, centers, memory=memory, same_points=step > 0)
            for share, memory in zip(shares, memories, strict=True)
        ]
        found = sum(parts[1:], parts[0]).finish()
        plain = kernels.assign(points, centers, update=True)
        assert found.sums is not None and plain.sums is not None
        assert found.sums.tobytes() == plain.sums.tobytes()
        assert found.inertia == plain.inertia
        centers = means(plain, centers)
