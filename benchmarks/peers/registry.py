"""The list of peers."""

from __future__ import annotations

import importlib

from benchmarks.peers.base import Peer, PeerInfo
from benchmarks.tasks import Kind

OURS = "centroids"
FULL_BATCH = frozenset({Kind.ITERATION, Kind.FIT})
WHOLE_CALLS = frozenset({Kind.DEFAULTS, Kind.RESTARTS})
PREDICTIONS = frozenset({Kind.PREDICTION, Kind.PREDICTION_LIST})
DENSE = FULL_BATCH | PREDICTIONS | WHOLE_CALLS

PEERS: dict[str, PeerInfo] = {
    info.name: info
    for info in (
        PeerInfo(OURS, "centroids", "ours:Centroids", frozenset(Kind)),
        PeerInfo(
            "centroids-1-thread",
            "centroids, 1 thread",
            "ours:Centroids",
            frozenset({Kind.THREADS}),
            threads=1,
        ),
        PeerInfo(
            "scikit-learn",
            "scikit-learn",
            "scikit_learn:Lloyd",
            frozenset(Kind) - {Kind.THREADS, Kind.INDEX},
            most_work=2e12,
        ),
        PeerInfo(
            "elkan",
            "scikit-learn elkan",
            "scikit_learn:Elkan",
            FULL_BATCH,
            working_bytes=lambda n, k: 4 * n * k,  # a lower bound for each point and center
            most_work=2e11,
        ),
        PeerInfo(
            "intelex",
            "scikit-learn-intelex",
            "intelex:Intelex",
            DENSE,
            most_work=2e12,
        ),
        PeerInfo("faiss", "faiss", "faiss_kmeans:Faiss", DENSE | {Kind.INDEX}),
        PeerInfo(
            "superkmeans",
            "SuperKMeans",
            "super_kmeans:Flat",
            DENSE - {Kind.RESTARTS} | {Kind.INDEX},
            environment="superkmeans",
        ),
        PeerInfo(
            "superkmeans-hierarchical",
            "SuperKMeans, hierarchical",
            "super_kmeans:Hierarchical",
            frozenset({Kind.INDEX}),
            environment="superkmeans",
        ),
        PeerInfo(
            "sparsekmeans",
            "sparsekmeans",
            "sparse_kmeans:Lloyd",
            frozenset({Kind.SPARSE}),
            environment="sparsekmeans",
        ),
        PeerInfo(
            "sparsekmeans-elkan",
            "sparsekmeans elkan",
            "sparse_kmeans:Elkan",
            frozenset({Kind.SPARSE}),
            environment="sparsekmeans",
            working_bytes=lambda n, k: 8 * n * k,
        ),
        PeerInfo(
            "geokmeans",
            "geokmeans",
            "geo_kmeans:Geometric",
            FULL_BATCH | {Kind.DEFAULTS},
            environment="geokmeans",
            threads=1,
            most_work=2e9,
        ),
        PeerInfo(
            "tensorflow",
            "TensorFlow",
            "tensorflow_estimator:TensorFlow",
            FULL_BATCH | {Kind.MINI_BATCH, Kind.STEP, Kind.PREDICTION_LIST},
            environment="tensorflow",
            most_work=2e11,
        ),
        PeerInfo(
            "tensorflow-numpy",
            "TensorFlow, numpy_input_fn",
            "tensorflow_estimator:TensorFlowNumpy",
            frozenset({Kind.MINI_BATCH}),
            environment="tensorflow",
        ),
    )
}


def peers_for(kind: Kind) -> list[PeerInfo]:
    """Those who can do it; ours first."""
    return [info for info in PEERS.values() if kind in info.kinds]


def load(name: str) -> Peer:
    """Imports a peer's library; for the child process."""
    module, cls = PEERS[name].module.split(":")
    peer = getattr(importlib.import_module(f"benchmarks.peers.{module}"), cls)()
    assert isinstance(peer, Peer)
    return peer
