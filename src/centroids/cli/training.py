"""centroids train: from a file to a trained model_dir.

Over 400 lines: a run, what it refuses and what it says belong together.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import typer
from numpy.typing import NDArray

from centroids import KMeansClustering, ProgressBarHook, ValidationHook
from centroids.cli import config
from centroids.cli.answer import answer
from centroids.cli.errors import without_log_of
from centroids.cli.fresh import moved_aside, newest_aside
from centroids.cli.inference import find_checkpoint, model_of
from centroids.cli.initial_clusters import initial_clusters_of
from centroids.cli.input_file import check_same_file, identify_file, passes_before, with_file
from centroids.cli.outcome import Outcome
from centroids.cli.output_file import check_new_model, is_among, naming
from centroids.cli.points import find_points
from centroids.cli.points_file import PointsFile
from centroids.cli.progress import telling_restarts
from centroids.cli.sampling import check_enough
from centroids.cli.settings import (
    Settings,
    read_settings,
    shuffling_seed,
    what_was_said,
)
from centroids.cli.stopping import exit_code_of_stop
from centroids.cli.training_hooks import Beginning, SettingsSaver
from centroids.cli.training_plan import (
    EPOCHS,
    TrainingPlan,
    choose_weights,
)
from centroids.cli.training_words import (
    describe_fresh,
    describe_idle,
    describe_model,
    describe_passes,
    describe_reached,
)
from centroids.cli.validation import (
    describe_validation,
    open_validation,
    validation_to_dict,
)
from centroids.clustering import InitialMethod
from centroids.estimator import Checkpoint, load_latest
from centroids.inputs.missing import treatment_of
from centroids.inputs.tables.opening import is_folder
from centroids.kmeans.model import INITIAL_METHODS, DistanceMetric
from centroids.kmeans.variables import centers_in_units, fills_missing
from centroids.progress import Activity

T = TypeVar("T")

_AS_MANY_CANDIDATES_AS_THE_PAPER = -1


def train(plan: TrainingPlan) -> None:
    """Trains and reports; continues where the model in `model_dir` stands."""
    start = time.perf_counter()
    plan = _with_the_stronger_end(plan)
    plan.check()
    _check_places(plan)
    source, found = _find(plan)
    kept = Settings()
    if source is not None:
        kept = read_settings(source, found, with_columns=plan.columns is None)
    asked, trained = plan, found
    if plan.fresh:
        kept, trained = dataclasses.replace(kept, inputs=None), None
        plan = plan.as_before(found)
    weights = choose_weights(plan.weight_column, kept)
    settings = plan.settle(kept)
    points = find_points(
        plan.points,
        plan.columns,
        plan.text,
        source,
        kept,
        weight_column=weights,
        id_column=settings.id_column,
    )
    points = dataclasses.replace(points, missing=treatment_of(settings.missing or "raise"))
    # Opened first: a mistyped name, or --batch-size 0, is refused before anything is created.
    points.open(_or(settings.batch_size, 1))
    settings = _with_reading(settings, points, plan.columns is not None)
    ends_at_step = plan.end(not settings.use_mini_batch, trained, kept)
    settings = dataclasses.replace(settings, ends_at_step=ends_at_step)
    told: list[str] = []
    if trained is not None:
        _check_same_model(plan, trained)
        told = describe_model(plan, trained, kept, settings)
        if plan.max_steps is not None and plan.max_steps <= trained.global_step:
            answer(describe_idle(plan, trained))
            typer.echo(describe_reached(plan.max_steps, trained.global_step))
            return
    elif source is not None:
        told = describe_fresh(asked, plan, source, kept, settings)
    validate = open_validation(plan, settings, points)
    model = _make_model(plan, settings, points, trained)
    input_fn = _make_input(plan, points, settings)
    if settings.use_mini_batch:
        if not points.may_have_rows():
            raise ValueError(f"{plan.points} has no rows")
        file = identify_file(plan.points, 0 if trained is None else trained.global_step)
        if trained is not None and not plan.restart_input:
            check_same_file(plan.points, file, kept.inputs, trained, input_fn)
            if (passes := passes_before(trained, input_fn)) >= _or(plan.epochs, EPOCHS):
                answer(describe_idle(plan, trained))
                typer.echo(describe_passes(plan, passes))
                return
        settings = dataclasses.replace(settings, inputs=with_file(kept.inputs, file))
    validation = None if validate is None else validate(model)
    run = _Run(plan, settings, points, model, input_fn, trained, told, validation)
    moves = plan.fresh and source == plan.model_dir
    with moved_aside(plan.model_dir) if moves else contextlib.nullcontext():
        run.train(start)


@dataclass(frozen=True)
class _Run:
    """A training run and what it needs."""

    plan: TrainingPlan
    settings: Settings
    points: PointsFile
    model: KMeansClustering
    input_fn: Callable[[], Any]
    trained: Checkpoint | None
    told_at_start: list[str]
    validation: ValidationHook | None = None

    def train(self, start: float) -> None:
        """Trains, and says what came of it since a time of `time.perf_counter`."""
        plan, settings = self.plan, self.settings
        outcome = Outcome(
            settings, settings.ends_at_step, self._warn_of_other_data, self.validation
        )
        status = Activity("choosing initial centers")
        saver = SettingsSaver(plan.model_dir, settings)
        try:
            # The last lines of the command report empty clusters.
            with (
                saver,
                without_log_of("centroids.kmeans._hooks"),
                telling_restarts(status),
                self.points.naming_empty_columns(),
            ):
                self.model.train(
                    self.input_fn,
                    hooks=[
                        ProgressBarHook(self._count_steps()),
                        Beginning(self.told_at_start, status),
                        outcome,
                        *([] if self.validation is None else [self.validation]),
                    ],
                    max_steps=settings.ends_at_step,
                    saving_listeners=[saver],
                    restart_input=plan.restart_input,
                )
        except KeyboardInterrupt:
            _tell_how_to_resume(plan, settings)
            raise typer.Exit(exit_code_of_stop()) from None
        seconds = time.perf_counter() - start
        answer(self._describe_for_programs(outcome, seconds))
        kind = "mini-batch" if settings.use_mini_batch else "full-batch"
        typer.echo(
            f"Trained {outcome.steps:,} {kind} step{'' if outcome.steps == 1 else 's'} in "
            f"{seconds:.1f} s; the model is in {plan.model_dir}"
        )
        if outcome.steps:
            typer.echo(outcome.describe_loss(self.model.params["distance_metric"]))
            typer.echo(outcome.describe_end(_or(plan.epochs, EPOCHS)))
            if self.validation is not None:
                typer.echo(describe_validation(self.validation))
            typer.echo(f"{outcome.describe_empty()}{self._remedy_for(outcome)}")
        else:
            typer.echo("The last run had made all its passes; --epochs N makes more.")
        typer.echo(f"See it with: centroids inspect {shlex.quote(str(plan.model_dir))}")

    def _describe_for_programs(self, outcome: Outcome, seconds: float) -> dict[str, Any]:
        found = outcome.to_dict()
        return {
            "model_dir": str(self.plan.model_dir),
            "mode": "mini-batch" if self.settings.use_mini_batch else "full-batch",
            "num_clusters": self.model.params["num_clusters"],
            "distance_metric": self.model.params["distance_metric"],
            "seconds": round(seconds, 3),
            **found,
            **(
                {}
                if self.validation is None
                else {"validation": validation_to_dict(self.validation)}
            ),
        }

    def _warn_of_other_data(self, outcome: Outcome) -> None:
        """At the first step, before more time is spent."""
        typer.echo(
            f"{outcome.describe_empty()} The model in {self.plan.model_dir} was trained on other "
            f"points than those of {self.plan.points}; --fresh starts over with these.",
            err=True,
        )

    def _remedy_for(self, outcome: Outcome) -> str:
        if not outcome.num_empty:
            return ""
        fewer = f"ewer clusters may help, or another --seed with --fresh.{self._living()}"
        if self.trained is None:
            return f" F{fewer}"
        other = " If the model was trained on other points before, --fresh starts over"
        return f"{other}." if outcome.most_are_empty else f"{other}; else f{fewer}"

    def _living(self) -> str:
        """The option that would give empty clusters points, if it is not given yet."""
        settings = self.settings
        if not settings.use_mini_batch and settings.empty_clusters != "relocate":
            return " --empty-clusters relocate moves them to points."
        can_reassign = settings.use_mini_batch and settings.mini_batch_steps_per_iteration == 1
        if can_reassign and not settings.reassignment_ratio:
            return " --reassignment-ratio 0.01 moves them to points."
        return ""

    def _count_steps(self) -> int | Callable[[], tuple[int, bool] | None] | None:
        """How many steps there will be at most, or what says so while the file is read."""
        before = 0 if self.trained is None else self.trained.global_step
        ends_at_step = self.settings.ends_at_step
        limit = None if ends_at_step is None else ends_at_step - before
        if not self.settings.use_mini_batch or self.settings.batch_size is None:
            return limit
        rows: int | None = getattr(self.input_fn(), "num_rows", None)
        if rows is not None:
            self.points.count.know(rows)
        batch_size, epochs = self.settings.batch_size, _or(self.plan.epochs, EPOCHS)

        def expect() -> tuple[int, bool] | None:
            if (found := self.points.count.expect()) is None:
                return None if limit is None else (limit, False)
            steps = -(-found[0] // batch_size) * epochs
            return (steps, found[1]) if limit is None or steps < limit else (limit, False)

        return expect


def _with_the_stronger_end(plan: TrainingPlan) -> TrainingPlan:
    """With --steps or --max-steps of the command line alone, where a file has the other one."""
    weaker = {"steps", "max_steps"} & config.elsewhere.keys()
    if plan.steps is None or plan.max_steps is None or len(weaker) != 1:
        return plan
    if "steps" in weaker:
        return dataclasses.replace(plan, steps=None)
    return dataclasses.replace(plan, max_steps=None)


def _check_places(plan: TrainingPlan) -> None:
    """Raises a ValueError if the two arguments are the wrong way round, or one is in the other."""
    if is_folder(plan.points) and plan.model_dir.is_file():
        raise ValueError(
            f"{plan.model_dir} is a file, and {plan.points} a folder: the points come first, then "
            "the folder of the model"
        )
    with naming(plan.model_dir, "MODEL_DIR"), contextlib.suppress(FileNotFoundError):
        plan.model_dir.stat()  # whether there can be such a name
    check_new_model(plan.model_dir, "MODEL_DIR")
    if is_among(plan.model_dir, plan.points):
        raise ValueError(
            f"MODEL_DIR {plan.model_dir} would be among the points in {plan.points}: choose a "
            "folder outside"
        )


def _find(plan: TrainingPlan) -> tuple[Path | None, Checkpoint | None]:
    """The folder of the settings that hold, and the checkpoint beside them; None if there are none.

    With --fresh they are those of the old model, even if a killed call has already moved it aside
    and the same command is given again.
    """
    if not plan.fresh:
        found = find_checkpoint(plan.model_dir)
        if found is None:
            # A file of that name by another program is refused, and stays.
            read_settings(plan.model_dir, with_columns=False)
        return None if found is None else plan.model_dir, found
    for folder in filter(None, (plan.model_dir, newest_aside(plan.model_dir))):
        try:
            found = find_checkpoint(folder)
        except ValueError:  # one that is damaged, or another program's, is moved aside too
            return folder, None
        if found is not None:
            return folder, found
    return None, None


def _check_same_model(plan: TrainingPlan, trained: Checkpoint) -> None:
    """Raises a ValueError if the command line asks for another model than the one there is."""
    params = model_of(trained, plan.model_dir).params
    fills = fills_missing(trained.identity)
    takes_up = plan.missing is not None and (plan.missing == "mean") != fills
    remedy = "leave it out, or make a new model with --fresh or in another folder"
    if plan.standardize not in (None, params.get("standardize", False)):
        option, does = ("", "does not") if plan.standardize else ("no-", "does")
        raise ValueError(
            f"--{option}standardize is given, but the model in {plan.model_dir} {does} standardize "
            f"its columns: {remedy}"
        )
    for option, asked, has in (
        ("--num-clusters", plan.num_clusters, params["num_clusters"]),
        ("--distance-metric", plan.distance_metric, params["distance_metric"]),
        ("--missing", plan.missing if takes_up else None, "mean" if fills else "no means"),
    ):
        if asked not in (None, has):
            raise ValueError(
                f"{option} is {asked}, but the model in {plan.model_dir} has {has}: {remedy}"
            )


def _tell_how_to_resume(plan: TrainingPlan, settings: Settings) -> None:
    """After Ctrl-C or SIGTERM."""
    checkpoint = load_latest(str(plan.model_dir))
    if checkpoint is None:
        typer.echo("Stopped before the first step; nothing was saved.", err=True)
        return
    typer.echo(f"Stopped; {plan.model_dir} holds step {checkpoint.global_step:,}.", err=True)
    again = [word for word in sys.argv[1:] if word not in ("--restart-input", "--fresh")]
    if plan.steps is not None:  # that many more would be more than all
        place = next((i for i, word in enumerate(again) if word.startswith("--steps")), len(again))
        end = place + (1 if "=" in "".join(again[place : place + 1]) else 2)
        again[place:end] = ["--max-steps", str(settings.ends_at_step)]
    # What would start over again, but does not stand on the command line.
    undone = [name for name in ("fresh", "restart_input") if name in config.elsewhere]
    before = "".join(f"{config.prefix_of('train')}_{name.upper()}=0 " for name in undone)
    typer.echo(f"Continue with: {before}{shlex.join(['centroids', *again])}", err=True)


def _make_model(
    plan: TrainingPlan, settings: Settings, points: PointsFile, trained: Checkpoint | None
) -> KMeansClustering:
    num_clusters, metric = plan.num_clusters, plan.distance_metric
    full_batch = not settings.use_mini_batch
    initial: str | NDArray[Any] = KMeansClustering.RANDOM_INIT
    retries = _or(plan.kmeans_plus_plus_num_retries, _AS_MANY_CANDIDATES_AS_THE_PAPER)
    if trained is not None:
        params = model_of(trained, plan.model_dir).params
        num_clusters = _or(num_clusters, params["num_clusters"])
        metric = _or(metric, params["distance_metric"])
        initial = _initial_clusters_of(trained)
    metric = _or(metric, KMeansClustering.SQUARED_EUCLIDEAN_DISTANCE)
    if trained is None:
        num_clusters, initial = initial_clusters_of(plan, settings, points, metric, retries)
    assert num_clusters is not None
    # Mini-batches get the best choice already made.
    by_full_batches = trained is None and full_batch
    return KMeansClustering(
        num_clusters=num_clusters,
        model_dir=str(plan.model_dir),
        initial_clusters=cast("InitialMethod | NDArray[Any]", initial),
        distance_metric=cast("DistanceMetric", metric),
        random_seed=_or(settings.seed, 0),
        use_mini_batch=bool(settings.use_mini_batch),
        mini_batch_steps_per_iteration=_or(settings.mini_batch_steps_per_iteration, 1),
        kmeans_plus_plus_num_retries=retries,
        loss_tolerance=None if settings.use_mini_batch else settings.relative_tolerance,
        weight_column=points.weight_column,
        num_restarts=_or(plan.num_restarts, 1) if by_full_batches else 1,
        empty_clusters=(settings.empty_clusters or "keep") if full_batch else "keep",
        reassignment_ratio=0.0 if full_batch else _or(settings.reassignment_ratio, 0.0),
        missing=settings.missing or "raise",
        standardize=bool(settings.standardize),
    ).hand_on(trained)


def _initial_clusters_of(trained: Checkpoint) -> str | NDArray[Any]:
    """The settings in the params of a trained model that still apply to a later run."""
    given = trained.params.get("initial_clusters") if isinstance(trained.params, dict) else None
    if given in INITIAL_METHODS:
        return str(given)
    return centers_in_units(trained.variables)


def _make_input(plan: TrainingPlan, points: PointsFile, settings: Settings) -> Callable[[], Any]:
    if not settings.use_mini_batch:
        rows, weights = points.read(plan.bad_rows)
        if plan.num_clusters is not None:
            check_enough(plan.num_clusters, rows.shape[0], plan.points)
        if weights is None:
            return lambda: rows
        # Beside them the points are one feature, which keeps the order of the columns.
        name = str(points.weight_column)
        return lambda: {f"points beside {name}": rows, name: weights}
    return points.open(
        _or(settings.batch_size, 0),
        _or(plan.epochs, EPOCHS),
        _or(settings.shuffle, True),
        shuffling_seed(settings.seed),
        bad_rows=plan.bad_rows,
    )


def _with_reading(settings: Settings, points: PointsFile, chosen: bool) -> Settings:
    """Settings with the columns and the text format of this run.

    A file without names, or one that is not text, leaves the settings of earlier files alone.
    """
    columns = points.columns_to_keep()
    if columns is not None or chosen:
        settings = dataclasses.replace(settings, columns=columns)
    settings = dataclasses.replace(settings, weight_column=points.weight_column)
    if points.is_text:
        settings = dataclasses.replace(settings, text=what_was_said(points.text) or None)
    return settings


def _or(given: T | None, default: T) -> T:
    return default if given is None else given
