"""The reference page's surface: order, defaults, class members, properties and errors."""

from __future__ import annotations

import inspect
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import centroids
from centroids import KMeansClustering

POINTS = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)


def once(points: Any = POINTS) -> Any:
    return lambda: iter([points])


def trained(model_dir: Path | None = None, **arguments: Any) -> KMeansClustering:
    directory = None if model_dir is None else str(model_dir)
    return KMeansClustering(4, model_dir=directory, **arguments).train(once())


def test_arguments_have_the_order_and_defaults_of_the_page() -> None:
    parameters = inspect.signature(KMeansClustering).parameters
    assert {name: p.default for name, p in parameters.items()} == {
        "num_clusters": inspect.Parameter.empty,
        "model_dir": None,
        "initial_clusters": "random",
        "distance_metric": "squared_euclidean",
        "random_seed": 0,
        "use_mini_batch": True,
        "mini_batch_steps_per_iteration": 1,
        "kmeans_plus_plus_num_retries": 2,
        "relative_tolerance": None,
        "config": None,
        "loss_tolerance": None,
        "warm_start_from": None,
        "weight_column": None,
        "num_restarts": 1,
        "empty_clusters": "keep",
        "reassignment_ratio": 0.0,
        "missing": "raise",
        "standardize": False,
    }
    keyword_only = [name for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY]
    assert keyword_only == list(parameters)[10:]  # not on the page


@pytest.mark.parametrize(
    ("method", "names"),
    [
        ("train", ["input_fn", "hooks", "steps", "max_steps", "saving_listeners"]),
        ("evaluate", ["input_fn", "steps", "hooks", "checkpoint_path", "name"]),
        ("predict", ["input_fn", "predict_keys", "hooks", "checkpoint_path"]),
        ("predict_cluster_index", ["input_fn"]),
        ("transform", ["input_fn"]),
        ("score", ["input_fn"]),
        ("cluster_centers", []),
        ("get_variable_names", []),
        ("get_variable_value", ["name"]),
        ("latest_checkpoint", []),
    ],
)
def test_methods_have_the_arguments_of_the_page(method: str, names: list[str]) -> None:
    parameters = list(inspect.signature(getattr(KMeansClustering, method)).parameters)
    assert parameters[1 : len(names) + 1] == names


def test_class_members() -> None:
    assert KMeansClustering.ALL_DISTANCES == "all_distances"
    assert KMeansClustering.CLUSTERS == "clusters"
    assert KMeansClustering.CLUSTER_INDEX == "cluster_index"
    assert KMeansClustering.COSINE_DISTANCE == "cosine"
    assert KMeansClustering.KMEANS_PLUS_PLUS_INIT == "kmeans_plus_plus"
    assert KMeansClustering.KMEANS_PARALLEL_INIT == "kmeans_parallel"
    assert KMeansClustering.KMEANS_REJECTION_INIT == "kmeans_rejection"
    assert KMeansClustering.RANDOM_INIT == "random"
    assert KMeansClustering.SCORE == "score"
    assert KMeansClustering.SQUARED_EUCLIDEAN_DISTANCE == "squared_euclidean"


def test_properties(tmp_path: Path) -> None:
    config = centroids.RunConfig(save_summary_steps=7)
    model = KMeansClustering(4, model_dir=str(tmp_path), config=config)
    assert model.model_dir == str(tmp_path)
    assert model.config.save_summary_steps == 7
    assert model.params["num_clusters"] == 4
    model.params["num_clusters"] = 99
    assert model.params["num_clusters"] == 4
    arguments = list(inspect.signature(model.model_fn).parameters)
    assert arguments == ["features", "labels", "mode", "config"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_clusters": 0}, "num_clusters must be an integer of at least 1; got 0"),
        ({"num_clusters": -3}, "at least 1; got -3"),
        ({"num_clusters": 2.5}, "num_clusters must be an integer of at least 1; got 2.5"),
        ({"num_clusters": "8"}, "num_clusters must be an integer of at least 1; got '8'"),
        ({"num_clusters": True}, "num_clusters must be an integer of at least 1; got True"),
        ({"num_clusters": None}, "num_clusters must be an integer of at least 1; got None"),
        ({"distance_metric": "manhattan"}, "'squared_euclidean', 'cosine'; got 'manhattan'"),
        ({"distance_metric": None}, "distance_metric must be one of"),
        (
            {"initial_clusters": "k-means||"},
            r"'kmeans_parallel', 'kmeans_rejection'; got 'k-means\|\|'",
        ),
        ({"initial_clusters": None}, "initial_clusters must be"),
        ({"initial_clusters": np.zeros(3)}, r"shape \[k, d\]; got ndarray of shape \(3,\)"),
        ({"initial_clusters": [[1.0, np.nan]]}, "got nan at row 0, column 1"),
        ({"initial_clusters": [["a"]]}, "array of numbers"),
        ({"initial_clusters": [[1j]]}, "array of numbers"),
        ({"initial_clusters": [[1.0], [1.0, 2.0]]}, "row 0 has 1 elements, row 1 has 2"),
        ({"random_seed": 1.5}, "random_seed must be an integer; got 1.5"),
        ({"mini_batch_steps_per_iteration": 0}, "at least 1; got 0"),
        ({"kmeans_plus_plus_num_retries": 1.5}, "must be an integer; got 1.5"),
        (
            {"relative_tolerance": -0.1},
            "must be a number of at least 0, or None; got -0.1",
        ),
        ({"relative_tolerance": "small"}, "must be a number of at least 0, or None; got 'small'"),
        ({"relative_tolerance": np.inf}, "relative_tolerance must be finite, or None; got inf"),
        ({"relative_tolerance": np.nan}, "relative_tolerance must be a number of at least 0"),
        ({"relative_tolerance": True}, "relative_tolerance must be a number of at least 0"),
        (
            {"loss_tolerance": -1, "use_mini_batch": False},
            "must be a number of at least 0",
        ),
        ({"loss_tolerance": 1e-4}, "loss_tolerance .* needs use_mini_batch=False"),
        (
            {"loss_tolerance": 1e-4, "use_mini_batch": False, "relative_tolerance": 0.5},
            "relative_tolerance is 0.5 and loss_tolerance is 0.0001, .* give one of them",
        ),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KMeansClustering(**{"num_clusters": 4, **arguments})


def test_use_mini_batch_must_be_a_bool() -> None:
    with pytest.raises(ValueError, match="use_mini_batch must be True or False; got 'no'"):
        KMeansClustering(4, use_mini_batch="no")


def test_initial_centers_set_the_number_of_clusters() -> None:
    model = KMeansClustering(99, initial_clusters=POINTS[:3]).train(once())
    assert model.cluster_centers().shape == (3, 3)
    assert model.params["num_clusters"] == 3


def test_initial_centers_of_sparse_points_may_be_sparse() -> None:
    centers = scipy.sparse.csr_array(POINTS[:3])
    model = KMeansClustering(3, initial_clusters=centers, use_mini_batch=False)
    dense = KMeansClustering(3, initial_clusters=POINTS[:3], use_mini_batch=False)
    for each in (model, dense):
        each.train(once())
    np.testing.assert_array_equal(model.cluster_centers(), dense.cluster_centers())


def test_a_model_shows_its_folder_and_settings(tmp_path: Path) -> None:
    shown = repr(KMeansClustering(4, model_dir=tmp_path, distance_metric="cosine"))
    assert shown.startswith(f"KMeansClustering(model_dir={str(tmp_path)!r}, params={{")
    assert "'num_clusters': 4" in shown and "'distance_metric': 'cosine'" in shown


@pytest.mark.parametrize("arguments", [{"steps": 0}, {"steps": -1}, {"max_steps": 0}])
def test_steps_must_be_positive(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="steps"):
        KMeansClustering(4).train(once(), **arguments)
    if "steps" in arguments:
        with pytest.raises(ValueError, match="steps"):
            trained().evaluate(once(), **arguments)


def test_steps_and_max_steps_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="steps"):
        KMeansClustering(4).train(once(), steps=1, max_steps=1)


def test_without_a_trained_model() -> None:
    model = KMeansClustering(4)
    assert model.latest_checkpoint() is None
    for call in (
        model.cluster_centers,
        model.get_variable_names,
        lambda: model.get_variable_value("clusters"),
        lambda: model.score(once()),
        lambda: model.evaluate(once()),
        lambda: list(model.predict(once())),
        lambda: list(model.transform(once())),
        lambda: list(model.predict_cluster_index(once())),
    ):
        with pytest.raises(ValueError, match=r"(?i)trained|checkpoint"):
            call()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("sparse", [False, True])
def test_bad_values_name_batch_row_and_column(value: float, sparse: bool, tmp_path: Path) -> None:
    bad = POINTS.copy()
    bad[17, 2] = value
    last = scipy.sparse.csr_array(bad) if sparse else bad
    first = scipy.sparse.csr_array(POINTS) if sparse else POINTS
    place = f"got {value} in batch 1, row 17, column 2"
    model = KMeansClustering(4, model_dir=str(tmp_path))
    with pytest.raises(ValueError, match=place):
        model.train(lambda: iter([first, last]))
    model.train(lambda: iter([first]))
    before = model.cluster_centers()
    for call in (
        lambda: list(model.predict_cluster_index(lambda: iter([first, last]))),
        lambda: list(model.transform(lambda: iter([first, last]))),
        lambda: model.evaluate(lambda: iter([first, last])),
        lambda: model.train(lambda: iter([first, last])),
    ):
        with pytest.raises(ValueError, match=place):
            call()
    assert np.isfinite(before).all()
    assert np.isfinite(model.cluster_centers()).all()


def test_a_wrong_width_names_both() -> None:
    model = trained()
    wide = np.zeros((5, 7), np.float32)
    with pytest.raises(ValueError, match=r"7 columns.*3 columns"):
        model.score(once(wide))
    with pytest.raises(ValueError, match=r"7 columns.*3 columns"):
        list(model.transform(once(wide)))
    with pytest.raises(ValueError, match=r"batch 1 .*7 columns.*3 columns"):
        KMeansClustering(4).train(lambda: iter([POINTS, wide]))
    with pytest.raises(ValueError, match=r"3 columns.*2 columns"):
        KMeansClustering(4, initial_clusters=np.eye(2)).train(once())


def test_strings_are_refused() -> None:
    with pytest.raises(TypeError):
        KMeansClustering(2).train(once(np.array([["a", "b"], ["c", "d"]])))


def test_empty_batches_are_skipped() -> None:
    model = KMeansClustering(4).train(lambda: iter([POINTS[:0], POINTS, POINTS[:0]]))
    assert int(model.get_variable_value("global_step")) == 1
    assert model.evaluate(lambda: iter([POINTS[:0], POINTS]))["num_examples"] == 50


@pytest.mark.parametrize("batch", [1, 2, 50])
def test_too_few_points_leave_no_checkpoint(batch: int, tmp_path: Path) -> None:
    few = POINTS[:3]
    model = KMeansClustering(4, model_dir=str(tmp_path))
    with pytest.raises(ValueError, match=r"num_clusters=4.*3 points"):
        model.train(lambda: (few[at : at + batch] for at in range(0, 3, batch)))
    assert model.latest_checkpoint() is None
    with pytest.raises(ValueError, match=r"num_clusters=4.*0 points"):
        model.train(lambda: iter([]))
    assert model.latest_checkpoint() is None


def test_plus_plus_names_both_numbers() -> None:
    model = KMeansClustering(20, initial_clusters="kmeans_plus_plus")
    with pytest.raises(ValueError, match=r"num_clusters=20 .*which has 10"):
        model.train(lambda: iter([POINTS[:10], POINTS]))


def test_a_zero_vector_under_cosine_has_a_defined_result() -> None:
    points = np.vstack([POINTS, np.zeros((2, 3), np.float32)])
    for mini_batch in (False, True):
        model = KMeansClustering(
            4, initial_clusters=POINTS[:4], distance_metric="cosine", use_mini_batch=mini_batch
        ).train(lambda: points, steps=3)
        assert np.isfinite(model.cluster_centers()).all()
        last = list(model.predict(once(points)))[-1]
        assert last["cluster_index"] == 0
        np.testing.assert_allclose(last["all_distances"], 1, rtol=1e-6)


def test_a_model_dir_that_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    with pytest.raises(OSError, match="file"):
        KMeansClustering(4, model_dir=str(path)).train(once())
    assert path.read_text() == "mine"


def test_a_model_dir_of_another_model(tmp_path: Path) -> None:
    trained(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*ckpt*")}
    with pytest.raises(ValueError, match=r"num_clusters is 5, .* has 4 clusters"):
        KMeansClustering(5, model_dir=str(tmp_path)).train(once())
    with pytest.raises(
        ValueError, match=r"(?s)cosine.*squared_euclidean|squared_euclidean.*cosine"
    ):
        KMeansClustering(4, model_dir=str(tmp_path), distance_metric="cosine").score(once())
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*ckpt*")} == before


def test_relative_tolerance_stops_early() -> None:
    straight = KMeansClustering(4, use_mini_batch=False, relative_tolerance=1e-4)
    straight.train(lambda: POINTS, steps=500)
    assert int(straight.get_variable_value("global_step")) < 100
    never = KMeansClustering(4, use_mini_batch=False)
    never.train(lambda: POINTS, steps=60)
    assert int(never.get_variable_value("global_step")) == 60


def test_the_loss_of_full_batches_never_rises() -> None:
    losses = []
    for steps in range(1, 12):
        model = KMeansClustering(4, use_mini_batch=False).train(lambda: POINTS, steps=steps)
        losses.append(model.score(lambda: POINTS))
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in itertools.pairwise(losses))


def test_dict_features_are_joined_in_key_order() -> None:
    features = {"b": POINTS[:, 1:], "a": POINTS[:, 0]}
    joined = KMeansClustering(4, initial_clusters=POINTS[:4]).train(once(features))
    plain = KMeansClustering(4, initial_clusters=POINTS[:4]).train(once())
    np.testing.assert_array_equal(joined.cluster_centers(), plain.cluster_centers())


@pytest.mark.parametrize("mode", ["full", "mini"])
def test_training_far_from_the_origin_assigns_right(mode: str) -> None:
    random = np.random.default_rng(0)
    groups = random.normal(size=(20, 8)) * 2
    points = (
        1e4 + groups[random.integers(0, 20, 20_000)] + random.normal(size=(20_000, 8))
    ).astype(np.float32)
    model = KMeansClustering(20, use_mini_batch=mode == "mini")
    model.train(lambda: points, steps=10)
    wide = points.astype(np.float64)
    centers = model.cluster_centers().astype(np.float64)
    truth = ((wide[:, None, :] - centers[None]) ** 2).sum(axis=2)
    index = np.array([i for i in model.predict_cluster_index(once(points))])
    wrong = truth[np.arange(len(points)), index] > truth.min(axis=1)
    assert wrong.mean() <= 1e-4
