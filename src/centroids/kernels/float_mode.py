"""The usual floating-point mode, whatever another library has set for the thread.

Each computation of ours runs in the usual mode, and the code of others (input functions, hooks,
model functions, what asks for an item of a generator) in the mode of the caller. So what is guarded
here is short and calls no other code.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from centroids.kernels import _native

P = ParamSpec("P")
R = TypeVar("R")

_enter, _leave = _native.enter_float_mode, _native.leave_float_mode


def in_usual_float_mode(function: Callable[P, R]) -> Callable[P, R]:
    """The function, but computing with subnormal numbers and rounding to nearest for any caller.

    The mode is one of the calling thread: NumPy computes in it too. It is restored at the end.
    """

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        before = _enter()
        try:
            return function(*args, **kwargs)
        finally:
            _leave(before)

    return wrapped
