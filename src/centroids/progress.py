"""What a person sees of work that takes long: a bar on a terminal or in a notebook, lines in a log.

Work is a stack of activities, of which the innermost is shown once it has lasted two seconds. A
thread shows it, so that the clock also runs within one long step. Where nobody looks (standard
error is not a terminal, and no viewer was chosen) there is no thread, and nothing costs anything.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

from centroids import platform

THREAD_NAME = "centroids-progress"
SHOW_AFTER_SECONDS = 2.0
REFRESH_SECONDS = 0.1
# Small steps that are made without a look: enough to make light of what a step costs beside its
# computation, few enough for a signal to wait.
MOST_STEPS_AT_ONCE = 16


@dataclass(frozen=True)
class Moment:
    """How far an activity has come.

    Attributes:
        what: What is being done.
        done: How much of it is done.
        total: How much there is to do at most; None if that is not known.
        unit: What is counted, such as "steps".
        values: What else there is to see, such as the loss, by name.
        seconds: How long it has lasted.
        seconds_left: How long it will last at most, at the rate so far; None if that is not known.
        is_estimate: Whether `total` is an estimate.
    """

    what: str
    done: int
    total: int | None
    unit: str
    values: Mapping[str, float | str]
    seconds: float
    seconds_left: float | None
    is_estimate: bool = False

    def describe(self, *, with_peak: bool = True) -> str:
        """How far it has come, and what it takes.

        Args:
            with_peak: Also tell the most memory so far.

        >>> moment = Moment("training", 12, 48, "steps", {"loss": 3.25}, 60.0, 180.0)
        >>> moment.describe().rpartition(", ")[0]
        '12 of 48 steps, loss 3.25, 0:01:00, about 0:03:00 left'
        """
        parts = []
        if self.total is not None:
            about = f"about {_rounded(self.total):,}" if self.is_estimate else f"{self.total:,}"
            parts.append(f"{self.done:,} of {about} {self.unit}")
        elif self.done:
            parts.append(f"{self.done:,} {self.unit}")
        for name, value in self.values.items():
            parts.append(f"{name} {value if isinstance(value, str) else format(value, '.6g')}")
        parts.append(_clock(self.seconds))
        if self.seconds_left:  # and not once all of it is done
            parts.append(f"about {_clock(self.seconds_left)} left")
        if (resident := platform.resident_bytes()) is not None:
            peak = platform.peak_bytes() if with_peak else None
            # The system counts the two at different moments.
            most = "" if peak is None else f" (at most {_size(max(peak, resident))})"
            parts.append(f"memory {_size(resident)}{most}")
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """The same for programs, with the memory of the process."""
        return {
            "doing": self.what,
            "done": self.done,
            "total": self.total,
            "unit": self.unit,
            "total_is_estimate": self.is_estimate,
            **self.values,
            "seconds": round(self.seconds, 3),
            "seconds_left": None if self.seconds_left is None else round(self.seconds_left, 3),
            "memory_bytes": platform.resident_bytes(),
            "peak_memory_bytes": platform.peak_bytes(),
        }


# Called with what an activity has come to, when it ends well.
end_watchers: list[Callable[[Moment], None]] = []


class Viewer(Protocol):
    """Shows moments of activities.

    Attributes:
        after_seconds: How long an activity lasts before it is shown.
        every_seconds: How long one showing holds.
    """

    after_seconds: float
    every_seconds: float

    def show(self, moment: Moment) -> None:
        """Shows a moment of an activity."""

    def hide(self, stays: bool) -> None:
        """Ends the showing of an activity; it may stay for people to see, or vanish."""


class Activity:
    """Work that is shown while it lasts; a context manager.

    Args:
        what: What is being done.
        total: How much there is to do at most; None: not known.
        unit: What is counted.
        stays: Whether what was shown of it stays in view.
        after_seconds: How long it lasts before it is shown; None: as the viewer has it.

    >>> with Activity("reading", unit="rows") as reading:
    ...     reading.update(1000)
    >>> reading.moment().describe().partition(",")[0]
    '1'
    """

    def __init__(
        self,
        what: str,
        total: int | None = None,
        unit: str = "steps",
        *,
        stays: bool = False,
        after_seconds: float | None = None,
    ) -> None:
        self._what, self._total, self._unit, self.stays = what, total, unit, stays
        self.after_seconds = after_seconds
        self._values: dict[str, float | str] = {}
        self._done, self._is_estimate = 0, False
        self.restart()

    def restart(self) -> None:
        """Counts time from here."""
        self.started = self._counted_from = time.monotonic()

    def count_from_here(self) -> None:
        """Expects the rest from what happens from here on; what came before was preparation."""
        self._counted_from = time.monotonic()

    @property
    def is_watched(self) -> bool:
        """Whether somebody may see it."""
        return _watch.viewer is not None

    def update(
        self,
        done: int | None = None,
        what: str | None = None,
        total: int | None = None,
        values: Mapping[str, float | str] | None = None,
        is_estimate: bool | None = None,
    ) -> None:
        """Notes how far it has come; what is None stays as it is.

        Args:
            done: How much is done.
            what: What is being done.
            total: How much there is to do.
            values: What else there is to see.
            is_estimate: Whether the total is an estimate.
        """
        self._done = self._done if done is None else done
        self._what = self._what if what is None else what
        self._total = self._total if total is None else total
        self._is_estimate = self._is_estimate if is_estimate is None else is_estimate
        self._values = self._values if values is None else dict(values)
        _watch.see()

    def moment(self) -> Moment:
        """How far it has come by now."""
        now, done, total = time.monotonic(), self._done, self._total
        if total is not None and self._is_estimate:
            total = max(total, done)
        left = None
        if done and total is not None:
            left = (now - self._counted_from) / done * max(total - done, 0)
        return Moment(
            self._what,
            done,
            total,
            self._unit,
            self._values,
            now - self.started,
            left,
            self._is_estimate,
        )

    def start(self) -> None:
        """Begins."""
        self.restart()
        _watch.push(self)

    def stop(self) -> None:
        """Ends; more calls do nothing."""
        if _watch.remove(self):
            for tell in end_watchers:
                tell(self.moment())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self.stop()
        else:
            _watch.remove(self)


class _Watch:
    """The activities of this process, and who looks at them."""

    def __init__(self) -> None:
        self.chosen = False
        self.viewer: Viewer | None = None
        self._activities: list[Activity] = []
        self._lock = threading.RLock()
        self._shown: Activity | None = None
        self._next_time = 0.0
        self._wake: threading.Event | None = None
        self._thread: threading.Thread | None = None

    def push(self, activity: Activity) -> None:
        with self._lock:
            if activity in self._activities:  # it begins anew
                return
            if not self._activities and not self.chosen:
                self.viewer = _find_viewer()
            self._activities.append(activity)
            if self.viewer is None or self._wake is not None:
                return
            self._wake = threading.Event()
            thread = threading.Thread(
                target=self._run, args=(self._wake,), name=THREAD_NAME, daemon=True
            )
            try:
                thread.start()
                self._thread = thread
            except RuntimeError:  # no room for another thread: what is seen is seen by `see`
                self._wake = None

    def remove(self, activity: Activity) -> bool:
        """Ends an activity; False if it has ended before."""
        with self._lock:
            if activity not in self._activities:
                return False
            if activity.stays and self._activities[-1] is activity:
                self._look()  # what lasted long enough is seen at its end, if not before
            self._activities.remove(activity)
            if self._shown is activity:
                self._hide()
            if self._activities or self._wake is None:
                return True
            self._wake.set()
            thread, self._wake, self._thread = self._thread, None, None
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        return True

    def activities(self) -> list[Activity]:
        """What is going on, the innermost last."""
        return list(self._activities)

    def see(self) -> None:
        """Shows what has changed, if it is time for that; the thread does so in between."""
        if self.viewer is not None:
            with self._lock:
                if self._activities:
                    self._look()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Takes the view away for a moment, in which others write to the terminal."""
        with self._lock:
            if self._shown is not None and self.viewer is not None:
                self.viewer.hide(stays=False)
                self._shown = None
                self._next_time = 0.0
            yield

    def _hide(self) -> None:
        if self.viewer is not None and self._shown is not None:
            if self._shown.stays:
                self.viewer.show(self._shown.moment())
            self.viewer.hide(self._shown.stays)
        self._shown = None

    def _run(self, wake: threading.Event) -> None:
        while not wake.wait(self._wait_seconds()):
            with self._lock:
                if not wake.is_set():
                    self._look()

    def _wait_seconds(self) -> float:
        viewer = self.viewer
        if viewer is None:
            return REFRESH_SECONDS
        return max(min(REFRESH_SECONDS, viewer.after_seconds, viewer.every_seconds), 0.005)

    def _look(self) -> None:
        viewer, activity = self.viewer, self._activities[-1]
        if viewer is None:
            return
        after, now = activity.after_seconds, time.monotonic()
        if now < activity.started + (viewer.after_seconds if after is None else after):
            return
        if self._shown is not activity:
            self._hide()
            self._shown = activity
        elif now < self._next_time:
            return
        viewer.show(activity.moment())
        self._next_time = now + viewer.every_seconds


def _find_viewer() -> Viewer | None:
    from centroids.viewers import find_viewer  # which knows this module

    return find_viewer()


_watch = _Watch()


def _forget() -> None:
    """In a forked child nobody looks: the thread and the terminal are its parent's."""
    global _watch
    _watch = _Watch()
    _watch.chosen = True


platform.after_fork_in_child(_forget)


@contextlib.contextmanager
def viewed_by(viewer: Viewer | None) -> Iterator[None]:
    """Has the activities within the block shown by a viewer; None: by nobody."""
    watch = _watch
    before, activities = (watch.chosen, watch.viewer), watch.activities()
    watch.chosen, watch.viewer = True, viewer
    try:
        yield
    finally:
        for activity in watch.activities():  # an error may have left some behind
            if activity not in activities:
                watch.remove(activity)
        watch.chosen, watch.viewer = before


def paused() -> contextlib.AbstractContextManager[None]:
    """Around what writes to the terminal: what is shown there makes room for it."""
    return _watch.paused()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _rounded(count: int) -> int:
    """An estimate without digits that nobody knows.

    >>> _rounded(1_234_567), _rounded(12)
    (1230000, 12)
    """
    return round(count, min(3 - len(str(count)), 0))


def _size(num_bytes: int) -> str:
    """Bytes for people.

    >>> _size(312_400_000), _size(5_430_000_000)
    ('312 MB', '5.43 GB')
    """
    if num_bytes < 1e9:
        return f"{num_bytes / 1e6:.0f} MB"
    return f"{num_bytes / 1e9:.3g} GB"
