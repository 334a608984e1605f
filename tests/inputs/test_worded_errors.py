"""Errors carry what they are about, also from a process to another."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest

from centroids import KMeansClustering
from centroids.distribute import ParquetFolder
from centroids.errors import (
    Argument,
    ArgumentError,
    BadLineError,
    BadRowError,
    MissingColumnError,
    Worded,
)
from centroids.inputs import csv_input_fn, open_stream
from centroids.inputs.errors import NoPositionError

WORDS = pyarrow.table({"x": ["a", "b"]})


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


@pytest.mark.parametrize("batches", [[WORDS], [[[1.0]], WORDS]])
def test_the_place_of_a_table_leaves_arguments_in_its_error(batches: list[Any]) -> None:
    with pytest.raises(TypeError) as caught, open_stream(lambda: iter(batches)) as stream:
        list(stream)
    assert_names_columns(caught.value, f"batch {len(batches) - 1}: features['x'] must hold")


def test_a_table_that_a_callable_returns_leaves_arguments_in_its_error() -> None:
    model = KMeansClustering(1, initial_clusters=lambda points, k: WORDS)
    with pytest.raises(ValueError, match="must hold numbers") as caught:
        model.train(lambda: np.ones((2, 1)), steps=1)
    assert_names_columns(caught.value, "initial_clusters(...)['x'] must hold numbers")


def test_a_table_of_centers_leaves_arguments_in_its_error() -> None:
    with pytest.raises(ValueError, match="must hold numbers") as caught:
        KMeansClustering(1, initial_clusters=WORDS)
    assert_names_columns(caught.value, "initial_clusters must be ")


def test_a_partition_leaves_arguments_in_its_error(tmp_path: Path) -> None:
    import pyarrow.parquet

    pyarrow.parquet.write_table(WORDS, tmp_path / "a.parquet")
    model = KMeansClustering(1, initial_clusters=[[1.0]])
    with pytest.raises(TypeError) as caught:
        model.train(lambda: ParquetFolder(tmp_path), steps=1)
    assert_names_columns(caught.value, "batch 0: ")


def assert_names_columns(error: Exception, start: str) -> None:
    """Its text begins so, and each face has its own word for the argument that it names."""
    assert isinstance(error, Worded)
    assert str(error).startswith(start)
    for each in (error, pickle.loads(pickle.dumps(error))):
        told = each.say(lambda argument: f"--{argument.name} ...")
        assert told == str(error).replace("columns=[...]", "--columns ...") != str(error)


class Endless:
    """A source around another one, which cannot continue anywhere."""

    def __iter__(self) -> Any:
        yield [1.0]

    def position(self) -> dict[str, Any]:
        return {"row": 1}

    def restore(self, position: Any) -> None:
        raise NoPositionError("it is read from a pipe", remedy=Argument("restart_input", True))


def test_what_a_source_says_of_its_position_is_not_rewritten() -> None:
    with pytest.raises(NoPositionError) as caught:
        open_stream(Endless, position={"row": 1})
    assert caught.value.say(lambda argument: "--restart-input") == (
        "it is read from a pipe; --restart-input"
    )
