"""Rows by their numbers: what NumPy gives, for every type and layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from centroids import kernels


@given(
    dtype=st.sampled_from([np.float32, np.float64, np.float16, np.int8, np.uint64, np.bool_]),
    shape=st.tuples(st.integers(1, 5_000), st.integers(0, 9)),
    count=st.integers(0, 5_000),
    layout=st.sampled_from(["rows", "columns", "every third", "backwards"]),
    seed=st.integers(0, 1_000),
)
def test_rows_are_those_of_numpy(
    dtype: Any, shape: tuple[int, int], count: int, layout: str, seed: int
) -> None:
    random = np.random.default_rng(seed)
    points = random.integers(0, 100, shape).astype(dtype)
    points = {
        "rows": points,
        "columns": np.asfortranarray(points),
        "every third": points[::3],
        "backwards": points[::-1],
    }[layout]
    rows = random.integers(-len(points) if seed % 7 == 0 else 0, len(points), count)
    taken: Any = kernels.take_rows(points, rows)
    assert taken.dtype == points.dtype and taken.flags.owndata
    np.testing.assert_array_equal(taken, points[rows])


@pytest.mark.parametrize("row", [-4, 3, 1 << 40])
def test_rows_that_are_not_there(row: int) -> None:
    with pytest.raises(IndexError, match="out of bounds"):
        kernels.take_rows(np.zeros((3, 2)), np.array([0, row]))


def test_threads_share_the_rows() -> None:
    points = np.arange(600_000.0).reshape(200_000, 3)
    rows = np.random.default_rng(1).permutation(len(points))
    kernels.set_num_threads(3)
    try:
        taken: Any = kernels.take_rows(points, rows)
    finally:
        kernels.set_num_threads(0)
    np.testing.assert_array_equal(taken, points[rows])
