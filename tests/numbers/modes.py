"""The three updates over plain functions: no files, no hooks, one batch after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from centroids import clustering, kernels

MODES = ("full", "mini", "multi")
STEPS_PER_ITERATION = 2


def start(mode: str, centers: np.ndarray) -> clustering.ClusterState:
    """The state before the first batch."""
    return clustering.initial_state(centers, STEPS_PER_ITERATION if mode == "multi" else 1)


def step(
    mode: str, state: clustering.ClusterState, points: Any, cosine: bool = False
) -> tuple[kernels.Assignment, clustering.ClusterState]:
    """Assigns a batch and updates the state."""
    batch = kernels.assign(points, state.centers, cosine=cosine, update=True)
    if mode == "full":
        return batch, clustering.full_batch_update(state, batch, cosine=cosine)
    if mode == "mini":
        return batch, clustering.mini_batch_update(state, batch)
    return batch, clustering.multi_step_update(state, batch, STEPS_PER_ITERATION, cosine=cosine)


def run(
    mode: str, centers: np.ndarray, batches: Iterable[Any], cosine: bool = False
) -> Iterator[tuple[kernels.Assignment, clustering.ClusterState]]:
    """What `step` gives for each of the batches."""
    state = start(mode, centers)
    for points in batches:
        batch, state = step(mode, state, points, cosine)
        yield batch, state
