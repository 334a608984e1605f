"""From equal initial centers, fits end as scikit-learn's do: labels, iterations, inertia."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse

pytest.importorskip("sklearn")

import sklearn.cluster
import threadpoolctl

import centroids.sklearn
from centroids.sklearn import KMeans

pytestmark = pytest.mark.filterwarnings("ignore:Number of distinct clusters")


@pytest.fixture(autouse=True)
def _theirs_in_one_thread() -> Iterator[None]:
    """Their threads wait in loops: on a busy machine that takes seconds for each fit."""
    with threadpoolctl.threadpool_limits(1):
        yield


def groups(seed: int, n: int = 400, d: int = 5, k: int = 6, spread: float = 1.5) -> Any:
    """Points around k groups, far enough apart that no label hangs on a rounding error."""
    random = np.random.default_rng(seed)
    centers = random.uniform(-9, 9, size=(k, d))
    return centers[random.integers(k, size=n)] + spread * random.normal(size=(n, d))


def assert_same_fit(ours: Any, theirs: Any) -> None:
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-6)
    atol = 1e-5 if theirs.cluster_centers_.dtype == np.float32 else 1e-9
    np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, 1e-6, atol)
    assert ours.cluster_centers_.dtype == theirs.cluster_centers_.dtype
    assert ours.labels_.dtype == theirs.labels_.dtype


def fit_both(X: Any, sample_weight: Any = None, **arguments: Any) -> tuple[Any, Any]:
    return tuple(
        kind(n_init=1, **arguments).fit(X, sample_weight=sample_weight)
        for kind in (KMeans, sklearn.cluster.KMeans)
    )


@pytest.mark.parametrize("spread", [0.3, 1.5, 6.0])
@pytest.mark.parametrize("algorithm", ["lloyd", "elkan"])
def test_labels_iterations_and_inertia_are_theirs(spread: float, algorithm: Any) -> None:
    for seed in range(20):
        X = groups(seed, spread=spread)
        tol = [1e-4, 0, 1e-2, 1e-7][seed % 4]
        ours, theirs = fit_both(X, n_clusters=6, init=X[:6], tol=tol, algorithm=algorithm)
        assert_same_fit(ours, theirs)


@pytest.mark.parametrize("most", [1, 2, 5])
def test_a_fit_that_is_cut_short_is_theirs(most: int) -> None:
    for seed in range(8):
        X = groups(seed, spread=4.0)
        ours, theirs = fit_both(X, n_clusters=8, init=X[:8], max_iter=most)
        assert_same_fit(ours, theirs)
        np.testing.assert_array_equal(ours.predict(X), ours.labels_)


def test_float32_and_points_far_from_the_origin_too() -> None:
    for seed in range(8):
        X = groups(seed, spread=0.5).astype(np.float32)
        assert_same_fit(*fit_both(X, n_clusters=6, init=X[:6]))
        far = groups(seed) + 1e4
        assert_same_fit(*fit_both(far, n_clusters=6, init=far[:6]))


@pytest.mark.parametrize("container", [scipy.sparse.csr_array, scipy.sparse.csc_matrix])
def test_sparse_matrices_too(container: Any) -> None:
    for seed in range(6):
        X = groups(seed)
        X[X < 1] = 0
        init = X[:6]
        assert_same_fit(*fit_both(container(X), n_clusters=6, init=init))


def test_sample_weights_too() -> None:
    for seed in range(20):
        X = groups(seed, spread=2.5)
        weights = np.random.default_rng(seed).uniform(0, 4, len(X))
        weights[::7] = 0
        ours, theirs = fit_both(X, weights, n_clusters=6, init=X[:6])
        assert_same_fit(ours, theirs)
        assert ours.score(X, sample_weight=weights) == pytest.approx(
            theirs.score(X, sample_weight=weights)
        )


def test_empty_clusters_go_where_theirs_go() -> None:
    """Several at once they hand out in the order of a partition, which is not defined: one here."""
    moved = 0
    for seed in range(30):
        X = groups(seed)
        init = np.vstack([X[:5], [[99.0] * 5]])
        ours, theirs = fit_both(X, n_clusters=6, init=init)
        assert_same_fit(ours, theirs)
        moved += len(np.unique(ours.labels_)) == 6
    assert moved == 30


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 3.0, 1.0, 0.0]])
def test_distances_predictions_and_scores_are_theirs(weights: Any) -> None:
    X = groups(0)
    ours, theirs = fit_both(X, n_clusters=6, init=X[:6])
    others = groups(1)[:5]
    np.testing.assert_allclose(ours.transform(others), theirs.transform(others))
    np.testing.assert_array_equal(ours.predict(others), theirs.predict(others))
    assert ours.score(others, sample_weight=weights) == pytest.approx(
        theirs.score(others, sample_weight=weights)
    )


def test_parameters_are_theirs_in_their_order() -> None:
    for name in ("KMeans", "MiniBatchKMeans", "kmeans_plusplus"):
        ours, theirs = (
            list(inspect.signature(getattr(module, name)).parameters.values())
            for module in (centroids.sklearn, sklearn.cluster)
        )
        assert [(p.name, p.kind, p.default) for p in ours[:-1]] == [
            (p.name, p.kind, p.default) for p in theirs
        ]
        assert (ours[-1].name, ours[-1].kind) == ("metric", inspect.Parameter.KEYWORD_ONLY)


def test_methods_are_theirs() -> None:
    for name in ("KMeans", "MiniBatchKMeans"):
        theirs = {part for part in dir(getattr(sklearn.cluster, name)) if part[0] != "_"}
        assert theirs <= set(dir(getattr(centroids.sklearn, name)))
