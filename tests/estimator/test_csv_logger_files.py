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
