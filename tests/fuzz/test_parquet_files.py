"""No bytes in a Parquet file lead to an exception that is Arrow's own."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centroids.inputs import parquet_input_fn
from tests.fuzz.damage import SLOW, damaged, read_or_refuse

pa: Any = pytest.importorskip("pyarrow")
pq: Any = pytest.importorskip("pyarrow.parquet")

FAST = settings(max_examples=200)


def parquet(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, row_group_size=2)
    return buffer.getvalue()


WHOLE = st.sampled_from(
    [
        parquet(a=[1.0, 2.0, 3.0], b=[4, 5, 6]),
        parquet(a=[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
        parquet(a=[1.0, None, 3.0]),
    ]
)


def check(data: bytes, file: Path) -> None:
    file.write_bytes(data)
    for arguments in ({}, {"shuffle": True, "bad_rows": "drop"}, {"columns": ["a"]}):
        batches = read_or_refuse(
            lambda given=arguments: list(parquet_input_fn(file, batch_size=2, **given)()), file
        )
        assert batches is None or all(batch.dtype.kind in "biuf" for batch in batches)


@FAST
@given(data=damaged(WHOLE))
def test_damaged_files(data: bytes, tmp_path: Path) -> None:
    check(data, tmp_path / "fuzzed.parquet")


@pytest.mark.slow
@settings(parent=FAST, max_examples=SLOW // 4)
@given(data=damaged(WHOLE, most=10))
def test_many_damaged_files(data: bytes, tmp_path: Path) -> None:
    check(data, tmp_path / "fuzzed.parquet")


@pytest.mark.parametrize(
    "columns",
    [
        {"a": pa.array([], pa.null())},
        {"a": pa.array([None, None], pa.float32())},
        {"a": pa.array([[], []], pa.list_(pa.float32()))},
        {"a": pa.array([[1.0], None], pa.list_(pa.float32()))},
        {"a": pa.array([[1.0], [None]], pa.list_(pa.float32()))},
        {"a": pa.array([[[1.0]]], pa.list_(pa.list_(pa.float32())))},
        {"a": pa.array([{"x": 1.0}], pa.struct([("x", pa.float32())]))},
        {"a": pa.array(["x", "y"]).dictionary_encode()},
        {"a": pa.array([1, 2]).cast(pa.decimal128(25, 2))},
        {"a": pa.array([1, 2], pa.timestamp("s"))},
        {"a": pa.array([True, None])},
        {"a": pa.array([[True], [None]])},
        {"a": pa.array([1, None], pa.int8())},
        {"a": pa.array(np.array([1, 2], np.float16))},
        {"a.b": pa.array([1.0]), "a": pa.array([1.0])},
        {"": pa.array([1.0])},
    ],
    ids=lambda columns: str(next(iter(columns.values())).type),
)
def test_columns_of_any_type(columns: dict[str, Any], tmp_path: Path) -> None:
    check(parquet(**columns), tmp_path / "fuzzed.parquet")


def test_equal_names(tmp_path: Path) -> None:
    file = tmp_path / "fuzzed.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], ["a", "a"]), file)
    with pytest.raises(ValueError, match=r"fuzzed.parquet has 2 columns called 'a'"):
        parquet_input_fn(file)
