"""Parquet is decoded in a thread while earlier rows are worked on: nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids.inputs import parquet_input_fn
from tests.inputs.streams import reader_threads

arrow = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

pytestmark = pytest.mark.usefixtures("no_thread_outlives_the_test")

POINTS = np.arange(3000.0).reshape(1000, 3)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(parquet_input_fn.__globals__, "_PIECE_BYTES", 40 * 24)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    table = arrow.table(dict(zip("abc", POINTS.T.copy(), strict=True)))
    pq.write_table(table, tmp_path / "points.parquet", row_group_size=300)
    return tmp_path / "points.parquet"


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("batch_size", [1, 7, 25, 39, 40, 41, 64, 299, 300, 999, 1000])
def test_batches_are_the_rows_in_their_order(file: Path, batch_size: int) -> None:
    source = parquet_input_fn(file, batch_size)()
    batches = list(source.batches())
    sizes = [len(batch.features) for batch in batches]
    assert sizes[:-1] == [batch_size] * (len(batches) - 1)
    np.testing.assert_array_equal(np.concatenate([b.features for b in batches]), POINTS)
    for at in (0, len(batches) // 2, len(batches) - 1):
        again = parquet_input_fn(file, batch_size)()
        position = batches[at].position
        assert position is not None
        again.restore(position)
        rest = [batch.features.tolist() for batch in again.batches()]
        assert rest == [batch.features.tolist() for batch in batches[at + 1 :]]


@pytest.mark.usefixtures("small_pieces")
def test_who_stops_early_ends_the_thread(file: Path) -> None:
    batches = parquet_input_fn(file, 40)().batches()
    for _ in range(4):
        next(batches)
    assert reader_threads()
    batches.close()
    assert not reader_threads()


def test_a_small_file_needs_no_thread(file: Path) -> None:
    for _ in parquet_input_fn(file, 40)().batches():
        assert not reader_threads()


@pytest.mark.usefixtures("small_pieces")
def test_an_error_comes_where_its_rows_would(tmp_path: Path) -> None:
    lists: list[Any] = [[1.0, 2.0, 3.0]] * 200
    lists[177] = [1.0]
    pq.write_table(arrow.table({"v": lists}), tmp_path / "lists.parquet")
    batches = parquet_input_fn(tmp_path / "lists.parquet", 10)().batches()
    for _ in range(16):  # the pieces before the one with that row
        assert next(batches).features.shape == (10, 3)
    with pytest.raises(ValueError, match=r"row 160 has 3 elements, row 177 has 1"):
        next(batches)


@pytest.mark.usefixtures("small_pieces")
def test_a_file_that_is_damaged_meanwhile_is_named(file: Path) -> None:
    batches = parquet_input_fn(file, 40)().batches()
    whole = file.read_bytes()
    next(batches)
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises((ValueError, OSError), match=r"points\.parquet"):
        list(batches)
