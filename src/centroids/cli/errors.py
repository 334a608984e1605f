"""How a command ends that cannot do what it was asked: one sentence and an exit code.

The library names arguments (`header=True`); here they become options (`--header`), in errors and in
warnings alike.
"""

from __future__ import annotations

import ast
import contextlib
import logging
import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import typer

_MISTAKE = 2  # a wrong argument, or bad data
_FAILURE = 1  # a file that cannot be read or written, or anything unforeseen
EXIT_OF_INTERRUPT = 130  # of Ctrl-C

# Arguments of the library that have another name as options.
_RENAMED = {"export_dir_base": "OUTPUT", "model_dir": "MODEL_DIR", "num_epochs": "--epochs"}
_READING = (
    "bad_rows",
    "columns",
    "decimal",
    "delimiter",
    "dtype",
    "header",
    "restart_input",
    "skip_lines",
    "thousands",
)
_ARGUMENTS = (
    *_READING,
    "batch_size",
    "export_dir_base",
    "kmeans_plus_plus_num_retries",
    "mini_batch_steps_per_iteration",
    "model_dir",
    "num_clusters",
    "num_epochs",
    "relative_tolerance",
    "seed",
)
_VALUES = r"""True|False|\[[^\]]*\]|'[^']*'|"[^"]*"|[\w.]+"""
_GIVEN = re.compile(rf"\b({'|'.join(_READING)})=({_VALUES})")
# A field that is a number to its reader: dropping its line, and all that are like it, loses data.
_HAS_DIGITS = re.compile(r", column [^:]*: .*\d.* is not a number")
_RESTART = "pass restart_input=True to train"
_OR_NONE = re.compile(r"^(--[a-z-]+ must be [^;]*?),? or None(?=;)")  # an option is left out
_PAIR = "decimal and thousands must differ"
_NAMED = re.compile(rf"(?<![\w'/.-])({'|'.join(_ARGUMENTS)})(?= must be| is for| needs )")


def end_with(error: Exception) -> NoReturn:
    """Tells an error on standard error and ends the process."""
    code = _MISTAKE if isinstance(error, (ValueError, TypeError)) else _FAILURE
    if isinstance(error, BrokenPipeError):  # the reader of our output has seen enough
        sys.stderr.close()
    else:
        typer.echo(f"centroids: {with_options(_sentence(error))}", err=True)
    sys.exit(code)


def with_options(text: str) -> str:
    """A message of the library in the words of the command line.

    >>> with_options("if it is a row, say header=False")
    'if it is a row, say --no-header'
    >>> with_options("batch_size must be at least 1")
    '--batch-size must be at least 1'
    """
    text = text.replace(_RESTART, "pass --restart-input")  # it names the method, too
    text = text.replace(_PAIR, "--decimal and --thousands must differ")
    text = _NAMED.sub(lambda found: _option(found[1]), _GIVEN.sub(_give, text))
    return _OR_NONE.sub(r"\1", text)


def _option(name: str) -> str:
    return _RENAMED.get(name, "--" + name.replace("_", "-"))


def _give(found: re.Match[str]) -> str:
    name, value = _option(found[1]), found[2]
    if value == "False":
        return name.replace("--", "--no-", 1)
    if value.startswith("["):
        return f"{name} {shlex.quote(words)}" if (words := _join(value)) else name
    if value == "True":
        return name
    plain = value[1:-1] if value[0] in "\"'" else value
    return f"{name} {shlex.quote(plain)}"


def _join(columns: str) -> str:
    """A list of columns as --columns takes it; empty if it has none, or cannot be said so."""
    try:
        given = ast.literal_eval(columns.replace(", ...", ""))
    except (ValueError, SyntaxError):
        return ""
    words = [str(column) for column in given if column is not ...]
    if any("," in word or word != word.strip() for word in words):
        return ""
    return ",".join([*words, *(["..."] if words and ", ..." in columns else [])])


@contextmanager
def without_log_of(module: str) -> Iterator[None]:
    """Nothing that a module logs is shown: the command says it itself, or has said it."""
    logger = logging.getLogger(module)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


@contextmanager
def showing_warnings() -> Iterator[None]:
    """Shows what the library warns of on standard error, once and in the words of options."""
    logger, handler = logging.getLogger("centroids"), _Warnings(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Warnings(logging.Handler):
    """A file is looked at several times in a command: equal warnings are shown once."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._shown: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = with_options(record.getMessage())
        if text not in self._shown:
            self._shown.add(text)
            typer.echo(f"centroids: {text}", err=True)


@contextmanager
def silenced(quiet: bool) -> Iterator[None]:
    """Lets nothing through to standard output, for a command that only tells of itself there."""
    with contextlib.ExitStack() as stack:
        if quiet:
            nothing = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(nothing))
        yield


@contextmanager
def suggesting_options(points: Path, *, can_drop: bool) -> Iterator[None]:
    """Around what reads points: errors suggest options, where the library suggests arguments.

    Ctrl-C ends the command with one word and the exit code that shells know.

    Args:
        points: The file that is read.
        can_drop: Whether --bad-rows drop is there and would help.
    """
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("Stopped.", err=True)
        raise typer.Exit(EXIT_OF_INTERRUPT) from None
    except (TypeError, ValueError) as error:
        told = _with_options(str(error), points, can_drop)
        if told == str(error):
            raise
        raise (TypeError if isinstance(error, TypeError) else ValueError)(told) from error


def _with_options(text: str, points: Path, can_drop: bool) -> str:
    if text.startswith("input_fn gave no batch") or text.endswith("but the input has 0 points"):
        return f"{points} has no rows"
    if text.startswith("the last training stopped in the middle of another input"):
        return (
            f"the last training stopped within the mini-batches of {points}: go on with the "
            "options that it had, or begin the file at its beginning with --restart-input"
        )
    text = with_options(text)
    if "columns, but the centers of the trained model have" in text:
        more = "" if points.suffix.lower() == ".npy" else "; choose columns with --columns"
        return f"{points}: {text}{more}"
    if text.startswith("points must be finite"):
        # A file that is read at once, or mapped, is one batch: its rows are those of the batch.
        text = text.replace(" in batch 0, row ", f" in {points}, row ")
        return f"{text}, or leave them out with --bad-rows drop" if can_drop else text
    if not can_drop or "--skip-lines" in text:
        return text
    if re.match(re.escape(str(points)) + r", line \d+[:,]", text) and not _HAS_DIGITS.search(text):
        return f"{text}, or leave such lines out with --bad-rows drop"
    return text


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, (ValueError, TypeError, OSError, ImportError)) and str(error):
        return str(error)
    # Errors that we did not foresee may have no text, or one that says little without the type.
    return f"{type(error).__name__}: {error} (centroids --debug shows more)"
