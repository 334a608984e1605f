"""The session: a store of variables, one step, and fetches by name."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.checkpoints.checkpoint import (
    UNKNOWN_POSITION,
    Checkpoint,
    restore_random_state,
)
from centroids.checkpoints.lock import ModelDirLock
from centroids.errors import BadRowError
from centroids.estimator._metrics import Metric
from centroids.estimator._run_config import RunConfig
from centroids.estimator._spec import (
    BatchFunction,
    EstimatorSpec,
    ModeKeys,
    Variables,
    find_name,
    random_generator,
)
from centroids.estimator.hooks._protocol import Stop
from centroids.estimator.session_setup import check_order, check_restored
from centroids.inputs.batch import Batch
from centroids.inputs.stream import BatchStream
from centroids.progress import MOST_STEPS_AT_ONCE
from centroids.rows import num_rows


class Session:
    """Variables and the functions of a spec, run batch by batch.

    Attributes:
        variables: Arrays by name; what the functions of the spec read and write.
        run_config: The configuration of the run.
        spec: The spec whose functions run.
        num_examples: How many rows the batches have had so far.
        num_dropped_rows: How many bad rows were left out of them.
        input_position: Where the input stands after the batch of the last step; before the first
            one, where it stood for the restored checkpoint. See Checkpoint.
        random: The model's random generator.
        lock: That of the model folder that is trained into; None outside of training.
        earlier_hook_states: What hooks kept in the restored checkpoint, if its call of train was
            interrupted and this one continues it.
        hook_states: What hooks keep now, by a name of each; JSON. A hook that runs before
            checkpoints are saved finds it there after an interruption.
        stop: Whether a hook or the coordinator of the loop has asked for its end.

    Args:
        spec: The model.
        variables: The restored or initial variables, with `global_step`. The session owns them.
        batches: Gives the batches, one a step.
        run_config: The configuration of the run.
        metrics: Metrics to update with each batch (evaluation), by name.
        params: Saved in checkpoints as far as JSON goes.
        input_position: The position that a restored checkpoint had.
        random: The model's random generator; None for a new one.
        column_names: The names of the columns that a restored model was trained on.
        finished: Whether the call that saved a restored checkpoint was at its end. This stays so
            until the first step is done: a failure before it must not change the saved position.
        earlier_hook_states: See the attributes.
    """

    def __init__(
        self,
        spec: EstimatorSpec,
        variables: Variables,
        batches: BatchStream,
        run_config: RunConfig,
        metrics: Mapping[str, Metric] | None = None,
        params: Any = None,
        input_position: Mapping[str, Any] | None = None,
        random: np.random.Generator | None = None,
        column_names: tuple[str, ...] | None = None,
        finished: bool = False,
        earlier_hook_states: Mapping[str, Any] | None = None,
    ) -> None:
        self.spec = spec
        self.variables = variables
        self.run_config = run_config
        self.input_position = input_position
        self.earlier_hook_states = dict(earlier_hook_states or {})
        self.hook_states: dict[str, Any] = {}
        self.stop = Stop()
        self._at_end = finished
        self.lock: ModelDirLock | None = None
        self.random = random or random_generator(spec.random_seed)
        self._column_names = column_names
        self._batches = batches
        self._metrics = dict(metrics or {})
        self._params = params
        self.num_examples = self.num_dropped_rows = 0
        self._num_batches = 0
        self._batch: Batch | None = None
        self._train_op = spec.train_op if spec.mode == ModeKeys.TRAIN else None
        # An input function that is called for each step must not be called early.
        many = self._train_op is not None and spec.train_many is not None
        self._makes_quiet_steps = many and not batches.calls_again
        self._with_labels = spec.mode != ModeKeys.PREDICT
        self._functions = _named_functions(spec)

    @classmethod
    def create(
        cls,
        spec: EstimatorSpec,
        batches: BatchStream,
        config: RunConfig,
        restored: Checkpoint | None,
        params: Any = None,
        metrics: Mapping[str, Metric] | None = None,
        warm: Mapping[str, NDArray[Any]] | None = None,
    ) -> Session:
        """Makes a session whose variables are restored, or initialised without a checkpoint.

        Args:
            spec: The model.
            batches: The input. To initialise, the first of them are looked at and left in place.
            config: The settings of the run.
            restored: The checkpoint to continue from, or None.
            params: Saved in checkpoints as far as JSON goes.
            metrics: Metrics to update with each batch (evaluation), by name.
            warm: Variables to begin with when there is no checkpoint, of a warm start; the input
                then has a batch.

        Raises:
            ValueError: If the checkpoint belongs to another model, or the input ends before the
                model is initialised.
        """
        random = random_generator(spec.random_seed)
        if restored is None:
            variables = _initial_variables(spec, batches, random, dict(warm or {}))
            return cls(spec, variables, batches, config, metrics, params, random=random)
        # A model cannot know its shapes from an empty input, and no step will use them.
        first = batches.peek()
        check_restored(spec, restored, with_variables=first is not None)
        if first is not None:
            check_order(restored.column_names, first.names)
        restore_random_state(random, restored)
        variables = dict(restored.variables)
        position, names = restored.input_position, restored.column_names
        end = restored.finished
        states = {} if end else restored.hook_states
        return cls(
            spec, variables, batches, config, metrics, params, position, random, names, end, states
        )

    @property
    def global_step(self) -> int:
        """The number of training steps behind the variables."""
        return int(self.variables["global_step"])

    @property
    def finished(self) -> bool:
        """Whether the call of train is at its end: the input has ended, or a hook asked for it."""
        return self._at_end or self.stop.requested

    @property
    def params(self) -> Any:
        """The parameters of the model, as far as they were given."""
        return self._params

    def run(self, fetches: Any) -> Any:
        """Reads values outside of a step; no batch is pulled and nothing changes.

        Args:
            fetches: A name, or a list or dict of names. Variables, metrics and "global_step" are
                read as they are; loss, predictions and summaries belong to the latest batch.

        Returns:
            The values in the structure of `fetches`. Arrays are copies.

        Raises:
            ValueError: If a name is unknown, or needs a batch before the first one.
        """
        return Fetches(self, fetches).read()

    def step(self, plans: Sequence[Fetches]) -> None:
        """Pulls a batch, evaluates what the plans need of it, then updates.

        Raises:
            StopIteration: At the end of the input.
        """
        try:
            given = next(self._batches)
        except StopIteration:
            self.input_position, self._at_end = None, True
            raise
        batch = self._batch = given.for_step(self._num_batches, self.variables, self.random)
        if not self._with_labels:
            batch.labels = None
        self._count(given)
        try:
            self._evaluate(batch, plans)
        except BadRowError as error:
            raise error.at_origin(given.origin) from None
        self._end_step(given)

    def _count(self, batch: Batch) -> None:
        self._num_batches += 1
        self.num_examples += num_rows(batch.features)
        self.num_dropped_rows += batch.num_dropped_rows

    def _end_step(self, batch: Batch) -> None:
        unknown = None if self._batches.calls_again else UNKNOWN_POSITION
        self.input_position = unknown if batch.position is None else batch.position
        if self._train_op is not None:
            self._column_names = batch.names or self._column_names
            self.variables["global_step"] = np.array(self.global_step + 1, np.int64)
            self._at_end = False

    @property
    def makes_quiet_steps(self) -> bool:
        """Whether `make_quiet_steps` may do something."""
        return self._makes_quiet_steps

    def make_quiet_steps(self, most: int) -> int:
        """Makes some steps at once, where that is quicker; everything is as after so many `step`.

        Args:
            most: How many at most. None of them is the last one that the input has batches for.

        Returns:
            How many.
        """
        train_many = self.spec.train_many
        assert train_many is not None
        given = self._batches.take_ready(min(most, MOST_STEPS_AT_ONCE))
        if not given:
            return 0
        numbered = enumerate(given, self._num_batches)
        batches = [batch.for_step(i, self.variables, self.random) for i, batch in numbered]
        done = train_many(batches)
        self._batches.put_back(given[done:])
        for batch in given[:done]:
            self._count(batch)
            self._end_step(batch)
        return done

    def _evaluate(self, batch: Batch, plans: Sequence[Fetches]) -> None:
        for plan in plans:
            for function in plan.functions:
                batch.get(function)
        for metric in self._metrics.values():
            metric.update(batch)
        if self._train_op is not None:
            batch.get(self._train_op)

    def checkpoint(self, copies: Variables | None = None) -> Checkpoint:
        """Returns what a checkpoint of this moment holds.

        Args:
            copies: Where the arrays are copied to, so that later steps do not change them: into
                the arrays that are there (copying into memory that was used before is much faster),
                or into new ones. None: they are not copied. The rest of a checkpoint is new in each
                step, or never changes.
        """
        if copies is not None:
            _copy(self.variables, copies)
        return Checkpoint(
            variables=self.variables if copies is None else copies,
            identity=self.spec.identity,
            params=self._params,
            input_position=self.input_position,
            finished=self.finished,
            random_state=self.random.bit_generator.state,
            column_names=self._column_names,
            hook_states=copy.deepcopy(self.hook_states),
        )

    def check_model_dir(self) -> None:
        """Makes sure that the model folder still belongs to this run.

        Raises:
            ModelDirLostError: If it does not; nothing may be written there then.
        """
        if self.lock is not None:
            self.lock.check()

    def describe_moment(self) -> str:
        """Says where the run stands, for the notes of an exception."""
        return (
            f"raised in mode {self.spec.mode!r} after global step {self.global_step}, with "
            f"{self._num_batches} batches of this call begun"
        )

    def reader(self, name: str) -> tuple[BatchFunction | None, Callable[[], Any]]:
        """Finds what a name stands for.

        Returns:
            The function of a batch that must run for it, or None, and a function that reads it.

        Raises:
            ValueError: If nothing has this name.
        """
        names = {"global_step", *self._functions, *self.variables, *self._metrics}
        found = find_name(name, names)
        if found is None:
            raise ValueError(
                f"cannot fetch {name!r}: the names here are {', '.join(sorted(names))}"
            )
        if found == "global_step":
            return None, lambda: self.global_step
        if found in self._functions:
            function = self._functions[found]
            return function, lambda: self._current_batch(found).get(function)
        if found in self.variables:
            return None, lambda: np.array(self.variables[found])
        return None, self._metrics[found].result

    def _current_batch(self, name: str) -> Batch:
        if self._batch is None:
            raise ValueError(f"cannot fetch {name!r} before the first batch")
        return self._batch


class Fetches:
    """Fetched names, resolved once for a session.

    Attributes:
        functions: The functions that have to run for a batch.
        read: Returns the values in the structure of the names.

    Args:
        session: Where the names are looked up.
        names: A name, or a list, tuple or dict of such, nested at will.
    """

    __slots__ = ("functions", "read")

    def __init__(self, session: Session, names: Any) -> None:
        self.functions: list[BatchFunction] = []
        self.read = self._resolve(session, names)

    def _resolve(self, session: Session, names: Any) -> Callable[[], Any]:
        if isinstance(names, str):
            function, read = session.reader(names)
            if function is not None:
                self.functions.append(function)
            return read
        if isinstance(names, Mapping):
            entries = {key: self._resolve(session, name) for key, name in names.items()}
            return lambda: {key: read() for key, read in entries.items()}
        if isinstance(names, (list, tuple)):
            parts = [self._resolve(session, name) for name in names]
            return lambda: [read() for read in parts]
        raise ValueError(f"fetches must be names, or lists or dicts of names, not {names!r}")


def _initial_variables(
    spec: EstimatorSpec,
    batches: BatchStream,
    random: np.random.Generator,
    warm: Mapping[str, NDArray[Any]],
) -> Variables:
    variables = {name: np.array(value) for name, value in spec.variables.items()}
    variables["global_step"] = np.array(0, np.int64)
    coming = enumerate(batches.look_ahead())
    ahead = (batch.for_step(index, variables, random) for index, batch in coming)
    try:
        if warm and spec.initialize_warm is not None:
            spec.initialize_warm(next(ahead), warm)
            return variables
        everything_is_known = bool(warm) and set(spec.variables) <= set(warm)
        if spec.initialize is not None and not everything_is_known:
            spec.initialize(ahead)
    except BadRowError as error:
        raise batches.locate(error) from None
    variables.update(warm)
    return variables


def _copy(variables: Variables, copies: Variables) -> None:
    for name, given in variables.items():
        value, known = np.asarray(given), copies.get(name)
        if known is None or (known.shape, known.dtype) != (value.shape, value.dtype):
            copies[name] = np.array(value, order="C")
        else:
            np.copyto(known, value)
    for name in set(copies) - set(variables):
        del copies[name]


def _named_functions(spec: EstimatorSpec) -> dict[str, BatchFunction]:
    functions = {**spec.summaries, **spec.histograms}
    if isinstance(spec.predictions, Mapping):
        functions.update(spec.predictions)
    elif spec.predictions is not None:
        functions["predictions"] = spec.predictions
    if spec.loss is not None:
        functions["loss"] = spec.loss
    return functions
