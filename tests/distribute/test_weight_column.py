"""Weights in a column of a collection: equal to the bit to those of one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from centroids import KMeansClustering
from centroids.distribute import ParquetFolder
from centroids.inputs import limit_epochs

pandas = pytest.importorskip("pandas")
dataframes: Any = pytest.importorskip("dask.dataframe")
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def frame(points: NDArray[Any]) -> Any:
    table = pandas.DataFrame(points, columns=list("dcba"))
    weights = np.random.default_rng(0).exponential(size=len(points)).round(2)
    table.insert(1, "n", weights)
    return table


def make(**arguments: Any) -> KMeansClustering:
    given = {"use_mini_batch": False, "weight_column": "n", **arguments}
    return KMeansClustering(5, **given)


def assert_equal(one: KMeansClustering, other: KMeansClustering) -> None:
    for name in ("clusters", "cluster_counts"):
        np.testing.assert_array_equal(
            one.get_variable_value(name), other.get_variable_value(name), name, strict=True
        )


@pytest.mark.parametrize(
    "initial", ["random", "kmeans_plus_plus", "kmeans_parallel", "kmeans_rejection"]
)
@pytest.mark.parametrize("where", ["cluster", "here"])
def test_full_batches(frame: Any, initial: str, where: str, request: Any) -> None:
    if where == "cluster":
        request.getfixturevalue("client")
    spread = dataframes.from_pandas(frame, npartitions=3)
    alone = make(initial_clusters=initial).train(lambda: frame, steps=3)
    many = make(initial_clusters=initial).train(lambda: spread, steps=3)
    assert_equal(alone, many)
    once, again = alone.evaluate(lambda: frame, steps=1), many.evaluate(lambda: spread, steps=1)
    assert once == again
    assert many.evaluate(lambda: limit_epochs(spread)) == once
    labels = list(many.predict_cluster_index(lambda: limit_epochs(frame)))
    for input_fn in (lambda: limit_epochs(spread), lambda: iter([spread])):
        assert list(many.predict_cluster_index(input_fn)) == labels
    lazily = many.predict_cluster_index(lambda: spread).collection
    assert lazily.compute().tolist() == labels


def test_mini_batches(frame: Any) -> None:
    parts = [frame[:300], frame[300:]]
    arguments = {"use_mini_batch": True, "initial_clusters": "random"}
    alone = make(**arguments).train(lambda: iter(parts))
    spread = [dataframes.from_pandas(part, npartitions=2) for part in parts]
    assert_equal(alone, make(**arguments).train(lambda: iter(spread)))


def test_parquet_files_that_are_read_in_each_step(frame: Any, tmp_path: Path) -> None:
    for number in range(2):
        frame[number * 500 : number * 500 + 500].to_parquet(tmp_path / f"{number}.parquet")
    start = frame.drop(columns="n").to_numpy()[:5]
    alone = make(initial_clusters=start).train(lambda: frame, steps=2)
    streamed = make(initial_clusters=start).train(lambda: ParquetFolder(tmp_path), steps=2)
    assert_equal(alone, streamed)


def test_a_bad_weight_names_its_partition(frame: Any) -> None:
    frame.loc[700, "n"] = -3.0
    spread = dataframes.from_pandas(frame, npartitions=2)
    message = r"partition 1: the weights in 'n' must be finite and at least 0, got -3.0 in row 200"
    with pytest.raises(ValueError, match=message):
        make().train(lambda: spread, steps=1)


def test_a_collection_without_names_has_no_weights(points: NDArray[Any]) -> None:
    arrays: Any = pytest.importorskip("dask.array")
    with pytest.raises(ValueError, match="weight_column is 'n', but the batch has no names"):
        make().train(lambda: arrays.from_array(points), steps=1)
