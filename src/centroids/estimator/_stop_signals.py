"""Ctrl-C and SIGTERM during a training run: the step ends, a checkpoint is saved, then they act."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any, TypeVar

from centroids import platform
from centroids.errors import SignalName
from centroids.inputs.errors import ReadingInterrupted

logger = logging.getLogger(__name__)

T = TypeVar("T")

# The last one decides what is raised where both have come: it asks the process to end.
_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# After an exception in the middle of something, cleaning up has this long before the next one.
_QUIET_SECONDS = 1.0

_MANY = 10_000  # signals that come while handlers are put back; more would be another fault

_active: list[StopSignals] = []


class TrainingInterruptedError(RuntimeError):
    """A signal ended training early, and the program's own handler for it returned.

    What was trained is saved, and the handler was called; another `train` continues.
    """


class StopSignals:
    """Holds SIGINT and SIGTERM back while a training run is in a step, and loses none.

    The first one ends training after the current step, or at once if it waits for input. The second
    one acts at once. What was held back acts when `run` ends, however it ends: KeyboardInterrupt
    for SIGINT, SystemExit(143) for SIGTERM, or the handler that was there before. If that one
    returns, and training was not at its end, TrainingInterruptedError is raised. Outside the main
    thread, and for signals that are ignored, nothing is changed.

    Attributes:
        received: The first signal that came, or None.
        in_training: Whether there is something to save; before that signals act at once.
        cut_short: Whether a signal ended training early.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self.in_training = False
        self.cut_short = False
        self._waiting = False
        self._holding = False
        self._pending: set[signal.Signals] = set()  # came, and have not acted yet
        self._quiet_until = 0.0
        self._before: dict[signal.Signals, Callable[[int, FrameType | None], Any] | int] = {}
        self._to_put_back: list[signal.Signals] = []

    def run(self, work: Callable[[StopSignals], None]) -> None:
        """Does some work while these hands hold the signals.

        Raises:
            TrainingInterruptedError: See above.
        """
        try:
            try:
                try:
                    self._take_over()
                    work(self)
                finally:
                    self._put_back()
            finally:
                self._put_back()  # an interrupt may have cut the first one short
        except ReadingInterrupted:
            pass  # before the first step
        except BaseException as error:
            self._act_after(error)
            raise
        self._act_after(None)

    @contextlib.contextmanager
    def entered(self, context: AbstractContextManager[T]) -> Iterator[T]:
        """Another context manager, which no signal interrupts while it is entered or left.

        When it is left, they are held back to the end of `run`.
        """
        self._holding = True
        with context as value:
            self._holding = False
            try:
                self._act_at_once()
                yield value
            finally:
                self._holding = True

    def while_waiting(self, read: Callable[[], T]) -> T:
        """What `read` returns; a signal that comes meanwhile is raised there.

        Raises:
            ReadingInterrupted: If a signal has come.
        """
        self._waiting = True
        try:
            if self.received is not None:
                self.cut_short = True
                raise ReadingInterrupted
            return read()
        except BaseException as error:
            # Other libraries may have put an exception of their own in the place of ours.
            if self.cut_short and not isinstance(error, ReadingInterrupted):
                if self.received is not None and isinstance(error, (KeyboardInterrupt, SystemExit)):
                    self._pending.add(self.received)  # came again meanwhile: it acts at the end
                raise ReadingInterrupted from error
            raise
        finally:
            self._waiting = False

    def _take_over(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        _active.append(self)
        for number in _SIGNALS:
            before = signal.getsignal(number)
            # None: a handler that was not set by Python, which could not be put back.
            if before is not None and before != signal.SIG_IGN:
                self._before[number] = before
                self._to_put_back.append(number)
                signal.signal(number, self._handle)

    def _put_back(self) -> None:
        """Puts the handlers back; may be called again.

        The first that is back may raise before the second is: then it raises at the end.
        """
        raised: BaseException | None = None
        for _ in range(_MANY):
            if not self._to_put_back:
                break
            try:
                number = self._to_put_back[-1]
                signal.signal(number, self._before[number])
                self._to_put_back.remove(number)
            except BaseException as error:
                # The one that asks the process to end goes before the other.
                raised = raised if isinstance(raised, SystemExit) else error
        if self in _active:
            _active.remove(self)
        if raised is not None:
            raise raised

    def _handle(self, number: int, frame: FrameType | None) -> None:
        first = self.received is None
        received = signal.Signals(number)
        self.received = self.received or received
        self._pending.add(received)
        if self._holding or time.monotonic() < self._quiet_until:
            return
        if not first or not self.in_training:
            self._act_at_once()
        elif self._waiting:
            self._waiting, self.cut_short = False, True
            raise ReadingInterrupted

    def _act_at_once(self) -> None:
        try:
            self._act(self._take_pending())
        except BaseException:
            self._quiet_until = time.monotonic() + _QUIET_SECONDS
            raise

    def _act_after(self, error: BaseException | None) -> None:
        """Lets what has been held back act, once the handlers are back in place.

        Args:
            error: What the training raised.
        """
        pending = self._take_pending()
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            # It is that of this signal, or of one that came after it and asks for the same.
            pending = [number for number in pending if not self._is_answered(number, error)]
        elif error is not None and pending:
            names = SignalName(" and ".join(number.name for number in pending))
            logger.error("Training failed while %s waited for its step", names, exc_info=error)
        elif self.received is not None:
            logger.warning("Training stopped by %s.", SignalName(self.received.name))
        self._act(pending)
        nested = isinstance(getattr(self._of_received(), "__self__", None), StopSignals)
        if error is None and self.cut_short and self.received is not None and not nested:
            raise TrainingInterruptedError(
                f"training was interrupted by {self.received.name}; call train again to continue "
                "from its last checkpoint"
            )

    def _of_received(self) -> Any:
        return None if self.received is None else self._before.get(self.received)

    def _is_answered(self, number: signal.Signals, error: BaseException) -> bool:
        own = self._before[number] in (signal.SIG_DFL, signal.default_int_handler)
        return own and (number == signal.SIGINT or isinstance(error, SystemExit))

    def _take_pending(self) -> list[signal.Signals]:
        pending = [number for number in _SIGNALS if number in self._pending]
        self._pending.clear()
        return pending

    def _act(self, numbers: list[signal.Signals]) -> None:
        """Calls the handlers in turn, even if one of them raises."""
        if not numbers:
            return
        number, *others = numbers
        try:
            handler = self._before[number]
            if callable(handler):
                handler(number, None)
            elif number == signal.SIGINT:
                raise KeyboardInterrupt
            else:
                raise SystemExit(128 + number)
        finally:
            self._act(others)


def _put_back_in_child() -> None:
    """A worker that a training run forks can be interrupted and terminated like any other."""
    while _active:
        _active[-1]._pending.clear()  # they came to the parent
        _active[-1]._put_back()


platform.after_fork_in_child(_put_back_in_child)
