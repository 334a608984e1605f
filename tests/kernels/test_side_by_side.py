"""Columns side by side are those of NumPy, for every type, length, number and place in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from centroids.kernels.side_by_side import side_by_side
from tests.unaligned import unaligned

TYPES = ["f2", "f4", "f8", "i1", "u2", "i4", "i8", "?", ">f4", "c8"]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("num_rows", [0, 1, 15, 16, 17, 700, 1500])
@pytest.mark.parametrize("num_columns", [1, 2, 3, 50, 1100])
def test_columns_of_one_type(kind: str, num_rows: int, num_columns: int) -> None:
    numbers = np.arange(num_columns)[:, None] * 7 + np.arange(num_rows)
    columns = [column[:, None].astype(kind) for column in numbers]
    found = side_by_side(columns)
    assert found.dtype == np.dtype(kind) or kind == ">f4"
    np.testing.assert_array_equal(found, numbers.T.astype(kind))


@pytest.mark.parametrize("offset", [0, 1, 4])
def test_no_bit_changes(offset: int) -> None:
    bits = np.random.default_rng(0).integers(0, 1 << 32, (3, 100), np.uint32)
    columns = [row.view(np.float32)[offset:, None] for row in bits]
    columns[1].flags.writeable = False
    np.testing.assert_array_equal(side_by_side(columns).view(np.uint32), bits.T[offset:])


@pytest.mark.parametrize(
    "change",
    [
        unaligned,
        lambda column: np.repeat(column, 2, axis=0)[::2],
        lambda column: np.hstack([column, column]),
        lambda column: column.astype(np.float64),
        lambda column: column.astype(np.int32),
    ],
)
def test_parts_of_other_kinds(change: Any) -> None:
    columns = list(np.random.default_rng(0).normal(size=(4, 30, 1)).astype(np.float32))
    columns[2] = change(columns[2])
    found = side_by_side(columns)
    expected = [[value for part in columns for value in part[row]] for row in range(30)]
    assert found.tolist() == expected and found.dtype == np.result_type(*columns)


def test_lengths_must_be_equal() -> None:
    with pytest.raises(ValueError, match="must match"):
        side_by_side([np.zeros((3, 1)), np.zeros((2, 1))])
