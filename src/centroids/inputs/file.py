"""The input function for a file, by its ending."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import DTypeLike

from centroids.errors import Argument, WordedError
from centroids.inputs._file_kinds import packed_kind
from centroids.inputs.arguments import check_file
from centroids.inputs.bad_rows import BadRows
from centroids.inputs.batch import Source
from centroids.inputs.npy import npy_input_fn
from centroids.inputs.parquet import parquet_input_fn
from centroids.inputs.records._tfrecord import tfrecord_input_fn
from centroids.inputs.text._text_format import DecimalMark, TextFormat, ThousandsMark
from centroids.inputs.text.csv_file import csv_input_fn

_TEXT_ENDINGS = (".csv", ".tsv", ".txt")
_TFRECORD = re.compile(r".*\.tfrecords?(\.gz|\.gzip|\.zlib|-\d+-of-\d+)*", re.IGNORECASE)


def file_input_fn(
    path: str | os.PathLike[str],
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
) -> Callable[[], Source]:
    """Makes an input function that feeds the rows of a file, in bounded memory.

    Args:
        path: A file that ends in .npy, .csv, .tsv, .txt, .parquet or .tfrecord (also with .gz or
            -00000-of-00010 after it; `tfrecord_input_fn` takes several).
        batch_size: The rows of a batch. The last one of an epoch may have fewer.
        num_epochs: How often to read the file; None: forever.
        shuffle: Whether to shuffle the rows, differently in each epoch; `npy_input_fn`,
            `csv_input_fn` and `parquet_input_fn` say how thoroughly.
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

    Returns:
        A function that returns a new source at each call.

    Raises:
        ImportError: If the file is Parquet and pyarrow is not installed.
        OSError: If the file cannot be read; FileNotFoundError if it is not there.
        TypeError: If it does not hold numbers.
        ValueError: If the ending is another one, or an argument has a value that is not allowed.
    """
    file = check_file(path)
    type_name = None if dtype is None else np.dtype(dtype).name
    text = TextFormat(header, delimiter, decimal, thousands, skip_lines, type_name)
    ending = file.suffix.lower()
    if is_text_file(file):
        return csv_input_fn(
            file,
            batch_size,
            num_epochs,
            shuffle,
            seed,
            columns=columns,
            bad_rows=bad_rows,
            **dataclasses.asdict(text),
        )
    _refuse_text_format(file, text)
    if ending == ".parquet":
        return parquet_input_fn(
            file,
            batch_size,
            num_epochs,
            shuffle,
            seed,
            columns=cast("Sequence[str] | None", columns),  # a number is not a column of this file
            bad_rows=bad_rows,
        )
    if is_tfrecord_file(file):
        names = cast("Sequence[str] | None", columns)
        return tfrecord_input_fn(
            file, batch_size, num_epochs, shuffle, seed, columns=names, bad_rows=bad_rows
        )
    if ending != ".npy":
        if (kind := packed_kind(file)) is not None:
            raise ValueError(f"{file} is {kind}")
        raise ValueError(
            "the name of a file must end in .npy, .csv, .tsv, .txt, .parquet or .tfrecord; got "
            f"{file}. Convert it, or rename it if it is one of these"
        )
    if columns is not None:
        raise WordedError(Argument("columns"), f" is for files with named columns; {file} has none")
    return npy_input_fn(file, batch_size, num_epochs, shuffle, seed, bad_rows=bad_rows)


def is_text_file(path: Path) -> bool:
    """Whether a file is read as text, by its name."""
    return path.suffix.lower() in _TEXT_ENDINGS


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
