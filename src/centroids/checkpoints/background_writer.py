"""Writing in a background thread, so that a training run does not wait for the disk."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue

logger = logging.getLogger(__name__)

# How often to look whether a thread is still there that does not answer.
_LOOK_SECONDS = 0.5
_UNKNOWN = -1  # the step of a thread that is gone

_Waiting = deque[tuple[int, Callable[[], object]]]


class BackgroundWriter:
    """Does the writes of checkpoints in a thread, one after another, in the order of their steps.

    At most one write waits for the one under way: a newer one takes its place, and the older is
    never done. So a slow disk delays no step, and there is memory for two.

    There is a thread only while there is something to write, and it ends by itself; it has no
    reference to this object, and to what a write needs only until it is done. It is a daemon: a
    process that ends while another thread trains in it does not wait for the disk.

    One thread uses this object. An exception such as KeyboardInterrupt may hit any of its lines, so
    nothing is waited for with what Python itself has to let go of (see ReadAhead), and `close` may
    be called again.

    >>> writer = BackgroundWriter()
    >>> writer.put(1, lambda: None)
    >>> list(writer.written(wait=True)), list(writer.written())
    ([1], [])
    """

    def __init__(self) -> None:
        self._waiting: _Waiting = deque(maxlen=1)
        self._answers: SimpleQueue[_Written | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._process = os.getpid()

    def put(self, step: int, write: Callable[[], object]) -> None:
        """Has something written, without waiting.

        Args:
            step: That of the checkpoint.
            write: Writes it; called in the thread.
        """
        self._waiting.append((step, write))
        if self._thread is None:
            self._start()

    def withdraw(self) -> Callable[[], object] | None:
        """Takes back the write that waits, which is then never done."""
        try:
            return self._waiting.pop()[1]
        except IndexError:
            return None

    def written(self, *, wait: bool = False) -> Iterator[int]:
        """Yields the steps whose checkpoints have been written since this was last asked.

        Args:
            wait: Whether to wait until all are.

        Raises:
            BaseException: What a write raised, the same object. What waits is not written then.
        """
        while (answer := self._next_answer(wait)) is not None:
            error = answer.error
            if error is None:
                yield answer.step
                continue
            self._waiting.clear()
            del answer
            try:
                raise error
            finally:
                del error  # its traceback holds this frame: a cycle would keep arrays alive

    def close(self) -> None:
        """Ends the thread; continues after an interrupt within it.

        It waits for the write that is under way. The one that waits is done too, unless it is
        called on behalf of an interrupt: KeyboardInterrupt and SystemExit must not wait twice. If
        nobody else can report any more that a write failed, the log does. In a forked child nothing
        is done: the thread is the parent's.
        """
        if not isinstance(sys.exception(), Exception):
            self._waiting.clear()
        if threading.current_thread() is self._thread:
            return  # it has let go of what last held the model folder
        while (answer := self._next_answer(wait=True)) is not None:
            if answer.error is not None and answer.step != _UNKNOWN:
                self._waiting.clear()
                logger.error(
                    "The checkpoint of step %d was not written", answer.step, exc_info=answer.error
                )

    def _start(self) -> None:
        self._thread = thread = threading.Thread(
            target=_run, args=(self._waiting, self._answers), name="centroids-writer", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the system has no room for another thread: then without one
            self._thread = None
            _write_all(self._waiting, self._answers)
        except BaseException:
            # It never runs, or finds nothing to do; see _next_answer.
            self._waiting.clear()
            raise

    def _next_answer(self, wait: bool) -> _Written | None:
        """What the thread has written next, or None: if there is nothing more, or not yet."""
        if os.getpid() != self._process:
            return None
        while True:
            thread = self._thread
            if thread is not None and thread.ident is None:  # an interrupt came while it started
                self._thread = thread = None
            try:
                if thread is None or not wait:
                    answer = self._answers.get_nowait()
                else:
                    answer = self._wait_for(thread)
            except Empty:
                if thread is not None or not self._waiting:
                    return None
                self._start()  # the last one ended just when there was more to do
                continue
            if answer is not None:
                return answer
            if thread is not None:
                thread.join()
            self._thread = None

    def _wait_for(self, thread: threading.Thread) -> _Written | None:
        while True:
            alive = thread.is_alive()
            try:
                return self._answers.get(timeout=_LOOK_SECONDS)
            except Empty:
                if not alive and not thread.is_alive():
                    # It had no memory even to say so; or it did, and an interrupt came just then.
                    self._thread = None
                    error = MemoryError("the thread that writes checkpoints has died")
                    return _Written(_UNKNOWN, error)


@dataclass(frozen=True)
class _Written:
    """That the checkpoint of a step is written, or what was raised by it."""

    step: int
    error: BaseException | None = None


def _run(waiting: _Waiting, answers: SimpleQueue[_Written | None]) -> None:
    """The life of a thread; the last answer is None."""
    try:
        _write_all(waiting, answers)
    finally:
        answers.put(None)


def _write_all(waiting: _Waiting, answers: SimpleQueue[_Written | None]) -> None:
    """Writes what waits until there is nothing more, or until one fails."""
    while True:
        try:
            step, write = waiting.pop()
        except IndexError:
            return
        try:
            write()
        except BaseException as error:
            waiting.clear()
            error.add_note(f"raised while the checkpoint of step {step} was written in background")
            answers.put(_Written(step, error))
            return
        finally:
            del write  # with it goes a reference to the lock of the folder
        answers.put(_Written(step))
