"""Errors name the place of a bad value in the data, not in a batch; and the index of a table."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from numpy.typing import NDArray

import centroids
from centroids.inputs import (
    csv_input_fn,
    file_input_fn,
    limit_epochs,
    npy_input_fn,
    numpy_input_fn,
    open_stream,
    parquet_input_fn,
)
from tests.inputs.rows import rows_of
from tests.inputs.tfrecord_writer import write_rows

pa: Any = pytest.importorskip("pyarrow")
pq: Any = pytest.importorskip("pyarrow.parquet")

NUM_ROWS = 60
KINDS = ("numpy", "dict", "sparse", "npy", "csv", "parquet", "tfrecord")


def with_bad(bad_row: int) -> NDArray[np.float32]:
    rows = rows_of(NUM_ROWS, width=3)
    rows[bad_row, 1] = np.inf
    return rows


def make_input_fn(kind: str, folder: Path, rows: NDArray[Any], **arguments: Any) -> Any:
    file = folder / f"rows.{kind}"
    if kind == "numpy":
        return numpy_input_fn(rows, **arguments)
    if kind == "dict":
        # Joined in the order of the keys: the second column is the first of "p".
        return numpy_input_fn({"p": rows[:, 1:], "a": rows[:, 0]}, **arguments)
    if kind == "sparse":
        return numpy_input_fn(scipy.sparse.csr_array(rows), **arguments)
    if kind == "npy":
        np.save(file, rows)
    elif kind == "csv":
        # A blank line after each tenth row moves the lines below it.
        text = [",".join(map(str, row)) + "\n" * (1 + (i % 10 == 9)) for i, row in enumerate(rows)]
        file.write_text("a,b,c\n" + "".join(text))
    elif kind == "tfrecord":
        write_rows(file, rows)
    else:
        lists = pa.array(rows[:, 1:].tolist())
        pq.write_table(pa.table({"a": rows[:, 0], "p": lists}), file, row_group_size=17)
    return file_input_fn(file, **arguments)


def place_of(kind: str, row: int) -> str:
    return {
        "numpy": f"in x, row {row}, column 1; remove",
        "dict": f"in x, row {row}, column 0 of 'p'; remove",
        "sparse": f"in x, row {row}, column 1; remove",
        "npy": f"rows.npy, row {row}, column 1; remove",
        "csv": f"rows.csv, line {row + 2 + row // 10}, column 'b'; remove",
        "parquet": f"rows.parquet, row {row}, column 0 of 'p'; remove",
        "tfrecord": f"rows.tfrecord, record {row}, feature 1 of 'x'; remove",
    }[kind]


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    windowed = npy_input_fn.__globals__["WindowedSource"].__init__.__globals__
    monkeypatch.setitem(windowed, "WINDOW_BYTES", 300)
    monkeypatch.setitem(npy_input_fn.__globals__, "_BLOCK_BYTES", 60)
    monkeypatch.setitem(open_stream.__globals__, "_SLOW_SECONDS", -1.0)  # read ahead in a thread


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("bad_row", [0, 31, 59])
@pytest.mark.usefixtures("small_windows")
def test_a_bad_value_is_named_by_its_place_in_the_data(
    kind: str, shuffle: bool, bad_row: int, tmp_path: Path
) -> None:
    input_fn = make_input_fn(kind, tmp_path, with_bad(bad_row), batch_size=4, shuffle=shuffle)
    model = centroids.KMeansClustering(3, initial_clusters=np.eye(3, dtype=np.float32))
    with pytest.raises(ValueError, match="points must be finite, got inf in") as error:
        model.train(input_fn)
    assert place_of(kind, bad_row) in str(error.value)
    model.train(lambda: limit_epochs(np.eye(3, dtype=np.float32)))
    for method in (model.evaluate, lambda given: list(model.predict(given))):
        with pytest.raises(ValueError, match="got inf in") as error:
            method(input_fn)
        assert place_of(kind, bad_row) in str(error.value)


@pytest.mark.parametrize("kind", KINDS)
def test_initialisation_names_it_too(kind: str, tmp_path: Path) -> None:
    """Initial centers are drawn from batches ahead of the first step."""
    input_fn = make_input_fn(kind, tmp_path, with_bad(6), batch_size=4, shuffle=False)
    with pytest.raises(ValueError, match="points must be finite, got inf in") as error:
        centroids.KMeansClustering(7).train(input_fn)
    assert place_of(kind, 6) in str(error.value)


def test_rows_that_are_dropped_do_not_shift_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2\nx,3\n1e300,5\n")
    input_fn = csv_input_fn(tmp_path / "a.csv", bad_rows="drop", dtype=np.float64)
    model = centroids.KMeansClustering(1, initial_clusters=np.array([[0.0, 0.0]]))
    with pytest.raises(ValueError, match=r"distances overflow float64 in .*a.csv, line 3; s"):
        model.train(input_fn)


def test_a_position_goes_on_to_the_same_place(tmp_path: Path) -> None:
    input_fn = make_input_fn("csv", tmp_path, with_bad(40), batch_size=4, shuffle=True)
    with open_stream(input_fn) as stream:
        batches = list(stream)
    bad = next(i for i, each in enumerate(batches) if not np.isfinite(each.features).all())
    row = int(np.argmax(np.isinf(np.asarray(batches[bad].features)).any(axis=1)))
    for start in range(bad):
        with open_stream(input_fn, position=batches[start].position) as stream:
            batch = list(stream)[bad - start - 1]
        assert batch.origin is not None
        assert batch.origin(row, 1).endswith("rows.csv, line 46, column 'b'")
        assert batch.origin(row, None).endswith("rows.csv, line 46")


def test_an_array_alone_is_its_own_batch() -> None:
    model = centroids.KMeansClustering(2)
    with pytest.raises(ValueError, match=r"got inf in batch 0, row 5, column 1; remove"):
        model.train(lambda: iter([with_bad(5)]))
    with pytest.raises(ValueError, match=r"got inf in x, row 5, column 1; remove"):
        model.train(lambda: limit_epochs(with_bad(5)))


# The index of a pandas table


@pytest.mark.parametrize("name", ["id", None, "several"])
def test_the_index_of_a_pandas_table_is_not_a_feature(
    name: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"x": [1.0, 2.0], "y": [3.0, 4.0]})
    if name == "several":
        table.index = pandas.MultiIndex.from_tuples([(7, 1), (9, 2)], names=["k", None])
    else:
        table.index = pandas.Index([7, 9], name=name)
    file = tmp_path / "a.parquet"
    table.to_parquet(file)
    stored = {"id": ["id"], "several": ["k", "__index_level_1__"]}.get(
        str(name), ["__index_level_0__"]
    )
    assert pq.read_schema(file).names == ["x", "y", *stored]
    assert next(iter(parquet_input_fn(file)())).tolist() == [[1, 3], [2, 4]]
    (told,) = caplog.records
    assert told.levelno == logging.WARNING
    listed = ", ".join(map(repr, stored))
    assert f"a.parquet: {listed}, the index of a pandas table, is not taken" in told.getMessage()
    caplog.clear()
    wanted = parquet_input_fn(file, columns=[stored[0], "y"])
    assert next(iter(wanted())).tolist() == [[7, 3], [9, 4]]
    assert not caplog.records


def test_ranges_and_other_writers_have_no_index(tmp_path: Path, caplog: Any) -> None:
    pandas = pytest.importorskip("pandas")
    file = tmp_path / "a.parquet"
    pandas.DataFrame({"x": [1.0, 2.0]}).to_parquet(file)
    assert next(iter(parquet_input_fn(file)())).tolist() == [[1], [2]]
    for metadata in ({}, {b"pandas": b"{"}, {b"pandas": b"[]"}, {b"pandas": b"null"}):
        table = pa.table({"x": [1.0, 2.0]}).replace_schema_metadata(metadata)
        pq.write_table(table, file)
        assert next(iter(parquet_input_fn(file)())).tolist() == [[1], [2]]
    assert not caplog.records
    only = pandas.DataFrame({"x": [1.0, 2.0]}).set_index("x")
    only.to_parquet(file)
    with pytest.raises(ValueError, match=r"a.parquet has no columns other than its index, 'x'; to"):
        parquet_input_fn(file)
    pq.write_table(pa.Table.from_arrays([pa.array([1.0])] * 2, ["x", "x"]), file)
    for columns in (None, ["x"]):
        with pytest.raises(ValueError, match=r"a.parquet has 2 columns called 'x'; give them diff"):
            parquet_input_fn(file, columns=columns)
