"""Who looks at the progress of work: a terminal, a notebook, or a log."""

from __future__ import annotations

import contextlib
import html
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from centroids.packages import if_imported
from centroids.progress import REFRESH_SECONDS, SHOW_AFTER_SECONDS, Moment, Viewer

_BAR_WIDTH = 24


def find_viewer() -> Viewer | None:
    """Who looks at the standard error of this process: a notebook, a terminal, or nobody."""
    get_ipython = if_imported("IPython", "get_ipython")
    if get_ipython is not None and hasattr(get_ipython(), "kernel"):
        return NotebookViewer()
    return TerminalViewer() if can_draw() else None


def can_draw() -> bool:
    """Whether standard error is a terminal that can draw over what it shows."""
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    return is_terminal and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


class TerminalViewer:
    """A line with a bar on standard error."""

    after_seconds = SHOW_AFTER_SECONDS
    every_seconds = REFRESH_SECONDS

    def __init__(self) -> None:
        self._live: Any = None

    def show(self, moment: Moment) -> None:
        """Draws the line; work goes on if the terminal has been closed."""
        with contextlib.suppress(OSError):
            if self._live is None:
                self._open()
            self._live.update(self._draw(moment), refresh=True)

    def hide(self, stays: bool) -> None:
        """Ends the line."""
        if self._live is not None:
            live, self._live = self._live, None
            live.transient = not stays
            with contextlib.suppress(OSError):
                live.stop()

    def _open(self) -> None:
        # Imported here: most work is over before anything is shown.
        from rich.console import Console
        from rich.live import Live

        self._console = Console(stderr=True)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            # What is printed meanwhile appears above the line; into a file it goes as it is.
            redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
        )
        self._live.start()

    def _draw(self, moment: Moment) -> Any:
        from rich.text import Text

        line = Text(f"{moment.what} ", no_wrap=True, overflow="ellipsis")
        numbers = moment.describe(with_peak=False)
        # Where there is little room, numbers say more than the bar.
        room = min(_BAR_WIDTH, self._console.width - len(line) - len(numbers) - 1)
        if moment.total and room > 0:
            mark = "-" if self._console.options.ascii_only else "\N{BOX DRAWINGS HEAVY HORIZONTAL}"
            full = min(room * moment.done // moment.total, room)
            line.append(mark * full, "bar.complete")
            line.append(mark * (room - full), "bar.back")
            line.append(" ")
        return line.append(numbers)


class NotebookViewer:
    """A bar below the cell of a notebook, without a widget library."""

    after_seconds = SHOW_AFTER_SECONDS
    every_seconds = 0.5

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, moment: Moment) -> None:
        """Draws the bar."""
        from IPython.display import display

        page = _Page(_as_html(moment))
        if self._handle is None:
            self._handle = display(page, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(page)

    def hide(self, stays: bool) -> None:
        """Leaves what was shown, or takes it away."""
        if self._handle is not None and not stays:
            self._handle.update(_Page(""))
        self._handle = None


class _Page:
    """What a notebook shows as HTML."""

    def __init__(self, text: str) -> None:
        self._text = text

    def _repr_html_(self) -> str:
        return self._text


def _as_html(moment: Moment) -> str:
    """A bar that screen readers find, and the same text as on a terminal.

    It is no live region: one that changes twice a second would be read out without an end.

    >>> _as_html(Moment("a<b", 1, 2, "steps", {}, 0.0, None))[:69]
    '<div>a&lt;b <progress aria-label="a&lt;b" value="1" max="2"></progres'
    """
    what = html.escape(moment.what)
    place = "" if moment.total is None else f' value="{moment.done}" max="{moment.total}"'
    return (
        f'<div>{what} <progress aria-label="{what}"{place}></progress> '
        f"{html.escape(moment.describe())}</div>"
    )


class LineViewer:
    """A line every so often, for logs.

    Args:
        write: Takes what is to be seen.
        every_seconds: How long until the next line; the first comes after two seconds, or this.
    """

    def __init__(self, write: Callable[[Moment], object], every_seconds: float) -> None:
        self._write = write
        self.every_seconds = every_seconds
        self.after_seconds = min(SHOW_AFTER_SECONDS, every_seconds)
        self._next_time = 0.0

    def show(self, moment: Moment) -> None:
        """Writes a line, unless another activity has had one just now."""
        if time.monotonic() >= self._next_time:
            self._next_time = time.monotonic() + self.every_seconds
            self._write(moment)

    def hide(self, stays: bool) -> None:
        """Lines stay."""
