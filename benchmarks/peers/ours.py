"""centroids: always the whole of `KMeansClustering` or `centroids.sklearn`, never only a kernel.

But for `assign`, where predictions are an array.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import centroids
from benchmarks.peers.base import Called, Chosen, Fitted, Peer
from benchmarks.peers.estimators import call_scikit_learn
from benchmarks.tasks import Kind
from centroids import clustering, kernels


class Centroids(Peer):
    """The default configuration: with labels that are exact, checkpoints and hooks."""

    def versions(self) -> dict[str, str]:
        return {"centroids": centroids.__version__}

    def fit(self, points: Any, centers: NDArray[np.float32], iterations: int) -> Fitted:
        model = centroids.KMeansClustering(
            len(centers), initial_clusters=centers, use_mini_batch=False
        )
        model.train(lambda: points, steps=iterations)
        return Fitted(model.cluster_centers(), iterations)

    def mini_batch(
        self, points: Any, centers: NDArray[np.float32], batch_size: int, steps: int
    ) -> Fitted:
        whole = points[: len(points) // batch_size * batch_size]
        input_fn = centroids.inputs.numpy_input_fn(
            whole, batch_size=batch_size, num_epochs=None, shuffle=False
        )
        model = centroids.KMeansClustering(len(centers), initial_clusters=centers)
        model.train(input_fn, steps=steps)
        return Fitted(model.cluster_centers(), steps)

    def call(self, points: Any, k: int, kind: Kind) -> Called:
        from centroids.sklearn import KMeans, MiniBatchKMeans

        return call_scikit_learn(KMeans, MiniBatchKMeans, points, k, kind)

    def choose(self, points: Any, k: int, candidates: int) -> Chosen:
        """Training of one step with k-means++, less the same from centers that are given."""
        start = time.perf_counter()
        centroids.KMeansClustering(
            k,
            initial_clusters=centroids.KMeansClustering.KMEANS_PLUS_PLUS_INIT,
            kmeans_plus_plus_num_retries=candidates - 1,
            use_mini_batch=False,
        ).train(lambda: points, steps=1)
        both = time.perf_counter() - start
        centers = clustering.kmeans_plus_plus(
            points, k, np.random.default_rng(0), num_retries=candidates - 1
        )
        start = time.perf_counter()
        self.fit(points, centers, 1)
        return Chosen(centers, both - (time.perf_counter() - start))

    def predictor(
        self, points: Any, centers: NDArray[np.float32], as_list: bool
    ) -> Callable[[], NDArray[Any]]:
        if not as_list:
            return lambda: kernels.assign(points, centers, inertia=False).cluster_index
        model = centroids.KMeansClustering(
            len(centers), initial_clusters=centers, use_mini_batch=False
        )
        model.train(lambda: centers, steps=1)  # each center's only point is itself: none moves

        def predict() -> NDArray[Any]:
            once = centroids.inputs.limit_epochs(points, num_epochs=1)
            return np.asarray(list(model.predict_cluster_index(lambda: once)))

        return predict
