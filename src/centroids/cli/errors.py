"""How a command ends that cannot do what it was asked: one sentence and an exit code."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import typer

_MISTAKE = 2  # a wrong argument, or bad data
_FAILURE = 1  # a file that cannot be read or written, or anything unforeseen


def end_with(error: Exception) -> NoReturn:
    """Tells an error on standard error and ends the process."""
    code = _MISTAKE if isinstance(error, (ValueError, TypeError)) else _FAILURE
    if isinstance(error, BrokenPipeError):  # the reader of our output has seen enough
        sys.stderr.close()
    else:
        typer.echo(f"centroids: {_sentence(error)}", err=True)
    sys.exit(code)


@contextmanager
def suggesting_options(points: Path, *, can_drop: bool) -> Iterator[None]:
    """Around what reads points: errors suggest options, where the library suggests arguments.

    Args:
        points: The file that is read.
        can_drop: Whether --bad-rows drop is there and would help.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        told = _with_options(str(error), points, can_drop)
        if told == str(error):
            raise
        raise (TypeError if isinstance(error, TypeError) else ValueError)(told) from error


def _with_options(text: str, points: Path, can_drop: bool) -> str:
    if text.startswith("input_fn gave no batch") or text.endswith("but the input has 0 points"):
        return f"{points} has no rows"
    text = text.replace("columns=[...]", "--columns")
    if "columns, but the centers of the trained model have" in text:
        more = "" if points.suffix.lower() == ".npy" else "; choose columns with --columns"
        return f"{points}: {text}{more}"
    if not can_drop:
        return text
    if "remove or replace such rows" in text:
        return f"{points}: {text}, or leave them out with --bad-rows drop"
    if re.match(re.escape(str(points)) + r", line \d+[:,]", text):
        return f"{text}, or leave such lines out with --bad-rows drop"
    return text


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, (ValueError, TypeError, OSError, ImportError)) and str(error):
        return str(error)
    # Errors that we did not foresee may have no text, or one that says little without the type.
    return f"{type(error).__name__}: {error} (centroids --debug shows more)"
