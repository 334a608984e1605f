"""How the classes with scikit-learn's interface are called: its own, those of others, and ours."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers.base import Called
from benchmarks.tasks import INDEX_ITERATIONS, Kind


def call_scikit_learn(
    full_batches: Any, mini_batches: Any, points: Any, k: int, kind: Kind
) -> Called:
    """One call of `fit`; see `Peer.call`."""
    if kind == Kind.MINI_BATCH_FIT:
        model = mini_batches(k, random_state=0)
    elif kind == Kind.INDEX:
        model = full_batches(
            k, init="random", n_init=1, max_iter=INDEX_ITERATIONS, tol=0, random_state=0
        )
    else:
        init = "random" if kind == Kind.RESTARTS else "k-means++"
        model = full_batches(k, init=init, random_state=0)
    model.fit(points)
    return Called(np.asarray(model.cluster_centers_), np.asarray(model.labels_))
