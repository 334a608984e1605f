"""How steps are counted, and which batches they get, beside what TensorFlow does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids
from centroids import KMeansClustering

POINTS = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)


def generator() -> Any:
    """Ten batches."""
    return (POINTS[at : at + 10] for at in range(0, 100, 10))


ten_batches = centroids.inputs.numpy_input_fn(POINTS, batch_size=10, num_epochs=1, shuffle=False)


def global_step(kmeans: KMeansClustering) -> int:
    return int(kmeans.get_variable_value("global_step"))


def test_the_first_pass_of_the_original_example_updates(tmp_path: Path) -> None:
    # TensorFlow 1.4.1 and 1.15.5: step 1, and all centers are still points.
    kmeans = KMeansClustering(5, tmp_path, use_mini_batch=False)
    kmeans.train(lambda: centroids.inputs.limit_epochs(POINTS, num_epochs=1))
    assert global_step(kmeans) == 1
    are_points = [(center == POINTS).all(axis=1).any() for center in kmeans.cluster_centers()]
    assert not all(are_points)


@pytest.mark.parametrize(("input_fn", "total"), [(generator, 14), (ten_batches, 10)])
def test_seven_steps_twice_over_ten_batches(
    input_fn: Callable[[], Any], total: int, tmp_path: Path
) -> None:
    # TensorFlow: 14 with both.
    kmeans = KMeansClustering(5, tmp_path).train(input_fn, steps=7)
    assert global_step(kmeans) == 7
    assert global_step(kmeans.train(input_fn, steps=7)) == total


@pytest.mark.parametrize("input_fn", [generator, ten_batches])
def test_the_end_of_the_input_is_not_a_step(input_fn: Callable[[], Any], tmp_path: Path) -> None:
    # TensorFlow 1.15.5: 11 with given centers.
    assert global_step(KMeansClustering(5, tmp_path, POINTS[:5]).train(input_fn)) == 10


def test_the_first_checkpoint_comes_before_the_first_step(tmp_path: Path) -> None:
    # TensorFlow 1.4.1: after it; 1.15.5: before it.
    KMeansClustering(5, tmp_path).train(ten_batches, steps=2)
    names = sorted(path.stem for path in tmp_path.glob("*.safetensors"))
    assert names == ["model.ckpt-0", "model.ckpt-2"]
