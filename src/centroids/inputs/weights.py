"""The weights of rows: which column of the features holds them, and what they must be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from centroids.errors import BadRowError
from centroids.inputs.batch import Mask, Origin, TableColumn
from centroids.kernels.float_mode import in_usual_float_mode
from centroids.rows import Rows, is_sparse, num_rows

Weights = NDArray[np.float64]


class Split(NamedTuple):
    """Features without their weights.

    Attributes:
        features: The other columns.
        weights: [n]; None if they are not wanted, or not there.
        place: Which column of the matrix they were, a dict being joined in the order of its sorted
            keys; None if they were not there.
    """

    features: Any
    weights: Weights | None
    place: int | None


@dataclass(frozen=True)
class WeightColumn:
    """The column of the features that holds the weights of the rows.

    Attributes:
        name: Its name in a dict or a table; of a text file without names its number.
        ignored: Whether weights are of no use: the column may be missing, and is left out where it
            is not.
    """

    name: str
    ignored: bool = False

    def split(self, features: Any, columns: Sequence[TableColumn] | None) -> Split:
        """Takes the weights out of converted features.

        Args:
            features: A matrix, or a dict of columns.
            columns: What the columns of a matrix were; None if they had no names.

        Raises:
            TypeError: If the weights are not real numbers.
            ValueError: If the column is not there, is not a single one, or the only one.

        >>> weights = WeightColumn("n").split({"x": np.ones((2, 3)), "n": np.array([2, 1])}, None)
        >>> list(weights.features), weights.weights.tolist(), weights.place
        (['x'], [2.0, 1.0], 0)
        """
        if isinstance(features, dict):
            return self._split_dict(features)
        names = [column.name for column in columns or ()]
        if self.name not in names:
            if self.ignored:
                return Split(features, None, None)
            raise ValueError(self._missing(names))
        assert columns is not None
        at = names.index(self.name)
        place = sum(column.width for column in columns[:at])
        self._check_single(columns[at].width)
        others = [*columns[:at], *columns[at + 1 :]]
        if not others:
            raise ValueError(self._only())
        points = _without_column(features, place, [column.dtype for column in others])
        return Split(points, None if self.ignored else self._weights(features[:, place]), place)

    def check(self, weights: Weights) -> None:
        """Raises a ValueError that names the first row with a bad weight."""
        good = find_good_weights(weights)
        if not good.all():
            row = int(np.argmin(good))
            raise ValueError(f"{self.bad(weights[row])} in row {row}")

    def bad(self, weight: float) -> str:
        """What is wrong with a bad weight."""
        return f"the weights in {self.name!r} must be finite and at least 0, got {weight}"

    def without(self, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """The names of the columns that are left."""
        return None if names is None else tuple(name for name in names if name != self.name)

    def _split_dict(self, features: dict[str, Rows]) -> Split:
        if self.name not in features:
            if self.ignored:
                return Split(features, None, None)
            raise ValueError(self._missing(list(features)))
        points = {name: part for name, part in features.items() if name != self.name}
        if not points:
            raise ValueError(self._only())
        place = sum(_width(part) for name, part in points.items() if name < self.name)
        if self.ignored:
            return Split(points, None, place)
        column = features[self.name]
        self._check_single(_width(column))
        if num_rows(column) != num_rows(points):
            raise ValueError(
                f"the weights in {self.name!r} have {num_rows(column)} rows, the other columns "
                f"have {num_rows(points)}"
            )
        return Split(points, self._weights(column), place)

    @in_usual_float_mode
    def _weights(self, column: Rows) -> Weights:
        if is_sparse(column):
            column = column.toarray()
        if column.dtype.kind not in "biuf" and column.dtype.name != "bfloat16":
            raise TypeError(
                f"the weights in {self.name!r} must be real numbers, got elements of type "
                f"{column.dtype}"
            )
        return np.ascontiguousarray(column.reshape(-1), np.float64)

    def _check_single(self, width: int) -> None:
        if width != 1:
            raise ValueError(
                f"the weights in {self.name!r} must be one number per row, got {width} columns"
            )

    def _missing(self, names: Sequence[str]) -> str:
        what = f"has the columns {', '.join(map(repr, names))}" if names else "has no names"
        return (
            f"weight_column is {self.name!r}, but the batch {what}; let input_fn return a dict or "
            "a table that has the weights under this name"
        )

    def _only(self) -> str:
        return (
            f"weight_column is {self.name!r}, and the batch has no other column: there is none to "
            "cluster"
        )


def find_good_weights(weights: Weights) -> Mask:
    """Which weights are finite and at least 0.

    >>> find_good_weights(np.array([0.0, 2.5, -1.0, np.nan, np.inf])).tolist()
    [True, True, False, False, False]
    """
    return np.asarray((weights >= 0) & (weights < np.inf))


def check_weights(
    weights: Weights, column: WeightColumn, batch: int, origin: Origin | None
) -> None:
    """Refuses a batch with a bad weight, before anyone computes with it.

    Args:
        weights: [n].
        column: What held them.
        batch: Its number, for batches that don't know where their rows came from.
        origin: Says where its rows came from.

    Raises:
        BadRowError: If one is negative, NaN or infinite; it names the place.
    """
    good = find_good_weights(weights)
    if good.all():
        return
    row = int(np.argmin(good))
    error = BadRowError(
        column.bad(weights[row]),
        "remove or replace such rows",
        batch=batch,
        row=row,
    )
    if isinstance(origin, PointOrigin):
        raise error.at_origin(lambda row, _: origin.of_weight(row))
    raise error.at_origin(origin)


@dataclass(frozen=True)
class PointOrigin:
    """Where the rows of a batch came from whose weights stood among the columns of the points.

    Attributes:
        origin: That of the rows with their weights.
        place: Which column the weights were.
    """

    origin: Origin
    place: int

    def __call__(self, row: int, column: int | None) -> str:
        """Where a row of points, or one of its columns, came from."""
        if column is not None and column >= self.place:
            column += 1
        return self.origin(row, column)

    def of_weight(self, row: int) -> str:
        """Where the weight of a row came from."""
        return self.origin(row, self.place)


def _width(part: Rows) -> int:
    return int(np.prod(part.shape[1:]))


@in_usual_float_mode
def _without_column(matrix: Any, place: int, dtypes: Sequence[np.dtype[Any]]) -> Any:
    """The other columns, in the type that they are computed in without it."""
    if place == matrix.shape[1] - 1:
        points = matrix[:, :place]
    elif place == 0:
        points = matrix[:, 1:]
    else:
        points = np.concatenate([matrix[:, :place], matrix[:, place + 1 :]], axis=1)
    # A table is joined in the type that holds all columns: that of the weights may be the widest.
    single = np.result_type(np.float32, *dtypes) == np.float32
    wide = np.result_type(np.float32, points.dtype) != np.float32
    return points.astype(np.float32) if single and wide else points
