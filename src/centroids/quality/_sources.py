"""Points that are read from somewhere: a sample of them, and all of them in batches."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids import clustering
from centroids.errors import NoPointsError
from centroids.inputs import BatchStream, open_stream, table_input_fn
from centroids.inputs.bad_rows import is_not_infinite
from centroids.inputs.drawing import LowestNumbers
from centroids.inputs.missing import MissingValues, Treatment
from centroids.inputs.stream import check_finite_rows
from centroids.inputs.tables.opening import is_read_in_pieces
from centroids.inputs.weights import WeightColumn
from centroids.kernels import num_rows
from centroids.progress import Activity

_READ_ROWS = 1 << 14


class ReadPoints:
    """A random sample of points that are read, and a way to all of them.

    Attributes:
        points: [m, d], the sample; all points if they are no more than the sample may have.
        weights: [m], theirs; None: there are none.
        batches: Makes all points in batches, in pairs with their weights if there are such; None:
            the sample is all.

    Args:
        source: What `table_input_fn` takes, or an input function.
        weight_column: The column of the weights; None: there is none.
        missing: What becomes of missing values, which stay here unless they are errors.
        sample_rows: The most rows of the sample.
        seed: Of the sample.
        shows: Whether progress is shown.

    Raises:
        ValueError: If there are no points, or one is not finite.
    """

    def __init__(
        self,
        source: Any,
        weight_column: str | None,
        *,
        missing: MissingValues,
        sample_rows: int,
        seed: int,
        shows: bool,
    ) -> None:
        self._input_fn: Callable[[], Any] = (
            source if callable(source) else table_input_fn(source, _READ_ROWS)
        )
        self._column = None if weight_column is None else WeightColumn(weight_column)
        self._missing = missing
        self.points, self.weights, is_all = self._draw(sample_rows, seed, shows=shows)
        self.batches = None if is_all else self._batches

    def _draw(
        self, most: int, seed: int, *, shows: bool
    ) -> tuple[Any, NDArray[np.float64] | None, bool]:
        random = np.random.default_rng([seed, 0])
        points, weights, count = LowestNumbers(most), LowestNumbers(most), 0
        shown = Activity("reading a sample", unit="rows")
        with shown if shows else contextlib.nullcontext():
            for batch in self._read():
                rows, own = batch if self._column is not None else (batch, None)
                numbers = random.random(num_rows(rows))
                points.add(numbers, count, rows)
                if own is not None:
                    weights.add(numbers, count, own)
                count += num_rows(rows)
                shown.update(count)
        if not count:
            raise NoPointsError("the input has no points")
        drawn = None if self._column is None else weights.rows()
        return points.rows(), drawn, count <= most

    def _batches(self) -> Iterator[Any]:
        return self._read()

    def _read(self) -> Iterator[Any]:
        """All points once, in batches, in pairs with their weights if there are such."""
        treatment: Treatment = "raise" if self._missing == "raise" else "keep"
        is_good = np.isfinite if self._missing == "raise" else is_not_infinite
        with open_stream(self._input_fn, weights=self._column, missing=treatment) as stream:
            for number, batch in enumerate(_once(stream)):
                check_finite_rows(batch, number, is_good)
                rows = clustering.join_columns(batch.features)
                yield rows if self._column is None else (rows, batch.weights)


def _once(stream: BatchStream) -> Iterator[Any]:
    """The batches of an input, of which an array comes again and again."""
    for batch in stream:
        yield batch
        if stream.calls_again:
            return


def read_sample(
    points: Any,
    weights: Any,
    batches: Any,
    missing: MissingValues,
    sample_rows: int,
    seed: int,
    *,
    shows: bool,
) -> tuple[Any, NDArray[np.float64] | None, Callable[[], Iterator[Any]] | None]:
    """A sample of points that are read, its weights, and all points in batches; see `ReadPoints`.

    Raises:
        TypeError: If the points are in memory.
        ValueError: If there are batches, or weights are not the name of a column.
    """
    if not is_source(points):
        raise TypeError("weights can name a column only if the points are read from somewhere")
    if batches is not None or not (weights is None or isinstance(weights, str)):
        raise ValueError(
            "points that are read come in batches by themselves, and weights are one of their "
            "columns: leave batches out, and give weights the name of the column"
        )
    read = ReadPoints(
        points, weights, missing=missing, sample_rows=sample_rows, seed=seed, shows=shows
    )
    return read.points, read.weights, read.batches


def is_source(points: Any) -> bool:
    """Whether points are something to read, and not in memory."""
    return callable(points) or is_read_in_pieces(points)
