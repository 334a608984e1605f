"""The options that say how a text file of points is written: the same for all commands."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import typer

from centroids.inputs import TextFormat


class Element(StrEnum):
    """The types that points of a text file can have."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"


Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        help="Whether the first line of a text file holds the names of the columns. Default: "
        "found out, and told where it could be wrong.",
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        help="What separates the fields of a text file; \\t is a tab. Default: found out.",
        metavar="CHARACTER",
    ),
]
Decimal = Annotated[
    str, typer.Option(help="The decimal mark of a text file: . or ,", metavar="CHARACTER")
]
Thousands = Annotated[
    str | None,
    typer.Option(
        help="What groups the digits of large numbers in a text file, as , does in 1,234,567. "
        "Default: nothing.",
        metavar="CHARACTER",
    ),
]
SkipLines = Annotated[
    int, typer.Option(help="How many lines at the beginning of a text file to pass over.")
]
DType = Annotated[
    Element | None,
    typer.Option(
        "--dtype",
        help="The type of the points of a text file. float32 takes half the memory and rounds to 7 "
        "digits. Default: float64.",
    ),
]


def with_text_format(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options above in place of its parameter `text`, a TextFormat.

    >>> @with_text_format
    ... def show(path: str, *, text: TextFormat) -> None: ...
    >>> list(inspect.signature(show).parameters)
    ['path', 'header', 'delimiter', 'decimal', 'thousands', 'skip_lines', 'dtype']
    """

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        given = {name: kwargs.pop(name) for name in _OPTIONS}
        command(*args, **kwargs, text=_text_format(**given))

    signature = inspect.signature(command, eval_str=True)
    known = [each for each in signature.parameters.values() if each.name != "text"]
    options = inspect.signature(_text_format, eval_str=True).parameters.values()
    # Typer reads the signature and, for the types, the annotations.
    vars(run)["__signature__"] = signature.replace(parameters=[*known, *options])
    run.__annotations__ = {each.name: each.annotation for each in [*known, *options]}
    del run.__wrapped__  # else it would look there
    return run


def _text_format(
    *,
    header: Header = None,
    delimiter: Delimiter = None,
    decimal: Decimal = ".",
    thousands: Thousands = None,
    skip_lines: SkipLines = 0,
    dtype: DType = None,
) -> TextFormat:
    return TextFormat(
        header=header,
        delimiter="\t" if delimiter == "\\t" else delimiter,
        decimal=decimal,
        thousands=thousands,
        skip_lines=skip_lines,
        dtype=None if dtype is None else dtype.value,
    )


_OPTIONS = tuple(inspect.signature(_text_format).parameters)
