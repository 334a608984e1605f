"""train_and_evaluate: training with evaluations and exports in between, as r1.4 does it locally."""

from __future__ import annotations

import dataclasses
import errno
import logging
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from centroids.estimator._arguments import check_count, check_evaluation_name, check_input_fn
from centroids.estimator._exporters import Exporter
from centroids.estimator.estimator import Estimator
from centroids.estimator.hooks._protocol import (
    Coordinator,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
    check_hooks,
)
from centroids.estimator.hooks._saving import CheckpointSaverListener
from centroids.files import find_link

if TYPE_CHECKING:
    from centroids.estimator._session import Session

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainSpec:
    """How `train_and_evaluate` trains.

    Attributes:
        input_fn: Gives the points; see `Estimator.train`.
        max_steps: The global step at which everything ends. None trains forever, as in r1.4.
        hooks: Called around every step.

    Raises:
        ValueError: If max_steps is not a positive integer.
        TypeError: If input_fn cannot be called, or a hook is not one.
    """

    input_fn: Callable[..., Any]
    max_steps: int | None = None
    hooks: Iterable[SessionRunHook] | None = None

    def __post_init__(self) -> None:
        check_input_fn(self.input_fn)
        object.__setattr__(self, "max_steps", check_count("max_steps", self.max_steps))
        object.__setattr__(self, "hooks", tuple(check_hooks(_list(self.hooks))))

    def _replace(self, **changes: Any) -> Self:
        return dataclasses.replace(self, **changes)  # a named tuple in r1.4


@dataclass(frozen=True)
class EvalSpec:
    """How `train_and_evaluate` evaluates, when, and what it exports then.

    Attributes:
        input_fn: Gives the points to evaluate; see `Estimator.evaluate`.
        steps: How many batches of them; None goes to the end of the input.
        name: The event files go to `eval_<name>`.
        hooks: Called around every batch of an evaluation.
        exporters: An Exporter or several, of different names; called after each evaluation.
        start_delay_secs: Has no effect in one process, as in r1.4.
        throttle_secs: How long to train between two evaluations. 0 evaluates after each checkpoint
            that the RunConfig asks for.

    Raises:
        ValueError: If a number is out of its range, or exporters have no names of their own.
        TypeError: If input_fn cannot be called, or a hook, an exporter or a name is not one.
    """

    input_fn: Callable[..., Any]
    steps: int | None = 100
    name: str | None = None
    hooks: Iterable[SessionRunHook] | None = None
    exporters: Exporter | Iterable[Exporter] | None = None
    start_delay_secs: float = 120
    throttle_secs: float = 600

    def __post_init__(self) -> None:
        check_input_fn(self.input_fn)
        object.__setattr__(self, "steps", check_count("steps", self.steps))
        if self.name is not None and not isinstance(self.name, str):
            raise TypeError(f"`name` must be string, given: {self.name!r}")
        check_evaluation_name(self.name)
        object.__setattr__(self, "hooks", tuple(check_hooks(_list(self.hooks))))
        object.__setattr__(self, "exporters", _check_exporters(self.exporters))
        for argument in ("start_delay_secs", "throttle_secs"):
            seconds = getattr(self, argument)
            if not seconds >= 0:
                raise ValueError(f"Must specify {argument} >= 0, given: {seconds}")

    def _replace(self, **changes: Any) -> Self:
        return dataclasses.replace(self, **changes)  # a named tuple in r1.4


def train_and_evaluate(
    estimator: Estimator, train_spec: TrainSpec, eval_spec: EvalSpec
) -> tuple[dict[str, Any], list[str | None]]:
    """Trains, evaluates and exports in turn, until the model has had its steps.

    As r1.4 does it in one process: train for `throttle_secs` or to the end of the input, evaluate
    the newest checkpoint, call the exporters, and again, until the global step is `max_steps`. An
    input that knows its position continues where it stood; others, and those that have ended,
    begin again. Where a hook or `relative_tolerance` ends a run, all ends with the evaluation
    and the export that follow.

    Args:
        estimator: The model.
        train_spec: How to train.
        eval_spec: How to evaluate, and what to export. Exports go to `export/<name>` in model_dir.

    Returns:
        The values of the last evaluation, and what each exporter returned after it. (r1.4 returns
        None, later versions this.)

    Raises:
        TypeError: If an argument is of another type.
        RuntimeError: If a training run made no step, as with an empty input.
        OSError: If `export`, or the folder of an exporter in it, is a symbolic link.
        Exception: As `train`, `evaluate` and `export_savedmodel` raise.

    >>> import numpy as np, centroids
    >>> points = np.array([[0.0, 1.0], [9.0, 1.0]], np.float32)
    >>> kmeans = centroids.KMeansClustering(2, initial_clusters=points)
    >>> values, exports = train_and_evaluate(
    ...     kmeans, TrainSpec(lambda: points, max_steps=5), EvalSpec(lambda: points, steps=1)
    ... )
    >>> int(values["global_step"]), values["score"], exports
    (5, 0.0, [])
    """
    for name, value, kind in (
        ("estimator", estimator, Estimator),
        ("train_spec", train_spec, TrainSpec),
        ("eval_spec", eval_spec, EvalSpec),
    ):
        if not isinstance(value, kind):
            raise TypeError(f"{name} must have type {kind.__name__}, got {value!r}")
    for exporter in _check_exporters(eval_spec.exporters):
        _export_path(estimator, exporter)  # before any time is spent
    evaluated: str | None = None
    told = False
    while True:
        turn = _train_for_a_turn(estimator, train_spec, eval_spec.throttle_secs)
        latest = estimator._load_checkpoint()
        checkpoint = None if latest is None else latest.path
        if checkpoint is None or checkpoint == evaluated:
            raise RuntimeError(
                "There was no new checkpoint after training: train_spec.input_fn gives no "
                "batch, or the RunConfig saves no checkpoints"
            )
        evaluated = checkpoint
        values = estimator.hand_on(latest).evaluate(
            eval_spec.input_fn,
            steps=eval_spec.steps,
            hooks=_list(eval_spec.hooks),
            checkpoint_path=checkpoint,
            name=eval_spec.name,
        )
        reached = train_spec.max_steps is not None and values["global_step"] >= train_spec.max_steps
        final = reached or turn.ended_by_others
        exports = [
            exporter.export(
                estimator=estimator.hand_on(latest),
                export_path=_export_path(estimator, exporter),
                checkpoint_path=checkpoint,
                eval_result=values,
                is_the_final_export=final,
            )
            for exporter in _check_exporters(eval_spec.exporters)
        ]
        if final:
            return values, exports
        if train_spec.max_steps is None and not told:
            told = True
            logger.warning(
                "Without max_steps, train_and_evaluate never ends, as in r1.4: an input that "
                "has ended begins again. Give TrainSpec max_steps."
            )


def _export_path(estimator: Estimator, exporter: Exporter) -> str:
    """The folder of an exporter; nothing is written, or deleted, through links in model_dir."""
    path = os.path.join(estimator.model_dir, "export", exporter.name)
    link = find_link(estimator.model_dir, path)
    if link is not None:
        raise OSError(
            errno.ELOOP,
            f"the exporter {exporter.name!r} would write through this symbolic link, which leads "
            "out of model_dir; move it away, or link model_dir itself",
            link,
        )
    return path


def _train_for_a_turn(estimator: Estimator, spec: TrainSpec, throttle_secs: float) -> _Turn:
    turn = _Turn(throttle_secs)
    listeners = [_SaveNoter(turn)] if throttle_secs == 0 else []
    hooks = [*_list(spec.hooks), turn]
    estimator.train(
        spec.input_fn, hooks=hooks, max_steps=spec.max_steps, saving_listeners=listeners
    )
    return turn


class _Turn(SessionRunHook):
    """Ends a training run when it is time to evaluate, and knows what ended it.

    Attributes:
        input_ended: Whether it was the end of the input.
        saved: Set when a checkpoint has been saved.
    """

    def __init__(self, throttle_secs: float) -> None:
        self._throttle_secs = throttle_secs
        self._is_over = False
        self._num_steps = 0
        self.input_ended = False
        self.saved = False

    @property
    def ended_by_others(self) -> bool:
        """Whether steps were made and neither the time nor the input ended them."""
        return self._num_steps > 0 and not self._is_over and not self.input_ended

    def begin(self) -> None:
        """Starts the clock."""
        self._started = time.monotonic()

    def after_create_session(self, session: Session, coord: Coordinator) -> None:
        """Notes that a step which begins now may be the end of the input."""
        self._begun = False

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        """Begins a step."""
        self._begun = True
        if self._num_steps == 0:
            self.saved = False  # that was the checkpoint before the first step
        return None

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Ends the training when its time is over."""
        self._begun = False
        self._num_steps += 1
        elapsed = time.monotonic() - self._started >= self._throttle_secs > 0
        if elapsed or self.saved:
            self._is_over = True
            run_context.request_stop()

    def end(self, session: Session) -> None:
        """Sees whether the last step found the input at its end."""
        self.input_ended = self._begun


class _SaveNoter(CheckpointSaverListener):
    """Tells a turn that a checkpoint was saved."""

    def __init__(self, turn: _Turn) -> None:
        self._turn = turn

    def after_save(self, session: Session, global_step_value: int) -> None:
        """Notes it."""
        self._turn.saved = True


def _list(values: Iterable[Any] | None) -> list[Any]:
    return [] if values is None else list(values)


def _check_exporters(exporters: Any) -> tuple[Exporter, ...]:
    if isinstance(exporters, Exporter):
        exporters = [exporters]
    try:
        checked = tuple(exporters or ())
    except TypeError:
        checked = (exporters,)
    names: list[str] = []
    for exporter in checked:
        if not isinstance(exporter, Exporter):
            raise TypeError(
                f"`exporters` must be an Exporter, an iterable of Exporter, or `None`, found "
                f"{exporters!r}"
            )
        if not isinstance(exporter.name, str) or not exporter.name or exporter.name in names:
            raise ValueError(
                "exporters must have different names that are not empty, got "
                f"{[each.name for each in checked]}"
            )
        names.append(exporter.name)
    return checked
