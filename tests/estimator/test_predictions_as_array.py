"""Predictions as one array, without an object of each point."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from centroids import KMeansClustering
from centroids.inputs import limit_epochs, numpy_input_fn

POINTS = np.array([[0.0, 1.0], [9.0, 1.0], [8.0, 1.0], [0.0, 2.0], [7.0, 0.0]], np.float32)


@pytest.fixture(name="kmeans")
def trained(tmp_path: Path) -> KMeansClustering:
    kmeans = KMeansClustering(2, str(tmp_path), initial_clusters=POINTS[:2], use_mini_batch=False)
    return kmeans.train(lambda: POINTS, steps=1)


def test_indices_of_one_batch_and_of_several(kmeans: KMeansClustering) -> None:
    for input_fn in (lambda: limit_epochs(POINTS), numpy_input_fn(POINTS, None, 2, shuffle=False)):
        index = np.asarray(kmeans.predict_cluster_index(input_fn))
        assert index.dtype == np.int32
        assert index.tolist() == [0, 1, 1, 0, 1]
        assert index.tolist() == list(kmeans.predict_cluster_index(input_fn))


def test_distances(kmeans: KMeansClustering) -> None:
    distances = np.asarray(kmeans.transform(lambda: limit_epochs(POINTS)))
    assert distances.shape == (5, 2)
    assert distances[0].tolist() == pytest.approx([0.25, 64 + 1 / 9])


def test_another_type(kmeans: KMeansClustering) -> None:
    wide = np.asarray(kmeans.predict_cluster_index(lambda: limit_epochs(POINTS)), np.int64)
    assert wide.dtype == np.int64


def test_what_was_taken_before_is_not_in_it(kmeans: KMeansClustering) -> None:
    found = kmeans.predict_cluster_index(lambda: limit_epochs(POINTS))
    assert next(found) == 0
    assert np.asarray(found).tolist() == [1, 1, 0, 1]
    assert list(found) == []


def test_nothing_is_left_afterwards(kmeans: KMeansClustering) -> None:
    found = kmeans.predict_cluster_index(lambda: limit_epochs(POINTS))
    assert np.asarray(found).size == 5
    assert list(found) == []


def test_no_points(kmeans: KMeansClustering) -> None:
    assert np.asarray(kmeans.predict_cluster_index(lambda: iter([]))).shape == (0,)


def test_named_predictions_are_an_array_of_dicts(kmeans: KMeansClustering) -> None:
    rows = np.asarray(kmeans.predict(lambda: limit_epochs(POINTS), ["cluster_index"]))
    assert rows.tolist() == [{"cluster_index": index} for index in (0, 1, 1, 0, 1)]
