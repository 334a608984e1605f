"""The file of points that a command reads, and the columns of it that the model takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from centroids.cli.settings import read_settings
from centroids.inputs import file_input_fn
from centroids.inputs.bad_rows import BadRows
from centroids.inputs.csv_layout import detect_layout
from centroids.kernels import check_points

Columns = Sequence[str | int] | None

_WITHOUT_COLUMNS = ".npy"
_TEXT_ENDINGS = (".csv", ".tsv", ".txt")
_ALL_COLUMNS = "*"


def open_points(
    path: Path,
    batch_size: int = 128,
    num_epochs: int = 1,
    shuffle: bool = False,
    seed: int = 0,
    *,
    columns: Columns,
    bad_rows: BadRows = "raise",
) -> Callable[[], Any]:
    """As `file_input_fn`, but what is no matrix of real numbers is refused at once, by its name.

    Raises:
        OSError: If the file cannot be read.
        TypeError: If it does not hold real numbers.
        ValueError: If its shape is wrong, or a column is not there.
    """
    input_fn = file_input_fn(
        path, batch_size, num_epochs, shuffle, seed, columns=columns, bad_rows=bad_rows
    )
    if path.suffix.lower() == _WITHOUT_COLUMNS:
        check_points(np.load(path, mmap_mode="r")[:0], str(path))
    return input_fn


def choose_columns(points: Path, asked: list[str] | None, model_dir: Path | None) -> Columns:
    """The columns to take of a file: those asked for, else those that the model was trained with.

    Args:
        points: The file. A .npy file has no columns to choose.
        asked: Names, or for a text file numbers from 0; ["*"] for all; None if the command line
            has none.
        model_dir: The folder of the model; None if there is none yet.

    Returns:
        Names and numbers; None for all columns.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it lacks a column that the model was trained with.
    """
    if asked == [_ALL_COLUMNS]:
        return None
    if asked is not None:
        return _numbers_of(points, asked)
    if model_dir is None or points.suffix.lower() == _WITHOUT_COLUMNS:
        return None
    trained_with = read_settings(model_dir).columns
    if trained_with is None:
        return None
    try:
        file_input_fn(points, columns=trained_with)
    except ValueError as error:
        if "has no column" not in str(error):
            raise
        if _has_as_many_without_names(points, trained_with):
            return None
        raise ValueError(
            f"{error}. The model in {model_dir} was trained with the columns "
            f"{describe_columns(trained_with)}: name those of this file with --columns, or take "
            "all with --columns '*'"
        ) from error
    # All columns in the order of the file are no choice: the position of a training says so.
    return None if _all_names(points) == list(trained_with) else trained_with


def columns_to_keep(points: Path, columns: Columns) -> tuple[str | int, ...] | None:
    """The columns that a model is trained with, by their names if the file has names.

    Args:
        points: The file.
        columns: What `choose_columns` chose.

    Returns:
        Names; numbers for a file without names; None for all columns of such a file.
    """
    if points.suffix.lower() == _WITHOUT_COLUMNS:
        return None
    names = file_input_fn(points, columns=columns)().column_names  # type: ignore[attr-defined]
    if names is not None and all(names) and len(set(names)) == len(names):
        return tuple(names)
    return None if columns is None else tuple(columns)


def describe_columns(columns: Sequence[str | int]) -> str:
    """Columns as --columns takes them."""
    return ",".join(map(str, columns))


def _has_as_many_without_names(points: Path, columns: Sequence[str | int]) -> bool:
    """Whether a text file without names has just as many columns: it is taken as a .npy file is."""
    if points.suffix.lower() not in _TEXT_ENDINGS or not all(type(c) is str for c in columns):
        return False
    layout = detect_layout(points, None, None)
    return layout.names is None and layout.num_fields == len(columns)


def _all_names(points: Path) -> list[str] | None:
    """The names of all columns of a text file, if it has names."""
    if points.suffix.lower() not in _TEXT_ENDINGS:
        return None
    return file_input_fn(points)().column_names  # type: ignore[attr-defined,no-any-return]


def _numbers_of(points: Path, asked: list[str]) -> list[str | int]:
    """Digits are numbers of columns where a text file has no column of that name."""
    if points.suffix.lower() in (".parquet", _WITHOUT_COLUMNS):
        return list(asked)
    names = detect_layout(points, None, None).names or ()
    return [int(word) if word.isdecimal() and word not in names else word for word in asked]
