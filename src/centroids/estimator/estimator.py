"""Estimator: trains, evaluates and predicts with any model function.

Over 400 lines: mostly docstrings.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Self

from centroids.checkpoints.checkpoint import Checkpoint
from centroids.checkpoints.lock import lock_model_dir
from centroids.errors import NoPointsError
from centroids.estimator._arguments import (
    check_count,
    check_evaluation_name,
    check_input_fn,
    check_predict_keys,
    check_train_steps,
    merge_model_dir,
    prepared_model_dir,
)
from centroids.estimator._exporting import check_receiver_fn, export_saved_model
from centroids.estimator._html import estimator_html
from centroids.estimator._inference import (
    evaluate_batches,
    predict_batches,
    write_evaluation,
)
from centroids.estimator._model_folder import ModelFolder
from centroids.estimator._model_function import ModelFunction
from centroids.estimator._run_config import RunConfig
from centroids.estimator._spec import EstimatorSpec, ModeKeys
from centroids.estimator._stop_signals import StopSignals
from centroids.estimator._training import Training, is_reached
from centroids.estimator._warm_start import WarmStartSettings, check_warm_start
from centroids.estimator.hooks._basic import StopAfterNumBatchesHook, StopAtStepHook
from centroids.estimator.hooks._defaults import may_stop
from centroids.estimator.hooks._protocol import SessionRunHook, check_hooks
from centroids.estimator.hooks._saving import CheckpointSaverListener, check_listeners
from centroids.estimator.predictions import Predictions, lazy_predictions
from centroids.estimator.session_setup import check_restored, position_to_resume
from centroids.export.receivers import ServingInputReceiver
from centroids.inputs import repeats
from centroids.inputs.missing import MissingValues, Treatment
from centroids.inputs.returned import bind_input_fn
from centroids.inputs.stream import open_stream
from centroids.inputs.weights import WeightColumn

logger = logging.getLogger(__name__)

InputFunction = Callable[..., Any]


class Estimator(ModelFolder):
    """Trains, evaluates and predicts with a model that a function describes.

    A pickled Estimator holds the path of its model folder, not the model: unpickling it reads
    what is newest there. A temporary folder may be gone by then, so its newest checkpoint travels
    along.

    The model function is called once per train, evaluate or predict:
    `model_fn(features, labels, mode, params, config)`, any of these by name, features at least.
    `features` and `labels` describe the batches (TensorSpec or a dict of them; None when the
    input is empty or gives no labels). It returns an EstimatorSpec.

    Args:
        model_fn: The model function.
        model_dir: The folder for checkpoints and event files. None takes that of `config`, or a
            new temporary folder, which is logged.
        config: Settings of the runs; None takes the defaults.
        params: Passed to `model_fn` and `input_fn` when they have such an argument.
        warm_start_from: What training begins with if model_dir has no checkpoint: a
            WarmStartSettings, or the path of another model's folder or checkpoint, whose weights
            are taken.

    Raises:
        ValueError: If `model_dir` and `config.model_dir` differ, or `model_fn` has arguments that
            are not known.
        NotADirectoryError: If `model_dir` is a file.

    An online mean, as a model:

    >>> import numpy as np
    >>> def model_fn(features, mode):
    ...     def update(batch):
    ...         step = int(batch.variables["global_step"]) + 1
    ...         mean = batch.variables["mean"]
    ...         batch.variables["mean"] = mean + (batch.features.mean(axis=0) - mean) / step
    ...     return EstimatorSpec(
    ...         mode,
    ...         predictions=lambda batch: batch.features - batch.variables["mean"],
    ...         loss=lambda batch: float(np.var(batch.features - batch.variables["mean"])),
    ...         train_op=update,
    ...         variables={"mean": np.zeros(features.shape[1])},
    ...     )
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as model_dir:
    ...     estimator = Estimator(model_fn, model_dir)
    ...     _ = estimator.train(lambda: [np.array([[1.0], [3.0]]), np.array([[4.0], [6.0]])])
    ...     print(estimator.get_variable_value("mean"))
    [3.5]
    """

    # The feature that holds the weights of the rows; batches then have them as `weights`. Of
    # subclasses whose models know weights.
    _weight_column: str | None = None
    # What becomes of rows with missing values. Of subclasses whose models know what to do.
    _missing: MissingValues = "raise"

    def __init__(
        self,
        model_fn: Callable[..., EstimatorSpec],
        model_dir: str | os.PathLike[str] | None = None,
        config: RunConfig | None = None,
        params: Any = None,
        warm_start_from: str | os.PathLike[str] | WarmStartSettings | None = None,
    ) -> None:
        super().__init__(merge_model_dir(config, model_dir))
        self._warm_start = check_warm_start(warm_start_from)
        self._model_fn = ModelFunction(model_fn, {} if params is None else params)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(model_dir={self.model_dir!r}, params={self.params!r})"

    def _repr_html_(self) -> str:  # for notebooks
        name = type(self).__name__
        return estimator_html(name, self.model_dir, self.params, self.config)

    @property
    def params(self) -> Any:
        """A copy of the params; {} when none were given."""
        return self._model_fn.params

    @property
    def model_fn(self) -> Callable[[Any, Any, str, RunConfig], EstimatorSpec]:
        """The model function bound to the params: `model_fn(features, labels, mode, config)`."""
        return self._model_fn

    def train(
        self,
        input_fn: InputFunction,
        hooks: Sequence[SessionRunHook] | None = None,
        steps: int | None = None,
        max_steps: int | None = None,
        saving_listeners: Sequence[CheckpointSaverListener] | None = None,
        *,
        restart_input: bool = False,
    ) -> Self:
        """Trains the model, from the latest checkpoint if there is one.

        Checkpoints are saved before the first step, as often as the config says, and at the end.
        They hold the position of the input too: after an interruption, or when `steps` or
        `max_steps` ended the last call, training continues with the next batch of the input, and
        ends with the same bits as an uninterrupted run. If the input had come to its end, it starts
        over.

        Ctrl-C and SIGTERM end training after the current step (of small batches: after up to 16
        that are made together) and its checkpoint; a second signal acts at once. No signal is
        lost, whatever else fails. One process at a time can train into a model_dir.

        Args:
            input_fn: Gives the input; called with any of mode, params and config that it takes.
            hooks: Called around every step.
            steps: How many steps to train in this call. None trains to the end of the input.
            max_steps: The global step to stop at. None trains to the end of the input; if the step
                is already reached, the call returns at once. An `input_fn` that returns an array
                has no end: give it one of the two (the log says so after the first repetition).
            saving_listeners: Called before and after each checkpoint.
            restart_input: Begin the input at its beginning, wherever the last run stopped. This is
                for an input other than that of the last run.

        Returns:
            The estimator itself, for chaining.

        Raises:
            ValueError: If both `steps` and `max_steps` are given, or one is not an integer > 0; if
                the checkpoint belongs to another model, or its position to another input; if the
                input ends before the model is initialised; if there are saving_listeners but no
                checkpoints are saved; if TF_CONFIG makes this process one of several tasks.
            TypeError: If hooks or listeners are of a wrong type.
            NanLossDuringTrainingError: If the loss becomes NaN.
            ModelDirBusyError: If another process or thread trains into model_dir; an OSError.
            ModelDirLostError: If model_dir was removed or replaced meanwhile, or this process was
                forked in the middle of training; nothing more is written. An OSError.
            TrainingInterruptedError: If a signal ended training early, and the program's own
                handler for it returned. What was trained is saved.
            OSError: If model_dir cannot be written.
        """
        steps, max_steps = check_train_steps(steps, max_steps)
        check_input_fn(input_fn)
        all_hooks = check_hooks(hooks)
        listeners = check_listeners(saving_listeners)
        self._config.check_may_train()
        if steps is not None or max_steps is not None:
            all_hooks.append(StopAtStepHook(steps, max_steps))
        folder = self.model_dir

        def train(signals: StopSignals) -> None:
            locked = signals.entered(lock_model_dir(folder))
            with prepared_model_dir(folder), locked as lock:
                restored = self._load_checkpoint()
                if is_reached(max_steps, restored):
                    return
                training = Training(
                    self._model_fn,
                    self._config,
                    input_fn,
                    restored,
                    all_hooks,
                    listeners,
                    signals,
                    lock,
                    None if restored is not None else self._load_warm_start(),
                    self._weights(ModeKeys.TRAIN),
                    self._treatment(ModeKeys.TRAIN),
                    max_steps if steps is None else steps,
                )
                loss = training.run(position_to_resume(restored, restart_input))
            logger.info("Loss for final step: %s.", loss)

        StopSignals().run(train)
        return self

    def evaluate(
        self,
        input_fn: InputFunction,
        steps: int | None = None,
        hooks: Sequence[SessionRunHook] | None = None,
        checkpoint_path: str | os.PathLike[str] | None = None,
        name: str | None = None,
    ) -> dict[str, Any]:
        """Evaluates the model, and writes the values to an event file.

        Args:
            input_fn: Gives the input; called with any of mode, params and config that it takes.
            steps: How many batches to take. None goes to the end of the input.
            hooks: Called around every batch.
            checkpoint_path: The checkpoint to evaluate; None takes the latest.
            name: The event file goes to `eval_<name>` in model_dir, or `eval` without a name. A
                name with slashes makes folders below each other.

        Returns:
            The value of each of the model's metrics by name, `loss` (the mean of the losses of
            the batches) and `global_step`.

        Raises:
            ValueError: If `steps` is not an integer > 0, if there is no trained model, if the
                checkpoint belongs to another model, or if the input has no batch.
            TypeError: If hooks are of a wrong type.
        """
        steps = check_count("steps", steps)
        check_input_fn(input_fn)
        check_evaluation_name(name)
        all_hooks = check_hooks(hooks)
        restored = self._trained(checkpoint_path)
        values, tags = self._evaluate_checkpoint(restored, input_fn, steps, all_hooks)
        logger.info("Evaluation at global step %d: %s", values["global_step"], values)
        write_evaluation(self.model_dir, name, values, tags)
        return values

    def _evaluate_checkpoint(
        self,
        restored: Checkpoint,
        input_fn: InputFunction,
        steps: int | None,
        hooks: list[SessionRunHook],
    ) -> tuple[dict[str, Any], Mapping[str, str]]:
        """The values of an evaluation, and the tags of the spec; arguments are checked."""
        all_hooks = list(hooks)
        if steps is not None:
            all_hooks.append(StopAfterNumBatchesHook(steps))
        # One wanted batch must not cost a second one, which reading ahead would fetch.
        with open_stream(
            input_fn,
            mode=ModeKeys.EVAL,
            params=self.params,
            config=self._config,
            read_ahead=steps != 1,
            weights=self._weights(ModeKeys.EVAL),
            missing=self._treatment(ModeKeys.EVAL),
        ) as batches:
            if not any(map(may_stop, all_hooks)):
                batches.warn_of_repeats(repeats.EVALUATE)
            if batches.peek() is None:
                raise NoPointsError(
                    "input_fn gave no batch (or only empty ones): nothing to evaluate"
                )
            spec = self._model_fn.for_batches(batches, ModeKeys.EVAL, self._config)
            values = evaluate_batches(spec, batches, restored, all_hooks, self._config)
        return values, spec.tags

    def predict(
        self,
        input_fn: InputFunction,
        predict_keys: Sequence[str] | None = None,
        hooks: Sequence[SessionRunHook] | None = None,
        checkpoint_path: str | os.PathLike[str] | None = None,
        yield_single_examples: bool = True,
    ) -> Predictions:
        """Yields the predictions of the model.

        If `input_fn` returns a collection of an engine (a dask array, say), the attribute
        `collection` of the result holds the predictions lazily, as a dict of collections of the
        same kind.

        The arguments are checked and the checkpoint is read at once; the input is opened when the
        first prediction is asked for.

        Args:
            input_fn: Gives the input; of a tuple, only the first item is used. One that returns an
                array has no end: return `centroids.inputs.limit_epochs(x, num_epochs=1)` instead
                (the log says so after the first repetition).
            predict_keys: Which predictions to evaluate, when they have names; None takes all.
                Names that the model does not have are ignored.
            hooks: Called around every batch.
            checkpoint_path: The checkpoint to use; None takes the latest.
            yield_single_examples: Yield one prediction per row; otherwise one per batch, as
                whole arrays, which is much faster.

        Yields:
            A dict of values by name, or a value where the predictions have no names.

        Raises:
            ValueError: If there is no trained model or the checkpoint belongs to another model, if
                none of `predict_keys` is a prediction of the model, or if the predictions of a
                batch differ in length.
            TypeError: If hooks are of a wrong type.
        """
        check_input_fn(input_fn)
        keys = check_predict_keys(predict_keys)
        all_hooks = check_hooks(hooks)
        restored = self._trained(checkpoint_path)

        def predictions() -> Generator[Any]:
            with open_stream(
                input_fn,
                mode=ModeKeys.PREDICT,
                params=self.params,
                config=self._config,
                weights=self._weights(ModeKeys.PREDICT),
                missing=self._treatment(ModeKeys.PREDICT),
            ) as batches:
                if not any(map(may_stop, all_hooks)):
                    batches.warn_of_repeats(repeats.PREDICT)
                spec = self._model_fn.for_batches(batches, ModeKeys.PREDICT, self._config)
                yield from predict_batches(
                    spec, batches, restored, keys, all_hooks, self._config, yield_single_examples
                )

        def collection() -> Any:
            arguments = {"mode": ModeKeys.PREDICT, "params": self.params, "config": self._config}
            returned = bind_input_fn(input_fn, arguments)()
            spec = self.model_fn(None, None, ModeKeys.PREDICT, self._config)
            check_restored(spec, restored, with_variables=False)
            weights = self._weights(ModeKeys.PREDICT)
            return lazy_predictions(returned, spec, restored.variables, keys, weights)

        return Predictions(predictions(), collection)

    def export_savedmodel(
        self,
        export_dir_base: str | os.PathLike[str],
        serving_input_receiver_fn: Callable[[], ServingInputReceiver],
        assets_extra: Mapping[str, str | os.PathLike[str]] | None = None,
        as_text: bool = False,
        checkpoint_path: str | os.PathLike[str] | None = None,
        *,
        check_numerics: bool = True,
    ) -> str:
        """Writes the trained model as a SavedModel, which TensorFlow and TF Serving load.

        The folder holds the graph with the variables as constants, a signature for each of the
        model's `export_outputs`, and the extra assets. It is written under another name and
        renamed when it is whole.

        Args:
            export_dir_base: The folder in which a folder is created, named by the time in seconds.
            serving_input_receiver_fn: Returns a ServingInputReceiver, which says what requests
                hold; see `centroids.export`.
            assets_extra: Files to copy into the subfolder `assets.extra`: source paths by the path
                of the copy in it.
            as_text: Write the proto as text.
            checkpoint_path: The checkpoint to export; None takes the latest.
            check_numerics: Refuse requests with NaN or infinity. False leaves out the operation
                CheckNumerics, which TensorFlow.js does not have; such requests then get an
                arbitrary answer.

        Returns:
            The path of the new folder.

        Raises:
            ValueError: If there is no serving_input_receiver_fn or it returns something else, the
                model has no export_outputs, there is no checkpoint or it does not fit the
                features, a destination of an asset is outside its folder, or the model is larger
                than a proto can be (2 GiB).
            OSError: If something cannot be read or written. No part of an export stays behind.

        >>> import numpy as np
        >>> import centroids, tempfile
        >>> points = np.array([[0.0, 1.0], [9.0, 1.0]], np.float32)
        >>> kmeans = centroids.KMeansClustering(2, initial_clusters=points).train(lambda: [points])
        >>> receive = centroids.export.build_raw_serving_input_receiver_fn({"x": points})
        >>> with tempfile.TemporaryDirectory() as base:
        ...     sorted(os.listdir(kmeans.export_savedmodel(base, receive)))
        ['saved_model.pb']
        """
        check_receiver_fn(serving_input_receiver_fn)
        return export_saved_model(
            self._model_fn,
            self._config,
            self._trained(checkpoint_path),
            export_dir_base,
            serving_input_receiver_fn,
            assets_extra,
            as_text,
            check_numerics,
        )

    export_saved_model = export_savedmodel

    def _weights(self, mode: str) -> WeightColumn | None:
        name = self._weight_column
        return None if name is None else WeightColumn(name, ignored=mode == ModeKeys.PREDICT)

    def _treatment(self, mode: str) -> Treatment:
        if self._missing == "raise":
            return "raise"
        # Each row has a prediction, if only to say that there is none.
        return "drop" if self._missing == "drop" and mode != ModeKeys.PREDICT else "keep"

    def _load_warm_start(self) -> tuple[WarmStartSettings, Checkpoint] | None:
        settings = self._warm_start
        if settings is None:
            return None
        path = os.fspath(settings.ckpt_to_initialize_from)
        found = self._load_folder(path) if os.path.isdir(path) else self._load_checkpoint(path)
        if found is None:
            raise ValueError(f"cannot warm-start from {path}: the folder has no checkpoint")
        return settings, found
