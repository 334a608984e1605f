"""A hook that writes summaries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from centroids.estimator._arguments import check_exactly_one
from centroids.estimator.hooks._basic import event_writer
from centroids.estimator.hooks._event_files import EventWriter
from centroids.estimator.hooks._protocol import (
    Coordinator,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from centroids.estimator.hooks._timer import SecondOrStepTimer
from centroids.files import absolute

if TYPE_CHECKING:
    from centroids.estimator._session import Session


class SummarySaverHook(SessionRunHook):
    """Writes scalars and histograms into an event file.

    The last step of a run is written too, so that every curve ends where the model does.

    Args:
        save_steps: Write every this many steps, the first of the call included.
        save_secs: Write every this many seconds. Exactly one of the two must be given.
        output_dir: The folder of the event file.
        summary_writer: Writes instead of the writer for `output_dir`.
        scaffold: Must be None: there is no graph. Kept for the r1.4 signature.
        summary_op: The name of a scalar, a list of names, or a dict of names by tag; a name among
            the histograms of the spec gives a histogram. None takes the loss, the
            summaries and histograms of the spec by its tags, and `rows/dropped`, how many bad rows
            of the input were left out, once there are any.
        every_step: Write the scalars of every step, and only histograms at intervals.
        scalars: Functions that give further scalars, by tag, for what the model does not know.
            They are called after a step that is written.

    Raises:
        ValueError: If both or neither of the intervals are given, there is nowhere to write, or
            there is a scaffold.
    """

    only_watches = True

    def __init__(
        self,
        save_steps: int | None = None,
        save_secs: float | None = None,
        output_dir: str | None = None,
        summary_writer: EventWriter | None = None,
        scaffold: None = None,
        summary_op: str | Sequence[str] | Mapping[str, str] | None = None,
        scalars: Mapping[str, Callable[[], float]] | None = None,
        *,
        every_step: bool = False,
    ) -> None:
        check_exactly_one(save_steps=save_steps, save_secs=save_secs)
        if summary_writer is None and not output_dir:
            raise ValueError("one of output_dir and summary_writer must be given")
        if scaffold is not None:
            raise ValueError(
                f"scaffold must be None, not {scaffold!r}: there is no graph whose summaries it "
                "could hold; name them in summary_op, or leave it out for all"
            )
        self._timer = SecondOrStepTimer(save_secs, save_steps)
        self._given_writer = summary_writer
        self._output_dir = absolute(output_dir) if output_dir else None
        self._summary_op = summary_op
        self._scalars = dict(scalars or {})
        self._every_step = every_step

    def begin(self) -> None:
        """Starts over."""
        self._timer.reset()
        self._due = False

    def after_create_session(self, session: Session, coord: Coordinator) -> None:
        """Finds the names to write."""
        self._session = session
        spec, names = session.spec, self._summary_op
        if names is None:
            names = [*(["loss"] if spec.loss is not None else []), *spec.summaries]
            names += spec.histograms
        elif isinstance(names, str):
            names = [names]
        if not isinstance(names, Mapping):
            called = spec.tags if self._summary_op is None else {}
            names = {called.get(name, name): name for name in names}
        self._histograms = {tag for tag, name in names.items() if name in spec.histograms}
        self._args = SessionRunArgs(dict(names))
        scalars = {tag: name for tag, name in names.items() if tag not in self._histograms}
        self._args_between = SessionRunArgs(scalars) if self._every_step else None
        self._first_step = session.global_step + 1
        self._writer = self._given_writer or event_writer(self._output_dir or "", session, coord)

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        """Fetches the values when they are due."""
        self._due = self._timer.should_trigger_for_step(run_context.session.global_step + 1)
        return self._args if self._due else self._args_between

    def quiet_steps(self, session: Session) -> int:
        """Those before one is due; see `quiet_steps_of`."""
        return 0 if self._every_step else self._timer.quiet_steps(session.global_step)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Writes what was fetched."""
        step = run_context.session.global_step
        if self._due:
            self._timer.update_last_triggered_step(step)
        if self._due or self._every_step:
            self._write(run_values.results, step)

    def end(self, session: Session) -> None:
        """Writes the last step unless that has been done."""
        step = session.global_step
        if step >= self._first_step and step != self._timer.last_triggered_step():
            values = session.run(self._args.fetches)
            if self._every_step:  # the others are there already
                values = {tag: values[tag] for tag in self._histograms}
            self._write(values, step)

    def _write(self, values: Mapping[str, Any], step: int) -> None:
        scalars = {tag: value for tag, value in values.items() if tag not in self._histograms}
        if scalars or not self._every_step:
            scalars |= {tag: read() for tag, read in self._scalars.items()}
            if self._summary_op is None and self._session.num_dropped_rows:
                scalars["rows/dropped"] = self._session.num_dropped_rows
        if scalars:
            self._writer.add_scalars(scalars, step)
        arrays = {tag: value for tag, value in values.items() if tag in self._histograms}
        if arrays:
            self._writer.add_histograms(arrays, step)
