"""pandas_input_fn: what TensorFlow's gave, and what it refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import centroids
from centroids.inputs import numpy_input_fn, pandas_input_fn

pd: Any = pytest.importorskip("pandas")

X = pd.DataFrame({"b": [1.5, 2.5, 3.5, 4.5, 5.5], "a": [1, 2, 3, 4, 5]}, index=[3, 5, 7, 9, 11])
Y = pd.Series([0, 1, 0, 1, 1], index=X.index)


def listed(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(listed, value))
    if isinstance(value, dict):
        return {key: part.tolist() for key, part in value.items()}
    return value.tolist()


def test_batches_are_those_of_tensorflow() -> None:
    """The expected values were printed by TensorFlow 1.15.5 for the same calls."""
    assert [listed(batch) for batch in pandas_input_fn(X, batch_size=2, shuffle=False)()] == [
        {"b": [1.5, 2.5], "a": [1, 2]},
        {"b": [3.5, 4.5], "a": [3, 4]},
        {"b": [5.5], "a": [5]},
    ]
    assert [listed(batch) for batch in pandas_input_fn(X, Y, 5, shuffle=False)()] == [
        ({"b": [1.5, 2.5, 3.5, 4.5, 5.5], "a": [1, 2, 3, 4, 5]}, [0, 1, 0, 1, 1])
    ]
    several = pd.DataFrame({"t": Y, "a": Y + 8})
    assert [listed(batch)[1] for batch in pandas_input_fn(X, several, 5, shuffle=False)()] == [
        {"t": [0, 1, 0, 1, 1], "a": [8, 9, 8, 9, 9]}
    ]
    with pytest.raises(ValueError, match="shuffle must be True or False; got 1"):
        pandas_input_fn(X, shuffle=1)
    (batch,) = pandas_input_fn(X, None, 128, 1, False, None, 1, "a")()  # by place, as in r1.4
    assert listed(batch) == {"b": [1.5, 2.5, 3.5, 4.5, 5.5], "a": [1, 2, 3, 4, 5]}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": X}, ValueError, r"shuffle must be explicitly set as boolean \(True or False\)"),
        (
            {"x": X, "y": Y.reset_index(drop=True)},
            ValueError,
            r"equal indices; .*\[3, 5.*\[0, 1",
        ),
        ({"x": X, "y": Y, "target_column": "a"}, ValueError, r"x has a column called 'a'"),
        ({"x": X, "target_column": 3}, TypeError, r"target_column must be a string, got 3"),
        ({"x": X.to_numpy()}, TypeError, r"x must be a pandas DataFrame, got a numpy.ndarray"),
        ({"x": X, "y": [0] * 5}, TypeError, r"y must be a pandas Series or DataFrame, got list"),
        ({"x": X.assign(c="x")}, TypeError, r"x\['c'\] must hold numbers"),
        ({"x": X.rename(columns={"a": 0})}, TypeError, r"keys of x must be strings, got 0"),
    ],
)
def test_what_is_refused(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        pandas_input_fn(**({} if "explicitly" in message else {"shuffle": False}), **arguments)


def test_columns_without_names_keep_their_order() -> None:
    table = pd.DataFrame(np.arange(24.0).reshape(2, 12))
    initial = np.zeros((1, 12))
    model = centroids.KMeansClustering(1, initial_clusters=initial, use_mini_batch=False)
    centers = model.train(pandas_input_fn(table, shuffle=False)).cluster_centers()
    assert centers.tolist() == [table.mean().tolist()]


def test_missing_numbers_of_pandas_own_types() -> None:
    table = pd.DataFrame({"a": pd.array([1, None, 3], "Int64"), "b": [1.0, 2.0, 3.0]})
    (batch,) = pandas_input_fn(table, shuffle=False)()
    np.testing.assert_array_equal(batch["a"], [1, np.nan, 3])
    (batch,) = pandas_input_fn(table, shuffle=False, bad_rows="drop")()
    assert listed(batch) == {"a": [1, 3], "b": [1, 3]}


def test_training_joins_the_columns_in_the_order_of_their_names() -> None:
    initial = np.array([[1.0, 1.5], [5.0, 5.5]])
    train = centroids.KMeansClustering(2, initial_clusters=initial, use_mini_batch=False).train
    centers = train(pandas_input_fn(X, Y, 5, 3, False)).cluster_centers()
    np.testing.assert_allclose(centers, [[2.0, 2.5], [4.5, 5.0]])
    shuffled = pandas_input_fn(X, batch_size=3, num_epochs=2, shuffle=True, seed=7)()
    other = numpy_input_fn(X.to_numpy(), None, 3, 2, True, seed=7)()
    for got, want in zip(shuffled, other, strict=True):
        np.testing.assert_array_equal(np.column_stack([got["b"], got["a"]]), want)
