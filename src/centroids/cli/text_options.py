"""The options that say how a text file of points is written: the same for all commands."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, get_args

import typer

from centroids.cli.errors import NOTHING

if TYPE_CHECKING:
    from centroids.inputs import TextFormat

GivenText: TypeAlias = Mapping[str, Any]  # the fields of a TextFormat that the command line says


class Element(StrEnum):
    """The types that points of a text file can have."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"


Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        help="Whether the first line of a text file holds the names of the columns. Default: "
        "as for the model, else detected; a message says so if the guess is uncertain.",
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        help="What separates the fields of a text file; \\t is a tab. Default: as for the model, "
        "else detected.",
        metavar="CHARACTER",
    ),
]
Decimal = Annotated[
    str | None,
    typer.Option(
        help="The decimal mark of a text file, a point or a comma. Default: as for the model, else "
        "the point.",
        metavar="CHARACTER",
    ),
]
Thousands = Annotated[
    str | None,
    typer.Option(
        help="What groups the digits of large numbers in a text file, as , does in 1,234,567; "
        "none if nothing does. Default: as for the model, else none.",
        metavar="CHARACTER|none",
    ),
]
SkipLines = Annotated[
    int | None,
    typer.Option(
        help="How many lines to skip at the beginning of a text file. Default: as for the model, "
        "else 0."
    ),
]
DType = Annotated[
    Element | None,
    typer.Option(
        "--dtype",
        help="The type of the points of a text file. float32 takes half the memory and rounds to 7 "
        "digits. Default: as for the model, else float64.",
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        help="The encoding of a text file, such as cp1252. Default: as for the model, "
        "else UTF-8, or UTF-16 if the file begins with its mark.",
        metavar="NAME",
    ),
]


def with_text_format(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options above in place of its parameter `text`, a GivenText.

    >>> @with_text_format
    ... def show(path: str, *, text: GivenText) -> None: ...
    >>> list(inspect.signature(show).parameters)
    ['path', 'header', 'delimiter', 'decimal', 'thousands', 'skip_lines', 'dtype', 'encoding']
    """

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        given = {name: kwargs.pop(name) for name in _OPTIONS}
        command(*args, **kwargs, text=_given_text(**given))

    signature = inspect.signature(command, eval_str=True)
    known = [each for each in signature.parameters.values() if each.name != "text"]
    options = [*inspect.signature(_given_text, eval_str=True).parameters.values()]
    if "model_dir" not in signature.parameters:
        options = [each.replace(annotation=_without_model(each.annotation)) for each in options]
    # Typer reads the signature and, for the types, the annotations.
    vars(run)["__signature__"] = signature.replace(parameters=[*known, *options])
    run.__annotations__ = {each.name: each.annotation for each in [*known, *options]}
    del run.__wrapped__  # else it would look there
    return run


def _without_model(option: Any) -> Any:
    """An option whose help names the default of a command that has no model."""
    kind, shown = get_args(option)
    shown = copy.copy(shown)
    shown.help = shown.help.replace("as for the model, else ", "")
    return Annotated[kind, shown]


def _given_text(
    *,
    header: Header = None,
    delimiter: Delimiter = None,
    decimal: Decimal = None,
    thousands: Thousands = None,
    skip_lines: SkipLines = None,
    dtype: DType = None,
    encoding: Encoding = None,
) -> GivenText:
    fields: dict[str, Any] = {
        "header": header,
        "delimiter": "\t" if delimiter == "\\t" else delimiter,
        "decimal": decimal,
        "thousands": thousands,
        "skip_lines": skip_lines,
        "dtype": None if dtype is None else dtype.value,
        "encoding": encoding,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    if thousands is not None and thousands.lower() == NOTHING:
        given["thousands"] = None
    from centroids.inputs import TextFormat

    # Refuses what is not allowed. Points may group digits if the model has the matching decimal
    # mark.
    TextFormat(**({"decimal": ","} if thousands == "." else {}) | given)
    return given


def with_kept(given: GivenText, kept: GivenText) -> TextFormat:
    """The text format that is given, filled up with what a model keeps.

    A given mark takes the other role away from a kept mark.

    >>> with_kept({"decimal": "."}, {"decimal": ",", "thousands": "."}).thousands is None
    True
    """
    from centroids.inputs import TextFormat

    others = {"decimal": "thousands", "thousands": "decimal"}
    held = {
        name: value
        for name, value in kept.items()
        if name not in others or given.get(others[name]) != value
    }
    return TextFormat(**{**held, **given})


_OPTIONS = tuple(inspect.signature(_given_text).parameters)
