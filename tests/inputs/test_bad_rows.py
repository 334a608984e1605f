"""Bad rows: left in and located, or left out, counted and told in the log."""

from __future__ import annotations

import logging
import re
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

KINDS = ("numpy", "dict", "sparse", "npy", "csv", "parquet", "tfrecord")


def make_input_fn(
    kind: str, folder: Path, rows: NDArray[Any], **arguments: Any
) -> Callable[[], Any]:
    if kind == "numpy":
        return numpy_input_fn(rows, np.arange(len(rows)), **arguments)
    if kind == "dict":
        columns = {"a": rows[:, 0], "b": rows[:, 1]}
        return numpy_input_fn(columns, {"row": np.arange(len(rows))}, **arguments)
    if kind == "sparse":
        return numpy_input_fn(scipy.sparse.coo_array(rows), **arguments)
    if kind == "npy":
        np.save(folder / "rows.npy", rows)
    elif kind == "csv":
        lines = [f"{a},{b}" for a, b in rows.tolist()]
        # Half of the bad lines are not rows of numbers at all.
        for row in np.flatnonzero(~np.isfinite(rows).all(axis=1))[::2]:
            lines[row] = ("", "7", '"1,2', "1,2,3", "x,1")[row % 5] or "oops,oops"
        (folder / "rows.csv").write_text("\n".join(["a,b", *lines, ""]))
    elif kind == "tfrecord":
        # Half of the bad records have too few values.
        short = set(np.flatnonzero(~np.isfinite(rows).all(axis=1))[1::2].tolist()) - {0}
        write_rows(
            folder / "rows.tfrecord",
            [values[:1] if row in short else values for row, values in enumerate(rows)],
        )
    else:
        table = pa.table({"a": rows[:, 0], "b": rows[:, 1]})
        pq.write_table(table, folder / "rows.parquet", row_group_size=max(len(rows) // 3, 1))
    return file_input_fn(folder / f"rows.{kind}", **arguments)


def dense(features: Any) -> NDArray[Any]:
    if isinstance(features, dict):
        return np.stack([features["a"], features["b"]], axis=1)
    array: NDArray[Any] = features if isinstance(features, np.ndarray) else features.toarray()
    return array


def row_labels(labels: Any) -> list[int] | None:
    values = labels["row"] if isinstance(labels, dict) else labels
    return None if values is None else values.tolist()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(
    num_rows=st.integers(1, 40),
    batch_size=st.integers(1, 50),
    num_epochs=st.integers(1, 2),
    shuffle=st.booleans(),
    data=st.data(),
)
def test_dropping_is_leaving_out_of_the_same_batches(
    kind: str, num_rows: int, batch_size: int, num_epochs: int, shuffle: bool, data: st.DataObject
) -> None:
    bad = data.draw(st.sets(st.integers(0, num_rows - 1), max_size=num_rows - 1))
    rows = rows_of(num_rows, bad)
    arguments = {"batch_size": batch_size, "num_epochs": num_epochs, "shuffle": shuffle}
    with tempfile.TemporaryDirectory() as folder:
        dropping = make_input_fn(kind, Path(folder), rows, **arguments, bad_rows="drop")
        with open_stream(dropping) as stream:
            got = list(stream)
        direct = [batch[0] if isinstance(batch, tuple) else batch for batch in dropping()]
        # The batches of the same numbers of rows, none of them bad, tell what was where.
        whole = make_input_fn(kind, Path(folder), rows_of(num_rows), **arguments)
        with open_stream(whole) as stream:
            expected = list(stream)

    remaining, num_dropped = iter(got), 0
    for batch in expected:
        every = dense(batch.features)
        keep = [row for row, values in enumerate(every) if int(values[0]) not in bad]
        num_dropped += len(every) - len(keep)
        if not keep:
            continue
        left = next(remaining)
        np.testing.assert_array_equal(dense(left.features), every[keep])
        labels = row_labels(batch.labels)
        assert row_labels(left.labels) == (labels and [labels[row] for row in keep])
        assert left.num_dropped_rows == num_dropped
        assert _without_identity(left.position) == _without_identity(batch.position) or kind in (
            "csv",  # its bytes differ where the text does
        )
        num_dropped = 0
    assert next(remaining, None) is None
    assert [dense(each).tolist() for each in direct] == [dense(b.features).tolist() for b in got]


def _without_identity(position: dict[str, Any] | None) -> dict[str, Any]:
    assert position is not None
    return {key: position.get(key) for key in ("epoch", "offset", "rows_of_window")}


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("numpy", "x; the first one is row 3: column 1 is nan"),
        ("dict", "x; the first one is row 3: column 0 of 'b' is nan"),
        ("sparse", "x; the first one is row 3: column 1 is nan"),
        ("npy", "rows.npy; the first one is row 3: column 1 is nan"),
        ("csv", r"rows.csv; the first one is line 5, column 'a': 'x' is not a number;"),
        ("parquet", "rows.parquet; the first one is row 3: column 1 is nan"),
        ("tfrecord", "the first one is .*rows.tfrecord, record 3: column 1 is nan"),
    ],
)
def test_log_tells_the_first_and_the_number(
    kind: str, place: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = rows_of(1200, set(range(3, 1200, 6)))
    rows[3] = 7, np.nan
    input_fn = make_input_fn(
        kind, tmp_path, rows, batch_size=7, num_epochs=3, shuffle=False, bad_rows="drop"
    )
    if kind == "csv":
        text = (tmp_path / "rows.csv").read_text().splitlines()
        (tmp_path / "rows.csv").write_text("\n".join([*text[:4], "x,1", *text[5:]]))
        input_fn = csv_input_fn(tmp_path / "rows.csv", 7, 3, bad_rows="drop")
    with open_stream(input_fn) as stream:
        assert sum(batch.num_dropped_rows for batch in stream) == 600
    first, summary = caplog.records  # the other epochs say nothing new
    assert first.name == summary.name == "centroids.inputs.bad_rows"
    assert first.levelno == summary.levelno == logging.WARNING
    assert re.search(place, first.getMessage())
    assert summary.getMessage().startswith("Dropped 200 of 1,200 rows of ")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad_row", [0, 17, 39])
def test_log_finds_the_place_in_a_shuffled_input(
    kind: str,
    bad_row: int,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    windowed = npy_input_fn.__globals__["WindowedSource"].__init__.__globals__
    monkeypatch.setitem(windowed, "WINDOW_BYTES", 80)
    monkeypatch.setitem(npy_input_fn.__globals__, "_BLOCK_BYTES", 24)
    rows = rows_of(40, {bad_row})
    input_fn = make_input_fn(kind, tmp_path, rows, batch_size=3, shuffle=True, bad_rows="drop")
    source = input_fn()
    assert sum(len(dense(b[0] if isinstance(b, tuple) else b)) for b in source) == 39
    place = f"line {bad_row + 2}" if kind == "csv" else f"row {bad_row}"
    if kind == "tfrecord":
        place = f"{tmp_path}/rows.tfrecord, record {bad_row}: column {bad_row % 2} is"
    assert f"the first one is {place}" in caplog.records[0].getMessage()


def test_log_of_an_input_that_is_left_early(caplog: pytest.LogCaptureFixture) -> None:
    input_fn = numpy_input_fn(rows_of(40, {1, 30}), None, 5, 1, False, bad_rows="drop")
    with open_stream(input_fn) as stream:
        assert len(next(stream).features) == 4
        assert len(next(stream).features) == 5
    assert [record.getMessage() for record in caplog.records][1:] == ["Dropped 1 of 10 rows of x"]
    caplog.clear()
    with open_stream(numpy_input_fn(rows_of(9), shuffle=False, bad_rows="drop")) as stream:
        assert len(list(stream)) == 1
    assert not caplog.records


def test_log_of_changing_epochs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "a.csv"
    file.write_text("1,2\nx,3\n4,5\n")
    source = iter(csv_input_fn(file, 10, 3, bad_rows="drop")())
    assert [next(source).tolist(), next(source).tolist()] == [[[1, 2], [4, 5]]] * 2
    file.write_text("1,2\n3,3\n4,5\n")
    assert next(source).tolist() == [[1, 2], [3, 3], [4, 5]]
    assert next(source, None) is None
    messages = [record.getMessage().split(" of ")[0] for record in caplog.records]
    assert messages == ["Dropping the bad rows", "Dropped 1", "Dropped 0"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_epochs", [1, None])
def test_nothing_but_bad_rows_is_an_error_not_a_hang(
    kind: str, num_epochs: int | None, tmp_path: Path
) -> None:
    input_fn = make_input_fn(
        kind,
        tmp_path,
        rows_of(10, set(range(10))),
        batch_size=4,
        num_epochs=num_epochs,
        shuffle=False,
        bad_rows="drop",
    )
    with pytest.raises(ValueError, match=r"all 10 rows of .* are bad; the first one is"):
        list(input_fn())


def test_limit_epochs() -> None:
    points = rows_of(6, {2, 5})
    batches = list(limit_epochs((points, list("abcdef")), 2, bad_rows="drop"))
    assert [labels.tolist() for _, labels in batches] == [["a", "b", "d", "e"]] * 2
    np.testing.assert_array_equal(batches[0][0], points[[0, 1, 3, 4]])
    untouched = rows_of(6)
    assert all(batch is untouched for batch in limit_epochs(untouched, 2, bad_rows="drop"))


def test_types_without_bad_values_and_higher_ranks() -> None:
    integers = np.arange(6).reshape(3, 2)
    assert [b.tolist() for b in limit_epochs(integers, bad_rows="drop")] == [integers.tolist()]
    images = np.zeros((4, 2, 3), np.float16)
    images[2, 1, 1] = np.inf
    assert next(iter(limit_epochs(images, bad_rows="drop"))).shape == (3, 2, 3)
    assert next(iter(limit_epochs([1.0, np.nan], bad_rows="drop"))).tolist() == [1.0]
    assert list(limit_epochs(np.empty((0, 3)), None, bad_rows="drop")) == []


def test_labels_of_another_stream_stay_aligned(tmp_path: Path) -> None:
    points = rows_of(10, {0, 1, 4, 7})
    (tmp_path / "labels.csv").write_text("".join(f"{row}\n" for row in [*range(9), "oops"]))

    def input_fn(labels_drop: str = "drop") -> Any:
        labels: Any = csv_input_fn(tmp_path / "labels.csv", 2, bad_rows=labels_drop)
        return numpy_input_fn(points, None, 2, 1, False, bad_rows="drop")(), labels()

    with open_stream(input_fn) as stream:
        batches: list[Any] = list(stream)
    assert [batch.labels[:, 0].tolist() for batch in batches] == [[2, 3], [5], [6], [8]]
    assert [batch.features[:, 0].tolist() for batch in batches] == [[2, 3], [5], [6], [8]]
    assert [batch.num_dropped_rows for batch in batches] == [2, 1, 1, 1]
    with open_stream(input_fn, position=batches[1].position) as stream:
        assert [batch.num_dropped_rows for batch in stream] == [1, 1]
    with pytest.raises(ValueError, match=r"labels.csv, line 10, column 0: 'oops' is not a number"):
        list(open_stream(lambda: input_fn("raise")))


def test_labels_of_another_length_are_an_error() -> None:
    points = rows_of(4, {1})

    def input_fn(**arguments: Any) -> Any:
        labels = np.array([0.0, np.nan, 2.0])
        return (
            numpy_input_fn(points, shuffle=False, bad_rows="drop")(),
            numpy_input_fn(labels, shuffle=False, **arguments)(),
        )

    for arguments in ({}, {"bad_rows": "drop"}):
        with (
            pytest.raises(
                ValueError, match=r"features and labels .* the same number of rows, .*4 and 3"
            ),
            open_stream(lambda given=arguments: input_fn(**given)) as stream,
        ):
            list(stream)


@pytest.mark.parametrize(
    "function", [numpy_input_fn, npy_input_fn, csv_input_fn, parquet_input_fn, file_input_fn]
)
@pytest.mark.parametrize("value", ["skip", None, True, ["drop"]])
def test_bad_argument(function: Callable[..., Any], value: Any, tmp_path: Path) -> None:
    given: Any = np.zeros((2, 2))
    np.save(tmp_path / "a.npy", given)
    if function is not numpy_input_fn:
        given = tmp_path / "a.npy"
    with pytest.raises(ValueError, match=r"bad_rows must be one of 'raise', 'drop'; got "):
        function(given, shuffle=False, bad_rows=value)
    with pytest.raises(ValueError, match=r"bad_rows must be one of 'raise', 'drop'; got "):
        limit_epochs(np.zeros(2), bad_rows=value)


@pytest.mark.parametrize("mini_batch", [True, False])
def test_training_is_that_of_the_rows_left(mini_batch: bool, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    points = random.normal(size=(300, 3)).astype(np.float32)
    points[::17, 1] = np.nan
    left = points[np.isfinite(points).all(axis=1)]
    initial = left[:4]

    def train(x: NDArray[Any], **arguments: Any) -> NDArray[Any]:
        model = centroids.KMeansClustering(4, initial_clusters=initial, use_mini_batch=mini_batch)
        return model.train(lambda: limit_epochs(x, 3, **arguments)).cluster_centers()

    np.testing.assert_array_equal(train(points, bad_rows="drop"), train(left))
    with pytest.raises(ValueError, match="got nan in x, row 0, column 1"):
        train(points)
