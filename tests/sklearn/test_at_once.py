"""Many small steps in one call give the bits of steps one by one, and draw the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from centroids.sklearn import MiniBatchKMeans

ONE_BY_ONE = "centroids.sklearn._mini_batch.MOST_STEPS_AT_ONCE"


def points(n: int = 3000) -> Any:
    random = np.random.default_rng(0)
    places = random.normal(size=(6, 5)) * 4
    return places[random.integers(0, 6, n)] + random.normal(size=(n, 5))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many steps each call of many was to make."""
    from centroids.sklearn import _mini_batch

    seen: list[int] = []
    whole = _mini_batch.mini_batch_updates

    def watched(state: Any, batches: Any) -> Any:
        seen.append(len(batches))
        return whole(state, batches)

    monkeypatch.setattr(_mini_batch, "mini_batch_updates", watched)
    return seen


def fitted(X: Any, weights: Any = None, **arguments: Any) -> tuple[Any, Any]:
    random = np.random.RandomState(7)
    model = MiniBatchKMeans(random_state=random, **arguments).fit(X, sample_weight=weights)
    return model, random.randint(1 << 31, size=3).tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int32])
@pytest.mark.parametrize(
    ("arguments", "most_calls"),
    [
        ({"n_clusters": 6, "batch_size": 64}, 16),
        ({"n_clusters": 6, "batch_size": 40, "max_no_improvement": 1}, 16),
        ({"n_clusters": 6, "batch_size": 40, "max_no_improvement": None, "max_iter": 3}, 16),
        ({"n_clusters": 6, "batch_size": 64, "reassignment_ratio": 0.0}, 16),
        ({"n_clusters": 9, "batch_size": 32, "reassignment_ratio": 0.1}, 16),
        ({"n_clusters": 40, "batch_size": 32, "reassignment_ratio": 0.3}, 0),
        ({"n_clusters": 6, "batch_size": 64, "tol": 1e-3}, 0),
        ({"n_clusters": 6, "batch_size": 64, "metric": "cosine"}, 0),
        ({"n_clusters": 6, "batch_size": 64, "verbose": 1}, 0),
    ],
)
def test_a_fit_is_that_of_single_steps(
    arguments: dict[str, Any],
    most_calls: int,
    dtype: Any,
    calls: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X = (points() * 20).astype(dtype)
    model, next_numbers = fitted(X, **arguments)
    assert max(calls, default=0) == most_calls
    calls.clear()
    monkeypatch.setattr(ONE_BY_ONE, 1)
    single, expected_numbers = fitted(X, **arguments)
    assert not calls
    assert next_numbers == expected_numbers
    assert (model.n_steps_, model.n_iter_) == (single.n_steps_, single.n_iter_)
    assert model.inertia_ == single.inertia_
    for name in ("cluster_centers_", "counts_", "labels_"):
        np.testing.assert_array_equal(getattr(model, name), getattr(single, name), strict=True)


def test_rows_drawn_by_weights_too(calls: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    X, weights = points(), np.random.default_rng(1).random(3000)
    model, _ = fitted(X, weights, n_clusters=6, batch_size=64)
    assert max(calls) == 16
    monkeypatch.setattr(ONE_BY_ONE, 1)
    single, _ = fitted(X, weights, n_clusters=6, batch_size=64)
    np.testing.assert_array_equal(model.cluster_centers_, single.cluster_centers_)


def test_no_center_stays_far_away(calls: list[int]) -> None:
    """A center that no batch finds is moved, however many steps could be made at once."""
    X = points()
    init = np.vstack([X[:5], np.full((1, 5), 1e4)])
    model, _ = fitted(X, n_clusters=6, batch_size=64, init=init)
    assert calls and np.abs(model.cluster_centers_).max() < 100
    assert np.bincount(model.labels_, minlength=6).min() > 0


def test_sparse_rows_come_one_by_one(calls: list[int]) -> None:
    import scipy.sparse

    fitted(scipy.sparse.csr_array(points()), n_clusters=6, batch_size=64)
    assert not calls


@pytest.mark.parametrize("method", ["predict", "transform", "score"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_in_scikit_learns_words(method: str, value: float) -> None:
    X = points()
    model, _ = fitted(X, n_clusters=6, batch_size=64)
    X[70, 2] = value
    with pytest.raises(ValueError, match=r"Input X? ?contains (NaN|infinity)"):
        getattr(model, method)(X)


def test_distances_that_overflow_are_refused() -> None:
    X = points()
    model, _ = fitted(X, n_clusters=6, batch_size=64)
    X[70, 2] = 1e300
    with pytest.raises(ValueError, match="squared distances overflow float64 at row 70"):
        model.predict(X)
