"""A weight of 2 is the row twice, and one of 0 its absence, in what is drawn, too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse

pytest.importorskip("sklearn")

from centroids.sklearn import KMeans, MiniBatchKMeans, kmeans_plusplus

pytestmark = pytest.mark.filterwarnings("ignore:Number of distinct clusters")

METHODS = pytest.mark.parametrize("init", ["k-means++", "kmeans_rejection", "random"])


def points(seed: int, n: int = 60) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    return random.normal(size=(n, 3)), random.integers(0, 5, size=n)


@METHODS
@pytest.mark.parametrize("kind", [KMeans, MiniBatchKMeans])
@pytest.mark.parametrize("metric", ["squared_euclidean", "cosine"])
def test_weights_are_repetitions_in_any_order(kind: Any, metric: Any, init: str) -> None:
    for seed in range(5):
        X, weights = points(seed)
        order = np.random.default_rng(seed).permutation(weights.sum())
        repeated = np.repeat(X, weights, axis=0)[order]
        model = kind(6, init=init, metric=metric, random_state=seed, n_init=2)
        weighted = model.fit(X, sample_weight=weights)
        centers, labels = weighted.cluster_centers_, weighted.predict(X)
        inertia = weighted.inertia_
        model.fit(repeated)
        np.testing.assert_array_equal(model.cluster_centers_, centers)
        np.testing.assert_array_equal(model.labels_, np.repeat(labels, weights)[order])
        assert model.inertia_ == inertia


@METHODS
def test_rows_without_weight_are_not_chosen(init: str) -> None:
    X, _ = points(0, n=200)
    weights = np.random.default_rng(1).uniform(size=200)
    weights[::2] = 0
    for seed in range(20):
        chosen = KMeans(10, init=init, n_init=1, max_iter=1, random_state=seed)
        chosen.fit(X, sample_weight=np.where(weights > 0, weights, 0))
        without = KMeans(10, init=init, n_init=1, max_iter=1, random_state=seed)
        without.fit(X[1::2], sample_weight=weights[1::2])
        np.testing.assert_array_equal(chosen.cluster_centers_, without.cluster_centers_)


def test_k_means_plus_plus_draws_by_weight() -> None:
    X, _ = points(0)
    heavy = np.ones(60)
    heavy[7] = 1e9
    for seed in range(10):
        centers, rows = kmeans_plusplus(X, 4, sample_weight=heavy, random_state=seed)
        assert rows[0] == 7 and len(set(rows.tolist())) == 4
        np.testing.assert_array_equal(centers, X[rows])


@METHODS
def test_sparse_and_dense_rows_are_drawn_alike(init: str) -> None:
    X, weights = points(3)
    X[X < 0] = 0
    dense = KMeans(5, init=init, random_state=0).fit(X, sample_weight=weights)
    sparse = KMeans(5, init=init, random_state=0)
    sparse.fit(scipy.sparse.csr_array(X), sample_weight=weights)
    np.testing.assert_array_equal(dense.labels_, sparse.labels_)


def test_weights_of_partial_fits_are_counted() -> None:
    X, weights = points(0)
    model = MiniBatchKMeans(3, init=X[:3], reassignment_ratio=0)
    model.partial_fit(X, sample_weight=weights).partial_fit(X)
    assert model.counts_.sum() == weights.sum() + 60


def test_an_empty_cluster_takes_no_row_without_weight() -> None:
    X = np.array([[0.0], [1.0], [5.0], [50.0]])
    model = KMeans(2, init=[[0.0], [999.0]], n_init=1, max_iter=1)
    model.fit(X, sample_weight=[1.0, 1.0, 2.5, 0.0])
    assert model.cluster_centers_.ravel().tolist() == [0.5, 5.0]
