"""Restarts, relocations and reassignments on dask collections: the bits of one process."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse
from numpy.typing import NDArray

from centroids import KMeansClustering
from centroids.inputs import numpy_input_fn
from tests.distribute.test_dask import array, assert_equal

pytest.importorskip("dask.array")
pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("metric", ["squared_euclidean", "cosine"])
def test_empty_clusters_of_full_batches(
    client: Any, points: NDArray[Any], split: tuple[int, ...], metric: Any
) -> None:
    centers = np.concatenate([points[:4], points[:1], points[:3] - 1e9])

    def train(batch: Any) -> KMeansClustering:
        return KMeansClustering(
            8,
            initial_clusters=centers,
            distance_metric=metric,
            use_mini_batch=False,
            empty_clusters="relocate",
        ).train(lambda: batch, steps=4)

    alone = train(points)
    assert (alone.get_variable_value("cluster_counts") > 0).all()
    assert_equal(alone, train(array(points, split)))


def test_sparse_partitions(client: Any, points: NDArray[Any]) -> None:
    import dask
    import dask.array as da

    rows = scipy.sparse.csr_matrix(np.where(points > 1e3, points, 0))
    blocks = [
        da.from_delayed(dask.delayed(rows)[at : at + 250], (250, 4), meta=rows[:0])
        for at in range(0, 1000, 250)
    ]
    centers = np.concatenate([rows[:4].toarray(), np.full((3, 4), -1e9)])
    models = [
        KMeansClustering(
            7, initial_clusters=centers, use_mini_batch=False, empty_clusters="relocate"
        ).train(lambda batch=batch: batch, steps=3)
        for batch in (rows, da.concatenate(blocks))
    ]
    assert_equal(*models)
    assert (models[0].get_variable_value("cluster_counts") > 0).all()


@pytest.mark.parametrize("method", ["random", "kmeans_plus_plus"])
@pytest.mark.parametrize("use_mini_batch", [False, True])
def test_restarts(
    client: Any,
    points: NDArray[Any],
    split: tuple[int, ...],
    method: Any,
    use_mini_batch: bool,
) -> None:
    def train(batch: Any) -> KMeansClustering:
        return KMeansClustering(
            7,
            initial_clusters=method,
            random_seed=4,
            use_mini_batch=use_mini_batch,
            num_restarts=3,
        ).train(lambda: batch, steps=2)

    assert_equal(train(points), train(array(points, split)))


def test_starved_clusters_of_mini_batches(
    client: Any, points: NDArray[Any], split: tuple[int, ...]
) -> None:
    centers = np.concatenate([points[:4], points[:3] - 1e9])

    def train(batches: Any) -> KMeansClustering:
        input_fn = numpy_input_fn(batches, batch_size=90, num_epochs=2, shuffle=True, seed=6)
        return KMeansClustering(7, initial_clusters=centers, reassignment_ratio=0.3).train(input_fn)

    alone = train(points)
    assert np.abs(alone.cluster_centers()).max() < 1e9
    assert_equal(alone, train(array(points, split)))


def test_a_whole_collection_is_one_mini_batch_as_an_array_is(
    client: Any, points: NDArray[Any], split: tuple[int, ...]
) -> None:
    models = [
        KMeansClustering(7, initial_clusters=points[:7], reassignment_ratio=0.2).train(
            lambda batch=batch: batch, steps=3
        )
        for batch in (points, array(points, split))
    ]
    assert_equal(*models)
