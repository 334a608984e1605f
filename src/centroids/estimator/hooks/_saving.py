"""Hooks that save checkpoints."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from centroids.checkpoints.background_writer import BackgroundWriter
from centroids.checkpoints.checkpoint import Checkpoint
from centroids.checkpoints.folder import Saver, check_basename
from centroids.checkpoints.lock import ModelDirLock
from centroids.estimator._arguments import check_exactly_one
from centroids.estimator._spec import Variables
from centroids.estimator.hooks._protocol import (
    Coordinator,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from centroids.estimator.hooks._timer import SecondOrStepTimer
from centroids.files import absolute

if TYPE_CHECKING:
    from centroids.estimator._session import Session

logger = logging.getLogger(__name__)


class CheckpointSaverListener:
    """Base class of objects that act before or after a checkpoint is saved.

    The last checkpoint of a run is saved before `end` is called. All methods are called in the
    thread that trains.
    """

    def begin(self) -> None:
        """Called once, before the session exists."""

    def before_save(self, session: Session, global_step_value: int) -> None:
        """Called before each save, or before the copy of one that is asynchronous."""

    def after_save(self, session: Session, global_step_value: int) -> bool | None:
        """Called after each save: the checkpoint has reached the disk.

        After an asynchronous save it is called in a later step or at the end, or not at all if a
        newer save took its place.

        Args:
            session: The session.
            global_step_value: The step of the checkpoint.

        Returns:
            True to end training. As in r1.4, it has no effect after the save before the first step.
        """
        return None

    def end(self, session: Session, global_step_value: int) -> None:
        """Called once after the loop, unless an exception ended it."""


def check_listeners(listeners: Any) -> list[CheckpointSaverListener]:
    """Returns `listeners` as a new list.

    Raises:
        TypeError: If it is not a sequence, or if an entry is not a CheckpointSaverListener.
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
    """Saves checkpoints: before the first step, at intervals, and at the end.

    With `RunConfig(asynchronous_checkpoints=True)` a step in which one is due only copies the
    variables; one background thread writes the copies, one after another. If the next one is due
    while one is being written, it waits, and replaces one that was already waiting. What a write
    raises is raised by the next step or at the end. The run waits for the checkpoints before the
    first step and at the end, and for the thread, however it ends.

    Args:
        checkpoint_dir: The folder.
        save_secs: Save every this many seconds.
        save_steps: Save every this many steps. Exactly one of the two must be given.
        saver: Writes instead of a Saver with the settings of the run's RunConfig.
        checkpoint_basename: Files are called `<basename>-<step>.safetensors`.
        scaffold: Must be None: there is no graph. Kept for the r1.4 signature.
        listeners: Called before and after each save.

    Raises:
        ValueError: If both or neither of the intervals are given, there is a scaffold, or the
            basename has characters that the list of checkpoints cannot hold.
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
        """Starts over."""
        self._timer.reset()
        for listener in self._listeners:
            listener.begin()

    def after_create_session(self, session: Session, coord: Coordinator) -> None:
        """Saves the initial or restored variables."""
        config = session.run_config
        session.check_model_dir()  # what killed processes left there is about to be removed
        self._saver = self._given_saver or Saver(
            self._checkpoint_dir,
            self._basename,
            config.keep_checkpoint_max,
            config.keep_checkpoint_every_n_hours,
        )
        self._writer: BackgroundWriter | None = None
        self._spare: list[Variables] = []
        if config.asynchronous_checkpoints:
            self._writer = BackgroundWriter()
            if session.lock is not None:
                session.lock.before_release(self._writer.close)
            coord.on_close(self._spare.clear)  # after the other, as the latest comes first
            coord.on_close(self._writer.close)
        self._save(session, session.global_step, wait=True)
        if self._writer is not None:
            # The memory of a second copy: copying into memory that was used before is much faster.
            second: Variables = {}
            session.checkpoint(second)
            self._spare.append(second)
        self._timer.update_last_triggered_step(session.global_step)

    def quiet_steps(self, session: Session) -> int:
        """Those before one is due; see `quiet_steps_of`."""
        return self._timer.quiet_steps(session.global_step)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Saves when it is due."""
        session = run_context.session
        step = session.global_step
        if self._writer is not None and self._tell(session, self._writer.written()):
            run_context.request_stop()
        if self._timer.should_trigger_for_step(step):
            self._timer.update_last_triggered_step(step)
            if self._save(session, step, wait=False):
                run_context.request_stop()

    def end(self, session: Session) -> None:
        """Saves the last step unless that is done, and notes that it was the last one."""
        step = session.global_step
        if step != self._timer.last_triggered_step():
            self._save(session, step, wait=True)
        else:
            if self._writer is not None:
                self._tell(session, self._writer.written(wait=True))
            if session.finished != self._saved_as_finished:
                session.check_model_dir()
                list(self._write(session, step, wait=True))  # listeners have seen this step
        for listener in self._listeners:
            listener.end(session, step)

    def _save(self, session: Session, step: int, wait: bool) -> bool:
        """Saves a checkpoint; returns whether a listener asks to end training."""
        session.check_model_dir()
        logger.info("Saving checkpoints for %d into %s.", step, self._checkpoint_dir)
        for listener in self._listeners:
            listener.before_save(session, step)
        session.check_model_dir()  # listeners may take their time, or fork
        steps = self._write(session, step, wait)
        self._saved_as_finished = session.finished
        return self._tell(session, steps)

    def _write(self, session: Session, step: int, wait: bool) -> Iterable[int]:
        """Returns the steps whose checkpoints are written by now; with `wait`, this one too."""
        if self._writer is None:
            self._saver.save(session.checkpoint())
            return [step]
        overtaken = self._writer.withdraw()
        if isinstance(overtaken, _Save):
            overtaken.give_back()
        copies = self._spare.pop() if self._spare else {}
        checkpoint = session.checkpoint(copies)
        self._writer.put(step, _Save(checkpoint, copies, self._saver, session.lock, self._spare))
        return self._writer.written(wait=wait)

    def _tell(self, session: Session, steps: Iterable[int]) -> bool:
        """Calls the listeners after a save; returns whether one asks for the end."""
        stop = False
        for step in steps:
            for listener in self._listeners:
                if listener.after_save(session, step):
                    logger.info("%r requested that training be stopped.", listener)
                    stop = True
        return stop


@dataclass(frozen=True)
class _Save:
    """The writing of a checkpoint by the background thread.

    Attributes:
        checkpoint: Its variables are `copies`.
        copies: The memory that a later one may use again.
        saver: Writes it.
        lock: That of the model folder, or None.
        spare: Where the memory goes when it is no longer needed.
    """

    checkpoint: Checkpoint
    copies: Variables
    saver: Saver
    lock: ModelDirLock | None
    spare: list[Variables]

    def __call__(self) -> None:
        """Saves, if the model folder still belongs to this run.

        Raises:
            ModelDirLostError: If it is not.
            OSError: If it cannot be written.
        """
        if self.lock is not None:
            self.lock.check()
        try:
            self.saver.save(self.checkpoint)
        except OSError:
            if self.lock is not None:
                self.lock.check()  # the training went on: the folder may be gone by now
            raise
        self.give_back()

    def give_back(self) -> None:
        """Lets the next one use the memory."""
        self.spare.append(self.copies)
