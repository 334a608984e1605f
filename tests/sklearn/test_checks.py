"""What scikit-learn demands of every estimator: all its checks pass, none is expected to fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("sklearn")

from sklearn.utils.estimator_checks import parametrize_with_checks

from centroids.sklearn import KMeans, MiniBatchKMeans

ESTIMATORS = [
    KMeans(),
    KMeans(metric="cosine"),
    KMeans(init="random", algorithm="elkan"),
    MiniBatchKMeans(),
    MiniBatchKMeans(metric="cosine", init="random"),
]


def passes(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


test_scikit_learns_checks_pass = pytest.mark.filterwarnings("default")(
    parametrize_with_checks(ESTIMATORS)(passes)
)
