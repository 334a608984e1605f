"""Programs that use scikit-learn work by a change of one import line."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse

pytest.importorskip("sklearn")

import sklearn
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from centroids.sklearn import KMeans, MiniBatchKMeans, kmeans_plusplus

BOTH = pytest.mark.parametrize("kind", [KMeans, MiniBatchKMeans])


def points(n: int = 120, d: int = 3) -> Any:
    random = np.random.default_rng(0)
    return random.normal(size=(n, d)) + 20 * random.integers(4, size=(n, 1))


def predicted_elsewhere(model: Any, X: Any) -> Any:
    return model.predict(X)


def test_a_pipeline_with_a_grid_search_saved_and_with_frames(tmp_path: Path) -> None:
    X = pd.DataFrame(points(), columns=["a", "b", "c"])
    pipeline = make_pipeline(StandardScaler(), KMeans(random_state=0))
    pipeline.set_output(transform="pandas")
    search = GridSearchCV(pipeline, {"kmeans__n_clusters": [2, 4]}, cv=3).fit(X)
    assert search.best_params_ == {"kmeans__n_clusters": 4}
    joblib.dump(search, tmp_path / "search.joblib")
    distances = joblib.load(tmp_path / "search.joblib").transform(X)
    assert list(distances.columns) == ["kmeans0", "kmeans1", "kmeans2", "kmeans3"]
    np.testing.assert_array_equal(distances.to_numpy().argmin(axis=1), search.predict(X))


@BOTH
def test_models_travel_between_processes_and_copies_fit_alike(kind: Any) -> None:
    X = points()
    model = kind(4, random_state=3, metric="cosine").fit(X)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.labels_)
    fresh = clone(model)
    assert not hasattr(fresh, "cluster_centers_") and fresh.metric == "cosine"
    np.testing.assert_array_equal(fresh.fit(X).cluster_centers_, model.cluster_centers_)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        labels = pool.apply(predicted_elsewhere, (model, X))
    np.testing.assert_array_equal(labels, model.labels_)


@BOTH
def test_a_random_state_repeats_a_fit(kind: Any) -> None:
    X = points()

    def centers(random_state: Any) -> Any:
        return kind(4, init="random", random_state=random_state).fit(X).cluster_centers_

    np.testing.assert_array_equal(centers(7), centers(7))
    np.testing.assert_array_equal(centers(7), centers(np.random.RandomState(7)))
    shared = np.random.RandomState(7)
    first, second = centers(shared), centers(shared)  # it moves on
    np.testing.assert_array_equal(first, centers(7))
    assert (first != second).any()
    np.random.seed(7)
    np.testing.assert_array_equal(centers(None), first)


@BOTH
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pa.table])
def test_tables_keep_their_names(kind: Any, frame: Any) -> None:
    if frame is pl.DataFrame and sklearn.__version__.startswith("1.5."):
        pytest.skip("scikit-learn 1.5 knows no names of today's polars")
    X = points()
    table = frame({name: X[:, i] for i, name in enumerate("abc")})
    model = kind(4, random_state=0).fit(table)
    np.testing.assert_array_equal(model.labels_, kind(4, random_state=0).fit(X).labels_)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(model.predict(table), model.labels_)
    other = frame({name: X[:, i] for i, name in enumerate("acb")})
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(other)


def test_frames_come_out_as_frames() -> None:
    X = points()
    for wanted, kind in (("pandas", pd.DataFrame), ("polars", pl.DataFrame)):
        out = KMeans(4).set_output(transform=wanted).fit_transform(X)
        assert isinstance(out, kind) and list(out.columns) == [f"kmeans{i}" for i in range(4)]


def test_nullable_columns_count_as_numbers_and_a_missing_one_is_an_error() -> None:
    X = pd.DataFrame({"a": pd.array([1, 2, 9, 9], "Int64"), "b": pd.array([1.0, 1, 3, 3])})
    model = KMeans(2, random_state=0).fit(X)
    assert model.labels_[0] == model.labels_[1] != model.labels_[2] == model.labels_[3]
    X.loc[1, "a"] = pd.NA
    with pytest.raises(ValueError, match="NaN"):
        KMeans(2).fit(X)


def test_a_categorical_column_is_refused_by_name() -> None:
    X = pd.DataFrame({"size": [1.0, 2.0, 3.0], "year": pd.Categorical([2020, 2021, 2020])})
    with pytest.raises(TypeError, match="year"):
        KMeans(2).fit(X)


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_columns_of_text_are_refused_by_name(kind: Any) -> None:
    X = kind({"size": [1.0, 2.0, 3.0], "colour": ["red", "blue", "red"]})
    with pytest.raises((TypeError, ValueError), match="colour"):
        KMeans(2).fit(X)


def test_tensors_of_torch_are_taken_also_those_that_require_grad() -> None:
    torch = pytest.importorskip("torch")
    X = points().astype(np.float32)
    tensor = torch.tensor(X, requires_grad=True)
    model = KMeans(4, random_state=0).fit(tensor, sample_weight=torch.ones(len(X)))
    np.testing.assert_array_equal(model.labels_, KMeans(4, random_state=0).fit(X).labels_)
    np.testing.assert_array_equal(model.predict(tensor), model.labels_)


@pytest.mark.parametrize("dtype", [np.float16, np.uint8, np.int32])
def test_narrow_types_are_computed_in_place(dtype: Any) -> None:
    X = (points() * 2 + 9).clip(0, 250).astype(dtype)
    before = X.copy()
    model = KMeans(4, init=X[:4]).fit(X)
    wide = KMeans(4, init=X[:4]).fit(X.astype(np.float64))
    np.testing.assert_array_equal(model.labels_, wide.labels_)
    assert model.cluster_centers_.dtype == (np.float32 if dtype == np.float16 else np.float64)
    np.testing.assert_allclose(model.cluster_centers_, wide.cluster_centers_, rtol=1e-6)
    np.testing.assert_array_equal(X, before)


@BOTH
def test_cosine_clusters_directions(kind: Any) -> None:
    random = np.random.default_rng(0)
    angles = np.repeat([0.1, 1.5, 3.0], 40) + random.normal(size=120) * 0.05
    X = np.column_stack([np.cos(angles), np.sin(angles)]) * random.uniform(0.1, 99, (120, 1))
    model = kind(3, metric="cosine", random_state=0, n_init=3).fit(X)
    truth = np.repeat([0, 1, 2], 40)
    assert len({(a, b) for a, b in zip(model.labels_, truth, strict=True)}) == 3
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    centers = model.cluster_centers_ / np.linalg.norm(model.cluster_centers_, axis=1, keepdims=True)
    np.testing.assert_allclose(model.transform(X), 1 - unit @ centers.T, atol=1e-12)
    nearest = (1 - unit @ centers.T).min(axis=1).sum()
    assert model.inertia_ == pytest.approx(nearest) == -model.score(X)


def test_metadata_is_routed() -> None:
    X, weights = points(), np.linspace(0, 2, 120)
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        step = KMeans(4, random_state=0).set_fit_request(sample_weight=True)
        pipeline = make_pipeline(scaler, step).fit(X, sample_weight=weights)
    alone = KMeans(4, random_state=0).fit(StandardScaler().fit_transform(X), sample_weight=weights)
    np.testing.assert_array_equal(pipeline[-1].cluster_centers_, alone.cluster_centers_)


def test_mini_batches_can_be_given_one_by_one() -> None:
    X = points()
    model = MiniBatchKMeans(4, init=X[:4], reassignment_ratio=0)
    for at in range(0, 120, 30):
        model.partial_fit(X[at : at + 30])
    assert model.n_steps_ == 4 and model.counts_.sum() == 120
    assert len(model.labels_) == 30


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: KMeans(4).fit(points(3)), r"n_samples=3 should be >= n_clusters=4"),
        (lambda: KMeans(4).fit(points()[:, 0]), "Expected 2D array, got 1D array"),
        (lambda: KMeans(4).fit(np.empty((0, 3))), "0 sample"),
        (lambda: KMeans(4).fit(points() * 1j), "Complex data not supported"),
        (lambda: KMeans(2).fit([["a"], ["b"]]), "could not convert string"),
        (lambda: KMeans(4).fit(np.where(points() > 60, np.nan, points())), "NaN"),
        (lambda: KMeans(4).fit(points()).predict(points(d=2)), "expecting 3 features"),
        (lambda: KMeans(0).fit(points()), "'n_clusters' parameter of KMeans must be"),
        (lambda: KMeans(metric="l1").fit(points()), "'metric' parameter of KMeans must be"),
        (lambda: KMeans(4, init=points(3)).fit(points()), "does not match the number of clusters"),
        (lambda: KMeans(4).fit(points(), sample_weight=[1.0]), r"expected \(120,\)"),
        (lambda: KMeans(4).fit(points(), sample_weight=[1.0] * 119 + [-1]), "-1.0 at row 119"),
        (lambda: KMeans(4).fit(points(), sample_weight=[np.nan] + [1.0] * 119), "nan at row 0"),
        (lambda: KMeans(4).fit(points(), sample_weight=[0.0] * 120), "not zero"),
        (lambda: KMeans(4).fit(points(), sample_weight=[1j] * 120), "Complex data not supported"),
        (lambda: KMeans(4).fit(points(), sample_weight=np.array(1.0)), r"shape == \(\)"),
        (lambda: kmeans_plusplus(points(3), 4), "n_samples=3 should be >= n_clusters=4"),
    ],
)
def test_bad_input_is_an_error_that_says_so(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@BOTH
def test_sparse_weights_are_refused_by_name(kind: Any) -> None:
    with pytest.raises(TypeError, match="sample_weight must be dense"):
        kind(4).fit(points(), sample_weight=scipy.sparse.csr_array(np.ones((1, 120))))


def test_any_integer_is_a_number_of_clusters() -> None:
    for one in (True, np.int8(1)):
        assert KMeans(one, init=points(1)).fit(points()).cluster_centers_.shape == (1, 3)


@BOTH
@pytest.mark.parametrize("method", ["predict", "transform", "score"])
def test_before_a_fit_nothing_is_answered(kind: Any, method: str) -> None:
    with pytest.raises(NotFittedError):
        getattr(kind(), method)(points())


def test_without_scikit_learn_the_error_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import centroids\n"
        "try:\n    import centroids.sklearn\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'centroids[sklearn]'" in done.stdout


def exported(array: Any, method: str) -> Any:
    """An object that has no other method than the one of the protocol."""
    calls = {method: lambda _, *args, **options: getattr(array, method)(*args, **options)}
    if method == "__dlpack__":
        calls["__dlpack_device__"] = lambda _: array.__dlpack_device__()
    return type("Exported", (), calls)()


@pytest.mark.parametrize("method", ["__array__", "__dlpack__", "__arrow_c_stream__"])
def test_what_has_a_protocol_for_arrays_is_taken(method: str) -> None:
    X = points()
    source = pa.table(list(X.T), names=["a", "b", "c"]) if method == "__arrow_c_stream__" else X
    model = KMeans(4, random_state=0).fit(exported(source, method))
    np.testing.assert_array_equal(model.labels_, KMeans(4, random_state=0).fit(X).labels_)
    np.testing.assert_array_equal(model.predict(exported(source, method)), model.labels_)
