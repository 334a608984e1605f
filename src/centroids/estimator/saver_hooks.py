"""Hooks that save checkpoints."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from centroids.estimator.arguments import check_exactly_one
from centroids.estimator.checkpoint_folder import Saver, check_basename
from centroids.estimator.session_run_hook import (
    Coordinator,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from centroids.estimator.timer import SecondOrStepTimer
from centroids.files import absolute

if TYPE_CHECKING:
    from centroids.estimator.session import Session

logger = logging.getLogger(__name__)


class CheckpointSaverListener:
    """Base class of objects that act before or after a checkpoint is saved.

    The last checkpoint of a run is saved before `end` is called.
    """

    def begin(self) -> None:
        """Called once, before the session exists."""

    def before_save(self, session: Session, global_step_value: int) -> None:
        """Called before each save."""

    def after_save(self, session: Session, global_step_value: int) -> bool | None:
        """Called after each save.

        Returns:
            True to end the training. It has no effect after the save that precedes the first
            step, as in r1.4.
        """
        return None

    def end(self, session: Session, global_step_value: int) -> None:
        """Called once after the loop, unless an exception ended it."""


def check_listeners(listeners: Any) -> list[CheckpointSaverListener]:
    """Returns `listeners` as a new list.

    Raises:
        TypeError: If it is no sequence, or if an entry is not a CheckpointSaverListener.
    """
    if listeners is None:
        return []
    if not isinstance(listeners, (list, tuple)):
        raise TypeError(
            "saving_listeners must be a list of CheckpointSaverListener objects or None, not "
            f"{listeners!r}"
        )
    for position, listener in enumerate(listeners):
        if not isinstance(listener, CheckpointSaverListener):
            raise TypeError(
                "saving_listeners must be a list of CheckpointSaverListener instances, but "
                f"saving_listeners[{position}] is {listener!r}"
            )
    return list(listeners)


class CheckpointSaverHook(SessionRunHook):
    """Saves checkpoints: before the first step, every so often, and at the end.

    Args:
        checkpoint_dir: The folder.
        save_secs: Save every this many seconds.
        save_steps: Save every this many steps. Exactly one of the two must be given.
        saver: Writes instead of a Saver with the settings of the run's RunConfig.
        checkpoint_basename: Files are called `<basename>-<step>.safetensors`.
        scaffold: Must be None: there is no graph. Kept for the r1.4 signature.
        listeners: Called before and after each save.

    Raises:
        ValueError: If both or none of the intervals are given, a scaffold is, or the basename has
            characters that a list cannot hold.
    """

    def __init__(
        self,
        checkpoint_dir: str,
        save_secs: float | None = None,
        save_steps: int | None = None,
        saver: Saver | None = None,
        checkpoint_basename: str = "model.ckpt",
        scaffold: None = None,
        listeners: Sequence[CheckpointSaverListener] | None = None,
    ) -> None:
        check_exactly_one(save_secs=save_secs, save_steps=save_steps)
        if scaffold is not None:
            raise ValueError(
                f"scaffold must be None, not {scaffold!r}: there is no graph whose saver it could "
                "hold; pass saver= or leave it out"
            )
        self._checkpoint_dir = absolute(checkpoint_dir)
        self._basename = check_basename(checkpoint_basename)
        self._given_saver = saver
        self._own_listeners = check_listeners(listeners)
        self._run_listeners: list[CheckpointSaverListener] = []
        self._timer = SecondOrStepTimer(save_secs, save_steps)

    def use_listeners(self, listeners: Sequence[CheckpointSaverListener]) -> None:
        """Sets the listeners of the coming run, called after those of the constructor.

        They replace those of an earlier run, so that one hook can serve several calls of train.
        """
        self._run_listeners = list(listeners)

    @property
    def _listeners(self) -> list[CheckpointSaverListener]:
        return self._own_listeners + self._run_listeners

    def begin(self) -> None:
        """Starts anew."""
        self._timer.reset()
        for listener in self._listeners:
            listener.begin()

    def after_create_session(self, session: Session, coord: Coordinator) -> None:
        """Saves the initial or restored variables."""
        config = session.run_config
        session.check_model_dir()  # what killed processes left there is about to be removed
        self._saver = self._given_saver or Saver(self._checkpoint_dir, self._basename, config)
        self._save(session, session.global_step)
        self._timer.update_last_triggered_step(session.global_step)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Saves when it is due."""
        session = run_context.session
        step = session.global_step
        if self._timer.should_trigger_for_step(step):
            self._timer.update_last_triggered_step(step)
            session.finished = run_context.stop_requested
            if self._save(session, step):
                run_context.request_stop()

    def end(self, session: Session) -> None:
        """Saves the last step unless that has been done, and that it was the last one."""
        step = session.global_step
        if step != self._timer.last_triggered_step():
            self._save(session, step)
        elif session.finished != self._saved_as_finished:
            session.check_model_dir()
            self._saver.save(session.checkpoint())  # listeners have seen this step
        for listener in self._listeners:
            listener.end(session, step)

    def _save(self, session: Session, step: int) -> bool:
        session.check_model_dir()
        logger.info("Saving checkpoints for %d into %s.", step, self._checkpoint_dir)
        for listener in self._listeners:
            listener.before_save(session, step)
        session.check_model_dir()  # listeners may take their time, or fork
        self._saver.save(session.checkpoint())
        self._saved_as_finished = session.finished
        stop = False
        for listener in self._listeners:
            if listener.after_save(session, step):
                logger.info("%r requested that training be stopped.", listener)
                stop = True
        return stop
