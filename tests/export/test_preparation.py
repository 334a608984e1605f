"""Models that fill missing values and standardize, as files of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids import KMeansClustering
from centroids.inputs import limit_epochs
from tests.export.test_onnx import answer, needs_onnx

RANDOM = np.random.default_rng(2)
COMPLETE = RANDOM.normal(size=(400, 5)) * np.geomspace(1e-3, 1e3, 5) + [0, 1e4, 0, 0, 7]
POINTS = np.where(RANDOM.random(COMPLETE.shape) < 0.1, np.nan, COMPLETE)


def train(points: Any, **options: Any) -> KMeansClustering:
    model = KMeansClustering(
        6, initial_clusters=COMPLETE[:6], use_mini_batch=False, missing="mean", **options
    )
    return model.train(lambda: limit_epochs(points, 4))


@needs_onnx
@pytest.mark.parametrize("metric", ["squared_euclidean", "cosine"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("standardize", [False, True])
def test_an_onnx_file_prepares_points(
    metric: Any, dtype: Any, standardize: bool, tmp_path: Path
) -> None:
    points = POINTS.astype(dtype)
    model = train(points, distance_metric=metric, standardize=standardize)
    index, distances = answer(model.export_onnx(tmp_path / "model.onnx"), points)
    once = [points]
    np.testing.assert_array_equal(index, list(model.predict_cluster_index(lambda: once)))
    expected = np.array(list(model.transform(lambda: once)))
    tolerance = 1e-5 if dtype is np.float64 or metric == "squared_euclidean" else 2e-3
    np.testing.assert_allclose(distances, expected, rtol=tolerance, atol=1e-6)
    assert np.isfinite(distances).all()


@needs_onnx
def test_an_onnx_file_of_float32_prepares_points(tmp_path: Path) -> None:
    model = train(POINTS, standardize=True)
    path = model.export_onnx(tmp_path / "model.onnx", float32=True)
    index, _ = answer(path, POINTS.astype(np.float32))
    once = [POINTS]
    labels = np.array(list(model.predict_cluster_index(lambda: once)))
    assert (index == labels).mean() > 0.99
