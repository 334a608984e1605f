"""The hook protocol: what a session calls, in which order, and what it passes.

One call of train, evaluate or predict runs its hooks like this:

    for hook in hooks: hook.begin()
    session = create()                      # restores or initialises the variables
    for hook in hooks: hook.after_create_session(session, coord)
    try:
        while not stop_requested:
            for hook in hooks: wanted = hook.before_run(run_context)
            batch = next(batches)           # the end of the input ends the loop
            ...                             # one step, with everything that was wanted
            for hook in hooks: hook.after_run(run_context, run_values)
    except (OutOfRangeError, StopIteration): pass
    except BaseException: raise             # `end` is skipped
    for hook in hooks: hook.end(session)

What a hook must release in any case (a display, a profiler) goes to `coord.on_close`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

from centroids.estimator.hooks._event_files import EventWriter

if TYPE_CHECKING:
    from centroids.estimator._session import Session


class SessionRunArgs(NamedTuple):
    """What a hook wants from the coming step.

    Attributes:
        fetches: A name ("loss", "global_step", a variable, a prediction key, a summary or a
            metric), or a list or dict of names, nested at will.
        feed_dict: Must be None: there is no graph to feed. Kept for the r1.4 signature.
        options: Ignored. Kept for the r1.4 signature.
    """

    fetches: Any
    feed_dict: None = None
    options: Any = None


class SessionRunValues(NamedTuple):
    """What a hook gets from the step that just ran.

    Attributes:
        results: The fetched values in the structure of `SessionRunArgs.fetches`; None when the
            hook asked for nothing. Loss, predictions and summaries are the values before the
            update of the step; variables, metrics and "global_step" those after it.
        options: Always None. Kept for the r1.4 signature.
        run_metadata: Always None. Kept for the r1.4 signature.
    """

    results: Any
    options: None = None
    run_metadata: None = None


class SessionRunContext:
    """The step in progress, as hooks see it.

    Attributes:
        original_args: What the caller of the step fetches.
        session: The session that runs the step.
        stop_requested: Whether a hook has called `request_stop` in this step.
    """

    __slots__ = ("original_args", "session", "stop_requested")

    def __init__(self, original_args: SessionRunArgs, session: Session) -> None:
        self.original_args = original_args
        self.session = session
        self.stop_requested = False

    def request_stop(self) -> None:
        """Ends the loop after this step. The remaining hooks of the step still run."""
        self.stop_requested = True
        self.session.stop.requested = True


class Stop:
    """Whether a loop should stop. It is all that a session knows of its coordinator."""

    def __init__(self) -> None:
        self.requested = False


class Coordinator:
    """Stops a loop from outside a step, and releases what hooks hold when it is over.

    >>> coord = Coordinator()
    >>> coord.on_close(lambda: print("released"))
    >>> coord.request_stop()
    >>> coord.should_stop()
    True
    >>> coord.close()
    released
    """

    def __init__(self) -> None:
        self.stop = Stop()
        self._releases: list[Callable[[], object]] = []
        self._writers: dict[str, EventWriter] = {}

    def request_stop(self) -> None:
        """Ends the loop before its next step."""
        self.stop.requested = True

    def should_stop(self) -> bool:
        """Says whether `request_stop` was called."""
        return self.stop.requested

    def on_close(self, release: Callable[[], object]) -> None:
        """Registers `release`, called once when the loop is over for whatever reason."""
        self._releases.append(release)

    def event_writer(
        self,
        directory: str,
        first_step: int | None = None,
        check: Callable[[], object] | None = None,
    ) -> EventWriter:
        """Returns the writer of a folder: all hooks of a run share one, which is closed with it.

        Args:
            directory: The folder.
            first_step: See EventWriter.
            check: See EventWriter.
        """
        # With two files in a folder, the start of one would take away the steps of the other.
        place = os.path.realpath(directory)
        if place not in self._writers:
            self._writers[place] = EventWriter(directory, first_step, check)
            self.on_close(self._writers[place].close)
        return self._writers[place]

    def close(self) -> None:
        """Calls every registered function, the latest first, even when one of them raises."""
        while self._releases:
            release = self._releases.pop()
            try:
                release()
            except BaseException:
                self.close()
                raise


class SessionRunHook:
    """Base class of hooks: override what you need; by default every method does nothing.

    A class that says `only_watches = True` never ends a call. It is not inherited. The log warns of
    calls that nothing will end.
    """

    only_watches: ClassVar[bool] = False

    def begin(self) -> None:
        """Called once, before the session exists."""

    def after_create_session(self, session: Session, coord: Coordinator) -> None:
        """Called once, when the variables are restored or initialised.

        Args:
            session: The session. `session.run(names)` reads variables.
            coord: Can end the loop before its first step.
        """

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        """Called before each step, even the one that finds the input at its end.

        A hook that returns the same object every time costs least: its names are looked up once.

        Returns:
            What the hook wants to see in `after_run`, or None.
        """
        return None

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Called after each step with the values that `before_run` asked for."""

    def end(self, session: Session) -> None:
        """Called once after the loop, unless an exception ended it.

        The end of the input (OutOfRangeError, StopIteration) does not count as one.
        """


QuietSteps: TypeAlias = Callable[["Session"], int]


def quiet_steps_of(hook: SessionRunHook) -> QuietSteps | None:
    """How many coming steps a hook need not be called around, asked between steps; None: none.

    Our own hooks say so by a method `quiet_steps`, and count them in `skip_steps`. It is not
    inherited: a class that overrides another method wants to see each step. What a hook says holds
    for steps whose loss is a number, and that are not the last of the call.
    """
    if not _STEP_METHODS.isdisjoint(vars(hook)) or "quiet_steps" not in vars(type(hook)):
        return None
    quiet_steps: QuietSteps = getattr(hook, "quiet_steps")  # noqa: B009
    return quiet_steps


_STEP_METHODS = frozenset({"before_run", "after_run"})


def check_hooks(hooks: Any, argument: str = "hooks") -> list[SessionRunHook]:
    """Returns `hooks` as a new list.

    Raises:
        TypeError: If it is not a sequence, or if an entry is not a SessionRunHook.
    """
    if hooks is None:
        return []
    if not isinstance(hooks, (list, tuple)):
        raise TypeError(
            f"{argument} must be a list of SessionRunHook objects or None, not {hooks!r}"
        )
    for position, hook in enumerate(hooks):
        if not isinstance(hook, SessionRunHook):
            hint = "; pass an object, not the class" if isinstance(hook, type) else ""
            raise TypeError(
                f"All hooks must be SessionRunHook instances, but {argument}[{position}] "
                f"is {hook!r}{hint}"
            )
    return list(hooks)
