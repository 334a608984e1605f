"""Model folders of older formats are read forever; a newer format is refused untouched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from centroids import KMeansClustering
from tests.estimator.data.make_format import CONFIG, END_AT, MODELS

DATA = Path(__file__).with_name("data")
FOLDERS = sorted(path.parent for path in DATA.glob("format_*/*/checkpoint"))


def check(model: KMeansClustering, expected: dict[str, object]) -> None:
    assert model.get_variable_names() == sorted(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(model.get_variable_value(name), value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_old_folders_are_read_and_trained_on(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    model_dir = shutil.copytree(folder, tmp_path / "model")
    arguments, input_of = MODELS[folder.name]
    model = KMeansClustering(model_dir=str(model_dir), config=CONFIG, **arguments)
    assert model.latest_checkpoint() == str(model_dir / "model.ckpt-5.safetensors")
    check(model, told["cut"])
    # The position of the input is an old one too: it goes on in the middle of an epoch.
    model.train(input_of(tmp_path), max_steps=END_AT)
    if folder.parts[-2:] == ("format_1", "several_mini_batches"):
        # Counts of a finished iteration were 0 at once then; now they stay until the next batch.
        assert told["end"].pop("cluster_counts") == [0, 0, 0]
        counts = model.get_variable_value("cluster_counts")
        assert counts.sum() == 4 + 3 * 7  # batches of 7 rows, of which the last of 60 rows has 4
        told["end"]["cluster_counts"] = counts.tolist()
    check(model, told["end"])
    assert caplog.text == ""
