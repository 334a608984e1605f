"""What a command found out, for programs: --json prints it as one object.

A command says it with `answer`, beside what it prints for people. Numbers that JSON lacks (NaN,
infinity) become null.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

# Called when a command has found something out, and is about to print it.
before_answers: list[Callable[[], None]] = []
_given: dict[str, Any] = {}
_is_wanted = False


def answer(values: Mapping[str, Any]) -> None:
    """Adds to the object that --json prints.

    Args:
        values: By keys that never change their meaning; NumPy's numbers and arrays are welcome.
    """
    for call in before_answers:
        call()
    if _is_wanted:
        _given.update(values)


def is_json_wanted() -> bool:
    """Whether --json is given; what it costs to find out more can be saved if not."""
    return _is_wanted


@contextlib.contextmanager
def answering_in_json() -> Iterator[None]:
    """Prints one object on standard output, and nothing else; what else is printed goes into it.

    It is printed however the command ends, if it has answered; otherwise only if it ends well.
    """
    global _is_wanted
    _given.clear()
    _is_wanted, said = True, io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            yield
        if not _given:
            _given["text"] = said.getvalue().splitlines()
    finally:
        _is_wanted = False
        if _given:
            print(to_json(_given))


def to_json(value: Any) -> str:
    """One line of JSON.

    >>> import numpy as np
    >>> to_json({"k": np.int64(3), "loss": math.nan, "sizes": np.array([1, 2])})
    '{"k": 3, "loss": null, "sizes": [1, 2]}'
    """
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if hasattr(value, "tolist"):  # NumPy's
        return _plain(value.tolist())
    return str(value)
