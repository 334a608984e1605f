"""The file of points that a command reads: which columns of it, and how text is written."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.cli.progress import count_rows
from centroids.cli.settings import Settings, read_settings
from centroids.cli.text_options import GivenText, with_kept
from centroids.errors import MissingColumnError, WordedError, message_of
from centroids.inputs import TextFormat, file_input_fn, open_stream
from centroids.inputs.arguments import check_file
from centroids.inputs.bad_rows import BadRows
from centroids.inputs.file import is_text_file
from centroids.inputs.npy import NpyFile
from centroids.inputs.stream import BatchStream, check_finite_rows
from centroids.inputs.text.csv_file import open_text
from centroids.inputs.text.csv_layout import (
    FirstLines,
    Layout,
    choose_columns,
    columns_of_words,
    detect_layout,
    read_first_lines,
)
from centroids.inputs.windows import check_reading
from centroids.kernels import check_points

Columns = Sequence[str | int] | None

ENDINGS = (".npy", ".csv", ".tsv", ".txt", ".parquet", ".tfrecord")
_WITHOUT_COLUMNS = ".npy"
_ALL_COLUMNS = "*"
_READ_ROWS = 1 << 16
_LARGE_BYTES = 1 << 30
_ANY_TEXT = TextFormat()


@dataclass(frozen=True)
class PointsFile:
    """A file of points and how it is read.

    Attributes:
        path: The file.
        columns: The names and numbers of the columns to take; None for all.
        text: How it is written, if it is text.
    """

    path: Path
    columns: Columns = None
    text: TextFormat = _ANY_TEXT
    _read: dict[TextFormat, FirstLines] = dataclasses.field(
        default_factory=dict, compare=False, repr=False
    )

    def _first_lines(self) -> FirstLines:
        """The first lines of a text file, which a command reads once."""
        if self.text not in self._read:
            self._read[self.text] = read_first_lines(self.path, self.text)
        return self._read[self.text]

    def layout(self, columns: Columns = None) -> Layout:
        """What a text file looks like if these columns are taken; None: all."""
        return detect_layout(self._first_lines(), columns)

    @property
    def is_text(self) -> bool:
        """Whether it is a text file, by its name."""
        return is_text_file(self.path)

    @property
    def has_columns(self) -> bool:
        """Whether there are columns to choose from."""
        return self.path.suffix.lower() != _WITHOUT_COLUMNS

    def open(
        self,
        batch_size: int = 128,
        num_epochs: int = 1,
        shuffle: bool = False,
        seed: int = 0,
        *,
        bad_rows: BadRows = "raise",
    ) -> Callable[[], Any]:
        """As `file_input_fn`; anything but a matrix of real numbers is refused at once, by name.

        Raises:
            OSError: If the file cannot be read.
            TypeError: If it does not hold real numbers.
            ValueError: If its shape is wrong, or a column is not there.
        """
        if self.is_text:
            reading = check_reading(batch_size, num_epochs, shuffle, seed, bad_rows)
            return open_text(check_file(self.path), reading, self._first_lines(), self.columns)
        input_fn = file_input_fn(
            self.path,
            batch_size,
            num_epochs,
            shuffle,
            seed,
            columns=self.columns,
            bad_rows=bad_rows,
            **dataclasses.asdict(self.text),
        )
        if not self.has_columns:
            check_points(NpyFile(self.path).read(0, 0), str(self.path))
        return input_fn

    def read(self, bad_rows: BadRows = "raise") -> NDArray[Any]:
        """All points, read into memory; a .npy file of more than 1 GiB is mapped.

        Raises:
            ValueError: If the file has no rows, or cannot be read as points.
            OSError: If it cannot be read at all.
        """
        input_fn = self.open(_READ_ROWS, bad_rows=bad_rows)
        if not self.has_columns and bad_rows == "raise":
            points = self._read_npy()
        else:
            batches = list(self._batches(input_fn))
            points = np.concatenate(batches) if batches else np.empty(0)
        if len(points) == 0:
            raise ValueError(f"{self.path} has no rows")
        return points

    def batches(self, bad_rows: BadRows = "raise") -> Iterator[NDArray[Any]]:
        """All points in batches; see `read`."""
        return self._batches(self.open(_READ_ROWS, bad_rows=bad_rows))

    def _batches(self, input_fn: Callable[[], Any]) -> Iterator[NDArray[Any]]:
        with open_stream(input_fn) as stream:
            yield from count_rows(_finite(stream), f"reading {self.path.name}")

    def _read_npy(self) -> NDArray[Any]:
        if self.path.stat().st_size <= _LARGE_BYTES:
            array = NpyFile(self.path)
            return array.read(0, len(array))
        # It may be larger than the memory. If somebody cuts it off meanwhile, the process dies.
        return np.asarray(np.load(self.path, mmap_mode="r"))

    def width(self) -> int | None:
        """The columns of a point; None if there are no points."""
        first = next(iter(self.open(1)()), None)
        return None if first is None else int(as_matrix(first).shape[1])

    def column_names(self) -> list[str] | None:
        """The names of the columns that are taken; None if the file has no names."""
        if not self.has_columns:
            return None
        if self.is_text:  # not opened: the log would tell of a guess that may not be used
            layout = self.layout(self.columns)
            chosen = choose_columns(self.path, layout, self.columns)
            every = layout.names
            if every is None:
                return None
            return list(every) if chosen is None else [every[column] for column in chosen]
        return list(names) if (names := getattr(self.open()(), "column_names", None)) else None

    def columns_to_keep(self) -> tuple[str | int, ...] | None:
        """What a model keeps of its columns: names, where each column has one of its own.

        Returns:
            Names; numbers for a file without names; None for all columns of such a file.
        """
        names = self.column_names()
        if names is not None and all(names) and not self._share_names(names):
            return tuple(names)
        return None if self.columns is None else tuple(self.columns)

    def _share_names(self, names: list[str]) -> bool:
        """Whether a column of the file, taken or not, has the name of another that is taken."""
        every: Sequence[str] = names
        if self.is_text:
            every = self.layout(self.columns).names or ()
        count = Counter(every)
        return any(count[name] > 1 for name in names)


def find_points(
    path: Path,
    asked: list[str] | None,
    text: GivenText,
    model_dir: Path | None,
    kept: Settings | None = None,
) -> PointsFile:
    """How to read a file of points: as was asked for, else as the model was trained.

    Args:
        path: The file. A .npy file has no columns to choose.
        asked: Names, or for a text file numbers from 0; ["*"] for all; None if the command line
            has none.
        text: How the file is written, as far as the command line says.
        model_dir: The folder of the model; None if there is none yet.
        kept: What the model keeps, if that is read already.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it lacks a column that the model was trained with.
    """
    if model_dir is None:
        kept = Settings()
    elif kept is None:
        kept = read_settings(model_dir, with_columns=asked is None)
    file = PointsFile(path)
    of_model = kept.text or {} if file.is_text else {}
    file = dataclasses.replace(file, text=with_kept(text, of_model))
    if asked == [_ALL_COLUMNS]:
        return file
    if asked is not None:
        return dataclasses.replace(file, columns=_columns_of_words(file, asked))
    if kept.columns is None or not file.has_columns:
        return file
    return _with_columns_of_model(file, kept.columns, str(model_dir))


def read_columns(model_dir: Path) -> tuple[str | int, ...] | None:
    """The columns that a model was trained with, as far as it keeps them; see `Settings`."""
    return read_settings(model_dir).columns


def as_matrix(rows: NDArray[Any]) -> NDArray[Any]:
    """[n, d]; [n] counts as [n, 1]."""
    return rows.reshape(-1, 1) if rows.ndim == 1 else rows


def describe_columns(columns: Sequence[str | int]) -> str:
    """Columns as --columns takes them."""
    return ",".join(map(str, columns))


def _finite(stream: BatchStream) -> Iterator[Any]:
    """The points of batches; bad ones are refused while their place in the file is known."""
    for number, batch in enumerate(stream):
        check_finite_rows(batch, number)
        yield batch.features


def _with_columns_of_model(
    file: PointsFile, columns: tuple[str | int, ...], model_dir: str
) -> PointsFile:
    chosen = dataclasses.replace(file, columns=columns)
    try:
        _check_columns(chosen)
    except MissingColumnError as error:
        if _has_as_many_without_names(file, columns):
            return file
        raise WordedError(
            message_of(error),
            f". The model in {model_dir} was trained with the columns "
            f"{describe_columns(columns)}: name those of this file with --columns, or take all "
            "with --columns '*'",
        ) from error
    # All columns in the order of the file are not a choice: the position of a training run says so.
    return file if _are_all_in_order(file, columns) else chosen


def _are_all_in_order(file: PointsFile, columns: tuple[str | int, ...]) -> bool:
    if not file.is_text:
        return False
    named = [name for name in file.layout().names or () if name]
    # Columns that share a name can only be taken one by one.
    return len(set(named)) == len(named) and file.column_names() == list(columns)


def _check_columns(file: PointsFile) -> None:
    """Raises a ValueError if a column is not there; reports nothing if the file can be read."""
    if file.is_text:
        check_file(file.path)
        file.column_names()
    else:
        file.open()


def _has_as_many_without_names(file: PointsFile, columns: tuple[str | int, ...]) -> bool:
    """Whether a text file without names has just as many columns: it is taken as a .npy file is."""
    if not file.is_text or not all(isinstance(column, str) for column in columns):
        return False
    layout = file.layout()
    return layout.names is None and layout.num_fields == len(columns)


def _columns_of_words(file: PointsFile, words: list[str]) -> list[str | int]:
    """Digits are numbers of columns if a text file has no column of that name."""
    if not file.is_text:
        _check_different(words, words)
        return list(words)
    columns = columns_of_words(file._first_lines(), words)
    layout = file.layout(columns)
    _check_different(words, choose_columns(file.path, layout, columns) or ())
    return columns


def _check_different(words: list[str], columns: Sequence[str | int]) -> None:
    for place, column in enumerate(columns):
        if column in columns[:place]:
            first = words[columns.index(column)]
            same = f"{words[place]!r} is the column {first!r} again"
            raise ValueError(
                f"--columns takes the column {first!r} twice: leave one out"
                if words[place] == first
                else f"--columns takes a column twice: {same}; leave one out"
            )
