"""The loops of evaluate and predict over the batches of an input."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Generator, Mapping
from typing import Any

import numpy as np

from centroids.checkpoints.checkpoint import Checkpoint
from centroids.estimator._metrics import Mean
from centroids.estimator._monitored_session import MonitoredSession
from centroids.estimator._run_config import RunConfig
from centroids.estimator._session import Fetches, Session
from centroids.estimator._spec import EstimatorSpec
from centroids.estimator.hooks._event_files import EventWriter
from centroids.estimator.hooks._protocol import SessionRunArgs, SessionRunHook, check_hooks
from centroids.estimator.predictions import predictions_to_fetch, single_examples
from centroids.files import find_link
from centroids.inputs.stream import BatchStream

logger = logging.getLogger(__name__)


def evaluate_batches(
    spec: EstimatorSpec,
    batches: BatchStream,
    restored: Checkpoint,
    hooks: list[SessionRunHook],
    config: RunConfig,
) -> dict[str, Any]:
    """The metrics of a model over all batches, the mean loss, and the global step.

    Args:
        spec: The model, for EVAL.
        batches: At least one.
        restored: The variables.
        hooks: Called around every batch, before those of the spec.
        config: The configuration of the run.
    """
    metrics = dict(spec.eval_metric_ops or {})
    if spec.loss is not None:
        metrics["loss"] = Mean(spec.loss)
    for metric in metrics.values():
        metric.reset()
    args = SessionRunArgs([])
    with MonitoredSession(
        hooks + check_hooks(spec.evaluation_hooks),
        lambda: Session.create(spec, batches, config, restored, metrics=metrics),
    ) as monitored:
        fetches = Fetches(monitored.session, args.fetches)
        while not monitored.should_stop():
            monitored.run(args, fetches)
    values = {name: metric.result() for name, metric in metrics.items()}
    return {**values, "global_step": restored.global_step}


def evaluation_folder(model_dir: str, name: str | None) -> str:
    """The folder for the event files of evaluations with this name."""
    return os.path.join(model_dir, "eval" if not name else f"eval_{name}")


def write_evaluation(
    model_dir: str, name: str | None, values: Mapping[str, Any], tags: Mapping[str, str]
) -> None:
    """Writes those values of an evaluation that are single numbers into an event file.

    Args:
        model_dir: The folder of the model.
        name: Of the evaluation.
        values: Its result.
        tags: See EstimatorSpec.
    """
    folder = evaluation_folder(model_dir, name)
    try:
        check_inside(model_dir, folder)
        with EventWriter(folder) as writer:
            writer.add_scalars(scalars_of(values, tags), values["global_step"])
    except OSError as error:
        # A model may be read where nothing can be written; the values are still good.
        logger.warning("Cannot write the evaluation to %s: %s", folder, error)


def check_inside(model_dir: str, folder: str) -> None:
    """Raises an OSError if a folder below that of the model leads out of it."""
    link = find_link(model_dir, folder)
    if link is not None:
        raise OSError(errno.ELOOP, "it is a symbolic link", link)


def scalars_of(values: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    """Those values of an evaluation that are single numbers, by their tags."""
    return {
        tags.get(key, key): value
        for key, value in values.items()
        if key != "global_step" and _is_number(value)
    }


def _is_number(value: Any) -> bool:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):  # rows of different lengths, and the like
        return False
    return array.size == 1 and array.dtype.kind in "biuf"


def predict_batches(
    spec: EstimatorSpec,
    batches: BatchStream,
    restored: Checkpoint,
    keys: list[str] | None,
    hooks: list[SessionRunHook],
    config: RunConfig,
    yield_single_examples: bool,
) -> Generator[Any]:
    """Yields the predictions for all batches, row by row or batch by batch.

    Args:
        spec: The model, for PREDICT.
        batches: What to predict for.
        restored: The variables.
        keys: Which predictions; None takes all.
        hooks: Called around every batch, before those of the spec.
        config: The configuration of the run.
        yield_single_examples: Row by row.
    """
    args = SessionRunArgs(predictions_to_fetch(spec, keys))
    with MonitoredSession(
        hooks + check_hooks(spec.prediction_hooks),
        lambda: Session.create(spec, batches, config, restored),
    ) as monitored:
        fetches = Fetches(monitored.session, args.fetches)
        while not monitored.should_stop():
            values = monitored.run(args, fetches)
            if yield_single_examples:
                yield from single_examples(values)
            else:
                yield values
