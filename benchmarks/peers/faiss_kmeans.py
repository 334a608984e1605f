"""faiss: Kmeans, told not to subsample (its default does less work), and IndexFlatL2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.base import Called, Fitted, Peer
from benchmarks.tasks import INDEX_ITERATIONS, Kind


class Faiss(Peer):
    """`faiss-cpu` as it comes."""

    def versions(self) -> dict[str, str]:
        return {"faiss": faiss.__version__}

    def fit(self, points: Any, centers: NDArray[np.float32], iterations: int) -> Fitted:
        model = faiss.Kmeans(
            points.shape[1],
            len(centers),
            niter=iterations,
            max_points_per_centroid=len(points),
            min_points_per_centroid=1,
        )
        model.train(points, init_centroids=centers)
        return Fitted(np.asarray(model.centroids), iterations)

    def call(self, points: Any, k: int, kind: Kind) -> Called:
        """It has neither k-means++ by default nor a stop rule: 25 iterations from random rows."""
        more: dict[str, int] = {"niter": INDEX_ITERATIONS} if kind == Kind.INDEX else {}
        model = faiss.Kmeans(
            points.shape[1],
            k,
            nredo=10 if kind == Kind.RESTARTS else 1,
            max_points_per_centroid=len(points),
            min_points_per_centroid=1,
            **more,
        )
        model.train(points)
        labels = model.index.search(points, 1)[1][:, 0]
        return Called(np.asarray(model.centroids), np.asarray(labels))

    def predictor(
        self, points: Any, centers: NDArray[np.float32], as_list: bool
    ) -> Callable[[], NDArray[Any]]:
        index = faiss.IndexFlatL2(centers.shape[1])
        index.add(centers)
        return lambda: np.asarray(index.search(points, 1)[1][:, 0])
