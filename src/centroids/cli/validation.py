"""train --validation: points that are not trained on, and say when training no longer helps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from centroids import KMeansClustering, ValidationHook
from centroids.cli.errors import suggesting_options
from centroids.cli.inference import batch_size
from centroids.cli.numbers import show_number
from centroids.cli.points import find_points
from centroids.cli.points_file import PointsFile
from centroids.cli.settings import Settings
from centroids.cli.training_plan import TrainingPlan

_PATIENCE = 5
_STEPS_OF_MINI_BATCHES = 100
_METRIC = "mean_distance"


def open_validation(
    plan: TrainingPlan, settings: Settings, points: PointsFile
) -> Callable[[KMeansClustering], ValidationHook] | None:
    """What makes the hook for a model; None without --validation.

    All rows are read now, as a bad one must be refused before there is a model.

    Args:
        plan: What was asked for.
        settings: Those of the training: the file is read as the points are, and has their columns.
        points: The points that are trained on.

    Raises:
        ValueError: If there are no rows, they are not as wide as the points, or one is bad.
        OSError: If it cannot be read.
    """
    if plan.validation is None:
        return None
    file = find_points(
        plan.validation,
        plan.columns,
        plan.text,
        plan.model_dir,
        settings,
        weight_column=settings.weight_column,
    )
    file = dataclasses.replace(file, missing=points.missing)
    here = _read_through(file, plan)
    there = points.width(plan.bad_rows)
    if there not in (None, here):
        raise ValueError(
            f"--validation: the points of {plan.validation} have {here} columns, but those of "
            f"{plan.points} have {there}"
        )
    every = plan.validate_every or (_STEPS_OF_MINI_BATCHES if settings.use_mini_batch else 1)

    def make(model: KMeansClustering) -> ValidationHook:
        return ValidationHook(
            model,
            file.open(batch_size(model, distances=False), bad_rows=plan.bad_rows),
            patience=plan.patience or _PATIENCE,
            every_n_steps=every,
            metric=_METRIC,
        )

    return make


def _read_through(file: PointsFile, plan: TrainingPlan) -> int:
    """The columns of the points, all of which can be read."""
    can_drop, prepares = plan.bad_rows == "raise", plan.missing is None
    width = None
    with suggesting_options(file.path, can_drop=can_drop, prepares=prepares):
        for batch in file.batches(plan.bad_rows):
            if batch.shape[0]:
                width = batch.shape[1]
    if width is None:
        left_out = " left" if file.missing == "drop" or plan.bad_rows == "drop" else ""
        raise ValueError(f"--validation: {file.path} has no rows{left_out}")
    return width


def describe_validation(hook: ValidationHook) -> str:
    """What the evaluations came to."""
    if hook.best_value is None or hook.last_value is None:
        return "Training was over before the first evaluation of --validation."
    last = (
        "" if hook.best_value == hook.last_value else f", the last {show_number(hook.last_value)}"
    )
    return (
        f"Validation: the lowest mean distance was {show_number(hook.best_value)}, after step "
        f"{hook.best_step:,}{last}."
    )


def validation_to_dict(hook: ValidationHook) -> dict[str, Any]:
    """The same for programs."""
    return {
        "metric": _METRIC,
        "best": hook.best_value,
        "best_step": hook.best_step,
        "last": math.nan if hook.last_value is None else hook.last_value,
        "num_evaluations": hook.num_evaluations,
    }
