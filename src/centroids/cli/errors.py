"""How a command ends that cannot do what it was asked: one sentence and an exit code."""

from __future__ import annotations

import sys
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


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, (ValueError, TypeError, OSError, ImportError)) and str(error):
        return str(error)
    # Errors that we did not foresee may have no text, or one that says little without the type.
    return f"{type(error).__name__}: {error} (centroids --debug shows more)"
