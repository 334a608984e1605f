"""centroids import: from a model folder of TensorFlow to one of ours."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from centroids.checkpoints.lock import lock_model_dir
from centroids.checkpoints.tensorflow import find_tensorflow_checkpoint
from centroids.cli.answer import answer
from centroids.cli.inference import find_model
from centroids.cli.output_file import check_new_model, naming
from centroids.estimator import Saver
from centroids.kmeans.from_tensorflow import (
    ContradictionError,
    TrainingSettings,
    load_kmeans_from_tensorflow,
)
from centroids.kmeans.variables import CLUSTERS

_STEPS_OPTION = "--mini-batch-steps-per-iteration"


def import_model(
    old: Path, new: Path, distance_metric: str | None, steps_per_iteration: int | None
) -> None:
    """Writes the model that TensorFlow trained in `old` into `new`, and says what was imported.

    Raises:
        ValueError: If `old` has no checkpoint of a KMeansClustering, or `new` has a model.
        OSError: If a folder cannot be read or written.
    """
    if steps_per_iteration is not None and steps_per_iteration < 1:
        raise ValueError(f"{_STEPS_OPTION} must be at least 1, got {steps_per_iteration}")
    given = TrainingSettings(distance_metric, None, steps_per_iteration)
    try:
        model, stored = load_kmeans_from_tensorflow(old, given)
    except ContradictionError as error:
        option = f"--{error.argument.replace('_', '-')}"
        raise ValueError(
            f"{option} is {error.given}, but {error.path} was trained with {error.stored}: leave "
            f"{option} out"
        ) from error
    _check_free(new)
    check_new_model(new, "NEW")
    with naming(new, "NEW"), _made(new), lock_model_dir(str(new)):
        _check_free(new)  # a training run may have ended just now
        Saver(str(new), "model.ckpt").save(model)
    centers = model.variables[CLUSTERS]
    answer(
        {
            "model_dir": str(new),
            "imported": model.path,
            "num_clusters": len(centers),
            "dimensions": centers.shape[1],
            "distance_metric": model.identity["distance_metric"],
            "global_step": model.global_step,
        }
    )
    typer.echo(
        f"Imported {len(centers):,} clusters of {centers.shape[1]:,} dimensions, "
        f"{centers.dtype}, {model.identity['distance_metric']}; trained for "
        f"{model.global_step:,} steps in {model.path}, {_mode(model.params)}"
    )
    if stored.distance_metric is None and distance_metric is None:
        typer.echo(
            f"The metric is a guess: there is no graph ({model.path}.meta) to read it from. If it "
            "was another, import into another folder with --distance-metric cosine"
        )
    quoted = shlex.quote(str(new))
    typer.echo(f"Continue training with: centroids train POINTS {quoted}")
    typer.echo(f"See it with: centroids inspect {quoted}")


def _mode(params: Mapping[str, Any]) -> str:
    """How a model was trained, in words."""
    if not params["use_mini_batch"]:
        return "by full batches"
    steps = params.get("mini_batch_steps_per_iteration", 1)
    return "by mini-batches" if steps == 1 else f"by iterations of {steps} mini-batches"


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Makes a folder and those above it; they go again, if the block raises and they are empty."""
    new = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for each in new:
            with contextlib.suppress(OSError):
                each.rmdir()
        raise


def _check_free(new: Path) -> None:
    if new.exists() and not new.is_dir():
        raise ValueError(f"NEW {new} is a file: choose a folder that does not exist yet")
    if find_tensorflow_checkpoint(str(new)) is not None or find_model(new) is not None:
        raise ValueError(f"{new} already holds a model: choose a folder that does not exist yet")
