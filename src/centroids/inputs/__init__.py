"""Sources of data to batches, with positions that can be saved."""

from centroids.inputs.errors import OutOfRangeError
from centroids.inputs.memory import limit_epochs, numpy_input_fn
from centroids.inputs.source import Source
from centroids.inputs.sparse import SparseTensorValue
from centroids.inputs.stream import BatchStream, InputBatch, open_stream

__all__ = [
    "BatchStream",
    "InputBatch",
    "OutOfRangeError",
    "Source",
    "SparseTensorValue",
    "limit_epochs",
    "numpy_input_fn",
    "open_stream",
]
