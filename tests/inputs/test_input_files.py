"""What is particular to .npy, CSV and Parquet files."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids.inputs import csv_input_fn, npy_input_fn, parquet_input_fn

pa: Any = pytest.importorskip("pyarrow")
pq: Any = pytest.importorskip("pyarrow.parquet")

MIB = 1 << 20


def read(batches: Iterable[Any]) -> Any:
    return np.concatenate(list(batches))


def peak_memory(batches: Iterable[Any]) -> int:
    tracemalloc.start()
    try:
        num_rows = sum(len(batch) for batch in batches)
        assert num_rows
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# .npy


@pytest.mark.parametrize("shape", [(7,), (7, 3), (0, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.int16, ">f8"])
def test_npy_shapes_and_types(shape: tuple[int, ...], dtype: Any, tmp_path: Path) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    np.save(tmp_path / "a.npy", array)
    batches = list(npy_input_fn(tmp_path / "a.npy", batch_size=2)())
    assert [len(batch) for batch in batches] == ([2, 2, 2, 1] if shape[0] else [])
    if batches:
        np.testing.assert_array_equal(read(batches), array)
        assert batches[0].dtype == dtype


def test_npy_in_column_order(tmp_path: Path) -> None:
    array = np.asfortranarray(np.arange(20.0).reshape(10, 2))
    np.save(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(read(npy_input_fn(tmp_path / "a.npy", 3)()), array)
    shuffled = read(npy_input_fn(tmp_path / "a.npy", 3, shuffle=True)())
    np.testing.assert_array_equal(shuffled[shuffled[:, 0].argsort()], array)


def test_npy_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "a.npy", np.zeros((16 * MIB // 64, 16), np.float32))
    assert peak_memory(npy_input_fn(tmp_path / "a.npy", 1000)()) < MIB
    windowed = npy_input_fn.__globals__["WindowedSource"].__init__.__globals__
    monkeypatch.setitem(windowed, "WINDOW_BYTES", 2 * MIB)
    assert peak_memory(npy_input_fn(tmp_path / "a.npy", 1000, shuffle=True)()) < 4 * MIB


def test_npy_shuffles_over_the_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    windowed = npy_input_fn.__globals__["WindowedSource"].__init__.__globals__
    monkeypatch.setitem(windowed, "WINDOW_BYTES", 8000)
    monkeypatch.setitem(npy_input_fn.__globals__, "_BLOCK_BYTES", 400)
    np.save(tmp_path / "a.npy", np.arange(10000.0))
    first = next(iter(npy_input_fn(tmp_path / "a.npy", 1000, shuffle=True)()))
    assert np.ptp(first) > 8000
    assert not np.array_equal(first, np.sort(first))


def test_npy_errors(tmp_path: Path) -> None:
    file = tmp_path / "a.npy"
    file.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"a.npy is not a .npy file; write it with numpy.save"):
        npy_input_fn(file)
    file.write_bytes(b"\x93NUMPY\x01\x00\x10\x00rubbish")
    with pytest.raises(ValueError, match=r"a.npy has a damaged header"):
        npy_input_fn(file)
    np.save(file, np.zeros((100, 2)))
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"a.npy is cut off: .* the shape \(100, 2\) needs 1728"):
        npy_input_fn(file)
    for array in (np.array(["a"]), np.array([None]), np.array(1.0), np.zeros(2, "i4,i4")):
        np.save(file, array)
        with pytest.raises(TypeError, match=r"a.npy must hold an array .* got the type .* shape"):
            npy_input_fn(file)


# CSV


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("1,2\n3,4\n", {}),
        ("1;2\r\n3;4\r\n", {}),
        ("1\t2\n3\t4", {}),
        ("1 2\n3   4\n", {}),
        ("x,y\n1,2\n3,4\n", {}),
        ('"x","y, z"\n1,2\n3,4\n', {}),
        ("\ufeffx;y\n1;2\n3;4\n", {}),
        ("\n\nx,y\n\n1,2\n   \n3,4\n\n", {}),
        ("# x,y\n1,2\n3,4\n", {}),
        ("# x y\n1 2\n3 4\n", {}),
        ("# written by hand\n#\nx,y\n1,2\n3,4\n", {}),
        ('"1","2"\n3, 4\n', {}),
        ("1|2\n3|4\n", {"delimiter": "|"}),
        ("1990,1991\n1,2\n3,4\n", {"header": True}),
        ("id,y,x\na,2,1\nb,4,3\n", {"columns": ["x", "y"]}),
        ("id,y,x\na,2,1\nb,4,3\n", {"columns": [2, "y"]}),
        ("a,2,1\nb,4,3\n", {"columns": [2, 1]}),
        ("\u00e9,2,1\n\u00e8,4,3\n", {"columns": [2, 1], "header": False}),
        ('" 2 1\n# 4 3\n', {"columns": [2, 1]}),
        ('"x" "y"\n1 2\n3 4\n', {"columns": ["x", "y"]}),
        ('"1" ,2\n"3",4 \n', {}),
        ('a,"1",2\n"a ""b"", c",3,4\n', {"columns": [1, 2]}),
        ('a "b", "c",1,2\na,b,3,4\n', {"columns": [2, 3]}),
    ],
)
def test_csv_layouts(text: str, arguments: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8", newline="")
    batches = list(csv_input_fn(tmp_path / "a.csv", **arguments)())
    assert [batch.tolist() for batch in batches] == [[[1, 2], [3, 4]]]
    assert batches[0].dtype == np.float64


def test_csv_single_column_and_types(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n0.1\n1e300\nnan\n")
    single = read(csv_input_fn(tmp_path / "a.csv", dtype=np.float32)())
    double = read(csv_input_fn(tmp_path / "a.csv")())
    np.testing.assert_array_equal(double, [[0.1], [1e300], [np.nan]])
    np.testing.assert_array_equal(single, np.array([[0.1], [np.inf], [np.nan]], np.float32))
    (tmp_path / "a.csv").write_text("x,y\n")
    assert list(csv_input_fn(tmp_path / "a.csv", num_epochs=None)()) == []


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("x,y\n1,2\n\n3,oops\n", {}, r"a.csv, line 4, column 'y': 'oops' is not a number"),
        ("1,2\n3,\n", {}, r"a.csv, line 2, column 1: '' is not a number"),
        ("1,2\n3,1_000\n", {}, r"a.csv, line 2, column 1: '1_000' is not a number"),
        ("x;y\n1,5;2\n", {}, r"line 2, column 'x': '1,5' is not a number"),
        ("1,2\n3\n", {}, r"a.csv, line 2: 1 field, but the first line has 2"),
        ("1,2\n3,4,5\n", {"batch_size": 1}, r"a.csv, line 2: 3 fields, but the first line has 2"),
        ("1,2,3\n4\n", {"columns": [2]}, r"a.csv, line 2: 1 field, but the first line has 3"),
        ("1,2\n# end\n", {}, r"a.csv, line 2: 1 field"),
        ("x,y,z\na,1,2\na,b,1,2\n", {"columns": ["y"]}, r"line 3: 4 fields, but .* first .* 3"),
        ("x y\na 1\n2\n", {"columns": ["y"]}, r"line 3: 1 field, but the first line has 2"),
        ('1,2\n3,"4\n5",6\n', {}, r"a.csv, line 2: a quotation mark is not closed"),
        ('1,"2"\n3,4\n1,"2\n', {}, r"a.csv, line 3: a quotation mark is not closed"),
        ('1,2\na"b,"c\n', {}, r"a.csv, line 2: a quoted field is not closed"),
        ("1,2\n3,4\r5,6\n", {}, r"a.csv, line 2: 3 fields, but the first line has 2"),
        ("1,2\n3\r,4\n", {}, r"a.csv, line 2: .*embedded newline"),
        ("1,2\n3,\u0663\n", {}, r"a.csv, line 2, column 1: '\u0663' is not a number"),
        ('1 "2"\n', {}, r"a.csv, line 1, column 1: '\"2\"' is not a number"),
        ('"1" "2"\n3 4\n', {}, r"a.csv, line 1, column 0: '\"1\"' is not a number"),
        ('1, "2"\n', {}, r"a.csv, line 1, column 1: '\"2\"' is not a number"),
        ("word,x\nthe,1\n", {}, r"column 'word': 'the' is not .* columns with columns=\["),
    ],
)
def test_csv_bad_lines(text: str, arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8", newline="")
    source = csv_input_fn(tmp_path / "a.csv", **arguments)()
    with pytest.raises(ValueError, match=message):
        list(source)


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("", {}, r"a.csv has no rows"),
        ("x,y\n1,2\n", {"columns": ["z"]}, r"no column 'z'; it has the columns 'x', 'y'"),
        ("1,2\n", {"columns": ["z"]}, r"no column 'z'; it has the columns 0, 1"),
        ("1,2\n", {"columns": [2]}, r"no column 2; it has the columns 0, 1"),
        ("1,2\n", {"columns": "x"}, r"columns must be a list of names or numbers, got 'x'"),
        ("1,2\n", {"delimiter": "::"}, r"delimiter must be a single character, .*; got '::'"),
        ("1,2\n", {"delimiter": '"'}, r"no quotation mark or line break, or None; got '\"'"),
        ("1,2\n", {"columns": [0.5]}, r"no column 0.5; it has the columns 0, 1"),
        ("1,2\n", {"header": 1}, r"header must be True or False; got 1"),
        ("1,2\n", {"dtype": int}, r"dtype must be a floating-point type, got int64"),
    ],
)
def test_csv_bad_arguments(
    text: str, arguments: dict[str, Any], message: str, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        csv_input_fn(tmp_path / "a.csv", **arguments)


@pytest.mark.parametrize("malformed", ['"1"1', '"1"x', '1"1', '"1', '"1""', '"1"1"1"'])
@pytest.mark.parametrize("rest", ["", ",2", ";2", "\t2"])
def test_csv_malformed_quotes(malformed: str, rest: str, tmp_path: Path) -> None:
    """A line that csv.reader would guess at is refused, dropped, and no header."""
    file = tmp_path / "a.csv"
    good = [f"3{rest}\n", f"4{rest}\n"]
    for number in range(3):
        file.write_text("".join([*good[:number], f"{malformed}{rest}\n", *good[number:]]))
        with pytest.raises(ValueError, match=f"a.csv, line {number + 1}: a quot"):
            list(csv_input_fn(file)())
        assert read(csv_input_fn(file, bad_rows="drop")())[:, 0].tolist() == [3, 4]
    file.write_text(f"{malformed}{rest}\n")
    with pytest.raises(ValueError, match=r"a.csv, line 1: a quot"):
        csv_input_fn(file, header=True)
    for bad_rows in ("raise", "drop"):
        with pytest.raises(ValueError, match=r"a.csv.*line 1: a quot"):
            list(csv_input_fn(file, bad_rows=bad_rows)())


@pytest.mark.parametrize("name", ["x", "my column", "x, y", "x\ty", 'a ""b""'])
def test_csv_of_one_quoted_column(name: str, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(f'"{name}"\n"1"\n2\n')
    name = name.replace('""', '"')
    assert read(csv_input_fn(file, columns=[name])()).tolist() == [[1], [2]]
    file.write_text('"1"\n2\n')
    assert read(csv_input_fn(file)()).tolist() == [[1], [2]]


def test_csv_memory_is_bounded(tmp_path: Path) -> None:
    line = ",".join(["0.125"] * 20) + "\n"
    (tmp_path / "a.csv").write_text(line * (8 * MIB // len(line)))
    assert peak_memory(csv_input_fn(tmp_path / "a.csv", 500)()) < 4 * MIB


# Parquet


def test_parquet_columns(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    vectors = np.arange(12, dtype=np.float32)
    table = {
        "word": ["a", "b", "c"],
        "n": pa.array([1, 2, 3], pa.int16()),
        "x": [0.5, None, 1.5],
        "v": pa.FixedSizeListArray.from_arrays(vectors, 4),
        "w": [[1.0, 2.0]] * 3,
    }
    pq.write_table(pa.table(table), file, row_group_size=2)
    batches = list(parquet_input_fn(file, columns=["v"])())
    assert [batch.tolist() for batch in batches] == [vectors.reshape(3, 4).tolist()]
    assert batches[0].dtype == np.float32
    joined = read(parquet_input_fn(file, 1, columns=["w", "x", "n"])())
    np.testing.assert_array_equal(joined, [[1, 2, 0.5, 1], [1, 2, np.nan, 2], [1, 2, 1.5, 3]])
    with pytest.raises(
        TypeError, match=r"a.parquet\['word'\] must hold numbers or lists .* string"
    ):
        parquet_input_fn(file)
    with pytest.raises(ValueError, match=r"no column 'z'; it has the columns 'word', 'n', 'x'"):
        parquet_input_fn(file, columns=["z"])
    with pytest.raises(ValueError, match=r"columns must be a list of names, got 'x'"):
        parquet_input_fn(file, columns="x")


@pytest.mark.parametrize("row_group_size", [1, 2, 10])
def test_parquet_uneven_lists(row_group_size: int, tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    lists = [[1.0, 2.0], [3.0, 4.0], [5.0], [6.0, 7.0]]
    pq.write_table(pa.table({"v": lists}), file, row_group_size=row_group_size)
    source = parquet_input_fn(file)()
    with pytest.raises(ValueError, match=r"equal lengths: row [02] has 2? ?.*elements"):
        list(source)


def test_parquet_without_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": pa.array([], pa.float32())}), tmp_path / "a.parquet")
    assert list(parquet_input_fn(tmp_path / "a.parquet", num_epochs=None)()) == []


def test_parquet_of_another_format(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match=r"a.parquet is not a Parquet file"):
        parquet_input_fn(tmp_path / "a.parquet")


def test_parquet_without_arrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table({"x": [1.0]}), tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as if it were not installed
    with pytest.raises(ImportError, match=r"pip install 'centroids\[arrow\]'"):
        parquet_input_fn(tmp_path / "a.parquet")


def test_parquet_memory_is_bounded(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    rng = np.random.default_rng(0)
    values = rng.standard_normal(64 * MIB // 4, np.float32)
    table = pa.table({"v": pa.FixedSizeListArray.from_arrays(values, 32)})
    pq.write_table(table, file, row_group_size=64 * MIB // 128)  # a single row group
    del table, values
    before = pa.total_allocated_bytes()
    most = 0
    for batch in parquet_input_fn(file, 1000)():
        assert batch.shape[1] == 32
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 24 * MIB  # pages of Parquet are of 1 MiB, decoded and not
