"""The exception that ends an input."""

from __future__ import annotations

import sys

from centroids.errors import WordedError


class OutOfRangeError(Exception):
    """End of the input, as TensorFlow's error of this name.

    An input function that returns one batch per call raises it (or StopIteration) when there is no
    further batch. The caller does not see an error: training, evaluation or prediction ends.

    >>> import centroids.inputs
    >>> remaining = [[1.0], [2.0]]
    >>> def input_fn():
    ...     if not remaining:
    ...         raise OutOfRangeError
    ...     return remaining.pop()
    >>> len(list(centroids.inputs.open_stream(input_fn)))
    2
    """


class PositionError(WordedError):
    """A saved position does not fit this input, which has changed or cannot continue anywhere."""


class NoPositionError(PositionError):
    """The input cannot continue from any position."""


class ReadingInterrupted(BaseException):
    """Raised where a batch is waited for, to end the reading at once."""


def is_end_of_input(error: Exception) -> bool:
    """Whether `error` means that there is no further batch: ours, Python's or TensorFlow's."""
    if isinstance(error, (OutOfRangeError, StopIteration)):
        return True
    tensorflow_errors = sys.modules.get("tensorflow.python.framework.errors_impl")
    theirs = getattr(tensorflow_errors, "OutOfRangeError", None)
    return isinstance(theirs, type) and isinstance(error, theirs)
