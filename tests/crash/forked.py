"""Trainings in processes that are forked from this one, which has imported everything already.

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


def run_forked(
    work: Callable[[], object],
    *,
    signal_after: tuple[float, int] | None = None,
    patience: float = 120.0,
) -> Outcome:
    """Runs a function in a child process, and ends that with a signal.

    Args:
        work: What the child does.
        signal_after: After how many seconds the child gets which signal.
        patience: After how many seconds it is killed for good.
    """
    reader, writer = os.pipe()
    sys.stdout.flush()
    started = time.perf_counter()
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # until the child can handle them
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reader)
            os.dup2(writer, 1)
            os.dup2(writer, 2)
            code = _exit_code(work)
        finally:
            os._exit(code)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    os.close(writer)
    output = bytearray()
    alarms = [(patience, signal.SIGKILL)]
    if signal_after is not None:
        alarms.insert(0, (signal_after[0], signal.Signals(signal_after[1])))
    for after, number in alarms:
        if _read(reader, output, until=started + after):
            break
        os.kill(child, number)
    else:
        _read(reader, output, until=None)
    os.close(reader)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return Outcome(code, output.decode(errors="replace"), time.perf_counter() - started)


def _read(reader: int, output: bytearray, until: float | None) -> bool:
    """Reads until an instant or the end, and says whether it was the end."""
    while True:
        left = None if until is None else until - time.perf_counter()
        if left is not None and left <= 0:
            return False
        if select.select([reader], [], [], left)[0]:
            data = os.read(reader, 1 << 16)
            if not data:
                return True
            output += data


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
