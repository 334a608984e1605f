"""centroids predict and evaluate."""

from __future__ import annotations

import logging
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import typer

from centroids import KMeansClustering, ProgressBarHook
from centroids.checkpoints.tensorflow import find_tensorflow_checkpoint
from centroids.cli.answer import answer
from centroids.cli.fresh import newest_aside
from centroids.cli.labelling import Request, form_and_input, key_of
from centroids.cli.numbers import show_number
from centroids.cli.output_file import naming
from centroids.cli.points import find_points
from centroids.cli.predictions import (
    Prediction,
    Written,
    describe_input,
    print_predictions,
    write_predictions,
)
from centroids.cli.settings import Settings, read_settings
from centroids.cli.text_options import GivenText
from centroids.cli.training_plan import choose_weights
from centroids.clustering import Preparation
from centroids.estimator import Checkpoint, load_latest, read_checkpoint
from centroids.inputs.bad_rows import BadRows
from centroids.inputs.file import is_points_file
from centroids.inputs.missing import MissingValues
from centroids.kmeans.model import TOTAL_WEIGHT, DistanceMetric
from centroids.kmeans.variables import COLUMN_SCALES, fills_missing, preparation_of

logger = logging.getLogger(__name__)

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
            f"{shlex.quote(str(model_dir))} --num-clusters K"
        )
    logger.info("Read the model of step %d from %s.", checkpoint.global_step, checkpoint.path)
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
            f"{shlex.quote(str(model_dir))} NEW"
        )
    return checkpoint


def batch_size(model: KMeansClustering, *, distances: bool) -> int:
    """Rows to read at once: fewer if each comes with its distances to many centers."""
    if not distances:
        return _BATCH_SIZE
    num_clusters = int(model.params["num_clusters"])
    return max(1, min(_BATCH_SIZE, _BATCH_DISTANCES // num_clusters))


def predict(request: Request) -> None:
    """Writes the nearest cluster of each point, or its distances to all centers."""
    request.check()
    checkpoint = read_model(request.model_dir)
    model = model_of(checkpoint, request.model_dir)
    all_distances = request.distances or request.distance or request.second_best
    rows = batch_size(model, distances=all_distances)
    file = find_points(request.points, request.columns, request.text, request.model_dir)
    form, input_fn = form_and_input(request, file, rows, checkpoint)
    prediction = Prediction(
        model,
        form=form,
        input=describe_input(request.points, file.columns, file.text, rows),
        input_fn=input_fn,
        hooks=[
            ProgressBarHook(description="predicting", value=None, num_rows=file.expected_rows())
        ],
    )
    if str(request.output) == "-":
        written = print_predictions(prediction)
    else:
        with naming(request.output):
            written = write_predictions(prediction, request.output, resume=request.resume)
        answer(
            {
                "output": str(request.output),
                "num_rows": written.rows,
                "num_empty": written.empty,
                "key": key_of(request),
            }
        )
        if not request.quiet:
            typer.echo(f"Wrote {written.rows:,} rows to {request.output}", err=True)
    if written.empty:
        typer.echo(f"centroids: {_describe_empty(request, written)}", err=True)


def _describe_empty(request: Request, written: Written) -> str:
    """How many rows have no label, why, and where the first of them is."""
    why = ", or the line is not a row of numbers" if request.empties else ""
    first = "" if written.first_empty is None else f"; the first one is {written.first_empty}"
    return (
        f"{written.empty:,} of {written.rows:,} rows have no label: a value is missing or "
        f"infinite{why}{first}"
    )


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
        hooks=[ProgressBarHook(description="evaluating", num_rows=file.expected_rows())],
    )
    weight = values.get(TOTAL_WEIGHT, values["num_examples"])
    return Evaluation(model.params["distance_metric"], values, float(weight), file.weighted)
