"""Arrays as people have them, in the face and as a batch of the Estimator alike, weights too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

pytest.importorskip("sklearn")

from centroids import KMeansClustering
from centroids.sklearn import KMeans, MiniBatchKMeans, kmeans_plusplus

X = np.array([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]], np.float64)
WEIGHTS = np.array([1, 0, 3, 1, 1, 2], np.float64)
INIT = X[[0, 3]]


def exported(array: Any, method: str) -> Any:
    """An object that has no other method than the one of the protocol."""
    calls = {method: lambda _, *args, **options: getattr(array, method)(*args, **options)}
    if method == "__dlpack__":
        calls["__dlpack_device__"] = lambda _: array.__dlpack_device__()
    return type("Exported", (), calls)()


def of_torch(values: Any) -> Any:
    return pytest.importorskip("torch").tensor(values, requires_grad=True)


def columns(values: Any) -> dict[str, Any]:
    return {"a": values[:, 0], "b": values[:, 1]}


TABLES: dict[str, Any] = {
    "pandas": lambda x: pd.DataFrame(columns(x)),
    "pandas Float64": lambda x: pd.DataFrame(columns(x)).astype("Float64"),
    "pandas Int64": lambda x: pd.DataFrame(columns(x)).astype({"a": "Int64", "b": "Int8"}),
    "pandas of Arrow": lambda x: pd.DataFrame(columns(x)).astype("double[pyarrow]"),
    "pandas of objects": lambda x: pd.DataFrame(columns(x)).astype(object),
    "polars": lambda x: pl.DataFrame(columns(x)),
    "polars Int32": lambda x: pl.DataFrame(columns(x)).cast(pl.Int32),
    "pyarrow": lambda x: pa.table(columns(x)),
    "torch": of_torch,
    "__array__": lambda x: exported(x, "__array__"),
    "__dlpack__": lambda x: exported(x, "__dlpack__"),
    "__arrow_c_stream__": lambda x: exported(pa.table(columns(x)), "__arrow_c_stream__"),
}
SERIES: dict[str, Any] = {
    "list": list,
    "pandas": pd.Series,
    "pandas Float64": lambda w: pd.Series(w, dtype="Float64"),
    "pandas Int64": lambda w: pd.Series(w, dtype="Int64"),
    "pandas of Arrow": lambda w: pd.Series(w, dtype="double[pyarrow]"),
    "pandas of objects": lambda w: pd.Series(w, dtype=object),
    "polars": pl.Series,
    "polars Int16": lambda w: pl.Series(w).cast(pl.Int16),
    "pyarrow": pa.array,
    "torch": of_torch,
    "__array__": lambda w: exported(w, "__array__"),
    "__dlpack__": lambda w: exported(w, "__dlpack__"),
}


def estimated(tmp_path: Path, batch: Any, **options: Any) -> Any:
    model = KMeansClustering(
        2, tmp_path, initial_clusters=INIT, use_mini_batch=False, **options
    ).train(lambda: batch(), steps=3)
    return model.cluster_centers()


@pytest.mark.parametrize("kind", TABLES)
def test_points_of_every_kind(kind: str, tmp_path: Path) -> None:
    make = TABLES[kind]
    for model in (KMeans(2, init=INIT), MiniBatchKMeans(2, init=INIT, random_state=0)):
        expected = model.fit(X).cluster_centers_
        np.testing.assert_array_equal(model.fit(make(X)).cluster_centers_, expected)
        np.testing.assert_array_equal(model.predict(make(X)), [0, 0, 0, 1, 1, 1])
    centers, _ = kmeans_plusplus(make(X), 2, random_state=0)
    np.testing.assert_array_equal(centers, kmeans_plusplus(X, 2, random_state=0)[0])
    np.testing.assert_array_equal(estimated(tmp_path, lambda: make(X)), [[1, 2], [10, 2]])


@pytest.mark.parametrize("kind", SERIES)
def test_weights_of_every_kind(kind: str, tmp_path: Path) -> None:
    weights, expected = SERIES[kind], [[1, 0.5], [10, 1.5]]
    model = KMeans(2, init=INIT).fit(X, sample_weight=weights(WEIGHTS))
    np.testing.assert_array_equal(model.cluster_centers_, expected)
    np.testing.assert_array_equal(
        kmeans_plusplus(X, 2, sample_weight=weights(WEIGHTS), random_state=0)[1],
        kmeans_plusplus(X, 2, sample_weight=WEIGHTS, random_state=0)[1],
    )
    found = estimated(
        tmp_path, lambda: {"x": X, "weight": weights(WEIGHTS)}, weight_column="weight"
    )
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_categories_are_refused_by_name_everywhere(kind: str, tmp_path: Path) -> None:
    years = ["2020", "2021"] * 3
    if kind == "pandas":
        table: Any = pd.DataFrame({"a": X[:, 0], "year": pd.Categorical(years)})
    else:
        table = pl.DataFrame({"a": X[:, 0], "year": pl.Series(years).cast(pl.Categorical)})
    calls: list[Callable[[], Any]] = [
        lambda: KMeans(2).fit(table),
        lambda: MiniBatchKMeans(2).partial_fit(table),
        lambda: kmeans_plusplus(table, 2),
        lambda: estimated(tmp_path, lambda: table),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="year"):
            call()
    weights: Any = table["year"]
    with pytest.raises(TypeError, match="sample_weight"):
        KMeans(2).fit(X, sample_weight=weights)
    with pytest.raises(TypeError, match="weight"):
        estimated(tmp_path, lambda: {"x": X, "weight": weights}, weight_column="weight")
