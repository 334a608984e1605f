"""Hooks for people who watch: a progress bar, and traces of single steps."""

from __future__ import annotations

import json
import os
import sys
import time
from types import FrameType
from typing import TYPE_CHECKING, Any

from centroids.estimator._arguments import check_exactly_one
from centroids.estimator.hooks._protocol import (
    Coordinator,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from centroids.estimator.hooks._timer import SecondOrStepTimer
from centroids.files import absolute, replace_file
from centroids.inputs.collections import watch_shards

if TYPE_CHECKING:
    from centroids.estimator._session import Session


class ProgressBarHook(SessionRunHook):
    """Shows steps, speed and a value such as the loss on the terminal.

    Nothing is shown when standard error is not a terminal, nor before the work has lasted a while.

    Args:
        num_steps: How many steps the call will take, or None when that is unknown.
        description: The text before the bar.
        value: The name of a number to show, such as "loss", or None.
        show_after_secs: How long the work must have lasted.
    """

    only_watches = True

    _REFRESH_SECONDS = 0.1

    def __init__(
        self,
        num_steps: int | None = None,
        description: str = "training",
        value: str | None = "loss",
        show_after_secs: float = 2.0,
    ) -> None:
        self._num_steps = num_steps
        self._description = description
        self._value = value
        self._show_after_secs = show_after_secs
        self._args = None if value is None else SessionRunArgs(value)

    def begin(self) -> None:
        """Starts the clock; initialisation counts as work."""
        self._shown = sys.stderr is not None and sys.stderr.isatty()
        self._next_time = time.monotonic() + self._show_after_secs
        self._count = 0
        self._due = False
        self._progress: Any = None

    def after_create_session(self, session: Session, coord: Coordinator) -> None:
        """Makes sure that the terminal is restored at the end."""
        coord.on_close(self._close)
        coord.on_close(watch_shards(self._see_shards))

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        """Fetches the value when the display is due."""
        self._due = self._shown and time.monotonic() >= self._next_time
        return self._args if self._due else None

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Counts the step and refreshes the display when it is due."""
        self._count += 1
        if not self._due:
            return
        if self._progress is None:
            self._open()
        text = "" if self._value is None else f"{self._value} {float(run_values.results):.6g}"
        self._progress.update(self._task, completed=self._count, value=text)
        self._progress.refresh()
        self._next_time = time.monotonic() + self._REFRESH_SECONDS

    def _see_shards(self, done: int, of: int) -> None:
        """Shows how far a long step that runs on workers has come."""
        if not self._shown or time.monotonic() < self._next_time:
            return
        if self._progress is None:
            self._open()
        text = f"{done} of {of} shards"
        self._progress.update(self._task, completed=self._count, value=text)
        self._progress.refresh()
        self._next_time = time.monotonic() + self._REFRESH_SECONDS

    def _open(self) -> None:
        # Imported here: most runs are over before anything is shown.
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[value]}"),
            console=Console(stderr=True),
            auto_refresh=False,
        )
        self._task = self._progress.add_task(self._description, total=self._num_steps, value="")
        self._progress.start()

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.update(self._task, completed=self._count)
            self._progress.stop()
            self._progress = None


class ProfilerHook(SessionRunHook):
    """Traces the Python calls of single steps, as files for chrome://tracing or Perfetto.

    Each traced step gives `timeline-<step>.json`, whose events are the calls of Python and native
    functions between this hook's before_run and after_run. Tracing slows these steps down. A step
    is skipped while another profiler is at work.

    Args:
        save_steps: Trace every this many steps, the first of the call included.
        save_secs: Trace every this many seconds. Exactly one of the two must be given.
        output_dir: The folder of the files; created when needed.
        show_dataflow: Has no effect, because there are no tensors between the calls. Kept for the
            r1.4 signature.
        show_memory: See `show_dataflow`.

    Raises:
        ValueError: If both or none of the intervals are given.
    """

    only_watches = True

    def __init__(
        self,
        save_steps: int | None = None,
        save_secs: float | None = None,
        output_dir: str = "",
        show_dataflow: bool = True,
        show_memory: bool = False,
    ) -> None:
        del show_dataflow, show_memory
        check_exactly_one(save_steps=save_steps, save_secs=save_secs)
        self._timer = SecondOrStepTimer(save_secs, save_steps)
        self._output_dir = absolute(output_dir or ".")

    def begin(self) -> None:
        """Starts over."""
        self._timer.reset()
        self._count = 0
        self._events: list[tuple[str, str, int]] = []
        self._tracing = False

    def after_create_session(self, session: Session, coord: Coordinator) -> None:
        """Makes sure that tracing ends with the run."""
        coord.on_close(self._stop)

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        """Starts tracing if it is due."""
        if self._timer.should_trigger_for_step(self._count) and sys.getprofile() is None:
            self._timer.update_last_triggered_step(self._count)
            self._events.clear()
            self._tracing = True
            sys.setprofile(self._record)
        return None

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Stops tracing, and writes the file."""
        self._count += 1
        if self._tracing:
            self._stop()
            run_context.session.check_model_dir()  # that may be where it goes
            self._write(run_context.session.global_step)

    def _record(self, frame: FrameType, event: str, argument: Any) -> None:
        if event.startswith("c_"):
            name = getattr(argument, "__qualname__", repr(argument))
            name = f"{getattr(argument, '__module__', None) or 'builtins'}.{name}"
        else:
            code = frame.f_code
            name = f"{frame.f_globals.get('__name__', '?')}.{code.co_qualname}"
        self._events.append((name, event, time.perf_counter_ns()))

    def _stop(self) -> None:
        if self._tracing:
            sys.setprofile(None)
            self._tracing = False

    def _write(self, step: int) -> None:
        os.makedirs(self._output_dir, exist_ok=True)
        process = os.getpid()
        events: list[dict[str, Any]] = []
        depth = 0
        for name, event, nanoseconds in self._events:
            opens = event in ("call", "c_call")
            depth += 1 if opens else -1
            # Calls that were open when tracing began only end here: they have no event to match.
            if depth < 0:
                depth = 0
                continue
            phase = "B" if opens else "E"
            place = {"ph": phase, "ts": nanoseconds / 1000, "pid": process, "tid": 0}
            events.append({"name": name, **place})
        text = json.dumps({"traceEvents": events, "displayTimeUnit": "ms"})
        path = os.path.join(self._output_dir, f"timeline-{step}.json")
        replace_file(path, text.encode())
