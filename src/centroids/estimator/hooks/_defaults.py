"""The hooks of every training run."""

from __future__ import annotations

from typing import Any

from centroids.estimator._run_config import RunConfig
from centroids.estimator._spec import EstimatorSpec
from centroids.estimator.hooks._basic import (
    LoggingTensorHook,
    NanTensorHook,
    StepCounterHook,
    StopAtStepHook,
)
from centroids.estimator.hooks._hparams import HParamsHook, hparams
from centroids.estimator.hooks._loggers import ScalarLogger
from centroids.estimator.hooks._protocol import SessionRunHook
from centroids.estimator.hooks._saving import (
    CheckpointSaverHook,
    CheckpointSaverListener,
)
from centroids.estimator.hooks._summaries import SummarySaverHook
from centroids.estimator.hooks._validation import ValidationHook

_BEFORE_SAVING = (StopAtStepHook, ValidationHook, ScalarLogger)


def may_stop(hook: SessionRunHook) -> bool:
    """Whether a hook may end a call that has no other end; any hook of a user may."""
    return not vars(type(hook)).get("only_watches", False)


def takes_part_in_steps(hook: SessionRunHook) -> bool:
    """Whether a hook is called around steps; those of a model that are not end no training."""
    return any(
        getattr(type(hook), method) is not getattr(SessionRunHook, method)
        for method in ("before_run", "after_run")
    )


def training_hooks(
    spec: EstimatorSpec,
    config: RunConfig,
    hooks: list[SessionRunHook],
    listeners: list[CheckpointSaverListener],
    params: Any,
) -> list[SessionRunHook]:
    """Returns all hooks of a training run in the order of their calls.

    It is the order of r1.4 except for what comes before checkpoints are saved: the check for NaN,
    because a model that has diverged must not become the newest checkpoint; the model's chief
    hooks, and those that stop at a step or by validation, as the checkpoint of the last step must
    say that it is the last; loggers, as a run that is killed right after a save goes on behind it
    and would lack the row of that step.

    Args:
        spec: The model, with its own hooks.
        config: How often to save, write and log; `model_dir` must be set.
        hooks: Those of the caller.
        listeners: For the hook that saves checkpoints: that of the caller or of the model if
            there is one, otherwise a new one.
        params: The parameters of the model, for the event file.

    Raises:
        ValueError: If there are listeners but no checkpoints are saved.
    """
    given = [*spec.training_chief_hooks, *hooks, *spec.training_hooks]
    saver = next((hook for hook in given if isinstance(hook, CheckpointSaverHook)), None)
    first = [hook for hook in hooks if isinstance(hook, _BEFORE_SAVING)]
    created: list[SessionRunHook] = [NanTensorHook(), *spec.training_chief_hooks, *first]
    steps, seconds = config.save_checkpoints_steps, config.save_checkpoints_secs
    assert config.model_dir is not None
    if saver is None and (steps or seconds):
        saver = CheckpointSaverHook(config.model_dir, seconds or None, steps or None)
        created.append(saver)
    if saver is not None:
        saver.use_listeners(listeners)
    elif listeners:
        raise ValueError(
            "There should be a CheckpointSaverHook to use saving_listeners. Please set one of the "
            "RunConfig.save_checkpoints_steps or RunConfig.save_checkpoints_secs."
        )
    if config.log_step_count_steps is not None:
        created.append(StepCounterHook(config.log_step_count_steps, output_dir=config.model_dir))
    if config.save_summary_steps:
        created.append(
            SummarySaverHook(
                config.save_summary_steps,
                output_dir=config.model_dir,
                every_step=spec.scalars_of_every_step,
            )
        )
        if hparams(params):
            created.append(HParamsHook(config.model_dir, params))
    created.extend(hook for hook in hooks if not isinstance(hook, _BEFORE_SAVING))
    if config.log_step_count_steps is not None:
        names = {"loss": "loss", "step": "global_step"}
        created.append(LoggingTensorHook(names, config.log_step_count_steps))
    created.extend(spec.training_hooks)
    return created
