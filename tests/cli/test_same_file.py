"""A run that stopped in the middle of a file goes on with that file and with no other."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import centroids
from centroids.cli import training
from centroids.cli.input_file import identify_file
from centroids.cli.outcome import Outcome
from tests.cli.run_here import run_here as run

MONDAY, TUESDAY = np.random.default_rng(4).uniform(1, 9, size=(2, 300, 2))
STOP = ["-k", "2", "--batch-size", "50", "--steps", "3"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, points in (("monday", MONDAY), ("tuesday", TUESDAY)):
        np.save(tmp_path / f"{name}.npy", points)
        np.savetxt(tmp_path / f"{name}.csv", points, "%.6f", ",", header="x,y", comments="")
    for ending in ("npy", "csv"):
        sizes = {(tmp_path / f"{day}.{ending}").stat().st_size for day in ("monday", "tuesday")}
        assert len(sizes) == 1
    return tmp_path


def state(folder: Path, model: str = "model") -> tuple[int, NDArray[Any]]:
    kmeans = centroids.KMeansClustering(2, folder / model)
    return int(kmeans.get_variable_value("global_step")), kmeans.cluster_centers()


@pytest.mark.parametrize("order", ["--shuffle", "--no-shuffle"])
@pytest.mark.parametrize("ending", ["npy", "csv"])
def test_another_file_of_the_same_size_is_refused(folder: Path, ending: str, order: str) -> None:
    run(folder, "train", f"monday.{ending}", "model", *STOP, order)
    before = state(folder)
    told = run(folder, "train", f"tuesday.{ending}", "model", "--epochs", "1", code=2).stderr
    assert "--restart-input" in told and len(told.splitlines()) == 1
    if (ending, order) != ("csv", "--no-shuffle"):  # whose position knows the text before it
        assert told.startswith(
            f"centroids: the last run stopped in the middle of another file than tuesday."
            f"{ending}, or of one that has changed since: "
        )
    assert state(folder)[0] == before[0]
    np.testing.assert_array_equal(state(folder)[1], before[1])
    again = ["train", f"tuesday.{ending}", "model", "--epochs", "1", "--restart-input"]
    assert "Trained 6 mini-batch steps" in run(folder, *again).stdout  # all of it


@pytest.mark.parametrize("ending", ["npy", "csv"])
def test_a_copy_is_the_same_file(folder: Path, ending: str) -> None:
    run(folder, "train", f"monday.{ending}", "model", *STOP)
    shutil.copy(folder / f"monday.{ending}", folder / f"copy.{ending}")
    os.utime(folder / f"copy.{ending}", (1, 1))
    told = run(folder, "train", f"copy.{ending}", "model", "--epochs", "1").stdout
    assert "Trained 3 mini-batch steps" in told
    run(folder, "train", f"monday.{ending}", "whole", *STOP[:-2], "--epochs", "1")
    np.testing.assert_array_equal(state(folder)[1], state(folder, "whole")[1])


def test_a_file_read_to_its_end_leaves_the_next_one_whole(folder: Path) -> None:
    run(folder, "train", "monday.npy", "model", *STOP[:-1], "6", "--epochs", "1", "--no-shuffle")
    told = run(folder, "train", "tuesday.npy", "model", "--epochs", "1").stdout
    assert "Trained 6 mini-batch steps" in told


def test_settings_without_the_file_go_on(folder: Path) -> None:
    run(folder, "train", "monday.npy", "model", *STOP)
    file = folder / "model" / "settings.json"
    settings = json.loads(file.read_text())
    del settings["inputs"]
    file.write_text(json.dumps(settings))
    run(folder, "train", "tuesday.npy", "model", "--steps", "1")
    run(folder, "train", "monday.npy", "model", "--steps", "1", code=2)


def test_a_restart_that_dies_at_once_has_not_taken_the_place_of_the_first_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(folder, "train", "monday.npy", "model", *STOP)

    def die(self: Outcome, *values: Any) -> None:
        raise RuntimeError("dead")

    with monkeypatch.context() as patch:
        patch.setattr(training.Outcome, "before_run", die)
        run(folder, "train", "tuesday.npy", "model", "--restart-input", code=1)
    # The latest checkpoint still stands within monday.npy.
    run(folder, "train", "tuesday.npy", "model", code=2)
    told = run(folder, "train", "monday.npy", "model", "--epochs", "1").stdout
    assert "Trained 3 mini-batch steps" in told


def test_any_block_of_a_small_file_and_the_ends_of_a_large_one_count(tmp_path: Path) -> None:
    for size in (0, 1, 1 << 18, (1 << 18) + 1, 1 << 20, (16 << 20) + 5):
        data = bytearray(np.random.default_rng(size).bytes(size))
        (tmp_path / "file").write_bytes(data)
        before = identify_file(tmp_path / "file", 0)
        assert before.is_same_file(identify_file(tmp_path / "file", 7))
        for place in {0, size // 2, size - 1} if size <= 1 << 20 else {0, size - 1}:
            if size:
                data[place] ^= 1
                (tmp_path / "file").write_bytes(data)
                assert not before.is_same_file(identify_file(tmp_path / "file", 0)), (size, place)
                data[place] ^= 1


def test_an_interrupted_training_past_the_passes_of_a_call_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["-k", "2", "--batch-size", "50", "--epochs", "8"]
    run(folder, "train", "monday.npy", "whole", *options)
    after_run = Outcome.after_run

    def interrupt(self: Outcome, *values: Any) -> None:
        after_run(self, *values)
        if self.steps == 40:  # in the seventh of eight passes of six batches
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(training.Outcome, "after_run", interrupt)
        run(folder, "train", "monday.npy", "model", *options, code=130)
    for _ in range(2):
        assert run(folder, "train", "monday.npy", "model").stdout == (
            "The interrupted training has already made 6 passes over monday.npy, and --epochs is "
            "5: nothing to train. --epochs N with a larger N continues it; --restart-input "
            "starts again at the beginning of the file.\n"
        )
    told = run(folder, "train", "monday.npy", "model", "--epochs", "8").stdout
    assert "Trained 8 mini-batch steps" in told
    np.testing.assert_array_equal(state(folder)[1], state(folder, "whole")[1])


def test_restarting_the_input_of_full_batches_is_refused(folder: Path) -> None:
    run(folder, "train", "monday.npy", "model", "-k", "2")
    told = run(folder, "train", "monday.npy", "model", "--restart-input", code=2).stderr
    assert told.startswith("centroids: --restart-input is for mini-batches")
