"""Weights in a column of a Ray Dataset: equal to the bit to those of one process. Slow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from centroids import KMeansClustering
from centroids.inputs import limit_epochs
from tests.distribute.test_weight_column import assert_equal, make

pandas = pytest.importorskip("pandas")
pytest.importorskip("ray.data")

from tests.distribute.test_ray import TWO, ray_cluster  # noqa: E402 - where Ray is, only

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of Ray, which has many
]

__all__ = ["ray_cluster"]  # a fixture of all tests here


@pytest.fixture
def frame(points: NDArray[Any]) -> Any:
    table = pandas.DataFrame(points, columns=list("dcba"))
    table.insert(1, "n", np.random.default_rng(0).exponential(size=len(points)).round(2))
    return table


def spread_out(frame: Any) -> Any:
    import ray.data

    return ray.data.from_pandas([frame[:300], frame[300:310], frame[310:]])


@pytest.mark.parametrize(
    "initial", ["random", "kmeans_plus_plus", "kmeans_parallel", "kmeans_rejection"]
)
def test_train_evaluate_and_predict(frame: Any, initial: Any) -> None:
    spread = spread_out(frame)
    alone = make(initial_clusters=initial).train(lambda: frame, steps=3)
    many = make(initial_clusters=initial, config=TWO).train(lambda: spread, steps=3)
    assert_equal(alone, many)
    assert alone.evaluate(lambda: frame, steps=1) == many.evaluate(lambda: spread, steps=1)
    assert alone.score(lambda: frame) == many.score(lambda: spread)
    labels = list(many.predict_cluster_index(lambda: limit_epochs(frame)))
    assert list(many.predict_cluster_index(lambda: limit_epochs(spread))) == labels
    lazily = many.predict_cluster_index(lambda: spread).collection
    assert [row["cluster_index"] for row in lazily.take_all()] == labels


def test_weights_beside_a_column_of_vectors(points: NDArray[Any]) -> None:
    import ray.data

    weights = np.arange(1000.0) % 7

    def dataset(points: NDArray[Any]) -> Any:
        rows = zip(points, weights, strict=True)
        return ray.data.from_items([{"x": x, "n": n} for x, n in rows])

    def fit(batch: Any) -> KMeansClustering:
        return make(initial_clusters=points[:5]).train(lambda: batch, steps=3)

    assert_equal(fit({"x": points, "n": weights}), fit(dataset(points)))
    bad = points.copy()
    bad[610, 3] = np.nan
    with pytest.raises(ValueError, match=r"nan in partition \d+, row .*610 of all\), column 3;"):
        fit(dataset(bad))


def test_a_bad_weight_names_its_partition(frame: Any) -> None:
    frame.loc[305, "n"] = -3.0
    message = r"partition 1: the weights in 'n' must be finite and at least 0, got -3.0 in row 5"
    with pytest.raises(ValueError, match=message):
        make().train(lambda: spread_out(frame), steps=1)


def test_a_bad_value_of_lazy_predictions(frame: Any) -> None:
    kmeans = make().train(lambda: frame, steps=1)
    frame.loc[305, "b"] = np.nan
    with pytest.raises(Exception, match=r"got nan in a partition, row 5 of it, column 2 \('b'\)"):
        kmeans.predict_cluster_index(lambda: spread_out(frame)).collection.take_all()
