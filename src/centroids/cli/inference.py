"""centroids predict and evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import typer

from centroids import KMeansClustering, ProgressBarHook
from centroids.checkpoints.tensorflow import find_tensorflow_checkpoint
from centroids.cli.answer import answer
from centroids.cli.fresh import newest_aside
from centroids.cli.numbers import show_number
from centroids.cli.points import find_points
from centroids.cli.predictions import (
    Prediction,
    describe_input,
    print_predictions,
    write_predictions,
)
from centroids.cli.settings import read_settings
from centroids.cli.text_options import GivenText
from centroids.cli.training_plan import choose_weights
from centroids.estimator import Checkpoint, load_latest, read_checkpoint
from centroids.inputs.bad_rows import BadRows
from centroids.inputs.file import is_points_file
from centroids.kmeans.model import TOTAL_WEIGHT, DistanceMetric

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
        return read_checkpoint(checkpoint_path)
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
    checkpoint: Checkpoint, model_dir: Path, weight_column: str | None = None
) -> KMeansClustering:
    """The model that a checkpoint of a folder is of.

    Args:
        checkpoint: The checkpoint.
        model_dir: The folder.
        weight_column: The column of its input that holds weights; None: there is none.

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
    ).hand_on(checkpoint)


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


def predict(
    model_dir: Path,
    points: Path,
    output: Path,
    distances: bool,
    resume: bool,
    columns: list[str] | None,
    text: GivenText,
    *,
    quiet: bool = False,
) -> None:
    """Writes the nearest cluster of each point, or its distances to all centers."""
    is_file = str(output) != "-"
    if resume and not is_file:
        raise ValueError("--resume needs a file to continue with: give --output, too")
    model = open_model(model_dir)
    rows = batch_size(model, distances=distances)
    file = find_points(points, columns, text, model_dir)
    prediction = Prediction(
        model,
        key=model.ALL_DISTANCES if distances else model.CLUSTER_INDEX,
        input=describe_input(points, file.columns, file.text, rows),
        input_fn=file.open(rows),
        hooks=[ProgressBarHook(description="predicting", value=None, num_rows=file.num_rows())],
    )
    if not is_file:
        print_predictions(prediction)
        return
    count = write_predictions(prediction, output, resume=resume)
    answer({"output": str(output), "num_rows": count, "key": prediction.key})
    if not quiet:
        typer.echo(f"Wrote {count:,} rows to {output}", err=True)


def evaluate(
    model_dir: Path,
    points: Path,
    columns: list[str] | None,
    weight_column: str | None,
    bad_rows: BadRows,
    text: GivenText,
) -> None:
    """Prints the metrics of a model on points."""
    checkpoint = read_model(model_dir)
    kept = read_settings(model_dir, with_columns=columns is None)
    weights = choose_weights(weight_column, kept)
    file = find_points(points, columns, text, model_dir, kept, weight_column=weights)
    model = model_of(checkpoint, model_dir, file.weight_column)
    result = model.evaluate(
        file.open(batch_size(model, distances=False), bad_rows=bad_rows),
        hooks=[ProgressBarHook(description="evaluating", num_rows=file.num_rows())],
    )
    metric = model.params["distance_metric"]
    weight = result.get(TOTAL_WEIGHT, result["num_examples"])
    answer(
        {
            "num_points": int(result["num_examples"]),
            "total_weight": weight if file.weighted else None,
            "global_step": int(result["global_step"]),
            "distance_metric": metric,
            "mean_distance": result["mean_distance"],
            "sum_of_distances": result["mean_distance"] * weight,
        }
    )
    typer.echo(f"points            {int(result['num_examples']):,}")
    if file.weighted:
        typer.echo(f"their weight      {show_number(weight)}")
    typer.echo(f"steps of training {int(result['global_step']):,}")
    typer.echo(f"mean distance     {show_number(result['mean_distance'])} ({metric})")
    typer.echo(f"sum of distances  {show_number(result['mean_distance'] * weight)}")
