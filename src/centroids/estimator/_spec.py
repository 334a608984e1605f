"""What a model function gets and returns: ModeKeys, TensorSpec, Batch and EstimatorSpec."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Container, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from centroids.estimator._metrics import Metric
from centroids.estimator.hooks._protocol import SessionRunHook, check_hooks
from centroids.export.outputs import DEFAULT_SERVING_SIGNATURE_DEF_KEY, PredictOutput
from centroids.inputs.batch import Batch

Variables = MutableMapping[str, NDArray[Any]]


class ModeKeys:
    """The three modes of a model, with the values of r1.4."""

    TRAIN = "train"
    EVAL = "eval"
    PREDICT = "infer"


_MODES = (ModeKeys.TRAIN, ModeKeys.EVAL, ModeKeys.PREDICT)


@dataclass(frozen=True)
class TensorSpec:
    """The description of one array of a batch.

    Attributes:
        dtype: The element type.
        shape: One entry for each axis; None stands for the batch axis, which varies.
        sparse: Whether the array is a scipy sparse array.
    """

    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]
    sparse: bool = False


def describe(value: Any) -> Any:
    """Describes the features or labels of a batch.

    Args:
        value: An array, a sparse array, a dict of them, or None.

    Returns:
        A TensorSpec, a dict of them, or None.

    >>> describe(np.zeros((3, 2), np.float32))
    TensorSpec(dtype=dtype('float32'), shape=(None, 2), sparse=False)
    """
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {key: describe(column) for key, column in value.items()}
    sparse = hasattr(value, "tocsr")
    array = value if hasattr(value, "shape") and hasattr(value, "dtype") else np.asarray(value)
    return TensorSpec(np.dtype(array.dtype), (None, *array.shape[1:])[: array.ndim], sparse)


def find_name(name: str, names: Container[str]) -> str | None:
    """Returns which of `names` is meant; None if none is.

    Programs for TensorFlow also give the names of tensors, which end in the number of an output.

    >>> find_name("clusters:0", {"clusters"})
    'clusters'
    """
    if name in names:
        return name
    variable = name.removesuffix(":0")
    return variable if variable in names else None


def random_generator(seed: int | None) -> np.random.Generator:
    """Returns a generator for any seed: negative ones give their own streams, None a new one.

    >>> draws = [random_generator(seed).integers(2**60) for seed in (1, -1, -1)]
    >>> bool(draws[0] != draws[1] == draws[2])
    True
    """
    if seed is None or seed >= 0:
        return np.random.default_rng(seed)
    return np.random.default_rng([0, -seed])


BatchFunction = Callable[[Batch], Any]


@dataclass(frozen=True)
class EstimatorSpec:
    """A model for one mode: functions of a batch, and the variables that they use.

    A function runs only when it is fetched and at most once per batch (`train_op` always, in
    training). A name may stand for one thing only among predictions, variables, summaries and
    histograms; "loss" and "global_step" are taken.

    Attributes:
        mode: One of ModeKeys.
        predictions: A function, or a dict of functions by name, each giving an array whose first
            axis is the batch. Required for PREDICT.
        loss: Gives the scalar loss of a batch. Required for TRAIN and EVAL.
        train_op: Changes `batch.variables`; the session then counts the step. Required for
            TRAIN.
        eval_metric_ops: Metrics by name, for EVAL.
        export_outputs: What an exported model answers: a PredictOutput by signature name. One of
            several must be called "serving_default"; a single one is the default by itself.
        training_chief_hooks: Hooks of training that run before all others.
        training_hooks: Hooks of training.
        evaluation_hooks: Hooks of evaluation.
        prediction_hooks: Hooks of prediction.
        variables: Initial values by name. `global_step` is added by the runtime.
        initialize: Called in TRAIN when there is no checkpoint. Pulls batches from the iterator
            that it gets, as many as it needs, and writes `batch.variables`; the pulled batches
            are trained on afterwards. Raises ValueError if the input ends too early: then nothing
            is saved.
        random_seed: Seeds `batch.random` if there is no checkpoint; None: differently in each run.
        identity: Settings that a checkpoint must agree with, saved in it.
        check_variables: Called with the variables of a checkpoint before their names and shapes
            are compared to `variables`; may raise a ValueError that says more.
        summaries: Functions that give further scalars for the event file, by name. They run before
            the update of the steps that are written. Only for the last step of a run do they run
            after it, because nobody knows beforehand that it is the last. `batch.get` gives values
            from before the update.
        histograms: Functions that give arrays, whose histograms go to the event file likewise.
        tags: What event files call summaries, histograms and metrics, if that is not their name.
            TensorBoard groups tags by what stands before a slash.
        scalars_of_every_step: Whether the event file of training has the loss and the summaries of
            every step, because a step takes long beside them.
        weights: The names of the variables that a warm start takes by default, those that hold what
            was learnt; None: all.
        initialize_warm: Called instead of `initialize` for a warm start: it gets the first batch
            and the variables that come from the other checkpoint, and writes `batch.variables`.
            None: `initialize` is called, and the variables are put in place afterwards.
        first_pass: Called in TRAIN before `initialize`, if there is no checkpoint, with the batches
            of one pass over the input, which is opened once more for that. An iterator that does
            not know its epochs gives at most as many batches as the call makes steps. It returns
            initial values of variables. An input that returns one batch at a time has no passes
            and is refused.
        train_many: Does what `train_op` does for the first of some batches, one after the other, as
            if each had had its step, and returns for how many of them. It is called if no hook has
            to see these steps. It leaves to `train_op` what it cannot do, batches that something is
            wrong with, and losses that are not a number. None: each batch has its step.

    Raises:
        ValueError: If something that the mode requires is missing, or a name is used twice.
        TypeError: If an entry has a wrong type.

    >>> spec = EstimatorSpec(ModeKeys.PREDICT, predictions={"double": lambda b: 2 * b.features})
    >>> EstimatorSpec(ModeKeys.PREDICT)
    Traceback (most recent call last):
    ...
    ValueError: Missing predictions: EstimatorSpec needs them for mode 'infer'
    """

    mode: str
    predictions: Mapping[str, BatchFunction] | BatchFunction | None = None
    loss: BatchFunction | None = None
    train_op: BatchFunction | None = None
    eval_metric_ops: Mapping[str, Metric] | None = None
    export_outputs: Mapping[str, PredictOutput] | None = None
    training_chief_hooks: Sequence[SessionRunHook] = ()
    training_hooks: Sequence[SessionRunHook] = ()
    evaluation_hooks: Sequence[SessionRunHook] = ()
    prediction_hooks: Sequence[SessionRunHook] = ()
    variables: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    initialize: Callable[[Iterator[Batch]], None] | None = None
    random_seed: int | None = 0
    identity: Mapping[str, str] = field(default_factory=dict)
    check_variables: Callable[[Mapping[str, NDArray[Any]]], None] | None = None
    summaries: Mapping[str, BatchFunction] = field(default_factory=dict)
    histograms: Mapping[str, BatchFunction] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    scalars_of_every_step: bool = False
    weights: Sequence[str] | None = None
    initialize_warm: Callable[[Batch, Mapping[str, NDArray[Any]]], None] | None = None
    first_pass: Callable[[Iterator[Batch]], Mapping[str, NDArray[Any]]] | None = None
    train_many: Callable[[Sequence[Batch]], int] | None = None

    def _replace(self, **changes: Any) -> Self:
        # A spec of r1.4 is a named tuple: functions that wrap another model function use this.
        return dataclasses.replace(self, **changes)

    def __post_init__(self) -> None:
        if self.mode not in _MODES:
            raise ValueError(
                f"mode must be one of {', '.join(map(repr, _MODES))}, not {self.mode!r}"
            )
        self._check_required()
        self._check_functions()
        self._check_metrics()
        self._check_export_outputs()
        self._check_names()
        for name in (
            "training_chief_hooks",
            "training_hooks",
            "evaluation_hooks",
            "prediction_hooks",
        ):
            check_hooks(getattr(self, name), name)

    def _check_required(self) -> None:
        required = {
            ModeKeys.TRAIN: ("loss", "train_op"),
            ModeKeys.EVAL: ("loss",),
            ModeKeys.PREDICT: ("predictions",),
        }
        for name in required[self.mode]:
            if getattr(self, name) is None:
                them = "them" if name == "predictions" else "it"
                raise ValueError(
                    f"Missing {name}: EstimatorSpec needs {them} for mode {self.mode!r}"
                )
        if isinstance(self.predictions, Mapping) and not self.predictions:
            raise ValueError("predictions is an empty dict; give at least one function")

    def _check_functions(self) -> None:
        functions: dict[str, Any] = {
            "loss": self.loss,
            "train_op": self.train_op,
            "initialize": self.initialize,
            "initialize_warm": self.initialize_warm,
            "check_variables": self.check_variables,
            "first_pass": self.first_pass,
            "train_many": self.train_many,
        }
        if not isinstance(self.predictions, Mapping):
            functions["predictions"] = self.predictions
        for argument, entries in (
            ("predictions", self.predictions),
            ("summaries", self.summaries),
            ("histograms", self.histograms),
        ):
            if isinstance(entries, Mapping):
                functions |= {f"{argument}[{name!r}]": entry for name, entry in entries.items()}
        for name, function in functions.items():
            if function is not None and not callable(function):
                raise TypeError(f"{name} must be a function, not {function!r}")

    def _check_metrics(self) -> None:
        for name, metric in (self.eval_metric_ops or {}).items():
            if name in ("loss", "global_step"):
                raise ValueError(
                    f"eval_metric_ops has an entry {name!r}, which every evaluation gives already; "
                    "choose another name"
                )
            if not isinstance(metric, Metric):
                raise TypeError(
                    f"eval_metric_ops[{name!r}] must have the methods reset, update and result, "
                    f"but {metric!r} does not"
                )

    def _check_export_outputs(self) -> None:
        outputs = self.export_outputs
        if outputs is None:
            return
        if not isinstance(outputs, Mapping):
            raise TypeError(f"export_outputs must be a dict by signature name, got {outputs!r}")
        for key, output in outputs.items():
            if not isinstance(key, str) or not isinstance(output, PredictOutput):
                raise TypeError(
                    f"export_outputs[{key!r}] must be a PredictOutput with a string for a name, "
                    f"got {output!r}"
                )
        if len(outputs) > 1 and DEFAULT_SERVING_SIGNATURE_DEF_KEY not in outputs:
            raise ValueError(
                f"export_outputs has {', '.join(map(repr, outputs))}, but none of them is the "
                f"default; name one {DEFAULT_SERVING_SIGNATURE_DEF_KEY!r}"
            )

    def _check_names(self) -> None:
        taken = {"loss": "the loss", "global_step": "the number of steps"}
        predictions = self.predictions if isinstance(self.predictions, Mapping) else {}
        for kind, names in (
            ("a variable", self.variables),
            ("a prediction", predictions),
            ("a summary", self.summaries),
            ("a histogram", self.histograms),
        ):
            for name in names:
                if not isinstance(name, str):
                    raise TypeError(f"the name of {kind} must be a string, not {name!r}")
                if name in taken:
                    raise ValueError(f"{name!r} names {kind} and also {taken[name]}; rename one")
                taken[name] = kind
