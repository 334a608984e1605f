"""Arrays and tables of other libraries as a batch: what each becomes, or why not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids import KMeansClustering, inputs
from centroids.inputs import limit_epochs, numpy_input_fn, open_stream

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")
arrow = pytest.importorskip("pyarrow")


class _Torch:
    """The package, if it is there: only cases of its own need it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(pytest.importorskip("torch"), name)


torch: Any = _Torch()

# Numbers that every type below holds.
ROWS = np.array([[1, 0], [3, 2], [2, 7], [6, 3]])
MEAN = [3.0, 3.0]
HEIGHT, WIDTH = ROWS[:, 0].tolist(), ROWS[:, 1].tolist()
FRAME = pandas.DataFrame({"width": WIDTH, "height": HEIGHT})[["height", "width"]]


class OnlyArray:
    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.asarray(self.rows, dtype)


class OnlyDlpack:
    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __dlpack__(self, **more: Any) -> Any:
        return self.rows.__dlpack__(**more)

    def __dlpack_device__(self) -> Any:
        return self.rows.__dlpack_device__()


class OnlyArrowStream:
    """As a cursor of a database: what was read is gone."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        table, self.table = self.table, None
        return table.__arrow_c_stream__(requested_schema)


def torch_rows(dtype: Any = None, **more: Any) -> Any:
    return torch.tensor(ROWS.tolist(), dtype=dtype or torch.float32, **more)


def columns(**types: Any) -> Any:
    return FRAME.astype(types)


def polars_frame(dtype: Any = polars.Int64) -> Any:
    return polars.DataFrame({"height": HEIGHT, "width": WIDTH}, schema_overrides={"width": dtype})


BATCHES: dict[str, tuple[Callable[[], Any], Any]] = {
    "pandas int64": (lambda: FRAME, np.float64),
    "pandas float32": (lambda: FRAME.astype("float32"), np.float32),
    "pandas Int64": (lambda: FRAME.astype("Int64"), np.float64),
    "pandas Float32": (lambda: FRAME.astype("Float32"), np.float32),
    "pandas, each of another type": (lambda: columns(height="Int8", width="float32"), np.float32),
    "pandas, of Arrow": (lambda: FRAME.convert_dtypes(dtype_backend="pyarrow"), np.float64),
    "pandas, whole numbers for names": (lambda: pandas.DataFrame(ROWS), np.float64),
    "polars": (polars_frame, np.float64),
    "polars, each of another type": (lambda: polars_frame(polars.Float32), np.float64),
    "Arrow table": (lambda: arrow.Table.from_pandas(FRAME), np.float64),
    "Arrow batch": (lambda: arrow.RecordBatch.from_pandas(FRAME), np.float64),
    "torch float32": (torch_rows, np.float32),
    "torch that requires grad": (lambda: torch_rows(requires_grad=True), np.float32),
    "torch within a graph": (lambda: torch_rows(requires_grad=True) * 1, np.float32),
    "torch parameter": (lambda: torch.nn.Parameter(torch_rows()), np.float32),
    "torch bfloat16": (lambda: torch_rows(torch.bfloat16, requires_grad=True), np.float32),
    "torch float8": (lambda: torch_rows(torch.float8_e4m3fn), np.float32),
    "torch, negated lazily": (lambda: (torch_rows() * -1j).conj().imag, np.float32),
    "torch sparse": (lambda: torch_rows().to_sparse(), np.float32),
    "torch, rows that require grad": (
        lambda: [torch_rows(requires_grad=True)[row] for row in range(4)],
        np.float32,
    ),
    "__array__": (lambda: OnlyArray(ROWS.astype(np.float32)), np.float32),
    "__dlpack__": (lambda: OnlyDlpack(ROWS.astype(np.float32)), np.float32),
    "__dlpack__ of torch": (lambda: OnlyDlpack(torch_rows(torch.float64)), np.float64),
    "__arrow_c_stream__": (lambda: OnlyArrowStream(polars_frame()), np.float64),
}


@pytest.mark.parametrize("name", BATCHES)
def test_a_batch_of_any_library_is_trained_on(name: str, tmp_path: Path) -> None:
    make, dtype = BATCHES[name]
    kmeans = KMeansClustering(
        1, str(tmp_path), initial_clusters=np.zeros((1, 2)), use_mini_batch=False
    )
    centers = kmeans.train(lambda: (batch for batch in [make()])).cluster_centers()
    assert centers.tolist() == [MEAN]
    assert centers.dtype == dtype
    assert list(kmeans.predict_cluster_index(lambda: limit_epochs(make()))) == [0, 0, 0, 0]
    fed = numpy_input_fn(make(), batch_size=2, shuffle=False)
    assert [batch.features.shape for batch in open_stream(fed)] == [(2, 2), (2, 2)]


TABLES = [name for name in BATCHES if name.startswith(("pandas", "polars", "Arrow", "__arrow"))]


@pytest.mark.parametrize("name", [name for name in TABLES if not name.endswith("names")])
def test_the_names_of_a_table_stay(name: str) -> None:
    make, _ = BATCHES[name]
    for input_fn in (lambda: iter([make()]), lambda: limit_epochs(make())):
        with open_stream(input_fn) as batches:
            assert next(batches).names == ("height", "width")


MISSING: dict[str, Callable[[], Any]] = {
    "pandas Int64": lambda: pandas.DataFrame({"a": pandas.array([1, None, 3], dtype="Int64")}),
    "pandas boolean": lambda: pandas.DataFrame({"a": pandas.array([True, None], dtype="boolean")}),
    "pandas, of Arrow": lambda: pandas.DataFrame({"a": [1.0, None]}, dtype="double[pyarrow]"),
    "polars Int64": lambda: polars.DataFrame({"a": [1, None, 3], "b": [1, 2, 3]}),
    "polars Boolean": lambda: polars.DataFrame({"a": [True, None], "b": [1, 2]}),
    "polars Boolean alone": lambda: polars.DataFrame({"a": [True, None]}),
    "Arrow": lambda: arrow.table({"a": [1, None]}),
}


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_number_of_a_nullable_type_is_nan(name: str) -> None:
    with open_stream(lambda: iter([MISSING[name]()])) as batches:
        features = next(batches).features
    assert np.isnan(features[:, 0]).tolist() == [False, True, False][: len(features)]


@pytest.mark.parametrize("in_dict", [False, True])
@pytest.mark.parametrize("source", ["table", "batch", "file", "stream"])
def test_numbers_that_arrow_encodes_by_a_dictionary_are_read(
    source: str, in_dict: bool, tmp_path: Path
) -> None:
    numbers = [1.5, 2.5, 1.5, None]
    table = arrow.table({"a": arrow.array(numbers).dictionary_encode(), "b": [1, 2, 3, 4]})
    expected = np.array([[1.5, 1], [2.5, 2], [1.5, 3], [np.nan, 4]])
    if in_dict:
        parts = {"a": table["a"], "b": table["b"]}
        if source in ("batch", "stream"):
            parts = {name: part.combine_chunks() for name, part in parts.items()}
        with open_stream(lambda: iter([parts])) as batches:
            found = np.column_stack([*next(batches).features.values()])
    elif source in ("table", "batch"):
        value = table if source == "table" else table.to_batches()[0]
        with open_stream(lambda: iter([value])) as batches:
            found = next(batches).features
    else:
        ipc = pytest.importorskip("pyarrow.ipc")
        write = ipc.new_file if source == "file" else ipc.new_stream
        with write(tmp_path / "t.arrow", table.schema) as writer:
            writer.write_table(table)
        (found,) = inputs.table_input_fn(tmp_path / "t.arrow")()
    np.testing.assert_array_equal(found, expected)


def test_what_pandas_calls_a_category_is_a_name_in_every_input() -> None:
    frame = pandas.DataFrame({"kind": pandas.Categorical([5, 7]), "b": [1, 2]})
    with pytest.raises(TypeError, match=r"\['kind'\] must hold numbers.*columns=\['b'\]"):
        inputs.table_input_fn(frame)
    (found,) = inputs.table_input_fn(frame, columns=["b"])()
    assert found.tolist() == [[1], [2]]


TEXT = ["x", "y", "x"]
CATEGORIES = pandas.Categorical(TEXT)
REFUSED: dict[str, Callable[[], Any]] = {
    "pandas text": lambda: pandas.DataFrame({"a": [1, 2, 3], "kind": TEXT}),
    "pandas string": lambda: pandas.DataFrame({"kind": pandas.array(TEXT, dtype="string")}),
    "pandas categories": lambda: pandas.DataFrame({"a": [1, 2, 3], "kind": CATEGORIES}),
    "pandas categories of numbers": lambda: pandas.DataFrame({"kind": pandas.Categorical([5, 7])}),
    "pandas times": lambda: pandas.DataFrame({"kind": pandas.to_datetime(["2020-01-01"])}),
    "pandas spans": lambda: pandas.DataFrame({"a": [1], "kind": pandas.to_timedelta([1])}),
    "pandas objects": lambda: pandas.DataFrame({"a": [1, 2], "kind": [1, object()]}),
    "a dict of pandas categories": lambda: {"a": [1, 2, 3], "kind": pandas.Series(CATEGORIES)},
    "polars text": lambda: polars.DataFrame({"a": [1, 2, 3], "kind": TEXT}),
    "polars categories": lambda: polars.DataFrame(
        {"kind": polars.Series(TEXT, dtype=polars.Categorical)}
    ),
    "polars dates": lambda: polars.DataFrame({"a": [1.0], "kind": ["2020-01-01"]}).with_columns(
        polars.col("kind").str.to_date()
    ),
    "Arrow text": lambda: arrow.table({"a": [1, 2, 3], "kind": TEXT}),
    "Arrow categories": lambda: arrow.table({"kind": arrow.array(TEXT).dictionary_encode()}),
    "__arrow_c_stream__ of text": lambda: OnlyArrowStream(arrow.table({"kind": TEXT})),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_column_that_is_not_numbers_is_refused_by_name(name: str, tmp_path: Path) -> None:
    kmeans = KMeansClustering(1, str(tmp_path))
    with pytest.raises(TypeError, match=r"'kind'.* must hold numbers|must hold numbers.*'kind'"):
        kmeans.train(lambda: iter([REFUSED[name]()]))
    assert not list(tmp_path.iterdir())


def test_labels_of_categories_are_no_mistake(tmp_path: Path) -> None:
    labels = pandas.Series(["x", "y", "x", "x"]).astype("category")
    kmeans = KMeansClustering(1, str(tmp_path), use_mini_batch=False)
    centers = kmeans.train(lambda: iter([(FRAME, labels)])).cluster_centers()
    assert centers.tolist() == [MEAN]


def test_what_cannot_be_read_by_dlpack_says_so() -> None:
    class Elsewhere(OnlyDlpack):
        def __dlpack__(self, **more: Any) -> Any:
            raise BufferError("it is on another device")

    with (
        pytest.raises(TypeError, match=r"cannot be read by DLPack \(it is on another device\)"),
        open_stream(lambda: iter([Elsewhere(ROWS)])) as batches,
    ):
        next(batches)
