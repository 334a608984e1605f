"""Batches from TFRecord files of tf.train.Example messages, without TensorFlow."""

from __future__ import annotations

import functools
import glob
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from centroids.errors import Argument, Message, MissingColumnError, WordedError, WordedTypeError
from centroids.inputs._epochs import BatchPlace
from centroids.inputs.arguments import check_file
from centroids.inputs.bad_rows import BadRows
from centroids.inputs.batch import Position, TableColumn
from centroids.inputs.records._example import Column, ExampleParser, parse_example
from centroids.inputs.records._record_file import RecordFile, num_bytes
from centroids.inputs.tables.location import is_remote
from centroids.inputs.windows import Reading, WindowedSource, Windows, check_reading, join_pieces

Paths: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_PIECE_BYTES = 4 << 20
_ANY = (1 << 63) - 1


def tfrecord_input_fn(
    path: Paths,
    batch_size: int = 128,
    num_epochs: int | None = 1,
    shuffle: bool = False,
    seed: int = 0,
    *,
    columns: str | Sequence[str] | None = None,
    bad_rows: BadRows = "raise",
) -> Callable[[], TfrecordSource]:
    """Makes an input function that feeds the records of TFRecord files, in bounded memory.

    A record is a tf.train.Example; the features that are taken are lists of floats or of int64 with
    the same number of values in every record. They are put side by side: float32 if all are floats,
    int64 if all are integers, else float64. Files may be compressed by gzip or zlib, which is
    detected, and checksums are verified. With `shuffle`, the files come in another order in each
    epoch, and records are permuted within windows of 64 MiB.

    Args:
        path: A file, a pattern such as "points-*.tfrecord", or a list of such. Those that match a
            pattern are read in the order of their names.
        batch_size: The rows of a batch. The last one of an epoch may have fewer.
        num_epochs: How often to read the files; None: forever.
        shuffle: Whether to shuffle the rows, differently in each epoch.
        seed: Of the shuffling.
        columns: The name of the feature to take, or several, in this order; None: the only one that
            holds numbers.
        bad_rows: "drop" leaves out records without a row of numbers, and rows with NaN or infinity,
            and says so in the log. A record that differs from its checksum is always an error.

    Returns:
        A function that returns a new source at each call. Batches are [n, d].

    Raises:
        OSError: If a file cannot be read; FileNotFoundError if there is none.
        TypeError: If a feature holds no numbers.
        ValueError: If a file is not a TFRecord file, a feature is missing, `columns` is needed to
            choose one, or an argument has a value that is not allowed. While reading: if a record
            is damaged or not a row; it names file, record and feature.
    """
    files = _find_files(path)
    reading = check_reading(batch_size, num_epochs, shuffle, seed, bad_rows)
    chosen = _check_names(columns)
    TfrecordSource(files, reading, chosen)  # raises errors now, not at the first batch
    return functools.partial(TfrecordSource, files, reading, chosen)


class TfrecordSource(WindowedSource):
    """Rows of the records of files; see `tfrecord_input_fn`.

    A place within an epoch holds the number of the file, and byte and record in it; bytes are
    counted without compression.
    """

    def __init__(self, files: list[Path], reading: Reading, columns: list[str] | None) -> None:
        self._files = files
        first = _read_first(files)
        self._columns, dtype = (
            ([], np.dtype(np.float32)) if first is None else _choose(*first, columns)
        )
        self._types = {} if first is None else {name: each.dtype for name, each in first[1].items()}
        if reading.drop_bad_rows and dtype.kind == "i":
            dtype = np.dtype(np.float64)  # which has a NaN for what is not a row
        self._parser = ExampleParser(self._columns, dtype)
        row_bytes = self._parser.width * dtype.itemsize
        self._piece_rows = max(min(_PIECE_BYTES // max(row_bytes, 1), 1 << 14), 1)
        identity = {
            "columns": [column.name for column in self._columns],
            "widths": [column.width for column in self._columns],
            "dtype": dtype.name,
            "files": len(files),
            "bytes": num_bytes(files),
        }
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        super().__init__("tfrecord", f"{files[0]}{more}", reading, row_bytes, identity)

    @property
    def column_names(self) -> list[str]:
        """The names of the features that are taken."""
        return [column.name for column in self._columns]

    def _table_columns(self) -> list[TableColumn]:
        types = self._types
        return [TableColumn(each.name, each.width, types[each.name]) for each in self._columns]

    def _limits_of_window(self) -> Mapping[str, int]:
        return {"offset": _ANY, "file": len(self._files) - 1, "byte": _ANY, "record": _ANY}

    def _check_place(self, place: Position) -> None:
        super()._check_place(place)
        if "byte" not in place:
            return
        file = self._files[place["file"]]
        try:
            with RecordFile(file, place["byte"], place["record"]) as opened:
                opened.check_place()
        except ValueError as error:
            raise ValueError(
                f"the saved position is at byte {place['byte']} of {file}, where no record begins: "
                f"{error}"
            ) from error

    def _files_from(self, epoch: int, place: Position) -> list[int]:
        """The numbers of the files that remain to be read at a place of an epoch, in order."""
        order = np.arange(len(self._files))
        if self._reading.shuffle:
            order = np.random.default_rng([self._reading.seed, epoch]).permutation(order)
        numbers: list[int] = order.tolist()
        return numbers[numbers.index(place["file"]) :] if "file" in place else numbers

    def _read_windows(self, epoch: int, place: Position) -> Windows:
        offset, after = place.get("offset", 0), dict(place)

        def read_pieces() -> Any:
            for matrix, where in self._read_pieces(epoch, place):
                after.update(where)
                yield matrix

        for rows in join_pieces(read_pieces(), self._window_rows):
            offset += len(rows)
            yield rows, {**after, "offset": offset}

    def _read_pieces(self, epoch: int, place: Position) -> Any:
        """Matrices of a few MiB that end where windows do, each with the place after it."""
        missing = self._window_rows
        byte, record = place.get("byte", 0), place.get("record", 0)
        for number in self._files_from(epoch, place):
            file = self._files[number]
            with RecordFile(file, byte, record) as opened:
                while records := opened.read(min(self._piece_rows, missing)):
                    before = opened.record - len(records)
                    missing = (missing - len(records)) or self._window_rows
                    where = {"file": number, "byte": opened.byte, "record": opened.record}
                    yield self._parse(file, records, before), where
            byte = record = 0

    def _parse(self, file: Path, records: list[bytes], first: int) -> NDArray[Any]:
        matrix, bad = self._parser.parse(records)
        if bad and not self._drop_bad_rows:
            raise ValueError(f"{file}, record {first + bad[0]}: {self._problem(records[bad[0]])}")
        if bad:
            matrix[bad] = np.nan
        return matrix

    def _problem(self, record: bytes) -> str | None:
        try:
            self._parser.row_of(record)
        except ValueError as error:
            return str(error)
        return None

    def _origin(self, at: BatchPlace, row: int, column: int | None) -> str:
        return self._locate(at, row, column)  # which names the file, one of several

    def _locate_row(self, epoch: int, window: Position, row: int, column: int | None) -> str:
        file, number, _ = self._find_record(epoch, window, row)
        of_column = "" if column is None else f", feature {self._parser.name_of(column)}"
        return f"{file}, record {number}{of_column}"

    def _describe_row(self, epoch: int, window: Position, row: int, reason: str) -> str:
        file, number, record = self._find_record(epoch, window, row)
        return f"{file}, record {number}: {self._problem(record) or reason}"

    def _find_record(self, epoch: int, window: Position, row: int) -> tuple[Path, int, bytes]:
        """The file, number and bytes of the record that is a row of a window."""
        byte, record = window.get("byte", 0), window.get("record", 0)
        for number in self._files_from(epoch, window):
            file = self._files[number]
            with RecordFile(file, byte, record) as opened:
                while records := opened.read(min(row + 1, self._piece_rows)):
                    if row < len(records):
                        return file, opened.record - len(records) + row, records[row]
                    row -= len(records)
            byte = record = 0
        return file, 0, b""  # the files were cut off in the meantime


def _find_files(path: Paths) -> list[Path]:
    if is_remote(path) and hasattr(path, "suffix"):
        return [check_file(cast("Path", path))]
    given = [path] if isinstance(path, (str, os.PathLike)) else list(path)
    files: list[Path] = []
    for each in given:
        text = os.fspath(each)
        matches = (
            sorted(glob.glob(text)) if glob.has_magic(text) and not Path(text).exists() else []
        )
        files += [check_file(match) for match in matches or [text]]
    if not files:
        raise ValueError("path must name a file, got an empty list")
    return files


def _check_names(columns: object) -> list[str] | None:
    if columns is None:
        return None
    names = [columns] if isinstance(columns, str) else list(columns)  # type: ignore[call-overload]
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"columns must be the name of a feature or a list of names, got {columns!r}"
        )
    return names


def _read_first(files: list[Path]) -> tuple[Path, dict[str, NDArray[Any]]] | None:
    """The first record there is, and its file; None if all files are empty."""
    for file in files:
        with RecordFile(file) as opened:
            for record in opened.read(1):
                try:
                    return file, parse_example(record)
                except ValueError as error:
                    message = f"{file}, record 0 is not a tf.train.Example: {error}"
                    raise ValueError(message) from error
    return None


def _choose(
    file: Path, features: dict[str, NDArray[Any]], columns: list[str] | None
) -> tuple[list[Column], np.dtype[Any]]:
    """The columns to take and the type that holds them all."""
    numeric = [name for name, values in sorted(features.items()) if values.dtype != object]
    if columns is None and len(numeric) != 1:
        known = ", ".join(f"{name!r} ({_describe(features[name])})" for name in sorted(features))
        raise WordedError(
            f"{file} has the features {known or '(none)'}",
            remedy=Message("say which to take with ", Argument("columns", [])),
        )
    chosen = numeric if columns is None else columns
    for name in chosen:
        if name not in features:
            raise MissingColumnError(file, name, sorted(features))
        if features[name].dtype == object:
            raise WordedTypeError(
                f"{file}: the feature {name!r} must hold numbers, got bytes",
                remedy=Message("choose others with ", Argument("columns", [])),
            )
    taken = [Column(name, len(features[name])) for name in chosen]
    types = {features[name].dtype for name in chosen}
    return taken, types.pop() if len(types) == 1 else np.dtype(np.float64)


def _describe(values: NDArray[Any]) -> str:
    kind = "bytes" if values.dtype == object else values.dtype.name
    return f"{len(values)} of {kind}" if len(values) != 1 else kind
