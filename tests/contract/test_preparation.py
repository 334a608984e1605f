"""Missing values and standardized columns as parts of the model, next to scikit-learn's."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import centroids
from centroids import KMeansClustering, RunConfig
from centroids.inputs import limit_epochs, numpy_input_fn

impute = pytest.importorskip("sklearn.impute")
preprocessing = pytest.importorskip("sklearn.preprocessing")
pandas = pytest.importorskip("pandas")

RANDOM = np.random.default_rng(8)
COMPLETE = RANDOM.normal(size=(300, 4)) * [1, 1000, 0.01, 1] + [0, 1e6, 0, -5]
POINTS = np.where(RANDOM.random(COMPLETE.shape) < 0.1, np.nan, COMPLETE)
WHOLE = ~np.isnan(POINTS).any(axis=1)
START = COMPLETE[:5]
MODES: list[dict[str, Any]] = [
    {"use_mini_batch": False},
    {"use_mini_batch": True},
    {"use_mini_batch": True, "mini_batch_steps_per_iteration": 2},
]
OPTIONS: list[dict[str, Any]] = [
    {"missing": "mean"},
    {"missing": "mean", "standardize": True},
    {"missing": "drop", "standardize": True},
    {"missing": "drop"},
]


def source(points: Any = POINTS, epochs: int = 2) -> Callable[[], Any]:
    return numpy_input_fn(points, batch_size=60, num_epochs=epochs, shuffle=False)


def repeated(points: Any, epochs: int) -> Callable[[], Any]:
    return lambda: limit_epochs(points, epochs)


def once(points: Any = POINTS) -> Callable[[], Any]:
    return numpy_input_fn(points, batch_size=77, num_epochs=1, shuffle=False)


def make(tmp_path: Path, name: str = "model", **arguments: Any) -> KMeansClustering:
    return KMeansClustering(5, str(tmp_path / name), **{"initial_clusters": START, **arguments})


def prepared_by_scikit_learn(
    points: np.ndarray, weights: Any = None, *, missing: str = "mean", standardize: bool = False
) -> tuple[Any, np.ndarray]:
    """A function that prepares points, and the rows that are trained on."""
    rows = np.ones(len(points), bool) if missing == "mean" else ~np.isnan(points).any(axis=1)
    kept = points[rows]
    wide = None if weights is None else weights[rows]
    scaler = preprocessing.StandardScaler().fit(kept, sample_weight=wide)
    filler = impute.SimpleImputer().fit(scaler.transform(kept) if standardize else kept)
    if standardize:
        filler.statistics_[:] = 0  # the weighted mean; of what is scaled it is 0

    def prepare(rows: np.ndarray) -> np.ndarray:
        return np.asarray(filler.transform(scaler.transform(rows) if standardize else rows))

    return (prepare if missing == "mean" else scaler.transform if standardize else np.asarray), rows


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_training_is_that_of_points_that_scikit_learn_prepared(
    mode: dict[str, Any], options: dict[str, Any], tmp_path: Path
) -> None:
    prepare, rows = prepared_by_scikit_learn(POINTS, **options)
    kept = prepare(POINTS)[rows]
    batches = [slice(0, None)] * 6
    if mode["use_mini_batch"]:
        parts = [rows[start : start + 60].sum() for start in range(0, 300, 60)]
        ends = np.cumsum([0, *parts])
        batches = [slice(*ends[i : i + 2]) for i in range(5)] * 2
    ours = make(tmp_path, **mode, **options)
    ours.train(source() if mode["use_mini_batch"] else repeated(POINTS, 6))
    theirs = make(tmp_path, "plain", **mode, initial_clusters=prepare(START))
    theirs.train(lambda: iter([kept[batch] for batch in batches]))
    np.testing.assert_allclose(
        ours.get_variable_value("clusters"), theirs.cluster_centers(), rtol=1e-9, atol=1e-9
    )
    expected = theirs.cluster_centers()
    if options.get("standardize"):
        scaler = preprocessing.StandardScaler().fit(POINTS[rows])
        expected = scaler.inverse_transform(expected)
    np.testing.assert_allclose(ours.cluster_centers(), expected, rtol=1e-9)
    result = ours.evaluate(once())
    plain = theirs.evaluate(once(kept))
    assert result["num_examples"] == rows.sum()
    np.testing.assert_allclose(result["mean_distance"], plain["mean_distance"], rtol=1e-9)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_each_row_has_a_prediction_in_its_place(options: dict[str, Any], tmp_path: Path) -> None:
    prepare, rows = prepared_by_scikit_learn(POINTS, **options)
    model = make(tmp_path, use_mini_batch=False, **options).train(repeated(POINTS, 4))
    index = np.array(list(model.predict_cluster_index(once())))
    distances = np.array(list(model.transform(once())))
    centers = model.get_variable_value("clusters")
    expected = ((prepare(POINTS)[:, None] - centers) ** 2).sum(axis=2)
    assert (index[~rows] == -1).all() and np.isnan(distances[~rows]).all()
    np.testing.assert_array_equal(index[rows], expected[rows].argmin(axis=1))
    np.testing.assert_allclose(distances[rows], expected[rows], rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("mode", MODES[:2], ids=str)
def test_weights_count_in_means_and_scales(mode: dict[str, Any], tmp_path: Path) -> None:
    weights = RANDOM.integers(0, 4, len(POINTS)).astype(float)
    features = {"n": weights, "x": POINTS}
    model = make(tmp_path, **mode, missing="mean", standardize=True, weight_column="n")
    model.train(source(features) if mode["use_mini_batch"] else lambda: features, steps=2)
    scaler = preprocessing.StandardScaler().fit(POINTS, sample_weight=weights)
    np.testing.assert_allclose(model.get_variable_value("column_means"), scaler.mean_, rtol=1e-12)
    np.testing.assert_allclose(model.get_variable_value("column_scales"), scaler.scale_, rtol=1e-12)
    other = make(tmp_path, "repeated", **mode, missing="mean", standardize=True)
    rows = np.repeat(POINTS, weights.astype(int), axis=0)
    other.train(source(rows) if mode["use_mini_batch"] else lambda: rows, steps=2)
    for name in ("column_means", "column_scales"):
        np.testing.assert_array_equal(
            model.get_variable_value(name), other.get_variable_value(name)
        )


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("initial", ["given", "random", "kmeans_plus_plus"])
def test_an_interrupted_run_ends_with_the_bits_of_another(
    mode: dict[str, Any], initial: str, tmp_path: Path
) -> None:
    arguments: dict[str, Any] = {**mode, "missing": "mean", "standardize": True}
    if initial != "given":
        arguments["initial_clusters"] = initial
    whole = make(tmp_path, "whole", **arguments).train(source(), steps=6)
    for _ in range(6):
        parts = make(tmp_path, "parts", **arguments).train(source(), steps=1)
    for name in whole.get_variable_names():
        np.testing.assert_array_equal(
            whole.get_variable_value(name), parts.get_variable_value(name)
        )


def test_means_do_not_depend_on_the_order_or_the_batches(tmp_path: Path) -> None:
    variables = []
    for number, (points, size) in enumerate(
        itertools.product((POINTS, POINTS[::-1]), (7, 60, 300))
    ):
        model = make(tmp_path, str(number), missing="mean", standardize=True)
        model.train(numpy_input_fn(points, batch_size=size, num_epochs=None, shuffle=True), steps=1)
        variables.append(model.get_variable_value(["column_means", "column_scales"]))
    for found in variables[1:]:
        np.testing.assert_array_equal(found, variables[0])


def test_later_calls_keep_the_means_of_the_first(tmp_path: Path) -> None:
    model = make(tmp_path, missing="mean", standardize=True).train(source(), steps=2)
    before = model.get_variable_value(["column_means", "column_scales"])
    model.train(source(POINTS * 2), steps=2, restart_input=True)
    np.testing.assert_array_equal(
        model.get_variable_value(["column_means", "column_scales"]), before
    )


def test_given_centers_and_a_warm_start_are_in_the_units_of_the_points(tmp_path: Path) -> None:
    nothing = {"use_mini_batch": False}
    first = make(tmp_path, "first", **nothing, standardize=True).train(repeated(COMPLETE, 3))
    far = COMPLETE * 10
    for options in ({}, {"standardize": True}):
        given = make(
            tmp_path,
            f"given {options}",
            **nothing,
            **options,
            initial_clusters=first.cluster_centers(),
        ).train(lambda: far, steps=1)
        warm = make(
            tmp_path, f"warm {options}", **nothing, **options, warm_start_from=first.model_dir
        ).train(lambda: far, steps=1)
        np.testing.assert_array_equal(warm.cluster_centers(), given.cluster_centers())


def test_a_constant_column_and_one_without_values(tmp_path: Path) -> None:
    points = np.column_stack([COMPLETE[:, 0], np.full(300, 7.0)])
    model = make(tmp_path, initial_clusters=points[:5], use_mini_batch=False, standardize=True)
    model.train(lambda: points, steps=2)
    assert model.get_variable_value("column_scales")[1] == 1
    assert (model.cluster_centers()[:, 1] == 7).all()
    empty = pandas.DataFrame({"a": COMPLETE[:, 0], "b": np.full(300, np.nan)})
    model = make(tmp_path, "empty", initial_clusters="random", missing="mean")
    with pytest.raises(ValueError, match="column 'b' has no value in any row that counts"):
        model.train(lambda: iter([empty]))
    assert not (tmp_path / "empty").exists()


def test_what_was_dropped_is_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = make(tmp_path, missing="drop", use_mini_batch=False)
    with caplog.at_level(logging.WARNING, "centroids.inputs"):
        model.train(numpy_input_fn(POINTS, batch_size=300, shuffle=False))
    row, column = np.argwhere(np.isnan(POINTS))[0]
    assert f"the first one is x, row {row}, column {column}" in caplog.text
    assert f"Dropped {(~WHOLE).sum()} of 300 rows of the input" in caplog.text
    nothing = make(tmp_path, "nothing", missing="drop")
    with pytest.raises(ValueError, match="all 5 rows of the input have missing values"):
        nothing.train(lambda: iter([np.full((5, 2), np.nan)]))


def test_without_an_answer_missing_values_are_errors(tmp_path: Path) -> None:
    row, column = np.argwhere(np.isnan(POINTS))[0]
    with pytest.raises(ValueError, match=f"got nan in x, row {row}, column {column}"):
        make(tmp_path, "raise", standardize=True).train(source())
    model = make(tmp_path, standardize=True).train(source(COMPLETE))
    with pytest.raises(ValueError, match=f"got nan in x, row {row}, column {column}"):
        list(model.predict_cluster_index(once()))
    infinite = COMPLETE.copy()
    infinite[7, 2] = np.inf
    for number, options in enumerate(OPTIONS):
        with pytest.raises(ValueError, match="got inf in x, row 7, column 2"):
            make(tmp_path, f"infinite {number}", **options).train(source(infinite))


def test_bad_rows_of_a_source_are_others_than_missing_values(tmp_path: Path) -> None:
    points = POINTS.copy()
    points[3] = np.inf
    reading = numpy_input_fn(points, batch_size=300, num_epochs=3, shuffle=False, bad_rows="drop")
    arguments: dict[str, Any] = {"use_mini_batch": False, "missing": "mean"}
    ours = make(tmp_path, "ours", **arguments).train(reading)
    theirs = make(tmp_path, "theirs", **arguments)
    theirs.train(repeated(np.delete(points, 3, axis=0), 3))
    np.testing.assert_array_equal(ours.cluster_centers(), theirs.cluster_centers())


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.int64])
def test_other_types_keep_theirs(dtype: Any, tmp_path: Path) -> None:
    points = COMPLETE[:, :1].astype(np.float32) * 100
    points = points.astype(dtype)
    model = make(tmp_path, initial_clusters=points[:5], standardize=True).train(source(points))
    wide = np.float64 if dtype is np.int64 else np.float32
    assert model.cluster_centers().dtype == wide
    low, high = points.min(), points.max()
    assert (low <= model.cluster_centers()).all() and (model.cluster_centers() <= high).all()


def test_inputs_that_cannot_be_fitted(tmp_path: Path) -> None:
    model = make(tmp_path, standardize=True)
    with pytest.raises(ValueError, match="nobody knows where a pass ends"):
        model.train(lambda: COMPLETE, steps=2)
    same = iter([COMPLETE])
    with pytest.raises(ValueError, match="the same iterator each time"):
        make(tmp_path, "same", standardize=True).train(lambda: same)
    sparse = scipy.sparse.csr_array(COMPLETE)
    with pytest.raises(TypeError, match="sparse points cannot be standardized"):
        make(tmp_path, "sparse", standardize=True).train(lambda: iter([sparse]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("given", [{"steps": 3}, {"max_steps": 3}])
def test_an_endless_generator_is_fitted_to_the_batches_of_the_call(
    given: dict[str, int], tmp_path: Path
) -> None:
    parts = np.split(POINTS, 5)
    model = make(tmp_path, missing="mean").train(lambda: itertools.cycle(parts), **given)
    seen = np.concatenate(parts[:3])
    np.testing.assert_allclose(
        model.get_variable_value("column_means"), np.nanmean(seen, axis=0), rtol=1e-12
    )
    short = make(tmp_path, "short", missing="mean").train(lambda: iter(parts[:2]), **given)
    np.testing.assert_allclose(
        short.get_variable_value("column_means"),
        np.nanmean(np.concatenate(parts[:2]), axis=0),
        rtol=1e-12,
    )


def test_an_iterator_that_may_have_no_end_is_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from centroids.estimator import _training

    monkeypatch.setattr(_training, "_MANY_BATCHES", 3)
    with caplog.at_level(logging.WARNING, "centroids.estimator"):
        make(tmp_path, missing="mean").train(lambda: iter(np.split(POINTS, 5)))
    assert "has taken 3 batches; if the input has no end" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, "centroids.estimator"):
        make(tmp_path, "source", missing="mean").train(source())
    assert "has no end" not in caplog.text


def test_sparse_rows_with_missing_values_can_be_dropped(tmp_path: Path) -> None:
    sparse = scipy.sparse.csr_array(POINTS)
    arguments: dict[str, Any] = {"missing": "drop", "use_mini_batch": False}
    ours = make(tmp_path, "sparse", **arguments).train(repeated(sparse, 3))
    dense = make(tmp_path, "dense", **arguments).train(repeated(POINTS, 3))
    np.testing.assert_allclose(ours.cluster_centers(), dense.cluster_centers(), rtol=1e-12)
    index = [
        list(model.predict_cluster_index(once(points)))
        for model, points in ((ours, sparse), (dense, POINTS))
    ]
    assert index[0] == index[1]


def test_a_model_of_other_settings_is_refused(tmp_path: Path) -> None:
    make(tmp_path, standardize=True).train(source(COMPLETE))
    with pytest.raises(ValueError, match="standardize is 'True' there and not set here"):
        list(make(tmp_path).predict_cluster_index(once(COMPLETE)))
    with pytest.raises(ValueError, match="missing is not set there and 'mean' here"):
        make(tmp_path, standardize=True, missing="mean").train(source(COMPLETE))


def test_models_without_it_are_what_they_were(tmp_path: Path) -> None:
    model = make(tmp_path).train(source(COMPLETE))
    assert not {"missing", "standardize"} & set(model.params)
    assert not {"column_means", "column_scales"} & set(model.get_variable_names())
    with pytest.raises(ValueError, match="missing must be one of 'raise', 'drop', 'mean'"):
        make(tmp_path, "typo", missing="median")
    with pytest.raises(ValueError, match="standardize must be True or False"):
        make(tmp_path, "typo", standardize=1)


def test_a_callable_is_shown_prepared_points(tmp_path: Path) -> None:
    seen = []

    def choose(points: Any, remaining: int) -> Any:
        seen.append(points)
        return points[:remaining]

    make(tmp_path, initial_clusters=choose, missing="mean", standardize=True).train(source())
    assert abs(np.concatenate(seen)).max() < 10


def test_checkpoints_have_no_more_than_they_need(tmp_path: Path) -> None:
    config = RunConfig(save_summary_steps=None)
    model = make(tmp_path, missing="mean", config=config).train(source(), steps=1)
    assert "column_scales" not in model.get_variable_names()
    np.testing.assert_allclose(
        model.get_variable_value("column_means"), np.nanmean(POINTS, axis=0), rtol=1e-12
    )
    assert centroids.KMeansClustering(
        5, str(tmp_path / "model"), missing="mean"
    ).cluster_centers().shape == (5, 4)
