"""Hooks that watch training on workers see what they see in one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import centroids

pytest.importorskip("dask.array")
pytestmark = pytest.mark.timeout(120)
SPLIT = (1, 250, 0, 333, 16, 100, 200, 0, 100)


def spread(points: NDArray[Any]) -> Any:
    import dask.array

    return dask.array.from_array(points, chunks=(SPLIT, (points.shape[1],)))


def untrained(points: NDArray[Any]) -> centroids.KMeansClustering:
    return centroids.KMeansClustering(7, initial_clusters=points[:7], use_mini_batch=False)


def test_the_log_of_each_step_is_the_same(
    client: Any, points: NDArray[Any], tmp_path: Path
) -> None:
    logs = []
    for name, given in (("one", points), ("other", spread(points))):
        hook = centroids.CSVLoggerHook(tmp_path / name)
        untrained(points).train(lambda given=given: given, hooks=[hook], steps=4)
        logs.append((tmp_path / name).read_text(encoding="utf-8"))
    assert logs[0] == logs[1]
    heads, *rows = logs[0].splitlines()
    assert heads.startswith("step,loss")
    assert [int(row.split(",")[0]) for row in rows] == [1, 2, 3, 4]
    nearest = ((points[:, None].astype(float) - points[:7].astype(float)) ** 2).sum(2).min(1)
    np.testing.assert_allclose(float(rows[0].split(",")[1]), nearest.sum(), rtol=1e-6)


def test_a_validation_set_ends_it_at_the_same_step(client: Any, points: NDArray[Any]) -> None:
    found = []
    train, others = points[:500], points[500:] * np.float32(1.01)
    for given in (points, spread(points)):
        kmeans = untrained(train)
        hook = centroids.ValidationHook(kmeans, lambda: others, patience=2, steps=1)
        kmeans.train(lambda given=given: given, hooks=[hook], steps=50)
        step = int(kmeans.get_variable_value("global_step"))
        found.append((hook.stopped, hook.best_step, hook.best_value, step))
    assert found[0] == found[1]
    stopped, best_step, _, step = found[0]
    assert stopped and best_step is not None and step == best_step + 2
