"""Full batches of a source of ours are the same in each step, and are not read again in vain."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import centroids
from centroids import inputs

STEPS = 12


@pytest.fixture(scope="module")
def points() -> NDArray[np.float32]:
    random = np.random.default_rng(0)
    middles = random.normal(size=(256, 64)) * 3
    noise = random.normal(size=(6000, 64))
    return (middles[random.integers(256, size=6000)] + noise).astype(np.float32)


def train(input_fn: Callable[[], Any], centers: NDArray[Any], **options: Any) -> Any:
    model = centroids.KMeansClustering(
        len(centers), initial_clusters=centers, use_mini_batch=False, **options
    )
    return model.train(input_fn, steps=STEPS)


def outcome(model: Any) -> tuple[bytes, float]:
    return model.cluster_centers().tobytes(), float(model.get_variable_value("previous_loss"))


def reads(caplog: Any) -> list[float]:
    """What each step has read, in per cent of the points."""
    found = [re.search(r"with ([0-9.]+)% read", record.getMessage()) for record in caplog.records]
    steps = ["with bounds" in record.getMessage() for record in caplog.records]
    return [float(one[1]) if one else 100.0 for one, any_ in zip(found, steps, strict=True) if any_]


def sources(points: NDArray[Any], folder: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    np.save(folder / "points.npy", points)
    n = len(points)
    yield "limit_epochs", lambda: inputs.limit_epochs(points, None)
    yield "numpy", inputs.numpy_input_fn(points, batch_size=n, num_epochs=None, shuffle=False)
    yield "npy", inputs.npy_input_fn(folder / "points.npy", batch_size=n, num_epochs=None)


def test_what_comes_again_is_not_read_again(
    points: NDArray[np.float32], tmp_path: Path, caplog: Any
) -> None:
    centers = points[:256]
    expected = outcome(train(lambda: points, centers))
    for name, input_fn in sources(points, tmp_path):
        caplog.clear()
        with caplog.at_level(logging.DEBUG, "centroids.kernels"):
            assert outcome(train(input_fn, centers)) == expected, name
        assert min(reads(caplog)) < 50, name


def test_labels_that_a_hook_fetches_change_no_bit(points: NDArray[np.float32]) -> None:
    class Labels(centroids.SessionRunHook):
        def before_run(self, run_context: Any) -> Any:
            return centroids.SessionRunArgs("cluster_index")

        def after_run(self, run_context: Any, run_values: Any) -> None:
            self.last = run_values.results

    centers = points[:256]
    seen = [Labels(), Labels()]
    input_fns: list[Callable[[], Any]] = [
        lambda: points,
        lambda: inputs.limit_epochs(points, None),
    ]
    models = []
    for hook, input_fn in zip(seen, input_fns, strict=True):
        model = centroids.KMeansClustering(256, initial_clusters=centers, use_mini_batch=False)
        models.append(model.train(input_fn, hooks=[hook], steps=STEPS))
    assert outcome(models[0]) == outcome(models[1])
    np.testing.assert_array_equal(seen[0].last, seen[1].last)


@pytest.mark.parametrize("kind", ["function", "generator"])
def test_memory_that_is_written_to_again_is_read(points: NDArray[np.float32], kind: str) -> None:
    """An input may give each batch in the same memory."""
    centers = points[:256]
    batches = [points + np.float32(0.01 * (step % 3)) for step in range(STEPS)]

    def generate(buffer: NDArray[Any] | None) -> Iterator[NDArray[Any]]:
        for batch in batches:
            if buffer is None:
                yield batch
            else:
                buffer[:] = batch
                yield buffer

    def input_fn(buffer: NDArray[Any] | None) -> Callable[[], Any]:
        stream = generate(buffer)
        return (lambda: next(stream)) if kind == "function" else (lambda: stream)

    expected = outcome(train(input_fn(None), centers))
    assert outcome(train(input_fn(np.empty_like(points)), centers)) == expected
