"""centroids train: from a file to a trained model_dir."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

import centroids
from centroids import KMeansClustering, ProgressBarHook
from centroids.inputs import file_input_fn

FULL_BATCH_BYTES = 1 << 30
_FULL_BATCH_STEPS = 100
_FULL_BATCH_TOLERANCE = 1e-4


@dataclass(frozen=True)
class TrainingPlan:
    """What the command line asked for; None where it left the choice to us."""

    points: Path
    model_dir: Path
    num_clusters: int
    distance_metric: str
    initial_clusters: str
    full_batch: bool | None
    batch_size: int
    mini_batch_steps_per_iteration: int
    kmeans_plus_plus_num_retries: int
    epochs: int
    max_steps: int | None
    relative_tolerance: float | None
    shuffle: bool
    seed: int
    columns: list[str] | None

    @property
    def uses_full_batches(self) -> bool:
        """Whether each step sees the whole file."""
        if self.full_batch is not None:
            return self.full_batch
        return self.points.stat().st_size <= FULL_BATCH_BYTES


def train(plan: TrainingPlan) -> None:
    """Trains and reports; goes on where the model in `model_dir` stands."""
    # Opened first: a mistyped name is told before anything is created.
    file_input_fn(plan.points, columns=plan.columns)
    full_batch = plan.uses_full_batches
    model = _make_model(plan, full_batch)
    before = _trained_steps(model)
    if before:
        typer.echo(f"{plan.model_dir} holds a model of {before:,} steps: going on with it.")
    input_fn, num_steps = _make_input(plan, full_batch)
    if full_batch and num_steps is not None and num_steps <= before:
        typer.echo(f"Its training has reached step {num_steps:,}; --max-steps allows more.")
        return
    start = time.perf_counter()
    hooks = [_InitializationStatus(), ProgressBarHook(num_steps and num_steps - before)]
    model.train(input_fn, hooks=hooks, max_steps=num_steps)
    seconds = time.perf_counter() - start
    steps = _trained_steps(model) - before
    typer.echo(
        f"Trained {steps:,} {'full-batch' if full_batch else 'mini-batch'} steps "
        f"in {seconds:.1f} s; the model is in {plan.model_dir}"
    )
    typer.echo(f"See it with: centroids inspect {plan.model_dir}")


def _make_model(plan: TrainingPlan, full_batch: bool) -> KMeansClustering:
    tolerance = plan.relative_tolerance
    if tolerance is None and full_batch:
        tolerance = _FULL_BATCH_TOLERANCE
    return KMeansClustering(
        num_clusters=plan.num_clusters,
        model_dir=str(plan.model_dir),
        initial_clusters=_initial_clusters(plan.initial_clusters),
        distance_metric=plan.distance_metric,
        random_seed=plan.seed,
        use_mini_batch=not full_batch,
        mini_batch_steps_per_iteration=plan.mini_batch_steps_per_iteration,
        kmeans_plus_plus_num_retries=plan.kmeans_plus_plus_num_retries,
        relative_tolerance=tolerance,
    )


def _initial_clusters(given: str) -> str | NDArray[Any]:
    if not given.endswith(".npy"):
        return given
    centers: NDArray[Any] = np.load(given)
    return centers


def _make_input(plan: TrainingPlan, full_batch: bool) -> tuple[Callable[[], Any], int | None]:
    if full_batch:
        points = read_all(plan.points, plan.columns)
        return lambda: points, plan.max_steps or _FULL_BATCH_STEPS
    input_fn = file_input_fn(
        plan.points, plan.batch_size, plan.epochs, plan.shuffle, plan.seed, columns=plan.columns
    )
    return input_fn, plan.max_steps


def read_all(path: Path, columns: list[str] | None) -> NDArray[Any]:
    """All points of a file: mapped for .npy, read into memory otherwise."""
    if path.suffix.lower() == ".npy":
        array: NDArray[Any] = np.load(path, mmap_mode="r")
        return array
    return np.concatenate(list(file_input_fn(path, 1 << 16, columns=columns)()))


def _trained_steps(model: KMeansClustering) -> int:
    if model.latest_checkpoint() is None:
        return 0
    return int(model.get_variable_value("global_step"))


class _InitializationStatus(centroids.SessionRunHook):
    """Shows that initial centers are being chosen: no step has ended yet to show a bar for."""

    def begin(self) -> None:
        self._status: Any = None
        if sys.stderr.isatty():
            from rich.console import Console

            self._status = Console(stderr=True).status("choosing initial centers")
            self._status.start()

    def after_create_session(self, session: Any, coord: Any) -> None:
        if self._status is not None:
            self._status.stop()
