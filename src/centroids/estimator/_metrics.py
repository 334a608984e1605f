"""Metrics of an evaluation: small accumulators that see every batch once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from centroids.kernels.float_mode import in_usual_float_mode

if TYPE_CHECKING:
    from centroids.inputs.batch import Batch


@runtime_checkable
class Metric(Protocol):
    """Accumulates one value over the batches of an evaluation."""

    def reset(self) -> None:
        """Forgets every batch; called when an evaluation starts."""

    def update(self, batch: Batch) -> None:
        """Takes one batch in."""

    def result(self) -> Any:
        """Returns the value for the batches since `reset`: a number or an array."""


def _number(value: Any) -> Any:
    # NumPy scalars and 0-d arrays become Python numbers: float32 sums would lose digits.
    return np.asarray(value).item() if np.ndim(value) == 0 else np.asarray(value)


class Sum:
    """sum_b f(b) over the batches b.

    Args:
        function: Gives a number, or an array of one shape, for a batch.

    >>> from centroids.inputs.batch import Batch
    >>> metric = Sum(lambda batch: len(batch.features))
    >>> for rows in (np.zeros(3), np.zeros(4)):
    ...     metric.update(Batch(rows, None, 0, {}))
    >>> metric.result()
    7
    """

    def __init__(self, function: Callable[[Batch], Any]) -> None:
        self._function = function
        self.reset()

    def reset(self) -> None:
        """Sets the sum to 0."""
        self._total: Any = 0

    def update(self, batch: Batch) -> None:
        """Adds the value of the function for this batch.

        Raises:
            ValueError: If the sum of finite values is infinite.
        """
        self._add(batch.get(self._function), batch.index)

    @in_usual_float_mode
    def _add(self, value: Any, batch: int) -> None:
        value = _number(value)
        with np.errstate(over="ignore"):
            total = self._total + value
        if np.isinf(total).any() and np.isfinite(value).all() and np.isfinite(self._total).all():
            raise ValueError(
                f"values are too large: their sum over the batches overflows float64 in batch "
                f"{batch}; scale them down"
            )
        self._total = total

    def result(self) -> Any:
        """Returns the sum; 0 when there was no batch."""
        return self._total


class Ratio:
    """sum_b p(b) / sum_b q(b) over the batches b, a mean weighted by q.

    Args:
        numerator: Gives p for a batch.
        denominator: Gives q for a batch.
    """

    def __init__(
        self, numerator: Callable[[Batch], Any], denominator: Callable[[Batch], Any]
    ) -> None:
        self._numerator = Sum(numerator)
        self._denominator = Sum(denominator)

    def reset(self) -> None:
        """Sets both sums to 0."""
        self._numerator.reset()
        self._denominator.reset()

    def update(self, batch: Batch) -> None:
        """Adds the values of both functions for this batch."""
        self._numerator.update(batch)
        self._denominator.update(batch)

    @in_usual_float_mode
    def result(self) -> Any:
        """Returns the ratio; NaN when the denominator is 0."""
        denominator = self._denominator.result()
        if np.ndim(denominator) == 0 and denominator == 0:
            return float("nan")
        return self._numerator.result() / denominator


class Mean(Ratio):
    """sum_b f(b) / B: the mean over B batches of a value per batch, however long each batch is.

    Args:
        function: Gives a number, or an array of one shape, for a batch.
    """

    def __init__(self, function: Callable[[Batch], Any]) -> None:
        super().__init__(function, _one)


def _one(batch: Batch) -> int:
    return 1
