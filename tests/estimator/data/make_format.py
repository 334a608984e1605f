"""Writes model folders in the format of today, to be read by all versions to come.

    python -m tests.estimator.data.make_format tests/estimator/data/format_1

Run once when a format is new, never for an old one: what an older version wrote is what its folder
is for. `model.json` has what was in the model and what it came to, as text; other versions of NumPy
may give other last digits.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from centroids import KMeansClustering, RunConfig
from centroids.inputs import csv_input_fn, limit_epochs, numpy_input_fn

CUT_AT, END_AT = 5, 12
CONFIG = RunConfig(save_checkpoints_steps=3, keep_checkpoint_max=2, save_summary_steps=None)


def points(dtype: str = "float32") -> np.ndarray[Any, Any]:
    """[60, 3] of small integers, without a random generator that could change."""
    rows = np.arange(60)
    return np.stack([rows * 7 % 23, rows * 5 % 19, rows * rows % 17], axis=1).astype(dtype)


def write_csv(folder: Path) -> Path:
    """A file of the points, written with the same bytes everywhere."""
    file = folder / "points.csv"
    lines = ["x,y,z", *(",".join(str(int(value)) for value in row) for row in points())]
    file.write_bytes("\n".join([*lines, ""]).encode())
    return file


MODELS: dict[str, tuple[dict[str, Any], Callable[[Path], Callable[[], Any]]]] = {
    "mini_batch": (
        {"num_clusters": 4, "random_seed": 1},
        lambda folder: numpy_input_fn(points(), None, 8, num_epochs=2, shuffle=True, seed=3),
    ),
    "full_batch": (
        {"num_clusters": 3, "initial_clusters": "kmeans_plus_plus", "use_mini_batch": False},
        lambda folder: lambda: limit_epochs(points("float64"), num_epochs=20),
    ),
    "several_mini_batches": (
        {"num_clusters": 3, "mini_batch_steps_per_iteration": 4, "distance_metric": "cosine"},
        # Without a dtype text was float32 when the first format was new.
        lambda folder: csv_input_fn(write_csv(folder), 7, 3, columns=["z", "x"], dtype="float32"),
    ),
}


def make(name: str, folder: Path, inputs: Path) -> None:
    """Trains a model to CUT_AT into `folder`, and notes what it comes to at END_AT."""
    arguments, input_of = MODELS[name]
    input_fn = input_of(inputs)
    model = KMeansClustering(model_dir=str(folder), config=CONFIG, **arguments)
    model.train(input_fn, steps=CUT_AT)
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    cut = {variable: model.get_variable_value(variable) for variable in model.get_variable_names()}
    model.train(input_fn, max_steps=END_AT)
    end = {variable: model.get_variable_value(variable) for variable in model.get_variable_names()}
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()
    for file, data in files.items():
        if "tfevents" not in file:
            (folder / file).write_bytes(data)
    told = {
        moment: {variable: value.tolist() for variable, value in variables.items()}
        for moment, variables in (("cut", cut), ("end", end))
    }
    (folder / "model.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    target = Path(sys.argv[1])
    for each in MODELS:
        make(each, target / each, Path(os.environ.get("TMPDIR", "/tmp")))
