"""What a command says on standard error while it works: for people, or as lines of JSON."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TextIO

from centroids import progress
from centroids.cli.answer import before_answers, to_json
from centroids.errors import Argument, IdAdvice, Message, SignalName
from centroids.progress import Moment, Viewer
from centroids.viewers import LineViewer, find_viewer


class Log(logging.Handler):
    """Shows what the library logs, once and in the words of options.

    A file is looked at several times in a command: equal warnings are shown once. They wait until
    the work has begun: what a command refuses to do is told in one line.

    Attributes:
        in_json: Whether lines are JSON.
        advises_ids: Whether the command takes a column of ids, so that it may be told.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._shown: set[str] = set()
        self._waiting: list[tuple[str, str]] | None = None
        self.in_json = self.advises_ids = False

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record."""
        given = record.args if isinstance(record.args, tuple) else ()
        text = record.msg % tuple(map(_say_part, given)) if given else record.getMessage()
        if record.levelno >= logging.WARNING:
            # A model folder may be named from here or from the root: that is one warning.
            key = text.replace(_here(), "")
            if key in self._shown:
                return
            self._shown.add(key)
        self._write_record(record.levelname.lower(), text)

    def let_out(self) -> None:
        """Shows the warnings that wait, and the next ones at once."""
        waiting, self._waiting = self._waiting or [], None
        for level, text in waiting:
            self._write_record(level, text)

    def _write_record(self, level: str, text: str) -> None:
        is_warning = level != "info" and level != "debug"
        if is_warning and self._waiting is not None:
            self._waiting.append((level, text))
            return
        with progress.paused():
            if self.in_json:
                write_json({"level": level, "message": text})
            elif is_warning:
                say_text(f"centroids: {text}")
            else:
                say_text(f"centroids: {_now_for_people()} {text}")

    def write_error(self, message: str, exit_code: int) -> None:
        """Writes what ends a command."""
        if self.in_json:
            write_json({"level": "error", "message": message, "exit_code": exit_code})
        else:
            say_text(f"centroids: {message}")

    def write_note(self, message: str) -> None:
        """Writes a line about how a command goes on or ends."""
        if self.in_json:
            write_json({"level": "info", "message": message})
        else:
            say_text(message)

    @contextlib.contextmanager
    def attached(self) -> Iterator[None]:
        """For a command line: shows what the library warns of, unless that ends in an error."""
        logger = logging.getLogger("centroids")
        self._shown.clear()
        self._waiting = []
        self.in_json = self.advises_ids = False
        logger.addHandler(self)
        try:
            yield
        except Exception:
            self._waiting = None
            raise
        finally:
            self.let_out()
            logger.removeHandler(self)

    def write_moment(self, moment: Moment) -> None:
        """Writes how far a piece of work has come."""
        if self.in_json:
            write_json({"level": "info", "event": "progress", **moment.to_dict()})
        else:
            say_text(f"centroids: {_now_for_people()} {moment.what}: {moment.describe()}")

    def _write_end(self, moment: Moment) -> None:
        """Writes what a piece of work has come to."""
        told = f"{moment.what}: {moment.seconds:.2f} s"
        if moment.done and moment.unit in ("rows", "steps", "bytes"):
            rate = moment.done / max(moment.seconds, 1e-9)
            told += f", {moment.done:,} {moment.unit}, {rate:,.0f} per second"
        self._write_record("info", told)

    @contextlib.contextmanager
    def applied(
        self, *, in_json: bool, verbose: bool, quiet: bool, every_seconds: float
    ) -> Iterator[None]:
        """For a command: what is shown of its log and of its progress.

        Args:
            in_json: Whether lines are JSON, also those that a command prints on standard error.
            verbose: Whether to show what the library logs at level INFO.
            quiet: Whether to show no progress.
            every_seconds: How often to write a line of progress, where no bar can be drawn.
        """
        logger, before = logging.getLogger("centroids"), logging.getLogger("centroids").level
        self.in_json = in_json
        if verbose:
            self.setLevel(logging.INFO)
            logger.setLevel(logging.INFO)
            self.let_out()
            progress.end_watchers.append(self._write_end)
        viewer: Viewer | None = None if in_json else find_viewer()
        if viewer is None:
            viewer = LineViewer(self.write_moment, every_seconds)
        try:
            shown = None if quiet else _Releasing(viewer)
            with progress.viewed_by(shown), _lines_in_json(in_json):
                yield
        finally:
            self.setLevel(logging.WARNING)
            logger.setLevel(before)
            if verbose:
                progress.end_watchers.remove(self._write_end)


class _Releasing:
    """A viewer that lets warnings out before it shows anything.

    Args:
        viewer: Who shows it.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self.after_seconds, self.every_seconds = viewer.after_seconds, viewer.every_seconds

    def show(self, moment: Moment) -> None:
        """Shows a moment of an activity."""
        log.let_out()
        self._viewer.show(moment)

    def hide(self, stays: bool) -> None:
        """Ends the showing of an activity."""
        self._viewer.hide(stays)


log = Log()
before_answers.append(log.let_out)


def write_json(values: dict[str, Any]) -> None:
    """Writes a line of JSON, with the time, to standard error."""
    stream = sys.stderr.below if isinstance(sys.stderr, _JsonLines) else sys.stderr
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    _write_line(stream, to_json({"time": now, **values}))


def say_text(text: str) -> None:
    """Writes a line for people to standard error."""
    _write_line(sys.stderr, text)


def _write_line(stream: TextIO, line: str) -> None:
    # Work does not end because a terminal was closed, or the disk of a log is full.
    with contextlib.suppress(OSError):
        stream.write(f"{line}\n")
        stream.flush()


@contextlib.contextmanager
def silencing_others() -> Iterator[None]:
    """Hides what other libraries log: our error says what of it matters."""
    root, nowhere = logging.getLogger(), logging.NullHandler()
    root.addHandler(nowhere)
    try:
        yield
    finally:
        root.removeHandler(nowhere)


@contextlib.contextmanager
def _lines_in_json(wanted: bool) -> Iterator[None]:
    """Makes an object of each line that a command prints on standard error."""
    if not wanted or sys.stderr is None:
        yield
        return
    lines = _JsonLines(sys.stderr)
    with contextlib.redirect_stderr(lines):
        try:
            yield
        finally:
            lines.end()


class _JsonLines(io.TextIOBase):
    """A stream whose lines become objects of JSON in the one below."""

    def __init__(self, below: TextIO) -> None:
        self.below = below
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in filter(str.strip, lines):
            write_json({"level": "info", "message": line.removeprefix("centroids: ")})
        return len(text)

    def end(self) -> None:
        """Writes a last line that has no end."""
        if self._rest.strip():
            self.write("\n")


def _here() -> str:
    """What paths of this folder begin with; a character that none has, if it is gone."""
    try:
        return os.path.join(os.getcwd(), "")
    except OSError:
        return "\0"


def _now_for_people() -> str:
    return time.strftime("%H:%M:%S")


def _say_part(part: object) -> object:
    """An argument of a log record, in the words of options."""
    from centroids.cli.errors import option
    from centroids.cli.stopping import name_of_signal

    if isinstance(part, SignalName):
        return name_of_signal(part)
    if isinstance(part, IdAdvice) and not log.advises_ids:
        return ""
    return Message(part).say(option) if isinstance(part, (Argument, Message)) else part
