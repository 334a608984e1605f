"""scikit-learn: KMeans with either algorithm, MiniBatchKMeans and kmeans_plusplus."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.cluster import KMeans, MiniBatchKMeans, kmeans_plusplus

from benchmarks.peers.base import Called, Chosen, Fitted, Peer
from benchmarks.peers.estimators import call_scikit_learn
from benchmarks.tasks import Kind


class Lloyd(Peer):
    """`algorithm="lloyd"`. It stops early if no label changes any more."""

    algorithm: ClassVar[str] = "lloyd"
    full_batches: ClassVar[Any] = KMeans
    mini_batches: ClassVar[Any] = MiniBatchKMeans

    def versions(self) -> dict[str, str]:
        return {"scikit-learn": sklearn.__version__}

    def _model(self, centers: NDArray[np.float32], iterations: int) -> Any:
        return KMeans(
            len(centers),
            init=centers,
            n_init=1,
            max_iter=iterations,
            tol=0,
            algorithm=self.algorithm,
        )

    def fit(self, points: Any, centers: NDArray[np.float32], iterations: int) -> Fitted:
        model = self._model(centers, iterations).fit(points)
        made = int(model.n_iter_)
        # A fit that stopped early, as labels stayed the same, need not assign again for labels_.
        return Fitted(np.asarray(model.cluster_centers_), made, last_pass=made == iterations)

    def steps(self, points: Any, centers: NDArray[np.float32], steps: int) -> Fitted:
        return self.mini_batch(points, centers, len(points), steps)

    def mini_batch(
        self, points: Any, centers: NDArray[np.float32], batch_size: int, steps: int
    ) -> Fitted:
        """Clusters are never reassigned, as in the reference; that would be more work."""
        model = MiniBatchKMeans(len(centers), init=centers, n_init=1, reassignment_ratio=0)
        starts = range(0, len(points) - batch_size + 1, batch_size)
        for step in range(steps):
            start = starts[step % len(starts)]
            model.partial_fit(points[start : start + batch_size])
        return Fitted(np.asarray(model.cluster_centers_), steps)

    def call(self, points: Any, k: int, kind: Kind) -> Called:
        return call_scikit_learn(self.full_batches, self.mini_batches, points, k, kind)

    def choose(self, points: Any, k: int, candidates: int) -> Chosen:
        start = time.perf_counter()
        centers, _ = kmeans_plusplus(points, k, n_local_trials=candidates, random_state=0)
        return Chosen(np.asarray(centers), time.perf_counter() - start)

    def predictor(
        self, points: Any, centers: NDArray[np.float32], as_list: bool
    ) -> Callable[[], NDArray[Any]]:
        # Each center has only points equal to itself: none moves. (Two, as oneDAL wants n > k.)
        model = self._model(centers, 1).fit(np.concatenate([centers, centers]))
        return lambda: np.asarray(model.predict(points))


class Elkan(Lloyd):
    """`algorithm="elkan"`: skips distances by the triangle inequality, at n x k memory."""

    algorithm = "elkan"
