"""geokmeans: Geometric-k-means in C++, on one thread.

It draws its initial centers itself, k of the points; it has no way to take them. Its `fit` ends
with one more assignment, for `labels_`.
"""

from __future__ import annotations

from importlib import metadata
from typing import Any

import numpy as np
from geokmeans import GeoKMeans
from numpy.typing import NDArray

from benchmarks.peers.base import Called, Fitted, Peer
from benchmarks.tasks import Kind


class Geometric(Peer):
    """Its default algorithm, "geo"."""

    def versions(self) -> dict[str, str]:
        return {"geokmeans": metadata.version("geokmeans")}

    def fit(self, points: Any, centers: NDArray[np.float32], iterations: int) -> Fitted:
        """Without centers if the iterations were used up: version 0.1.2 then returns zeros."""
        model = GeoKMeans(len(centers), max_iter=iterations, tol=0, random_state=1).fit(points)
        found = model.cluster_centers_ if np.any(model.cluster_centers_) else None
        return Fitted(found, model.n_iter_)

    def call(self, points: Any, k: int, kind: Kind) -> Called:
        model = GeoKMeans(k, random_state=1).fit(points)
        return Called(model.cluster_centers_, model.labels_)
