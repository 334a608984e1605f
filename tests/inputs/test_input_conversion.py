"""From what users hand over to arrays, compressed sparse rows and dicts of them."""

from __future__ import annotations

import array
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from numpy.typing import NDArray

import centroids
from centroids.inputs import SparseTensorValue
from centroids.inputs.convert import convert_batch, convert_features, convert_labels
from centroids.rows import num_rows

pa: Any = pytest.importorskip("pyarrow")

MATRIX = np.array([[0, 2, 0], [1, 0, 3]], np.float32)


class FakeTorchTensor:
    """What we use of torch.Tensor."""

    def __init__(self, array: NDArray[Any], dtype: str = "torch.float32", grad: bool = True):
        self.array, self.dtype, self.grad, self.layout = array, dtype, grad, "torch.strided"

    def detach(self) -> FakeTorchTensor:
        return FakeTorchTensor(self.array, self.dtype, grad=False)

    def cpu(self) -> FakeTorchTensor:
        return self

    resolve_conj = resolve_neg = cpu

    def float(self) -> FakeTorchTensor:
        return FakeTorchTensor(self.array.astype(np.float32), grad=self.grad)

    def numpy(self) -> NDArray[Any]:
        if self.grad or self.dtype == "torch.bfloat16":
            raise RuntimeError("can't be converted")
        return self.array

    def __array__(self, *_: Any) -> NDArray[Any]:
        raise AssertionError("not the way to convert a tensor")


class FakeSparseTorchTensor(FakeTorchTensor):
    """A sparse one, not coalesced."""

    def __init__(self, is_sparse: bool) -> None:
        super().__init__(np.empty(0))
        self.layout = "torch.sparse_coo" if is_sparse else "torch.sparse_csr"
        self.is_sparse, self.shape = is_sparse, (2, 3)

    def detach(self) -> FakeSparseTorchTensor:
        return self

    def to_sparse(self) -> FakeSparseTorchTensor:
        return FakeSparseTorchTensor(is_sparse=True)

    def coalesce(self) -> FakeSparseTorchTensor:
        assert self.is_sparse
        return self

    def indices(self) -> FakeTorchTensor:
        return FakeTorchTensor(np.array([[0, 1, 1], [1, 0, 2]]), grad=False)

    def values(self) -> FakeTorchTensor:
        return FakeTorchTensor(np.array([2.0, 1.0, 3.0], np.float32), grad=False)


class FakeEagerTensor:
    """What we use of TensorFlow's EagerTensor."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array

    def __array__(self, *_: Any, **__: Any) -> NDArray[Any]:
        return self.array


class FakeSparseTensor:
    """What we use of TensorFlow's SparseTensor."""

    indices = property(lambda self: FakeEagerTensor(np.array([[1, 2], [0, 1], [1, 0]])))
    values = property(lambda self: FakeEagerTensor(np.array([3, 2, 1], np.float32)))
    dense_shape = property(lambda self: FakeEagerTensor(np.array([2, 3])))


class FakeDataFrame:
    """What we use of the data frames of pandas and polars."""

    def __init__(self, **columns: Any) -> None:
        self.data = columns
        self.column_labels = list(columns)

    @property
    def columns(self) -> list[str]:
        return self.column_labels

    def to_numpy(self) -> NDArray[Any]:
        arrays = [column.to_numpy() for column in self.data.values()]
        return np.stack(arrays, axis=1)

    def __getitem__(self, label: str) -> Any:
        return self.data[label]


class FakeSeries:
    """What we use of pandas.Series, with its nullable types."""

    def __init__(self, values: list[Any], kind: str = "") -> None:
        self.values_list, self.nullable = values, kind
        self.dtype = SimpleNamespace(kind=kind) if kind else np.asarray(values).dtype

    def to_numpy(self, dtype: Any = None, na_value: Any = None) -> NDArray[Any]:
        if dtype is not None:
            return np.array([na_value if v is None else v for v in self.values_list], dtype)
        return np.array(self.values_list, object if self.nullable else None)


@pytest.mark.parametrize(
    "value",
    [
        MATRIX,
        MATRIX.tolist(),
        tuple(map(tuple, MATRIX.tolist())),
        list(MATRIX),
        FakeTorchTensor(MATRIX),
        FakeTorchTensor(MATRIX, "torch.bfloat16"),
        FakeEagerTensor(MATRIX),
        memoryview(MATRIX),
        memoryview(np.asfortranarray(MATRIX)),
        np.ma.masked_array(MATRIX),
        pa.table({"a": MATRIX[:, 0], "b": MATRIX[:, 1], "c": MATRIX[:, 2]}),
        pa.RecordBatch.from_pydict({"a": MATRIX[:, 0], "bc": MATRIX[:, 1:].tolist()}),
        pa.table({"v": pa.FixedSizeListArray.from_arrays(MATRIX.ravel(), 3)}),
        FakeDataFrame(a=FakeSeries([0.0, 1.0]), b=FakeSeries([2, 0], "i"), c=FakeSeries([0, 3])),
    ],
)
def test_dense(value: Any) -> None:
    converted = convert_features(value)
    assert type(converted) is np.ndarray
    np.testing.assert_array_equal(converted, MATRIX)


def test_buffers_of_numbers_are_one_batch() -> None:
    numbers = array.array("d", [1.0, 2.5])
    for value in (numbers, memoryview(numbers)):
        assert convert_features(value).tolist() == [1.0, 2.5]
    assert convert_features([numbers, numbers]).tolist() == [[1.0, 2.5]] * 2
    kmeans = centroids.KMeansClustering(2, initial_clusters=MATRIX[:, :2])
    kmeans.train(lambda: memoryview(MATRIX[:, :2]), steps=1)
    np.testing.assert_array_equal(kmeans.cluster_centers(), MATRIX[:, :2])
    kmeans = centroids.KMeansClustering(2, initial_clusters=[[1.0], [2.5]])
    kmeans.train(lambda: numbers, steps=1)
    assert kmeans.cluster_centers().tolist() == [[1.0], [2.5]]
    with pytest.raises(TypeError, match=r"features must hold numbers, got elements of type \|S1"):
        convert_features(memoryview(b"ab").cast("c"))


@pytest.mark.parametrize("layout", ["bsr", "coo", "csc", "csr", "dia", "dok", "lil"])
@pytest.mark.parametrize("kind", ["array", "matrix"])
def test_scipy(layout: str, kind: str) -> None:
    value = getattr(scipy.sparse, f"{layout}_{kind}")(MATRIX)
    converted: Any = convert_features(value)
    assert converted.format == "csr"
    np.testing.assert_array_equal(converted.toarray(), MATRIX)


@pytest.mark.parametrize(
    "value",
    [
        SparseTensorValue([[1, 2], [0, 1], [1, 0]], np.array([3, 2, 1], np.float32), (2, 3)),
        SparseTensorValue([[1, 2], [0, 1], [1, 0], [1, 2]], [1.0, 2.0, 1.0, 2.0], [2, 3]),
        FakeSparseTensor(),
        FakeSparseTorchTensor(is_sparse=True),
        FakeSparseTorchTensor(is_sparse=False),
    ],
)
def test_coordinates(value: Any) -> None:
    converted: Any = convert_features(value)
    assert converted.format == "csr"
    np.testing.assert_array_equal(converted.toarray(), MATRIX)


def test_sparse_corners() -> None:
    empty: Any = convert_features(SparseTensorValue([], [], (2, 3)))
    assert empty.shape == (2, 3)
    vector: Any = convert_features(SparseTensorValue([[2]], [5.0], (3,)))
    assert vector.toarray().tolist() == [[0.0], [0.0], [5.0]]
    line: Any = convert_features(scipy.sparse.coo_array(np.array([0.0, 4.0])))
    assert line.toarray().tolist() == [[0.0], [4.0]]
    features, labels = convert_batch(SparseTensorValue([[0, 0]], [1.0], (1, 1)))
    assert (num_rows(features), labels) == (1, None)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (([[0, 0], [2, 0]], [1.0, 2.0], (2, 3)), r"indices\[1\] is \[2, 0\].*dense_shape \[2, 3\]"),
        (([[0, 0], [0, -1]], [1.0, 2.0], (2, 3)), r"indices\[1\] is \[0, -1\], which is outside"),
        (([[0, 0]], [1.0, 2.0], (2, 3)), r"one value for each of the 1 rows .* shape \(2,\)"),
        (([0, 1], [1.0, 2.0], (2, 3)), r"integers of shape \[m, 2\].*got shape \(2,\)"),
        (([[0.5, 1.0]], [1.0], (2, 3)), r"integers of shape \[m, 2\].*type float64"),
        (([[0, 0, 0]], [1.0], (2, 3, 4)), r"dense_shape must be \[n, d\] or \[n\], got \[2, 3, 4"),
    ],
)
def test_bad_coordinates(parts: tuple[Any, Any, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        convert_features(SparseTensorValue(*parts))


def test_dict() -> None:
    converted = convert_features({"b": [1, 2], "a": FakeTorchTensor(MATRIX), "c": MATRIX})
    assert isinstance(converted, dict)
    assert {name: column.shape for name, column in converted.items()} == {
        "b": (2,),
        "a": (2, 3),
        "c": (2, 3),
    }
    assert converted["c"] is MATRIX


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.float16, np.longdouble, complex])
def test_element_types_are_kept(dtype: Any) -> None:
    array = np.ones((2, 2), dtype)
    assert convert_features(array) is array


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["a", "b"], r"features must hold numbers, got elements of type <U1 such as .*'a'"),
        (np.array([b"a"]), r"elements of type \|S1"),
        (np.array([1.5, None]), r"elements of type object such as 1.5 \(float\)"),
        ([{"a": 1}], r"elements of type object such as {'a': 1} \(dict\)"),
        ("text", r"features must be an array.*got 'text' \(str\)"),
        ({"a": "text"}, r"features\['a'\] must be an array.*got 'text' \(str\)"),
        ({"a": np.array(["x"])}, r"features\['a'\] must hold numbers"),
        ({1: MATRIX}, r"the keys of features must be strings, got 1"),
        ({"a": {"b": MATRIX}}, r"features\['a'\] must be an array"),
        (None, r"got None \(NoneType\)"),
        (np.zeros(2, [("x", "f4"), ("y", "f4")]), r"the fields \('x', 'y'\); return a dict"),
        (pa.table({"word": ["a"]}), r"features\['word'\] must hold numbers .* got string"),
        (
            FakeDataFrame(a=FakeSeries([1.0]), word=FakeSeries(["of"])),
            r"column 'word' holds .*'of'|elements of type <U",
        ),
    ],
)
def test_not_numbers(value: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        convert_features(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1.5, r"features must have the shape \[n, d\] or \[n\], got the single value 1.5"),
        (np.float32(2), r"got the single value"),
        ({}, r"features is an empty dict"),
        ([[1, 2], [3]], r"row 0 has 2 elements, row 1 has 1"),
        (np.ma.masked_equal(MATRIX, 2), r"1 masked elements; replace them with .filled"),
        (pa.table({"v": [[1.0, 2.0], [3.0]]}), r"row 0 has 2 elements, row 1 has 1"),
        (pa.table({"v": [[1.0, 2.0], None]}), r"features\['v'\] has no list in row 1"),
        (pa.table({}), r"table without columns"),
    ],
)
def test_wrong_shapes(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        convert_features(value)


def test_data_frame_with_objects() -> None:
    frame = FakeDataFrame(a=FakeSeries([1, None], "i"), b=FakeSeries([2.0, 3.0]))
    np.testing.assert_array_equal(convert_features(frame), [[1, 2], [np.nan, 3]])
    frame = FakeDataFrame(a=FakeSeries([1, 2], "i"), word=FakeSeries(["of", "to"], "O"))
    with pytest.raises(TypeError, match=r"column 'word' holds 'of' \(str\); leave it out"):
        convert_features(frame)
    day = FakeSeries([np.datetime64("2017-11-02"), None], "M")
    with pytest.raises(TypeError, match=r"column 'day' holds .*2017"):
        convert_features(FakeDataFrame(a=FakeSeries([1, 2], "i"), day=day))


def test_arrow_chunks_and_missing_numbers() -> None:
    column = pa.chunked_array([[[1, 2]], [], [[3, 4], [5, 6]]], pa.list_(pa.int32()))
    table = pa.table({"v": column, "x": pa.array([1.0, None, 3.0])})
    expected = [[1, 2, 1], [3, 4, np.nan], [5, 6, 3]]
    np.testing.assert_array_equal(convert_features(table), expected)
    np.testing.assert_array_equal(convert_features(table.slice(1)), expected[1:])
    assert num_rows(convert_features(table.slice(3))) == 0
    uneven = pa.chunked_array([[[1, 2]], [[3]]], pa.list_(pa.int32()))
    with pytest.raises(ValueError, match=r"equal lengths, got \[1, 2\]"):
        convert_features(pa.table({"v": uneven}))


def test_labels() -> None:
    assert convert_labels(None) is None
    assert convert_labels(["a", "b"]).tolist() == ["a", "b"]
    assert convert_labels({"y": [1, 2]})["y"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("raw", "labels"),
    [
        ((MATRIX, [0, 1]), [0, 1]),
        ((MATRIX.tolist(), ["a", "b"]), ["a", "b"]),
        ([MATRIX, np.array([0, 1])], [0, 1]),
        ([MATRIX.tolist(), [0, 1]], [0, 1]),
        ([FakeTorchTensor(MATRIX), FakeTorchTensor(np.array([0, 1]))], [0, 1]),
        ([FakeTorchTensor(MATRIX[:, 0]), FakeTorchTensor(np.array([0, 1]))], [0, 1]),
        ([{"a": MATRIX}, [0, 1]], [0, 1]),
        ((MATRIX, None), None),
        ((MATRIX,), None),
        ([MATRIX], None),
        ([FakeTorchTensor(MATRIX)], None),
        ([[1, 2], [3, 4]], None),
        ([np.array([1, 2]), np.array([3, 4])], None),
        (MATRIX, None),
    ],
)
def test_pairs(raw: Any, labels: Any) -> None:
    features, converted = convert_batch(raw)
    assert num_rows(features) == 2
    assert (None if converted is None else converted.tolist()) == labels


def test_wrong_number_of_parts() -> None:
    with pytest.raises(TypeError, match=r"features or \(features, labels\), got a list of 3 items"):
        convert_batch([MATRIX, MATRIX, MATRIX])
