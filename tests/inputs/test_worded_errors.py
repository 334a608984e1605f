"""Errors carry what they are about, also from a process to another."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

from centroids import KMeansClustering
from centroids.errors import ArgumentError, BadLineError, BadRowError, MissingColumnError
from centroids.inputs import csv_input_fn, open_stream


def test_a_bad_line_knows_its_place(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("x,y\n1,2\n3,four\n5,6 kg\n")
    with pytest.raises(BadLineError) as caught:
        list(csv_input_fn(file)())
    error = caught.value
    assert (error.file, error.line, error.column) == (str(file), 3, "'y'")
    assert error.can_be_dropped
    assert str(error).startswith(f"{file}, line 3, column 'y': 'four' is not a number; ")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is BadLineError and str(again) == str(error)
        assert (again.line, again.say(str)) == (3, str(error))


def test_a_line_with_digits_is_not_dropped(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n5,6 kg\n")
    with pytest.raises(BadLineError) as caught:
        list(csv_input_fn(tmp_path / "a.csv")())
    assert not caught.value.can_be_dropped


def test_a_row_knows_its_batch_and_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n3,4\n5,nan\n")
    model = KMeansClustering(1, str(tmp_path / "m"), random_seed=1)
    with pytest.raises(BadRowError) as caught:
        model.train(csv_input_fn(tmp_path / "a.csv", batch_size=2))
    error = caught.value
    assert (error.batch, error.row, error.column) == (1, 0, 1)
    assert error.place == f"{tmp_path / 'a.csv'}, line 4, column 'y'"
    again = pickle.loads(pickle.dumps(error))
    assert again.place == error.place and str(again) == str(error)


def test_a_row_of_arrays_has_no_place(tmp_path: Path) -> None:
    model = KMeansClustering(1, str(tmp_path / "m"), random_seed=1)
    with pytest.raises(BadRowError, match="got inf in batch 0, row 1, column 0; ") as caught:
        model.train(lambda: np.array([[1.0], [np.inf]]), steps=1)
    assert caught.value.place is None


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(MissingColumnError, match="it has the columns 'x', 'y'") as caught:
        csv_input_fn(tmp_path / "a.csv", columns=["z"])
    assert caught.value.column == "z"


def test_an_argument_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(ArgumentError) as caught:
        csv_input_fn(tmp_path / "a.csv", batch_size=0)
    assert (caught.value.argument, caught.value.given) == ("batch_size", 0)
    with open_stream(csv_input_fn(tmp_path / "a.csv")) as stream:
        assert len(list(stream)) == 1
