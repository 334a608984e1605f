"""A hook that writes summaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from centroids.estimator.hooks import SecondOrStepTimer
from centroids.estimator.session_run_hook import (
    Coordinator,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from centroids.estimator.summary import EventWriter

if TYPE_CHECKING:
    from centroids.estimator.session import Session


class SummarySaverHook(SessionRunHook):
    """Writes scalars into an event file.

    Args:
        save_steps: Write every this many steps, the first of the call included.
        save_secs: Write every this many seconds. Exactly one of the two must be given.
        output_dir: The folder of the event file.
        summary_writer: Writes instead of a new writer for `output_dir`.
        summary_op: The name of a scalar, a list of names, or a dict of names by tag. None takes
            the loss and the summaries of the spec.

    Raises:
        ValueError: If both or none of the intervals are given, or no place to write.
    """

    def __init__(
        self,
        save_steps: int | None = None,
        save_secs: float | None = None,
        output_dir: str | None = None,
        summary_writer: EventWriter | None = None,
        summary_op: str | Sequence[str] | Mapping[str, str] | None = None,
    ) -> None:
        if (save_secs is None) == (save_steps is None):
            raise ValueError(
                "exactly one of save_steps and save_secs must be given, not "
                f"save_steps={save_steps!r} and save_secs={save_secs!r}"
            )
        if summary_writer is None and not output_dir:
            raise ValueError("one of output_dir and summary_writer must be given")
        self._timer = SecondOrStepTimer(save_secs, save_steps)
        self._writer = summary_writer or EventWriter(output_dir or "")
        self._owned = summary_writer is None
        self._summary_op = summary_op

    def begin(self) -> None:
        """Starts anew."""
        self._timer.reset()
        self._due = False

    def after_create_session(self, session: Session, coord: Coordinator) -> None:
        """Finds the names to write."""
        names = self._summary_op
        if names is None:
            names = (["loss"] if session.spec.loss is not None else []) + list(
                session.spec.summaries
            )
        elif isinstance(names, str):
            names = [names]
        tags = dict(names) if isinstance(names, Mapping) else {name: name for name in names}
        self._args = SessionRunArgs(tags)
        if self._owned:
            coord.on_close(self._writer.close)

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        """Fetches the values when they are due."""
        self._due = self._timer.should_trigger_for_step(run_context.session.global_step + 1)
        return self._args if self._due else None

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Writes what was fetched."""
        if self._due and run_values.results:
            step = run_context.session.global_step
            self._timer.update_last_triggered_step(step)
            self._writer.add_scalars(run_values.results, step)
