"""What is wrong with a command line, in one plain sentence: what was written, and what is allowed.

The words are ours: those of typer differ from version to version.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from enum import StrEnum
from types import NoneType
from typing import Any, get_args


def similar(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The name that may have been meant; None if none is like it.

    >>> similar("setps", ["steps", "seed"])
    'steps'
    """
    return next(iter(difflib.get_close_matches(name, list(known), 1, cutoff)), None)


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """A hint at the name that may have been meant, or nothing."""
    found = similar(name, known, cutoff)
    return f"; did you mean {found}?" if found else ""


def allowed_values(command: Any, param: Any) -> str:
    """What an option of a command takes, in words; empty if it takes any text."""
    annotated, info = get_args(command.hint(param.name))[:2]
    (kind,) = [each for each in get_args(annotated) or (annotated,) if each is not NoneType]
    if kind is bool:
        return "true or false"
    if issubclass(kind, StrEnum):
        return " or ".join(kind)
    if kind in (int, float):
        least = "" if info.min is None else f" of at least {info.min}"
        return f"{'an integer' if kind is int else 'a number'}{least}"
    return ""


def wrong_value(name: str, allowed: str, value: object) -> str:
    """Says that an option cannot have a value."""
    shown = str(value).lower() if isinstance(value, bool) else repr(value)
    hint = did_you_mean(str(value), allowed.split(" or ")) if " or " in allowed else ""
    return f"{name} must be {allowed or 'a text'}, got {shown}{hint}"


def as_written(param: Any, args: Sequence[str]) -> str:
    """The name by which a command line calls an option: of --num-clusters and -k, the one there."""
    names = [*param.opts, *param.secondary_opts]
    for word in reversed(args):
        for name in names:
            short = len(name) == 2 and word.startswith(name)
            if word == name or word.startswith(f"{name}=") or short:
                return str(name)
    return str(max(param.opts, key=len))


def usage_of(ctx: Any) -> str:
    """How a command is called, without its options."""
    pieces = [piece for piece in ctx.command.collect_usage_pieces(ctx) if "OPTIONS" not in piece]
    return " ".join([f"centroids {ctx.info_name}", *pieces])


def sentence(error: Any, ctx: Any) -> str:
    """What is wrong with the words of a command line, for what typer raises.

    Args:
        error: One of its exceptions, but not that of a wrong value.
        ctx: The context of the command.
    """
    command = ctx.command
    name = "centroids" if ctx.parent is None else f"centroids {ctx.info_name}"
    option, param = getattr(error, "option_name", None), getattr(error, "param", None)
    if option is None:
        if param is not None and type(error).__name__ == "MissingParameter":
            return f"{param.metavar or param.name} is missing: {usage_of(ctx)}"
        return str(error.format_message()).removesuffix(".")
    found = [each for each in command.params if option in (*each.opts, *each.secondary_opts)]
    if not found:
        words = [word for each in command.params for word in (*each.opts, *each.secondary_opts)]
        known = [word for word in words if word.startswith("--")]
        below = [each.params for each in getattr(command, "commands", {}).values()]
        if any(option in each.opts for params in below for each in params):
            return f"{option} is an option of commands: write it behind one, as in {name} train ..."
        hint = did_you_mean(option, known) or f"; see {name} --help"
        return f"{option} is not an option of {name}{hint}"
    if getattr(found[0], "is_flag", False):
        return f"{option} takes no value"
    allowed = allowed_values(command, found[0])
    return f"{option} needs a value{allowed and ': '}{allowed}"
