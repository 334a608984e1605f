"""Stopping by a validation set: training ends when it no longer helps points it does not see."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from centroids.checks import check_integer, check_number
from centroids.estimator._arguments import check_count, check_evaluation_name, check_input_fn
from centroids.estimator._inference import check_inside, evaluation_folder, scalars_of
from centroids.estimator.hooks._basic import event_writer
from centroids.estimator.hooks._protocol import (
    Coordinator,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)

if TYPE_CHECKING:
    from centroids.estimator._session import Session
    from centroids.estimator.estimator import Estimator

logger = logging.getLogger(__name__)


class ValidationHook(SessionRunHook):
    """Evaluates the model during training, and ends it when a metric no longer falls.

    What it compares with, and how long it has waited, is in each checkpoint: a call of train that
    is interrupted and made again stops at the same step as one that is not. A call that has come to
    its end leaves nothing behind; the next one compares anew.

    The model that remains is that of the last step. `best_step` says which one was the best.

    Args:
        estimator: The model that is trained.
        input_fn: Gives the points to evaluate, as for `evaluate`; called for each evaluation.
        patience: How many evaluations in a row may bring no new lowest value before training ends;
            None: it only measures.
        every_n_steps: Evaluate after each step whose number this divides.
        metric: What to compare: "loss", or another value of `evaluate`. Lower is better.
        min_delta: By how much a value must be lower than the lowest so far to count as lower.
        steps: How many batches to evaluate; None: to the end of the input.
        name: The event file goes to `eval_<name>` in model_dir.

    Attributes:
        best_value: The lowest value so far; None before the first evaluation.
        best_step: Its step.
        last_value: The latest value.
        num_evaluations: How many there were in this call and the one that it continues.
        stopped: Whether it has ended training.

    Raises:
        ValueError: If a number is out of its range, or the name cannot be that of a folder.
        TypeError: If input_fn is not a function.

    >>> import numpy as np, centroids
    >>> points, others = np.random.default_rng(0).normal(size=(2, 200, 2))
    >>> kmeans = centroids.KMeansClustering(9, use_mini_batch=False)
    >>> hook = ValidationHook(kmeans, lambda: others, patience=2, steps=1)
    >>> kmeans = kmeans.train(lambda: points, hooks=[hook], steps=100)
    >>> hook.stopped, hook.best_step < int(kmeans.get_variable_value("global_step")) < 100
    (True, True)
    """

    def __init__(
        self,
        estimator: Estimator,
        input_fn: Callable[..., Any],
        patience: int | None = None,
        every_n_steps: int = 1,
        metric: str = "loss",
        min_delta: float = 0.0,
        steps: int | None = None,
        name: str = "validation",
    ) -> None:
        check_input_fn(input_fn)
        check_evaluation_name(name)
        if patience is not None:
            check_integer("patience", patience, 1, ", or None")
        check_integer("every_n_steps", every_n_steps, 1)
        check_number("min_delta", min_delta, 0)
        self._estimator, self._input_fn, self._name = estimator, input_fn, name
        self._patience, self._every_n_steps = patience, every_n_steps
        self._metric, self._min_delta = metric, min_delta
        self._steps = check_count("steps", steps)
        self._forget()

    def _forget(self) -> None:
        self.best_value: float | None = None
        self.best_step: int | None = None
        self.last_value: float | None = None
        self.num_evaluations = self._num_worse = 0
        self.stopped = False

    def after_create_session(self, session: Session, coord: Coordinator) -> None:
        """Takes up what an interrupted call has left."""
        self._forget()
        state = session.earlier_hook_states.get(self._key)
        if isinstance(state, dict) and state.get("metric") == self._metric:
            self.best_value, self.best_step = state["best_value"], state["best_step"]
            self.last_value = state["last_value"]
            self.num_evaluations = state["num_evaluations"]
            self._num_worse = state["num_worse"]
        self._keep(session)
        model_dir = session.run_config.model_dir
        self._writer = None
        if model_dir is not None:
            folder = evaluation_folder(model_dir, self._name)
            check_inside(model_dir, folder)
            self._writer = event_writer(folder, session, coord)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Evaluates when it is due, and ends training when patience does."""
        session = run_context.session
        step = session.global_step
        if step % self._every_n_steps:
            return
        values, tags = self._estimator._evaluate_checkpoint(
            session.checkpoint(), self._input_fn, self._steps, []
        )
        if self._metric not in values:
            raise ValueError(
                f"metric must be a value of evaluate, {', '.join(sorted(values))}; got "
                f"{self._metric!r}"
            )
        if self._writer is not None:
            self._writer.add_scalars(scalars_of(values, tags), step)
        self._compare(float(values[self._metric]), step)
        self._keep(session)
        if self._patience is not None and self._num_worse >= self._patience:
            self.stopped = True
            logger.info(
                "%s has not fallen below that of step %s in %d evaluations: training stops.",
                self._metric,
                self.best_step,
                self._num_worse,
            )
            run_context.request_stop()

    @property
    def _key(self) -> str:
        return f"validation {self._name}"

    def _compare(self, value: float, step: int) -> None:
        self.last_value = value
        self.num_evaluations += 1
        best = math.inf if self.best_value is None else self.best_value
        if value < best - self._min_delta if math.isfinite(best) else value < best:
            self.best_value, self.best_step, self._num_worse = value, step, 0
        else:
            self._num_worse += 1

    def _keep(self, session: Session) -> None:
        session.hook_states[self._key] = {
            "metric": self._metric,
            "best_value": self.best_value,
            "best_step": self.best_step,
            "last_value": self.last_value,
            "num_evaluations": self.num_evaluations,
            "num_worse": self._num_worse,
        }
