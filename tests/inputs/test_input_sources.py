"""Every source delivers each row once per epoch and can go on from a saved position."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from centroids.inputs import (
    Source,
    csv_input_fn,
    file_input_fn,
    limit_epochs,
    npy_input_fn,
    numpy_input_fn,
    open_stream,
    parquet_input_fn,
    tfrecord_input_fn,
)
from tests.inputs.rows import rows_of
from tests.inputs.tfrecord_writer import write_rows

pa: Any = pytest.importorskip("pyarrow")
pq: Any = pytest.importorskip("pyarrow.parquet")

InputFn = Callable[..., Any]
KINDS = ("numpy", "dict", "sparse", "npy", "csv", "parquet", "tfrecord")


def make_input_fn(kind: str, folder: Path, rows: NDArray[Any], **arguments: Any) -> InputFn:
    if kind == "numpy":
        return numpy_input_fn(rows, **arguments)
    if kind == "dict":
        return numpy_input_fn({"a": rows[:, 0], "b": rows[:, 1]}, y=rows[:, 0], **arguments)
    if kind == "sparse":
        return numpy_input_fn(scipy.sparse.csc_array(rows), **arguments)
    if kind == "npy":
        np.save(folder / "rows.npy", rows)
        return npy_input_fn(folder / "rows.npy", **arguments)
    if kind == "csv":
        np.savetxt(folder / "rows.csv", rows, delimiter=",", header="a,b", comments="")
        return csv_input_fn(folder / "rows.csv", **arguments)
    if kind == "tfrecord":
        return tfrecord_input_fn(write_rows(folder / "rows.tfrecord", rows), **arguments)
    table = pa.table({"a": rows[:, 0], "b": rows[:, 1]})
    pq.write_table(table, folder / "rows.parquet", row_group_size=max(len(rows) // 3, 1))
    return parquet_input_fn(folder / "rows.parquet", **arguments)


def as_lists(batch: Any) -> list[list[float]]:
    """The rows of a raw batch; labels must be the first column."""
    if isinstance(batch, tuple):
        batch, labels = batch
        assert batch["a"].tolist() == labels.tolist()
    if isinstance(batch, dict):
        batch = np.stack([batch["a"], batch["b"]], axis=1)
    if not isinstance(batch, np.ndarray):
        batch = batch.toarray()
    rows: list[list[float]] = batch.tolist()
    return rows


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(
    num_rows=st.integers(1, 50),
    batch_size=st.integers(1, 60),
    num_epochs=st.integers(1, 3),
    shuffle=st.booleans(),
    seed=st.integers(0, 2**40),
    window_bytes=st.sampled_from([8, 64, 200, 1 << 20]),
    data=st.data(),
)
def test_each_row_once_per_epoch_and_restore(
    kind: str,
    num_rows: int,
    batch_size: int,
    num_epochs: int,
    shuffle: bool,
    seed: int,
    window_bytes: int,
    data: st.DataObject,
) -> None:
    rows = rows_of(num_rows)
    arguments = {"batch_size": batch_size, "num_epochs": num_epochs, "seed": seed}
    with pytest.MonkeyPatch.context() as monkeypatch, tempfile.TemporaryDirectory() as folder:
        set_sizes(monkeypatch, window_bytes)
        input_fn = make_input_fn(kind, Path(folder), rows, shuffle=shuffle, **arguments)
        source = input_fn()
        assert isinstance(source, Source)
        positions = [json.dumps(source.position())]
        batches = []
        for batch in source:
            batches.append(as_lists(batch))
            positions.append(json.dumps(source.position()))
        per_epoch = -(-num_rows // batch_size)
        assert len(batches) == per_epoch * num_epochs
        for epoch in range(num_epochs):
            of_epoch = batches[epoch * per_epoch : (epoch + 1) * per_epoch]
            assert {len(batch) for batch in of_epoch[:-1]} <= {batch_size}
            delivered = list(itertools.chain.from_iterable(of_epoch))
            if shuffle:
                delivered.sort()
            assert delivered == rows.tolist()

        again = input_fn()
        assert [as_lists(batch) for batch in again] == batches
        middle = data.draw(st.integers(0, len(batches)))
        again.restore(json.loads(positions[middle]))
        assert json.dumps(again.position()) == positions[middle]
        assert [as_lists(batch) for batch in again] == batches[middle:]
        assert [as_lists(batch) for batch in again] == batches  # the position holds only once


def set_sizes(monkeypatch: pytest.MonkeyPatch, window_bytes: int) -> None:
    """Windows, blocks and pieces that small files have several of."""
    windowed = npy_input_fn.__globals__["WindowedSource"].__init__.__globals__
    monkeypatch.setitem(windowed, "WINDOW_BYTES", window_bytes)
    monkeypatch.setitem(npy_input_fn.__globals__, "_BLOCK_BYTES", window_bytes // 4)
    monkeypatch.setitem(parquet_input_fn.__globals__, "_PIECE_BYTES", window_bytes // 2)
    monkeypatch.setitem(csv_input_fn.__globals__, "_CHUNK_LINES", 5)


@pytest.mark.parametrize("kind", KINDS)
def test_restore_through_a_stream(kind: str, tmp_path: Path) -> None:
    input_fn = make_input_fn(kind, tmp_path, rows_of(30), batch_size=4, num_epochs=2, shuffle=True)
    with open_stream(input_fn) as stream:
        batches = list(stream)
    with open_stream(input_fn, position=batches[9].position) as stream:
        rest = list(stream)
    assert [batch.position for batch in rest] == [batch.position for batch in batches[10:]]
    assert [as_lists(batch.features) for batch in rest] == [
        as_lists(batch.features) for batch in batches[10:]
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_shuffling_depends_on_seed_and_epoch(kind: str, tmp_path: Path) -> None:
    def order(seed: int) -> list[tuple[Any, ...]]:
        input_fn = make_input_fn(
            kind, tmp_path, rows_of(40), batch_size=40, num_epochs=2, shuffle=True, seed=seed
        )
        return [tuple(row[0] for row in as_lists(batch)) for batch in input_fn()]

    orders = [*order(0), *order(1)]
    assert len(set(orders)) == 4
    assert order(0) == orders[:2]


@pytest.mark.parametrize("kind", KINDS)
def test_endless_epochs(kind: str, tmp_path: Path) -> None:
    input_fn = make_input_fn(
        kind, tmp_path, rows_of(3), batch_size=2, num_epochs=None, shuffle=False
    )
    with open_stream(input_fn) as stream:
        batches = [as_lists(batch.features) for batch in itertools.islice(stream, 9)]
    assert [len(batch) for batch in batches] == [2, 1, 2, 1, 2, 1, 2, 1, 2]


@pytest.mark.parametrize(
    ("kind", "changed", "message"),
    [
        ("numpy", {"num_rows": 11}, r"shape was \[10, 2\], now it is \[11, 2\]"),
        ("dict", {"num_rows": 11}, r"shape was {'a': \[10\], 'b': \[10\]}, now it is {'a': \[11"),
        ("npy", {"num_rows": 11}, r"shape was \[10, 2\], now it is \[11, 2\]"),
        ("csv", {"num_rows": 11}, r"bytes was \d+, now it is \d+"),
        ("parquet", {"num_rows": 11}, r"rows was 10, now it is 11"),
        ("numpy", {"shuffle": False}, r"shuffle was True, now it is False"),
        ("numpy", {"seed": 6}, r"shuffle_seed was 5, now it is 6"),
        ("npy", {"seed": 6}, r"shuffle_seed was 5, now it is 6"),
        ("csv", {"kind": "npy"}, r"source was 'csv', now it is 'npy'"),
    ],
)
def test_position_of_another_input(
    kind: str, changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    def make(kind: str, num_rows: int = 10, shuffle: bool = True, seed: int = 5) -> Any:
        return make_input_fn(kind, tmp_path, rows_of(num_rows), shuffle=shuffle, seed=seed)()

    position = make(kind).position()
    with pytest.raises(ValueError, match=f"the saved position is of another input: {message}"):
        make(**{"kind": kind, **changed}).restore(position)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_position(kind: str, tmp_path: Path) -> None:
    source = make_input_fn(kind, tmp_path, rows_of(10), shuffle=False)()
    next(iter(source))
    position = source.position()
    with pytest.raises(ValueError, match=r"the offset -1; for .* an integer from 0 to \d+"):
        source.restore({**position, "offset": -1})
    with pytest.raises(ValueError, match=r"the epoch None; it must be at least 0"):
        source.restore({**position, "epoch": None})


def test_numpy_labels_and_dict() -> None:
    points = rows_of(5)
    input_fn = numpy_input_fn({"p": points}, points[:, 0], 3, 1, False)
    with open_stream(input_fn) as stream:
        batches: list[Any] = list(stream)
    assert [batch.features["p"].tolist() for batch in batches] == [
        points[:3].tolist(),
        points[3:].tolist(),
    ]
    assert [batch.labels.tolist() for batch in batches] == [[0, 1, 2], [3, 4]]


def test_numpy_takes_memory_maps_without_reading_them(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", rows_of(10))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    batch = next(iter(numpy_input_fn(mapped, batch_size=4, shuffle=False)()))
    assert np.shares_memory(batch, mapped)


def test_limit_epochs() -> None:
    points = rows_of(4)
    assert all(batch is points for batch in limit_epochs(points, num_epochs=3))
    assert len(list(limit_epochs((points, [1, 2, 3, 4]), num_epochs=2))) == 2
    assert len(list(itertools.islice(limit_epochs(points, num_epochs=None), 50))) == 50
    assert list(limit_epochs(points[:0], num_epochs=None)) == []
    source = limit_epochs(points, 5)
    source.restore({**source.position(), "epoch": 2, "offset": 4})
    assert len(list(source)) == 2
    assert len(list(source)) == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"shuffle must be explicitly set as boolean \(True or False\); got None"),
        ({"shuffle": 3}, r"shuffle must be True or False; got 3"),
        ({"shuffle": True, "batch_size": 0}, r"batch_size must be an integer of at least 1; got 0"),
        ({"shuffle": True, "batch_size": 1.5}, r"batch_size must be an integer .* got 1.5"),
        ({"shuffle": True, "num_epochs": 0}, r"num_epochs .* at least 1 or None, .*; got 0"),
        ({"shuffle": True, "seed": -1}, r"seed must be an integer of at least 0; got -1"),
        ({"shuffle": True, "num_threads": 0}, r"num_threads must be .* got 0"),
        (
            {"shuffle": True, "y": [1, 2]},
            r"x and y must have the same number of rows.*'x': 4, 'y': 2",
        ),
    ],
)
def test_bad_arguments_of_numpy_input_fn(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        numpy_input_fn(rows_of(4), **arguments)


def test_bad_arguments() -> None:
    with pytest.raises(
        ValueError, match=r"the same number of rows, got {\"x\['a'\]\": 4, \"x\['b'\]\": 3}"
    ):
        numpy_input_fn({"a": rows_of(4), "b": rows_of(3)}, shuffle=False)
    with pytest.raises(TypeError, match="x must hold numbers"):
        numpy_input_fn(["a"], shuffle=False)
    with pytest.raises(ValueError, match=r"num_epochs must be an integer of at least 1 .* got -1"):
        limit_epochs(rows_of(4), num_epochs=-1)


FILE_FUNCTIONS: list[tuple[InputFn, str]] = [
    (npy_input_fn, "rows.npy"),
    (csv_input_fn, "rows.csv"),
    (parquet_input_fn, "rows.parquet"),
    (file_input_fn, "rows.npy"),
    (file_input_fn, "rows.xyz"),
]


@pytest.mark.parametrize(("function", "name"), FILE_FUNCTIONS)
def test_missing_files(function: InputFn, name: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=name):
        function(tmp_path / name)
    (tmp_path / name).mkdir()
    # What reads any table takes folders of files, too.
    kind, told = (ValueError, "is an empty folder"), "expected a file, got a folder"
    error, message = kind if function is file_input_fn else (IsADirectoryError, told)
    with pytest.raises(error, match=message):
        function(str(tmp_path / name))


@pytest.mark.parametrize(("function", "name"), FILE_FUNCTIONS[:4])
def test_bad_arguments_of_file_functions(function: InputFn, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"x")
    for argument, value in (("batch_size", 0), ("num_epochs", 0), ("shuffle", 1), ("seed", -1)):
        with pytest.raises(ValueError, match=f"{argument} must be .*{value}"):
            function(tmp_path / name, **{argument: value})


def test_file_input_fn_chooses_by_the_ending(tmp_path: Path) -> None:
    rows = rows_of(5)
    for kind in ("npy", "csv", "parquet", "tfrecord"):
        make_input_fn(kind, tmp_path, rows, shuffle=False)
    (tmp_path / "rows.TSV").write_text("a\tb\n1\t2\n")
    (tmp_path / "rows.txt").write_text("1 2\n3 4\n")

    def read(name: str, **arguments: Any) -> Any:
        return np.concatenate(list(file_input_fn(tmp_path / name, **arguments)())).tolist()

    assert read("rows.npy") == read("rows.csv") == read("rows.parquet") == rows.tolist()
    assert read("rows.csv", columns=["b"]) == read("rows.parquet", columns=["b"])
    (tmp_path / "rows.tfrecord").rename(tmp_path / "rows.tfrecord-00000-of-00001")
    assert read("rows.tfrecord-00000-of-00001") == rows.tolist()
    assert read("rows.TSV") == [[1, 2]]
    assert read("rows.txt") == [[1, 2], [3, 4]]
    (tmp_path / "rows.json").write_bytes(b"")
    with pytest.raises(ValueError, match=r"must end in .csv, .*, .svm or .tfrecord; got"):
        file_input_fn(tmp_path / "rows.json")
    with pytest.raises(ValueError, match=r"columns is for files with named columns; .*rows.npy"):
        file_input_fn(tmp_path / "rows.npy", columns=["a"])
