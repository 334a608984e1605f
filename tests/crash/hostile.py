"""A small model, and what a folder of it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from centroids import (
    KMeansClustering,
    RunConfig,
)
from centroids.estimator import Checkpoint, load_latest
from centroids.inputs import limit_epochs

POINTS = np.arange(16, dtype=np.float32).reshape(8, 2)


def train(model_dir: Path, steps: int = 1, **config: Any) -> KMeansClustering:
    settings = {"save_checkpoints_steps": 1, "save_summary_steps": None, **config}
    model = KMeansClustering(2, str(model_dir), config=RunConfig(**settings))
    return model.train(lambda: limit_epochs(POINTS, num_epochs=None), steps=steps)


def state(step: int) -> Checkpoint:
    return Checkpoint({"global_step": np.array(step)})


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def step_of(model_dir: Path) -> int:
    found = load_latest(str(model_dir))
    assert found is not None
    return found.global_step
