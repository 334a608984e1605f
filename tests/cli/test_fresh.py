"""train --fresh: a new model, and the old one whole beside it, whatever happens in between."""

from __future__ import annotations

import os
from pathlib import Path

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
    assert "The old model is now in model.old-1" in told and "going on" not in told
    assert files(folder / "model.old-1") == before
    assert num_clusters(folder / "model") == 4
    assert '"seed": 0' in (folder / "model" / "settings.json").read_text()
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
        ["train", "points.npy", "model", "--fresh"],
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
    run(folder, *refused, code=1 if "absent.npy" in refused else 2)
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
    from centroids.estimator.model_dir_lock import lock_model_dir

    with lock_model_dir(os.fspath(folder / "model")):
        assert "in use by another training" in run(folder, *FRESH, code=1).stderr
    assert num_clusters(folder / "model") == 3
