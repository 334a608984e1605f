"""Names and arguments that programs for TensorFlow use."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids
from centroids import KMeansClustering

POINTS = np.array([[0.0, 0.0], [0.0, 2.0], [9.0, 0.0], [9.0, 2.0]], np.float32)


def test_the_constants_have_the_values_of_tensorflow() -> None:
    assert centroids.COSINE_DISTANCE == KMeansClustering.COSINE_DISTANCE == "cosine"
    assert centroids.SQUARED_EUCLIDEAN_DISTANCE == "squared_euclidean"
    assert centroids.RANDOM_INIT == KMeansClustering.RANDOM_INIT == "random"
    assert centroids.KMEANS_PLUS_PLUS_INIT == "kmeans_plus_plus"
    assert centroids.KMEANS_PARALLEL_INIT == "kmeans_parallel"
    assert centroids.KMEANS_REJECTION_INIT == "kmeans_rejection"
    assert KMeansClustering.CLUSTER_CENTERS_VAR_NAME == "clusters"


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("feature_columns", "leave it out; all columns of the input are used"),
        ("seed", "use random_seed="),
        ("n_clusters", "use num_clusters="),
        ("n_init", "use num_restarts="),
        ("max_iter", "pass steps= or max_steps= to train"),
    ],
)
def test_an_argument_of_another_library_is_told_what_to_do(name: str, advice: str) -> None:
    arguments: dict[str, Any] = {name: 3}
    message = rf"KMeansClustering\(\) got an unexpected keyword argument '{name}': {advice}"
    with pytest.raises(TypeError, match=message):
        KMeansClustering(2, **arguments)


def test_the_signature_stays_that_of_the_page() -> None:
    names = list(inspect.signature(KMeansClustering).parameters)
    assert names[:10] == [
        "num_clusters",
        "model_dir",
        "initial_clusters",
        "distance_metric",
        "random_seed",
        "use_mini_batch",
        "mini_batch_steps_per_iteration",
        "kmeans_plus_plus_num_retries",
        "relative_tolerance",
        "config",
    ]
    with pytest.raises(TypeError, match="unexpected keyword argument 'unheard_of'"):
        KMeansClustering(2, unheard_of=1)  # type: ignore[call-arg]


def centers(seed: int | None, folder: Path) -> list[list[float]]:
    """The centers that are chosen; a step of a full batch of each point once leaves them there."""
    points = np.random.default_rng(0).normal(size=(50, 2))
    model = KMeansClustering(3, folder, random_seed=seed, use_mini_batch=False)
    return model.train(lambda: points, steps=1).cluster_centers().tolist()


def test_seeds_may_be_negative_or_none(tmp_path: Path) -> None:
    by_seed = {
        seed: centers(seed, tmp_path / f"{seed}") for seed in (0, 7, -1, -2, -7, -(2**70), 2**70)
    }
    assert len({str(chosen) for chosen in by_seed.values()}) == len(by_seed)
    assert centers(-7, tmp_path / "again") == by_seed[-7]
    assert centers(None, tmp_path / "a") != centers(None, tmp_path / "b")


def test_names_of_tensors_are_those_of_variables(tmp_path: Path) -> None:
    seen = []

    class Look(centroids.SessionRunHook):
        def before_run(self, run_context: Any) -> Any:
            return centroids.SessionRunArgs({"c": "clusters:0", "l": ["loss:0", "global_step:0"]})

        def after_run(self, run_context: Any, run_values: Any) -> None:
            seen.append(run_values.results)

    kmeans = KMeansClustering(2, tmp_path, initial_clusters=POINTS[[0, 3]], use_mini_batch=False)
    kmeans.train(lambda: POINTS, hooks=[Look()], steps=1)
    assert seen[0]["c"].tolist() == [[0.0, 1.0], [9.0, 1.0]] and seen[0]["l"] == [8.0, 1]
    assert kmeans.get_variable_value("clusters:0").tolist() == [[0.0, 1.0], [9.0, 1.0]]
    assert kmeans.get_variable_value(["global_step:0"]) == [1]
    for wrong in ("clusters:1", ":0", "clusters:0:0"):
        with pytest.raises(ValueError, match=f"no variable is named '{wrong}'; there are cluster"):
            kmeans.get_variable_value(wrong)


def test_predict_keys_pass_over_what_the_model_does_not_have(tmp_path: Path) -> None:
    kmeans = KMeansClustering(2, tmp_path, initial_clusters=POINTS[[0, 3]])
    kmeans.train(lambda: POINTS, steps=1)
    rows = list(kmeans.predict(lambda: [POINTS], predict_keys=["cluster_index", "classes"]))
    assert rows == [{"cluster_index": index} for index in (0, 0, 1, 1)]
    with pytest.raises(ValueError, match=r"at least one output from \['all_distances', 'cluster"):
        list(kmeans.predict(lambda: [POINTS], predict_keys=["classes"]))
