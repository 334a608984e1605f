"""centroids train: from a file to a trained model_dir."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import typer
from numpy.typing import NDArray

import centroids
from centroids import KMeansClustering, ProgressBarHook
from centroids.cli.inference import find_model
from centroids.cli.points import ANY_TEXT, Columns, ColumnsSaver, choose_columns, open_points
from centroids.estimator import load_latest
from centroids.inputs import TextFormat, open_stream
from centroids.inputs.bad_rows import BadRows
from centroids.inputs.npy import NpyFile
from centroids.inputs.stream import check_finite_rows

FULL_BATCH_BYTES = 1 << 30
_FULL_BATCH_STEPS = 100
_FULL_BATCH_TOLERANCE = 1e-4
_EPOCHS = 5
_BATCH_SIZE = 4096
_EXIT_OF_INTERRUPT = 130

T = TypeVar("T")


@dataclass(frozen=True)
class TrainingPlan:
    """What the command line asked for; None where it left the choice to us."""

    points: Path
    model_dir: Path
    num_clusters: int | None
    distance_metric: str | None
    initial_clusters: str
    full_batch: bool | None
    batch_size: int | None
    mini_batch_steps_per_iteration: int | None
    kmeans_plus_plus_num_retries: int
    epochs: int | None
    steps: int | None
    max_steps: int | None
    relative_tolerance: float | None
    shuffle: bool | None
    seed: int
    bad_rows: BadRows
    restart_input: bool
    columns: list[str] | None
    text: TextFormat

    def check(self) -> None:
        """Raises a ValueError that names an option which cannot be, where its words are not ours.

        What the model and the input refuse under the same name as here is left to them.
        """
        if self.steps is not None and self.max_steps is not None:
            raise ValueError(
                f"--steps and --max-steps exclude each other, but they are {self.steps} and "
                f"{self.max_steps}: leave one out"
            )
        if self.epochs is not None and self.epochs < 1:
            raise ValueError(f"--epochs must be at least 1, got {self.epochs}")

    @property
    def uses_full_batches(self) -> bool:
        """Whether each step sees the whole file.

        Raises:
            ValueError: If full batches and something that mini-batches alone have are both asked
                for.
        """
        names = ("batch_size", "mini_batch_steps_per_iteration", "epochs", "shuffle")
        given = [name for name in names if getattr(self, name) is not None]
        if self.full_batch and given:
            option = "--" + given[0].replace("_", "-")
            raise ValueError(f"{option} is for mini-batches: leave it or --full-batch out")
        if self.full_batch is not None or given:
            return bool(self.full_batch)
        return self.points.stat().st_size <= FULL_BATCH_BYTES


def train(plan: TrainingPlan) -> None:
    """Trains and reports; goes on where the model in `model_dir` stands."""
    plan.check()
    trained = _trained_steps(plan)
    is_new, before = trained is None, trained or 0
    known = None if is_new else plan.model_dir
    columns = choose_columns(plan.points, plan.columns, known, plan.text)
    # Opened first: a mistyped name is told before anything is created.
    open_points(plan.points, columns=columns, text=plan.text)
    full_batch = plan.uses_full_batches
    model = _make_model(plan, full_batch)
    if before:
        typer.echo(f"{plan.model_dir} holds a model of {before:,} steps: going on with it.")
    max_steps = plan.max_steps
    if full_batch and plan.steps is None and max_steps is None:
        max_steps = _FULL_BATCH_STEPS
    if plan.steps is None and max_steps is not None and 0 < max_steps <= before:
        typer.echo(f"Its training has reached step {max_steps:,}; --steps trains more.")
        return
    # Refuses what cannot be, such as --batch-size 0.
    input_fn = _make_input(plan, columns, full_batch)
    limit = plan.steps if max_steps is None else max_steps - before
    expected = limit if full_batch else _count_steps(plan, limit)
    hooks = [_InitializationStatus(), ProgressBarHook(expected)]
    chosen_now = is_new or plan.columns is not None
    listeners = [ColumnsSaver(plan.model_dir, columns)] if chosen_now else []
    start = time.perf_counter()
    try:
        model.train(
            input_fn,
            hooks=hooks,
            steps=plan.steps,
            max_steps=max_steps,
            saving_listeners=listeners,
            restart_input=plan.restart_input,
        )
    except KeyboardInterrupt:
        _tell_how_to_resume(plan)
        raise typer.Exit(_EXIT_OF_INTERRUPT) from None
    except SystemExit:
        _tell_how_to_resume(plan)
        raise
    seconds = time.perf_counter() - start
    steps = (_trained_steps(plan) or 0) - before
    typer.echo(
        f"Trained {steps:,} {'full-batch' if full_batch else 'mini-batch'} "
        f"step{'' if steps == 1 else 's'} "
        f"in {seconds:.1f} s; the model is in {plan.model_dir}"
    )
    typer.echo(f"See it with: centroids inspect {plan.model_dir}")


def _tell_how_to_resume(plan: TrainingPlan) -> None:
    """After Ctrl-C or SIGTERM."""
    checkpoint = load_latest(str(plan.model_dir))
    if checkpoint is None:
        typer.echo("Stopped before the first step; nothing was saved.", err=True)
        return
    typer.echo(f"Stopped; {plan.model_dir} holds step {checkpoint.global_step:,}.", err=True)
    again = [word for word in sys.argv[1:] if word != "--restart-input"]
    typer.echo(f"Go on with: {shlex.join(['centroids', *again])}", err=True)


def _make_model(plan: TrainingPlan, full_batch: bool) -> KMeansClustering:
    tolerance = plan.relative_tolerance
    if tolerance is None and full_batch:
        tolerance = _FULL_BATCH_TOLERANCE
    initial = _initial_clusters(plan.initial_clusters)
    num_clusters, metric = plan.num_clusters, plan.distance_metric
    trained = find_model(plan.model_dir)
    if trained is not None:
        num_clusters = _or(num_clusters, trained.params["num_clusters"])
        metric = _or(metric, trained.params["distance_metric"])
    elif isinstance(initial, np.ndarray):
        num_clusters = len(initial)
    if num_clusters is None:
        raise ValueError(f"--num-clusters is needed: {plan.model_dir} holds no model yet")
    return KMeansClustering(
        num_clusters=num_clusters,
        model_dir=str(plan.model_dir),
        initial_clusters=initial,
        distance_metric=_or(metric, KMeansClustering.SQUARED_EUCLIDEAN_DISTANCE),
        random_seed=plan.seed,
        use_mini_batch=not full_batch,
        mini_batch_steps_per_iteration=_or(plan.mini_batch_steps_per_iteration, 1),
        kmeans_plus_plus_num_retries=plan.kmeans_plus_plus_num_retries,
        relative_tolerance=tolerance,
    )


def _initial_clusters(given: str) -> str | NDArray[Any]:
    if given in (KMeansClustering.RANDOM_INIT, KMeansClustering.KMEANS_PLUS_PLUS_INIT):
        return given
    if not given.endswith(".npy"):
        raise ValueError(
            "--initial-clusters must be random, kmeans_plus_plus or the name of a .npy file, got "
            f"{given!r}"
        )
    return read_all(Path(given), None)


def _make_input(plan: TrainingPlan, columns: Columns, full_batch: bool) -> Callable[[], Any]:
    if full_batch:
        points = read_all(plan.points, columns, plan.bad_rows, plan.text)
        return lambda: points
    return open_points(
        plan.points,
        _or(plan.batch_size, _BATCH_SIZE),
        _or(plan.epochs, _EPOCHS),
        plan.shuffle is not False,
        plan.seed,
        columns=columns,
        bad_rows=plan.bad_rows,
        text=plan.text,
    )


def _count_steps(plan: TrainingPlan, limit: int | None) -> int | None:
    """How many mini-batch steps there will be; None if the file would have to be read to tell."""
    if plan.points.suffix.lower() != ".npy":
        return limit
    rows = len(NpyFile(plan.points))
    steps = -(-rows // _or(plan.batch_size, _BATCH_SIZE)) * _or(plan.epochs, _EPOCHS)
    return steps if limit is None else min(steps, limit)


def _or(given: T | None, default: T) -> T:
    return default if given is None else given


def read_all(
    path: Path, columns: Columns, bad_rows: BadRows = "raise", text: TextFormat = ANY_TEXT
) -> NDArray[Any]:
    """All points of a file, read into memory; a .npy file of more than 1 GiB is mapped.

    Raises:
        ValueError: If the file has no rows, or cannot be read as points.
        OSError: If it cannot be read at all.
    """
    input_fn = open_points(path, 1 << 16, columns=columns, bad_rows=bad_rows, text=text)
    if path.suffix.lower() == ".npy" and bad_rows == "raise":
        array = NpyFile(path)
        if path.stat().st_size <= FULL_BATCH_BYTES:
            points: NDArray[Any] = array.read(0, len(array))
        else:
            # It may be larger than the memory. Who cuts it off meanwhile ends the process.
            points = np.load(path, mmap_mode="r")
    else:
        batches: list[Any] = []
        with open_stream(input_fn) as stream:
            for batch in stream:
                check_finite_rows(batch, len(batches))
                batches.append(batch.features)
        points = np.concatenate(batches) if batches else np.empty(0)
    if len(points) == 0:
        raise ValueError(f"{path} has no rows")
    return points


def _trained_steps(plan: TrainingPlan) -> int | None:
    """The steps of the model that the folder holds; None if it holds none."""
    checkpoint = load_latest(str(plan.model_dir))
    return None if checkpoint is None else checkpoint.global_step


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
