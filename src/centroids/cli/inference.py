"""centroids predict and evaluate."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import typer

from centroids import KMeansClustering, ProgressBarHook
from centroids.checkpoints.tensorflow import find_tensorflow_checkpoint
from centroids.cli.answer import answer
from centroids.cli.answer_forms import Form, NamedColumns, NumbersAlone
from centroids.cli.answered_rows import AnsweredRows, TableRows, answered, table_columns
from centroids.cli.fresh import newest_aside
from centroids.cli.numbers import show_number
from centroids.cli.output_file import check_not_input
from centroids.cli.points import find_points
from centroids.cli.points_file import PointsFile
from centroids.cli.predictions import (
    Prediction,
    describe_input,
    print_predictions,
    write_predictions,
)
from centroids.cli.settings import Settings, read_settings
from centroids.cli.text_options import GivenText
from centroids.cli.training_plan import choose_weights
from centroids.clustering import Preparation
from centroids.errors import Argument, WordedError
from centroids.estimator import Checkpoint, load_latest, read_checkpoint
from centroids.estimator.session_setup import check_order
from centroids.inputs.arrow import import_arrow
from centroids.inputs.bad_rows import BadRows, is_not_infinite
from centroids.inputs.file import is_points_file
from centroids.inputs.missing import MissingValues
from centroids.inputs.tables.opening import open_table
from centroids.inputs.tables.table import check_columns
from centroids.kmeans.model import TOTAL_WEIGHT, DistanceMetric
from centroids.kmeans.variables import CLUSTERS, COLUMN_SCALES, fills_missing, preparation_of

_BATCH_SIZE = 1 << 14
_BATCH_DISTANCES = 1 << 24


def open_model(model_dir: Path) -> KMeansClustering:
    """The trained model of a folder; metric and number of clusters come from its checkpoint.

    Raises:
        ValueError: If the folder holds no model of ours.
    """
    return model_of(read_model(model_dir), model_dir)


def find_model(model_dir: Path) -> KMeansClustering | None:
    """As `open_model`, or None if the folder holds no trained model at all."""
    checkpoint = find_checkpoint(model_dir)
    return None if checkpoint is None else model_of(checkpoint, model_dir)


def read_model(model_dir: Path, checkpoint_path: Path | None = None) -> Checkpoint:
    """The checkpoint at a path, or else the latest of a folder.

    Raises:
        ValueError: If there is none.
    """
    if checkpoint_path is not None:
        try:
            return read_checkpoint(checkpoint_path)
        except ValueError as error:
            raise ValueError(f"--checkpoint {checkpoint_path}: {error}") from error
    check_is_folder(model_dir)
    checkpoint = find_checkpoint(model_dir)
    if checkpoint is None:
        old = newest_aside(model_dir)
        aside = f"; an older one is in {old}" if old is not None else ""
        raise ValueError(
            f"{model_dir} holds no trained model{aside}; make one with: centroids train POINTS "
            f"{model_dir} --num-clusters K"
        )
    return checkpoint


def check_is_folder(model_dir: Path) -> None:
    """Raises a ValueError if it is a file, as it is if the arguments are the wrong way round."""
    if not model_dir.is_file():
        return
    if is_points_file(model_dir):
        raise ValueError(f"{model_dir} is a file of points; the model folder comes first")
    raise ValueError(f"{model_dir} is a file; the folder of a trained model is needed")


def model_of(
    checkpoint: Checkpoint,
    model_dir: Path,
    weight_column: str | None = None,
    missing: MissingValues = "raise",
) -> KMeansClustering:
    """The model that a checkpoint of a folder is of.

    Args:
        checkpoint: The checkpoint.
        model_dir: The folder.
        weight_column: The column of its input that holds weights; None: there is none.
        missing: What to do with missing values, if it does not fill them with means.

    Raises:
        ValueError: If it is not a model of ours.
    """
    if checkpoint.identity.get("model") != "KMeansClustering":
        raise ValueError(f"{model_dir} holds a model of another kind: {dict(checkpoint.identity)}")
    return KMeansClustering(
        num_clusters=len(checkpoint.variables[KMeansClustering.CLUSTERS]),
        model_dir=str(model_dir),
        distance_metric=cast("DistanceMetric", checkpoint.identity["distance_metric"]),
        weight_column=weight_column,
        missing="mean" if fills_missing(checkpoint.identity) else missing,
        standardize="standardize" in checkpoint.identity,
    ).hand_on(checkpoint)


def preparation_of_model(checkpoint: Checkpoint) -> Preparation | None:
    """What the model of a checkpoint does to points before it clusters them."""
    return preparation_of(checkpoint.variables, fills=fills_missing(checkpoint.identity))


def describe_preparation(checkpoint: Checkpoint) -> str:
    """That in words; empty if it is nothing."""
    fills = "missing values become means" if fills_missing(checkpoint.identity) else ""
    scales = "columns are standardized" if COLUMN_SCALES in checkpoint.variables else ""
    return ", ".join(filter(None, (fills, scales)))


def missing_of(checkpoint: Checkpoint, kept: Settings) -> MissingValues:
    """What the model of a checkpoint does with missing values, unless it is told otherwise."""
    return "mean" if fills_missing(checkpoint.identity) else kept.missing or "raise"


def find_checkpoint(model_dir: Path) -> Checkpoint | None:
    """The latest checkpoint of a folder, or None if it holds no trained model at all.

    Raises:
        ValueError: If it holds a model of TensorFlow, or none of its checkpoints is whole.
    """
    checkpoint = load_latest(str(model_dir))
    if checkpoint is None and find_tensorflow_checkpoint(str(model_dir)) is not None:
        raise ValueError(
            f"{model_dir} holds a model of TensorFlow; import it with: centroids import "
            f"{model_dir} NEW"
        )
    return checkpoint


def batch_size(model: KMeansClustering, *, distances: bool) -> int:
    """Rows to read at once: fewer if each comes with its distances to many centers."""
    if not distances:
        return _BATCH_SIZE
    num_clusters = int(model.params["num_clusters"])
    return max(1, min(_BATCH_SIZE, _BATCH_DISTANCES // num_clusters))


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
    quiet: bool = False

    @property
    def wants_table(self) -> bool:
        """Whether there are columns with names."""
        asked = self.id_column is not None or self.append or self.distance or self.second_best
        return asked or self.output.suffix.lower() == ".parquet"

    def check(self) -> None:
        """Raises a ValueError if options exclude each other."""
        if self.resume and str(self.output) == "-":
            raise ValueError("--resume needs a file to continue with: give --output, too")
        if self.distances and (self.distance or self.second_best):
            raise ValueError(
                "--distances writes the distances to all centers in place of labels: leave it out, "
                "or --distance and --second-best"
            )
        if self.append and self.id_column is not None:
            raise ValueError("--append writes all columns, that of --id-column too: leave one out")


def predict(request: Request) -> None:
    """Writes the nearest cluster of each point, or its distances to all centers."""
    request.check()
    if str(request.output) != "-":
        check_not_input(request.output, request.points)
    checkpoint = read_model(request.model_dir)
    model = model_of(checkpoint, request.model_dir)
    all_distances = request.distances or request.distance or request.second_best
    rows = batch_size(model, distances=all_distances)
    file = find_points(request.points, request.columns, request.text, request.model_dir)
    form, input_fn = _form_and_input(request, file, rows, checkpoint)
    prediction = Prediction(
        model,
        form=form,
        input=describe_input(request.points, file.columns, file.text, rows),
        input_fn=input_fn,
        hooks=[ProgressBarHook(description="predicting", value=None, num_rows=file.num_rows())],
    )
    if str(request.output) == "-":
        written = print_predictions(prediction)
    else:
        written = write_predictions(prediction, request.output, resume=request.resume)
        answer(
            {
                "output": str(request.output),
                "num_rows": written.rows,
                "num_empty": written.empty,
                "key": _key_of(request),
            }
        )
        if not request.quiet:
            typer.echo(f"Wrote {written.rows:,} rows to {request.output}", err=True)
    if written.empty:
        typer.echo(
            f"centroids: {written.empty:,} of {written.rows:,} rows have no label: a value is "
            "missing or infinite",
            err=True,
        )


def _key_of(request: Request) -> str:
    """Which prediction is written."""
    wanted = KMeansClustering
    return wanted.ALL_DISTANCES if request.distances else wanted.CLUSTER_INDEX


def _form_and_input(
    request: Request, file: PointsFile, rows: int, checkpoint: Checkpoint
) -> tuple[Form, Callable[[], AnsweredRows]]:
    is_good = is_not_infinite if fills_missing(checkpoint.identity) else np.isfinite
    if not request.wants_table:
        return NumbersAlone(_key_of(request)), answered(file.open(rows), is_good)
    if not file.has_columns and (request.id_column is not None or request.append):
        raise WordedError(
            Argument("id_column" if request.id_column is not None else "append"),
            f" is for files with named columns; {file.path} has none",
        )
    if request.output.suffix == ".parquet":
        import_arrow("pyarrow.parquet", f"writing {request.output}")
    table = open_table(file.path, file.text)
    columns = table_columns(file, table)
    check_order(checkpoint.column_names, tuple(columns) if table.has_names else None)
    beside: list[str] = []
    if request.append:
        beside = check_columns(table, table.schema.names)
    elif request.id_column is not None:
        beside = check_columns(table, [request.id_column])
    as_written = [name for name in beside if name not in columns]
    if request.append and request.output.suffix == ".parquet":
        # The types of a whole table are worth more than how it was written, but for ids.
        ids = read_settings(request.model_dir, with_columns=False).id_column
        as_written = [name for name in as_written if name == ids]
    if request.output.suffix != ".npy":  # names must be numbers there
        table = table.as_written(as_written)
    form = NamedColumns(
        table,
        beside,
        num_clusters=len(checkpoint.variables[CLUSTERS]) if request.distances else None,
        distance=request.distance,
        second_best=request.second_best,
    )
    make = functools.partial(TableRows, table, columns, beside, rows)
    return form, answered(make, is_good)


@dataclass(frozen=True)
class Evaluation:
    """What a model makes of a file of points.

    Attributes:
        metric: How distances are measured.
        values: Those of `KMeansClustering.evaluate`.
        weight: The weight of the points; their number if they have none.
        weighted: Whether they have weights.
    """

    metric: str
    values: dict[str, Any]
    weight: float
    weighted: bool

    def show(self) -> None:
        """Prints the metrics."""
        answer(self.to_dict())
        typer.echo(f"points            {int(self.values['num_examples']):,}")
        if self.weighted:
            typer.echo(f"their weight      {show_number(self.weight)}")
        typer.echo(f"steps of training {int(self.values['global_step']):,}")
        mean = self.values["mean_distance"]
        typer.echo(f"mean distance     {show_number(mean)} ({self.metric})")
        typer.echo(f"sum of distances  {show_number(mean * self.weight)}")

    def show_score(self) -> None:
        """Prints the sum of the distances, and nothing else."""
        answer(self.to_dict())
        score = float(self.values["mean_distance"] * self.weight) if self.weight else 0.0
        typer.echo(repr(score))

    def to_dict(self) -> dict[str, Any]:
        """What --json prints."""
        return {
            "num_points": int(self.values["num_examples"]),
            "total_weight": self.weight if self.weighted else None,
            "global_step": int(self.values["global_step"]),
            "distance_metric": self.metric,
            "mean_distance": self.values["mean_distance"],
            "sum_of_distances": self.values["mean_distance"] * self.weight,
        }


def evaluate(
    model_dir: Path,
    points: Path,
    columns: list[str] | None,
    weight_column: str | None,
    bad_rows: BadRows,
    missing: MissingValues | None,
    text: GivenText,
) -> Evaluation:
    """What a model makes of points.

    Raises:
        ValueError: If missing values are to be treated as the model does not.
    """
    checkpoint = read_model(model_dir)
    kept = read_settings(model_dir, with_columns=columns is None)
    if missing is None:
        missing = missing_of(checkpoint, kept)
    elif (missing == "mean") != fills_missing(checkpoint.identity):
        has = "fills missing values with means" if missing != "mean" else "has no means to fill in"
        raise ValueError(
            f"--missing is {missing}, but the model in {model_dir} {has}: leave --missing out"
        )
    weights = choose_weights(weight_column, kept)
    file = find_points(points, columns, text, model_dir, kept, weight_column=weights)
    model = model_of(checkpoint, model_dir, file.weight_column, missing)
    values = model.evaluate(
        file.open(batch_size(model, distances=False), bad_rows=bad_rows),
        hooks=[ProgressBarHook(description="evaluating", num_rows=file.num_rows())],
    )
    weight = values.get(TOTAL_WEIGHT, values["num_examples"])
    return Evaluation(model.params["distance_metric"], values, float(weight), file.weighted)
