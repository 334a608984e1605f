"""A saved position means: go on with the next unseen row, to the byte, or a clear refusal."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from centroids.inputs import (
    Batch,
    csv_input_fn,
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

InputFn = Callable[[], Any]
MEMORY = ("numpy", "dict", "sparse")
FILES = ("npy", "csv", "parquet", "tfrecord")
KINDS = (*MEMORY, *FILES, "limit_epochs", "pair")


def some_bad(num_rows: int, dtype: Any = np.float64) -> NDArray[Any]:
    return rows_of(num_rows, range(4, num_rows, 9), 3, dtype)


def write(kind: str, folder: Path, rows: NDArray[Any]) -> Path:
    file = folder / f"rows.{kind}"
    if kind == "npy":
        np.save(file, rows)
    elif kind == "csv":
        lines = [",".join(map(repr, row)) for row in rows.tolist()]
        lines[6::11] = ["\n" + line for line in lines[6::11]]  # blank lines
        file.write_text("a,b,c\n" + "\n".join(lines) + "\n")
    elif kind == "tfrecord":
        write_rows(file, rows, ("", "GZIP", "ZLIB")[len(rows) % 3])
    else:
        table = pa.table({name: rows[:, column] for column, name in enumerate("abc")})
        pq.write_table(table, file, row_group_size=max(len(rows) // 3, 1))
    return file


def make_input_fn(kind: str, folder: Path, rows: NDArray[Any], **arguments: Any) -> InputFn:
    if kind == "numpy":
        return numpy_input_fn(rows, **arguments)
    if kind == "dict":
        labels = {"row": np.arange(len(rows)), "name": [f"row {row}" for row in range(len(rows))]}
        return numpy_input_fn({"a": rows[:, 0], "bc": rows[:, 1:]}, labels, **arguments)
    if kind == "sparse":
        return numpy_input_fn(scipy.sparse.csc_array(rows), np.arange(len(rows)), **arguments)
    if kind == "limit_epochs":
        kept = {key: arguments[key] for key in ("num_epochs", "bad_rows") if key in arguments}
        return lambda: limit_epochs((rows, np.arange(len(rows))), **kept)
    if kind == "pair":
        features = make_input_fn("npy", folder, rows, **arguments)
        labels_fn = make_input_fn("csv", folder, rows, **{**arguments, "shuffle": False})
        return lambda: (features(), labels_fn())
    file = write(kind, folder, rows)
    functions: dict[str, Any] = {
        "npy": npy_input_fn,
        "csv": csv_input_fn,
        "parquet": parquet_input_fn,
        "tfrecord": tfrecord_input_fn,
    }
    return functions[kind](file, **arguments)


def bits(value: Any) -> Any:
    """Everything about features or labels that may not differ."""
    if isinstance(value, dict):
        return {key: bits(part) for key, part in value.items()}
    if scipy.sparse.issparse(value):
        return [bits(value.data), bits(value.indices), bits(value.indptr), value.shape]
    return None if value is None else (value.dtype.str, value.shape, value.tobytes())


def contents(batch: Batch) -> Any:
    return bits(batch.features), bits(batch.labels), batch.position, batch.num_dropped_rows


def read(input_fn: InputFn, position: Any = None) -> list[Batch]:
    with open_stream(input_fn, position=position) as stream:
        return list(stream)


@contextmanager
def small_windows(window_bytes: int) -> Iterator[None]:
    """Windows, blocks and pieces that small files have several of."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        windowed = npy_input_fn.__globals__["WindowedSource"].__init__.__globals__
        monkeypatch.setitem(windowed, "WINDOW_BYTES", window_bytes)
        monkeypatch.setitem(npy_input_fn.__globals__, "_BLOCK_BYTES", window_bytes // 4)
        monkeypatch.setitem(parquet_input_fn.__globals__, "_PIECE_BYTES", window_bytes // 2)
        monkeypatch.setitem(tfrecord_input_fn.__globals__, "_PIECE_BYTES", window_bytes // 2)
        monkeypatch.setitem(csv_input_fn.__globals__, "_CHUNK_LINES", 5)
        yield


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20, deadline=None)
@given(
    num_rows=st.integers(1, 40),
    batch_size=st.integers(1, 45),
    num_epochs=st.integers(1, 3),
    shuffle=st.booleans(),
    seed=st.integers(0, 2**70),
    window_bytes=st.sampled_from([8, 200, 700, 1 << 20]),
    dtype=st.sampled_from(["<f4", "<f8", ">f8", "<i2"]),
    bad_rows=st.sampled_from(["raise", "drop"]),
)
def test_the_rest_equals_the_uninterrupted_rest_at_every_batch(
    kind: str, num_rows: int, window_bytes: int, dtype: str, **arguments: Any
) -> None:
    if kind in ("sparse", "parquet"):
        dtype = dtype.replace(">", "<")  # scipy and Arrow have no foreign byte order
    rows = some_bad(num_rows, dtype)
    with small_windows(window_bytes), tempfile.TemporaryDirectory() as folder:
        input_fn = make_input_fn(kind, Path(folder), rows, **arguments)
        whole = read(input_fn)
        expected = [contents(batch) for batch in whole]
        for index, batch in enumerate(whole):
            position = json.loads(json.dumps(batch.position))
            assert position == batch.position
            assert [contents(each) for each in read(input_fn, position)] == expected[index + 1 :]


@pytest.mark.parametrize("kind", [*MEMORY, *FILES, "limit_epochs"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_positions_before_the_first_and_after_the_last_batch(
    kind: str, shuffle: bool, tmp_path: Path
) -> None:
    input_fn = make_input_fn(
        kind, tmp_path, some_bad(10), batch_size=4, num_epochs=2, shuffle=shuffle
    )
    source = input_fn()
    expected = [contents(batch) for batch in read(input_fn)]
    start = json.loads(json.dumps(source.position()))
    assert [contents(batch) for batch in read(input_fn, start)] == expected
    list(source)
    assert source.position() == expected[-1][2]
    assert read(input_fn, source.position()) == []


@pytest.mark.parametrize("kind", [*MEMORY, *FILES])
@settings(max_examples=15, deadline=None)
@given(
    num_rows=st.integers(1, 40),
    sizes=st.tuples(st.integers(1, 45), st.integers(1, 45)),
    shuffle=st.booleans(),
    data=st.data(),
)
def test_another_batch_size_goes_on_with_the_same_row(
    kind: str, num_rows: int, sizes: tuple[int, int], shuffle: bool, data: st.DataObject
) -> None:
    shuffle = shuffle and kind not in FILES  # in windows, which are whole batches
    rows = some_bad(num_rows)
    with tempfile.TemporaryDirectory() as folder:
        first, second = (
            make_input_fn(
                kind, Path(folder), rows, batch_size=size, num_epochs=2, shuffle=shuffle, seed=3
            )
            for size in sizes
        )
        whole = read(first)
        cut = data.draw(st.integers(0, len(whole) - 1))
        rest = read(second, whole[cut].position)
    num_seen = sum(_num_rows(batch) for batch in whole[: cut + 1])
    np.testing.assert_array_equal(_row_numbers(rest), _row_numbers(whole)[num_seen:])
    assert all(_num_rows(batch) <= sizes[1] for batch in rest)


def _row_numbers(batches: list[Batch]) -> list[float]:
    numbers: list[float] = []
    for batch in batches:
        features: Any = batch.features
        column = features["a"] if isinstance(features, dict) else features[:, [0]]
        numbers.extend(np.ravel(column.toarray() if scipy.sparse.issparse(column) else column))
    return numbers


def _num_rows(batch: Batch) -> int:
    return len(_row_numbers([batch]))


@pytest.mark.parametrize("kind", [*MEMORY, *FILES])
def test_more_or_fewer_epochs_are_the_same_input(kind: str, tmp_path: Path) -> None:
    def make(num_epochs: int | None) -> InputFn:
        return make_input_fn(
            kind, tmp_path, some_bad(10), batch_size=4, num_epochs=num_epochs, shuffle=True
        )

    two, three = read(make(2)), read(make(3))
    end = two[-1].position
    assert [contents(each) for each in read(make(3), end)] == [contents(b) for b in three[6:]]
    assert read(make(1), end) == []
    with open_stream(make(None), position=end) as stream:
        assert contents(next(stream)) == contents(three[6])


CHANGES: list[tuple[str, dict[str, Any], str]] = [
    ("numpy", {"num_rows": 21}, r"shape was \[20, 3\], now it is \[21, 3\]"),
    ("numpy", {"dtype": "<f4"}, r"dtype was 'float64', now it is 'float32'"),
    ("dict", {"dtype": "<f4"}, r"dtype was {'a': 'float64', 'bc': 'float64'}, now it is {'a': 'fl"),
    ("sparse", {"num_rows": 19}, r"shape was \[20, 3\], now it is \[19, 3\]"),
    ("sparse", {"dtype": "<f4"}, r"dtype was 'float64', now it is 'float32'"),
    ("limit_epochs", {"num_rows": 21}, r"shape was \[20, 3\], now it is \[21, 3\]"),
    ("npy", {"num_rows": 21}, r"shape was \[20, 3\], now it is \[21, 3\]"),
    ("npy", {"dtype": ">f8"}, r"dtype was '<f8', now it is '>f8'"),
    ("npy", {"batch_size": 4}, r"batch_size was 3, now it is 4"),
    ("csv", {"num_rows": 21}, r"bytes was \d+, now it is \d+"),
    ("csv", {"columns": ["a", "c"]}, r"columns was 3, now it is \[0, 2\]"),
    ("csv", {"element_type": np.float32}, r"dtype was 'float64', now it is 'float32'"),
    ("csv", {"batch_size": 4}, r"batch_size was 3, now it is 4"),
    ("parquet", {"num_rows": 21}, r"rows was 20, now it is 21"),
    ("parquet", {"dtype": "<i8"}, r"types was \['double', .*now it is \['int64', "),
    ("parquet", {"columns": ["a", "c"]}, r"columns was \['a', 'b', 'c'\], now it is \['a', 'c'\]"),
    ("parquet", {"batch_size": 4}, r"batch_size was 3, now it is 4"),
    ("tfrecord", {"num_rows": 21}, r"bytes was \d+, now it is \d+"),
    ("tfrecord", {"batch_size": 4}, r"batch_size was 3, now it is 4"),
    *((kind, {"shuffle": False}, "shuffle was True, now it is False") for kind in KINDS[:7]),
    *((kind, {"seed": 6}, "shuffle_seed was 5, now it is 6") for kind in KINDS[:7]),
]


@pytest.mark.parametrize(("kind", "change", "message"), CHANGES)
def test_another_input_is_refused(
    kind: str, change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    def make(num_rows: int = 20, dtype: str = "<f8", **changed: Any) -> InputFn:
        arguments: dict[str, Any] = {"batch_size": 3, "shuffle": True, "seed": 5, **changed}
        if "element_type" in arguments:
            arguments["dtype"] = arguments.pop("element_type")
        return make_input_fn(kind, tmp_path, some_bad(num_rows, dtype), **arguments)

    position = read(make())[0].position
    with pytest.raises(ValueError, match=f"the saved position is of another input: {message}"):
        read(make(**change), position)


def test_a_position_of_another_structure_is_refused(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"batch_size": 3, "shuffle": False}
    single = make_input_fn("npy", tmp_path, some_bad(9), **arguments)
    pair = make_input_fn("pair", tmp_path, some_bad(9), **arguments)
    position, position_of_pair = read(single)[0].position, read(pair)[0].position
    with pytest.raises(ValueError, match=r"a stream of features with one of labels, each of which"):
        read(pair, position)
    with pytest.raises(ValueError, match=r"source was None, now it is 'npy'"):
        read(single, position_of_pair)
    with pytest.raises(ValueError, match=r"source was 'npy', now it is 'csv'"):
        read(make_input_fn("csv", tmp_path, some_bad(9), **arguments), position)


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([-1, 0, 1, 3, 7, 10**9]),
    lambda part: (
        st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=3), part, max_size=3)
    ),
    max_leaves=5,
)


@pytest.mark.parametrize("kind", [*MEMORY, *FILES])
@settings(max_examples=60, deadline=None)
@given(shuffle=st.booleans(), data=st.data())
def test_a_damaged_position_is_refused_or_harmless(
    kind: str, shuffle: bool, data: st.DataObject
) -> None:
    with small_windows(200), tempfile.TemporaryDirectory() as folder:
        input_fn = make_input_fn(
            kind, Path(folder), some_bad(20), batch_size=3, num_epochs=2, shuffle=shuffle
        )
        position: Any = data.draw(st.sampled_from(read(input_fn))).position
        for _ in range(data.draw(st.integers(1, 2))):
            key = data.draw(st.sampled_from([*position, "other"]))
            if data.draw(st.booleans()):
                position = {**position, key: data.draw(ANY_JSON)}
            else:
                position = {name: value for name, value in position.items() if name != key}
        try:
            rest = read(input_fn, position)
        except ValueError as error:
            assert "position" in str(error)
        else:
            assert len(rest) <= 14


@pytest.mark.parametrize("position", [[], "epoch", 3, {}, {"epoch": 0}])
def test_what_is_not_a_position(position: Any) -> None:
    source = numpy_input_fn(some_bad(3), shuffle=False)()
    with pytest.raises(ValueError, match=r"a saved position must be a dict|source was None"):
        source.restore(position)


# CSV files that have grown or changed


def test_a_csv_file_may_grow_while_it_is_read_in_order(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("1,2\n3,4\n5,6\n")
    position = read(csv_input_fn(file, 2))[1].position
    with file.open("a") as log:
        log.write("7,8\n")
    grown = csv_input_fn(file, 2)
    assert [batch.features.tolist() for batch in read(grown, position)] == [[[7, 8]]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2\n3,4\n5,7\n", r"before byte 12 had the checksum \d+, now it has \d+"),
        ("1,2\n3,4\n", r"has the byte 12; for .*log.csv it must be an integer from 0 to 8"),
        ("1,2\n3,4\n5,66\n", r"before byte 12 had the checksum"),
        ("9,9\n" * 50, r"before byte 12 had the checksum"),
    ],
)
def test_a_changed_csv_file_is_refused(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("1,2\n3,4\n5,6\n")
    position = read(csv_input_fn(file, 3))[0].position
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        read(csv_input_fn(file, 3), position)


def test_a_csv_file_whose_last_line_went_on_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("1,2\n3,4")
    position = read(csv_input_fn(file, 3))[0].position
    assert read(csv_input_fn(file, 3), position) == []
    file.write_text("1,2\n3,45\n")
    with pytest.raises(ValueError, match=r"at byte 7, .*log.csv then; now the line cont.* 9 b"):
        read(csv_input_fn(file, 3), position)


def test_the_time_of_a_file_does_not_matter(tmp_path: Path) -> None:
    for kind in FILES:
        input_fn = make_input_fn(kind, tmp_path, some_bad(9), batch_size=3, shuffle=False)
        position = read(input_fn)[1].position
        os.utime(tmp_path / f"rows.{kind}", (0, 0))
        assert len(read(input_fn, position)) == 1
