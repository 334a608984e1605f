"""Arguments that other libraries know, and what to do with them here."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def explain_other_names(advice: Mapping[str, str]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Makes a decorator: an unknown argument is a TypeError as usual, but it says what to do.

    The signature stays that of the function.

    Args:
        advice: What to do, by the name of the argument.

    >>> @explain_other_names({"speed": "use rate="})
    ... def run(rate): ...
    >>> run(speed=3)
    Traceback (most recent call last):
    ...
    TypeError: run() got an unexpected keyword argument 'speed': use rate=
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            for name in kwargs:
                if name in advice:
                    raise TypeError(
                        f"{_name_of(function)}() got an unexpected keyword argument {name!r}: "
                        f"{advice[name]}"
                    )
            return function(*args, **kwargs)

        return checked

    return decorate


def _name_of(function: Callable[..., Any]) -> str:
    owner, _, name = function.__qualname__.rpartition(".")
    return owner if name == "__init__" else name
