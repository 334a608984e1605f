"""A file of points, and how it is read."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids.cli.progress import count_rows
from centroids.errors import EmptyColumnError
from centroids.inputs import TextFormat, open_stream, table_input_fn
from centroids.inputs.arguments import check_file
from centroids.inputs.bad_rows import BadRows, IsGood, is_not_infinite
from centroids.inputs.file import is_svmlight_file
from centroids.inputs.missing import Treatment
from centroids.inputs.npy import NpyFile
from centroids.inputs.row_count import RowCount
from centroids.inputs.stream import BatchStream, check_finite_rows
from centroids.inputs.tables.opening import is_folder, is_pattern, is_text_file, open_table
from centroids.inputs.text.csv_file import open_text
from centroids.inputs.text.csv_layout import (
    FirstLines,
    Layout,
    choose_columns,
    detect_layout,
    read_first_lines,
)
from centroids.inputs.weights import WeightColumn
from centroids.inputs.windows import check_reading
from centroids.kernels import check_points
from centroids.rows import WeightedPoints, join_rows

Columns = Sequence[str | int] | None

_READ_ROWS = 1 << 16
_LARGE_BYTES = 1 << 30
_ANY_TEXT = TextFormat()


@dataclass(frozen=True)
class PointsFile:
    """A file of points and how it is read.

    Attributes:
        path: The file.
        columns: The names and numbers of the columns to take; None for all. The last one is that
            of the weights, if there are such.
        text: How it is written, if it is text.
        weighted: Whether there are weights.
        missing: What becomes of rows with missing values.
        count: How many rows it has, as far as it has been read.
    """

    path: Path
    columns: Columns = None
    text: TextFormat = _ANY_TEXT
    weighted: bool = False
    missing: Treatment = "raise"
    count: RowCount = dataclasses.field(default_factory=RowCount, compare=False, repr=False)
    _read: dict[TextFormat, FirstLines] = dataclasses.field(
        default_factory=dict, compare=False, repr=False
    )

    def first_lines(self) -> FirstLines:
        """The first lines of a text file, which a command reads once."""
        if self.text not in self._read:
            self._read[self.text] = read_first_lines(self.path, self.text)
        return self._read[self.text]

    def layout(self, columns: Columns = None) -> Layout:
        """What a text file looks like if these columns are taken; None: all."""
        return detect_layout(self.first_lines(), columns)

    @property
    def is_text(self) -> bool:
        """Whether it is a single text file, by its name."""
        return is_text_file(self.path) and not (is_folder(self.path) or is_pattern(self.path))

    @property
    def is_npy(self) -> bool:
        """Whether it is a single array in a file."""
        return self.path.suffix.lower() == ".npy" and self.path.is_file()

    @functools.cached_property
    def has_columns(self) -> bool:
        """Whether there are columns to choose from."""
        if self.is_npy or (is_svmlight_file(self.path) and self.path.is_file()):
            return False
        is_many = is_folder(self.path) or is_pattern(self.path)
        return not is_many or open_table(self.path, self.text).has_names

    def open(
        self,
        batch_size: int = 128,
        num_epochs: int = 1,
        shuffle: bool = False,
        seed: int = 0,
        *,
        bad_rows: BadRows = "raise",
    ) -> Callable[[], Any]:
        """As `table_input_fn`; anything but a matrix of real numbers is refused at once, by name.

        Raises:
            OSError: If the file cannot be read.
            TypeError: If it does not hold real numbers.
            ValueError: If its shape is wrong, or a column is not there.
        """
        if self.is_text:
            reading = check_reading(batch_size, num_epochs, shuffle, seed, bad_rows)
            start = self.first_lines()
            open_source = open_text(check_file(self.path), reading, start, self.columns)
            return functools.partial(_counting, open_source, self.count)
        input_fn = table_input_fn(
            self.path,
            batch_size,
            num_epochs,
            shuffle,
            seed,
            columns=self.columns,
            bad_rows=bad_rows,
            **dataclasses.asdict(self.text),
        )
        if self.is_npy:
            check_points(NpyFile(self.path).read(0, 0), str(self.path))
        return functools.partial(_counting, input_fn, self.count)

    def num_rows(self) -> int | None:
        """The rows of the file; None if it would have to be read to tell."""
        known = self.count.exact
        return known if self.is_text or known is not None else num_rows_of(self.open()())

    def expected_rows(self) -> int | Callable[[], tuple[int, bool] | None]:
        """The rows of the file, or what says how many are expected while it is read."""
        known = self.num_rows()
        return self.count.expect if known is None else known

    def may_have_rows(self) -> bool:
        """Whether there is a row, as far as can be told without reading the file."""
        return bool(self.layout(self.columns).sample) if self.is_text else self.num_rows() != 0

    def read(self, bad_rows: BadRows = "raise") -> tuple[NDArray[Any], NDArray[np.float64] | None]:
        """All points, read into memory; a .npy file of more than 1 GiB is mapped.

        Returns:
            The points, and their weights if there are such.

        Raises:
            ValueError: If the file has no rows, or cannot be read as points.
            OSError: If it cannot be read at all.
        """
        input_fn = self.open(_READ_ROWS, bad_rows=bad_rows)
        weights: list[NDArray[np.float64]] = []
        if self.is_npy and bad_rows == "raise" and self.missing != "drop":
            points = self._read_npy()
        else:
            batches = list(self._batches(input_fn, weights))
            points = join_rows(batches) if batches else np.empty(0)
        if points.shape[0] == 0:
            raise ValueError(f"{self.path} has no rows")
        return points, np.concatenate(weights) if weights else None

    def batches(
        self, bad_rows: BadRows = "raise", batch_size: int = _READ_ROWS
    ) -> Iterator[NDArray[Any] | WeightedPoints]:
        """All points in batches, with their weights if there are such; see `read`."""
        weights: list[NDArray[np.float64]] = []
        for batch in self._batches(self.open(batch_size, bad_rows=bad_rows), weights):
            yield WeightedPoints(batch, weights.pop()) if weights else batch

    def _batches(
        self, input_fn: Callable[[], Any], weights: list[NDArray[np.float64]]
    ) -> Generator[NDArray[Any]]:
        column = None if self.weight_column is None else WeightColumn(self.weight_column)
        source = input_fn()
        with open_stream(lambda: source, weights=column, missing=self.missing) as stream:
            good = np.isfinite if self.missing == "raise" else is_not_infinite
            rows = _finite(stream, weights, good)
            text = f"reading {self.path.name}"
            yield from count_rows(rows, text, num_rows_of(source), self.count)

    def _read_npy(self) -> NDArray[Any]:
        if self.path.stat().st_size <= _LARGE_BYTES:
            array = NpyFile(self.path)
            return array.read(0, len(array))
        # It may be larger than the memory. If somebody cuts it off meanwhile, the process dies.
        return np.asarray(np.load(self.path, mmap_mode="r"))

    def width(self, bad_rows: BadRows = "raise") -> int | None:
        """The columns of a point; None if there are no points. Reads up to the first good row."""
        with contextlib.closing(self._batches(self.open(1, bad_rows=bad_rows), [])) as batches:
            first = next((batch for batch in batches if batch.shape[0]), None)
        return None if first is None else int(as_matrix(first).shape[1])

    @property
    def weight_column(self) -> str | None:
        """The column of the weights as its source calls it: its name, or its number in digits."""
        if not self.weighted or self.columns is None:
            return None
        if not self.is_text:
            return str(self.columns[-1])
        layout = self.layout(self.columns)
        number = (choose_columns(self.path, layout, self.columns) or ())[-1]
        return (layout.names or {number: ""})[number] or str(number)

    def every_name(self) -> list[str]:
        """The names of all columns of a file that is not text, also of those without numbers."""
        return list(open_table(self.path).schema.names)

    def column_names(self) -> list[str] | None:
        """The names of the columns of the points; None if the file has no names."""
        names = self._names_of_columns()
        return names[:-1] if self.weighted and names is not None else names

    def _names_of_columns(self) -> list[str] | None:
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
        if self.columns is None:
            return None
        return tuple(self.columns[:-1] if self.weighted else self.columns)

    @contextlib.contextmanager
    def naming_empty_columns(self) -> Iterator[None]:
        """Around what fits means to the points: errors name the file, and columns as it does."""
        try:
            yield
        except EmptyColumnError as error:
            raise error.in_file(self.path, self.columns_to_keep()) from error

    def _share_names(self, names: list[str]) -> bool:
        """Whether a column of the file, taken or not, has the name of another that is taken."""
        every: Sequence[str] = names
        if self.is_text:
            every = self.layout(self.columns).names or ()
        count = Counter(every)
        return any(count[name] > 1 for name in names)


def _counting(open_source: Callable[[], Any], count: RowCount) -> Any:
    """A new source that shares what is known of the number of its rows."""
    source = open_source()
    source.row_count = count
    return source


def num_rows_of(source: Any) -> int | None:
    """The rows that a source will read; None if it would have to read them to tell."""
    num_rows: int | None = getattr(source, "num_rows", None)
    return num_rows


def as_matrix(rows: NDArray[Any]) -> NDArray[Any]:
    """[n, d]; [n] counts as [n, 1]."""
    return rows.reshape(-1, 1) if rows.ndim == 1 else rows


def _finite(
    stream: BatchStream, weights: list[NDArray[np.float64]], is_good: IsGood
) -> Iterator[Any]:
    """The points of batches; bad ones are refused while their place in the file is known."""
    for number, batch in enumerate(stream):
        check_finite_rows(batch, number, is_good)
        if batch.weights is not None:
            weights.append(batch.weights)
        yield batch.features
