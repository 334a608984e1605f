"""Signs of life for what takes longer than two seconds, on a terminal alone."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from numpy.typing import NDArray

from centroids.clustering import pass_watchers, restart_watchers

_SHOW_AFTER_SECONDS = 2.0


@contextlib.contextmanager
def status(text: str) -> Iterator[Status]:
    """Shows what is being done, as soon as it has lasted two seconds."""
    shown = Status(text)
    shown.start()
    try:
        yield shown
    finally:
        shown.stop()


class Status:
    """A line that says what is being done; see `status`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._line: Any = None
        self._lock = threading.Lock()
        self._stopped = False
        self._timer: threading.Timer | None = None

    def start(self) -> None:
        """Begins to wait; more calls do nothing."""
        if self._timer is None and sys.stderr is not None and sys.stderr.isatty():
            self._timer = threading.Timer(_SHOW_AFTER_SECONDS, self._show)
            self._timer.daemon = True
            self._timer.start()

    def update(self, text: str) -> None:
        """Says something else."""
        with self._lock:
            self._text = text
            if self._line is not None:
                self._line.update(text)

    def stop(self) -> None:
        """Takes the line away; more calls do nothing."""
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._stopped = True
            if self._line is not None:
                self._line.stop()
                self._line = None

    def _show(self) -> None:
        from rich.console import Console

        with self._lock:
            if not self._stopped:
                self._line = Console(stderr=True).status(self._text)
                self._line.start()


@contextlib.contextmanager
def telling_restarts(shown: Status) -> Iterator[None]:
    """Lets a status say what is done before the first step.

    That is which choice of several of initial centers is being made, and how many rows have been
    read for means and deviations.
    """

    def tell(number: int, of: int) -> None:
        shown.update(f"choosing initial centers: {number} of {of}")

    def tell_rows(rows: int) -> None:
        shown.start()
        shown.update(f"reading means and deviations: {rows:,} rows")

    restart_watchers.append(tell)
    pass_watchers.append(tell_rows)
    try:
        yield
    finally:
        pass_watchers.remove(tell_rows)
        restart_watchers.remove(tell)


def count_rows(batches: Iterable[NDArray[Any]], text: str) -> Iterator[NDArray[Any]]:
    """Hands on batches and says how many rows there have been."""
    rows = 0
    with status(text) as shown:
        for batch in batches:
            yield batch
            rows += len(batch)
            shown.update(f"{text}: {rows:,} rows")
