"""What `initial_clusters` may be, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.sparse

from centroids import KMeansClustering
from centroids.clustering import TooFewPointsError
from centroids.inputs import limit_epochs, numpy_input_fn

MODES: dict[str, dict[str, Any]] = {
    "full": {"use_mini_batch": False},
    "mini": {},
    "multi": {"mini_batch_steps_per_iteration": 3},
}

# Rows of very different lengths; TensorFlow 1.15.5 was trained on them with the given centers.
POINTS = np.array(
    [
        [1, 2, 3],
        [40, 1, 0],
        [0, 5, 50],
        [-2, 1, 1],
        [300, 200, 10],
        [1, -1, 0.5],
        [7, 7, 7],
        [0.01, 0.02, 0.5],
    ],
    np.float32,
)
GIVEN = np.array([[100, 0, 0], [0, 1, 20], [-3, 0.5, 0.25]], np.float32)
FULL = [
    [0.989126, -0.0345222, 0.1429621],
    [0.2336593, 0.3381786, 0.9116132],
    [-0.8164966, 0.4082483, 0.4082483],
]
# Of mini-batches the first step alone: from the second on, and with the counts of some first ones,
# TensorFlow's result depends on which of its threads comes first.
FROM_TENSORFLOW = [
    ("full", 1, FULL),
    ("full", 7, FULL),
    (
        "mini",
        1,
        [
            [0.8745212, -0.0217969, 0.0902644],
            [0.1729183, 0.2602548, 0.874385],
            [-0.8997875, 0.2860473, 0.2450857],
        ],
    ),
    (
        "multi",
        1,
        [[1, 0, 0], [0, 0.0499376, 0.9987524], [-0.9830784, 0.1638464, 0.0819232]],
    ),
]


@pytest.mark.parametrize(("mode", "steps", "expected"), FROM_TENSORFLOW)
@pytest.mark.parametrize("kind", ["array", "callable"])
def test_cosine_normalises_given_centers_as_tensorflow_does(
    kind: str, mode: str, steps: int, expected: Any
) -> None:
    given: Any = GIVEN if kind == "array" else lambda points, k: GIVEN
    model = KMeansClustering(
        3, initial_clusters=given, distance_metric="cosine", **MODES[mode]
    ).train(lambda: POINTS, steps=steps)
    np.testing.assert_allclose(model.cluster_centers(), expected, atol=2e-7)


def test_cosine_mini_batches_do_not_feel_the_length_of_given_centers() -> None:
    model = KMeansClustering(
        1, initial_clusters=np.array([[100.0, 0.0]], np.float32), distance_metric="cosine"
    ).train(lambda: iter([np.array([[0.0, 1.0]], np.float32)]))
    np.testing.assert_allclose(model.cluster_centers(), [[0.5, 0.5]])


@pytest.mark.parametrize("kind", ["array", "callable"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e17, 1e300])
def test_cosine_takes_given_centers_of_any_length(scale: float, mode: str, kind: str) -> None:
    wide = GIVEN.astype(np.float64)
    centers = []
    for given in (wide, wide * scale):
        initial: Any = given if kind == "array" else lambda points, k, given=given: given
        model = KMeansClustering(
            3, initial_clusters=initial, distance_metric="cosine", **MODES[mode]
        )
        centers.append(model.train(lambda: POINTS, steps=2).cluster_centers())
    np.testing.assert_allclose(centers[1], centers[0], rtol=1e-6)


@pytest.mark.parametrize("kind", ["array", "callable"])
def test_given_centers_that_overflow_the_type_of_the_points(kind: str) -> None:
    given = np.array([[0.0, 1.0], [2.0, 1e300]])
    initial: Any = given if kind == "array" else lambda points, k: given
    model = KMeansClustering(2, initial_clusters=initial)
    with pytest.raises(ValueError, match=r"1e\+300 at row 1, column 1, which overflows float32"):
        model.train(lambda: np.ones((4, 2), np.float32), steps=1)


class Coordinates(NamedTuple):
    """What TensorFlow calls SparseTensorValue."""

    indices: Any
    values: Any
    dense_shape: Any


def _torch(values: np.ndarray, dtype: str = "float32") -> Any:
    torch = pytest.importorskip("torch")
    return torch.tensor(values, dtype=getattr(torch, dtype))


def _pandas(values: np.ndarray, dtype: Any) -> Any:
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(values, columns=["b", "a"]).astype(dtype)


# Small whole numbers, which every type holds.
CENTERS = np.array([[1, 2], [0, 16], [-8, 4]])
FORMS: dict[str, Callable[[], Any]] = {
    "lists": lambda: CENTERS.tolist(),
    "tuples": lambda: tuple(map(tuple, CENTERS.tolist())),
    "float16": lambda: CENTERS.astype(np.float16),
    "read-only": lambda: np.broadcast_to(CENTERS, CENTERS.shape),
    "scipy": lambda: scipy.sparse.coo_matrix(CENTERS),
    "coordinates": lambda: Coordinates(
        np.argwhere(CENTERS), CENTERS[CENTERS != 0].astype(np.float32), np.array([3, 2])
    ),
    "masked": lambda: np.ma.masked_array(CENTERS),
    "torch": lambda: _torch(CENTERS),
    "torch, with gradients": lambda: _torch(CENTERS).requires_grad_(),
    "torch, bfloat16": lambda: _torch(CENTERS, "bfloat16"),
    "torch, sparse": lambda: _torch(CENTERS).to_sparse(),
    "pandas": lambda: _pandas(CENTERS, np.float64),
    "pandas, Int64": lambda: _pandas(CENTERS, "Int64"),
    "pandas, Float32": lambda: _pandas(CENTERS, "Float32"),
    "polars": lambda: pytest.importorskip("polars").DataFrame(CENTERS, schema=["b", "a"]),
    "pyarrow": lambda: pytest.importorskip("pyarrow").table(
        {"b": CENTERS[:, 0], "a": CENTERS[:, 1]}
    ),
}


@pytest.mark.parametrize("kind", ["array", "callable"])
@pytest.mark.parametrize("form", FORMS)
def test_centers_come_in_any_form_that_a_batch_has(form: str, kind: str) -> None:
    given = FORMS[form]()
    initial = given if kind == "array" else lambda points, k: given
    points = CENTERS.astype(np.float32)
    model = KMeansClustering(3, initial_clusters=initial, use_mini_batch=False)
    model.train(lambda: points, steps=1)
    np.testing.assert_array_equal(model.cluster_centers(), CENTERS)


def test_given_centers_are_copied() -> None:
    given = CENTERS.astype(np.float32)
    model = KMeansClustering(3, initial_clusters=given, use_mini_batch=False)
    given[:] = 99
    points = CENTERS.astype(np.float32)
    model.train(lambda: points, steps=1)
    np.testing.assert_array_equal(model.cluster_centers(), CENTERS)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"a": [1.0], "b": [2.0]}, "the centers must not be a dict: its columns have no order"),
        (object(), "the centers must be an array, a sparse matrix, a table, a tensor"),
        ([["1", "2"]], "the centers must hold numbers, got elements of type <U1 such as"),
        (3.0, r"the centers must have the shape \[n, d\] or \[n\], got the single value 3.0"),
        (np.zeros((2, 2, 2)), r"of shape \[k, d\]; got ndarray of shape \(2, 2, 2\)"),
        (np.zeros((0, 2)), r"of shape \[k, d\]; got ndarray of shape \(0, 2\)"),
        (Coordinates([[5, 0]], [1.0], (3, 2)), "outside dense_shape"),
    ],
)
def test_centers_that_cannot_be(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KMeansClustering(3, initial_clusters=given)


def test_missing_values_in_a_table_of_centers_are_located() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": [1, None], "b": [2, 3]}, dtype="Int64")
    with pytest.raises(ValueError, match="must be finite, got nan at row 1, column 0"):
        KMeansClustering(2, initial_clusters=table)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "from 0 to 3 rows of 2 columns, it returned None"),
        ("abc", r"initial_clusters\(\.\.\.\) must be an array"),
        ([["a", "b"]], r"initial_clusters\(\.\.\.\) must hold numbers"),
        ([[1.0, 2.0], [3.0]], r"the rows of initial_clusters\(\.\.\.\) must have equal lengths"),
        (
            np.zeros((4, 2)),
            r"from 0 to 3 rows of 2 columns, it returned an array of shape \(4, 2\)",
        ),
    ],
)
def test_what_a_callable_cannot_return(returned: Any, message: str) -> None:
    model = KMeansClustering(3, initial_clusters=lambda points, k: returned)
    with pytest.raises(ValueError, match=message):
        model.train(lambda: CENTERS, steps=1)


def test_what_a_callable_raises_comes_through() -> None:
    raised = TypeError("mine")

    def choose(points: Any, k: int) -> Any:
        raise raised

    with pytest.raises(TypeError) as caught:
        KMeansClustering(3, initial_clusters=choose).train(lambda: CENTERS, steps=1)
    assert caught.value is raised


MANY = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
SOURCES: dict[str, Callable[[], Any]] = {
    "shuffled epochs": numpy_input_fn(MANY, batch_size=64, num_epochs=5, shuffle=True),
    "endless epochs": numpy_input_fn(MANY, batch_size=64, num_epochs=None, shuffle=False),
    "one epoch": numpy_input_fn(MANY, batch_size=64, num_epochs=1, shuffle=False),
    "whole batches": lambda: limit_epochs(MANY, 5),
    "an array": lambda: MANY,
    "sparse": lambda: scipy.sparse.csr_array(MANY),
    "sparse, of integers": lambda: scipy.sparse.coo_matrix((MANY * 100).astype(int)),
    "a pair": lambda: (numpy_input_fn(MANY, batch_size=64, num_epochs=5, shuffle=True)(), None),
    "bad rows dropped": numpy_input_fn(
        np.vstack([MANY, np.full((50, 2), np.nan, np.float32)]),
        batch_size=64,
        num_epochs=5,
        shuffle=True,
        bad_rows="drop",
    ),
}


@pytest.mark.parametrize(
    "method", ["random", "kmeans_plus_plus", "kmeans_parallel", "kmeans_rejection"]
)
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("num_clusters", [301, 1000, 5000])
def test_more_clusters_than_points_is_refused_with_the_true_numbers(
    num_clusters: int, source: str, method: str
) -> None:
    model = KMeansClustering(num_clusters, initial_clusters=method)
    with pytest.raises(
        TooFewPointsError,
        match=f"num_clusters={num_clusters}, but the whole input has only 300 points; use fewer",
    ) as caught:
        model.train(SOURCES[source], steps=1)
    assert (caught.value.num_clusters, caught.value.num_points) == (num_clusters, 300)
    assert not caught.value.batches_too_small
    assert model.latest_checkpoint() is None


@pytest.mark.parametrize("source", SOURCES)
def test_as_many_clusters_as_points_are_all_of_them(source: str) -> None:
    model = KMeansClustering(300).train(SOURCES[source], steps=1)
    assert model.cluster_centers().shape == (300, 2)


def test_a_stream_may_have_its_points_in_any_number_of_batches() -> None:
    # Nothing says that these are passes over the same points, and they are not.
    batches = [MANY[:100], MANY[100:200], MANY[200:]]
    model = KMeansClustering(300).train(lambda: iter(batches), steps=3)
    assert len(np.unique(model.cluster_centers(), axis=0)) == 300


def test_a_callable_may_choose_over_several_epochs() -> None:
    shown = []

    def choose(points: np.ndarray, k: int) -> np.ndarray:
        shown.append(len(points))
        return points[len(shown) : len(shown) + 1]

    source = numpy_input_fn(MANY, batch_size=150, num_epochs=6, shuffle=True)
    KMeansClustering(9, initial_clusters=choose).train(source, steps=1)
    assert shown == [150] * 9


def test_plus_plus_with_batches_that_are_too_small_names_the_remedy() -> None:
    source = numpy_input_fn(MANY, batch_size=64, num_epochs=2, shuffle=True)
    model = KMeansClustering(200, initial_clusters="kmeans_plus_plus")
    with pytest.raises(
        TooFewPointsError, match="in the first batch, which has 64; use batches of at least 200 poi"
    ) as caught:
        model.train(source, steps=1)
    assert caught.value.batches_too_small
    assert (caught.value.num_clusters, caught.value.num_points) == (200, 64)
    model.train(numpy_input_fn(MANY, batch_size=200, num_epochs=2, shuffle=True), steps=1)


# Column w is first in the table and last in a batch, whose columns are sorted.
TABLE = {"w": [1.0, 2.0, 50.0, 51.0], "h": [100.0, 101.0, 7.0, 8.0]}


def _table(library: str, rows: list[int]) -> Any:
    module = pytest.importorskip(library)
    columns = {name: [values[row] for row in rows] for name, values in TABLE.items()}
    return module.table(columns) if library == "pyarrow" else module.DataFrame(columns)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
@pytest.mark.parametrize("kind", ["table", "callable"])
def test_columns_of_a_table_of_centers_are_matched_by_their_names(library: str, kind: str) -> None:
    given = _table(library, [0, 2])
    initial: Any = given if kind == "table" else lambda points, k: given
    features = {name: np.array(values) for name, values in TABLE.items()}
    model = KMeansClustering(2, initial_clusters=initial, use_mini_batch=False)
    model.train(numpy_input_fn(features, batch_size=4, num_epochs=1, shuffle=False))
    assert model.cluster_centers().tolist() == [[100.5, 1.5], [7.5, 50.5]]


def test_other_names_of_centers_are_refused() -> None:
    centers = _table("pandas", [0, 2]).rename(columns={"w": "width"})
    model = KMeansClustering(2, initial_clusters=centers, use_mini_batch=False)
    features = {name: np.array(values) for name, values in TABLE.items()}
    with pytest.raises(ValueError, match="columns 'width', 'h', but the points have 'h', 'w'"):
        model.train(numpy_input_fn(features, batch_size=4, num_epochs=1, shuffle=False))


@pytest.mark.parametrize("named", [False, True])
def test_positions_count_where_one_side_has_no_names(named: bool) -> None:
    pandas = pytest.importorskip("pandas")
    centers = pandas.DataFrame([[100.0, 1.0], [7.0, 50.0]], columns=["w", "h"] if named else [0, 1])
    points = np.array([TABLE["h"], TABLE["w"]]).T
    features = points if named else {name: np.array(values) for name, values in TABLE.items()}
    model = KMeansClustering(2, initial_clusters=centers, use_mini_batch=False)
    model.train(numpy_input_fn(features, batch_size=4, num_epochs=1, shuffle=False))
    assert model.cluster_centers().tolist() == [[100.5, 1.5], [7.5, 50.5]]
