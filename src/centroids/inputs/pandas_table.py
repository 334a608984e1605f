"""The source over a pandas table, as TensorFlow's."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from centroids import distribute
from centroids.inputs._memory import ArraySource, numpy_input_fn
from centroids.inputs.arrow import check_different_names
from centroids.inputs.bad_rows import BadRows
from centroids.inputs.text._csv_header import is_unnamed

logger = logging.getLogger(__name__)


def pandas_input_fn(
    x: Any,
    y: Any = None,
    batch_size: int = 128,
    num_epochs: int | None = 1,
    shuffle: bool | None = None,
    queue_capacity: int | None = 1000,
    num_threads: int = 1,
    target_column: str = "target",
    *,
    seed: int = 0,
    bad_rows: BadRows = "raise",
) -> Callable[[], ArraySource]:
    """Makes an input function that feeds a pandas DataFrame in batches: dicts of its columns.

    As in TensorFlow, the index is not a feature, and that of `y` must be that of `x`. A column
    "Unnamed: 0", the name that pandas gives to the index in a CSV file, is a feature; the log says
    so. Rows are shuffled as by `numpy_input_fn`.

    Args:
        x: The DataFrame. Its columns must have different names and hold numbers; a missing number
            becomes NaN. Names are strings; whole numbers, which pandas uses if there are no names,
            become strings of equal length, so that their order stays.
        y: A Series of labels, or a DataFrame of several; None for batches of features alone.
        batch_size: The rows of a batch. The last one of an epoch may have fewer.
        num_epochs: How often to go through the data; None: forever.
        shuffle: Whether to shuffle the rows. It must be given.
        queue_capacity: Has no effect, nor has `num_threads`: batches come in a fixed order.
        num_threads: See `queue_capacity`.
        target_column: A name that `x` must not have; labels come without it.
        seed: Of the shuffling.
        bad_rows: "drop" leaves out rows of `x` with NaN or infinity; see `numpy_input_fn`.

    Returns:
        A function that returns a new source at each call. Batches are dicts of arrays [n], with
        `y` pairs (dict, labels).

    Raises:
        TypeError: If `x` is not a DataFrame, a column holds no numbers, a name is not a string, or
            `y` is neither a Series nor a DataFrame.
        ValueError: If `shuffle` is not given, `x` has a column called `target_column` while there
            is a `y`, the indices differ, or an argument has a value that is not allowed.
    """
    if not _is_table(x):
        raise TypeError(
            f"x must be a pandas DataFrame, got a {type(x).__module__}.{type(x).__name__}"
            + ("; numpy_input_fn takes it" if distribute.is_collection(type(x)) else "")
        )
    if not isinstance(target_column, str):
        raise TypeError(f"target_column must be a string, got {target_column!r}")
    names = list(x.columns)
    check_different_names(names, "x")
    for name in itertools.takewhile(lambda each: isinstance(each, str) and is_unnamed(each), names):
        logger.warning(
            "x has a column %r, a name that pandas gives to the index of a CSV file; it is used as "
            "a feature. If it is an index, leave it out: x.drop(columns=[%r])",
            name,
            name,
        )
    labels = None if y is None else _labels(x, y, target_column)
    return numpy_input_fn(
        {key: x[name] for key, name in zip(keys_of(names), names, strict=True)},
        labels,
        batch_size,
        num_epochs,
        shuffle,
        1000 if queue_capacity is None else queue_capacity,  # None: as many as rows
        num_threads,
        seed=seed,
        bad_rows=bad_rows,
    )


def keys_of(names: list[Any]) -> list[Any]:
    """What the columns are called in a batch, whose keys are strings.

    >>> keys_of([0, 5, 10]), keys_of(["b", "a"])
    (['00', '05', '10'], ['b', 'a'])
    """
    if not all(isinstance(name, (int, np.integer)) and name >= 0 for name in names):
        return names
    return [str(name).zfill(max(len(str(each)) for each in names)) for name in names]


def _labels(x: Any, y: Any, target_column: str) -> Any:
    if target_column in x.columns:
        raise ValueError(
            f"x has a column called {target_column!r}, which is the name of the labels; choose "
            "another target_column, or leave that column out"
        )
    if not hasattr(y, "index") or not hasattr(y, "to_numpy"):
        raise TypeError(f"y must be a pandas Series or DataFrame, got {type(y).__name__}")
    if not np.array_equal(x.index, y.index):
        raise ValueError(
            f"x and y must have equal indices; x has {_describe_index(x)}, y has "
            f"{_describe_index(y)}"
        )
    if _is_table(y):
        check_different_names(list(y.columns), "y")
        return {name: y[name] for name in y.columns}
    return y


def _is_table(value: Any) -> bool:
    return all(hasattr(value, part) for part in ("columns", "index", "to_numpy"))


def _describe_index(value: Any) -> str:
    first = ", ".join(repr(each) for each in list(value.index[:5]))
    return f"{len(value.index)} rows [{first}{', ...' if len(value.index) > 5 else ''}]"
