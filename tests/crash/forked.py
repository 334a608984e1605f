"""Processes that are forked from this one, which has imported everything that they need.

A process costs some milliseconds in place of half a second, so hundreds of them can be killed in a
test. Whoever uses this must have no threads: run it in a process of its own.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

_PATIENCE_SECONDS = 120.0
_SIGNALS = {signal.SIGINT, signal.SIGTERM}


@dataclass(frozen=True)
class Outcome:
    """How a process ended.

    Attributes:
        code: Its exit code; the negative number of the signal that killed it.
        output: What it wrote to standard output and standard error.
        seconds: How long it lived.
    """

    code: int
    output: str
    seconds: float


class Child:
    """A process that does some work and ends.

    Args:
        work: What it does; an exception becomes what Python would exit with.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        self._reader, writer = os.pipe()
        self._output = bytearray()
        self._finished = False
        self._started = time.perf_counter()
        sys.stdout.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # until the child can handle them
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.close(self._reader)
                os.dup2(writer, 1)
                os.dup2(writer, 2)
                code = _exit_code(work)
            finally:
                os._exit(code)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        os.close(writer)

    def has_ended(self, *, after: float) -> bool:
        """Waits until so many seconds after the start, and says whether it ended before."""
        while True:
            left = self._started + after - time.perf_counter()
            if not select.select([self._reader], [], [], max(left, 0))[0]:
                return False
            data = os.read(self._reader, 1 << 16)
            if not data:
                return True
            self._output += data

    def send(self, number: int) -> None:
        """Sends a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends it if it has not been waited for."""
        if not self._finished:
            self.send(signal.SIGKILL)
            self.finish()

    def finish(self) -> Outcome:
        """Waits for the end; it is killed if that does not come."""
        if not self.has_ended(after=time.perf_counter() - self._started + _PATIENCE_SECONDS):
            self.send(signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self._finished = True
        os.close(self._reader)
        seconds = time.perf_counter() - self._started
        return Outcome(code, self._output.decode(errors="replace"), seconds)


def run_forked(
    work: Callable[[], object], *, signal_after: tuple[float, int] | None = None
) -> Outcome:
    """Does some work in a process, which gets a signal so many seconds after its start."""
    child = Child(work)
    if signal_after is not None and not child.has_ended(after=signal_after[0]):
        child.send(signal_after[1])
    return child.finish()


def _exit_code(work: Callable[[], object]) -> int:
    """Does the work; what it raises becomes what Python would exit with."""
    code = 1
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        work()
        code = 0
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    except KeyboardInterrupt:
        # What is left to do is to die of the signal, as Python itself does.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return code
