"""Empty clusters: avoided where they can be, counted and told where not."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids import KMeansClustering
from centroids.inputs import limit_epochs
from centroids.kmeans.variables import num_empty_clusters

MODES: dict[str, dict[str, Any]] = {
    "full": {"use_mini_batch": False},
    "mini": {},
    "multi": {"mini_batch_steps_per_iteration": 3},
}
_ADVICE = "try fewer clusters, or a new model with other initial centers"
ADVICE = {
    "full": f"{_ADVICE}, or empty_clusters='relocate'",
    "mini": f"{_ADVICE}, or reassignment_ratio=0.01",
    "multi": _ADVICE,
}


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record for record in caplog.records if record.name == "centroids.kmeans._hooks"]
    assert all(record.levelno == logging.WARNING for record in found)
    return [record.getMessage() for record in found]


def empty(model: KMeansClustering) -> int | None:
    names = model.get_variable_names()
    values = model.get_variable_value(names)
    return num_empty_clusters(dict(zip(names, values, strict=True)), model.params)


def train(mode: str, points: Any, steps: int, **arguments: Any) -> KMeansClustering:
    model = KMeansClustering(**{"num_clusters": 4, **MODES[mode], **arguments})
    return model.train(lambda: points, steps=steps)


@pytest.mark.parametrize("mode", MODES)
def test_a_run_that_leaves_clusters_empty_says_so_once(
    mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    points = np.random.default_rng(0).normal(size=(60, 2))
    far = np.array([[0.0, 0.0], [1e6, 0.0], [1.0, 1.0], [0.0, -1e7]])
    model = train(mode, points, 6, initial_clusters=far)
    assert warnings(caplog) == [f"2 of 4 clusters are empty; {ADVICE[mode]}"]
    assert empty(model) == 2
    model.train(lambda: points, steps=3)
    assert len(warnings(caplog)) == 2


@pytest.mark.parametrize("mode", MODES)
def test_one_empty_cluster(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    points = np.random.default_rng(0).normal(size=(60, 2))
    far = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1e6, 0.0]])
    assert empty(train(mode, points, 3, initial_clusters=far)) == 1
    assert warnings(caplog) == [f"1 of 4 clusters is empty; {ADVICE[mode]}"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "method", ["random", "kmeans_plus_plus", "kmeans_parallel", "kmeans_rejection"]
)
def test_a_run_without_empty_clusters_says_nothing(
    mode: str, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    points = np.random.default_rng(0).normal(size=(60, 2))
    assert empty(train(mode, points, 6, initial_clusters=method)) == 0
    assert warnings(caplog) == []


def test_in_the_middle_of_an_iteration_nobody_knows(caplog: pytest.LogCaptureFixture) -> None:
    points = np.random.default_rng(0).normal(size=(60, 2))
    far = np.array([[0.0, 0.0], [1e6, 0.0], [1.0, 1.0], [0.0, -1e7]])
    model = train("multi", points, 4, initial_clusters=far)
    assert empty(model) is None and warnings(caplog) == []
    model.train(lambda: points, steps=2)
    assert empty(model) == 2 and len(warnings(caplog)) == 1


def test_the_counts_of_an_iteration_stay_until_the_next_begins() -> None:
    points = np.random.default_rng(0).normal(size=(60, 2))
    model = train("multi", points, 3)
    assert model.get_variable_value("cluster_counts").sum() == 180
    model.train(lambda: points, steps=1)
    assert model.get_variable_value("cluster_counts").sum() == 60


def test_a_run_without_a_step_says_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    points = np.zeros((9, 2))
    model = KMeansClustering(4, model_dir=tmp_path, use_mini_batch=False)
    model.train(lambda: points, max_steps=2)
    assert warnings(caplog) == [f"3 of 4 clusters are empty; {ADVICE['full']}"]
    model.train(lambda: points, max_steps=2)
    model.train(lambda: iter([]))
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_pixels_most_of_which_are_white_leave_no_cluster_dead(
    mode: str, dtype: Any, caplog: pytest.LogCaptureFixture
) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 255, size=(5000, 3))
    pixels[random.random(5000) < 0.6] = 255
    pixels = pixels.astype(dtype)
    model = KMeansClustering(16, random_seed=3, **MODES[mode])
    batches = [pixels] if mode == "full" else [pixels[at : at + 500] for at in range(0, 5000, 500)]
    model.train(lambda: iter(batches * 3), steps=9)
    assert empty(model) == 0 and warnings(caplog) == []
    used = {int(index) for index in model.predict_cluster_index(lambda: limit_epochs(pixels))}
    assert len(used) == 16
