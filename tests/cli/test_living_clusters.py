"""--num-restarts, --empty-clusters and --reassignment-ratio."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids import KMeansClustering
from centroids.clustering import restart_watchers
from centroids.inputs import limit_epochs
from tests.cli.run_here import run_here as run

RANDOM = np.random.default_rng(1)
POINTS = (RANDOM.normal(size=(8, 3)) * 10)[RANDOM.integers(8, size=600)] + RANDOM.normal(
    size=(600, 3)
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "points.npy", POINTS)
    np.save(tmp_path / "far.npy", np.concatenate([POINTS[:5], np.eye(3) * 1e4]))
    return tmp_path


def settings(folder: Path) -> dict[str, Any]:
    kept = json.loads((folder / "model" / "settings.json").read_text())
    assert isinstance(kept, dict)
    return kept


def num_used(folder: Path) -> int:
    model = KMeansClustering(8, model_dir=folder / "model")
    return len({int(i) for i in model.predict_cluster_index(lambda: limit_epochs(POINTS))})


def loss(folder: Path, *options: str) -> float:
    run(folder, "train", "points.npy", "model", "-k", "8", "--fresh", *options)
    return float(KMeansClustering(8, model_dir=folder / "model").score(lambda: POINTS))


def test_restarts_of_full_batches_are_those_of_the_library(folder: Path) -> None:
    options = ["--initial-clusters", "random", "--steps", "3", "--num-restarts", "4"]
    run(folder, "train", "points.npy", "model", "-k", "8", *options)
    model = KMeansClustering(
        8, use_mini_batch=False, num_restarts=4, kmeans_plus_plus_num_retries=-1
    )
    model.train(lambda: POINTS, steps=3)
    trained = KMeansClustering(8, model_dir=folder / "model")
    np.testing.assert_array_equal(trained.cluster_centers(), model.cluster_centers())
    assert restart_watchers == []


@pytest.mark.parametrize("mode", ["--full-batch", "--mini-batch"])
def test_more_restarts_give_lower_losses(folder: Path, mode: str) -> None:
    options = [mode, "--initial-clusters", "random", "--steps", "1"]
    assert loss(folder, *options, "--num-restarts", "30") < 0.9 * loss(folder, *options)


def test_restarts_are_for_new_models(folder: Path) -> None:
    run(folder, "train", "points.npy", "model", "-k", "3", "--num-restarts", "2")
    told = run(folder, "train", "points.npy", "model", "--num-restarts", "3").stdout
    assert "--num-restarts is for new models: this one continues from the centers" in told


def test_relocating_is_kept_and_can_be_given_up(folder: Path) -> None:
    options = ["--initial-clusters", "far.npy"]
    told = run(folder, "train", "points.npy", "model", *options).stdout
    assert "3 of 8 clusters are empty." in told
    assert "--empty-clusters relocate moves them to points." in told
    assert num_used(folder) == 5 and "empty_clusters" not in settings(folder)
    told = run(folder, "train", "points.npy", "model", "--empty-clusters", "relocate").stdout
    assert "From now on: --empty-clusters relocate (until now keep)." in told
    assert num_used(folder) == 8 and settings(folder)["empty_clusters"] == "relocate"
    assert "From now on" not in run(folder, "train", "points.npy", "model").stdout
    told = run(folder, "train", "points.npy", "model", "--fresh", *options).stdout
    assert "--empty-clusters relocate" in told and num_used(folder) == 8
    told = run(folder, "train", "points.npy", "model", "--empty-clusters", "keep").stdout
    assert "From now on: --empty-clusters keep (until now relocate)." in told


def test_reassigning_makes_mini_batches_and_is_kept(folder: Path) -> None:
    options = ["--initial-clusters", "far.npy", "--batch-size", "100"]
    told = run(folder, "train", "points.npy", "model", *options, "--mini-batch").stdout
    assert "--reassignment-ratio 0.01 moves them to points." in told and num_used(folder) == 5
    run(folder, "train", "points.npy", "model", "--reassignment-ratio", "0.05")
    assert num_used(folder) == 8 and settings(folder)["reassignment_ratio"] == 0.05
    options += ["--reassignment-ratio", "0.05", "--fresh"]
    assert "mini-batch steps" in run(folder, "train", "points.npy", "model", *options).stdout
    model = KMeansClustering(8, model_dir=folder / "model")
    run(folder, "train", "points.npy", "model")
    assert model.get_variable_value("global_step") == 60


def test_a_model_of_the_library_keeps_its_choice(folder: Path) -> None:
    for arguments in (
        {"use_mini_batch": False, "empty_clusters": "relocate"},
        {"reassignment_ratio": 0.25},
    ):
        model = KMeansClustering(3, model_dir=folder / "model", **arguments)
        model.train(lambda: iter([POINTS]))
        run(folder, "train", "points.npy", "model")
        kept = settings(folder)
        assert {name: kept.get(name) for name in arguments} == arguments
        (folder / "model").rename(folder / f"model{len(arguments)}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--num-restarts 0", "--num-restarts must be at least 1, got 0"),
        ("--num-restarts 2 --initial-clusters far.npy", "far.npy are the same each time"),
        ("--mini-batch --empty-clusters relocate", "--empty-clusters relocate is for full batches"),
        ("--full-batch --reassignment-ratio 0.1", "--reassignment-ratio is for mini-batches"),
        ("--reassignment-ratio 1.1", "--reassignment-ratio must be from 0 to 1, got 1.1"),
        ("--reassignment-ratio nan", "--reassignment-ratio must be from 0 to 1, got nan"),
        (
            "--reassignment-ratio 0.1 --mini-batch-steps-per-iteration 3",
            "choose --reassignment-ratio 0 or --mini-batch-steps-per-iteration 1",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    folder: Path, options: str, message: str
) -> None:
    told = run(folder, "train", "points.npy", "model", "-k", "8", *options.split(), code=2).stderr
    assert message in told and len(told.splitlines()) == 1
    assert not (folder / "model").exists()
