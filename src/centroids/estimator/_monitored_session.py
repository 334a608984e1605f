"""A session with its hooks: what is called around each step, and what ends the loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from centroids.estimator._session import Fetches, Session
from centroids.estimator.hooks._display import ProgressBarHook
from centroids.estimator.hooks._protocol import (
    Coordinator,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
    quiet_steps_of,
)
from centroids.estimator.hooks._timer import ANY_NUMBER
from centroids.inputs.errors import OutOfRangeError, ReadingInterrupted


class MonitoredSession:
    """A session with its hooks, as a context manager around the loop of a call.

    The order of calls, and what ends the loop, is described in hooks/_protocol.py. The context ends
    without an exception at the end of the input.

    Args:
        hooks: The hooks, in the order of their calls.
        create_session: Makes the session, between `begin` and `after_create_session`.
    """

    def __init__(
        self, hooks: Sequence[SessionRunHook], create_session: Callable[[], Session]
    ) -> None:
        self._hooks = hooks
        self._create_session = create_session
        self._coordinator = Coordinator()
        # Methods that a hook does not override are not called at all.
        self._before = [(i, h.before_run) for i, h in enumerate(hooks) if _has(h, "before_run")]
        self._after = [(i, h.after_run) for i, h in enumerate(hooks) if _has(h, "after_run")]
        self._known: dict[int, tuple[SessionRunArgs, Fetches]] = {}
        called = [hooks[i] for i in sorted({i for i, _ in self._before + self._after})]
        self._quiet = [quiet_steps_of(hook) for hook in called]
        self._skip = [hook.skip_steps for hook in called if hasattr(hook, "skip_steps")]

    def __enter__(self) -> MonitoredSession:
        try:
            for hook in self._hooks:
                if isinstance(hook, ProgressBarHook):
                    self._coordinator.on_close(hook.close)  # it shows something from `begin` on
                hook.begin()
            self.session = self._create_session()
            self.session.stop = self._coordinator.stop
            for hook in self._hooks:
                hook.after_create_session(self.session, self._coordinator)
        except BaseException as error:
            error.add_note("raised before the first step of this call")
            self._coordinator.close()
            raise
        return self

    def should_stop(self) -> bool:
        """Says whether a hook has asked to end the loop."""
        return self._coordinator.should_stop()

    def run(self, args: SessionRunArgs, fetches: Fetches) -> Any:
        """Runs one step with all hooks; before it those that nobody is to see, if there are any.

        Args:
            args: What the caller fetches, for the hooks to see.
            fetches: The same, resolved.

        Returns:
            The fetched values.

        Raises:
            StopIteration: At the end of the input, before `after_run`.
        """
        self._make_quiet_steps()
        context = SessionRunContext(args, self.session)
        plans = [fetches]
        wanted: dict[int, Fetches] = {}
        for position, before_run in self._before:
            asked = before_run(context)
            if asked is not None:
                wanted[position] = plan = self._resolve(position, asked)
                plans.append(plan)
        self.session.step(plans)
        results = fetches.read()
        for position, after_run in self._after:
            read = wanted.get(position)
            after_run(context, _NOTHING if read is None else SessionRunValues(read.read()))
        return results

    def _make_quiet_steps(self) -> None:
        session = self.session
        if not session.makes_quiet_steps:
            return
        most = ANY_NUMBER
        for quiet_steps in self._quiet:
            most = 0 if quiet_steps is None else min(most, quiet_steps(session))
            if most <= 0:
                return
        done = session.make_quiet_steps(most)
        for skip_steps in self._skip:
            skip_steps(done)

    def _resolve(self, position: int, asked: SessionRunArgs) -> Fetches:
        known = self._known.get(position)
        # Most hooks return one object all the time; it is kept alive here, so `is` is safe.
        if known is not None and known[0] is asked:
            return known[1]
        hook = self._hooks[position]
        if not isinstance(asked, SessionRunArgs):
            raise TypeError(
                f"before_run of {hook!r} must return SessionRunArgs or None, not {asked!r}"
            )
        if asked.feed_dict is not None:
            raise ValueError(
                f"before_run of {hook!r} returned a feed_dict, which must be None: there is no "
                "graph to feed"
            )
        plan = Fetches(self.session, asked.fetches)
        self._known[position] = (asked, plan)
        return plan

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        ended = kind is None or issubclass(kind, _ENDS)
        try:
            if ended:
                for hook in self._hooks:
                    self.session.check_model_dir()  # earlier hooks may have lost it
                    hook.end(self.session)
                self.session.check_model_dir()
            elif error is not None:
                error.add_note(self.session.describe_moment())
        except BaseException as raised:
            raised.add_note(self.session.describe_moment())
            raise
        finally:
            self._coordinator.close()
        return ended


_ENDS = (OutOfRangeError, StopIteration, ReadingInterrupted)
_NOTHING = SessionRunValues(None)


def _has(hook: SessionRunHook, method: str) -> bool:
    return getattr(getattr(hook, method), "__func__", None) is not getattr(SessionRunHook, method)
