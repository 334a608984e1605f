"""Models that begin with variables of others."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids
from centroids import KMeansClustering, WarmStartSettings
from centroids.estimator import Estimator
from tests.estimator.online_mean import batches, model_fn

ROOT = Path(__file__).parents[1]
POINTS = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)


@pytest.fixture
def old(tmp_path: Path) -> KMeansClustering:
    return KMeansClustering(4, tmp_path / "old").train(lambda: POINTS, steps=7)


def warm(folder: Path, settings: Any, **arguments: Any) -> KMeansClustering:
    return KMeansClustering(4, folder, warm_start_from=settings, **arguments)


def test_centers_are_the_initial_ones(old: KMeansClustering, tmp_path: Path) -> None:
    centers = old.cluster_centers()
    checkpoint = str(old.latest_checkpoint())
    expected = KMeansClustering(4, tmp_path / "array", centers).train(lambda: POINTS, steps=1)
    for number, settings in enumerate(
        (
            old.model_dir,
            Path(old.model_dir),
            checkpoint,
            checkpoint.removesuffix(".safetensors"),
            WarmStartSettings(old.model_dir),
            WarmStartSettings(old.model_dir, "clusters"),
            WarmStartSettings(old.model_dir, ["clusters$"]),
            WarmStartSettings(old.model_dir, var_name_to_prev_var_name={"clusters": "clusters:0"}),
        )
    ):
        kmeans = warm(tmp_path / f"{number}", settings).train(lambda: POINTS, steps=1)
        assert kmeans.get_variable_value("global_step") == 1
        for name in kmeans.get_variable_names():
            np.testing.assert_array_equal(
                kmeans.get_variable_value(name), expected.get_variable_value(name)
            )


@pytest.mark.parametrize("metric", ["squared_euclidean", "cosine"])
@pytest.mark.parametrize("steps_per_iteration", [1, 3])
def test_all_variables_go_on_as_they_are(
    metric: str, steps_per_iteration: int, tmp_path: Path
) -> None:
    arguments: dict[str, Any] = {
        "distance_metric": metric,
        "mini_batch_steps_per_iteration": steps_per_iteration,
    }
    old = KMeansClustering(4, tmp_path / "old", **arguments).train(lambda: POINTS, steps=7)
    settings = WarmStartSettings(old.model_dir, [".*"])
    new = warm(tmp_path / "new", settings, **arguments).train(lambda: POINTS, steps=2)
    old.train(lambda: POINTS, steps=2)
    assert new.get_variable_value("global_step") == 9
    for name in old.get_variable_names():
        np.testing.assert_array_equal(new.get_variable_value(name), old.get_variable_value(name))


def test_a_checkpoint_of_ones_own_comes_first(old: KMeansClustering, tmp_path: Path) -> None:
    kmeans = KMeansClustering(4, tmp_path / "new", POINTS[:4] + 9).train(lambda: POINTS, steps=3)
    again = warm(tmp_path / "new", old.model_dir)
    assert (again.cluster_centers() == kmeans.cluster_centers()).all()
    again.train(lambda: POINTS, max_steps=3)
    assert (again.cluster_centers() == kmeans.cluster_centers()).all()


def test_models_of_tensorflow_are_taken_too(tmp_path: Path) -> None:
    folder = ROOT / "export" / "data" / "mini_batch"
    points = np.load(ROOT / "export" / "data" / "points.npy")
    old = KMeansClustering(4, folder)
    kmeans = warm(tmp_path / "new", folder, use_mini_batch=False)
    initial = []

    class Look(centroids.SessionRunHook):
        def after_create_session(self, session: Any, coord: Any) -> None:
            initial.append(session.run("clusters"))

    kmeans.train(lambda: points, hooks=[Look()], steps=1)
    np.testing.assert_array_equal(initial[0], old.cluster_centers())


def test_centers_take_the_type_of_the_points(old: KMeansClustering, tmp_path: Path) -> None:
    kmeans = warm(tmp_path / "new", old.model_dir)
    kmeans.train(lambda: POINTS.astype(np.float64), steps=1)
    assert kmeans.cluster_centers().dtype == np.float64


def test_any_model_can(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    old = Estimator(model_fn, tmp_path / "old").train(batches)
    with caplog.at_level(logging.INFO):
        new = Estimator(model_fn, tmp_path / "new", warm_start_from=old.model_dir)
        new.train(lambda: batches(1))
    assert "Warm-started 2 variables from" in caplog.text
    assert new.get_variable_value("count") == 18 and new.get_variable_value("global_step") == 1
    settings = WarmStartSettings(old.model_dir, ["mean", "global"])
    part = Estimator(model_fn, tmp_path / "part", warm_start_from=settings)
    part.train(lambda: batches(1))
    assert part.get_variable_value("count") == 3 and part.get_variable_value("global_step") == 6
    nothing = WarmStartSettings(old.model_dir, None)
    cold = Estimator(model_fn, tmp_path / "cold", warm_start_from=nothing).train(batches)
    assert (cold.get_variable_value("mean") == old.get_variable_value("mean")).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vars_to_warm_start": ["cluster_counts"]}, "must take 'clusters', but it takes 'clust"),
        (
            {"var_name_to_prev_var_name": {"clusters": "c"}},
            ".* has no variable 'c'; it has",
        ),
        ({"var_name_to_prev_var_name": {"c": "d"}}, "has 'c', but the variables .* are 'clusters'"),
    ],
)
def test_settings_that_do_not_fit(
    settings: Any, message: str, old: KMeansClustering, tmp_path: Path
) -> None:
    kmeans = warm(tmp_path / "new", WarmStartSettings(old.model_dir, **settings))
    with pytest.raises(ValueError, match=message):
        kmeans.train(lambda: POINTS, steps=1)
    assert not (tmp_path / "new").exists()


def test_what_is_not_a_model_or_another_one(old: KMeansClustering, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"cannot warm-start from .*empty: the folder"):
        warm(tmp_path / "new", tmp_path / "empty").train(lambda: POINTS, steps=1)
    with pytest.raises(ValueError, match="Could not find trained model"):
        warm(tmp_path / "new", tmp_path / "nowhere").train(lambda: POINTS, steps=1)
    message = r"'clusters': its shape is \(4, 3\) in .* and \(5, 3\) in this model"
    with pytest.raises(ValueError, match=message):
        KMeansClustering(5, tmp_path / "new", warm_start_from=old.model_dir).train(
            lambda: POINTS, steps=1
        )


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: WarmStartSettings(""), ValueError, "ckpt_to_initialize_from must be a model fold"),
        (lambda: WarmStartSettings("a", "["), ValueError, r"'\[', which is not a regular exp"),
        (lambda: WarmStartSettings("a", [3]), TypeError, "vars_to_warm_start must be a regular"),
        (
            lambda: WarmStartSettings("a", var_name_to_vocab_info={"v": 1}),
            ValueError,
            "no vocabularies",
        ),
        (
            lambda: KMeansClustering(2, warm_start_from=3),
            ValueError,
            "WarmStartSettings, not int",
        ),
    ],
)
def test_bad_arguments(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
