"""What a training run says of itself before it begins, or where there is nothing to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from centroids.cli.settings import Settings
from centroids.cli.training_plan import EPOCHS, TrainingPlan, describe_changes, describe_taken
from centroids.estimator import Checkpoint


def describe_model(
    plan: TrainingPlan, trained: Checkpoint, kept: Settings, settings: Settings
) -> list[str]:
    """That there is a model, and which options change something or have no effect."""
    mode = "mini-batches" if settings.use_mini_batch else "full batches"
    steps = trained.global_step
    lines = [
        f"Continuing the model in {plan.model_dir} ({steps:,} step{'' if steps == 1 else 's'} so "
        f"far), in {mode}."
    ]
    for change in describe_changes(kept, settings):
        lines.append(f"From now on: {change}.")
    given = {
        "--initial-clusters": plan.initial_clusters,
        "--kmeans-plus-plus-num-retries": plan.kmeans_plus_plus_num_retries,
        "--num-restarts": plan.num_restarts,
    }
    for option in (name for name, value in given.items() if value is not None and trained.finished):
        lines.append(f"{option} is for new models: this one continues from the centers it has.")
    return lines


def describe_fresh(
    asked: TrainingPlan, plan: TrainingPlan, source: Path, kept: Settings, settings: Settings
) -> list[str]:
    """What a new model takes from the old one, and what it does not."""
    taken = describe_taken(asked, plan, kept, settings)
    old = "the old model" if source == plan.model_dir else source.name
    lines = [f"Taken over from {old}: {taken}"] if taken else []
    return [*lines, *(f"From now on: {change}." for change in describe_changes(kept, settings))]


def describe_idle(plan: TrainingPlan, trained: Checkpoint) -> dict[str, Any]:
    """For programs: there was nothing to train."""
    return {
        "model_dir": str(plan.model_dir),
        "steps": 0,
        "global_step": trained.global_step,
        "ended_by": "nothing_to_do",
    }


def describe_reached(max_steps: int, step: int) -> str:
    """That the model has had all its steps."""
    past = f"past --max-steps {max_steps:,}" if step > max_steps else "that of --max-steps"
    return (
        f"The model is already at step {step:,}, {past}; nothing to train. --steps N trains N more."
    )


def describe_passes(plan: TrainingPlan, passes: int) -> str:
    """That an interrupted run has made all its passes."""
    made = "1 pass" if passes == 1 else f"{passes:,} passes"
    return (
        f"The interrupted training has already made {made} over {plan.points}, and --epochs is "
        f"{EPOCHS if plan.epochs is None else plan.epochs:,}: nothing to train. --epochs N with a "
        "larger N continues it; "
        "--restart-input starts again at the beginning of the file."
    )
