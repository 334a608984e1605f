"""Hooks for people who watch: a progress bar, and traces of single steps."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeAlias

from centroids.estimator._arguments import check_exactly_one
from centroids.estimator.hooks._protocol import (
    Coordinator,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from centroids.estimator.hooks._timer import ANY_NUMBER, SecondOrStepTimer
from centroids.files import absolute, replace_file
from centroids.inputs.collections import watch_shards
from centroids.progress import REFRESH_SECONDS, Activity

if TYPE_CHECKING:
    from centroids.estimator._session import Session


Expected: TypeAlias = Callable[[], tuple[int, bool] | None]


class ProgressBarHook(SessionRunHook):
    """Shows how far a call has come: steps, a value such as the loss, the time left, the memory.

    On a terminal it is a bar, in a notebook one below the cell. Nothing is shown elsewhere, nor
    before the work has lasted a while; choosing initial values counts as work.

    Args:
        num_steps: How many steps the call will take at most, or None when that is unknown. Or a
            function that is asked again and again, which returns a number and whether that is an
            estimate, or None.
        description: The text before the bar.
        value: The name of a number to show, such as "loss", or None.
        show_after_secs: How long the work must have lasted.
        num_rows: How many rows the call will read, likewise: then rows are counted, not steps.
    """

    only_watches = True

    _REFRESH_SECONDS = REFRESH_SECONDS

    def __init__(
        self,
        num_steps: int | Expected | None = None,
        description: str = "training",
        value: str | None = "loss",
        show_after_secs: float | None = None,
        num_rows: int | Expected | None = None,
    ) -> None:
        self._description, self._value = description, value
        self._counts_rows = num_rows is not None
        self._expected = num_rows if self._counts_rows else num_steps
        self._show_after_secs = show_after_secs
        self._args = None if value is None else SessionRunArgs(value)
        self._activity: Activity | None = None

    def begin(self) -> None:
        """Starts the clock; initialisation counts as work."""
        self._next_time = time.monotonic()
        self._count = 0
        self._due, self._knows_total = False, not callable(self._expected)
        self._activity = Activity(
            self._description,
            None if callable(self._expected) else self._expected,
            "rows" if self._counts_rows else "steps",
            stays=True,
            after_seconds=self._show_after_secs,
        )
        self._activity.start()
        self._ask_total()

    def close(self) -> None:
        """Takes the display away; called when the call is over for whatever reason."""
        if self._activity is not None:
            self._ask_total()
            self._activity.stop()

    def after_create_session(self, session: Session, coord: Coordinator) -> None:
        """Expects the time that is left from here on."""
        assert self._activity is not None
        self._activity.count_from_here()
        coord.on_close(watch_shards(self._see_shards))

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        """Fetches the value when the display is due."""
        assert self._activity is not None
        self._due = self._activity.is_watched and time.monotonic() >= self._next_time
        return self._args if self._due else None

    def quiet_steps(self, session: Session) -> int:
        """Any number, as they take less time than it has between two displays."""
        return ANY_NUMBER

    def skip_steps(self, count: int) -> None:
        """Counts steps that it was not called around."""
        self._count += count

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Counts the step, and hands the value to the display when it is due."""
        assert self._activity is not None
        self._count += 1
        done = run_context.session.num_examples if self._counts_rows else self._count
        if not self._due:
            if not self._knows_total:
                self._ask_total()
            self._activity.update(done)
            return
        self._ask_total()
        values = {} if self._value is None else {self._value: float(run_values.results)}
        self._activity.update(done, values=values)
        self._next_time = time.monotonic() + self._REFRESH_SECONDS

    def _ask_total(self) -> None:
        """Takes in how much there is to do, where a function says so."""
        assert self._activity is not None
        if callable(self._expected) and (found := self._expected()) is not None:
            self._knows_total = True
            self._activity.update(total=found[0], is_estimate=found[1])

    def _see_shards(self, done: int, of: int) -> None:
        """Shows how far a long step that runs on workers has come."""
        assert self._activity is not None
        self._activity.update(values={"shards": f"{done} of {of}"})


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
