"""A command reads the checkpoint and the first lines of its points once."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from centroids import KMeansClustering
from centroids.checkpoints import folder as checkpoints
from centroids.inputs.text import csv_layout
from tests.cli.run_here import run_here

POINTS = np.random.default_rng(3).normal(size=(40, 2))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> collections.Counter[str]:
    """Counts what is read of checkpoints, byte for byte, and of the beginnings of text files."""
    count: collections.Counter[str] = collections.Counter()

    def counted(module: Any, name: str, what: str) -> None:
        function = getattr(module, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            count[what] += 1
            return function(*args, **kwargs)

        monkeypatch.setattr(module, name, call)

    counted(checkpoints, "read_bytes", "checkpoint")
    counted(csv_layout, "check_is_text", "layout")
    return count


@pytest.mark.parametrize(
    "command",
    [
        "train a.csv m --steps 1",
        "train a.csv m --mini-batch --epochs 1",
        "train a.csv m --columns x,y --steps 1",
        "predict m a.csv",
        "evaluate m a.csv",
        "inspect m --points a.csv",
    ],
)
def test_a_command_reads_once(
    command: str, tmp_path: Path, reads: collections.Counter[str]
) -> None:
    np.savetxt(tmp_path / "a.csv", POINTS, delimiter=",", header="x,y", comments="")
    run_here(tmp_path, "train", "a.csv", "m", "-k", "3", "--steps", "2")
    reads.clear()
    run_here(tmp_path, *command.split())
    assert reads == {"checkpoint": 1, "layout": 1}


def test_a_checkpoint_of_another_process_is_read(
    tmp_path: Path, reads: collections.Counter[str]
) -> None:
    """What is known counts only while its file is the latest."""
    model = KMeansClustering(3, str(tmp_path / "m"), random_seed=1)
    model.train(lambda: POINTS, steps=1)
    known = checkpoints.load_latest(model.model_dir)
    reads.clear()
    again = checkpoints.load_latest(model.model_dir, known)
    assert again is not None and again.global_step == 1 and not reads
    model.train(lambda: POINTS, steps=1)
    reads.clear()
    latest = checkpoints.load_latest(model.model_dir, known)
    assert latest is not None and latest.global_step == 2 and reads["checkpoint"] == 1


def test_usage_names_points_as_the_help_does(tmp_path: Path) -> None:
    for command in ("train", "predict", "evaluate"):
        shown = run_here(tmp_path, command, "--help").stdout
        assert "{" not in shown.splitlines()[0] and "POINTS" in shown.splitlines()[0]


def test_thousands_may_be_none(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2\n")
    told = run_here(tmp_path, "train", "a.csv", "m", "-k", "1", "--thousands", "x", code=2).stderr
    assert told.endswith(" or ' ', or none; got 'x'\n")
