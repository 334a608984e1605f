"""Sums that follow the rows that move have the bits of adding all of them."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from numpy.typing import NDArray

from centroids import kernels

SHAPES = [(9000, 20, 30, 1), (3000, 64, 260, 1), (3000, 300, 400, 2)]  # the last: by cluster


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    yield
    kernels.set_num_threads(0)


def exact_sums(
    points: NDArray[Any], cluster_index: NDArray[np.int32], k: int
) -> NDArray[np.float64]:
    """By math.fsum, which rounds once."""
    wide = points.astype(np.float64)
    return np.array(
        [[math.fsum(column) for column in wide[cluster_index == c].T] for c in range(k)]
    )


def groups(n: int, d: int, k: int, dtype: Any = np.float32) -> NDArray[Any]:
    random = np.random.default_rng(n + d)
    middles = random.normal(size=(k, d)) * 3
    return (middles[random.integers(k, size=n)] + random.normal(size=(n, d))).astype(dtype)


class Lloyd:
    """Iterations with a memory, each compared with one that has none."""

    def __init__(self, points: NDArray[Any], k: int, caplog: Any, **options: Any) -> None:
        self.points, self.k, self.caplog, self.options = points, k, caplog, options
        self.centers = points[:k].astype(kernels.result_dtype(points))
        self.memory = kernels.AssignmentMemory()

    def step(self) -> int | None:
        """Returns how many rows the sums followed; None: all were added."""
        self.caplog.clear()
        with self.caplog.at_level(logging.DEBUG, "centroids.kernels.functions"):
            found = kernels.assign(
                self.points,
                self.centers,
                update=True,
                labels=False,
                memory=self.memory,
                search="float_filter",
                **self.options,
            )
        followed = re.search(r"sums followed (\d+) points", self.caplog.text)
        plain = kernels.assign(
            self.points, self.centers, update=True, search="panels", **self.options
        )
        assert found.sums is not None and plain.sums is not None
        assert found.sums.tobytes() == plain.sums.tobytes()
        np.testing.assert_array_equal(found.counts, plain.counts)
        assert found.inertia == plain.inertia
        self.last = plain
        assert plain.counts is not None
        means = plain.sums / np.maximum(plain.counts, 1)[:, None]
        self.centers = np.where(plain.counts[:, None] > 0, means, self.centers).astype(
            self.centers.dtype
        )
        return int(followed[1]) if followed else None


@pytest.mark.parametrize(("n", "d", "k", "count"), SHAPES)
@pytest.mark.parametrize("cosine", [False, True])
def test_sums_that_follow_have_the_bits_of_all_rows(
    n: int, d: int, k: int, count: int, cosine: bool, caplog: Any
) -> None:
    kernels.set_num_threads(count)
    lloyd = Lloyd(groups(n, d, k), k, caplog, cosine=cosine)
    followed = [lloyd.step() for _ in range(12)]
    assert followed[0] is None
    assert any(rows for rows in followed if rows is not None)
    assert followed[-1] is not None and followed[-1] < n / 4
    if not cosine:
        assert lloyd.last.sums is not None
        exact = exact_sums(lloyd.points, lloyd.last.cluster_index, k)
        assert lloyd.last.sums.tobytes() == exact.tobytes()


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.uint8])
def test_sums_of_any_type_follow(dtype: Any, caplog: Any) -> None:
    points = groups(4000, 20, 30, np.float64)
    lloyd = Lloyd((points * 8 + 100).astype(dtype), 30, caplog)
    followed = [lloyd.step() for _ in range(10)]
    assert followed[-1] is not None


def test_values_that_dwarf_the_others_leave_no_trace(caplog: Any) -> None:
    points = groups(4000, 20, 30, np.float64)
    points[::7, 3] = np.ldexp(1.0, -1060)
    lloyd = Lloyd(points, 30, caplog)
    for _ in range(6):
        lloyd.step()
    # A row that is far away in one iteration, by a center that comes to it, and goes again.
    here = lloyd.centers.copy()
    for row in (5, 11):
        points[row] *= 1e30
        assert lloyd.step() is None  # its block has changed
        lloyd.centers = here.copy()
        points[row] /= 1e30
        lloyd.step()
    lloyd.centers = here.copy()
    lloyd.step()
    assert lloyd.last.sums is not None
    exact = exact_sums(points, lloyd.last.cluster_index, 30)
    assert lloyd.last.sums.tobytes() == exact.tobytes()


def test_a_changed_block_is_added_afresh(caplog: Any) -> None:
    lloyd = Lloyd(groups(9000, 20, 30), 30, caplog)
    for _ in range(8):
        lloyd.step()
    assert lloyd.step() is not None
    lloyd.points[4321, 7] += 1e-3
    assert lloyd.step() is None
    lloyd.step()  # its 256 rows were new in the step before
    assert lloyd.step() is not None


def test_calls_without_sums_in_between_do_not_matter(caplog: Any) -> None:
    lloyd = Lloyd(groups(9000, 20, 30), 30, caplog)
    for _ in range(8):
        lloyd.step()
    still = kernels.assign(lloyd.points, lloyd.centers, memory=lloyd.memory, search="float_filter")
    assert lloyd.step() is not None
    assert still.sums is None
    moved = lloyd.centers + np.float32(0.01)
    kernels.assign(lloyd.points, moved, memory=lloyd.memory, search="float_filter")
    lloyd.points[100] += 1
    kernels.assign(lloyd.points, moved, memory=lloyd.memory, search="float_filter")
    lloyd.step()
    lloyd.step()


def test_a_call_that_fails_does_not_spoil_the_sums(caplog: Any) -> None:
    lloyd = Lloyd(groups(9000, 20, 30), 30, caplog)
    for _ in range(8):
        lloyd.step()
    value = lloyd.points[8000, 3]
    lloyd.points[8000, 3] = np.nan
    with pytest.raises(kernels.NonFiniteError, match="row 8000, column 3"):
        lloyd.step()
    lloyd.points[8000, 3] = value
    assert lloyd.step() is None
    lloyd.step()  # its 256 rows were new in the step before
    assert lloyd.step() is not None


def test_sparse_points_take_no_notice(caplog: Any) -> None:
    points = scipy.sparse.csr_array(np.maximum(groups(500, 20, 5), 0))
    memory = kernels.AssignmentMemory()
    centers = points[:5].toarray()
    first = kernels.assign(points, centers, update=True, memory=memory)
    second = kernels.assign(points, centers, update=True, memory=memory)
    np.testing.assert_array_equal(first.sums, second.sums)
