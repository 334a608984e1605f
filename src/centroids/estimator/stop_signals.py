"""Ctrl-C and SIGTERM during a training: the step ends, a checkpoint is saved, then they act."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

from centroids.inputs.errors import ReadingInterrupted

logger = logging.getLogger(__name__)

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_active: list[StopSignals] = []


class StopSignals:
    """Holds SIGINT and SIGTERM back while a training is in a step.

    The first one ends the training after its step; if it waits for input, at once. The second one
    acts at once. When the context ends, what was held back acts: KeyboardInterrupt for SIGINT,
    SystemExit(143) for SIGTERM, or the handler that was there before. Outside of the main thread,
    and for signals that are ignored, nothing is changed.

    Attributes:
        received: The signal that was held back, or None.
        in_training: Whether there is something to save; before that signals act at once.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self.in_training = False
        self._waiting = False
        self._handlers: dict[signal.Signals, Callable[[int, FrameType | None], Any] | int] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                before = signal.getsignal(number)
                # None: a handler that was not set by Python, which could not be put back.
                if before is not None and before != signal.SIG_IGN:
                    self._handlers[number] = before
                    signal.signal(number, self._handle)
            _active.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self in _active:
            _active.remove(self)
            self._put_back()
        if kind is None and self.received is not None:
            logger.warning("Training was ended by %s.", self.received.name)
            self._act(self.received)

    def _put_back(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def while_waiting(self, batches: Iterator[T]) -> Iterator[T]:
        """The batches; a signal that comes while one is waited for is raised there.

        Raises:
            ReadingInterrupted: If a signal has come.
        """
        while True:
            self._waiting = True
            try:
                if self.received is not None:
                    raise ReadingInterrupted
                batch = next(batches)
            except StopIteration:
                return
            finally:
                self._waiting = False
            yield batch

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = self.received is not None
        if again or not self.in_training:
            self._act(signal.Signals(number))
        self.received = self.received or signal.Signals(number)
        if self._waiting and not again:
            self._waiting = False
            raise ReadingInterrupted

    def _act(self, number: signal.Signals) -> None:
        handler = self._handlers[number]
        if callable(handler):
            handler(number, None)
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise SystemExit(128 + number)


def _put_back_in_child() -> None:
    """A worker that a training forks can be interrupted and terminated like any other."""
    while _active:
        _active.pop()._put_back()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_put_back_in_child)
