"""A model function: which arguments it takes, and what it may return."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from centroids.estimator._spec import EstimatorSpec, ModeKeys, describe

if TYPE_CHECKING:
    from centroids.estimator._run_config import RunConfig
    from centroids.inputs.stream import BatchStream

_ARGUMENTS = ("features", "labels", "mode", "params", "config")


class ModelFunction:
    """A model function bound to its params: `model_fn(features, labels, mode, config)`.

    Args:
        function: The function of the user. It takes any of features, labels, mode, params and
            config by name, features at least.
        params: Passed as a copy in each call, so that no call can affect another.

    Raises:
        TypeError: If `function` is not a function.
        ValueError: If it takes no features, or requires another argument.
    """

    def __init__(self, function: Callable[..., EstimatorSpec], params: Any) -> None:
        self._names = _names_of_arguments(function)
        self._function = function
        self._params = copy.deepcopy(params)

    @property
    def params(self) -> Any:
        """A copy of the params."""
        return copy.deepcopy(self._params)

    def __call__(self, features: Any, labels: Any, mode: str, config: RunConfig) -> EstimatorSpec:
        """Calls the function with those of the values that it takes.

        Args:
            features: The description of a batch: a TensorSpec, a dict of them, or None.
            labels: The description of its labels likewise.
            mode: One of ModeKeys.
            config: The settings of the run.

        Raises:
            ValueError: If it does not return an EstimatorSpec, or one for another mode.
        """
        values = {
            "features": features,
            "labels": labels,
            "mode": mode,
            "params": self.params,
            "config": config,
        }
        spec = self._function(**{name: values[name] for name in self._names})
        if not isinstance(spec, EstimatorSpec):
            raise ValueError(f"model_fn should return an EstimatorSpec, not {spec!r}")
        if spec.mode != mode:
            raise ValueError(
                f"model_fn returned a spec for mode {spec.mode!r} when called for {mode!r}"
            )
        return spec

    def for_batches(self, batches: BatchStream, mode: str, config: RunConfig) -> EstimatorSpec:
        """Calls the function for an input, described by its first batch.

        Args:
            batches: The input; an empty one is described by None.
            mode: One of ModeKeys. For PREDICT labels are None, as no prediction may need them.
            config: The settings of the run.
        """
        first = batches.peek()
        features = None if first is None else describe(first.features)
        labels = None if first is None or mode == ModeKeys.PREDICT else describe(first.labels)
        return self(features, labels, mode, config)


def _names_of_arguments(function: Any) -> tuple[str, ...]:
    if not callable(function):
        raise TypeError(f"model_fn must be a function, not {function!r}")
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return _ARGUMENTS
    names = {parameter.name for parameter in parameters}
    required = {
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
    }
    unexpected = sorted(required - set(_ARGUMENTS))
    if unexpected:
        raise ValueError(
            f"model_fn ({function!r}) has following not expected args: {', '.join(unexpected)}; "
            f"it may take {', '.join(_ARGUMENTS)}"
        )
    if "features" not in names:
        raise ValueError(f"model_fn ({function!r}) must include features argument.")
    return tuple(name for name in _ARGUMENTS if name in names)
