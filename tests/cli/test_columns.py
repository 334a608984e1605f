"""The columns that a model was trained with, and the commands that come after."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from tests.cli.test_commands import POINTS, run

TRAIN = ["train", "points.csv", "model", "-k", "3", "--columns", "b,a"]


def write(file: Path, names: str, columns: list[int]) -> None:
    np.savetxt(file, POINTS[:, columns], delimiter=",", header=names, comments="")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The same points under several names and in several orders; and a model of two of them."""
    write(tmp_path / "points.csv", "a,b,c,d", [0, 1, 2, 3])
    write(tmp_path / "swapped.csv", "b,a,more", [1, 0, 3])
    write(tmp_path / "renamed.csv", "w,x,y,z", [0, 1, 2, 3])
    np.savetxt(tmp_path / "unnamed.csv", POINTS, delimiter=",")
    np.save(tmp_path / "points.npy", POINTS[:, [1, 0]])
    table = pyarrow.table({"b": POINTS[:, 1], "word": ["of"] * 500, "a": POINTS[:, 0]})
    pyarrow.parquet.write_table(table, tmp_path / "points.parquet")
    run(tmp_path, *TRAIN)
    return tmp_path


def labels(folder: Path, *arguments: str) -> list[str]:
    return run(folder, "predict", "model", *arguments).stdout.split()


def test_what_a_model_was_trained_with_is_taken_from_other_files(folder: Path) -> None:
    want = labels(folder, "points.csv", "--columns", "b,a")
    assert len(set(want)) == 3
    for name in ("points.csv", "swapped.csv", "points.parquet", "points.npy"):
        assert labels(folder, name) == want
    evaluated = run(folder, "evaluate", "model", "swapped.csv").stdout
    assert evaluated == run(folder, "evaluate", "model", "points.npy").stdout
    shown = run(folder, "inspect", "model", "--points", "points.parquet").stdout
    assert "columns: b,a\n" in shown and "score:" in shown


def test_columns_that_are_given_override(folder: Path) -> None:
    want = labels(folder, "points.csv")
    assert labels(folder, "renamed.csv", "--columns", "x,w") == want
    assert labels(folder, "unnamed.csv", "--columns", "1,0") == want
    assert labels(folder, "points.csv", "--columns", "a,b") != want


@pytest.mark.parametrize("name", ["renamed.csv", "unnamed.csv"])
@pytest.mark.parametrize("command", [["predict"], ["evaluate"], ["inspect", "--points"]])
def test_a_file_that_lacks_them_is_refused(folder: Path, name: str, command: list[str]) -> None:
    told = run(folder, command[0], "model", *command[1:], name, code=2).stderr
    assert f"{name} has no column 'b'; it has the columns" in told
    assert "The model in model was trained with the columns b,a" in told and "--columns" in told
    assert len(told.splitlines()) == 1


def test_training_goes_on_with_them(folder: Path) -> None:
    run(folder, "train", "swapped.csv", "model", "--steps", "1")
    assert "columns: b,a\n" in run(folder, "inspect", "model").stdout
    told = run(folder, "train", "renamed.csv", "model", "--steps", "1", "--columns", "x,w").stdout
    assert "From now on: --columns x,w (until now b,a)" in told
    assert "columns: x,w\n" in run(folder, "inspect", "model").stdout
    refused = run(folder, "train", "points.csv", "model", "--steps", "1", "--columns", "a", code=2)
    assert "1 columns" in refused.stderr
    assert "columns: x,w\n" in run(folder, "inspect", "model").stdout


def test_a_new_model_knows_nothing_of_an_old_one(folder: Path) -> None:
    for file in (folder / "model").glob("*ckpt*"):
        file.unlink()
    (folder / "model" / "checkpoint").unlink()
    run(folder, "train", "renamed.csv", "model", "-k", "3")
    kept = json.loads((folder / "model" / "settings.json").read_text())
    assert kept["columns"] == ["w", "x", "y", "z"]
    assert len(labels(folder, "renamed.csv")) == 500


def test_numbers_stand_for_columns_without_names(folder: Path) -> None:
    run(folder, "train", "unnamed.csv", "other", "-k", "3", "--columns", "1,0")
    assert json.loads((folder / "other" / "settings.json").read_text())["columns"] == [1, 0]
    evaluated = run(folder, "evaluate", "other", "points.csv").stdout
    assert evaluated == run(folder, "evaluate", "other", "points.npy").stdout
    told = run(folder, "evaluate", "other", "points.parquet", code=2).stderr
    assert "points.parquet has no column 1; it has the columns 'b', 'word', 'a'" in told
    # A name comes before a number.
    (folder / "numbered.csv").write_text("id,1,0\n7,1.5,2.5\n8,3.5,4.5\n")
    run(folder, "train", "numbered.csv", "third", "-k", "2", "--columns", "0,1")
    assert json.loads((folder / "third" / "settings.json").read_text())["columns"] == ["0", "1"]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"columns": 3}', '{"columns": [null]}'])
def test_a_damaged_file_of_columns_is_told(folder: Path, text: str) -> None:
    (folder / "model" / "settings.json").unlink()  # a model of an older version
    (folder / "model" / "columns.json").write_text(text)
    told = run(folder, "predict", "model", "points.csv", code=2).stderr
    assert told.startswith("centroids: model/columns.json is damaged: give --columns")
    run(folder, "predict", "model", "points.csv", "--columns", "a,b")


def test_another_width_says_that_columns_can_be_chosen(folder: Path) -> None:
    told = run(folder, "predict", "model", "points.csv", "--columns", "a,b,c", code=2).stderr
    assert told == (
        "centroids: points.csv: points have 3 columns, but the centers of the trained model have 2 "
        "columns; choose columns with --columns\n"
    )
    np.save(folder / "wide.npy", POINTS)
    told = run(folder, "evaluate", "model", "wide.npy", code=2).stderr
    assert told.startswith("centroids: wide.npy: points have 4 columns") and "--" not in told
