"""The file of points that a command reads, and the columns of it that the model takes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from centroids import CheckpointSaverListener
from centroids.files import read_regular, replace_file
from centroids.inputs import TextFormat, file_input_fn
from centroids.inputs.bad_rows import BadRows
from centroids.inputs.csv_layout import columns_of_words
from centroids.inputs.file import is_text_file
from centroids.inputs.npy import NpyFile
from centroids.kernels import check_points

Columns = Sequence[str | int] | None

_FILE = "columns.json"
_MAX_BYTES = 1 << 24
_WITHOUT_COLUMNS = ".npy"
ANY_TEXT = TextFormat()


def open_points(
    path: Path,
    batch_size: int = 128,
    num_epochs: int = 1,
    shuffle: bool = False,
    seed: int = 0,
    *,
    columns: Columns,
    bad_rows: BadRows = "raise",
    text: TextFormat = ANY_TEXT,
) -> Callable[[], Any]:
    """As `file_input_fn`, but what is no matrix of real numbers is refused at once, by its name.

    Raises:
        OSError: If the file cannot be read.
        TypeError: If it does not hold real numbers.
        ValueError: If its shape is wrong, or a column is not there.
    """
    input_fn = file_input_fn(
        path,
        batch_size,
        num_epochs,
        shuffle,
        seed,
        columns=columns,
        bad_rows=bad_rows,
        **dataclasses.asdict(text),
    )
    if path.suffix.lower() == _WITHOUT_COLUMNS:
        check_points(NpyFile(path).read(0, 0), str(path))
    return input_fn


def choose_columns(
    points: Path,
    asked: list[str] | None,
    model_dir: Path | None,
    text: TextFormat = ANY_TEXT,
) -> Columns:
    """The columns to take of a file: those asked for, else those that the model was trained with.

    Args:
        points: The file. A .npy file has no columns to choose.
        asked: Names, or for a text file numbers from 0; None if the command line has none.
        model_dir: The folder of the model; None if there is none yet.
        text: How the file is written, if it is text.

    Returns:
        Names and numbers; None for all columns.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it lacks a column that the model was trained with.
    """
    if asked is not None:
        return _numbers_of(points, asked, text)
    if model_dir is None or points.suffix.lower() == _WITHOUT_COLUMNS:
        return None
    trained_with = read_columns(model_dir)
    if trained_with is None:
        return None
    try:
        file_input_fn(points, columns=trained_with, **dataclasses.asdict(text))
    except ValueError as error:
        if "has no column" not in str(error):
            raise
        raise ValueError(
            f"{error}. The model in {model_dir} was trained with the columns "
            f"{describe_columns(trained_with)}: name those of this file with --columns"
        ) from error
    return trained_with


def read_columns(model_dir: Path) -> list[str | int] | None:
    """The columns that a model was trained with; None if --columns was not given then.

    Raises:
        ValueError: If the file that tells them is damaged.
    """
    file = model_dir / _FILE
    try:
        columns = json.loads(read_regular(file, _MAX_BYTES))["columns"]
        if not columns or not all(type(column) in (str, int) for column in columns):
            raise ValueError
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{file} is damaged: give --columns, or remove it to take all") from None
    return list(columns)


def describe_columns(columns: Sequence[str | int]) -> str:
    """Columns as --columns takes them."""
    return ",".join(map(str, columns))


class ColumnsSaver(CheckpointSaverListener):
    """Keeps the columns that a model is trained with beside its checkpoints.

    They are written before the first checkpoint is, so that a model never lacks them.
    """

    def __init__(self, model_dir: Path, columns: Columns) -> None:
        self._file, self._columns, self._saved = model_dir / _FILE, columns, False

    def before_save(self, session: Any, global_step_value: int) -> None:
        """Writes them once; all columns need no file."""
        if self._saved:
            return
        self._saved = True
        if self._columns is None:
            with contextlib.suppress(FileNotFoundError):
                self._file.unlink()
            return
        text = json.dumps({"columns": list(self._columns)}, ensure_ascii=False)
        replace_file(str(self._file), f"{text}\n".encode())


def _numbers_of(points: Path, asked: list[str], text: TextFormat) -> list[str | int]:
    """Digits are numbers of columns where a text file has no column of that name."""
    return columns_of_words(points, asked, text) if is_text_file(points) else list(asked)
