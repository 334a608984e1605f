"""SuperKMeans: in training it rules centers out by a part of the dimensions, which may err.

It draws its initial centers itself, k of the points; it has no way to take them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import superkmeans
from numpy.typing import NDArray
from superkmeans import SuperKMeans

from benchmarks.peers.base import Called, Fitted, Peer
from benchmarks.tasks import INDEX_ITERATIONS, Kind

SAMPLE = 0.3
"""The share of the points that it takes by default if it is not hierarchical."""


def _threads() -> int:
    return int(os.environ.get("OMP_NUM_THREADS", "0"))


class Flat(Peer):
    """All points, and as many iterations as it is told."""

    def versions(self) -> dict[str, str]:
        return {"SuperKMeans": superkmeans.__version__}

    def _model(self, points: Any, k: int, iterations: int) -> Any:
        return SuperKMeans(
            k,
            points.shape[1],
            hierarchical=False,
            iters=iterations,
            sampling_fraction=1.0,
            max_points_per_cluster=len(points),
            early_termination=False,
            n_threads=_threads(),
        )

    def fit(self, points: Any, centers: NDArray[np.float32], iterations: int) -> Fitted:
        model = self._model(points, len(centers), iterations)
        return Fitted(np.asarray(model.train(points)), iterations)

    def call(self, points: Any, k: int, kind: Kind) -> Called:
        """DEFAULTS: from 100,000 points hierarchical, below ten iterations over a sample."""
        if kind == Kind.DEFAULTS:
            model = SuperKMeans(k, points.shape[1], n_threads=_threads())
        else:
            model = self._model(points, k, INDEX_ITERATIONS)
        centers = model.train(points)
        return Called(np.asarray(centers), np.asarray(model.assign(points, centers)))

    def predictor(
        self, points: Any, centers: NDArray[np.float32], as_list: bool
    ) -> Callable[[], NDArray[Any]]:
        model = SuperKMeans(len(centers), centers.shape[1], n_threads=_threads())
        return lambda: np.asarray(model.assign(points, centers))


class Hierarchical(Flat):
    """As its users run it: groups of points are clustered apart, on a sample of the points."""

    def _model(self, points: Any, k: int, iterations: int) -> Any:
        return SuperKMeans(
            k,
            points.shape[1],
            hierarchical=True,
            sampling_fraction=SAMPLE,
            n_threads=_threads(),
        )
