"""A log of training does not write over what is not one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import centroids


def test_a_line_without_an_end_is_not_a_log(tmp_path: Path) -> None:
    (tmp_path / "notes.csv").write_text("my notes")
    model = centroids.KMeansClustering(1, str(tmp_path / "model"), use_mini_batch=False)
    with pytest.raises(ValueError, match=r"notes.csv is not a log of training"):
        model.train(
            lambda: np.ones((2, 1)),
            hooks=[centroids.CSVLoggerHook(tmp_path / "notes.csv")],
            steps=1,
        )
    assert (tmp_path / "notes.csv").read_text() == "my notes"


class _Crash(centroids.CheckpointSaverListener):
    """As a kill between a save and whatever comes after it."""

    def after_save(self, session: object, global_step_value: int) -> None:
        if global_step_value == 4:
            raise OSError("killed")


def test_a_run_that_dies_right_after_a_save_lacks_no_row(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(60, 2))
    batches = centroids.inputs.numpy_input_fn(points, batch_size=10, num_epochs=1, shuffle=False)

    def train(name: str, *listeners: centroids.CheckpointSaverListener) -> str:
        config = centroids.RunConfig(save_checkpoints_steps=2)
        model = centroids.KMeansClustering(3, str(tmp_path / name), config=config)
        log = centroids.CSVLoggerHook(tmp_path / f"{name}.csv")
        model.train(batches, hooks=[log], saving_listeners=listeners)
        return (tmp_path / f"{name}.csv").read_text()

    with pytest.raises(OSError, match="killed"):
        train("killed", _Crash())
    text = train("killed")
    assert [line.split(",")[0] for line in text.splitlines()[1:]] == list("123456")
    assert text == train("whole")
