"""Estimators in other processes, and on another day."""

from __future__ import annotations

import copy
import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids import KMeansClustering
from centroids.estimator import Estimator
from tests.estimator.online_mean import batches, model_fn

POINTS = np.array([[0.0, 0.0], [0.0, 2.0], [9.0, 0.0], [9.0, 2.0]], np.float32)
CENTERS = [[0.0, 1.0], [9.0, 1.0]]

IN_ANOTHER_PROCESS = """
import os, pickle, sys
os.chdir("/")
kmeans = pickle.load(open(sys.argv[1], "rb"))
print(kmeans.cluster_centers().tolist(), kmeans.model_dir)
"""


def trained(model_dir: Any = None) -> KMeansClustering:
    kmeans = KMeansClustering(2, model_dir, POINTS[[0, 3]], use_mini_batch=False)
    return kmeans.train(lambda: POINTS, steps=2)


def open_elsewhere(pickled: bytes, tmp_path: Path) -> list[str]:
    """The centers and the folder that another process finds in a pickle."""
    file = tmp_path / "pickled"
    file.write_bytes(pickled)
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip().rsplit(" ", 1)


def test_another_process_opens_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kmeans = trained("model")
    pickled = pickle.dumps(kmeans)
    assert open_elsewhere(pickled, tmp_path) == [str(CENTERS), str(tmp_path / "model")]
    kmeans.train(lambda: POINTS, steps=1)
    assert pickle.loads(pickled).get_variable_value("global_step") == 3


def test_a_trained_model_whose_folder_is_gone_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    pickled = pickle.dumps(trained(folder))
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError, match="this pickle of KMeansClustering holds the path"):
        pickle.loads(pickled)
    folder.mkdir()
    with pytest.raises(FileNotFoundError, match="no longer holds one; move it back") as info:
        pickle.loads(pickled)
    assert info.value.filename == str(folder)


def test_an_untrained_model_needs_no_folder(tmp_path: Path) -> None:
    pickled = pickle.dumps(KMeansClustering(2, tmp_path / "model", POINTS[[0, 3]]))
    assert pickle.loads(pickled).train(lambda: POINTS, steps=1).latest_checkpoint()


def test_a_temporary_model_travels_along(tmp_path: Path) -> None:
    kmeans = trained()
    pickled = pickle.dumps(kmeans)
    assert pickle.loads(pickled).model_dir == kmeans.model_dir
    shutil.rmtree(kmeans.model_dir)
    centers, folder = open_elsewhere(pickled, tmp_path)
    assert centers == str(CENTERS) and folder != kmeans.model_dir
    again = pickle.loads(pickled)
    assert again.train(lambda: POINTS, steps=1).get_variable_value("global_step") == 3
    assert pickle.loads(pickle.dumps(KMeansClustering(2))).latest_checkpoint() is None
    shutil.rmtree(folder)


def test_copies_share_the_folder() -> None:
    kmeans = trained()
    for again in (copy.copy(kmeans), copy.deepcopy(kmeans)):
        assert again.model_dir == kmeans.model_dir
        assert again.cluster_centers().tolist() == CENTERS


def label(kmeans: KMeansClustering, row: int) -> int:
    return int(next(kmeans.predict_cluster_index(lambda: POINTS[row : row + 1])))


def test_workers_of_a_pool_predict(tmp_path: Path) -> None:
    kmeans = trained(tmp_path)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(label, [kmeans] * 4, range(4))) == [0, 0, 1, 1]


@pytest.mark.parametrize("depth", ["model", os.path.join("a", "b", "model")])
def test_a_refused_training_leaves_no_folder(depth: str, tmp_path: Path) -> None:
    folder = tmp_path / depth
    refused: list[tuple[Any, Any]] = [
        (KMeansClustering(9, folder), lambda: POINTS),
        (KMeansClustering(2, folder), lambda: iter([])),
        (KMeansClustering(2, folder), lambda: POINTS * np.nan),
        (KMeansClustering(2, folder), lambda: 1 / 0),
        (KMeansClustering(2, folder, np.zeros((2, 3))), lambda: POINTS),
    ]
    for kmeans, input_fn in refused:
        with pytest.raises((ValueError, ZeroDivisionError)):
            kmeans.train(input_fn, steps=1)
        assert os.listdir(tmp_path) == []
    folder.mkdir(parents=True)
    with pytest.raises(ValueError, match="num_clusters=9"):
        KMeansClustering(9, folder).train(lambda: POINTS, steps=1)
    assert os.listdir(folder) == []


def test_what_others_wrote_stays(tmp_path: Path) -> None:
    folder = tmp_path / "model"

    def input_fn() -> Any:
        (folder / "notes.txt").write_text("mine")
        raise ValueError("no data today")

    with pytest.raises(ValueError, match="no data today"):
        Estimator(model_fn, folder).train(input_fn)
    assert os.listdir(folder) == ["notes.txt"]


def test_a_run_that_began_keeps_its_folder(tmp_path: Path) -> None:
    def input_fn() -> Any:
        yield from batches()
        raise ValueError("the disk is gone")

    with pytest.raises(ValueError, match="the disk is gone"):
        Estimator(model_fn, tmp_path / "model").train(input_fn)
    assert "model.ckpt-0.safetensors" in os.listdir(tmp_path / "model")


def test_a_first_call_that_fails_in_its_first_step_leaves_no_folder(tmp_path: Path) -> None:
    bad = POINTS.copy()
    bad[-1] = np.nan
    first = KMeansClustering(2, tmp_path / "a" / "model", POINTS[[0, 3]])
    with pytest.raises(ValueError, match="finite"):
        first.train(lambda: iter([bad]))
    assert os.listdir(tmp_path) == []
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="finite"):
        KMeansClustering(2, tmp_path / "model", POINTS[[0, 3]]).train(lambda: iter([bad]))
    assert os.listdir(tmp_path / "model") == ["notes.txt"]


def test_a_later_call_that_fails_in_its_first_step_keeps_the_model(tmp_path: Path) -> None:
    kmeans = trained(tmp_path)
    latest = kmeans.latest_checkpoint()
    with pytest.raises(ValueError, match="finite"):
        kmeans.train(lambda: POINTS * np.nan, steps=1)
    assert kmeans.latest_checkpoint() == latest
