"""The input function for a file, by its ending."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike

from centroids.errors import Argument, WordedError
from centroids.inputs.arguments import check_file
from centroids.inputs.bad_rows import BadRows
from centroids.inputs.batch import Source
from centroids.inputs.npy import npy_input_fn
from centroids.inputs.parquet import open_groups
from centroids.inputs.records._tfrecord import tfrecord_input_fn
from centroids.inputs.svmlight import open_svmlight
from centroids.inputs.tables.columns import numeric_columns
from centroids.inputs.tables.location import Text, find_location, split_part
from centroids.inputs.tables.opening import (
    find_files,
    has_known_ending,
    is_folder,
    is_parquet,
    is_pattern,
    is_text_file,
    is_zarr,
    open_table,
    parquet_of,
)
from centroids.inputs.tables.source import TableSource
from centroids.inputs.tables.table import Table
from centroids.inputs.text._text_format import DecimalMark, TextFormat, ThousandsMark
from centroids.inputs.text.csv_file import open_text
from centroids.inputs.text.csv_layout import read_first_lines
from centroids.inputs.windows import Reading, check_reading

_SVMLIGHT = re.compile(r".*\.(svm|svmlight|libsvm)(\.(gz|bz2|xz|zst))?", re.IGNORECASE)
_TFRECORD = re.compile(r".*\.tfrecords?(\.gz|\.gzip|\.zlib|-\d+-of-\d+)*", re.IGNORECASE)


def table_input_fn(
    source: Any,
    batch_size: int = 128,
    num_epochs: int | None = 1,
    shuffle: bool = False,
    seed: int = 0,
    *,
    columns: Sequence[str | int] | None = None,
    bad_rows: BadRows = "raise",
    delimiter: str | None = None,
    header: bool | None = None,
    dtype: DTypeLike | None = None,
    decimal: DecimalMark = ".",
    thousands: ThousandsMark | None = None,
    skip_lines: int = 0,
    encoding: str | None = None,
) -> Callable[[], Source]:
    """Makes an input function that feeds the rows of any table, in bounded memory.

    Only a sheet of a workbook is read as a whole: its format gives no part of it before the end.

    Args:
        source: A file, a folder of files, a pattern such as `"points/*.csv"`, the address of a
            remote file (`https://`, `s3://`, `gs://`) or of a database
            (`"postgresql://host/db#table"`), a query (`"SELECT a, c FROM 't.parquet'"`), or an
            object: a data frame of pandas or polars, an Arrow table, an array, a Hugging Face
            dataset, a torch DataLoader that does not shuffle. docs/inputs.md lists the kinds.
        batch_size: The rows of a batch. The last one of an epoch may have fewer.
        num_epochs: How often to read the table; None: forever.
        shuffle: Whether to shuffle the rows, differently in each epoch; `npy_input_fn` and
            `parquet_input_fn` say how thoroughly. Other tables are shuffled within windows of
            64 MiB, which come in order.
        seed: Of the shuffling.
        columns: The names of the columns to take, in this order, or for text their numbers from 0;
            None: all but the index, or the only one of a TFRecord file. Not for .npy.
        bad_rows: "drop" leaves out rows with NaN or infinity, and lines of text that are not a row
            of numbers, and says so in the log; see `numpy_input_fn`.
        delimiter: For text; see `csv_input_fn`, as for those that follow.
        header: Whether the first line of a text file holds the names of its columns.
        dtype: The floating-point type of the numbers of a text file.
        decimal: The decimal mark of a text file.
        thousands: What groups the digits of large numbers in a text file.
        skip_lines: How many lines to skip at the beginning of a text file.
        encoding: The encoding of a text file.

    Returns:
        A function that returns a new source at each call.

    Raises:
        ImportError: If a package that reads it is not installed; it says what to install.
        OSError: If it cannot be read; FileNotFoundError if it is not there.
        TypeError: If it does not hold numbers.
        ValueError: If it is not a table, or an argument has a value that is not allowed.
    """
    type_name = None if dtype is None else np.dtype(dtype).name
    text = TextFormat(header, delimiter, decimal, thousands, skip_lines, type_name, encoding)
    reading = check_reading(batch_size, num_epochs, shuffle, seed, bad_rows)
    # A number is a column of text alone.
    names = cast("Sequence[str] | None", columns)
    files: list[Path] = []
    if isinstance(source, (str, os.PathLike)) or hasattr(source, "suffix"):
        location, part = split_part(find_location(source))
        is_one = not (is_folder(location) or is_pattern(location) or isinstance(location, Text))
        if is_one:
            check_file(location)
        if is_one and is_text_file(location):
            return open_text(location, reading, read_first_lines(location, text), columns)
        if not (is_one or isinstance(location, Text) or is_zarr(location)):
            files = find_files(location)
        if not (files and all(map(is_text_file, files))):
            _refuse_text_format(location, text)
        if is_one and is_tfrecord_file(location):
            return tfrecord_input_fn(
                location, batch_size, num_epochs, shuffle, seed, columns=names, bad_rows=bad_rows
            )
        if is_one and (is_svmlight_file(location) or location.suffix.lower() == ".npy"):
            if columns is not None:
                raise WordedError(
                    Argument("columns"), f" is for files with named columns; {location} has none"
                )
            if is_svmlight_file(location):
                return open_svmlight(location, reading)
            return npy_input_fn(location, batch_size, num_epochs, shuffle, seed, bad_rows=bad_rows)
        if part is None and is_parquet(location):
            open_files = functools.partial(parquet_of, location)
            return open_groups(open_files, reading, names, parquet_of(location, files))
    open_again = functools.partial(open_table, source, text)
    table = open_table(source, text, files)
    chosen = numeric_columns(table, names)
    if columns is not None and not table.has_names:
        raise WordedError(
            Argument("columns"), f" is for tables with named columns; {table.name} has none"
        )
    TableSource(table, reading, chosen)  # raises errors now, not at the first batch
    return functools.partial(_open_source, open_again, reading, chosen)


def file_input_fn(path: str | os.PathLike[str], *args: Any, **kwargs: Any) -> Callable[[], Source]:
    """The same as `table_input_fn`, under the name that it had when it read only files."""
    return table_input_fn(path, *args, **kwargs)


def _open_source(
    open_again: Callable[[], Table], reading: Reading, columns: list[str]
) -> TableSource:
    return TableSource(open_again(), reading, columns)


def is_points_file(path: Path) -> bool:
    """Whether a file is one of points, by its name."""
    known = is_text_file(path) or is_tfrecord_file(path) or is_svmlight_file(path)
    return known or has_known_ending(path)


def is_svmlight_file(path: Path) -> bool:
    """Whether a file holds sparse points, by its name."""
    return _SVMLIGHT.fullmatch(path.name) is not None


def is_tfrecord_file(path: Path) -> bool:
    """Whether a file is read as records, by its name."""
    return _TFRECORD.fullmatch(path.name) is not None


def _refuse_text_format(file: Path, text: TextFormat) -> None:
    for field in dataclasses.fields(TextFormat):
        value = getattr(text, field.name)
        if value != field.default:
            raise WordedError(
                Argument(field.name),
                f" is for text files, and {file} is not one: leave ",
                Argument(field.name, value),
                " out",
            )
