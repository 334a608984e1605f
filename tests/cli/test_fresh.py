"""train --fresh: a new model, and the old one whole beside it, whatever happens in between."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids
from tests.cli.run_here import run_here as run

POINTS = np.random.default_rng(2).normal(size=(200, 3))
FRESH = ["train", "points.npy", "model", "-k", "4", "--fresh"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a model of three clusters, and a file in its folder that is not ours."""
    np.save(tmp_path / "points.npy", POINTS)
    run(tmp_path, "train", "points.npy", "model", "-k", "3", "--seed", "8")
    (tmp_path / "model" / "notes.txt").write_text("mine")
    return tmp_path


def files(model: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in model.iterdir() if file.is_file()}


def num_clusters(model: Path) -> int:
    return len(centroids.KMeansClustering(1, model).cluster_centers())


def test_the_old_model_is_moved_aside_with_everything_in_its_folder(folder: Path) -> None:
    before = files(folder / "model")
    told = run(folder, *FRESH).stdout
    assert "The old model is now in model.old-1; delete it when you no longer need it." in told
    assert "Continuing" not in told
    assert files(folder / "model.old-1") == before
    assert num_clusters(folder / "model") == 4
    assert '"seed": 8' in (folder / "model" / "settings.json").read_text()
    assert not (folder / "model" / "notes.txt").exists()
    # Numbers go up, also over gaps.
    (folder / "model.old-1").rename(folder / "model.old-7")
    assert "model.old-8" in run(folder, *FRESH).stdout
    assert files(folder / "model.old-7") == before


def test_without_a_model_there_is_nothing_to_move(folder: Path) -> None:
    told = run(folder, "train", "points.npy", "new", "-k", "2", "--fresh").stdout
    assert "old model" not in told and not (folder / "new.old-1").exists()


@pytest.mark.parametrize(
    "refused",
    [
        ["train", "absent.npy", "model", "-k", "4", "--fresh"],
        ["train", "points.npy", "model", "--fresh", "--restart-input"],
        ["train", "points.npy", "model", "-k", "201", "--fresh"],
        ["train", "nan.npy", "model", "-k", "4", "--fresh"],
        ["train", "nan.npy", "model", "-k", "4", "--fresh", "--mini-batch"],
    ],
)
def test_what_cannot_begin_leaves_the_old_model_where_it_is(
    folder: Path, refused: list[str]
) -> None:
    points = POINTS.copy()
    points[:] = np.nan
    np.save(folder / "nan.npy", points)
    before = files(folder / "model")
    run(folder, *refused, code=2)
    assert files(folder / "model") == before
    assert not (folder / "model.old-1").exists()


def test_a_death_in_between_loses_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(folder / "model")

    class Death(BaseException):
        pass

    def die(self: Path, *more: object, **options: object) -> None:
        raise Death

    monkeypatch.setattr(Path, "mkdir", die)  # the first thing after the renaming
    with pytest.raises(Death):
        run(folder, *FRESH)
    monkeypatch.undo()
    assert files(folder / "model.old-1") == before
    told = run(folder, "inspect", "model", code=2).stderr
    assert "model holds no trained model; an older one is in" in told and "model.old-1" in told
    run(folder, *FRESH)
    assert files(folder / "model.old-1") == before and num_clusters(folder / "model") == 4


def test_a_damaged_model_is_moved_aside_too(folder: Path) -> None:
    for file in (folder / "model").glob("*.safetensors"):
        file.write_bytes(b"damaged")
    run(folder, "train", "points.npy", "model", "-k", "4", code=2)
    run(folder, *FRESH)
    assert num_clusters(folder / "model") == 4


def test_a_link_leads_to_the_new_model(folder: Path) -> None:
    (folder / "disk").mkdir()
    (folder / "model").rename(folder / "disk" / "model")
    (folder / "model").symlink_to(folder / "disk" / "model")
    run(folder, *FRESH)
    assert (folder / "model").is_symlink() and num_clusters(folder / "disk" / "model") == 4
    assert num_clusters(folder / "disk" / "model.old-1") == 3


def test_the_folder_that_one_is_in_is_not_moved(folder: Path) -> None:
    told = run(folder / "model", "train", "../points.npy", ".", "-k", "4", "--fresh", code=2).stderr
    assert "that is the folder you are in" in told
    assert num_clusters(folder / "model") == 3


def test_a_folder_that_is_trained_into_is_not_moved(folder: Path) -> None:
    from centroids.checkpoints.lock import lock_model_dir

    with lock_model_dir(os.fspath(folder / "model")):
        assert "in use by another run" in run(folder, *FRESH, code=1).stderr
    assert num_clusters(folder / "model") == 3


def settings(model: Path) -> dict[str, Any]:
    found = json.loads((model / "settings.json").read_text())
    assert isinstance(found, dict)
    return found


@pytest.fixture
def nightly(tmp_path: Path) -> Path:
    """A model that takes two columns of a German table in mini-batches, and the next table."""
    for name, scale in (("monday", 1), ("tuesday", 2)):
        rows = [";".join(map(str, [i, *row])) for i, row in enumerate(scale * POINTS)]
        text = "\n".join(["id;age;income;x", *rows]).replace(".", ",")
        (tmp_path / f"{name}.csv").write_text(f"{text}\n")
    options = ["--columns", "age,income", "--batch-size", "50", "--decimal", ",", "--seed", "9"]
    options += ["--distance-metric", "cosine", "--no-shuffle", "-k", "3"]
    run(tmp_path, "train", "monday.csv", "model", *options)
    return tmp_path


def test_a_nightly_job_repeats_no_option(nightly: Path) -> None:
    before = settings(nightly / "model")
    told = run(nightly, "train", "tuesday.csv", "model", "--fresh").stdout
    assert (
        "Taken over from the old model: --num-clusters 3 --distance-metric cosine --mini-batch "
        "--batch-size 50 --mini-batch-steps-per-iteration 1 --seed 9 --no-shuffle "
        "--columns age,income --decimal ,\n"
    ) in told
    assert "Trained 20 mini-batch steps" in told  # all five passes, from the beginning
    after = settings(nightly / "model")
    assert before.pop("inputs") != after.pop("inputs")
    assert before == after
    kmeans = centroids.KMeansClustering(1, nightly / "model", distance_metric="cosine")
    assert kmeans.cluster_centers().shape == (3, 2)
    # It is the model that the same options make where there was none.
    options = ["--columns", "age,income", "--batch-size", "50", "--decimal", ",", "--seed", "9"]
    options += ["--distance-metric", "cosine", "--no-shuffle", "-k", "3"]
    run(nightly, "train", "tuesday.csv", "new", *options)
    new = centroids.KMeansClustering(1, nightly / "new", distance_metric="cosine")
    np.testing.assert_array_equal(kmeans.cluster_centers(), new.cluster_centers())


def test_what_is_said_goes_before_what_the_old_model_keeps(nightly: Path) -> None:
    options = ["--columns", "x", "--full-batch", "-k", "4", "--distance-metric"]
    told = run(nightly, "train", "monday.csv", "model", *options, "squared_euclidean", "--fresh")
    assert "Taken over from the old model: --seed 9 --decimal ,\n" in told.stdout
    assert "From now on: full batches (until now mini-batches)." in told.stdout
    assert "From now on: --columns x (until now age,income)." in told.stdout
    assert num_clusters(nightly / "model") == 4
    # An option for mini-batches makes it a model of those, as where there is none.
    told = run(nightly, "train", "monday.csv", "model", "--fresh", "--batch-size", "100")
    assert "Trained 10 mini-batch steps" in told.stdout
    assert "old model: --num-clusters 4 --distance-metric squared_euclidean --mini" in told.stdout
    assert "From now on: mini-batches (until now full batches)." in told.stdout
    assert " --mini-batch " not in told.stdout  # it was asked for
    run(nightly, "train", "monday.csv", "model", "--fresh", "--columns", "*")
    assert settings(nightly / "model")["columns"] == ["id", "age", "income", "x"]


def test_the_number_of_first_centers_goes_before_that_of_the_old_model(folder: Path) -> None:
    np.save(folder / "centers.npy", POINTS[:6])
    options = ["--initial-clusters", "centers.npy", "--fresh"]
    run(folder, "train", "points.npy", "model", *options)
    assert num_clusters(folder / "model") == 6


def test_the_job_of_the_night_after_a_death_needs_no_options_either(
    nightly: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(self: Path, *more: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", die)
        run(nightly, "train", "tuesday.csv", "model", "--fresh", code=130)
    assert (nightly / "model.old-1").exists() and not (nightly / "model").exists()
    told = run(nightly, "train", "tuesday.csv", "model", "--fresh").stdout
    assert "Taken over from model.old-1: --num-clusters 3 " in told
    assert settings(nightly / "model")["columns"] == ["age", "income"]


def test_without_any_model_fresh_needs_a_number_of_clusters(folder: Path) -> None:
    told = run(folder, "train", "points.npy", "new", "--fresh", code=2).stderr
    assert told == (
        "centroids: --num-clusters is needed: --fresh makes a new model, and new holds none to "
        "take it from\n"
    )
