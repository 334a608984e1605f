"""--weight-column: what train keeps of it, and what the other commands make of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from centroids import KMeansClustering
from tests.cli.run_here import run_here

RANDOM = np.random.default_rng(2)
POINTS = RANDOM.normal(size=(90, 2)) + np.repeat([[0, 0], [9, 0], [0, 9]], 30, axis=0)
TIMES = RANDOM.integers(0, 4, 90)
TRAIN = ["-k", "3", "--weight-column", "people"]


def write(file: Path, names: str | None, columns: list[Any]) -> None:
    np.savetxt(file, np.column_stack(columns), delimiter=",", header=names or "", comments="")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The same points in several files, with their weights, without, and as often as these say."""
    x, y = POINTS.T
    write(tmp_path / "points.csv", "x,people,y", [x, TIMES, y])
    write(tmp_path / "plain.csv", "x,y", [x, y])
    write(tmp_path / "unnamed.csv", None, [x, TIMES, y])
    write(tmp_path / "repeated.csv", "x,y", list(np.repeat(POINTS, TIMES, axis=0).T))
    vectors = pyarrow.array(POINTS.tolist(), pyarrow.list_(pyarrow.float32(), 2))
    table = pyarrow.table({"people": TIMES, "vector": vectors})
    pyarrow.parquet.write_table(table, tmp_path / "points.parquet")
    np.save(tmp_path / "points.npy", POINTS)
    return tmp_path


def centers(folder: Path, model: str) -> Any:
    return KMeansClustering(3, str(folder / model)).cluster_centers()


def kept(folder: Path, model: str = "model") -> Any:
    return json.loads((folder / model / "settings.json").read_text())


def test_training_and_evaluation_are_those_of_rows_repeated(folder: Path) -> None:
    told = run_here(folder, "train", "points.csv", "model", *TRAIN).stdout
    expected = run_here(folder, "train", "repeated.csv", "other", "-k", "3").stdout
    assert told.splitlines()[1].replace("unit of weight", "point") == expected.splitlines()[1]
    np.testing.assert_array_equal(centers(folder, "model"), centers(folder, "other"))
    evaluated = run_here(folder, "evaluate", "model", "points.csv").stdout.splitlines()
    repeated = run_here(folder, "evaluate", "other", "repeated.csv").stdout.splitlines()
    assert evaluated[:2] == ["points            90", f"their weight      {TIMES.sum()}"]
    assert repeated[0] == f"points            {TIMES.sum()}"
    assert evaluated[2:] == repeated[1:]


def test_the_column_is_kept_with_the_model(folder: Path) -> None:
    run_here(folder, "train", "points.csv", "model", *TRAIN)
    assert (kept(folder)["columns"], kept(folder)["weight_column"]) == (["x", "y"], "people")
    shown = run_here(folder, "inspect", "model").stdout
    assert "columns: x,y\nweights: people\n" in shown
    assert "cluster sizes (weights of points of the last step)" in shown
    more = run_here(folder, "train", "points.csv", "model").stdout
    assert "From now on" not in more
    run_here(folder, "train", "points.csv", "model", "--mini-batch", "--batch-size", "32")
    assert kept(folder)["weight_column"] == "people"
    told = run_here(folder, "train", "points.csv", "model", "--weight-column", "none").stdout
    assert "From now on: --weight-column none (until now people)." in told
    assert "weight_column" not in kept(folder)
    told = run_here(folder, "train", "points.csv", "model", "--fresh", *TRAIN[2:]).stdout
    assert "From now on: --weight-column people (until now none)." in told
    told = run_here(folder, "train", "points.csv", "model", "--fresh").stdout
    assert told.splitlines()[1].endswith("--columns x,y --weight-column people")


@pytest.mark.parametrize("file", ["points.csv", "plain.csv"])
def test_predictions_need_no_weights(folder: Path, file: str) -> None:
    run_here(folder, "train", "points.csv", "model", *TRAIN)
    nearest = np.square(POINTS[:, None] - centers(folder, "model")).sum(axis=2).argmin(axis=1)
    for more in ([], ["--columns", "x,y"]):
        labels = run_here(folder, "predict", "model", file, *more).stdout.split()
        assert labels == [str(label) for label in nearest]
    told = run_here(folder, "inspect", "model", "--points", file, "--columns", "*").stdout
    assert "columns: x,y" in told


def test_a_file_without_names_has_a_number_for_them(folder: Path) -> None:
    run_here(folder, "train", "unnamed.csv", "model", "-k", "3", "--weight-column", "1")
    assert (kept(folder)["columns"], kept(folder)["weight_column"]) == ([0, 2], "1")
    run_here(folder, "train", "points.csv", "other", *TRAIN)
    np.testing.assert_array_equal(centers(folder, "model"), centers(folder, "other"))
    told = run_here(folder, "evaluate", "model", "unnamed.csv").stdout
    assert told == run_here(folder, "evaluate", "other", "points.csv").stdout


@pytest.mark.parametrize("mode", ["--full-batch", "--mini-batch"])
def test_lists_in_parquet_keep_their_type(folder: Path, mode: str) -> None:
    run_here(folder, "train", "points.parquet", "model", mode, *TRAIN)
    found = centers(folder, "model")
    assert found.shape == (3, 2)
    assert found.dtype == np.float32
    assert "their weight" in run_here(folder, "evaluate", "model", "points.parquet").stdout


def test_mini_batches_begin_with_points_that_have_a_weight(folder: Path) -> None:
    weights = np.zeros(90, int)
    weights[[5, 40, 80]] = 1
    write(folder / "few.csv", "x,people,y", [POINTS[:, 0], weights, POINTS[:, 1]])
    arguments = ["--mini-batch", "--batch-size", "16", *TRAIN]
    run_here(folder, "train", "few.csv", "model", *arguments)
    found = centers(folder, "model")
    # Each of the three is a center of its own, which nothing else moves.
    assert sorted(found.tolist()) == sorted(POINTS[[5, 40, 80]].tolist())


MISTAKES: list[tuple[list[str], str]] = [
    (["points.csv", "--weight-column", "q"], "points.csv has no column 'q'; it has the columns"),
    (["points.parquet", "--weight-column", "q"], "points.parquet has no column 'q'"),
    (
        ["points.csv", "--weight-column", "people", "--columns", "x,people"],
        "--columns takes 'people', which holds the weights (--weight-column)",
    ),
    (["points.npy", "--weight-column", "n"], "--weight-column is for files with named columns"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES)
def test_mistakes(folder: Path, arguments: list[str], message: str) -> None:
    done = run_here(folder, "train", arguments[0], "model", "-k", "3", *arguments[1:], code=2)
    assert done.stderr.startswith(f"centroids: {message}")
    assert not (folder / "model").exists()


def test_evaluation_of_a_file_without_the_column_says_what_to_do(folder: Path) -> None:
    run_here(folder, "train", "points.csv", "model", *TRAIN)
    told = run_here(folder, "evaluate", "model", "plain.csv", code=2).stderr
    assert "was trained with the weights in 'people': name those of this file" in told
    plain = run_here(folder, "evaluate", "model", "plain.csv", "--weight-column", "none").stdout
    assert plain.startswith("points            90\nsteps of training")


@pytest.mark.parametrize("mode", ["--full-batch", "--mini-batch"])
def test_a_bad_weight_is_a_bad_row(folder: Path, mode: str) -> None:
    weights = TIMES.astype(float)
    weights[7] = -2
    write(folder / "bad.csv", "x,people,y", [POINTS[:, 0], weights, POINTS[:, 1]])
    arguments = ["train", "bad.csv", "model", mode, *TRAIN]
    told = run_here(folder, *arguments, code=2).stderr
    assert "got -2.0 in bad.csv, line 9, column 'people'" in told
    assert told.endswith("or leave them out with --bad-rows drop\n")
    told = run_here(folder, *arguments, "--bad-rows", "drop").stderr
    assert "line 9: the weight in 'people' is -2.0" in told
    assert "Dropped 1 of 90 rows of bad.csv" in told
