"""PredictOutput: what a model answers, as functions that build tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

DEFAULT_SERVING_SIGNATURE_DEF_KEY = "serving_default"
"""The name of the signature that servers use if a request names none."""

SINGLE_OUTPUT = "output"


@dataclass(frozen=True)
class PredictOutput:
    """The outputs of one signature of an exported model.

    Attributes:
        outputs: A function of a Batch, which gets tensors for features (see
            `centroids.export.Tensor`) and the trained arrays for variables, and returns a tensor;
            or a dict of such functions by output name. A single one is called "output".

    Raises:
        ValueError: If it is neither, or an empty dict.

    >>> shifted = PredictOutput(lambda batch: batch.features - batch.variables["mean"])
    >>> list(shifted.named_outputs)
    ['output']
    """

    outputs: Callable[[Any], Any] | Mapping[str, Callable[[Any], Any]]

    def __post_init__(self) -> None:
        entries = self.named_outputs
        if not entries:
            raise ValueError("outputs is an empty dict; give at least one function")
        for name, function in entries.items():
            if not isinstance(name, str) or not callable(function):
                raise ValueError(
                    "outputs must be a function or a dict of functions by name, got "
                    f"{function!r} for {name!r}"
                )

    @property
    def named_outputs(self) -> dict[str, Callable[[Any], Any]]:
        """The functions by output name."""
        if isinstance(self.outputs, Mapping):
            return dict(self.outputs)
        return {SINGLE_OUTPUT: self.outputs}
