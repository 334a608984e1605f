"""centroids import: from a model folder of TensorFlow to one of ours."""

from __future__ import annotations

from pathlib import Path

import typer

from centroids import RunConfig
from centroids.cli.inference import find_model
from centroids.estimator import Saver
from centroids.estimator.model_dir_lock import lock_model_dir
from centroids.export.tensorflow_checkpoint import find_tensorflow_checkpoint
from centroids.kmeans_from_tensorflow import load_kmeans_from_tensorflow
from centroids.kmeans_model import SQUARED_EUCLIDEAN_DISTANCE
from centroids.kmeans_variables import CLUSTERS


def import_model(
    old: Path, new: Path, distance_metric: str | None, steps_per_iteration: int | None
) -> None:
    """Writes the model that TensorFlow trained in `old` into `new`, and says what came over.

    Raises:
        ValueError: If `old` has no checkpoint of a KMeansClustering, or `new` has a model.
        OSError: If a folder cannot be read or written.
    """
    if steps_per_iteration is not None and steps_per_iteration < 1:
        raise ValueError(
            f"--mini-batch-steps-per-iteration must be at least 1, got {steps_per_iteration}"
        )
    metric = distance_metric or SQUARED_EUCLIDEAN_DISTANCE
    model = load_kmeans_from_tensorflow(old, metric, steps_per_iteration)
    _check_free(new)
    new.mkdir(parents=True, exist_ok=True)
    with lock_model_dir(str(new)):
        _check_free(new)  # a training may have ended just now
        Saver(str(new), "model.ckpt", RunConfig()).save(model)
    centers = model.variables[CLUSTERS]
    typer.echo(
        f"Imported {len(centers):,} clusters of {centers.shape[1]:,} dimensions, "
        f"{centers.dtype}, {metric}; trained for {model.global_step:,} steps in {model.path}"
    )
    if distance_metric is None:
        typer.echo(
            "TensorFlow does not store the metric: if it was another, remove "
            f"{new} and import again with --distance-metric cosine"
        )
    typer.echo(f"Go on training with: centroids train FILE {new}")
    typer.echo(f"See it with: centroids inspect {new}")


def _check_free(new: Path) -> None:
    if find_tensorflow_checkpoint(str(new)) is not None or find_model(new) is not None:
        raise ValueError(f"{new} holds a model already: choose a folder that is not there yet")
