"""Points in dask collections: equal to the bit to those of one process."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import centroids

pytest.importorskip("dask.array")
pytestmark = pytest.mark.timeout(120)


def array(points: Any, split: tuple[int, ...]) -> Any:
    import dask.array

    return dask.array.from_array(points, chunks=(split, (points.shape[1],)))


def train(points: Any, steps: int = 4, **arguments: Any) -> centroids.KMeansClustering:
    arguments = {"initial_clusters": np.eye(7, 4) * 1000 + 1000, **arguments}
    kmeans = centroids.KMeansClustering(7, use_mini_batch=False, **arguments)
    return kmeans.train(lambda: points, steps=steps)


def assert_equal(one: centroids.KMeansClustering, other: centroids.KMeansClustering) -> None:
    names = sorted(one.get_variable_names())
    assert names == sorted(other.get_variable_names())
    for name in names:
        np.testing.assert_array_equal(
            one.get_variable_value(name), other.get_variable_value(name), name, strict=True
        )


@pytest.mark.parametrize("metric", ["squared_euclidean", "cosine"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_full_batches(
    client: Any, points: NDArray[Any], split: tuple[int, ...], metric: str, dtype: str
) -> None:
    points = (points % 30_000).astype(dtype)
    alone = train(points, distance_metric=metric)
    assert_equal(alone, train(array(points, split), distance_metric=metric))
