"""Checks of the arguments that the input functions share."""

from __future__ import annotations

import operator
import os
from pathlib import Path
from typing import Any, cast

import numpy as np

from centroids.errors import ArgumentError
from centroids.files import check_regular


def check_positive(name: str, value: object) -> int:
    """The integer `value`, at least 1; else a ValueError that names it."""
    return _check_integer(name, value, 1)


def check_not_negative(name: str, value: object) -> int:
    """The integer `value`, at least 0; else a ValueError that names it."""
    return _check_integer(name, value, 0)


def check_num_epochs(value: object) -> int | None:
    """None (for ever) or an integer of at least 1; else a ValueError."""
    if value is None:
        return None
    return _check_integer("num_epochs", value, 1, " or None, which repeats for ever")


def check_seed(value: object) -> int:
    """The integer `value`, at least 0; else a ValueError."""
    return _check_integer("seed", value, 0)


def check_bool(name: str, value: object) -> bool:
    """The boolean `value`; else a ValueError that names it."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def check_file(path: str | os.PathLike[str]) -> Path:
    """The path of a file that can be opened.

    Raises:
        FileNotFoundError: If there is nothing at `path`.
        IsADirectoryError: If it is a folder.
        PermissionError: If it may not be read.
        OSError: If it is a pipe or a device: a file is read several times, and from any place.
    """
    file = Path(path)
    check_regular(file)
    with file.open("rb"):
        return file


def _check_integer(name: str, value: object, lowest: int, otherwise: str = "") -> int:
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(cast("Any", value))
    except TypeError:
        number = lowest - 1
    if number < lowest:
        raise ArgumentError(name, f"an integer of at least {lowest}{otherwise}", value)
    return number
