"""Data sets that are read epoch after epoch: what all sources of ours share."""

from __future__ import annotations

import abc
import contextlib
import functools
import itertools
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centroids import distribute
from centroids.errors import Part
from centroids.inputs.bad_rows import (
    DroppedRows,
    describe_bad_value,
    find_good_rows,
    is_not_infinite,
    keep_rows,
)
from centroids.inputs.batch import Batch, Mask, Origin, Position, TableColumn
from centroids.inputs.weights import (
    PointOrigin,
    Split,
    WeightColumn,
    Weights,
    find_good_weights,
)
from centroids.kernels.float_mode import in_usual_float_mode
from centroids.rows import num_rows

# Everything that our sources read, convert and parse; the caller keeps its own mode.
_next = in_usual_float_mode(next)


@dataclass(frozen=True, slots=True)
class BatchPlace:
    """Which batch of a source it is.

    Attributes:
        epoch: Its epoch.
        place: The place within that, before the batch.
        order: [n], where its rows stand in the window that begins before it, or in the data set;
            None if they follow each other from the place on.
    """

    epoch: int
    place: Position
    order: NDArray[np.int64] | None


class EpochSource(abc.ABC):
    """A data set read epoch after epoch; its position is the epoch and the place within it.

    It is a BatchSource.

    Attributes:
        weight_column: The column that holds the weights of the rows; None: there is none. Who
            reads the batches sets it.
        keeps_missing: Whether NaN is a missing value, which makes no row a bad one; set likewise.
        hands_on_bad_rows: Whether bad rows come with the others, for who answers each row: a line
            that is not a row as an infinite one. Set likewise.
        where: The engine that takes a collection; None: the current one. Set likewise.

    Args:
        kind: The name of the kind of source.
        name: What the log and errors call the data set.
        num_epochs: How often the data is read; None: forever.
        identity: What must be equal for a saved position to mean the same place.
        drop_bad_rows: Whether rows with NaN or infinity are left out.
    """

    weight_column: WeightColumn | None = None
    keeps_missing: bool = False
    hands_on_bad_rows: bool = False
    where: Any = None

    def __init__(
        self,
        kind: str,
        name: str,
        num_epochs: int | None,
        identity: Mapping[str, Any],
        drop_bad_rows: bool,
    ) -> None:
        self._identity: dict[str, Any] = {"source": kind, **identity}
        self._name = name
        self._num_epochs = num_epochs
        self._drop_bad_rows = drop_bad_rows
        self._last_split: tuple[Any, Split] | None = None
        self._restored: tuple[int, Position] | None = None
        self._place: tuple[int, Position] = (0, {})
        # Where the rows of the batch that `_read_epoch` yielded last stand, if they are shuffled:
        # in the window that its place is within, else in the data set.
        self._order: NDArray[np.int64] | None = None

    @abc.abstractmethod
    def _read_epoch(self, epoch: int, place: Position) -> Generator[tuple[Any, Position]]:
        """Yields each batch of an epoch, bad rows included, with the place after it.

        Args:
            epoch: Counted from 0.
            place: A place that it yielded earlier, to begin after; or empty for the beginning.
        """

    @abc.abstractmethod
    def _limits(self) -> Mapping[str, int]:
        """The keys of a place in this source, each with the highest value that it can have.

        `rows_of_window` may be missing; the others are there all or none.
        """

    @abc.abstractmethod
    def _locate(self, at: BatchPlace, row: int, column: int | None) -> str:
        """Where a row of a batch is in the data, as messages name it.

        Args:
            at: The batch.
            row: The row in it.
            column: The column of the joined matrix; None: the whole row.
        """

    @abc.abstractmethod
    def _describe_bad_row(self, at: BatchPlace, row: int, reason: str) -> Part:
        """Where a row of a batch is in the data, and what is wrong with it.

        Args:
            at: The batch.
            row: The row in the batch.
            reason: What is wrong, as far as its numbers tell.
        """

    @property
    def column_names(self) -> Sequence[str] | None:
        """The names of the columns of a matrix, where the data set has them; else None."""
        return None

    def _table_columns(self) -> Sequence[TableColumn] | None:
        """What the columns of a matrix were in the data set; None if they had no names."""
        return None

    def __iter__(self) -> Iterator[Any]:
        """Yields the batches of the epochs that remain, without the rows that are dropped."""
        with contextlib.closing(self.batches()) as batches:
            for batch in batches:
                if batch.keep is None:
                    yield batch.features
                elif batch.keep.any():
                    yield keep_rows(batch.features, batch.keep)

    def batches(self) -> Generator[Batch]:
        """Yields the batches of the epochs that remain; rows to drop are marked, and in the log.

        Raises:
            ValueError: If all rows of a whole epoch are to be dropped.
        """
        names = None if self.column_names is None else tuple(self.column_names)
        columns = None
        if self.weight_column is not None:
            names, columns = self.weight_column.without(names), self._table_columns()
        first_epoch, place = self._restored or (0, {})
        self._restored, self._place = None, (first_epoch, place)
        dropped = DroppedRows(self._name)
        for epoch in itertools.count(first_epoch):
            if self._num_epochs is not None and epoch >= self._num_epochs:
                return
            begins, empty, complete = not place, True, False
            try:
                with contextlib.closing(self._read_epoch(epoch, place)) as reads:
                    while (read := _next(reads, None)) is not None:
                        value, place_after = read
                        before = self._place[1] if self._place[0] == epoch else {}
                        at = BatchPlace(epoch, before, self._order)
                        points, weights, origin = self._without_weights(value, at, columns)
                        keep = None
                        if self._drop_bad_rows and not self.hands_on_bad_rows:
                            keep = self._mark(value, points, weights, at, dropped)
                        self._place, empty = (epoch, place_after), False
                        yield Batch(
                            points,
                            epoch=epoch,
                            position=self.position(),
                            keep=keep,
                            origin=origin,
                            names=names,
                            weights=weights,
                        )
                complete = begins
                if complete:
                    dropped.check_some_left()
            finally:
                dropped.end_epoch(complete)
            self._order = None
            if begins and empty:
                return  # no rows at all: endless epochs of them would never return
            place = {}

    def position(self) -> Position:
        """Where the source stands after the batch yielded last."""
        epoch, place = self._restored or self._place
        return {**self._identity, "epoch": epoch, **place}

    def restore(self, position: Position) -> None:
        """Makes the next iteration begin at `position`.

        Raises:
            ValueError: If the source is not the one of `position`; it names both values.
        """
        if not isinstance(position, Mapping):
            raise ValueError(f"a saved position must be a dict, got {position!r}")
        rest = dict(position)
        for key, value in self._identity.items():
            saved = rest.pop(key, None)
            if saved != value:
                raise ValueError(
                    f"the saved position is of another input: {key} was {saved!r}, now it is "
                    f"{value!r}"
                )
        epoch = rest.pop("epoch", None)
        if type(epoch) is not int or epoch < 0:
            raise ValueError(f"the saved position has the epoch {epoch!r}; it must be at least 0")
        self._check_place(rest)
        self._restored = (epoch, rest)

    def _check_place(self, place: Position) -> None:
        """Raises a ValueError if `place` cannot be in this source."""
        limits = self._limits()
        needed = limits.keys() - {"rows_of_window"}
        if not place.keys() <= limits.keys() or place.keys() & needed not in (set(), needed):
            raise ValueError(
                f"the saved position has {sorted(place)} within the epoch, but for this input it "
                f"must have {sorted(limits)}"
            )
        for key, value in place.items():
            if type(value) is not int or not 0 <= value <= limits[key]:
                raise ValueError(
                    f"the saved position has the {key} {value!r}; for {self._name} it must be "
                    f"an integer from 0 to {limits[key]}"
                )

    def _origin(self, at: BatchPlace, row: int, column: int | None) -> str:
        return f"{self._name}, {self._locate(at, row, column)}"

    def _without_weights(
        self, batch: Any, at: BatchPlace, columns: Sequence[TableColumn] | None
    ) -> tuple[Any, Weights | None, Origin]:
        """A batch without its weights, those, and where its rows came from."""
        origin: Origin = functools.partial(self._origin, at)
        if self.weight_column is None:
            return batch, None, origin
        features = _features_of(batch)
        if distribute.is_sharded(features):  # which have theirs on the workers
            return batch, None, origin
        # A full batch, which is one and the same in each epoch, stays so.
        if self._last_split is None or self._last_split[0] is not features:
            split = self.weight_column.split(features, columns)
            self._last_split = features, split
        points, weights, place = self._last_split[1]
        if place is not None:
            origin = PointOrigin(origin, place)
        return (points, *batch[1:]) if isinstance(batch, tuple) else points, weights, origin

    @in_usual_float_mode
    def _mark(
        self,
        batch: Any,
        points: Any,
        weights: Weights | None,
        at: BatchPlace,
        dropped: DroppedRows,
    ) -> Mask | None:
        """Which rows of a batch to keep; None for all."""
        is_good = is_not_infinite if self.keeps_missing else np.isfinite
        good = find_good_rows(_features_of(points), is_good)
        if weights is not None and not (good_weights := find_good_weights(weights)).all():
            good = good_weights if good is None else good & good_weights
        bad = np.flatnonzero(~good) if good is not None else np.empty(0, np.int64)

        def describe_first() -> Part:
            row = int(bad[0])
            reason = describe_bad_value(_features_of(batch), row, is_good)
            if reason is None:  # only a weight can be finite and bad
                assert weights is not None and self.weight_column is not None
                reason = f"the weight in {self.weight_column.name!r} is {weights[row]}"
            return self._describe_bad_row(at, row, reason)

        dropped.add(num_rows(_features_of(batch)), bad.size, describe_first)
        return good


def _features_of(batch: Any) -> Any:
    return batch[0] if isinstance(batch, tuple) else batch
