"""Checks of arguments: what a value must be, always said in the same way."""

from __future__ import annotations

import numbers
import operator
from collections.abc import Sequence
from typing import Any, TypeVar, cast

import numpy as np

from centroids.errors import ArgumentError

Choice = TypeVar("Choice", bound=str)


def as_integer(value: object) -> int | None:
    """A value as an int, if it is an integer of any type; else None, as for True and False."""
    if isinstance(value, (bool, np.bool_)):
        return None
    try:
        return operator.index(cast("Any", value))
    except TypeError:
        return None


def check_integer(name: str, value: object, lowest: int | None = None, otherwise: str = "") -> int:
    """The integer that an argument is.

    Args:
        name: The argument.
        value: Its value.
        lowest: The lowest that is allowed; None: any.
        otherwise: What else is allowed, for the message: ", or None".

    Raises:
        ValueError: If it is not an integer, or lower.
    """
    number = as_integer(value)
    if number is None or (lowest is not None and number < lowest):
        bound = "" if lowest is None else f" of at least {lowest}"
        raise ArgumentError(name, f"an integer{bound}{otherwise}", value)
    return number


def check_number(name: str, value: object, lowest: float, otherwise: str = "") -> float:
    """The number that an argument is, of any real type; see `check_integer`.

    Raises:
        ValueError: If it is not a number, or lower.
    """
    if (
        isinstance(value, (bool, np.bool_))
        or not isinstance(value, numbers.Real)
        or not float(value) >= lowest
    ):
        raise ArgumentError(name, f"a number of at least {lowest}{otherwise}", value)
    return float(value)


def check_bool(name: str, value: object) -> bool:
    """The boolean that an argument is; else a ValueError that names it."""
    if not isinstance(value, (bool, np.bool_)):
        raise ArgumentError(name, "True or False", value)
    return bool(value)


def check_choice(name: str, value: object, allowed: Sequence[Choice]) -> Choice:
    """The one of the allowed strings that an argument is; else a ValueError that names them."""
    if not isinstance(value, str) or value not in allowed:
        raise ArgumentError(name, f"one of {', '.join(map(repr, allowed))}", value)
    return cast("Choice", value)
