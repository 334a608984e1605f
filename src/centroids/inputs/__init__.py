"""Sources of data to batches, with positions that can be saved."""

from centroids.inputs._memory import limit_epochs, numpy_input_fn
from centroids.inputs._sparse import SparseTensorValue
from centroids.inputs.batch import Batch, BatchSource, Source
from centroids.inputs.errors import OutOfRangeError
from centroids.inputs.file import file_input_fn, table_input_fn
from centroids.inputs.npy import npy_input_fn
from centroids.inputs.pandas_table import pandas_input_fn
from centroids.inputs.parquet import parquet_input_fn
from centroids.inputs.records._tfrecord import tfrecord_input_fn
from centroids.inputs.stream import BatchStream, open_stream
from centroids.inputs.text._text_format import TextFormat
from centroids.inputs.text.csv_file import csv_input_fn

__all__ = [
    "Batch",
    "BatchSource",
    "BatchStream",
    "OutOfRangeError",
    "Source",
    "SparseTensorValue",
    "TextFormat",
    "csv_input_fn",
    "file_input_fn",
    "limit_epochs",
    "npy_input_fn",
    "numpy_input_fn",
    "open_stream",
    "pandas_input_fn",
    "parquet_input_fn",
    "table_input_fn",
    "tfrecord_input_fn",
]
