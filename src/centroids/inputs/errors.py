"""The exception that ends an input."""

from __future__ import annotations

from centroids.errors import WordedError
from centroids.packages import if_imported


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
    theirs = if_imported("tensorflow.python.framework.errors_impl", "OutOfRangeError")
    return isinstance(theirs, type) and isinstance(error, theirs)
