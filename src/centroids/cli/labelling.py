"""What is to be labelled and how: a request, the form of its answers, and the input for them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from centroids import KMeansClustering
from centroids.cli.answer_forms import Form, NamedColumns, NumbersAlone
from centroids.cli.answered_rows import AnsweredRows, TableRows, answered, table_columns
from centroids.cli.input_file import files_of
from centroids.cli.output_file import check_output
from centroids.cli.points_file import PointsFile
from centroids.cli.predictions import ENDINGS
from centroids.cli.settings import read_settings
from centroids.cli.text_options import GivenText
from centroids.errors import Argument, WordedError
from centroids.estimator import Checkpoint
from centroids.estimator.session_setup import check_order
from centroids.inputs.arrow import import_arrow
from centroids.inputs.bad_rows import is_not_infinite
from centroids.inputs.tables.opening import is_text_file, open_table
from centroids.inputs.tables.table import Table, check_columns
from centroids.kmeans.variables import CLUSTERS, fills_missing


@dataclass(frozen=True)
class Request:
    """What is to be predicted, and how it is to be written.

    Attributes:
        model_dir: The folder of the model.
        points: The file of points.
        output: The file to write; "-" is standard output.
        distances: Write the distances to all centers in place of labels.
        resume: Continue with what an earlier process wrote.
        columns: The columns of the points; None for those of the model.
        text: How a text file is written.
        id_column: The column of the points' file that goes with the labels.
        append: Whether all of its columns do.
        distance: Whether the distance to the nearest center is written too.
        second_best: Whether the second nearest cluster and its distance are.
        empties: Whether a line that is not a row of numbers gets an empty label; else it is an
            error.
        quiet: Print nothing but errors.
    """

    model_dir: Path
    points: Path
    output: Path
    distances: bool
    resume: bool
    columns: list[str] | None
    text: GivenText
    id_column: str | None = None
    append: bool = False
    distance: bool = False
    second_best: bool = False
    empties: bool = False
    quiet: bool = False

    @property
    def wants_table(self) -> bool:
        """Whether there are columns with names."""
        asked = self.id_column is not None or self.append or self.distance or self.second_best
        return asked or self.output.suffix.lower() == ".parquet"

    def check(self) -> None:
        """Raises a ValueError if options exclude each other, or the output cannot be written."""
        to_file = str(self.output) != "-"
        ending = self.output.suffix.lower()
        if to_file and ending not in ENDINGS:
            raise ValueError(
                f"--output must be a .npy, .csv or .parquet file or -, got {self.output}"
            )
        if self.resume and ending == ".parquet":
            raise ValueError(
                f"--resume is for .npy and .csv files: {self.output} is written in one go"
            )
        if self.resume and not to_file:
            raise ValueError("--resume needs a file to continue with: give --output, too")
        if self.distances and (self.distance or self.second_best):
            raise ValueError(
                "--distances writes the distances to all centers in place of labels: leave it out, "
                "or --distance and --second-best"
            )
        if self.append and self.id_column is not None:
            raise ValueError("--append writes all columns, that of --id-column too: leave one out")
        if to_file:
            check_output(self.output, points=self.points, model_dir=self.model_dir)


def key_of(request: Request) -> str:
    """Which prediction is written."""
    wanted = KMeansClustering
    return wanted.ALL_DISTANCES if request.distances else wanted.CLUSTER_INDEX


def form_and_input(
    request: Request, file: PointsFile, rows: int, checkpoint: Checkpoint
) -> tuple[Form, Callable[[], AnsweredRows]]:
    """How the answers to a request are written, and the input function of its rows.

    Args:
        request: The request.
        file: Its points.
        rows: The most rows of a batch.
        checkpoint: The model.

    Raises:
        ValueError: If a column is not there, or cannot be written beside the labels.
        TypeError: If a column of the points does not hold numbers.
    """
    is_good = is_not_infinite if fills_missing(checkpoint.identity) else np.isfinite
    if not request.wants_table:
        make_source = _points_alone(request, file, rows, checkpoint)
        return NumbersAlone(key_of(request)), answered(make_source, is_good)
    if not file.has_columns and (request.id_column is not None or request.append):
        raise WordedError(
            Argument("id_column" if request.id_column is not None else "append"),
            f" is for files with named columns; {file.path} has none",
        )
    ending = request.output.suffix.lower()
    if ending == ".parquet":
        import_arrow("pyarrow.parquet", f"writing {request.output}")
    table = open_table(file.path, file.text)
    columns = _checked_columns(file, table, checkpoint)
    beside: list[str] = []
    if request.append:
        beside = check_columns(table, table.schema.names)
    elif request.id_column is not None:
        beside = check_columns(table, [request.id_column])
    as_written = [name for name in beside if name not in columns]
    if request.append and ending == ".parquet":
        # The types of a whole table are worth more than how it was written, but for ids.
        ids = read_settings(request.model_dir, with_columns=False).id_column
        as_written = [name for name in as_written if name == ids]
    if ending != ".npy":  # names must be numbers there
        table = table.as_written(as_written)
    table = _as_points(table, columns, request)
    form = NamedColumns(
        table,
        beside,
        num_clusters=len(checkpoint.variables[CLUSTERS]) if request.distances else None,
        distance=request.distance,
        second_best=request.second_best,
    )
    make = functools.partial(TableRows, table, columns, beside, rows, file.count)
    return form, answered(make, is_good)


def _points_alone(
    request: Request, file: PointsFile, rows: int, checkpoint: Checkpoint
) -> Callable[[], Any]:
    """An input function of the points, without other columns."""
    if not request.empties:
        return file.open(rows)
    if file.is_text:
        return file.open(rows, bad_rows="drop")
    files = files_of(file.path)
    if not (files and all(map(is_text_file, files))):  # there are no lines of text
        return file.open(rows)
    table = open_table(file.path, file.text)
    columns = _checked_columns(file, table, checkpoint)
    table = _as_points(table, columns, request)
    return functools.partial(TableRows, table, columns, [], rows, file.count)


def _checked_columns(file: PointsFile, table: Table, checkpoint: Checkpoint) -> list[str]:
    """The columns of the points, which come in the order that the model knows."""
    columns = table_columns(file, table)
    check_order(checkpoint.column_names, tuple(columns) if table.has_names else None)
    return columns


def _as_points(table: Table, columns: list[str], request: Request) -> Table:
    """A table whose columns of points are numbers, also where its first lines are bad."""
    table = table.as_numbers(columns)
    return table.with_bad_lines() if request.empties else table
