"""Rows without a distance to anything: which they are, and what the log says about them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from centroids.checks import check_choice
from centroids.errors import Part, WordedError
from centroids.inputs._sparse import check_sparse
from centroids.inputs.batch import Mask
from centroids.inputs.convert import Columns
from centroids.rows import Rows, num_rows

BadRows: TypeAlias = Literal["raise", "drop"]

IsGood: TypeAlias = Callable[[NDArray[Any]], NDArray[Any]]

_BLOCK_ELEMENTS = 1 << 20

logger = logging.getLogger(__name__)


def check_bad_rows(value: object) -> bool:
    """Whether bad rows are to be dropped; a ValueError unless `value` is "raise" or "drop"."""
    return check_choice("bad_rows", value, ("raise", "drop")) == "drop"


def find_good_rows(features: Columns, is_good: IsGood = np.isfinite) -> Mask | None:
    """Which rows have neither NaN nor infinity in any column; None if all rows are good.

    Args:
        features: An array, a sparse matrix, or a dict of such.
        is_good: Another rule of what is good, by element.

    >>> find_good_rows({"a": np.array([1.0, np.nan, 3.0]), "b": np.array([1.0, 2.0, np.inf])})
    array([ True, False, False])
    """
    parts = features.values() if isinstance(features, dict) else [features]
    good = np.ones(num_rows(features), np.bool_)
    for part in parts:
        if part.dtype.kind in "biu":
            continue
        if isinstance(part, np.ndarray):
            _exclude_dense(good, part, is_good)
        else:
            check_sparse(part, "features")
            bad = np.flatnonzero(~is_good(part.data))
            good[np.searchsorted(part.indptr, bad, side="right") - 1] = False
    return None if good.all() else good


def is_not_infinite(values: NDArray[Any]) -> NDArray[Any]:
    """Of each element whether it is good where NaN is allowed: a missing value."""
    return np.asarray(~np.isinf(values))


def keep_rows(columns: Any, good: Mask) -> Any:
    """The good rows of an array, a sparse matrix, a dict or pair of such; None stays None.

    Raises:
        ValueError: If there are not as many rows as in `good`.
    """
    if columns is None:
        return None
    if isinstance(columns, dict):
        return {key: keep_rows(column, good) for key, column in columns.items()}
    if isinstance(columns, tuple):
        return tuple(keep_rows(part, good) for part in columns)
    if columns.shape[0] != len(good):
        raise ValueError(
            f"features and labels must have the same number of rows, got {len(good)} and "
            f"{columns.shape[0]}"
        )
    return columns[good]


def with_zeros(rows: Any, is_good: IsGood) -> Any:
    """An array or a sparse matrix with zeros in place of what is not good."""
    rows = rows.copy()
    values = rows if isinstance(rows, np.ndarray) else rows.data
    values[~is_good(values)] = 0
    return rows


def describe_bad_value(features: Columns, row: int, is_good: IsGood = np.isfinite) -> str | None:
    """What is not finite in a row, or not good; None if all of it is.

    >>> describe_bad_value(np.array([[1.0, 2.0], [3.0, np.nan]]), 1)
    'column 1 is nan'
    """
    for key, part in _parts(features).items():
        values = _values_of_row(part, row)
        bad = np.flatnonzero(~is_good(values))
        if bad.size:
            of_key = f" of {key!r}" if key else ""
            return f"column {bad[0]}{of_key} is {values[bad[0]]}"
    return None


def find_bad_value(features: Columns, row: int, is_good: IsGood = np.isfinite) -> tuple[int, Any]:
    """The column and the value of the first element of a row that is not finite, or not good.

    Columns are counted in the matrix that a dict is joined to, in the order of its sorted keys.

    >>> find_bad_value({"b": np.array([np.inf]), "a": np.array([1.0])}, 0)
    (1, np.float64(inf))
    """
    parts = [_values_of_row(part, row) for _, part in sorted(_parts(features).items())]
    values = np.concatenate(parts)
    column = int(np.argmin(is_good(values)))
    return column, values[column]


def _parts(features: Columns) -> dict[str, Rows]:
    return features if isinstance(features, dict) else {"": features}


class DroppedRows:
    """Counts and logs the rows of a data set that are dropped.

    The first is logged with place and reason. At the end of an epoch their number follows, unless
    the log has it already.

    Args:
        name: What the log calls the data set.
        what: What it calls the rows.
        why: What is wrong with them.
    """

    def __init__(self, name: str, what: str = "bad rows", why: str = "are bad") -> None:
        self._name, self._what, self._why = name, what, why
        self._first: Part | None = None
        self._told: int | None = None
        self._num_rows = self._num_dropped = 0

    def add(self, num_rows: int, num_dropped: int, describe_first: Callable[[], Part]) -> None:
        """Counts the rows of a batch; `describe_first` gives place and reason of its first one."""
        self._num_rows += num_rows
        self._num_dropped += num_dropped
        if num_dropped and self._first is None:
            self._first = describe_first()
            logger.warning(
                "Dropping the %s of %s; the first one is %s",
                self._what,
                self._name,
                self._first,
            )

    def check_some_left(self) -> None:
        """Raises a ValueError if all rows of this epoch were dropped."""
        if self._num_rows and self._num_dropped == self._num_rows:
            raise WordedError(
                f"all {self._num_rows:,} rows of {self._name} {self._why}; the first one is ",
                self._first or "",
            )

    def end_epoch(self, complete: bool) -> None:
        """Logs the number of rows dropped, and starts counting again."""
        # An epoch that is cut off says nothing new once a whole one was reported.
        news = self._num_dropped != self._told if complete else self._told is None
        if news and (self._num_dropped or self._told):
            self._told = self._num_dropped
            logger.warning(
                "Dropped %s of %s rows of %s",
                f"{self._num_dropped:,}",
                f"{self._num_rows:,}",
                self._name,
            )
        self._num_rows = self._num_dropped = 0


def _exclude_dense(good: Mask, rows: NDArray[Any], is_good: IsGood) -> None:
    # Block by block: for a whole data set in one batch, temporaries would be as large as the data.
    count = max(_BLOCK_ELEMENTS // max(rows[:1].size, 1), 1)
    axes = tuple(range(1, rows.ndim))
    for start in range(0, len(rows), count):
        good[start : start + count] &= is_good(rows[start : start + count]).all(axis=axes)


def _values_of_row(rows: Rows, row: int) -> NDArray[Any]:
    one = rows[[row]]
    return (one if isinstance(one, np.ndarray) else one.toarray()).reshape(-1)
