"""sparsekmeans: k-means of sparse points by SuiteSparse:GraphBLAS, in float64."""

from __future__ import annotations

import os
from importlib import metadata
from typing import Any, ClassVar

import graphblas
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sparsekmeans import ElkanKmeans, LloydKmeans

from benchmarks.peers.base import Fitted, Peer


class Lloyd(Peer):
    """`LloydKmeans`, from the initial centers of all where its own would be by k-means++."""

    algorithm: ClassVar[Any] = LloydKmeans

    def versions(self) -> dict[str, str]:
        return {name: metadata.version(name) for name in ("sparsekmeans", "python-graphblas")}

    def fit(self, points: Any, centers: NDArray[np.float32], iterations: int) -> Fitted:
        model = self.algorithm(
            n_clusters=len(centers),
            n_threads=int(os.environ.get("OMP_NUM_THREADS", "1")),
            max_iter=iterations,
            tol=0,
        )
        given = graphblas.io.from_scipy_sparse(sparse.csr_matrix(centers, dtype=np.float64))
        model._initialize_centroids = lambda points: given
        model.fit(points)
        return Fitted(np.asarray(model.centroids.to_dense(fill_value=0)), iterations)


class Elkan(Lloyd):
    """`ElkanKmeans`: skips distances by the triangle inequality, at n x k memory."""

    algorithm = ElkanKmeans
