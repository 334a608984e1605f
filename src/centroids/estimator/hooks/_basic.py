"""Hooks that watch a run: stop it, log it, count its steps, and look at its values."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from centroids.estimator._arguments import check_exactly_one
from centroids.estimator._spec import ModeKeys
from centroids.estimator.hooks._event_files import EventWriter
from centroids.estimator.hooks._protocol import (
    Coordinator,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from centroids.estimator.hooks._timer import ANY_NUMBER, SecondOrStepTimer
from centroids.files import absolute
from centroids.progress import THREAD_NAME

if TYPE_CHECKING:
    from centroids.estimator._session import Session

logger = logging.getLogger(__name__)


def event_writer(output_dir: str, session: Session, coord: Coordinator) -> EventWriter:
    """Returns the writer of a folder for a run; in training, later steps there are replaced."""
    training = session.spec.mode == ModeKeys.TRAIN
    first_step = session.global_step + 1 if training else None
    return coord.event_writer(output_dir, first_step, session.check_model_dir)


class StopAtStepHook(SessionRunHook):
    """Ends the loop after a number of steps, or at a step.

    Args:
        num_steps: Stop after this many steps of the call.
        last_step: Stop when the global step is this. Exactly one of the two must be given.

    Raises:
        ValueError: If both are given, or neither is.
    """

    def __init__(self, num_steps: int | None = None, last_step: int | None = None) -> None:
        check_exactly_one(num_steps=num_steps, last_step=last_step)
        self._num_steps = num_steps
        self._given_last_step = last_step
        self._last_step = 0

    def after_create_session(self, session: Session, coord: Coordinator) -> None:
        """Finds the last step; if it is already reached, no step is run."""
        if self._given_last_step is not None:
            self._last_step = self._given_last_step
        else:
            self._last_step = session.global_step + (self._num_steps or 0)
        if session.global_step >= self._last_step:
            coord.request_stop()

    def quiet_steps(self, session: Session) -> int:
        """All but the last step; see `quiet_steps_of`."""
        return self._last_step - session.global_step - 1

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Requests the stop when the last step is done."""
        if run_context.session.global_step >= self._last_step:
            run_context.request_stop()


class StopAfterNumBatchesHook(SessionRunHook):
    """Ends the loop after a number of batches, whether or not they count as training steps.

    Args:
        num_batches: How many.
    """

    def __init__(self, num_batches: int) -> None:
        self._num_batches = num_batches

    def begin(self) -> None:
        """Starts counting."""
        self._count = 0

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Requests the stop after the last batch."""
        self._count += 1
        if self._count >= self._num_batches:
            run_context.request_stop()


class LoggingTensorHook(SessionRunHook):
    """Logs values at level INFO: after a number of steps or seconds, or at the end.

    Args:
        tensors: Names to fetch, by tag, or an iterable of names.
        every_n_iter: Log every this many steps of the call, the first included.
        every_n_secs: Log every this many seconds.
        at_end: Also log at the end of the run, or only then if neither interval is given.
        formatter: Makes the text from a dict of values by tag.

    Raises:
        ValueError: If both or (without `at_end`) none of the intervals are given, or the given
            one is not positive.
    """

    only_watches = True

    def __init__(
        self,
        tensors: Mapping[str, str] | Iterable[str],
        every_n_iter: int | None = None,
        every_n_secs: float | None = None,
        at_end: bool = False,
        formatter: Callable[[dict[str, Any]], str] | None = None,
    ) -> None:
        only_at_end = at_end and every_n_iter is None and every_n_secs is None
        if not only_at_end and (every_n_iter is None) == (every_n_secs is None):
            raise ValueError(
                "at_end, or exactly one of every_n_iter and every_n_secs must be given, not "
                f"every_n_iter={every_n_iter!r} and every_n_secs={every_n_secs!r}"
            )
        if every_n_iter is not None and every_n_iter <= 0:
            raise ValueError(f"invalid every_n_iter={every_n_iter}: it must be > 0")
        names = dict(tensors) if isinstance(tensors, Mapping) else {name: name for name in tensors}
        self._args = SessionRunArgs(names)
        self._timer = None if only_at_end else SecondOrStepTimer(every_n_secs, every_n_iter)
        self._at_end = at_end
        self._formatter = formatter

    def begin(self) -> None:
        """Starts over, so that the first step is logged."""
        if self._timer is not None:
            self._timer.reset()
        self._count = 0
        self._due = False

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        """Fetches the values when they are due."""
        self._due = self._timer is not None and self._timer.should_trigger_for_step(self._count)
        return self._args if self._due else None

    def quiet_steps(self, session: Session) -> int:
        """Those before one is due; see `quiet_steps_of`."""
        return ANY_NUMBER if self._timer is None else self._timer.quiet_steps(self._count - 1)

    def skip_steps(self, count: int) -> None:
        """Counts steps that it was not called around."""
        self._count += count

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Logs what was fetched."""
        if self._due:
            self._log(run_values.results)
        self._count += 1

    def end(self, session: Session) -> None:
        """Logs the values of the end if asked to."""
        if self._at_end:
            self._log(session.run(self._args.fetches))

    def _log(self, values: dict[str, Any]) -> None:
        elapsed = None
        if self._timer is not None:
            elapsed, _ = self._timer.update_last_triggered_step(self._count)
        if self._formatter is not None:
            logger.info("%s", self._formatter(values))
            return
        text = ", ".join(f"{tag} = {value}" for tag, value in values.items())
        logger.info("%s%s", text, "" if elapsed is None else f" ({elapsed:.3f} sec)")


class StepCounterHook(SessionRunHook):
    """Logs and writes `global_step/sec` and `rows/sec`, the rows of batches per second.

    Args:
        every_n_steps: Do so every this many steps.
        every_n_secs: Or every this many seconds; then every_n_steps must be None.
        output_dir: The folder of the event file; None writes none.
        summary_writer: Writes instead of the writer for `output_dir`.

    Raises:
        ValueError: If both or none of the intervals are given.
    """

    only_watches = True

    def __init__(
        self,
        every_n_steps: int | None = 100,
        every_n_secs: float | None = None,
        output_dir: str | None = None,
        summary_writer: EventWriter | None = None,
    ) -> None:
        check_exactly_one(every_n_steps=every_n_steps, every_n_secs=every_n_secs)
        self._timer = SecondOrStepTimer(every_n_secs, every_n_steps)
        self._given_writer = summary_writer
        self._output_dir = absolute(output_dir) if output_dir else None

    def begin(self) -> None:
        """Starts over."""
        self._timer.reset()

    def after_create_session(self, session: Session, coord: Coordinator) -> None:
        """Starts to count here, so that the first rate covers the first steps."""
        self._timer.update_last_triggered_step(session.global_step)
        self._num_examples = session.num_examples
        self._writer = self._given_writer
        if self._writer is None and self._output_dir:
            self._writer = event_writer(self._output_dir, session, coord)

    def quiet_steps(self, session: Session) -> int:
        """Those before one is due; see `quiet_steps_of`."""
        return self._timer.quiet_steps(session.global_step)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Logs the rate when it is due."""
        step = run_context.session.global_step
        if not self._timer.should_trigger_for_step(step):
            return
        seconds, steps = self._timer.update_last_triggered_step(step)
        before, self._num_examples = self._num_examples, run_context.session.num_examples
        if not seconds or steps is None:
            return
        rates = {
            "global_step/sec": steps / seconds,
            "rows/sec": (self._num_examples - before) / seconds,
        }
        logger.info("%s", ", ".join(f"{tag}: {rate:g}" for tag, rate in rates.items()))
        if self._writer is not None:
            self._writer.add_scalars(rates, step)


class NanLossDuringTrainingError(RuntimeError):
    """The loss of a training step was NaN."""


class NanTensorHook(SessionRunHook):
    """Ends training when the loss is NaN, with an error or without.

    Args:
        loss_tensor: The name of the loss, or of another number.
        fail_on_nan_loss: Raise NanLossDuringTrainingError; otherwise only stop.
    """

    only_watches = True

    def __init__(self, loss_tensor: str = "loss", fail_on_nan_loss: bool = True) -> None:
        self._args = SessionRunArgs(loss_tensor)
        self._fail = fail_on_nan_loss

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        """Fetches the loss."""
        return self._args

    def quiet_steps(self, session: Session) -> int:
        """Any number, if it watches the loss, which is a number then; see `quiet_steps_of`."""
        return ANY_NUMBER if self._args.fetches == "loss" else 0

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Checks the loss.

        Raises:
            NanLossDuringTrainingError: If it is NaN and fail_on_nan_loss is set.
        """
        loss = run_values.results
        # Only NaN differs from itself; for a plain number this is far cheaper than np.isnan.
        is_nan = loss != loss if isinstance(loss, float) else bool(np.any(np.isnan(loss)))
        if not is_nan:
            return
        step = run_context.session.global_step
        message = f"NaN loss during training: {self._args.fetches} = {loss} at step {step}"
        if self._fail:
            raise NanLossDuringTrainingError(message)
        logger.warning("%s; training stops", message)
        run_context.request_stop()


class FinalOpsHook(SessionRunHook):
    """Reads values at the end of the run.

    Args:
        final_ops: A name, or a list or dict of names.
        final_ops_feed_dict: Must be None: there is no graph to feed. Kept for the r1.4 signature.

    Raises:
        ValueError: If there is something to feed.
    """

    only_watches = True

    def __init__(self, final_ops: Any, final_ops_feed_dict: None = None) -> None:
        if final_ops_feed_dict:
            raise ValueError(
                "final_ops_feed_dict must be None, as there is no graph to feed, not "
                f"{final_ops_feed_dict!r}"
            )
        self._final_ops = final_ops
        self._values: Any = None

    @property
    def final_ops_values(self) -> Any:
        """The values, or None before the end."""
        return self._values

    def end(self, session: Session) -> None:
        """Reads the values."""
        if self._final_ops is not None:
            self._values = session.run(self._final_ops)


class GlobalStepWaiterHook(SessionRunHook):
    """Delays the first step until the global step has reached a value.

    It is for r1.4 programs, which use it to start their workers one after the other. Here each
    process counts its own steps: while this hook waits, only another thread of the program can
    advance them. Without such a thread it raises an error; r1.4 waits forever.

    Args:
        wait_until_step: The global step to wait for; 0 or less does not wait.
    """

    only_watches = True

    _POLL_SECONDS = 0.5

    def __init__(self, wait_until_step: int) -> None:
        self._wait_until_step = wait_until_step

    def begin(self) -> None:
        """Waits again in each run."""
        self._started = self._wait_until_step <= 0

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        """Waits before the first step.

        Raises:
            RuntimeError: If nothing can advance the global step.
        """
        if self._started:
            return None
        logger.info("Waiting for global step %d before the first step.", self._wait_until_step)
        while True:
            others_run = _other_threads_run()  # asked first: a thread may count and then end
            step = run_context.session.run("global_step")
            if step >= self._wait_until_step:
                break
            if not others_run:
                raise RuntimeError(
                    f"GlobalStepWaiterHook({self._wait_until_step}) would wait forever: the "
                    f"global step is {step}, and nothing else in this process can advance it; "
                    "leave the hook out, as a model here is trained by one process"
                )
            time.sleep(self._POLL_SECONDS)
        self._started = True
        return None


def _other_threads_run() -> bool:
    """Whether there is a thread besides this one and those that read and write for it."""
    others = set(threading.enumerate()) - {threading.current_thread()}
    return not all(thread.name in _OWN_THREADS for thread in others)


_OWN_THREADS = ("centroids-read-ahead", "centroids-writer", THREAD_NAME)
