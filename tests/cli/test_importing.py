"""centroids import, as a user meets it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from centroids.cli.inference import open_model
from tests.cli.test_commands import run

DATA = Path(__file__).parents[1] / "export" / "data"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A model folder that TensorFlow left: mini-batches, squared Euclidean."""
    shutil.copytree(DATA / "mini_batch", tmp_path / "old")
    return tmp_path / "old"


def test_a_model_comes_over_and_trains_on(tmp_path: Path, old: Path) -> None:
    before = {path.name: path.read_bytes() for path in old.iterdir()}
    printed = run(tmp_path, "import", "old", "made/new").stdout
    assert "Imported 4 clusters of 3 dimensions, float32, squared_euclidean" in printed
    assert "trained for 4 steps in old/model.ckpt-4" in printed
    assert "--distance-metric" in printed and "centroids train POINTS made/new" in printed
    assert {path.name: path.read_bytes() for path in old.iterdir()} == before
    model = open_model(tmp_path / "made" / "new")
    expected = np.load(DATA / "mini_batch" / "predicted.npz")
    np.testing.assert_array_equal(model.cluster_centers(), expected["centers"])
    points = str(DATA / "points.npy")
    labels = run(tmp_path, "predict", "made/new", points).stdout.split()
    np.testing.assert_array_equal(np.array(labels, int), expected["cluster_index"])
    going_on = run(tmp_path, "train", points, "made/new", "--mini-batch", "--steps", "2").stdout
    assert "Continuing the model in made/new (4 steps so far)" in going_on
    again = run(tmp_path, "import", "old", "made/new", code=2).stderr
    assert "made/new already holds a model" in again


def test_without_a_graph_the_options_tell_what_the_variables_do_not(tmp_path: Path) -> None:
    old = str(DATA / "in_iteration_cosine" / "model.ckpt-6")
    refused = run(tmp_path, "import", old, "new", "--distance-metric", "cosine", code=2)
    assert "--mini-batch-steps-per-iteration was not given" in refused.stderr
    assert not (tmp_path / "new").exists()
    options = ["--distance-metric", "cosine", "--mini-batch-steps-per-iteration", "4"]
    printed = run(tmp_path, "import", old, "new", *options).stdout
    assert "cosine" in printed and "guess" not in printed
    assert "by iterations of 4 mini-batches" in printed
    model = open_model(tmp_path / "new")
    assert model.params["distance_metric"] == "cosine"
    assert model.get_variable_value("update_in_steps") == 2


def test_wrong_folders_are_refused_and_nothing_is_made(tmp_path: Path, old: Path) -> None:
    for source, message in [
        ("nowhere", "nowhere is not a folder"),
        (str(DATA), "Could not find a checkpoint of TensorFlow"),
        (str(DATA / "other_model"), "no variable 'clusters', only dense/bias"),
    ]:
        assert message in run(tmp_path, "import", source, "new", code=2).stderr
    assert "already holds a model" in run(tmp_path, "import", "old", "old", code=2).stderr
    index = old / "model.ckpt-4.index"
    index.write_bytes(index.read_bytes()[:-1])
    assert "not a whole index" in run(tmp_path, "import", "old", "new", code=2).stderr
    assert not (tmp_path / "new").exists()


def test_other_commands_point_to_import(tmp_path: Path, old: Path) -> None:
    for command in (["inspect", "old"], ["train", str(DATA / "points.npy"), "old", "-k", "4"]):
        assert "centroids import old NEW" in run(tmp_path, *command, code=2).stderr
