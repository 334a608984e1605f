"""What a program sees besides its results: where warnings point, types, odd arguments."""

from __future__ import annotations

import inspect
import warnings
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sklearn")

from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from centroids.sklearn import KMeans, MiniBatchKMeans, kmeans_plusplus

BOTH = pytest.mark.parametrize("kind", [KMeans, MiniBatchKMeans])


def points(n: int = 40) -> Any:
    return np.random.default_rng(0).normal(size=(n, 3))


@pytest.mark.parametrize("method", ["fit", "fit_predict", "fit_transform"])
@pytest.mark.parametrize(
    ("model", "X", "category"),
    [
        (KMeans(3), np.repeat(points(2), 20, axis=0), ConvergenceWarning),
        (KMeans(3, init=points(3), n_init=2), points(), RuntimeWarning),
        (KMeans(1, algorithm="elkan"), points(), RuntimeWarning),
        (MiniBatchKMeans(3, init_size=2), points(), RuntimeWarning),
        (
            make_pipeline(StandardScaler(), MiniBatchKMeans(3, init_size=2)),
            points(),
            RuntimeWarning,
        ),
    ],
)
def test_warnings_point_at_the_line_that_calls(
    model: Any, X: Any, category: type[Warning], method: str
) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        frame = inspect.currentframe()
        assert frame is not None
        line = frame.f_lineno + 1
        getattr(model, method)(X)
    assert [(w.category, w.filename, w.lineno) for w in seen] == [(category, __file__, line)]


def test_numbers_in_columns_of_objects_count_as_numbers() -> None:
    X = points()
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = KMeans(3, random_state=0).fit(frame.astype(object))
    np.testing.assert_array_equal(model.labels_, KMeans(3, random_state=0).fit(X).labels_)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    frame["d"] = [Decimal(1), 2, np.float32(3), np.int8(4), True] * 8
    assert KMeans(3).fit(frame).cluster_centers_.shape == (3, 4)
    frame["d"] = [1.0] * 39 + ["many"]
    with pytest.raises(TypeError, match=r"column 'd' holds 'many' \(str\)"):
        KMeans(3).fit(frame)
    frame["d"] = [1, None] * 20
    with pytest.raises(ValueError, match="NaN"):
        KMeans(3).fit(frame.astype(object))


@BOTH
def test_any_integer_is_taken_for_a_number(kind: Any) -> None:
    X = points()
    model = kind(np.int8(3), max_iter=np.int8(100), n_init=np.int8(2), random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of an overflow
        model.fit(X)
    assert model.cluster_centers_.shape == (3, 3)
    assert kind(True, random_state=0).fit(X).cluster_centers_.shape == (1, 3)
    assert type(model._n_features_out) is int


def test_the_inertia_without_labels_is_a_number_of_numpy() -> None:
    assert isinstance(MiniBatchKMeans(3, compute_labels=False).fit(points()).inertia_, np.float64)


@pytest.mark.parametrize(
    ("norms", "message"),
    [
        ([np.nan] * 40, "Input contains NaN"),
        ([np.inf] * 40, "Input contains infinity"),
        (["a"] * 40, "could not convert string to float"),
        (np.full(40, 1j), "Complex data not supported"),
        ([1.0] * 39, "length of x_squared_norms 39 should be equal"),
    ],
)
def test_squared_norms_are_checked(norms: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kmeans_plusplus(points(), 3, x_squared_norms=norms)


@pytest.mark.parametrize("ratio", [1, 10, 1e300])
def test_any_share_of_reassignment_is_taken(ratio: float) -> None:
    model = MiniBatchKMeans(3, reassignment_ratio=ratio, random_state=0).fit(points())
    assert np.isfinite(model.cluster_centers_).all() and (model.counts_ >= 0).all()
