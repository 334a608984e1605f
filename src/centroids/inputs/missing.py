"""Missing values: NaN in points, which may be left out or filled."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from centroids import distribute
from centroids.inputs.bad_rows import DroppedRows, find_bad_value, find_good_rows, keep_rows
from centroids.inputs.batch import Batch, Origin
from centroids.rows import num_rows

MissingValues: TypeAlias = Literal["raise", "drop", "mean"]

# What a stream does with rows that have missing values: passes them on as they are, to be refused
# or filled, or leaves them out.
Treatment: TypeAlias = Literal["raise", "keep", "drop"]


def treatment_of(missing: MissingValues) -> Treatment:
    """What becomes of rows with missing values where points are read."""
    return "keep" if missing == "mean" else missing


class MissingRows:
    """Leaves out the rows of batches that have missing values, and counts them for the log."""

    def __init__(self) -> None:
        self._dropped = DroppedRows("the input", "rows with missing values", "have missing values")
        self._epoch: int | None = None
        self._began = False

    def leave_out(self, batch: Batch, index: int) -> None:
        """Takes them out of a converted batch.

        Args:
            batch: The batch.
            index: Its number, for one that doesn't know where its rows came from.

        Raises:
            TypeError: If its points are on workers.
        """
        if distribute.is_sharded(batch.features):
            raise TypeError(
                "missing='drop' is not for collections, whose rows stay on workers: leave such "
                "rows out there, as with dropna() of a dask data frame or filter() of a Ray Dataset"
            )
        if self._began and batch.epoch != self._epoch:
            self._dropped.end_epoch(complete=True)
        self._began, self._epoch = True, batch.epoch
        complete = find_good_rows(batch.features, is_there)
        count = 0 if complete is None else int((~complete).sum())
        total = num_rows(batch.features)
        features, origin = batch.features, batch.origin

        def describe_first() -> str:
            assert complete is not None
            row = int(np.argmin(complete))
            column, _ = find_bad_value(features, row, is_there)
            if origin is not None:
                return f"{origin(row, column)}"
            return f"batch {index}, row {row}, column {column}"

        self._dropped.add(total, count, describe_first)
        if complete is None:
            return
        batch.features, batch.labels, batch.weights = keep_rows(
            (features, batch.labels, batch.weights), complete
        )
        batch.num_dropped_rows += count
        if origin is not None:
            batch.origin = _origin_of_kept(origin, np.flatnonzero(complete))

    def end(self, *, complete: bool) -> None:
        """Says how many there were.

        Args:
            complete: Whether the input was read from its beginning to its end.

        Raises:
            ValueError: If it was, and no row is left.
        """
        try:
            if complete:
                self._dropped.check_some_left()
        finally:
            self._dropped.end_epoch(complete)


@contextlib.contextmanager
def leaving_out_missing(*, begins: bool) -> Iterator[MissingRows]:
    """Leaves out rows that have missing values, and says at the end how many.

    Args:
        begins: Whether the input is read from its beginning.

    Raises:
        ValueError: If the input came to its end, and no row of it is left.
    """
    rows, complete = MissingRows(), False
    try:
        yield rows
        complete = begins
    finally:
        rows.end(complete=complete)


def is_there(values: NDArray[Any]) -> NDArray[Any]:
    """Of each element whether it is a value: NaN is a missing one."""
    return np.asarray(~np.isnan(values))


def _origin_of_kept(origin: Origin, rows: NDArray[np.int64]) -> Origin:
    return lambda row, column: origin(int(rows[row]), column)
