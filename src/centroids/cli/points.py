"""Which columns of a file a command takes: those asked for, else those of the model."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from centroids.checkpoints.folder import find_entries
from centroids.cli.errors import NOTHING
from centroids.cli.points_file import PointsFile
from centroids.cli.settings import Settings, read_settings
from centroids.cli.text_options import GivenText, with_kept
from centroids.errors import Argument, MissingColumnError, WordedError, message_of
from centroids.inputs.arguments import check_file
from centroids.inputs.tables.columns import numeric_columns
from centroids.inputs.tables.opening import open_table
from centroids.inputs.tables.table import check_columns
from centroids.inputs.text.csv_layout import choose_columns, columns_of_words

_ALL_COLUMNS = "*"


def find_points(
    path: Path,
    asked: list[str] | None,
    text: GivenText,
    model_dir: Path | None,
    kept: Settings | None = None,
    *,
    weight_column: str | None = None,
    id_column: str | None = None,
) -> PointsFile:
    """How to read a file of points: as was asked for, else as the model was trained.

    Args:
        path: The file. A .npy file has no columns to choose.
        asked: Names, or for a text file numbers from 0; ["*"] for all; None if the command line
            has none.
        text: How the file is written, as far as the command line says.
        model_dir: The folder of the model; None if there is none yet.
        kept: What the model keeps, if that is read already.
        weight_column: The column of the weights; None: they are not wanted, and the one that the
            model was trained with is not among all columns.
        id_column: The column that names the rows, which is not among all columns.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it lacks a column that the model was trained with, or that of the weights.
    """
    _check_is_no_model(path)
    if model_dir is None:
        kept = Settings()
    elif kept is None:
        kept = read_settings(model_dir, with_columns=asked is None)
    file = _with_columns(PointsFile(path), asked, text, model_dir, kept)
    if id_column is not None:
        _check_no_point(id_column, asked, file, kept, model_dir)
    if (ids := id_column or kept.id_column) is not None and file.columns is None:
        file = _without_ids(file, ids, weight_column, must_be_there=id_column is not None)
    if weight_column is not None:
        try:
            return _with_weights(file, weight_column)
        except MissingColumnError as error:
            if weight_column != kept.weight_column:
                raise
            raise WordedError(
                message_of(error),
                f". The model in {model_dir} was trained with the weights in "
                f"{weight_column!r}: name those of this file with --weight-column, or let all rows "
                f"count alike with --weight-column {NOTHING}",
            ) from error
    return file if kept.weight_column is None else _without_column(file, kept.weight_column)


def _check_no_point(
    id_column: str,
    asked: list[str] | None,
    file: PointsFile,
    kept: Settings,
    model_dir: Path | None,
) -> None:
    """Raises a ValueError if the column of the ids is one of those of the points."""
    if asked is None and id_column in (kept.columns or ()):
        raise ValueError(
            f"--id-column is {id_column!r}, but the points of the model in {model_dir} have that "
            "column: leave --id-column out, or make a new model of other columns with --fresh "
            "--columns"
        )
    if asked is not None and id_column in (file.columns or ()):
        raise ValueError(
            f"--columns takes {id_column!r}, which names the rows (--id-column): leave it out of "
            "one of them"
        )


def _check_is_no_model(path: Path) -> None:
    """Raises a ValueError for what a newcomer may take for points."""
    if isinstance(path, Path) and path.is_dir() and find_entries(str(path), warn=False):
        raise ValueError(f"{path} is the folder of a model; a file of points is needed")


def _with_columns(
    file: PointsFile,
    asked: list[str] | None,
    text: GivenText,
    model_dir: Path | None,
    kept: Settings,
) -> PointsFile:
    of_model = kept.text or {} if file.is_text else {}
    file = dataclasses.replace(file, text=with_kept(text, of_model))
    if asked == [_ALL_COLUMNS]:
        return file
    if asked is not None:
        return dataclasses.replace(file, columns=_columns_of_words(file, asked))
    if kept.columns is None or not file.has_columns:
        return file
    return _with_columns_of_model(file, kept.columns, str(model_dir))


def read_columns(model_dir: Path) -> tuple[str | int, ...] | None:
    """The columns that a model was trained with, as far as it keeps them; see `Settings`."""
    return read_settings(model_dir).columns


def describe_columns(columns: Sequence[str | int]) -> str:
    """Columns as --columns takes them."""
    return ",".join(map(str, columns))


def _with_weights(file: PointsFile, column: str) -> PointsFile:
    """A file with one of its columns for the weights of its rows.

    Args:
        file: The file, whose columns are those of the points; None: all but the one.
        column: Its name, or its number for a text file without such a name.

    Raises:
        ValueError: If it is not there, is one of the points, or the only one.
    """
    if not file.has_columns:
        raise WordedError(
            Argument("weight_column"), f" is for files with named columns; {file.path} has none"
        )
    weights = _columns_of_words(file, [column])[0]
    if file.columns is None:
        others = _others(file, weights)
    else:
        others = list(file.columns)
        numbers = _numbers(file, weights, *others) if file.is_text else (weights, *others)
        if numbers[0] in numbers[1:]:
            raise ValueError(
                f"--columns takes {column!r}, which holds the weights (--weight-column): leave it "
                "out of one of them"
            )
    if not others:
        raise ValueError(f"{file.path} has no column but that of the weights, {column!r}")
    return dataclasses.replace(file, columns=[*others, weights], weighted=True)


def _without_column(file: PointsFile, column: str) -> PointsFile:
    """A file of which all columns are taken but one, where it is there."""
    if file.columns is not None or not file.has_columns:
        return file
    try:
        others = _others(file, _columns_of_words(file, [column])[0])
    except MissingColumnError:
        return file
    return dataclasses.replace(file, columns=others) if others else file


def _without_ids(
    file: PointsFile, column: str, weight_column: str | None, *, must_be_there: bool
) -> PointsFile:
    """A file of which all columns are taken but that of the ids, and that of the weights."""
    if not file.has_columns:
        if must_be_there:
            raise WordedError(
                Argument("id_column"), f" is for files with named columns; {file.path} has none"
            )
        return file
    try:
        others = _all_but_ids(file, column)
    except MissingColumnError:
        if must_be_there:
            raise
        return file
    if weight_column is not None:
        with contextlib.suppress(MissingColumnError):  # whoever takes the weights says so
            [weights] = _columns_of_words(file, [weight_column])
            number = _numbers(file, weights)[0] if file.is_text else weights
            others = [each for each in others if each != number]
    if not others:
        raise ValueError(f"{file.path} has no column but that of the ids, {column!r}")
    return dataclasses.replace(file, columns=others)


def _all_but_ids(file: PointsFile, column: str) -> list[str | int]:
    """The columns that hold numbers but one, which must be there, and need not hold any."""
    if file.is_text:
        return _others(file, _columns_of_words(file, [column])[0])
    table = open_table(file.path)
    check_columns(table, [column])
    return [*numeric_columns(table, None, column)]


def _others(file: PointsFile, column: str | int) -> list[str | int]:
    """All columns but one, which must be there."""
    if not file.is_text:
        names = file.column_names() or []
        if column not in names:
            raise MissingColumnError(file.path, column, names)
        return [name for name in names if name != column]
    [number] = _numbers(file, column)
    layout = file.layout()
    every = choose_columns(file.path, layout, None) or range(layout.num_fields)
    return [each for each in every if each != number]


def _numbers(file: PointsFile, *columns: str | int) -> tuple[int, ...]:
    """The numbers of columns of a text file."""
    return choose_columns(file.path, file.layout(columns), columns) or ()


def _with_columns_of_model(
    file: PointsFile, columns: tuple[str | int, ...], model_dir: str
) -> PointsFile:
    chosen = dataclasses.replace(file, columns=columns)
    try:
        _check_columns(chosen)
    except MissingColumnError as error:
        if _has_as_many_without_names(file, columns):
            return file
        raise WordedError(
            message_of(error),
            f". The model in {model_dir} was trained with the columns "
            f"{describe_columns(columns)}: name those of this file with --columns, or take all "
            "with --columns '*'",
        ) from error
    # All columns in the order of the file are not a choice: the position of a training run says so.
    return file if _are_all_in_order(file, columns) else chosen


def _are_all_in_order(file: PointsFile, columns: tuple[str | int, ...]) -> bool:
    if not file.is_text:
        return False
    named = [name for name in file.layout().names or () if name]
    # Columns that share a name can only be taken one by one.
    return len(set(named)) == len(named) and file.column_names() == list(columns)


def _check_columns(file: PointsFile) -> None:
    """Raises a ValueError if a column is not there; reports nothing if the file can be read."""
    if file.is_text:
        check_file(file.path)
        file.column_names()
    else:
        file.open()


def _has_as_many_without_names(file: PointsFile, columns: tuple[str | int, ...]) -> bool:
    """Whether a text file without names has just as many columns: it is taken as a .npy file is."""
    if not file.is_text or not all(isinstance(column, str) for column in columns):
        return False
    layout = file.layout()
    return layout.names is None and layout.num_fields == len(columns)


def _columns_of_words(file: PointsFile, words: list[str]) -> list[str | int]:
    """Digits are numbers of columns if a text file has no column of that name; a:f is a range."""
    words = _in_full(file, words)
    if not file.is_text:
        _check_different(words, words)
        return list(words)
    columns = columns_of_words(file.first_lines(), words)
    layout = file.layout(columns)
    _check_different(words, choose_columns(file.path, layout, columns) or ())
    return columns


def _in_full(file: PointsFile, words: list[str]) -> list[str]:
    """Words with each range `a:f` replaced by the columns that it stands for."""
    if not any(":" in word for word in words):
        return words
    every = (file.layout().names if file.is_text else file.every_name()) or ()
    names = list(every) or [str(number) for number in range(file.layout().num_fields)]
    found: list[str] = []
    for word in words:
        first, colon, last = word.partition(":")
        if not colon or word in names:
            found.append(word)
            continue
        for end in (first, last):
            if end not in names:
                raise MissingColumnError(file.path, end, names)
        start, stop = names.index(first), names.index(last)
        if start > stop:
            raise ValueError(
                f"--columns takes {word!r}, but {file.path} has {last!r} before {first!r}: write "
                f"{last}:{first}"
            )
        found += names[start : stop + 1]
    return found


def _check_different(words: list[str], columns: Sequence[str | int]) -> None:
    for place, column in enumerate(columns):
        if column in columns[:place]:
            first = words[columns.index(column)]
            same = f"{words[place]!r} is the column {first!r} again"
            raise ValueError(
                f"--columns takes the column {first!r} twice: leave one out"
                if words[place] == first
                else f"--columns takes a column twice: {same}; leave one out"
            )
