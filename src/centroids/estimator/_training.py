"""The loop of train over the batches of an input."""

from __future__ import annotations

import contextlib
import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from centroids.checkpoints.checkpoint import Checkpoint
from centroids.checkpoints.folder import remove_beginning
from centroids.checkpoints.lock import ModelDirLock
from centroids.errors import Argument, BadRowError, Message
from centroids.estimator._model_function import ModelFunction
from centroids.estimator._monitored_session import MonitoredSession
from centroids.estimator._run_config import RunConfig
from centroids.estimator._session import Fetches, Session
from centroids.estimator._spec import EstimatorSpec, ModeKeys, Variables
from centroids.estimator._stop_signals import StopSignals
from centroids.estimator._warm_start import WarmStartSettings, warm_variables
from centroids.estimator.hooks._defaults import may_stop, takes_part_in_steps, training_hooks
from centroids.estimator.hooks._protocol import SessionRunArgs, SessionRunHook
from centroids.estimator.hooks._saving import CheckpointSaverListener
from centroids.inputs import repeats
from centroids.inputs.batch import Batch, Position
from centroids.inputs.errors import PositionError
from centroids.inputs.missing import Treatment
from centroids.inputs.stream import BatchStream, open_stream
from centroids.inputs.weights import WeightColumn

logger = logging.getLogger(__name__)

WarmStart = tuple[WarmStartSettings, Checkpoint]


# After them the log tells of an input that may have no end.
_MANY_BATCHES = 10_000


@dataclass(frozen=True)
class Training:
    """One call of train, with its arguments checked and its model folder locked.

    Attributes:
        model_fn: The model.
        config: The settings of the run; `model_dir` is set.
        input_fn: Gives the input.
        restored: The checkpoint to continue from, or None.
        hooks: Those of the caller, and the one that stops at a step.
        listeners: Called before and after each checkpoint.
        signals: Ends the loop when SIGINT or SIGTERM has come.
        lock: Holds the model folder.
        warm_start: What a model without a checkpoint begins with, or None: the settings, and the
            checkpoint that they name.
        weights: The column that holds the weights of the rows, or None.
        missing: What becomes of rows with missing values.
        most_steps: How many steps the caller asks for; None: as many as there are.
    """

    model_fn: ModelFunction
    config: RunConfig
    input_fn: Callable[..., Any]
    restored: Checkpoint | None
    hooks: list[SessionRunHook]
    listeners: list[CheckpointSaverListener]
    signals: StopSignals
    lock: ModelDirLock
    warm_start: WarmStart | None = None
    weights: WeightColumn | None = None
    missing: Treatment = "raise"
    most_steps: int | None = None

    def run(self, position: Position | None) -> Any:
        """Trains from a position of the input to the end of the call.

        Args:
            position: Where the input is to begin; None: at its beginning.

        Returns:
            The loss of the last step, or None when there was no step.

        Raises:
            ValueError: If the position is not one of this input, or the checkpoint is of another
                model.
        """
        # Twice, as an interrupt may come after the body and before the first of them closes it.
        with self._open(position) as opened, opened as batches:
            batches.wait_by(self.signals.while_waiting)
            # A call that stopped at the very end of its input leaves a whole new pass to this one.
            ended = position is not None and self.restored is not None and self.restored.finished
            if not (ended and batches.peek() is None):
                loss = self._run_steps(batches)
                if self.signals.received is not None:
                    batches.interrupt()
                return loss
        return self.run(None)

    def _open(self, position: Position | None) -> BatchStream:
        try:
            return open_stream(
                self.input_fn,
                mode=ModeKeys.TRAIN,
                params=self.model_fn.params,
                config=self.config,
                position=position,
                weights=self.weights,
                missing=self.missing,
            )
        except PositionError as error:
            restart = Argument("restart_input", True, of="train")
            remedy = Message("to begin this input at its beginning, pass ", restart)
            raise type(error)(error.problem, remedy=remedy) from error
        except Exception as error:
            error.add_note("raised before the first step of this call, by input_fn")
            raise

    def _run_steps(self, batches: BatchStream) -> Any:
        spec = self.model_fn.for_batches(batches, ModeKeys.TRAIN, self.config)
        at_beginning = self.restored is None or self.restored.input_position is None
        if batches.peek() is None and at_beginning:
            logger.warning(
                "%s gave no batch (or only empty ones): there is no step to train",
                Argument("input_fn"),
            )
        of_model = [*spec.training_chief_hooks, *spec.training_hooks]
        hooks = [*self.hooks, *filter(takes_part_in_steps, of_model)]
        if not self.listeners and not any(map(may_stop, hooks)):
            batches.warn_of_repeats(repeats.TRAIN)
        if self.restored is None and spec.first_pass is not None and batches.peek() is not None:
            spec = self._after_first_pass(spec, spec.first_pass, batches)
        warm = None
        if self.restored is None and self.warm_start is not None and batches.peek() is not None:
            warm = warm_variables(spec, *self.warm_start)
        loss = None
        params = self.model_fn.params
        args = SessionRunArgs("loss")
        monitored = MonitoredSession(
            training_hooks(spec, self.config, self.hooks, self.listeners, params),
            lambda: self._create_session(spec, batches, warm),
        )
        with self._undone_if_refused(monitored), monitored:
            self.signals.in_training = True
            fetches = Fetches(monitored.session, args.fetches)
            while not monitored.should_stop() and self.signals.received is None:
                self.lock.check_process()
                loss = monitored.run(args, fetches)
            if not monitored.should_stop():
                self.signals.cut_short = True
        return loss

    def _after_first_pass(
        self,
        spec: EstimatorSpec,
        first_pass: Callable[[Iterator[Batch]], Mapping[str, NDArray[Any]]],
        batches: BatchStream,
    ) -> EstimatorSpec:
        """The spec with the variables that are fitted to a pass of its own over the input."""
        if batches.calls_again:
            raise ValueError(
                "the model is fitted to a whole pass over the input before the first step, and "
                "nobody knows where a pass ends if input_fn returns one batch; let it return a "
                "source (such as centroids.inputs.numpy_input_fn makes) or an iterator of the "
                "batches of a pass"
            )
        current: deque[Batch] = deque(maxlen=1)
        with self._open(None) as opened, opened as once:
            if batches.iterator is not None and once.iterator is batches.iterator:
                raise ValueError(
                    "the model is fitted to a whole pass over the input before the first step, and "
                    "input_fn returns the same iterator each time, which is then used up; let it "
                    "make a new one in each call"
                )
            once.wait_by(self.signals.while_waiting)
            try:
                variables = first_pass(_first_epoch(once, current, self.most_steps))
            except BadRowError as error:
                raise error.at_origin(current[0].origin) from None
        return spec._replace(variables={**spec.variables, **variables})

    @contextlib.contextmanager
    def _undone_if_refused(self, monitored: MonitoredSession) -> Iterator[None]:
        """Takes back what a first call wrote if it fails before its first step is done.

        Otherwise the next call would continue with a model of no steps, which may not be the one
        that its arguments describe.
        """
        folder = self.config.model_dir
        assert folder is not None
        before = set(os.listdir(folder))
        try:
            yield
        except (OSError, MemoryError):
            raise  # a failure from outside, or the folder is no longer ours: what was saved stays
        except Exception:
            session = getattr(monitored, "session", None)
            began = session is not None and session.global_step > 0
            if self.restored is None and not began and self.signals.received is None:
                self.lock.check()
                remove_beginning(folder, before)
            raise

    def _create_session(
        self, spec: EstimatorSpec, batches: BatchStream, warm: Variables | None
    ) -> Session:
        params = self.model_fn.params
        session = Session.create(spec, batches, self.config, self.restored, params, warm=warm)
        session.lock = self.lock
        return session


def _first_epoch(batches: BatchStream, current: deque[Batch], most: int | None) -> Iterator[Batch]:
    """The batches of the first pass over an input.

    A source says where that ends. Another iterator may have no end: of it these are the batches
    that the call trains on.
    """
    first = batches.peek()
    knows_epochs = first is not None and first.epoch is not None
    for index, batch in enumerate(batches):
        if first is not None and batch.epoch != first.epoch:
            return
        if not knows_epochs and index == most:
            return
        if not knows_epochs and most is None and index == _MANY_BATCHES:
            logger.warning(
                "The pass over the input before the first step has taken %s batches; if the input "
                "has no end, neither has this pass: pass steps= or max_steps= to train",
                f"{_MANY_BATCHES:,}",
            )
        batch.index = index
        current.append(batch)
        yield batch


def is_reached(max_steps: int | None, restored: Checkpoint | None) -> bool:
    """Whether no step is left to train; says so in the log."""
    if max_steps is None or restored is None or max_steps > restored.global_step:
        return False
    logger.info(
        "Skipping training: max_steps is %d, and the model has been trained for %d steps.",
        max_steps,
        restored.global_step,
    )
    return True
