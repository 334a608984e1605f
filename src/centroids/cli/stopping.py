"""Ctrl-C, SIGTERM and a terminal that is closed end a command: it removes what is unfinished."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import threading
import time
from collections.abc import Iterator
from types import FrameType

from centroids.cli.log import log

# While a command cleans up; whoever stops services often sends SIGTERM more than once.
_QUIET_SECONDS = 1.0
# A terminal that is closed sends it; Windows has none.
_HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)


class _Terminations:
    """SIGTERM raises KeyboardInterrupt: whatever ends by Ctrl-C ends by it in the same way.

    SIGHUP becomes SIGTERM, which a training run holds back until its step is saved.

    Attributes:
        last: When the last SIGTERM came, by `time.monotonic`; None: none has come.
        hung_up: Whether SIGHUP has come.
    """

    last: float | None = None
    hung_up = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Handles SIGTERM."""
        del number, frame
        before, self.last = self.last, time.monotonic()
        if before is None or self.last - before >= _QUIET_SECONDS:
            raise KeyboardInterrupt

    def hang_up(self, number: int, frame: FrameType | None) -> None:
        """Handles SIGHUP: the first one, as both the system and the shell send it."""
        del number, frame
        if not self.hung_up:
            self.hung_up = True
            _let_go_of_closed_terminals()
            signal.raise_signal(signal.SIGTERM)

    @property
    def number(self) -> signal.Signals:
        """The signal that has come."""
        if self.hung_up and _HANGUP is not None:
            return _HANGUP
        return signal.SIGINT if self.last is None else signal.SIGTERM


_terminations = _Terminations()


def exit_code_of_stop() -> int:
    """The exit code after a KeyboardInterrupt that shells know: 130, 143, or 129 by SIGHUP."""
    return 128 + _terminations.number


def say_stopped() -> None:
    """Says in one line that a KeyboardInterrupt has stopped a command."""
    number = _terminations.number
    log.write_note("Stopped." if number == signal.SIGINT else f"Stopped by {number.name}.")


def name_of_signal(name: str) -> str:
    """The signal that has come, for the name of one that it has become; see `_Terminations`."""
    if _terminations.hung_up and _HANGUP is not None:
        return name.replace(signal.SIGTERM.name, _HANGUP.name)
    return name


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Lets SIGTERM and SIGHUP raise KeyboardInterrupt, in a process that they would kill.

    Where they are ignored, as SIGHUP is below nohup, they stay so.
    """
    _terminations.last, _terminations.hung_up = None, False
    handlers = {signal.SIGTERM: _terminations.handle}
    if _HANGUP is not None:
        handlers[_HANGUP] = _terminations.hang_up
    ours = {}
    if threading.current_thread() is threading.main_thread():
        # What somebody else handles is theirs; a hang-up needs our SIGTERM.
        for number, handler in handlers.items():
            if signal.getsignal(number) != signal.SIG_DFL:
                break
            ours[number] = handler
    for number, handler in ours.items():
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _let_go_of_closed_terminals() -> None:
    """Sends output to a terminal that no longer exists to nowhere: writing there would fail."""
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            is_device = stat.S_ISCHR(os.fstat(descriptor).st_mode)
            if is_device and not os.isatty(descriptor):  # one that is closed no longer answers
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, descriptor)
                os.close(nowhere)
