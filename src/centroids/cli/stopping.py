"""Ctrl-C and SIGTERM: a command removes what it has not finished, and ends as shells expect."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from centroids.cli.log import log

# While a command cleans up; whoever stops services often sends SIGTERM more than once.
_QUIET_SECONDS = 1.0


class _Terminations:
    """SIGTERM raises KeyboardInterrupt: whatever ends by Ctrl-C ends by it in the same way.

    Attributes:
        last: When the last one came, by `time.monotonic`; None: none has come.
    """

    last: float | None = None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Handles the signal."""
        del number, frame
        before, self.last = self.last, time.monotonic()
        if before is None or self.last - before >= _QUIET_SECONDS:
            raise KeyboardInterrupt


_terminations = _Terminations()


def exit_code_of_stop() -> int:
    """The exit code after a KeyboardInterrupt that shells know: 130 by Ctrl-C, 143 by SIGTERM."""
    return 128 + (signal.SIGINT if _terminations.last is None else signal.SIGTERM)


def say_stopped() -> None:
    """Says in one line that a KeyboardInterrupt has stopped a command."""
    log.write_note("Stopped." if _terminations.last is None else "Stopped by SIGTERM.")


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Lets SIGTERM raise KeyboardInterrupt, in a process that it would otherwise kill."""
    in_main = threading.current_thread() is threading.main_thread()
    _terminations.last = None
    if not in_main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminations.handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
