"""scikit-learn-intelex: scikit-learn's KMeans on oneDAL."""

from __future__ import annotations

from importlib import metadata
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearnex.cluster import KMeans

from benchmarks.peers.scikit_learn import Lloyd


class Intelex(Lloyd):
    """The same arguments as scikit-learn's."""

    full_batches: ClassVar[Any] = KMeans

    def versions(self) -> dict[str, str]:
        return {"scikit-learn-intelex": metadata.version("scikit-learn-intelex")}

    def _model(self, centers: NDArray[np.float32], iterations: int) -> Any:
        return KMeans(len(centers), init=centers, n_init=1, max_iter=iterations, tol=0)
